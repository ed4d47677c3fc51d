// The client over real sockets: requests, answers in every framing, the pool, TLS and proxies.
#include "http/client.hpp"

#include "testing/certificate.hpp"
#include "testing/probe_server.hpp"
#include "testing/test_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace larder::http {
namespace {

using testing::eventually;
using testing::Outcome;
using testing::ProbeServer;
using testing::RawConnection;
using testing::ScriptedServer;
using testing::TestClient;

/// Answers each request on each connection with `answer`.
ScriptedServer::Script always(std::string answer) {
    return [answer = std::move(answer)](RawConnection& connection, int) {
        while (connection.read_until("\r\n\r\n").ends_with("\r\n\r\n"))
            connection.send(answer);
    };
}

/// Answers one request with `answer` and closes.
ScriptedServer::Script once(std::string answer) {
    return [answer = std::move(answer)](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send(answer);
    };
}

TEST(ParseBaseUrl, TakesWhatIsWellFormed) {
    struct Row {
        const char* url;
        bool tls;
        const char* host;
        int port;
        const char* path;
    };
    for (const Row& row :
         {Row{"https://api.openai.com/v1", true, "api.openai.com", 443, "/v1"},
          Row{"https://api.openai.com/v1/", true, "api.openai.com", 443, "/v1"},
          Row{"http://host", false, "host", 80, ""}, Row{"http://host/", false, "host", 80, ""},
          Row{"http://host//", false, "host", 80, ""},
          Row{"http://host:8080/a/b", false, "host", 8080, "/a/b"},
          Row{"http://[::1]:81", false, "::1", 81, ""},
          Row{"https://[::1]/x", true, "::1", 443, "/x"},
          Row{"http://127.0.0.1:1/a:b", false, "127.0.0.1", 1, "/a:b"}}) {
        const auto parsed = parse_base_url(row.url);
        ASSERT_TRUE(parsed) << row.url;
        EXPECT_EQ(parsed->origin.tls, row.tls) << row.url;
        EXPECT_EQ(parsed->origin.host, row.host) << row.url;
        EXPECT_EQ(parsed->origin.port, row.port) << row.url;
        EXPECT_EQ(parsed->path, row.path) << row.url;
    }
}

TEST(ParseBaseUrl, RefusesTheRestAndSaysWhat) {
    for (const char* url :
         {"", "host", "ftp://host", "http://", "http:///path", "http://host:", "http://host:0",
          "http://host:70000", "http://host:8x", "http://user@host", "http://host/?a=b",
          "http://host/#a", "http://ho st", "http://::1/", "https://:443"}) {
        const auto parsed = parse_base_url(url);
        ASSERT_FALSE(parsed) << url;
        EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidRequest) << url;
        EXPECT_TRUE(parsed.error().message.contains(url)) << parsed.error().message;
    }
}

TEST(ProxySettings, AppliesToHostsThatAreNotExcepted) {
    const auto applies = [](const char* no_proxy, const char* host) {
        return ProxySettings{.https_proxy = "http://proxy:3128", .no_proxy = no_proxy}.applies_to(
            host);
    };
    EXPECT_FALSE(ProxySettings{}.applies_to("api.openai.com"));
    EXPECT_TRUE(applies("", "api.openai.com"));
    EXPECT_FALSE(applies("*", "api.openai.com"));
    EXPECT_FALSE(applies("api.openai.com", "api.openai.com"));
    EXPECT_FALSE(applies("API.OpenAI.com", "api.openai.com"));
    EXPECT_FALSE(applies("openai.com", "api.openai.com"));
    EXPECT_FALSE(applies(".openai.com", "api.openai.com"));
    EXPECT_FALSE(applies(".openai.com", "openai.com"));
    EXPECT_TRUE(applies("openai.com", "notopenai.com"));
    EXPECT_TRUE(applies("api.openai.com", "openai.com"));
    EXPECT_FALSE(applies("one.test, openai.com ,two.test", "api.openai.com"));
    EXPECT_TRUE(applies(",,.", "api.openai.com"));
}

