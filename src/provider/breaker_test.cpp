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
    void succeed_times(int times) {
        for (int i = 0; i < times; ++i)
            breaker.succeeded(rule, now);
    }
    bool try_pass() { return breaker.try_pass(rule, now); }
    bool is_passing() { return breaker.is_passing(now); }
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

TEST_F(CircuitBreakerTest, StaysClosedWhereFailuresAreFewOfManyCalls) {
    for (int second = 0; second < 60; ++second, now += kSecond) {
        succeed_times(998);
        fail_times(2); // 20 a window, and 0.2 %
        ASSERT_EQ(breaker.state(), State::kClosed) << second;
    }
}

TEST_F(CircuitBreakerTest, OpensWhereTheFailuresAreTheirShareOfTheCalls) {
    succeed_times(100);
    fail_times(99);
    EXPECT_EQ(breaker.state(), State::kClosed);
    fail_times(1);
    EXPECT_EQ(breaker.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, NeedsBothTheNumberAndTheShare) {
    fail_times(4);
    EXPECT_EQ(breaker.state(), State::kClosed) << "all of them, but only four";
    rule.rate = 0;
    succeed_times(1000);
    fail_times(1);
    EXPECT_EQ(breaker.state(), State::kOpen) << "a share of 0 asks for the number alone";
}

TEST_F(CircuitBreakerTest, ForgetsSuccessesThatAreOlderThanItsWindow) {
    succeed_times(1000);
    now += 10 * kSecond;
    fail_times(5);
    EXPECT_EQ(breaker.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, OpensSoonAfterAHealthyProviderDies) {
    for (int second = 0; second < 20; ++second, now += kSecond)
        succeed_times(100);
    int seconds = 0;
    while (breaker.state() == State::kClosed && seconds < 20) {
        now += kSecond;
        ++seconds;
        fail_times(100);
    }
    EXPECT_LE(seconds, 6) << "half of a window of ten seconds";
    EXPECT_GE(seconds, 4);
}

TEST_F(CircuitBreakerTest, IgnoresASuccessFromBeforeItOpened) {
    fail_times(5);
    succeed_times(1000);
    EXPECT_EQ(breaker.state(), State::kOpen);
    now += kSecond;
    ASSERT_TRUE(try_pass());
    fail_times(1);
    EXPECT_EQ(breaker.state(), State::kOpen) << "a probe's failure asks for no share";
}

TEST_F(CircuitBreakerTest, AFailureAfterTheSuccessOfOneCallCountsItOnce) {
    rule.rate = 0.9;
    for (int i = 0; i < 5; ++i) {
        succeed_times(1);
        breaker.failed_late(rule, now);
    }
    EXPECT_EQ(breaker.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, SurvivesAReloadThatChangesItsWindow) {
    succeed_times(1000);
    rule.window = milliseconds(100);
    now += kSecond;
    fail_times(5);
    EXPECT_EQ(breaker.state(), State::kOpen);
    rule.window = milliseconds(0);
    now += kSecond;
    EXPECT_TRUE(try_pass());
    fail_times(1);
    EXPECT_EQ(breaker.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, SaysWhetherACallWouldPassWithoutLettingItPass) {
    EXPECT_TRUE(is_passing());
    fail_times(5);
    EXPECT_FALSE(is_passing());
    now += kSecond - 1;
    EXPECT_FALSE(is_passing());
    now += 1;
    EXPECT_TRUE(is_passing());
    EXPECT_TRUE(is_passing()) << "asking is no probe";
    EXPECT_EQ(breaker.state(), State::kOpen);
    ASSERT_TRUE(try_pass());
    EXPECT_FALSE(is_passing()) << "the probe is under way";
    now += kSecond;
    EXPECT_TRUE(is_passing()) << "it never came back";
    ASSERT_TRUE(try_pass());
    breaker.abandoned();
    EXPECT_TRUE(is_passing());
    succeed_times(1);
    EXPECT_TRUE(is_passing());
}

TEST(Breakers, AreOneAProvider) {
    Breakers breakers;
    CircuitBreaker& openai = breakers.of("openai");
    EXPECT_EQ(&openai, &breakers.of("openai"));
    EXPECT_NE(&openai, &breakers.of("anthropic"));
}

} // namespace
} // namespace larder::provider
