// Refusals that are remembered, health that is said once, and reservations of several charges in
// memory, from many threads.
#include "limit/blocked.hpp"
#include "limit/store_loss.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace larder::limit {
namespace {

constexpr Subject kAda{Subject::Kind::kUser, "ada"};
const Shape kShape{.max = 1};
const Decision kRefusal{.allowed = false,
                        .limit = 1,
                        .reset_epoch_ms = 61'000,
                        .retry_after_ms = 2000,
                        .decided_at_ms = 1000};

TEST(BlockedSubjects, HoldsARefusalUntilItsTimeAndCountsItDown) {
    BlockedSubjects blocked;
    blocked.put(0, kAda, kShape, kRefusal, 5'000'000);
    const auto found = blocked.find(0, kAda, kShape, 6'500'999);
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->allowed);
    EXPECT_EQ(found->retry_after_ms, 500);
    EXPECT_EQ(found->decided_at_ms, 2500);
    EXPECT_EQ(found->reset_epoch_ms, 61'000);
    EXPECT_EQ(blocked.find(0, kAda, kShape, 6'999'999)->retry_after_ms, 1);
    EXPECT_FALSE(blocked.find(0, kAda, kShape, 7'000'000));
}

TEST(BlockedSubjects, HoldsALongRefusalForFiveSecondsOnly) {
    BlockedSubjects blocked;
    Decision refusal = kRefusal;
    refusal.retry_after_ms = 3'600'000;
    blocked.put(0, kAda, kShape, refusal, 0);
    EXPECT_TRUE(blocked.find(0, kAda, kShape, 4'999'999));
    EXPECT_FALSE(blocked.find(0, kAda, kShape, 5'000'000));
}

TEST(BlockedSubjects, KnowsNothingOfAnotherRuleOrSubject) {
    BlockedSubjects blocked;
    blocked.put(0, kAda, kShape, kRefusal, 0);
    EXPECT_FALSE(blocked.find(1, kAda, kShape, 1));
    EXPECT_FALSE(blocked.find(0, {Subject::Kind::kAddress, "ada"}, kShape, 1));
    EXPECT_FALSE(blocked.find(0, {Subject::Kind::kUser, "bob"}, kShape, 1));
    EXPECT_FALSE(blocked.find(0, kAda, {.max = 2}, 1));
    EXPECT_FALSE(blocked.find(0, kAda, {.window_ms = 1000, .max = 1}, 1));
    blocked.forget(0, {Subject::Kind::kUser, "bob"});
    EXPECT_TRUE(blocked.find(0, kAda, kShape, 1));
    blocked.forget(0, kAda);
    EXPECT_FALSE(blocked.find(0, kAda, kShape, 1));
}

TEST(BlockedSubjects, NeverRefusesAnotherSubjectHoweverManyThreadsWrite) {
    BlockedSubjects blocked;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 3000; ++i) {
                const std::string id = std::to_string(t) + "-" + std::to_string(i % 700);
                Decision refusal = kRefusal;
                refusal.limit = t;
                blocked.put(0, {Subject::Kind::kUser, id}, kShape, refusal, 0);
                const auto found = blocked.find(0, {Subject::Kind::kUser, id}, kShape, 1);
                wrong += found && found->limit != t ? 1 : 0;
                wrong += blocked.find(1, {Subject::Kind::kUser, id}, kShape, 1) ? 1 : 0;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(StoreHealth, IsLostOnceHoweverOftenTheStoreComesAndGoesWithinASecond) {
    ManualClock clock;
    std::vector<std::string> said;
    StoreHealth health(clock, StoreLoss::kLocal,
                       [&](const LimiterHealth& now) { said.push_back(now.reason); });
    health.answered();
    for (int i = 0; i < 5; ++i) {
        health.failed({.code = ErrorCode::kStore, .message = "gone"});
        clock.advance(std::chrono::milliseconds(900));
        health.answered();
    }
    EXPECT_FALSE(health.get().ok);
    EXPECT_EQ(health.get().mode, "local");
    EXPECT_EQ(said, std::vector<std::string>{"gone"});
    clock.advance(std::chrono::milliseconds(100));
    health.answered();
    EXPECT_TRUE(health.get().ok);
    EXPECT_EQ(said, (std::vector<std::string>{"gone", ""}));
}

TEST(MemoryReservations, NeverPassALimitNorLoseACallFromEightThreads) {
    MemoryLimiter limiter;
    const Rule user{.name = "u", .max = 30};
    const Rule team{.name = "t", .max = 100, .algorithm = Algorithm::kGcra};
    std::atomic<int> kept = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 1000; ++i) {
                const std::vector<Charge> charges{
                    {.rule = &user, .kind = Subject::Kind::kUser, .id = std::to_string(t % 5)},
                    {.rule = &team, .rule_id = 1, .kind = Subject::Kind::kUser, .id = "team"}};
                const Reservation made = limiter.reserve_now(charges, 1'000'000);
                if (made.allowed && i % 3 != 0)
                    limiter.give_back(made.held, 1'000'000);
                else
                    kept += made.allowed ? 1 : 0;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_GT(kept, 0);
    EXPECT_LE(kept, 100);
    const Charge probe{.rule = &team, .rule_id = 1, .kind = Subject::Kind::kUser, .id = "team"};
    const Decision left = limiter.reserve_now({probe}, 1'000'000).decisions[0];
    EXPECT_EQ(left.remaining, std::max(100 - kept - 1, 0));
}

} // namespace
} // namespace larder::limit
