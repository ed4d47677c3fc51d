// The header lines byte for byte.
#include "limit/headers.hpp"

#include <gtest/gtest.h>

namespace larder::limit {
namespace {

TEST(RateHeaders, AreWrittenInBothForms) {
    std::string out = "Server: larder\r\n";
    const Decision decision{.limit = 20, .remaining = 19, .reset_epoch_ms = 1'700'000'060'500};
    write_rate_headers(out, {.name = "llm"}, decision, 1'700'000'000'000);
    EXPECT_EQ(out, "Server: larder\r\n"
                   "X-RateLimit-Limit: 20\r\n"
                   "X-RateLimit-Remaining: 19\r\n"
                   "X-RateLimit-Reset: 1700000060500\r\n"
                   "RateLimit-Policy: \"llm\";q=20;w=60\r\n"
                   "RateLimit: \"llm\";r=19;t=61\r\n");
}

TEST(RateHeaders, SayOnARefusalWhenToComeBackRoundedUp) {
    std::string out;
    const Decision decision{.allowed = false,
                            .limit = 20,
                            .remaining = 0,
                            .reset_epoch_ms = 1'700'000'060'000,
                            .retry_after_ms = 36'001};
    write_rate_headers(out, {.name = "llm"}, decision, 1'700'000'000'000);
    EXPECT_TRUE(out.ends_with("RateLimit: \"llm\";r=0;t=37\r\nRetry-After: 37\r\n"
                              "retry-after-ms: 36001\r\n"))
        << out;
}

TEST(RateHeaders, NeverSayZeroSecondsOnARefusal) {
    EXPECT_EQ(retry_after_seconds({.allowed = false, .retry_after_ms = 0}), 1);
    EXPECT_EQ(retry_after_seconds({.allowed = false, .retry_after_ms = 1}), 1);
    EXPECT_EQ(retry_after_seconds({.allowed = false, .retry_after_ms = 1000}), 1);
    EXPECT_EQ(retry_after_seconds({.allowed = false, .retry_after_ms = 1001}), 2);
}

TEST(RateHeaders, RoundATinyWindowUpToASecond) {
    std::string out;
    write_rate_headers(out, {.name = "t", .window = std::chrono::milliseconds(100)},
                       {.limit = 1, .remaining = 1, .reset_epoch_ms = 5}, 5);
    EXPECT_NE(out.find(";w=1\r\n"), std::string::npos);
    EXPECT_NE(out.find("r=1;t=0\r\n"), std::string::npos);
}

TEST(RateHeaders, HoldAnyNumbersOfAStore) {
    for (const std::int64_t extreme : {INT64_MIN, INT64_MAX}) {
        for (const std::int64_t now : {std::int64_t{0}, std::int64_t{1'700'000'000'000}, extreme}) {
            std::string out;
            write_rate_headers(out, {.name = "t"},
                               {.limit = 1, .remaining = extreme, .reset_epoch_ms = extreme}, now);
            EXPECT_EQ(out.find(";t=-"), std::string::npos) << out;
        }
    }
    EXPECT_EQ(retry_after_seconds({.retry_after_ms = INT64_MIN}), 1);
    EXPECT_EQ(retry_after_seconds({.retry_after_ms = INT64_MAX}), INT64_MAX / 1000 + 1);
}

TEST(RateHeaders, AreAbsentForATierThatIsOff) {
    std::string out;
    write_rate_headers(out, {.name = "llm", .max = 0}, {}, 1);
    EXPECT_EQ(out, "");
}

} // namespace
} // namespace larder::limit
