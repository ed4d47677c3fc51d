// Following a channel: what comes, and that it comes again after everything that may happen.
#include "redis/subscription.hpp"

#include "testing/redis_fixture.hpp"
#include "testing/redis_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::kLong;
using testing::RedisFixture;
using testing::RedisServer;

/// What a subscription has told.
class Told {
public:
    SubscriptionEvents events() {
        return {.on_message =
                    [this](std::string_view message) {
                        const std::lock_guard lock(mutex_);
                        messages_.emplace_back(message);
                    },
                .on_state =
                    [this](bool up) {
                        const std::lock_guard lock(mutex_);
                        states_.push_back(up);
                    }};
    }
    [[nodiscard]] std::vector<std::string> messages() {
        const std::lock_guard lock(mutex_);
        return messages_;
    }
    [[nodiscard]] std::vector<bool> states() {
        const std::lock_guard lock(mutex_);
        return states_;
    }
    [[nodiscard]] bool becomes(const std::vector<bool>& states) {
        return eventually([&] { return this->states() == states; });
    }

private:
    std::mutex mutex_;
    std::vector<std::string> messages_;
    std::vector<bool> states_;
};

Result<Reply> publish(RedisFixture& fixture, std::string_view message) {
    return fixture.run(fixture.client().publish_command("news", message));
}

TEST(Subscription, GivesEachMessageOfItsChannelInOrder) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    Told told;
    const auto subscription = fixture.client().subscribe("news", told.events());
    ASSERT_TRUE(told.becomes({true}));
    std::vector<std::string> sent{std::string("bi\0na\r\nry", 9), "", std::string(100'000, 'x')};
    for (int i = 0; i < 100; ++i)
        sent.push_back(std::to_string(i));
    for (const std::string& message : sent)
        EXPECT_EQ(publish(fixture, message)->integer, 1);
    ASSERT_TRUE(fixture.run(Command("PUBLISH").arg("other").arg("x")));
    EXPECT_TRUE(eventually([&] { return told.messages().size() >= sent.size(); }));
    EXPECT_EQ(told.messages(), sent);
}

TEST(Subscription, SpeaksTheOlderProtocolToo) {
    RedisServer server({"--rename-command", "HELLO", ""});
    RedisFixture fixture(server.url());
    Told told;
    const auto subscription = fixture.client().subscribe("news", told.events());
    ASSERT_TRUE(told.becomes({true}));
    std::this_thread::sleep_for(1600ms); // with PINGs and their answers in between
    EXPECT_EQ(told.states().size(), 1U);
    ASSERT_TRUE(publish(fixture, "hello"));
    EXPECT_TRUE(eventually([&] { return told.messages().size() == 1; }));
    EXPECT_EQ(told.messages().front(), "hello");
}

TEST(Subscription, OutlivesASilenceThatThePingsBridge) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    Told told;
    const auto subscription = fixture.client().subscribe("news", told.events());
    ASSERT_TRUE(told.becomes({true}));
    std::this_thread::sleep_for(1600ms);
    EXPECT_EQ(told.states(), (std::vector{true}));
    EXPECT_TRUE(told.messages().empty());
}

TEST(Subscription, IsLostAndComesBackWhenTheServerIsKilled) {
    RedisServer server;
    RedisFixture fixture(server.url());
    Told told;
    const auto subscription = fixture.client().subscribe("news", told.events());
    ASSERT_TRUE(told.becomes({true}));
    server.kill();
    ASSERT_TRUE(told.becomes({true, false}));
    server.start();
    ASSERT_TRUE(told.becomes({true, false, true}));
    EXPECT_TRUE(eventually([&] {
        const auto reached = publish(fixture, "again");
        return reached && reached->integer == 1;
    }));
    EXPECT_TRUE(eventually([&] { return !told.messages().empty(); }));
}

TEST(Subscription, AStoppedServerIsNoticedWithinTwoSeconds) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    Told told;
    const auto subscription = fixture.client().subscribe("news", told.events());
    ASSERT_TRUE(told.becomes({true}));
    const auto began = std::chrono::steady_clock::now();
    server.pause();
    ASSERT_TRUE(told.becomes({true, false}));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
    server.resume();
    EXPECT_TRUE(told.becomes({true, false, true}));
}

