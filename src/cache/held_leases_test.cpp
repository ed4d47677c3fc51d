// Tests of the table of the leases that a node holds.
#include "cache/held_leases.hpp"

#include "cache/news.hpp"

#include <gtest/gtest.h>

#include <set>

namespace larder::cache {
namespace {

TEST(HeldLeases, MakesTokensThatNobodyHasHad) {
    HeldLeases one(100);
    HeldLeases two(100);
    std::set<std::string> tokens;
    for (int i = 0; i < 100; ++i) {
        for (HeldLeases* leases : {&one, &two}) {
            const std::string token = leases->make_token();
            EXPECT_TRUE(tokens.insert(token).second);
            EXPECT_TRUE(is_token(token));
            EXPECT_EQ(one.is_ours(token), leases == &one);
        }
    }
    EXPECT_FALSE(one.is_ours(""));
}

TEST(HeldLeases, HoldsUntilTheEnd) {
    HeldLeases leases(100);
    EXPECT_FALSE(leases.holds("a.1"));
    leases.hold("a.1", {}, 5);
    EXPECT_TRUE(leases.holds("a.1"));
    EXPECT_FALSE(leases.end("a.1")); // nobody waited
    EXPECT_FALSE(leases.holds("a.1"));
    EXPECT_FALSE(leases.end("a.1"));
    EXPECT_EQ(leases.size(), 0U);
}

TEST(HeldLeases, SaysAtTheEndThatSomebodyWaits) {
    HeldLeases leases(100);
    leases.hold("a.1", {}, 5);
    EXPECT_TRUE(leases.want("a.1"));
    EXPECT_TRUE(leases.end("a.1"));
    EXPECT_FALSE(leases.want("a.1"));
}

TEST(HeldLeases, CallsAnOfferWheneverSomebodyWaits) {
    HeldLeases leases(100);
    int calls = 0;
    leases.hold("a.1", {}, 5);
    leases.offer("a.1", {.wanted = [&] { ++calls; }, .left = {}});
    EXPECT_EQ(calls, 0);
    leases.want("a.1");
    EXPECT_EQ(calls, 1);
    leases.want("a.1");
    EXPECT_EQ(calls, 2);
}

TEST(HeldLeases, CallsALateOfferAtOnce) {
    HeldLeases leases(100);
    int calls = 0;
    leases.hold("a.1", {}, 5);
    leases.want("a.1");
    leases.offer("a.1", {.wanted = [&] { ++calls; }, .left = {}});
    EXPECT_EQ(calls, 1);
}

TEST(HeldLeases, CallsNobodyAfterAWithdrawal) {
    HeldLeases leases(100);
    int calls = 0;
    leases.hold("a.1", {}, 5);
    leases.offer("a.1", {.wanted = [&] { ++calls; }, .left = {}});
    leases.withdraw("a.1");
    EXPECT_TRUE(leases.want("a.1"));
    EXPECT_EQ(calls, 0);
    leases.withdraw("a.2"); // never offered
}

TEST(HeldLeases, NumbersPiecesUpToItsBound) {
    HeldLeases leases(100);
    leases.hold("a.1", {}, 5);
    EXPECT_FALSE(leases.reserve("a.1", 1, 1)); // not offered
    leases.offer("a.1", {.wanted = [] {}, .left = {}});
    EXPECT_EQ(leases.reserve("a.1", 2, 60), 1U);
    EXPECT_FALSE(leases.reserve("a.1", 1, 41));
    EXPECT_EQ(leases.reserve("a.1", 3, 40), 3U);
    EXPECT_FALSE(leases.reserve("a.1", 1, 1));
    EXPECT_EQ(leases.reserve("a.1", 1, 0), 6U);
    leases.end("a.1"); // the answer is there, the relay's end may still be written
    EXPECT_EQ(leases.reserve("a.1", 1, 0), 7U);
    leases.withdraw("a.1");
    EXPECT_FALSE(leases.reserve("a.1", 1, 0));
    EXPECT_EQ(leases.size(), 0U);
}

TEST(HeldLeases, ForgetsWhatWasNotRenewed) {
    HeldLeases leases(100);
    leases.hold("a.1", {}, 10);
    leases.hold("a.2", {}, 10);
    leases.offer("a.2", {.wanted = [] {}, .left = {}});
    leases.hold("a.3", {}, 10);
    leases.touch("a.3", 20);
    leases.touch("a.4", 20);
    leases.forget_older(15);
    EXPECT_FALSE(leases.holds("a.1"));
    EXPECT_FALSE(leases.holds("a.2"));
    EXPECT_TRUE(leases.holds("a.3"));
    EXPECT_EQ(leases.size(), 2U); // the offer is still there
    leases.withdraw("a.2");
    EXPECT_EQ(leases.size(), 1U);
}

} // namespace
} // namespace larder::cache
