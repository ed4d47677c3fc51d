// A fleet on one Redis: exact under threads and nodes, all or nothing over subjects, what is kept
// there, and the cache of refused subjects.
#include "limit/redis_limiter.hpp"
#include "testing/limit_nodes.hpp"
#include "testing/redis_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace larder::limit {
namespace {

using testing::charge;
using testing::eventually;
using ::testing::HasSubstr;
using testing::LimitNodes;
using ::testing::Not;
using testing::RedisServer;
using ::testing::StartsWith;

constexpr Algorithm kAlgorithms[] = {Algorithm::kSliding, Algorithm::kFixed, Algorithm::kGcra};

Rule rule_of(std::int64_t max, Algorithm algorithm = Algorithm::kSliding) {
    return {.name = "llm", .max = max, .algorithm = algorithm};
}

/// `calls` reservations at once, spread over all nodes and threads; the accepted ones.
std::vector<Reservation> crowd(LimitNodes& nodes, const std::vector<Charge>& charges, int calls) {
    std::vector<std::future<Reservation>> pending;
    for (std::size_t i = 0; i < static_cast<std::size_t>(calls); ++i)
        pending.push_back(
            testing::start(nodes.runtime.context(i % nodes.runtime.size()),
                           LimitNodes::reserve_task(*nodes.limiters[i / 3 % nodes.limiters.size()],
                                                    charges, 0, std::chrono::seconds(10))));
    std::vector<Reservation> accepted;
    for (auto& one : pending) {
        Reservation made = testing::finish(std::move(one));
        EXPECT_FALSE(made.degraded);
        if (made.allowed)
            accepted.push_back(std::move(made));
    }
    return accepted;
}

TEST(RedisLimiter, AcceptsExactlyTwentyFromFourNodesOnEightThreads) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url(), .nodes = 4, .threads = 8});
    for (const Algorithm algorithm : kAlgorithms) {
        const Rule rule{.name = "llm",
                        .max = 20,
                        .window = std::chrono::milliseconds(600'000),
                        .algorithm = algorithm};
        const std::string user = "ada" + std::to_string(static_cast<int>(algorithm));
        EXPECT_EQ(crowd(nodes, {charge(rule, 0, user)}, 400).size(), 20U);
    }
}

TEST(RedisLimiter, TakesNothingFromAnyLimitWhenOneRefuses) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url(), .nodes = 2, .threads = 4});
    const Rule wide = rule_of(100);
    const Rule narrow = rule_of(7);
    EXPECT_EQ(crowd(nodes, {charge(wide, 0, "ada", 3), charge(narrow, 1, "ada")}, 60).size(), 7U);
    EXPECT_EQ(nodes.reserve({charge(wide, 0, "ada")}).decisions[0].remaining, 100 - 21 - 1);
}

TEST(RedisLimiter, GivesBackWhatOtherSubjectsHeldWhenOneRefuses) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url(), .nodes = 2, .threads = 4});
    for (const Algorithm algorithm : kAlgorithms) {
        const std::string suffix = std::to_string(static_cast<int>(algorithm));
        const Rule rule{.name = "t",
                        .max = 50,
                        .window = std::chrono::milliseconds(3'600'000),
                        .algorithm = algorithm};
        const Rule narrow = rule_of(4);
        const std::vector<Charge> charges{charge(rule, 0, "team" + suffix, 2),
                                          charge(narrow, 1, "ada" + suffix)};
        // While some are held that will be given back, others may be refused early: never late.
        const std::size_t accepted = crowd(nodes, charges, 60).size();
        EXPECT_LE(accepted, 4U);
        const Reservation after = nodes.reserve({charge(rule, 0, "team" + suffix)});
        EXPECT_EQ(after.decisions[0].remaining, 50 - 2 * static_cast<int>(accepted) - 1);
    }
}

