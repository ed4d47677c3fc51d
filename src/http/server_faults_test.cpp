// The server and clients that stall, close, flood or do not read; limits; the ordered stop.
#include "http/server.hpp"
#include "testing/probe_server.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace larder::http {
namespace {

using std::chrono::milliseconds;
using testing::eventually;
using testing::ProbeServer;
using testing::RawConnection;
using State = RawConnection::State;

std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
}

TEST(ServerFaults, DropsAHeadThatDoesNotEnd) {
    ServerSettings settings;
    settings.head_timeout = milliseconds(100);
    ProbeServer server(settings);
    auto client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: te");
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_NE(client.state(), State::kSilent);
    EXPECT_TRUE(eventually([&] { return server.server().connections() == 0; }));
}

TEST(ServerFaults, DropsAHeadThatTrickles) {
    ServerSettings settings;
    settings.head_timeout = milliseconds(150);
    ProbeServer server(settings);
    auto client = server.connect();
    client.send(get("/first"));
    client.read_reply();
    const std::string head = get("/slow", "X-Long: " + std::string(5000, 'x') + "\r\n");
    std::size_t sent = 0;
    while (sent < head.size() && client.send(head.substr(sent, 1))) {
        ++sent;
        std::this_thread::sleep_for(milliseconds(5)); // 25 s for the whole head
    }
    EXPECT_LT(sent, head.size());
    EXPECT_EQ(server.probe().requests, 1);
}

TEST(ServerFaults, DropsABodyThatDoesNotCome) {
    ServerSettings settings;
    settings.body_timeout = milliseconds(100);
    ProbeServer server(settings);
    for (const char* part :
         {"Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"}) {
        auto client = server.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\n" + std::string(part));
        EXPECT_EQ(client.read_to_end(), "");
        EXPECT_NE(client.state(), State::kSilent);
    }
    EXPECT_TRUE(eventually([&] { return server.probe().cancelled == 2; }));
    EXPECT_TRUE(eventually([&] { return server.server().connections() == 0; }));
}

TEST(ServerFaults, SeesABodyThatIsCut) {
    ProbeServer server;
    auto client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nabc");
    client.end_sending();
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_TRUE(eventually([&] { return server.probe().cancelled == 1; }));
}

TEST(ServerFaults, ClosesAnIdleConnection) {
    ServerSettings settings;
    settings.idle_timeout = milliseconds(100);
    ProbeServer server(settings);
    auto fresh = server.connect();
    EXPECT_EQ(fresh.read_to_end(), "");
    EXPECT_EQ(fresh.state(), State::kEnded);
    auto used = server.connect();
    used.send(get("/once"));
    EXPECT_EQ(used.read_reply().body, "/once");
    EXPECT_EQ(used.read_to_end(), "");
    EXPECT_EQ(used.state(), State::kEnded);
}

TEST(ServerFaults, KeepsConnectionsOverTheMaximumWaiting) {
    ServerSettings settings;
    settings.max_connections = 2;
    ProbeServer server(settings);
    auto first = server.connect();
    auto second = server.connect();
    for (auto* client : {&first, &second}) {
        client->send(get("/in"));
        EXPECT_EQ(client->read_reply().body, "/in");
    }
    auto third = server.connect();
    third.send(get("/late"));
    second.send(get("/in"));
    EXPECT_EQ(second.read_reply().body, "/in");
    EXPECT_EQ(server.server().connections(), 2U);
    EXPECT_EQ(server.probe().requests, 3);
    first.close();
    EXPECT_EQ(third.read_reply().body, "/late");
}

TEST(ServerFaults, TellsAWaitingHandlerThatTheClientHasClosed) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    EXPECT_EQ(server.probe().gone, 0);
    client.close();
    EXPECT_TRUE(eventually([&] { return server.probe().gone == 1; }));
    EXPECT_TRUE(eventually([&] { return server.server().connections() == 0; }));
}

TEST(ServerFaults, TellsAWaitingHandlerOfAReset) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    client.reset();
    EXPECT_TRUE(eventually([&] { return server.probe().gone == 1; }));
}

TEST(ServerFaults, TellsAHandlerThatTheClientHadClosedBefore) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/hold"));
    client.close();
    EXPECT_TRUE(eventually([&] { return server.probe().gone == 1; }));
    EXPECT_EQ(server.probe().holding, 1);
}

TEST(ServerFaults, SeesAClosedClientBehindPipelinedBytes) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/hold") + get("/never") + "GET /half");
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    client.send(" HTTP/1.1\r\n");
    client.close();
    EXPECT_TRUE(eventually([&] { return server.probe().gone == 1; }));
    EXPECT_TRUE(eventually([&] { return server.server().connections() == 0; }));
    EXPECT_EQ(server.probe().requests, 1);
}

TEST(ServerFaults, ServesWhatWasPipelinedWhileAHandlerWaited) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    client.send(get("/one"));
    client.send(get("/two"));
    server.probe().release();
    EXPECT_EQ(client.read_reply().body, "held");
    EXPECT_EQ(client.read_reply().body, "/one");
    EXPECT_EQ(client.read_reply().body, "/two");
    EXPECT_EQ(server.probe().gone, 0);
}