TEST(Client, SendsARequestAsItShould) {
    ProbeServer server;
    TestClient client;
    auto outcome = client.fetch(client.call(server.port()), "/echo", "the body", "POST");
    ASSERT_TRUE(outcome.whole()) << outcome.message();
    EXPECT_EQ(outcome.status, 200);
    EXPECT_EQ(outcome.body, "the body");
    EXPECT_TRUE(outcome.answered);
    outcome = client.get(server.port(), "/path?query");
    EXPECT_EQ(outcome.body, "/path?query");
}

TEST(Client, WritesTheHeadThatItWasGiven) {
    std::string seen;
    ScriptedServer server([&seen](RawConnection& connection, int) {
        seen = connection.read_until("}");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    {
        TestClient client;
        auto call = client.call(server.port());
        const auto outcome =
            testing::run(client.context(), testing::perform(call, {.method = "POST",
                                                                   .target = "/v1/x",
                                                                   .fields = {{"X-One", "1"}},
                                                                   .body = "{}"}));
        EXPECT_TRUE(outcome.whole()) << outcome.message();
        client.drop(call);
    }
    EXPECT_EQ(seen, "POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                        "\r\nX-One: 1\r\nContent-Length: 2\r\n\r\n{}");
}

TEST(Client, UsesAPooledConnectionAgain) {
    ScriptedServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    TestClient client;
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(client.get(server.port()).body, "ok");
    EXPECT_EQ(server.connections(), 1);
    EXPECT_EQ(client.idle(), 1U);
    testing::run_there(client.context(), [&] { client.client().close_idle(); });
    EXPECT_EQ(client.idle(), 0U);
}

TEST(Client, UsesAConnectionAgainAfterChunksAndAfterNoBody) {
    for (const char* answer :
         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
          "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}) {
        ScriptedServer server(always(answer));
        TestClient client;
        for (int i = 0; i < 3; ++i)
            EXPECT_TRUE(client.get(server.port()).whole());
        EXPECT_EQ(server.connections(), 1) << answer;
    }
}

TEST(Client, DoesNotUseAConnectionAgainThatIsNotClean) {
    for (const char* answer :
         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
          "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
          "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
          "HTTP/1.1 204 No Content\r\n\r\nmore"}) {
        ScriptedServer server(always(answer));
        TestClient client;
        for (int i = 0; i < 2; ++i)
            EXPECT_TRUE(client.get(server.port()).whole());
        EXPECT_EQ(server.connections(), 2) << answer;
        EXPECT_EQ(client.idle(), 0U);
    }
}

TEST(Client, ClosesAConnectionWhoseAnswerWasNotReadToItsEnd) {
    std::atomic<bool> closed{false};
    ScriptedServer server([&closed](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        connection.read_to_end();
        closed = connection.state() != RawConnection::State::kSilent;
    });
    TestClient client;
    auto call = client.call(server.port());
    EXPECT_TRUE(testing::run(client.context(), call->send({.method = "GET", .target = "/"})));
    client.drop(call);
    EXPECT_TRUE(eventually([&] { return closed.load(); }));
    EXPECT_EQ(client.idle(), 0U);
}

TEST(Client, DoesNotUseAPooledConnectionThatTheServerHasClosed) {
    ScriptedServer server(once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    TestClient client;
    for (int i = 0; i < 4; ++i) {
        const Outcome outcome = client.get(server.port());
        EXPECT_TRUE(outcome.whole()) << outcome.message();
    }
    EXPECT_EQ(server.connections(), 4);
}

TEST(Client, ReplacesAPooledConnectionThatBreaksUnderTheRequestOnce) {
    // The first connection answers once and then closes on the next request; so does the second,
    // without any answer.
    ScriptedServer server([](RawConnection& connection, int number) {
        connection.read_until("\r\n\r\n");
        if (number == 0) {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            connection.read_until("\r\n\r\n");
        } else if (number == 1) {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew");
            connection.read_until("\r\n\r\n");
        }
    });
    TestClient client;
    EXPECT_EQ(client.get(server.port()).body, "ok");
    EXPECT_EQ(client.get(server.port()).body, "new");
    EXPECT_EQ(server.connections(), 2);
    const Outcome outcome = client.get(server.port()); // pooled, then a fresh one: both close
    EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable);
    EXPECT_FALSE(outcome.answered);
    EXPECT_EQ(server.connections(), 3);
}

TEST(Client, SendsNothingTwiceThatMustNotBe) {
    // Answers once, and closes on the next request, which it may have carried out.
    ScriptedServer server([](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        connection.read_until("\r\n\r\n");
    });
    TestClient client;
    EXPECT_EQ(client.get(server.port()).body, "ok");
    auto call = client.call(server.port());
    const Outcome outcome = testing::run(
        client.context(),
        testing::perform(call, {.method = "POST", .target = "/", .body = "once", .resend = false}));
    client.drop(call);
    EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable);
    EXPECT_FALSE(outcome.answered);
    EXPECT_EQ(server.connections(), 1);
}

TEST(Client, ReadsChunksAtEverySplit) {
    const std::string answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n";
    ScriptedServer server([&answer](RawConnection& connection, int) {
        for (std::size_t at = 0; at <= answer.size(); ++at) {
            connection.read_until("\r\n\r\n");
            connection.send(answer.substr(0, at));
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            connection.send(answer.substr(at));
        }
    });
    TestClient client;
    for (std::size_t at = 0; at <= answer.size(); ++at) {
        const Outcome outcome = client.get(server.port());
        ASSERT_TRUE(outcome.whole()) << at << ": " << outcome.message();
        ASSERT_EQ(outcome.body, "abcdefg") << at;
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST(Client, ReadsABodyUntilTheServerCloses) {
    ScriptedServer server(once("HTTP/1.1 200 OK\r\n\r\nuntil the end"));
    TestClient client;
    const Outcome outcome = client.get(server.port());
    EXPECT_TRUE(outcome.whole()) << outcome.message();
    EXPECT_EQ(outcome.body, "until the end");
    EXPECT_EQ(client.idle(), 0U);
}

TEST(Client, SkipsHeadsThatAreInterim) {
    ScriptedServer server(always("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: "
                                 "x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"));
    TestClient client;
    for (int i = 0; i < 2; ++i) {
        const Outcome outcome = client.get(server.port());
        EXPECT_TRUE(outcome.whole()) << outcome.message();
        EXPECT_EQ(outcome.status, 201);
        EXPECT_EQ(outcome.body, "ok");
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST(Client, ReadsNoBodyAfterHead) {
    ScriptedServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"));
    TestClient client;
    for (int i = 0; i < 2; ++i) {
        const Outcome outcome = client.fetch(client.call(server.port()), "/", {}, "HEAD");
        EXPECT_TRUE(outcome.whole()) << outcome.message();
        EXPECT_EQ(outcome.body, "");
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST(Client, ReadsALargeAnswer) {
    std::string body;
    for (int i = 0; body.size() < 5'000'000; ++i)
        body += std::to_string(i);
    ScriptedServer server(always(
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
    TestClient client;
    EXPECT_TRUE(client.get(server.port()).body == body);
}

ServerSettings with_tls(const testing::TestCertificate& certificate) {
    ServerSettings settings;
    settings.tls_certificate = certificate.certificate();
    settings.tls_key = certificate.key();
    return settings;
}

TEST(ClientTls, TalksWithTheServerAndKeepsTheConnection) {
    const testing::TestCertificate certificate;
    ProbeServer server(with_tls(certificate));
    ASSERT_TRUE(server.started());
    TestClient client;
    const std::string body(300'000, 'b');
    for (int i = 0; i < 3; ++i) {
        const Outcome outcome =
            client.fetch(client.call(server.port(), {}, true), "/echo", body, "POST");
        ASSERT_TRUE(outcome.whole()) << outcome.message();
        EXPECT_TRUE(outcome.body == body);
        EXPECT_EQ(client.fetch(client.call(server.port(), {}, true), "/stream/end").body,
                  "onetwenty bytes of text");
        EXPECT_EQ(server.server().connections(), 1U);
    }
    const Outcome by_address = client.fetch(
        client.call(Origin{.tls = true, .host = "127.0.0.1", .port = server.port()}, {}), "/");
    EXPECT_TRUE(by_address.whole()) << by_address.message();
}

TEST(ClientTls, SeesAStreamThatWasCut) {
    const testing::TestCertificate certificate;
    ProbeServer server(with_tls(certificate));
    TestClient client;
    const Outcome outcome = client.fetch(client.call(server.port(), {}, true), "/stream/abort");
    EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable);
}

TEST(ClientTls, SeesAServerThatDoesNotSpeakTls) {
    const testing::TestCertificate certificate;
    ScriptedServer server([](RawConnection& connection, int) {
        connection.read_some();
        connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    TestClient client;
    const Outcome outcome = client.fetch(client.call(server.port(), {}, true));
    EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable);
    EXPECT_TRUE(outcome.message().contains("TLS")) << outcome.message();
}

TEST(ClientTls, GivesUpAHandshakeThatDoesNotEnd) {
    const testing::TestCertificate certificate;
    ScriptedServer server([](RawConnection& connection, int) { connection.read_to_end(); });
    TestClient client;
    const ClientTimeouts timeouts{.connect = std::chrono::milliseconds(100)};
    const Outcome outcome = client.fetch(client.call(server.port(), timeouts, true));
    EXPECT_EQ(outcome.code(), ErrorCode::kTimeout) << outcome.message();
}

/// Copies bytes both ways until either side ends.
void splice(RawConnection& one, RawConnection& other) {
    std::thread back([&] {
        for (std::string bytes = other.read_some(); !bytes.empty(); bytes = other.read_some())
            one.send(bytes);
        ::shutdown(one.descriptor(), SHUT_RDWR);
    });
    for (std::string bytes = one.read_some(); !bytes.empty(); bytes = one.read_some())
        other.send(bytes);
    ::shutdown(other.descriptor(), SHUT_RDWR);
    back.join();
}

TEST(ClientProxy, TunnelsTlsThroughAProxy) {
    const testing::TestCertificate certificate;
    ProbeServer server(with_tls(certificate));
    std::string asked;
    ScriptedServer proxy([&](RawConnection& connection, int) {
        asked = connection.read_until("\r\n\r\n");
        connection.send("HTTP/1.1 200 Connection established\r\n\r\n");
        auto onward = server.connect();
        splice(connection, onward);
    });
    {
        TestClient client({.https_proxy = proxy.address()});
        for (int i = 0; i < 2; ++i) {
            const Outcome outcome =
                client.fetch(client.call(server.port(), {}, true), "/echo", "through", "POST");
            EXPECT_TRUE(outcome.whole()) << outcome.message();
            EXPECT_EQ(outcome.body, "through");
        }
        EXPECT_EQ(proxy.connections(), 1);
        ProbeServer plain;
        EXPECT_TRUE(client.get(plain.port()).whole());
        EXPECT_EQ(proxy.connections(), 1); // plain HTTP goes directly
    }
    const std::string authority = "localhost:" + std::to_string(server.port());
    EXPECT_EQ(asked, "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
}

TEST(ClientProxy, SaysThatTheProxyRefused) {
    ScriptedServer proxy(once("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: "
                              "0\r\n\r\n"));
    TestClient client({.https_proxy = "http://" + proxy.address()});
    const Outcome outcome = client.fetch(client.call(1, {}, true));
    EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable);
    EXPECT_TRUE(outcome.message().contains("407")) << outcome.message();
    EXPECT_FALSE(outcome.answered); // by the provider
}

TEST(ClientProxy, RefusesAProxyThatIsItselfBehindTls) {
    ScriptedServer proxy(once("HTTP/1.1 200 OK\r\n\r\n"));
    TestClient client({.https_proxy = "https://" + proxy.address()});
    const Outcome outcome = client.fetch(client.call(1, {}, true));
    EXPECT_TRUE(outcome.message().contains("HTTPS_PROXY")) << outcome.message();
    EXPECT_EQ(proxy.connections(), 0);
}

TEST(ClientProxy, GoesPastTheProxyToAnExceptedHost) {
    const testing::TestCertificate certificate;
    ProbeServer server(with_tls(certificate));
    ScriptedServer proxy(once(""));
    TestClient client({.https_proxy = proxy.address(), .no_proxy = "localhost"});
    EXPECT_TRUE(client.fetch(client.call(server.port(), {}, true), "/").whole());
    EXPECT_EQ(proxy.connections(), 0);
}

} // namespace
} // namespace larder::http
