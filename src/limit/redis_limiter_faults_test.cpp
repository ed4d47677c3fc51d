// Redis killed, stopped, full, refusing, restarted empty, without the scripts: what each mode does
// meanwhile, that it is said, and that it ends by itself.
#include "limit/redis_limiter.hpp"
#include "testing/limit_nodes.hpp"
#include "testing/redis_server.hpp"
#include "testing/tcp.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::limit {
namespace {

using namespace std::chrono_literals;
using testing::charge;
using ::testing::ElementsAre;
using testing::eventually;
using testing::LimitNodes;
using testing::RedisServer;

const Rule kRule{.name = "llm", .max = 20};

/// A limiter whose store answers again.
void expect_healed(LimitNodes& nodes) {
    EXPECT_TRUE(eventually([&] { return nodes.limiters[0]->health().ok; }));
    const Reservation made = nodes.reserve({charge(kRule, 0, "after")});
    EXPECT_TRUE(made.allowed);
    EXPECT_FALSE(made.degraded);
}

TEST(RedisLimiterFaults, EnforcesItsShareOfALimitWhileRedisIsGone) {
    RedisServer server;
    LimitNodes nodes({.url = server.url(), .nodes = 4});
    ASSERT_TRUE(eventually([&] { return server.cli({"ZCARD", "limit:nodes"}) == "4"; }));
    // The node that came last has seen all four.
    std::size_t last = 0;
    ASSERT_TRUE(eventually([&] {
        for (std::size_t i = 0; i < 4; ++i)
            last = nodes.limiters[i]->nodes() == 4 ? i : last;
        return nodes.limiters[last]->nodes() == 4;
    }));
    server.kill();
    int accepted = 0;
    for (int i = 0; i < 30; ++i) {
        const Reservation made = nodes.reserve({charge(kRule, 0, "ada")}, 1'000'000, last, 50ms);
        EXPECT_TRUE(made.degraded);
        EXPECT_FALSE(made.unavailable);
        EXPECT_EQ(made.decisions[0].limit, 5);
        accepted += made.allowed ? 1 : 0;
    }
    EXPECT_EQ(accepted, 5);
    const LimiterHealth health = nodes.limiters[last]->health();
    EXPECT_FALSE(health.ok);
    EXPECT_EQ(health.mode, "local");
    EXPECT_FALSE(health.reason.empty());
    EXPECT_EQ(nodes.limiters[last]->degraded_decisions(), 30U);
}

TEST(RedisLimiterFaults, GivesNobodyASecondLimitWhenRedisGoes) {
    RedisServer server;
    LimitNodes nodes({.url = server.url()});
    for (int i = 0; i < 15; ++i)
        ASSERT_FALSE(nodes.reserve({charge(kRule, 0, "ada")}, 1'000'000).degraded);
    server.kill();
    int accepted = 0;
    for (int i = 0; i < 20; ++i)
        accepted += nodes.reserve({charge(kRule, 0, "ada")}, 1'000'000, 0, 50ms).allowed ? 1 : 0;
    EXPECT_EQ(accepted, 5);
}

TEST(RedisLimiterFaults, KeepsAtLeastOneCallWhereNodesAreMoreThanTheLimit) {
    RedisServer server;
    const Rule small{.name = "t", .max = 1};
    LimitNodes nodes({.url = server.url(), .nodes = 2});
    ASSERT_TRUE(eventually([&] { return server.cli({"ZCARD", "limit:nodes"}) == "2"; }));
    server.kill();
    EXPECT_TRUE(nodes.reserve({charge(small, 0, "ada")}, 1000, 0, 50ms).allowed);
    EXPECT_FALSE(nodes.reserve({charge(small, 0, "ada")}, 1000, 0, 50ms).allowed);
}

TEST(RedisLimiterFaults, LetsEverythingPassWhereTheConfigurationSaysOpen) {
    RedisServer server;
    LimitNodes nodes({.url = server.url(), .on_store_loss = StoreLoss::kOpen});
    ASSERT_FALSE(nodes.reserve({charge(kRule, 0, "ada")}).degraded);
    server.kill();
    for (int i = 0; i < 50; ++i) {
        const Reservation made = nodes.reserve({charge(kRule, 0, "ada")}, 1000, 0, 50ms);
        ASSERT_TRUE(made.allowed);
        ASSERT_TRUE(made.degraded);
        EXPECT_EQ(made.decisions[0].remaining, 20);
    }
    EXPECT_EQ(nodes.limiters[0]->health().mode, "open");
    EXPECT_EQ(nodes.limiters[0]->degraded_decisions(), 50U);
}

TEST(RedisLimiterFaults, RefusesForASecondWhereTheConfigurationSaysClosed) {
    RedisServer server;
    LimitNodes nodes({.url = server.url(), .on_store_loss = StoreLoss::kClosed});
    ASSERT_TRUE(nodes.reserve({charge(kRule, 0, "ada")}).allowed);
    server.kill();
    const Rule off{.name = "off", .max = 0};
    const Reservation made =
        nodes.reserve({charge(kRule, 0, "ada"), charge(off, 1, "ada")}, 1000, 0, 50ms);
    EXPECT_FALSE(made.allowed);
    EXPECT_TRUE(made.unavailable);
    EXPECT_EQ(made.decisions[0].retry_after_ms, 1000);
    EXPECT_EQ(nodes.limiters[0]->health().mode, "closed");
    server.start();
    expect_healed(nodes);
}

TEST(RedisLimiterFaults, WaitsNoLongerThanItsBudgetForARedisThatIsStopped) {
    RedisServer server;
    LimitNodes nodes({.url = server.url()});
    ASSERT_FALSE(nodes.reserve({charge(kRule, 0, "ada")}).degraded);
    server.pause();
    for (int i = 0; i < 3; ++i) {
        const auto began = std::chrono::steady_clock::now();
        const Reservation made = nodes.reserve({charge(kRule, 0, "ada")}, 1000, 0, 50ms);
        EXPECT_TRUE(made.degraded);
        EXPECT_TRUE(made.allowed);
        // 50 ms, and what a busy machine adds; without a deadline it would be seconds.
        EXPECT_LT(std::chrono::steady_clock::now() - began, 1500ms);
    }
    server.resume();
    expect_healed(nodes);
}

TEST(RedisLimiterFaults, CountsAStoppedRedisNeverTwice) {
    RedisServer server;
    LimitNodes nodes({.url = server.url()});
    ASSERT_FALSE(nodes.reserve({charge(kRule, 0, "ada")}).degraded);
    server.pause();
    for (int i = 0; i < 4; ++i)
        nodes.reserve({charge(kRule, 0, "ada")}, 1000, 0, 50ms);
    server.resume();
    expect_healed(nodes);
    // The first, this one, and what was sent before the pause was noticed: at most once each.
    const Reservation made = nodes.reserve({charge(kRule, 0, "ada")});
    EXPECT_GE(made.decisions[0].remaining, 20 - 1 - 4 - 1);
}

TEST(RedisLimiterFaults, SaysOnceThatTheStoreIsLostAndOnceThatItIsBack) {
    RedisServer server;
    LimitNodes nodes({.url = server.url()});
    ASSERT_FALSE(nodes.reserve({charge(kRule, 0, "ada")}).degraded);
    server.kill();
    for (int i = 0; i < 10; ++i)
        nodes.reserve({charge(kRule, 0, "ada")}, 1000, 0, 50ms);
    server.start();
    expect_healed(nodes);
    EXPECT_THAT(nodes.log.all(), ElementsAre("lost, local", "ok"));
}

TEST(RedisLimiterFaults, StartsWithoutRedisAndUsesItWhenItComes) {
    RedisServer server;
    server.kill();
    LimitNodes nodes({.url = server.url()});
    const Reservation made = nodes.reserve({charge(kRule, 0, "ada")}, 1000, 0, 50ms);
    EXPECT_TRUE(made.allowed);
    EXPECT_TRUE(made.degraded);
    EXPECT_FALSE(nodes.limiters[0]->health().ok);
    server.start();
    expect_healed(nodes);
}

TEST(RedisLimiterFaults, LoadsItsScriptsAgainWhenTheyAreGone) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    for (int i = 0; i < 20; ++i) {
        const Reservation made = nodes.reserve({charge(kRule, 0, "ada")});
        ASSERT_TRUE(made.allowed);
        ASSERT_FALSE(made.degraded);
        ASSERT_EQ(made.decisions[0].remaining, 19 - i);
        ASSERT_EQ(server.cli({"SCRIPT", "FLUSH"}), "OK");
    }
    EXPECT_FALSE(nodes.reserve({charge(kRule, 0, "ada")}).allowed);
    EXPECT_TRUE(nodes.limiters[0]->health().ok);
}

