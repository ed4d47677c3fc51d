// The server over real sockets: requests and replies, bodies, framing, TLS.
#include "http/server.hpp"

#include "testing/certificate.hpp"
#include "testing/probe_server.hpp"

#include <gtest/gtest.h>

#include <string>

namespace larder::http {
namespace {

using testing::ProbeServer;
using testing::RawConnection;
using State = RawConnection::State;

std::string without_date(std::string head) {
    const auto at = head.find("Date: ");
    if (at != std::string::npos)
        head.erase(at, head.find("\r\n", at) + 2 - at);
    return head;
}

std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
}

std::string post(const std::string& target, const std::string& body,
                 const std::string& fields = "") {
    return "POST " + target + " HTTP/1.1\r\nHost: test\r\n" + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(Server, AnswersAndKeepsTheConnectionForTheNextRequest) {
    ProbeServer server;
    ASSERT_TRUE(server.started());
    auto client = server.connect();
    for (int i = 0; i < 3; ++i) {
        client.send(get("/number?" + std::to_string(i)));
        const auto reply = client.read_reply();
        EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 200 OK\r\n")) << reply.head;
        EXPECT_TRUE(reply.head.contains("Date: ")) << reply.head;
        EXPECT_FALSE(reply.head.contains("Connection:")) << reply.head;
        EXPECT_EQ(reply.body, "/number?" + std::to_string(i));
    }
    EXPECT_EQ(server.server().connections(), 1U);
}

TEST(Server, AnswersPipelinedRequestsInTheirOrder) {
    ProbeServer server;
    auto client = server.connect();
    constexpr int kRequests = 500;
    std::string all;
    for (int i = 0; i < kRequests; ++i) {
        all +=
            i % 2 == 0 ? get("/" + std::to_string(i)) : post("/echo", "body " + std::to_string(i));
    }
    client.send(all);
    for (int i = 0; i < kRequests; ++i) {
        const auto reply = client.read_reply();
        ASSERT_EQ(reply.body, (i % 2 == 0 ? "/" : "body ") + std::to_string(i));
    }
}

TEST(Server, TakesARequestAtEverySplit) {
    ProbeServer server;
    const std::string text =
        post("/echo", "split me") +
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n";
    auto client = server.connect();
    for (std::size_t at = 1; at < text.size(); ++at) {
        client.send(text.substr(0, at));
        client.send(text.substr(at));
        ASSERT_EQ(client.read_reply().body, "split me") << at;
        ASSERT_EQ(client.read_reply().body, "abcdefg") << at;
    }
    for (const char byte : text) // each byte by itself
        client.send(std::string(1, byte));
    EXPECT_EQ(client.read_reply().body, "split me");
    EXPECT_EQ(client.read_reply().body, "abcdefg");
}

TEST(Server, RefusesABodyOverItsLimitAndTheClientCanReadWhy) {
    ProbeServer server;
    for (const bool chunked : {false, true}) {
        auto client = server.connect();
        const std::string body(600'000, 'b');
        ASSERT_TRUE(client.send(
            chunked ? "POST /small HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "927C0\r\n" +
                          body + "\r\n0\r\n\r\n"
                    : post("/small", body)));
        const auto reply = client.read_reply();
        EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 413 ")) << reply.head;
        EXPECT_TRUE(reply.head.contains("Connection: close\r\n")) << reply.head;
        EXPECT_EQ(client.read_to_end(), "");
        EXPECT_EQ(client.state(), State::kEnded) << chunked;
    }
}

TEST(Server, DrainsASmallBodyThatTheHandlerLeaves) {
    ProbeServer server;
    auto client = server.connect();
    client.send(post("/ignored", std::string(1000, 'b')) + get("/next"));
    EXPECT_EQ(client.read_reply().body, "/ignored");
    EXPECT_EQ(client.read_reply().body, "/next");
}

TEST(Server, ClosesInOrderAfterALargeBodyThatTheHandlerLeaves) {
    ProbeServer server;
    for (const bool chunked : {false, true}) {
        auto client = server.connect();
        const std::string body(600'000, 'b');
        ASSERT_TRUE(client.send(
            chunked ? "POST /ignored HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "927C0\r\n" +
                          body + "\r\n0\r\n\r\n"
                    : post("/ignored", body)));
        EXPECT_EQ(client.read_reply().body, "/ignored");
        EXPECT_EQ(client.read_to_end(), "");
        EXPECT_EQ(client.state(), State::kEnded) << chunked;
    }
}

TEST(Server, RefusesABrokenChunkAndTakesNothingAfterIt) {
    ProbeServer server;
    auto client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" +
                get("/smuggled"));
    const auto reply = client.read_reply();
    EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 400 ")) << reply.head;
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.state(), State::kEnded);
    EXPECT_EQ(server.probe().requests, 1);
}

TEST(Server, RefusesAnAmbiguousLengthAndTakesNothingAfterIt) {
    ProbeServer server;
    for (const char* fields :
         {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
          "Content-Length: 4\r\nContent-Length: 5\r\n", "Transfer-Encoding: chunked, gzip\r\n",
          "Transfer-Encoding: gzip\r\n"}) {
        auto client = server.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\n" + std::string(fields) +
                    "\r\n0\r\n\r\n" + get("/smuggled"));
        const auto reply = client.read_reply();
        EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 400 ")) << reply.head;
        EXPECT_TRUE(reply.head.contains("Connection: close\r\n")) << reply.head;
        EXPECT_EQ(client.read_to_end(), "");
    }
    EXPECT_EQ(server.probe().requests, 0);
}

TEST(Server, RefusesAHeadThatIsTooLarge) {
    ServerSettings settings;
    settings.head.bytes = 1000;
    ProbeServer server(settings);
    auto client = server.connect();
    client.send(get("/", "X-Long: " + std::string(2000, 'x') + "\r\n"));
    EXPECT_TRUE(client.read_reply().head.starts_with("HTTP/1.1 431 "));
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.state(), State::kEnded);
}

