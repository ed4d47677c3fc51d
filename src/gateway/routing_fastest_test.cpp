// Simulations of `fastest`: requests come by a clock that the test moves, each goes to the first
// candidate, and its first byte comes after that target's time.
#include "gateway/routing.hpp"

#include <gtest/gtest.h>

#include <queue>
#include <random>

namespace larder::gateway {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::int64_t kSecond = 1'000'000;

class FastestSimulation : public testing::Test {
protected:
    FastestSimulation() {
        for (const char* name : {"a", "b", "c"}) {
            catalog_.providers.emplace_back().name = name;
            route_.targets.emplace_back().provider = name;
            route_.targets.back().model = "m";
            took_us_[name] = kMs;
        }
        route_.name = "r";
        route_.mode = provider::RouteMode::kFastest;
    }

    /// Sends `per_second` requests a second, evenly, and counts where they went.
    void run(std::int64_t seconds, int per_second) {
        sent_.clear();
        const std::int64_t end_us = now_us_ + seconds * kSecond;
        for (; now_us_ < end_us; now_us_ += kSecond / per_second)
            send();
    }
    void send() {
        settle();
        const RouteQuestion question{.needs = {},
                                     .stream = true,
                                     .user = {},
                                     .session = {},
                                     .now_us = now_us_,
                                     .random = random_()};
        const auto found = order_route(catalog_, route_, question, {breakers_, health_, counters_});
        ASSERT_EQ(found.size(), 3U);
        const std::string& name = found.front().provider->name;
        ++sent_[name];
        health_.of(name, "m")->began();
        calls_.push({.end_us = now_us_ + took_us_[name], .began_us = now_us_, .name = name});
    }
    /// In percent.
    double share_of(const std::string& name) {
        int all = 0;
        for (const auto& [of, count] : sent_)
            all += count;
        return 100.0 * sent_[name] / all;
    }

    std::map<std::string, std::int64_t> took_us_;
    std::map<std::string, int> sent_;
    std::int64_t now_us_ = 1000 * kSecond;

private:
    struct Call {
        std::int64_t end_us = 0;
        std::int64_t began_us = 0;
        std::string name;
        bool operator<(const Call& other) const { return end_us > other.end_us; }
    };
    /// The calls that have ended by now.
    void settle() {
        while (!calls_.empty() && calls_.top().end_us <= now_us_) {
            const Call& call = calls_.top();
            const auto target = health_.of(call.name, "m");
            target->observe(true, call.end_us - call.began_us, call.end_us);
            target->ended();
            calls_.pop();
        }
    }

    provider::Catalog catalog_;
    provider::Route route_;
    provider::Breakers breakers_;
    provider::HealthTable health_;
    RouteCounters counters_;
    std::priority_queue<Call> calls_;
    std::mt19937_64 random_{20'260'724};
};

TEST_F(FastestSimulation, LeavesASlowTargetAloneFromTheFirstSecondsOn) {
    took_us_["b"] = 501 * kMs;
    run(2, 200);
    EXPECT_LE(share_of("b"), 5);
    EXPECT_GE(sent_["b"], 1) << "it was tried";
    run(30, 200);
    EXPECT_LE(share_of("b"), 1);
}

TEST_F(FastestSimulation, LeavesATargetThatBecomesSlow) {
    run(10, 200);
    EXPECT_GE(share_of("b"), 20);
    took_us_["b"] = 501 * kMs;
    run(2, 200);
    run(30, 200);
    EXPECT_LE(share_of("b"), 1);
}

TEST_F(FastestSimulation, FindsATargetThatHasBecomeFastWithinAMinute) {
    took_us_["b"] = 501 * kMs;
    run(30, 200);
    took_us_["b"] = kMs;
    run(45, 200);
    run(15, 200);
    EXPECT_GE(share_of("b"), 20);
}

TEST_F(FastestSimulation, SharesEvenlyBetweenEquals) {
    run(60, 200);
    for (const char* name : {"a", "b", "c"})
        EXPECT_NEAR(share_of(name), 100.0 / 3, 5) << name;
}

TEST_F(FastestSimulation, LeavesASlowTargetAloneWhereCallsOverlap) {
    took_us_ = {{"a", 50 * kMs}, {"b", 550 * kMs}, {"c", 50 * kMs}};
    run(2, 1000);
    run(30, 1000);
    EXPECT_LE(share_of("b"), 5);
}

TEST_F(FastestSimulation, DoesNotTakeSilenceForSpeed) {
    run(5, 200);
    took_us_["b"] = 20 * kSecond; // it hangs
    run(15, 200);
    EXPECT_LE(sent_["b"], 2);
}

TEST_F(FastestSimulation, DoesNotSendABurstToOneOfWhichNothingIsKnown) {
    took_us_ = {{"a", 10 * kMs}, {"b", 10 * kSecond}, {"c", 10 * kMs}};
    run(5, 1000);
    EXPECT_GE(sent_["b"], 1);
    EXPECT_LE(sent_["b"], 10) << "of the ten before the others' first byte a third";
}

} // namespace
} // namespace larder::gateway