TEST(RedisLimiterFaults, CountsAnewInARedisThatWasRestartedEmpty) {
    RedisServer server;
    LimitNodes nodes({.url = server.url()});
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(nodes.reserve({charge(kRule, 0, "ada")}).allowed);
    server.restart();
    ASSERT_TRUE(
        eventually([&] { return !nodes.reserve({charge(kRule, 0, "ada")}, 1000).degraded; }));
    EXPECT_LE(nodes.reserve({charge(kRule, 0, "ada")}).decisions[0].remaining, 18);
}

TEST(RedisLimiterFaults, GoesOnByItselfWhileRedisIsFullOrTakesNoWrites) {
    const RedisServer server({"--maxmemory-policy", "noeviction"});
    LimitNodes nodes({.url = server.url()});
    ASSERT_FALSE(nodes.reserve({charge(kRule, 0, "ada")}).degraded);
    ASSERT_EQ(server.cli({"CONFIG", "SET", "maxmemory", "1"}), "OK");
    EXPECT_TRUE(nodes.reserve({charge(kRule, 0, "ada")}, 1000).degraded);
    ASSERT_EQ(server.cli({"CONFIG", "SET", "maxmemory", "0"}), "OK");
    expect_healed(nodes);
    ASSERT_EQ(server.cli({"REPLICAOF", "127.0.0.1", "1"}), "OK");
    EXPECT_TRUE(nodes.reserve({charge(kRule, 0, "ada")}, 1000).degraded);
    ASSERT_EQ(server.cli({"REPLICAOF", "NO", "ONE"}), "OK");
    expect_healed(nodes);
}

