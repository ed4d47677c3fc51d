// The client and servers that refuse, stall, cut or talk nonsense; time-outs; cancelling.
#include "http/client.hpp"
#include "testing/test_client.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

namespace larder::http {
namespace {

using std::chrono::milliseconds;
using testing::eventually;
using testing::Outcome;
using testing::RawConnection;
using testing::ScriptedServer;
using testing::TestClient;

/// Sends `answer` to one request, then waits until the client closes.
ScriptedServer::Script stall_after(std::string answer) {
    return [answer = std::move(answer)](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send(answer);
        connection.read_to_end();
    };
}

/// Sends `answer` to one request and closes.
ScriptedServer::Script cut_after(std::string answer, bool reset = false) {
    return [answer = std::move(answer), reset](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send(answer);
        if (reset)
            connection.reset();
    };
}

TEST(ClientFaults, SaysThatTheConnectionWasRefused) {
    std::uint16_t port = 0;
    {
        const testing::RawListener listener;
        port = listener.port();
    }
    TestClient client;
    const Outcome outcome = client.get(port);
    EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable);
    EXPECT_TRUE(outcome.message().contains("127.0.0.1:" + std::to_string(port)))
        << outcome.message();
    EXPECT_FALSE(outcome.answered);
}

TEST(ClientFaults, SaysThatAHostIsUnknown) {
    TestClient client;
    const Outcome outcome =
        client.fetch(client.call(Origin{.host = "host.invalid", .port = 80},
                                 ClientTimeouts{.connect = milliseconds(10'000)}));
    EXPECT_NE(outcome.code(), ErrorCode::kInternal);
    EXPECT_TRUE(outcome.message().contains("host.invalid")) << outcome.message();
}

TEST(ClientFaults, GivesUpAConnectionThatIsNotMade) {
    const testing::FullListener listener;
    TestClient client;
    const Outcome outcome =
        client.get(listener.port(), "/", ClientTimeouts{.connect = milliseconds(100)});
    EXPECT_EQ(outcome.code(), ErrorCode::kTimeout) << outcome.message();
}

TEST(ClientFaults, GivesUpAServerThatDoesNotAnswer) {
    const testing::RawListener listener; // the kernel accepts, nobody reads
    TestClient client;
    const Outcome outcome =
        client.get(listener.port(), "/", ClientTimeouts{.first_byte = milliseconds(100)});
    EXPECT_EQ(outcome.code(), ErrorCode::kTimeout) << outcome.message();
    EXPECT_FALSE(outcome.answered);
}

TEST(ClientFaults, GivesUpAServerThatDoesNotReadTheRequest) {
    const testing::RawListener listener;
    TestClient client;
    const std::string body(32U << 20U, 'b');
    const ClientTimeouts timeouts{.first_byte = milliseconds(200)};
    const Outcome outcome = client.fetch(client.call(listener.port(), timeouts), "/", body, "POST");
    EXPECT_EQ(outcome.code(), ErrorCode::kTimeout) << outcome.message();
}

TEST(ClientFaults, GivesUpAHeadThatDoesNotEnd) {
    ScriptedServer server(stall_after("HTTP/1.1 200 OK\r\nContent-Len"));
    TestClient client;
    const Outcome outcome =
        client.get(server.port(), "/", ClientTimeouts{.first_byte = milliseconds(100)});
    EXPECT_EQ(outcome.code(), ErrorCode::kTimeout) << outcome.message();
    EXPECT_TRUE(outcome.answered);
}

TEST(ClientFaults, GivesUpABodyThatStalls) {
    for (const char* answer : {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                               "HTTP/1.1 200 OK\r\n\r\nabc"}) {
        ScriptedServer server(stall_after(answer));
        TestClient client;
        const Outcome outcome =
            client.get(server.port(), "/", ClientTimeouts{.idle = milliseconds(100)});
        EXPECT_TRUE(outcome.sent);
        EXPECT_EQ(outcome.code(), ErrorCode::kTimeout) << outcome.message();
        EXPECT_EQ(outcome.body, "abc");
        EXPECT_EQ(client.idle(), 0U);
    }
}

TEST(ClientFaults, GivesUpAnAnswerThatTricklesForTooLong) {
    ScriptedServer server([](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        while (connection.send("x"))
            std::this_thread::sleep_for(milliseconds(5));
    });
    TestClient client;
    const Outcome outcome =
        client.get(server.port(), "/", ClientTimeouts{.total = milliseconds(300)});
    EXPECT_TRUE(outcome.sent);
    EXPECT_EQ(outcome.code(), ErrorCode::kTimeout) << outcome.message();
}

Task<Outcome> read_late(testing::SharedCall call, milliseconds pause) {
    Outcome outcome;
    outcome.sent = co_await call->send({.method = "GET", .target = "/"});
    auto more = co_await call->read(outcome.body);
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>
        timer(co_await asio::this_coro::executor, pause);
    co_await timer.async_wait(asio::use_awaitable_t<Executor>());
    while (more && *more)
        more = co_await call->read(outcome.body);
    if (!more)
        outcome.read = std::unexpected(std::move(more).error());
    co_return outcome;
}

TEST(ClientFaults, DoesNotBlameTheServerForAReaderThatTakesItsTime) {
    std::atomic<bool> go_on{false};
    ScriptedServer server([&go_on](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
        std::this_thread::sleep_for(milliseconds(50)); // so that the client waits for it
        connection.send("abc");
        eventually([&] { return go_on.load(); });
        connection.send("def");
        connection.read_to_end();
    });
    TestClient client;
    auto call = client.call(server.port(), ClientTimeouts{.idle = milliseconds(300)});
    auto pending = testing::start(client.context(), read_late(call, milliseconds(700)));
    go_on = true;
    const Outcome outcome = testing::finish(std::move(pending));
    EXPECT_TRUE(outcome.whole()) << outcome.message();
    EXPECT_EQ(outcome.body, "abcdef");
    client.drop(call);
}

TEST(ClientFaults, SaysThatTheHeadWasCut) {
    for (const bool reset : {false, true}) {
        ScriptedServer server(cut_after("HTTP/1.1 200 OK\r\nContent-Le", reset));
        TestClient client;
        const Outcome outcome = client.get(server.port());
        EXPECT_FALSE(outcome.sent);
        EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable) << outcome.message();
        EXPECT_EQ(server.connections(), 1); // a fresh connection is not replaced
    }
}

TEST(ClientFaults, SaysThatTheBodyWasCut) {
    for (const char* answer :
         {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"}) {
        ScriptedServer server(cut_after(answer));
        TestClient client;
        const Outcome outcome = client.get(server.port());
        EXPECT_TRUE(outcome.sent);
        EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnavailable) << answer;
        EXPECT_EQ(outcome.body, "abc");
    }
}

TEST(ClientFaults, TakesAResetForNoEndOfABody) {
    std::atomic<bool> read{false};
    ScriptedServer server([&read](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
        eventually([&] { return read.load(); });
        connection.reset();
    });
    TestClient client;
    auto call = client.call(server.port());
    EXPECT_TRUE(testing::run(client.context(), call->send({.method = "GET", .target = "/"})));
    std::string body;
    while (body.size() < 3)
        ASSERT_TRUE(testing::run(client.context(), call->read(body)));
    read = true;
    const auto end = testing::run(client.context(), call->read(body));
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, ErrorCode::kProviderUnavailable);
    client.drop(call);
}

TEST(ClientFaults, SaysThatTheAnswerIsNoHttp) {
    std::string endless;
    for (int i = 0; i < 1000; ++i)
        endless += "HTTP/1.1 100 Continue\r\n\r\n";
    for (const std::string& answer :
         {std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n"), std::string("HTTP/2 200 OK\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nNo Colon\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
          "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", endless,
          std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")}) {
        ScriptedServer server(stall_after(answer));
        TestClient client;
        const Outcome outcome = client.get(server.port());
        EXPECT_FALSE(outcome.sent) << answer.substr(0, 60);
        EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnreadable) << answer.substr(0, 60);
    }
}

TEST(ClientFaults, SaysThatAChunkIsBroken) {
    ScriptedServer server(
        stall_after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n"));
    TestClient client;
    const Outcome outcome = client.get(server.port());
    EXPECT_TRUE(outcome.sent);
    EXPECT_EQ(outcome.code(), ErrorCode::kProviderUnreadable);
}

Outcome cancel_when(TestClient& client, std::uint16_t port,
                    const std::function<bool()>& condition) {
    auto call = client.call(port);
    auto pending =
        testing::start(client.context(), testing::perform(call, {.method = "GET", .target = "/"}));
    EXPECT_TRUE(eventually(condition));
    testing::run_there(client.context(), [&] { call->cancel(); });
    Outcome outcome = testing::finish(std::move(pending));
    client.drop(call);
    EXPECT_EQ(client.idle(), 0U);
    return outcome;
}

TEST(ClientCancel, EndsAConnectionUnderWay) {
    const testing::FullListener listener;
    TestClient client; // the start of the call stands before the cancel in the loop's queue
    const Outcome outcome = cancel_when(client, listener.port(), [] { return true; });
    EXPECT_EQ(outcome.code(), ErrorCode::kCancelled) << outcome.message();
}

TEST(ClientCancel, EndsTheWaitForAnAnswer) {
    std::atomic<bool> asked{false};
    std::atomic<bool> closed{false};
    ScriptedServer server([&](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        asked = true;
        connection.read_to_end();
        closed = connection.state() != RawConnection::State::kSilent;
    });
    TestClient client;
    const Outcome outcome = cancel_when(client, server.port(), [&] { return asked.load(); });
    EXPECT_EQ(outcome.code(), ErrorCode::kCancelled) << outcome.message();
    EXPECT_TRUE(eventually([&] { return closed.load(); }));
    EXPECT_EQ(server.connections(), 1);
}

TEST(ClientCancel, EndsTheReadingOfAnAnswer) {
    std::atomic<bool> sent{false};
    ScriptedServer server([&](RawConnection& connection, int) {
        connection.read_until("\r\n\r\n");
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        sent = true;
        connection.read_to_end();
    });
    TestClient client;
    const Outcome outcome = cancel_when(client, server.port(), [&] { return sent.load(); });
    EXPECT_EQ(outcome.code(), ErrorCode::kCancelled) << outcome.message();
}

TEST(ClientCancel, EndsACallBeforeItIsSent) {
    ScriptedServer server(cut_after("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    TestClient client;
    auto call = client.call(server.port());
    testing::run_there(client.context(), [&] { call->cancel(); });
    EXPECT_EQ(client.fetch(std::exchange(call, nullptr)).code(), ErrorCode::kCancelled);
    EXPECT_EQ(server.connections(), 0);
}

TEST(ClientCancel, EndsACallBetweenItsReads) {
    ScriptedServer server(stall_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"));
    TestClient client;
    auto call = client.call(server.port());
    EXPECT_TRUE(testing::run(client.context(), call->send({.method = "GET", .target = "/"})));
    std::string body;
    EXPECT_TRUE(testing::run(client.context(), call->read(body)));
    testing::run_there(client.context(), [&] { call->cancel(); });
    while (true) {
        const auto more = testing::run(client.context(), call->read(body));
        if (more && *more)
            continue;
        ASSERT_FALSE(more);
        EXPECT_EQ(more.error().code, ErrorCode::kCancelled);
        break;
    }
    client.drop(call);
}

} // namespace
} // namespace larder::http