TEST(Server, SendsContinueWhenTheBodyIsRead) {
    ProbeServer server;
    auto client = server.connect();
    for (int i = 0; i < 2; ++i) {
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: "
                    "100-continue\r\n\r\n");
        EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("body");
        const auto reply = client.read_reply();
        EXPECT_FALSE(reply.head.contains("Connection: close")) << reply.head;
        EXPECT_EQ(reply.body, "body");
    }
}

TEST(Server, SendsNoContinueForABodyThatIsRefused) {
    ProbeServer server;
    for (const char* path : {"/small", "/ignored"}) {
        auto client = server.connect();
        client.send("POST " + std::string(path) +
                    " HTTP/1.1\r\nHost: test\r\nContent-Length: 40\r\nExpect: "
                    "100-continue\r\n\r\n");
        const auto reply = client.read_reply();
        EXPECT_FALSE(reply.head.contains("100 Continue")) << reply.head;
        EXPECT_TRUE(reply.head.contains("Connection: close\r\n")) << reply.head;
        EXPECT_EQ(client.read_to_end(), "");
        EXPECT_EQ(client.state(), State::kEnded);
    }
}

TEST(Server, AnswersHeadWithTheLengthAndWithoutTheBody) {
    ProbeServer server;
    auto client = server.connect();
    client.send("HEAD /five HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_TRUE(client.read_until("\r\n\r\n").contains("Content-Length: 5\r\n"));
    client.send("HEAD /raw HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_TRUE(client.read_until("\r\n\r\n").contains("Content-Length: 3\r\n"));
    client.send("HEAD /stream/end HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_TRUE(client.read_until("\r\n\r\n").contains("Transfer-Encoding: chunked\r\n"));
    client.send(get("/after"));
    EXPECT_EQ(client.read_reply().body, "/after");
}

TEST(Server, SendsNoBodyWithA204) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/empty") + get("/after"));
    EXPECT_EQ(without_date(client.read_until("\r\n\r\n")), "HTTP/1.1 204 No Content\r\n\r\n");
    const auto reply = client.read_reply();
    EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 200 ")) << reply.head;
    EXPECT_EQ(reply.body, "/after");
}

TEST(Server, SendsARawReplyAsItIs) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/raw"));
    const auto reply = client.read_reply();
    EXPECT_EQ(without_date(reply.head),
              "HTTP/1.1 201 Created\r\nX-One: 1\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(reply.body, "raw");
}

TEST(Server, ClosesAfterARequestThatAsksForIt) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/last", "Connection: close\r\n") + get("/never"));
    const auto reply = client.read_reply();
    EXPECT_TRUE(reply.head.contains("Connection: close\r\n")) << reply.head;
    EXPECT_EQ(reply.body, "/last");
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.state(), State::kEnded);
    EXPECT_EQ(server.probe().requests, 1);
}

TEST(Server, KeepsAnOldClientsConnectionOnlyWhenAsked) {
    ProbeServer server;
    auto client = server.connect();
    client.send("GET /one HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    auto reply = client.read_reply();
    EXPECT_TRUE(reply.head.contains("Connection: keep-alive\r\n")) << reply.head;
    client.send("GET /two HTTP/1.0\r\n\r\n");
    reply = client.read_reply();
    EXPECT_EQ(reply.body, "/two");
    EXPECT_TRUE(reply.head.contains("Connection: close\r\n")) << reply.head;
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.state(), State::kEnded);
}

TEST(Server, AnswersForAHandlerThatThrowsOrSaysNothing) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/throw"));
    const auto reply = client.read_reply();
    EXPECT_TRUE(reply.head.starts_with("HTTP/1.1 500 ")) << reply.head;
    EXPECT_TRUE(reply.head.contains("Connection: close\r\n")) << reply.head;
    EXPECT_EQ(client.read_to_end(), "");
    auto other = server.connect();
    other.send(get("/silent"));
    EXPECT_TRUE(other.read_reply().head.starts_with("HTTP/1.1 500 "));
}

