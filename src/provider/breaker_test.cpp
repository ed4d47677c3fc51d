// The circuit breaker by a clock that tests move: when it opens, who probes, and what closes it.
#include "provider/breaker.hpp"

#include <gtest/gtest.h>

namespace larder::provider {
namespace {

using State = CircuitBreaker::State;
constexpr std::int64_t kSecond = 1'000'000;

struct CircuitBreakerTest : testing::Test {
    Breaker rule;
    CircuitBreaker breaker;
    std::int64_t now = 100 * kSecond;

    void fail_times(int times) {
        for (int i = 0; i < times; ++i)
            breaker.failed(rule, now);
    }
    bool try_pass() { return breaker.try_pass(rule, now); }
};

TEST_F(CircuitBreakerTest, OpensAtTheFifthFailureWithinTenSeconds) {
    fail_times(4);
    EXPECT_EQ(breaker.state(), State::kClosed);
    EXPECT_TRUE(try_pass());
    now += 10 * kSecond;
    fail_times(1);
    EXPECT_EQ(breaker.state(), State::kOpen);
    EXPECT_FALSE(try_pass());
}

TEST_F(CircuitBreakerTest, StaysClosedWhenTheFailuresAreFurtherApart) {
    fail_times(4);
    now += 10 * kSecond + 1;
    fail_times(4);
    EXPECT_EQ(breaker.state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, LetsOneProbePassAfterASecond) {
    fail_times(5);
    now += kSecond - 1;
    EXPECT_FALSE(try_pass());
    now += 1;
    EXPECT_TRUE(try_pass());
    EXPECT_EQ(breaker.state(), State::kHalfOpen);
    EXPECT_FALSE(try_pass()) << "one at a time";
}

TEST_F(CircuitBreakerTest, AProbesSuccessClosesItWithACleanSlate) {
    fail_times(5);
    now += kSecond;
    ASSERT_TRUE(try_pass());
    breaker.succeeded(rule, now);
    EXPECT_EQ(breaker.state(), State::kClosed);
    fail_times(4);
    EXPECT_EQ(breaker.state(), State::kClosed);
    EXPECT_TRUE(try_pass());
}

TEST_F(CircuitBreakerTest, AProbesFailureOpensItForAnotherSecond) {
    fail_times(5);
    now += kSecond;
    ASSERT_TRUE(try_pass());
    fail_times(1);
    EXPECT_EQ(breaker.state(), State::kOpen);
    now += kSecond - 1;
    EXPECT_FALSE(try_pass());
    now += 1;
    EXPECT_TRUE(try_pass());
}

TEST_F(CircuitBreakerTest, AnAbandonedProbeMakesRoomForAnother) {
    fail_times(5);
    now += kSecond;
    ASSERT_TRUE(try_pass());
    breaker.abandoned();
    EXPECT_EQ(breaker.state(), State::kHalfOpen);
    EXPECT_TRUE(try_pass());
    EXPECT_FALSE(try_pass());
}

TEST_F(CircuitBreakerTest, AProbeThatNeverCameBackIsReplacedAfterASecond) {
    fail_times(5);
    now += kSecond;
    ASSERT_TRUE(try_pass());
    now += kSecond;
    EXPECT_TRUE(try_pass());
}

TEST_F(CircuitBreakerTest, SuccessesBetweenDoNotHideTheFailuresOfAClosedOne) {
    for (int i = 0; i < 5; ++i) {
        fail_times(1);
        if (i < 4)
            breaker.succeeded(rule, now);
    }
    EXPECT_EQ(breaker.state(), State::kOpen);
}

TEST(Breakers, AreOneAProvider) {
    Breakers breakers;
    CircuitBreaker& openai = breakers.of("openai");
    EXPECT_EQ(&openai, &breakers.of("openai"));
    EXPECT_NE(&openai, &breakers.of("anthropic"));
}

} // namespace
} // namespace larder::provider