TEST(RedisLimiter, NeverPassesALimitWhileSubjectsAreHeldAndGivenBack) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url(), .nodes = 4, .threads = 4});
    const Rule team = rule_of(10);
    const Rule user = rule_of(3);
    std::vector<std::future<Reservation>> pending;
    for (int i = 0; i < 200; ++i) {
        const std::string id = "u" + std::to_string(i % 5);
        const auto at = static_cast<std::size_t>(i);
        pending.push_back(
            testing::start(nodes.runtime.context(at % 4),
                           LimitNodes::reserve_task(*nodes.limiters[at / 4 % 4],
                                                    {charge(user, 0, id), charge(team, 1, "team")},
                                                    0, std::chrono::seconds(10))));
    }
    int accepted = 0;
    for (auto& one : pending)
        accepted += testing::finish(std::move(one)).allowed ? 1 : 0;
    EXPECT_LE(accepted, 10);
    EXPECT_GE(accepted, 1);
}

TEST(RedisLimiter, GivesBackOnceHoweverOftenItIsTold) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    const Rule rule = rule_of(10);
    const Reservation first = nodes.reserve({charge(rule, 0, "ada", 4)});
    nodes.reserve({charge(rule, 0, "ada", 4)});
    for (int i = 0; i < 3; ++i)
        nodes.cancel(first);
    EXPECT_EQ(nodes.reserve({charge(rule, 0, "ada")}).decisions[0].remaining, 10 - 4 - 1);
}

TEST(RedisLimiter, KeepsOneShortKeyOfACounterThatEndsWithItsWindow) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    const Rule rule = rule_of(20);
    nodes.reserve({charge(rule, 2, "a secret user")});
    const std::string keys = server.cli({"KEYS", "limit:{*"});
    EXPECT_THAT(keys, StartsWith("limit:{u"));
    EXPECT_THAT(keys, ::testing::EndsWith("}:2"));
    EXPECT_THAT(keys, Not(HasSubstr("secret")));
    EXPECT_THAT(keys, Not(HasSubstr("\n")));
    const int left = std::stoi(server.cli({"PTTL", keys}));
    EXPECT_GT(left, 55'000);
    EXPECT_LE(left, 60'000 + 1000 + 1000);
    EXPECT_LE(std::stoi(server.cli({"STRLEN", keys})), 50);
}

TEST(RedisLimiter, LeavesNoKeyOfWhatWasGivenBackButTheMarker) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    for (const Algorithm algorithm : kAlgorithms) {
        const Rule rule = rule_of(20, algorithm);
        nodes.cancel(nodes.reserve({charge(rule, 0, "ada")}));
    }
    EXPECT_THAT(server.cli({"KEYS", "limit:{*}:?"}), ::testing::IsEmpty());
    EXPECT_EQ(
        std::stoi(server.cli({"EVAL", "return #redis.call('KEYS', 'limit:{*}:cancel:*')", "0"})),
        3);
}

TEST(RedisLimiter, RefusesAFloodOfARefusedSubjectWithoutAskingRedis) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url(), .nodes = 2});
    const Rule rule = rule_of(1);
    Limiter& limiter = *nodes.limiters[0];
    const Subject ada{Subject::Kind::kUser, "ada"};
    EXPECT_FALSE(limiter.try_take(rule, 0, ada, 0));
    nodes.reserve({charge(rule, 0, "ada")});
    EXPECT_FALSE(limiter.try_take(rule, 0, ada, 0)); // it was not refused yet
    const Reservation refused = nodes.reserve({charge(rule, 0, "ada")});
    ASSERT_FALSE(refused.allowed);
    const auto taken = limiter.try_take(rule, 0, ada, 0);
    ASSERT_TRUE(taken);
    EXPECT_FALSE(taken->allowed);
    EXPECT_EQ(taken->reset_epoch_ms, refused.decisions[0].reset_epoch_ms);
    EXPECT_LE(taken->retry_after_ms, refused.decisions[0].retry_after_ms);
    EXPECT_GT(taken->retry_after_ms, refused.decisions[0].retry_after_ms - 15'000);
    // Another subject, another tier, another rule, another node: those ask.
    EXPECT_FALSE(limiter.try_take(rule, 0, {Subject::Kind::kAddress, "ada"}, 0));
    EXPECT_FALSE(limiter.try_take(rule, 1, ada, 0));
    EXPECT_FALSE(limiter.try_take(rule_of(2), 0, ada, 0));
    EXPECT_FALSE(nodes.limiters[1]->try_take(rule, 0, ada, 0));
}