TEST(ServerFaults, ReadsOnlySoFarAheadWhileAHandlerWaits) {
    ProbeServer server;
    auto client = server.connect(); // what the server does not take stays in the kernel
    client.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    std::string ahead;
    int requests = 0;
    for (; ahead.size() < 700'000; ++requests)
        ahead += get("/pipelined");
    std::thread sender([&] { client.send(ahead); });
    server.probe().release();
    EXPECT_EQ(client.read_reply().body, "held");
    for (int i = 0; i < requests; ++i)
        ASSERT_EQ(client.read_reply().body, "/pipelined") << i;
    sender.join();
}

TEST(ServerFaults, CutsAClientThatDoesNotRead) {
    ServerSettings settings;
    settings.write_timeout = milliseconds(200);
    ProbeServer server(settings);
    auto client = server.connect(4096);
    client.send(get("/flood"));
    EXPECT_TRUE(eventually([&] { return server.probe().timed_out == 1; }));
    EXPECT_LT(server.probe().taken, 64U << 20U); // the kernel's buffers, no queue of ours
    EXPECT_TRUE(eventually([&] { return server.server().connections() == 0; }));
}

TEST(ServerFaults, DoesNotCutAClientThatReadsSlowly) {
    ServerSettings settings;
    settings.write_timeout = milliseconds(400);
    ProbeServer server(settings);
    auto client = server.connect(4096);
    client.send(get("/flood"));
    std::size_t read = 0;
    const auto end = std::chrono::steady_clock::now() + milliseconds(1500);
    while (std::chrono::steady_clock::now() < end) {
        read += client.read_some().size();
        std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_GT(read, 0U);
    EXPECT_EQ(server.probe().timed_out, 0);
    client.close();
    EXPECT_TRUE(eventually([&] { return server.probe().cancelled == 1; }));
}

TEST(ServerFaults, StopClosesIdleConnectionsAndWaitsForRunningExchanges) {
    ProbeServer server;
    auto idle = server.connect();
    idle.send(get("/idle"));
    idle.read_reply();
    auto busy = server.connect();
    busy.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    const std::string address = server.address();
    auto stopped =
        std::async(std::launch::async, [&] { server.server().stop(testing::kPatience); });
    EXPECT_EQ(idle.read_to_end(), "");
    EXPECT_EQ(idle.state(), State::kEnded);
    EXPECT_TRUE(server.server().draining());
    EXPECT_TRUE(eventually([&] { return server.server().connections() == 1; }));
    EXPECT_EQ(RawConnection::to(address).state(), State::kReset); // nobody listens any more
    server.probe().release();
    const auto reply = busy.read_reply();
    EXPECT_TRUE(reply.head.contains("Connection: close\r\n")) << reply.head;
    EXPECT_EQ(reply.body, "held");
    busy.close();
    ASSERT_EQ(stopped.wait_for(testing::kPatience), std::future_status::ready);
    EXPECT_EQ(server.server().connections(), 0U);
}

TEST(ServerFaults, StopCutsWhatIsLeftAfterItsDrain) {
    ProbeServer server;
    auto waiting = server.connect();
    waiting.send(get("/hold"));
    auto flooded = server.connect(4096);
    flooded.send(get("/flood"));
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    ASSERT_TRUE(eventually([&] { return server.probe().taken > 0; }));
    server.server().stop(milliseconds(50));
    EXPECT_EQ(server.server().connections(), 0U);
    EXPECT_EQ(server.probe().gone, 1);
    EXPECT_EQ(server.probe().cancelled, 1);
    EXPECT_EQ(waiting.read_to_end(), "");
    EXPECT_NE(waiting.state(), State::kSilent);
}

TEST(ServerFaults, StopTellsAHandlerWhoseClientHasPipelinedTooMuch) {
    ProbeServer server;
    auto client = server.connect();
    client.send(get("/hold"));
    ASSERT_TRUE(eventually([&] { return server.probe().holding == 1; }));
    client.send(std::string(400'000, 'x')); // over what is read ahead: no wait is armed
    server.server().stop(milliseconds(50));
    EXPECT_EQ(server.server().connections(), 0U);
    EXPECT_EQ(server.probe().gone, 1);
}

TEST(ServerFaults, ServesManyConnectionsOnManyThreads) {
    ProbeServer server(ServerSettings(), 3);
    std::vector<std::thread> clients;
    std::atomic<int> right{0};
    for (int i = 0; i < 8; ++i) {
        clients.emplace_back([&server, &right] {
            for (int round = 0; round < 10; ++round) {
                auto client = server.connect();
                client.send(get("/a") + get("/b"));
                right += client.read_reply().body == "/a" && client.read_reply().body == "/b";
                if (round % 2 == 0)
                    client.reset();
            }
        });
    }
    for (std::thread& client : clients)
        client.join();
    EXPECT_EQ(right, 80);
    EXPECT_TRUE(eventually([&] { return server.server().connections() == 0; }));
}

} // namespace
} // namespace larder::http
