// Which failures are tried again and after how long, hostile Retry-After values included.
#include "provider/retry.hpp"

#include <gtest/gtest.h>

#include <string>

namespace larder::provider {
namespace {

using std::chrono::milliseconds;
constexpr std::int64_t kDay = 86'400'000;
constexpr std::int64_t kNow = 784'111'770'000; // Sun, 06 Nov 1994 08:49:30 GMT

std::int64_t asked(std::string_view name, std::string_view value) {
    http::Fields fields;
    fields.add(name, value);
    const auto wait = retry_after(fields, kNow);
    return wait ? wait->count() : -1;
}

TEST(Retry, IsForStatusesThatMayPass) {
    for (const int status : {408, 409, 429, 500, 502, 503, 504, 529})
        EXPECT_TRUE(is_retryable(status)) << status;
    for (const int status : {200, 301, 400, 401, 403, 404, 413, 422, 501, 505})
        EXPECT_FALSE(is_retryable(status)) << status;
}

TEST(RetryAfter, IsReadAsSecondsMillisecondsOrADate) {
    EXPECT_EQ(asked("Retry-After", "2"), 2000);
    EXPECT_EQ(asked("retry-after-ms", "150"), 150);
    EXPECT_EQ(asked("Retry-After", "0"), 0);
    EXPECT_EQ(asked("Retry-After", "1.2"), 2000) << "fractions are rounded up";
    EXPECT_EQ(asked("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"), 7000);
    EXPECT_EQ(asked("Retry-After", "Sun, 06 Nov 1994 08:49:00 GMT"), 0) << "it is over";
}

TEST(RetryAfter, PrefersMillisecondsThatCanBeRead) {
    http::Fields fields;
    fields.add("Retry-After", "9");
    EXPECT_EQ(retry_after(fields, kNow), milliseconds(9000));
    fields.add("retry-after-ms", "soon");
    EXPECT_EQ(retry_after(fields, kNow), milliseconds(9000));
}

TEST(RetryAfter, HasNoMeaningInOtherForms) {
    for (const std::string_view value : {"", "soon", "-1", "-0.5", "Sun, 06 Nov", "5 s", "\xff"})
        EXPECT_EQ(asked("Retry-After", value), -1) << value;
    EXPECT_FALSE(retry_after({}, kNow));
}

TEST(RetryAfter, CutsAnAbsurdWishToADay) {
    for (const std::string_view value :
         {"86401", "9223372036854775807", "9223372036854775807.5", "99999999999999999999999",
          "Fri, 31 Dec 9999 23:59:59 GMT"}) {
        EXPECT_EQ(asked("Retry-After", value), kDay) << value;
    }
    EXPECT_EQ(asked("retry-after-ms", "9223372036854775807.5"), kDay);
}

TEST(RetrySchedule, WaitsUpToTwiceAsLongEachTimeAndStopsAfterItsTries) {
    Provider provider;
    provider.retries = 3;
    provider.retry_max_wait = milliseconds(100'000);
    for (std::uint64_t random = 0; random < 5000; random += 7) {
        RetrySchedule schedule(provider);
        for (int i = 0; i < 3; ++i) {
            const std::int64_t bound = 250 << i;
            const auto wait = schedule.next(std::nullopt, random);
            ASSERT_TRUE(wait);
            ASSERT_EQ(wait->count(),
                      static_cast<std::int64_t>(random % static_cast<std::uint64_t>(bound + 1)));
        }
        ASSERT_FALSE(schedule.next(std::nullopt, random));
    }
}

TEST(RetrySchedule, NeverWaitsLessThanItWasAsked) {
    Provider provider;
    RetrySchedule schedule(provider);
    EXPECT_EQ(schedule.next(milliseconds(900), 0), milliseconds(900));
    EXPECT_EQ(schedule.next(milliseconds(10), 200), milliseconds(200));
}

TEST(RetrySchedule, GivesUpWhenItIsAskedForMoreThanIsLeft) {
    Provider provider;
    RetrySchedule schedule(provider);
    EXPECT_EQ(schedule.next(milliseconds(3000), 0), milliseconds(3000)) << "all there is";
    EXPECT_FALSE(schedule.next(milliseconds(1), 0));
    EXPECT_FALSE(RetrySchedule(provider).next(milliseconds(3001), 0));
}

TEST(RetrySchedule, NeverWaitsLongerThanItsBoundInAll) {
    Provider provider;
    provider.retries = 50;
    for (std::uint64_t random = 1; random < 2000; random += 13) {
        RetrySchedule schedule(provider);
        milliseconds all{0};
        while (const auto wait = schedule.next(std::nullopt, random * 7919))
            all += *wait;
        ASSERT_LE(all, provider.retry_max_wait);
    }
}

TEST(RetrySchedule, OfNoRetriesHasNone) {
    Provider provider;
    provider.retries = 0;
    EXPECT_FALSE(RetrySchedule(provider).next(std::nullopt, 1));
}

} // namespace
} // namespace larder::provider
