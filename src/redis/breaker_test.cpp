// When the breaker opens and closes, on a clock of the test's own.
#include "redis/breaker.hpp"

#include <gtest/gtest.h>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using Outcome = Breaker::Outcome;
using State = Breaker::State;
constexpr std::uint64_t kMiddle = 512; // of the jitter

TEST(RedisBreaker, OpensAfterFiveFailuresInARow) {
    Breaker breaker;
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(breaker.note(Outcome::kFailed, i));
    EXPECT_FALSE(breaker.note(Outcome::kGood, 4));
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(breaker.note(Outcome::kFailed, 5 + i));
    EXPECT_TRUE(breaker.is_closed());
    EXPECT_TRUE(breaker.note(Outcome::kFailed, 10));
    EXPECT_EQ(breaker.state(), State::kOpen);
    EXPECT_FALSE(breaker.note(Outcome::kFailed, 11)); // it is open already
}

TEST(RedisBreaker, FailuresInARowCountHoweverFarApart) {
    Breaker breaker;
    for (std::int64_t i = 0; i < 4; ++i)
        EXPECT_FALSE(breaker.note(Outcome::kFailed, i * 60'000'000));
    EXPECT_TRUE(breaker.note(Outcome::kFailed, 300'000'000));
}

TEST(RedisBreaker, ALateAnswerBetweenFailuresDoesNotMakeThemForgotten) {
    Breaker breaker;
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(breaker.note(Outcome::kFailed, 2 * i));
        EXPECT_FALSE(breaker.note(Outcome::kSlow, 2 * i + 1));
    }
    EXPECT_TRUE(breaker.note(Outcome::kFailed, 8));
}

TEST(RedisBreaker, OpensWhenHalfOfManyAnswersAreLate) {
    Breaker breaker;
    for (int i = 0; i < 19; ++i) {
        EXPECT_FALSE(breaker.note(Outcome::kGood, 2 * i));
        EXPECT_FALSE(breaker.note(Outcome::kSlow, 2 * i + 1));
    }
    EXPECT_FALSE(breaker.note(Outcome::kGood, 50));
    EXPECT_TRUE(breaker.note(Outcome::kSlow, 51));
}

TEST(RedisBreaker, AFewLateAnswersAmongManyAreNoReason) {
    Breaker breaker;
    for (int i = 0; i < 3000; ++i)
        EXPECT_FALSE(breaker.note(i % 3 == 0 ? Outcome::kSlow : Outcome::kGood, i));
    EXPECT_TRUE(breaker.is_closed());
}

TEST(RedisBreaker, ForgetsLateAnswersAfterASecond) {
    Breaker breaker;
    for (std::int64_t second = 0; second < 5; ++second) {
        for (int i = 0; i < 19; ++i)
            EXPECT_FALSE(breaker.note(Outcome::kSlow, second * 1'000'000 + i));
    }
}

TEST(RedisBreaker, TheFirstGoodProbeClosesItAndABadOneDoesNot) {
    Breaker breaker;
    EXPECT_TRUE(breaker.trip(0));
    EXPECT_FALSE(breaker.trip(1));
    breaker.probing();
    EXPECT_EQ(breaker.state(), State::kHalfOpen);
    EXPECT_FALSE(breaker.note(Outcome::kGood, 2)); // a late answer of before
    EXPECT_EQ(breaker.state(), State::kHalfOpen);
    EXPECT_FALSE(breaker.probed(false, 3));
    EXPECT_EQ(breaker.state(), State::kOpen);
    breaker.probing();
    EXPECT_TRUE(breaker.probed(true, 4));
    EXPECT_TRUE(breaker.is_closed());
    EXPECT_FALSE(breaker.probed(true, 5)); // it is closed already
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(breaker.note(Outcome::kFailed, 6)); // it counts anew
    EXPECT_TRUE(breaker.note(Outcome::kFailed, 6));
}

TEST(RedisBreaker, WaitsLongerBeforeEachProbeUpToASecond) {
    Breaker breaker;
    breaker.trip(0);
    for (int wait = 25; wait <= 800; wait *= 2)
        EXPECT_EQ(breaker.wait(kMiddle), std::chrono::milliseconds(wait));
    EXPECT_EQ(breaker.wait(kMiddle), 1000ms);
    EXPECT_EQ(breaker.wait(kMiddle), 1000ms);
}

TEST(RedisBreaker, ARelapseWaitsOnWhereItWas) {
    Breaker breaker;
    breaker.trip(100'000'000);
    EXPECT_EQ(breaker.wait(kMiddle), 25ms);
    breaker.probed(true, 101'000'000);
    breaker.trip(102'000'000);
    EXPECT_EQ(breaker.wait(kMiddle), 50ms);
    breaker.probed(true, 103'000'000);
    breaker.trip(113'000'000); // ten seconds of health
    EXPECT_EQ(breaker.wait(kMiddle), 25ms);
}

TEST(Backoff, SpreadsEachWaitByAQuarterToBothSides) {
    for (const std::uint64_t random : {0ULL, 511ULL, 1023ULL, ~0ULL}) {
        Backoff backoff(100ms, 10s);
        const auto wait = backoff.next(random);
        EXPECT_GE(wait, 75ms);
        EXPECT_LE(wait, 125ms);
    }
    EXPECT_NE(Backoff(100ms, 10s).next(0), Backoff(100ms, 10s).next(1023));
}

TEST(Backoff, NeverOverflowsAndBeginsAnewWhenReset) {
    Backoff backoff(20ms, 1s);
    for (int i = 0; i < 1000; ++i)
        EXPECT_LE(backoff.next(~0ULL), 1250ms);
    EXPECT_EQ(backoff.next(kMiddle), 1s);
    backoff.reset();
    EXPECT_EQ(backoff.next(kMiddle), 20ms);
}

} // namespace
} // namespace larder::redis