TEST(Subscription, AFloodOfMessagesLeavesOthersTheirTurn) {
    std::atomic<bool> flooding{true};
    testing::ScriptedServer server([&](testing::RawConnection& peer, int) {
        if (peer.read_until("PING\r\n").empty())
            return;
        peer.send("%1\r\n$5\r\nproto\r\n:3\r\n+PONG\r\n");
        if (peer.read_until("news\r\n").empty())
            return;
        peer.send(">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
        const std::string message =
            ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$4096\r\n" + std::string(4096, 'x') + "\r\n";
        const auto end = std::chrono::steady_clock::now() + 5s;
        while (flooding && std::chrono::steady_clock::now() < end)
            peer.send(message);
    });
    RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()));
    std::atomic<int> messages{0};
    auto subscription =
        fixture.client().subscribe("news", {.on_message = [&](std::string_view) {
                                       ++messages;
                                       std::this_thread::sleep_for(200us); // slower than they come
                                   }});
    EXPECT_TRUE(eventually([&] { return messages > 100; }));
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i)
        testing::run_there(fixture.context(), [] {});
    EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
    flooding = false;
    subscription.reset();
}

TEST(Subscription, BeginsBeforeThereIsAServer) {
    RedisServer server;
    server.kill();
    RedisFixture fixture(server.url());
    Told told;
    const auto subscription = fixture.client().subscribe("news", told.events());
    server.start();
    EXPECT_TRUE(told.becomes({true}));
}

TEST(Subscription, SaysNothingOnceItIsGone) {
    const RedisServer server;
    RedisFixture fixture(server.url(), 2);
    for (int round = 0; round < 30; ++round) {
        std::atomic<bool> gone{false};
        std::atomic<int> late{0};
        auto subscription = fixture.client().subscribe(
            "news", {.on_message = [&](std::string_view) { late += gone ? 1 : 0; },
                     .on_state = [&](bool) { late += gone ? 1 : 0; }});
        std::atomic<bool> publishing{true};
        std::thread publisher([&] {
            while (publishing)
                static_cast<void>(publish(fixture, "x"));
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(round));
        subscription.reset();
        gone = true;
        publishing = false;
        publisher.join();
        EXPECT_EQ(late, 0);
    }
    EXPECT_TRUE(eventually([&] { return server.cli({"PUBLISH", "news", "x"}) == "0"; }));
}

TEST(Subscription, MayBeEndedByItsOwnCallback) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    std::atomic<int> messages{0};
    std::unique_ptr<Subscription> subscription;
    Told told;
    SubscriptionEvents events = told.events();
    events.on_message = [&](std::string_view) {
        ++messages;
        subscription.reset();
    };
    subscription = fixture.client().subscribe("news", events);
    ASSERT_TRUE(told.becomes({true}));
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(publish(fixture, "x"));
    EXPECT_TRUE(eventually([&] { return server.cli({"PUBLISH", "news", "x"}) == "0"; }));
    EXPECT_EQ(messages, 1);
}

TEST(Subscription, AUserWhoMayNotListenIsToldNothing) {
    RedisServer server;
    server.cli({"ACL", "SETUSER", "deaf", "on", ">pass", "~*", "+@all", "resetchannels"});
    RedisFixture fixture("redis://deaf:pass@127.0.0.1:" + std::to_string(server.port()));
    Told told;
    const auto subscription = fixture.client().subscribe("news", told.events());
    ASSERT_TRUE(eventually([&] { // refused, and refused again
        const std::string stats = server.cli({"INFO", "errorstats"});
        const std::string name = "errorstat_NOPERM:count=";
        const std::size_t at = stats.find(name);
        return at != std::string::npos && std::stoi(stats.substr(at + name.size())) >= 2;
    }));
    EXPECT_TRUE(told.states().empty());
}

} // namespace
} // namespace larder::redis
