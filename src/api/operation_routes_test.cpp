// Tests of the arithmetic of /llm/cache/stats.
#include "api/operation_routes.hpp"

#include <gtest/gtest.h>

namespace larder::api {
namespace {

TEST(CacheStats, RoundTheHitRateToAWholePercentage) {
    EXPECT_EQ(hit_rate(0, 0), 0);
    EXPECT_EQ(hit_rate(150, 50), 75);
    EXPECT_EQ(hit_rate(1, 2), 33);
    EXPECT_EQ(hit_rate(2, 1), 67);
    EXPECT_EQ(hit_rate(1, 199), 1);
    EXPECT_EQ(hit_rate(1, 0), 100);
    EXPECT_EQ(hit_rate(1'000'000'000'000, 1'000'000'000'000), 50);
}

TEST(CacheStats, JudgeByTheExactRate) {
    EXPECT_EQ(hit_rate_status(0, 0), "ok") << "before the first request";
    EXPECT_EQ(hit_rate_status(60, 40), "ok");
    EXPECT_EQ(hit_rate_status(6001, 3999), "good") << "60.01 %, though 60 is shown";
    EXPECT_EQ(hit_rate_status(30, 70), "ok");
    EXPECT_EQ(hit_rate_status(2999, 7001), "review") << "29.99 %, though 30 is shown";
    EXPECT_EQ(hit_rate_status(0, 1), "review");
    EXPECT_EQ(hit_rate_status(1, 0), "good");
}

TEST(CacheStats, StayAtTheirBoundsWhateverTheTotalsAre) {
    constexpr std::int64_t kMost = INT64_MAX;
    EXPECT_EQ(all_hits({.hits = 3, .stale = 2, .coalesced = 1}), 6);
    EXPECT_EQ(all_hits({.hits = kMost, .stale = 1, .coalesced = kMost}), kMost);
    EXPECT_EQ(all_hits({.hits = 3, .stale = INT64_MIN, .coalesced = -1}), 3);
    EXPECT_EQ(hit_rate(kMost, kMost), 50);
    EXPECT_EQ(hit_rate(kMost, 0), 100);
    EXPECT_EQ(hit_rate(0, kMost), 0);
    EXPECT_EQ(hit_rate(INT64_MIN, INT64_MIN), 0);
    EXPECT_EQ(hit_rate_status(kMost, kMost), "ok");
    EXPECT_EQ(hit_rate_status(kMost, 0), "good");
    EXPECT_EQ(hit_rate_status(-1, kMost), "review");
    EXPECT_EQ(dollars_text(kMost), "$9223372.04");
}

TEST(CacheStats, WriteDollarsWithTwoDigits) {
    EXPECT_EQ(dollars_text(0), "$0.00");
    EXPECT_EQ(dollars_text(1'500'000'000'000), "$1.50");
    EXPECT_EQ(dollars_text(4'999'999'999), "$0.00");
    EXPECT_EQ(dollars_text(5'000'000'000), "$0.01");
    EXPECT_EQ(dollars_text(999'995'000'000'000), "$1000.00");
    EXPECT_EQ(dollars_text(9'000'000'000'000'000'000), "$9000000.00");
}

} // namespace
} // namespace larder::api
