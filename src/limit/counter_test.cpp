// The three algorithms against exact logs of what was accepted, under seeded random arrivals.
#include "limit/counter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace larder::limit {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'123;

struct Case {
    std::uint32_t max;
    std::uint32_t window_ms;
    int mean_gap_ms;
    unsigned seed;
};

std::vector<Case> cases() {
    std::vector<Case> all;
    unsigned seed = 1;
    for (const std::uint32_t max : {1U, 2U, 7U, 20U, 100U, 5000U})
        for (const std::uint32_t window : {7U, 60U, 100U, 1000U, 60'000U, 3'600'000U})
            for (const int calls_per_window : {1, 3, 40, 400})
                all.push_back({max, window,
                               static_cast<int>(window) / std::max(calls_per_window, 1), seed++});
    return all;
}

/// Gaps of all sizes: bursts, the mean, and sometimes a whole window.
std::int64_t next_gap(std::mt19937& random, const Case& c) {
    switch (random() % 8) {
    case 0:
    case 1:
        return 0;
    case 2:
        return static_cast<std::int64_t>(random() % (c.window_ms + c.window_ms / 10 + 2));
    default:
        return static_cast<std::int64_t>(random() % static_cast<unsigned>(2 * c.mean_gap_ms + 2));
    }
}

TEST(SlidingCounter, AcceptsAtMostMaxInAnySpanAndFreesAtMostOneSixtiethLate) {
    for (const Case& c : cases()) {
        SCOPED_TRACE("max " + std::to_string(c.max) + " window " + std::to_string(c.window_ms) +
                     " seed " + std::to_string(c.seed));
        std::mt19937 random(c.seed);
        const Shape shape{Algorithm::kSliding, c.window_ms, c.max};
        Counter counter;
        std::deque<std::int64_t> accepted; // of the last window and a part
        const std::int64_t late = (c.window_ms + 59) / 60;
        std::int64_t now = kStart + c.seed;
        for (int i = 0; i < 3000; ++i) {
            now += next_gap(random, c);
            while (!accepted.empty() && accepted.front() + c.window_ms + late <= now)
                accepted.pop_front();
            const auto in_window = std::count_if(accepted.begin(), accepted.end(), [&](auto t) {
                return t + c.window_ms >= now; // the span's both ends count
            });
            const Decision decision = counter.take(shape, now);
            if (decision.allowed)
                ASSERT_LT(in_window, c.max) << "too many in one span at step " << i;
            else
                ASSERT_GE(accepted.size(), c.max) << "refused too late after being free, " << i;
            if (decision.allowed)
                accepted.push_back(now);
            // What remains is never more than the truth, and never less than with the part's delay.
            ASSERT_LE(decision.remaining, c.max - in_window - (decision.allowed ? 1 : 0));
            ASSERT_GE(decision.remaining, c.max - static_cast<std::int64_t>(accepted.size()));
        }
    }
}

TEST(SlidingCounter, SaysExactlyWhenOneCallAndWhenAllAreFree) {
    for (const Case& c : cases()) {
        SCOPED_TRACE("max " + std::to_string(c.max) + " window " + std::to_string(c.window_ms) +
                     " seed " + std::to_string(c.seed));
        std::mt19937 random(c.seed);
        const Shape shape{Algorithm::kSliding, c.window_ms, c.max};
        Counter counter;
        std::int64_t now = kStart;
        int refusals = 0;
        for (int i = 0; i < 2000 && refusals < 20; ++i) {
            const Decision decision = counter.take(shape, now);
            ASSERT_GE(decision.reset_epoch_ms, now);
            ASSERT_FALSE(counter.is_free(decision.reset_epoch_ms - 1));
            ASSERT_TRUE(counter.is_free(decision.reset_epoch_ms));
            if (decision.allowed) {
                ASSERT_EQ(decision.retry_after_ms, 0);
                now += next_gap(random, c);
                continue;
            }
            ++refusals;
            ASSERT_FALSE(counter.take(shape, now + decision.retry_after_ms - 1).allowed);
            now += decision.retry_after_ms;
            ASSERT_TRUE(counter.take(shape, now).allowed);
        }
    }
}

TEST(SlidingCounter, CountsABillionWithoutLosingOne) {
    const Shape shape{Algorithm::kSliding, 1000, 1'000'000'000};
    Counter counter;
    counter.absorb(shape, 999'999'998, kStart);
    EXPECT_EQ(counter.take(shape, kStart).remaining, 1);
    EXPECT_EQ(counter.take(shape, kStart + 500).remaining, 0);
    EXPECT_FALSE(counter.take(shape, kStart + 600).allowed);
    EXPECT_EQ(counter.take(shape, kStart + 1100).remaining, 999'999'998);
}

TEST(SlidingCounter, KeepsWhatCountsWhenTheClockStepsBack) {
    const Shape shape{Algorithm::kSliding, 60'000, 3};
    for (const std::int64_t step : {1LL, 999LL, 30'000LL, 61'000LL, 7'200'000LL}) {
        Counter counter;
        for (int i = 0; i < 3; ++i)
            ASSERT_TRUE(counter.take(shape, kStart + i * 5000).allowed);
        const std::int64_t back = kStart + 10'000 - step;
        const Decision decision = counter.take(shape, back);
        EXPECT_FALSE(decision.allowed) << step;
        // It recovers after two windows at most, however far the step was.
        EXPECT_LE(decision.retry_after_ms, 2 * 61'000) << step;
        EXPECT_TRUE(counter.take(shape, back + decision.retry_after_ms).allowed) << step;
    }
}

TEST(SlidingCounter, CarriesWhatCountsIntoANewRule) {
    Counter counter;
    const Shape old_shape{Algorithm::kSliding, 60'000, 20};
    for (int i = 0; i < 15; ++i)
        counter.take(old_shape, kStart + i * 1000);
    const std::int64_t now = kStart + 15'000;
    EXPECT_FALSE(counter.take({Algorithm::kSliding, 60'000, 10}, now).allowed);
    EXPECT_EQ(counter.take({Algorithm::kSliding, 60'000, 30}, now).remaining, 14);
    EXPECT_EQ(counter.take({Algorithm::kSliding, 10'000, 20}, now).remaining, 3);
    EXPECT_EQ(counter.take({Algorithm::kFixed, 10'000, 20}, now).remaining, 2);
    EXPECT_EQ(counter.take({Algorithm::kGcra, 10'000, 20}, now).remaining, 1);
    EXPECT_EQ(counter.take({Algorithm::kGcra, 10'000, 40}, now).remaining, 20);
    EXPECT_EQ(counter.take({Algorithm::kSliding, 10'000, 20}, now).remaining, 0);
    EXPECT_FALSE(counter.take({Algorithm::kSliding, 10'000, 20}, now).allowed);
}

TEST(SlidingCounter, AfterALoweredMaxSaysWhenEnoughIsFree) {
    Counter counter;
    for (int i = 0; i < 5; ++i)
        counter.take({Algorithm::kSliding, 60'000, 5}, kStart + i * 10'000);
    const Shape lowered{Algorithm::kSliding, 60'000, 2};
    const std::int64_t now = kStart + 40'000;
    const Decision decision = counter.take(lowered, now);
    ASSERT_FALSE(decision.allowed);
    EXPECT_EQ(decision.remaining, 0);
    EXPECT_FALSE(counter.take(lowered, now + decision.retry_after_ms - 1).allowed);
    EXPECT_TRUE(counter.take(lowered, now + decision.retry_after_ms).allowed);
}

TEST(FixedCounter, OpensItsWindowAtTheFirstCall) {
    const Shape shape{Algorithm::kFixed, 1000, 2};
    Counter counter;
    EXPECT_EQ(counter.take(shape, kStart).reset_epoch_ms, kStart + 1000);
    EXPECT_TRUE(counter.take(shape, kStart + 900).allowed);
    const Decision refused = counter.take(shape, kStart + 990);
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.retry_after_ms, 10);
    EXPECT_EQ(refused.reset_epoch_ms, kStart + 1000);
    EXPECT_FALSE(counter.take(shape, kStart + 999).allowed);
    EXPECT_EQ(counter.take(shape, kStart + 1000).remaining, 1);
    EXPECT_TRUE(counter.is_free(kStart + 2000));
    EXPECT_FALSE(counter.is_free(kStart + 1999));
}

TEST(FixedCounter, KeepsWhatCountsWhenTheClockStepsBack) {
    const Shape shape{Algorithm::kFixed, 1000, 1};
    Counter counter;
    ASSERT_TRUE(counter.take(shape, kStart).allowed);
    EXPECT_FALSE(counter.take(shape, kStart - 500).allowed);
    const Decision decision = counter.take(shape, kStart - 100'000);
    EXPECT_FALSE(decision.allowed);
    EXPECT_EQ(decision.retry_after_ms, 1000);
    EXPECT_TRUE(counter.take(shape, kStart - 99'000).allowed);
}

TEST(GcraCounter, TakesABurstThenEvenly) {
    const Shape shape{Algorithm::kGcra, 60'000, 20};
    Counter counter;
    for (int i = 0; i < 20; ++i)
        ASSERT_EQ(counter.take(shape, kStart).remaining, 19 - i);
    const Decision refused = counter.take(shape, kStart);
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.retry_after_ms, 3000);
    EXPECT_EQ(refused.reset_epoch_ms, kStart + 60'000);
    EXPECT_FALSE(counter.take(shape, kStart + 2999).allowed);
    EXPECT_TRUE(counter.take(shape, kStart + 3000).allowed);
    EXPECT_FALSE(counter.take(shape, kStart + 3000).allowed);
    EXPECT_TRUE(counter.take(shape, kStart + 6000).allowed);
}

/// The definition: within any span from s to e at most max + (e - s) * max / window are accepted.
TEST(GcraCounter, NeverExceedsBurstPlusRateAndNeverFallsBehindIt) {
    for (const Case& c : cases()) {
        SCOPED_TRACE("max " + std::to_string(c.max) + " window " + std::to_string(c.window_ms) +
                     " seed " + std::to_string(c.seed));
        std::mt19937 random(c.seed);
        const Shape shape{Algorithm::kGcra, c.window_ms, c.max};
        Counter counter;
        // An exact bucket in units of 1/max ms, in wide integers, kept apart from the code's own.
        __extension__ using Wide = __int128;
        Wide arrival = Wide{kStart} * c.max;
        std::int64_t now = kStart;
        for (int i = 0; i < 2000; ++i) {
            now += next_gap(random, c);
            const Wide at = Wide{now} * c.max;
            arrival = std::max(arrival, at);
            const bool fits = arrival + c.window_ms - at <= Wide{c.window_ms} * c.max;
            const Decision decision = counter.take(shape, now);
            ASSERT_EQ(decision.allowed, fits) << i;
            if (fits)
                arrival += c.window_ms;
            const Wide left = Wide{c.window_ms} * c.max - (arrival - at);
            ASSERT_EQ(decision.remaining, static_cast<std::int64_t>(left / c.window_ms)) << i;
            if (fits)
                continue;
            const Wide free = arrival + c.window_ms - Wide{c.window_ms} * c.max; // in 1/max ms
            const auto wait = static_cast<std::int64_t>((free + c.max - 1) / c.max) - now;
            ASSERT_EQ(decision.retry_after_ms, wait) << i;
        }
    }
}

TEST(GcraCounter, WorksAtABillionInATenthOfASecond) {
    const Shape shape{Algorithm::kGcra, 100, 1'000'000'000};
    Counter counter;
    EXPECT_EQ(counter.take(shape, kStart).remaining, 999'999'999);
    counter.absorb(shape, 999'999'999, kStart);
    const Decision refused = counter.take(shape, kStart);
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.retry_after_ms, 1);
    EXPECT_EQ(counter.take(shape, kStart + 1).remaining, 9'999'999);
    EXPECT_TRUE(counter.is_free(kStart + 101));
}

TEST(Counter, BringsAnyRuleIntoRange) {
    EXPECT_EQ(shape_of({.max = 1LL << 40}).max, 1U << 30);
    EXPECT_EQ(shape_of({.window = std::chrono::milliseconds(0)}).window_ms, 1U);
    EXPECT_EQ(shape_of({.window = std::chrono::hours(24 * 365)}).window_ms, ~0U);
}

TEST(Counter, TakesNothingWhenItRefuses) {
    for (const Algorithm algorithm : {Algorithm::kSliding, Algorithm::kFixed, Algorithm::kGcra}) {
        const Shape shape{algorithm, 10'000, 2};
        Counter quiet;
        Counter pestered;
        for (Counter* counter : {&quiet, &pestered}) {
            counter->take(shape, kStart);
            counter->take(shape, kStart);
        }
        for (int i = 0; i < 100; ++i)
            ASSERT_FALSE(pestered.take(shape, kStart + i).allowed);
        EXPECT_EQ(quiet.free_at(kStart), pestered.free_at(kStart));
    }
}

} // namespace
} // namespace larder::limit
