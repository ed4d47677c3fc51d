// Exactness under threads, bounds, overflow, and what keeps subjects apart.
#include "limit/limiter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace larder::limit {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;
constexpr std::int64_t kFree = 61'000; // a minute and its 60th

Rule rule_of(std::int64_t max, Algorithm algorithm = Algorithm::kSliding) {
    return {.name = "llm", .max = max, .algorithm = algorithm};
}

Subject user(std::string_view id) {
    return {Subject::Kind::kUser, id};
}
Subject address(std::string_view id) {
    return {Subject::Kind::kAddress, id};
}

TEST(MemoryLimiter, RefusesTheTwentyFirstCallInAMinute) {
    MemoryLimiter limiter;
    for (int i = 0; i < 20; ++i) {
        const Decision decision = limiter.take(rule_of(20), 0, user("ada"), kStart + i * 1000);
        ASSERT_TRUE(decision.allowed);
        ASSERT_EQ(decision.remaining, 19 - i);
        ASSERT_EQ(decision.limit, 20);
    }
    const Decision refused = limiter.take(rule_of(20), 0, user("ada"), kStart + 20'000);
    EXPECT_FALSE(refused.allowed);
    EXPECT_GE(refused.retry_after_ms, 40'000);
    EXPECT_LE(refused.retry_after_ms, 41'000);
    EXPECT_GE(refused.reset_epoch_ms, kStart + 79'000);
    EXPECT_LE(refused.reset_epoch_ms, kStart + 80'000);
}

TEST(MemoryLimiter, KeepsNothingForATierThatIsOff) {
    MemoryLimiter limiter;
    for (int i = 0; i < 1000; ++i) {
        const Decision decision = limiter.take(rule_of(0), 0, user("ada"), kStart);
        ASSERT_TRUE(decision.allowed);
        ASSERT_EQ(decision.reset_epoch_ms, kStart);
        ASSERT_EQ(decision.limit, 0);
    }
    EXPECT_EQ(limiter.subjects(), 0U);
}

TEST(MemoryLimiter, KeepsKindsAndRulesOfOneIdApart) {
    MemoryLimiter limiter;
    for (const std::uint8_t id : std::array<std::uint8_t, 3>{0, 1, 7}) {
        for (const Subject subject : {user("10.0.0.1"), address("10.0.0.1")}) {
            EXPECT_TRUE(limiter.take(rule_of(1), id, subject, kStart).allowed);
            EXPECT_FALSE(limiter.take(rule_of(1), id, subject, kStart).allowed);
        }
    }
    EXPECT_EQ(limiter.subjects(), 6U);
}

TEST(MemoryLimiter, KeepsIdsApartThatDifferInLengthOrZeroBytesOnly) {
    MemoryLimiter limiter;
    const std::string zeros(20, '\0');
    for (std::size_t length = 0; length <= zeros.size(); ++length)
        EXPECT_TRUE(limiter.take(rule_of(1), 0, user({zeros.data(), length}), kStart).allowed);
    EXPECT_EQ(limiter.subjects(), 21U);
}

TEST(MemoryLimiter, AcceptsExactlyTwentyFromEightThreads) {
    for (const Algorithm algorithm : {Algorithm::kSliding, Algorithm::kFixed, Algorithm::kGcra}) {
        MemoryLimiter limiter;
        const Rule rule = rule_of(20, algorithm);
        std::atomic<int> accepted = 0;
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 5000; ++i)
                    accepted += limiter.take(rule, 0, user("ada"), kStart + 10).allowed ? 1 : 0;
            });
        }
        for (std::thread& thread : threads)
            thread.join();
        EXPECT_EQ(accepted, 20);
    }
}

TEST(MemoryLimiter, StaysInItsBoundWhateverIsSent) {
    MemoryLimiter limiter({.users = 10'000, .addresses = 5'000, .overflow = 256});
    for (int i = 0; i < 200'000; ++i) {
        const std::string id = std::to_string(i);
        limiter.take(rule_of(20), static_cast<std::uint8_t>(i % 3), user(id), kStart + i / 100);
        limiter.take(rule_of(20), 0, address(id), kStart + i / 100);
    }
    EXPECT_LE(limiter.subjects(), 15'000U);
    EXPECT_GE(limiter.subjects(), 14'000U);
}

TEST(MemoryLimiter, KeepsUsersWhenAddressesAreManyAndTheOtherWayRound) {
    MemoryLimiter limiter({.users = 4, .addresses = 4, .overflow = 8});
    limiter.take(rule_of(1), 0, user("ada"), kStart);
    for (int i = 0; i < 1000; ++i)
        limiter.take(rule_of(20), 0, address(std::to_string(i)), kStart);
    // Room for three more users, each with a counter of its own.
    for (const char* name : {"bob", "eve", "joe"})
        EXPECT_EQ(limiter.take(rule_of(1000), 0, user(name), kStart).remaining, 999);
    EXPECT_FALSE(limiter.take(rule_of(1), 0, user("ada"), kStart).allowed);
}

TEST(MemoryLimiter, DropsFreeSubjectsFirst) {
    MemoryLimiter limiter({.users = 3, .addresses = 3, .overflow = 1});
    limiter.take(rule_of(4), 0, user("old"), kStart);
    limiter.take(rule_of(4), 0, user("light"), kStart + 50'000);
    limiter.take(rule_of(4), 0, user("lighter"), kStart + 50'000);
    // "old" is free by now: "new" takes its place, and nobody's calls are forgotten.
    EXPECT_EQ(limiter.take(rule_of(4), 0, user("new"), kStart + kFree).remaining, 3);
    EXPECT_EQ(limiter.take(rule_of(4), 0, user("light"), kStart + kFree).remaining, 2);
    EXPECT_EQ(limiter.take(rule_of(4), 0, user("lighter"), kStart + kFree).remaining, 2);
    EXPECT_EQ(limiter.subjects(), 3U);
}

TEST(MemoryLimiter, NeverDropsASubjectOverHalfOfItsLimit) {
    MemoryLimiter limiter({.users = 8, .addresses = 8, .overflow = 4});
    for (int i = 0; i < 11; ++i)
        limiter.take(rule_of(20), 0, user("heavy"), kStart);
    for (int i = 0; i < 5000; ++i)
        limiter.take(rule_of(20), 0, user("n" + std::to_string(i)), kStart + i);
    // Its own counter: the overflow ones are full by now, and would refuse.
    EXPECT_EQ(limiter.take(rule_of(20), 0, user("heavy"), kStart + 5000).remaining, 8);
}

TEST(MemoryLimiter, ForgetsNoCallOfASubjectThatGaveWay) {
    MemoryLimiter limiter({.users = 1, .addresses = 1, .overflow = 64});
    for (int i = 0; i < 5; ++i)
        limiter.take(rule_of(20), 0, user("light"), kStart);
    limiter.take(rule_of(20), 0, user("next"), kStart);
    EXPECT_LE(limiter.take(rule_of(20), 0, user("light"), kStart).remaining, 14);
}

TEST(MemoryLimiter, SharesStrictOverflowCountersWhenNothingCanBeDropped) {
    MemoryLimiter limiter({.users = 2, .addresses = 2, .overflow = 1});
    for (const char* name : {"a", "b"})
        for (int i = 0; i < 20; ++i)
            limiter.take(rule_of(20), 0, user(name), kStart);
    int accepted = 0;
    for (int i = 0; i < 100; ++i)
        accepted += limiter.take(rule_of(20), 0, user(std::to_string(i)), kStart).allowed ? 1 : 0;
    EXPECT_EQ(accepted, 20);
    EXPECT_EQ(limiter.subjects(), 2U);
    // Another rule and the other kind have overflow counters of their own.
    EXPECT_TRUE(limiter.take(rule_of(20), 1, user("1"), kStart).allowed);
    EXPECT_TRUE(limiter.take(rule_of(20), 0, address("1"), kStart).allowed);
}

TEST(MemoryLimiter, LeavesAnOverflowCounterOnlyWhenItIsFree) {
    MemoryLimiter limiter({.users = 1, .addresses = 1, .overflow = 1});
    limiter.take(rule_of(1), 0, user("first"), kStart);
    ASSERT_TRUE(limiter.take(rule_of(1), 0, user("second"), kStart + 30'000).allowed);
    // "first" is free now and its counter could be had; "second" must not escape to it.
    EXPECT_FALSE(limiter.take(rule_of(1), 0, user("second"), kStart + kFree).allowed);
    EXPECT_TRUE(limiter.take(rule_of(1), 0, user("second"), kStart + 30'000 + kFree).allowed);
    EXPECT_EQ(limiter.subjects(), 1U);
}

/// Whatever the bound, the rule, and the number of subjects: nobody gets more than its own limit.
TEST(MemoryLimiter, IsNeverLaxForAnySubjectUnderAnyPressure) {
    for (unsigned seed = 1; seed <= 30; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        MemoryLimiter limiter({.users = 1 + seed % 7, .addresses = 1, .overflow = 1 + seed % 5});
        const auto algorithm = static_cast<Algorithm>(seed % 3);
        const Rule rule{.name = "t",
                        .max = 1 + static_cast<std::int64_t>(random() % 6),
                        .window = std::chrono::milliseconds(600),
                        .algorithm = algorithm};
        std::map<std::string, std::vector<std::int64_t>> accepted;
        std::int64_t now = kStart;
        for (int i = 0; i < 6000; ++i) {
            now += static_cast<std::int64_t>(random() % 25);
            const std::string id = std::to_string(random() % 20);
            if (limiter.take(rule, 0, user(id), now).allowed)
                accepted[id].push_back(now);
        }
        const std::int64_t bound = algorithm == Algorithm::kSliding ? rule.max : 2 * rule.max;
        for (const auto& [id, times] : accepted) {
            for (std::size_t i = 0; i + static_cast<std::size_t>(bound) < times.size(); ++i)
                ASSERT_GT(times[i + static_cast<std::size_t>(bound)] - times[i], 599) << id;
        }
    }
}

TEST(MemoryLimiter, FindsEverySubjectAgainAmongAHundredThousand) {
    MemoryLimiter limiter({.users = 120'000, .addresses = 10, .overflow = 16});
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 100'000; ++i)
            ASSERT_EQ(limiter.take(rule_of(5), 0, user(std::to_string(i)), kStart).remaining,
                      4 - round);
    EXPECT_EQ(limiter.subjects(), 100'000U);
}

} // namespace
} // namespace larder::limit