TEST(RedisLimiterFaults, RefusesNothingLocallyThatOnlyALostRedisRefused) {
    RedisServer server;
    LimitNodes nodes({.url = server.url(), .on_store_loss = StoreLoss::kOpen});
    const Rule one{.name = "t", .max = 1};
    nodes.reserve({charge(one, 0, "ada")});
    ASSERT_FALSE(nodes.reserve({charge(one, 0, "ada")}).allowed);
    ASSERT_TRUE(nodes.limiters[0]->try_take(one, 0, {Subject::Kind::kUser, "ada"}, 0));
    server.kill();
    nodes.reserve({charge(one, 0, "bob")}, 1000, 0, 50ms);
    EXPECT_FALSE(nodes.limiters[0]->try_take(one, 0, {Subject::Kind::kUser, "ada"}, 0));
    EXPECT_TRUE(nodes.reserve({charge(one, 0, "ada")}, 1000, 0, 50ms).allowed);
}

TEST(RedisLimiterFaults, AsksNothingWhenTheTimeOfTheRequestIsSpent) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    EXPECT_TRUE(nodes.reserve({charge(kRule, 0, "ada")}, 1000, 0, 0ms).degraded);
    EXPECT_EQ(nodes.reserve({charge(kRule, 0, "ada")}).decisions[0].remaining, 19);
}

TEST(RedisLimiterFaults, GivesBackLocallyWhatWasTakenLocally) {
    RedisServer server;
    server.kill();
    LimitNodes nodes({.url = server.url()});
    const Rule one{.name = "t", .max = 1};
    const Reservation made = nodes.reserve({charge(one, 0, "ada")}, 1000, 0, 50ms);
    ASSERT_TRUE(made.degraded);
    nodes.cancel(made, 1000);
    EXPECT_TRUE(nodes.reserve({charge(one, 0, "ada")}, 1000, 0, 50ms).allowed);
}

/// Keys of another program under the same names: an error of the script, not a wrong count.
TEST(RedisLimiterFaults, GoesOnByItselfWhereAKeyIsOfAnotherType) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    nodes.reserve({charge(kRule, 0, "ada")});
    const std::string key = server.cli({"KEYS", "limit:{*"});
    server.cli({"DEL", key});
    server.cli({"LPUSH", key, "x"});
    EXPECT_TRUE(nodes.reserve({charge(kRule, 0, "ada")}, 1000).degraded);
    server.cli({"DEL", key});
    server.cli({"SET", key, "s60000,20,-1,nonsense"});
    expect_healed(nodes);
    EXPECT_EQ(nodes.reserve({charge(kRule, 0, "ada")}).decisions[0].remaining, 19);
}

TEST(RedisLimiterFaults, GoesOnByItselfWhereTheTimesOfAnAnswerAreAbsurd) {
    struct Answer {
        std::string now, reset, retry_after;
        bool readable = false;
    };
    const std::vector<Answer> answers{{"1000", "2000", "0", true},
                                      {"9007199254740992", "9007199254740992", "0", true},
                                      {"-1", "2000", "0"},
                                      {"9007199254740993", "2000", "0"},
                                      {"1000", "-9223372036854775808", "0"},
                                      {"1000", "9223372036854775807", "0"},
                                      {"1000", "2000", "-1"},
                                      {"1000", "2000", "9223372036854775807"}};
    for (const Answer& answer : answers) {
        const testing::ScriptedServer server([&](testing::RawConnection& peer, int) {
            if (peer.read_until("PING\r\n").empty())
                return;
            peer.send("%1\r\n$5\r\nproto\r\n:3\r\n+PONG\r\n");
            while (!peer.read_until("\r\nEVALSHA\r\n").empty()) {
                peer.send("*7\r\n:0\r\n:" + answer.now + "\r\n:1\r\n:19\r\n:" + answer.reset +
                          "\r\n:" + answer.retry_after + "\r\n:1\r\n");
            }
        });
        LimitNodes nodes({.url = "redis://127.0.0.1:" + std::to_string(server.port())});
        const Reservation made = nodes.reserve({charge(kRule, 0, "ada")});
        EXPECT_TRUE(made.allowed);
        EXPECT_EQ(made.degraded, !answer.readable)
            << answer.now << ' ' << answer.reset << ' ' << answer.retry_after;
    }
}

} // namespace
} // namespace larder::limit