TEST(RedisLimiter, AsksAgainAboutARefusedSubjectWhenSomethingWasGivenBack) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    const Rule rule = rule_of(1);
    const Reservation first = nodes.reserve({charge(rule, 0, "ada")});
    ASSERT_FALSE(nodes.reserve({charge(rule, 0, "ada")}).allowed);
    nodes.cancel(first);
    EXPECT_FALSE(nodes.limiters[0]->try_take(rule, 0, {Subject::Kind::kUser, "ada"}, 0));
    EXPECT_TRUE(nodes.reserve({charge(rule, 0, "ada")}).allowed);
}

TEST(RedisLimiter, DecidesByTheServersClock) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url()});
    const Rule rule = rule_of(5);
    const auto before = std::stoll(server.cli({"EVAL", "return redis.call('TIME')[1]", "0"}));
    const Decision decision = nodes.reserve({charge(rule, 0, "ada")}, 12'345).decisions[0];
    EXPECT_GE(decision.decided_at_ms, before * 1000);
    EXPECT_GE(decision.reset_epoch_ms, decision.decided_at_ms + 60'000);
    EXPECT_LE(decision.reset_epoch_ms, decision.decided_at_ms + 61'000);
}

TEST(RedisLimiter, CountsTheNodesThatWereSeen) {
    const RedisServer server;
    LimitNodes nodes({.url = server.url(), .nodes = 3});
    EXPECT_TRUE(eventually([&] { return server.cli({"ZCARD", "limit:nodes"}) == "3"; }));
    EXPECT_TRUE(eventually([&] {
        return std::ranges::any_of(nodes.limiters,
                                   [](const auto& one) { return one->nodes() == 3; });
    }));
    EXPECT_GT(std::stoi(server.cli({"PTTL", "limit:nodes"})), 50'000);
}

TEST(RedisLimiter, ForgetsANodeThatWasNotSeenForThirtySeconds) {
    const RedisServer server;
    const std::string now = server.cli({"EVAL", "return redis.call('TIME')[1] * 1000", "0"});
    const std::int64_t now_ms = std::stoll(now);
    server.cli({"ZADD", "limit:nodes", std::to_string(now_ms - 31'000), "gone"});
    server.cli({"ZADD", "limit:nodes", std::to_string(now_ms - 15'000), "there"});
    LimitNodes nodes({.url = server.url()});
    EXPECT_TRUE(eventually([&] { return nodes.limiters[0]->nodes() == 2; }));
}

TEST(RedisScripts, HaveAnotherTextForUpstashWithEveryKeyInKeys) {
    for (const redis::Script* script : {&reserve_script(TimeSource::kServer),
                                        &cancel_script(TimeSource::kServer), &nodes_script()}) {
        EXPECT_THAT(script->flagged().body, StartsWith("#!lua flags=allow-key-locking\n"));
        EXPECT_THAT(script->plain().body, Not(HasSubstr("#!lua")));
        EXPECT_NE(script->plain().sha1, script->flagged().sha1);
        // Each command that takes a key takes it from KEYS, or as the parameter that KEYS fills.
        std::string_view body = script->plain().body;
        std::size_t calls = 0;
        for (std::size_t at = 0; (at = body.find("redis.call('", at)) != std::string_view::npos;) {
            at += 12;
            const std::string_view call = body.substr(at, 40);
            if (call.starts_with("TIME'"))
                continue;
            const std::size_t key = call.find(", ");
            ASSERT_NE(key, std::string_view::npos) << call;
            const std::string_view named = call.substr(call.find_first_not_of(" \n", key + 1));
            EXPECT_TRUE(named.starts_with("KEYS[") || named.starts_with("key")) << call;
            ++calls;
        }
        EXPECT_GE(calls, 3U);
    }
    EXPECT_NE(reserve_script(TimeSource::kServer).plain().sha1,
              reserve_script(TimeSource::kArgument).plain().sha1);
}

} // namespace
} // namespace larder::limit