TEST(Server, FramesAStreamInChunks) {
    ProbeServer server;
    auto client = server.connect();
    for (int i = 0; i < 2; ++i) {
        client.send(get("/stream/end"));
        EXPECT_EQ(without_date(client.read_until("\r\n\r\n")),
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Line: 1\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n");
        EXPECT_EQ(client.read_until("0\r\n\r\n"),
                  "3\r\none\r\n14\r\ntwenty bytes of text\r\n0\r\n\r\n");
    }
}

TEST(Server, StreamsABodyOfAToldLengthWithoutChunks) {
    ProbeServer server;
    for (const char* version : {"HTTP/1.1", "HTTP/1.0"}) {
        auto client = server.connect();
        for (int i = 0; i < 2; ++i) {
            client.send("GET /sized/end " + std::string(version) +
                        "\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
            const auto reply = client.read_reply();
            EXPECT_TRUE(reply.head.contains("Content-Length: 7\r\n")) << reply.head;
            EXPECT_FALSE(reply.head.contains("Transfer-Encoding")) << reply.head;
            EXPECT_EQ(reply.body, "fourend");
        }
        client.send("HEAD /sized/end HTTP/1.1\r\nHost: test\r\n\r\n" + get("/after"));
        EXPECT_TRUE(client.read_until("\r\n\r\n").contains("Content-Length: 7\r\n"));
        EXPECT_EQ(client.read_reply().body, "/after");
    }
}

TEST(Server, CutsABodyOfAnotherLengthThanWasTold) {
    ProbeServer server;
    for (const auto& [end, sent] :
         {std::pair("", "four"), std::pair("en", "fouren"), std::pair("ends", "four")}) {
        auto client = server.connect();
        client.send(get("/sized/" + std::string(end)));
        (void)client.read_until("\r\n\r\n");
        EXPECT_EQ(client.read_to_end(), sent);
        EXPECT_NE(client.state(), State::kSilent);
    }
}

TEST(Server, StreamsToAnOldClientUntilItCloses) {
    ProbeServer server;
    auto client = server.connect();
    client.send("GET /stream/end HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const std::string head = client.read_until("\r\n\r\n");
    EXPECT_FALSE(head.contains("Transfer-Encoding")) << head;
    EXPECT_TRUE(head.contains("Connection: close\r\n")) << head;
    EXPECT_EQ(client.read_to_end(), "onetwenty bytes of text");
    EXPECT_EQ(client.state(), State::kEnded);
}

TEST(Server, CutsAStreamThatIsNotFinished) {
    ProbeServer server;
    for (const char* how : {"abort", "throw", "return"}) {
        auto client = server.connect();
        client.send(get("/stream/" + std::string(how)));
        EXPECT_FALSE(client.read_to_end().contains("\r\n0\r\n\r\n")) << how;
        EXPECT_NE(client.state(), State::kSilent) << how;
        auto old = server.connect();
        old.send("GET /stream/" + std::string(how) + " HTTP/1.0\r\n\r\n");
        old.read_to_end();
        EXPECT_EQ(old.state(), State::kReset) << how; // an end would be the end of the body
    }
}

TEST(Server, ListensOnIpVersionSix) {
    ServerSettings settings;
    settings.listen = "[::1]:0";
    ProbeServer server(settings);
    if (!server.started())
        GTEST_SKIP() << server.started().error().message;
    EXPECT_TRUE(server.address().starts_with("[::1]:")) << server.address();
    auto client = server.connect();
    client.send(get("/six"));
    EXPECT_EQ(client.read_reply().body, "/six");
}

TEST(Server, NamesTheAddressThatItCannotHave) {
    ProbeServer first;
    ServerSettings settings;
    settings.listen = first.address();
    ProbeServer second(settings);
    ASSERT_FALSE(second.started());
    EXPECT_TRUE(second.started().error().message.contains(first.address()))
        << second.started().error().message;
    settings.listen = "no address:80";
    ProbeServer third(settings);
    ASSERT_FALSE(third.started());
    EXPECT_EQ(third.started().error().code, ErrorCode::kInvalidRequest);
}

TEST(Server, RefusesToStartWithABadCertificate) {
    ServerSettings settings;
    settings.tls_certificate = "/nonexistent/certificate.pem";
    settings.tls_key = "/nonexistent/key.pem";
    ProbeServer server(settings);
    ASSERT_FALSE(server.started());
    EXPECT_TRUE(server.started().error().message.contains("/nonexistent/certificate.pem"));
}

TEST(Server, DropsAClientThatSpeaksPlainTextToTls) {
    const testing::TestCertificate certificate;
    ServerSettings settings;
    settings.tls_certificate = certificate.certificate();
    settings.tls_key = certificate.key();
    ProbeServer server(settings);
    ASSERT_TRUE(server.started());
    auto client = server.connect();
    client.send(get("/plain"));
    client.read_to_end();
    EXPECT_NE(client.state(), State::kSilent);
    EXPECT_EQ(server.probe().requests, 0);
    EXPECT_TRUE(testing::eventually([&] { return server.server().connections() == 0; }));
}

} // namespace
} // namespace larder::http
