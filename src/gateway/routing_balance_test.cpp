// Tests of load-balance over many requests: shares, mixture, who takes over from one that is
// unwell, and which keys stay where.
#include "gateway/routing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace larder::gateway {
namespace {

using provider::Route;
using provider::RouteMode;
using testing::ElementsAre;

struct BalanceTest : testing::Test {
    provider::Catalog catalog;
    provider::Breakers breakers;
    provider::HealthTable health;
    RouteCounters counters;
    RouteQuestion question;
    Route route;

    BalanceTest() {
        question.now_us = 100'000'000;
        for (const char* name : {"a", "b", "c", "d"})
            catalog.providers.emplace_back().name = name;
        route = balanced("r", {{"a", 70}, {"b", 30}});
    }
    static Route balanced(std::string name,
                          const std::vector<std::pair<std::string, std::uint32_t>>& weights) {
        Route made;
        made.name = std::move(name);
        made.mode = RouteMode::kLoadBalance;
        for (const auto& [provider, weight] : weights) {
            made.targets.emplace_back().provider = provider;
            made.targets.back().model = "m";
            made.targets.back().weight = weight;
        }
        return made;
    }
    static provider::RouteTarget nested(std::string name, std::uint32_t weight) {
        provider::RouteTarget target;
        target.route = std::move(name);
        target.weight = weight;
        return target;
    }
    std::vector<std::string> order() {
        question.random += 0x9E3779B97F4A7C15U;
        std::vector<std::string> names;
        for (const RouteCandidate& candidate :
             order_route(catalog, route, question, {breakers, health, counters}))
            names.push_back(candidate.provider->name);
        return names;
    }
    /// How often each provider was the first of `requests`.
    std::map<std::string, int> shares(int requests) {
        std::map<std::string, int> first;
        for (int i = 0; i < requests; ++i)
            ++first[order().front()];
        return first;
    }
    static Route sticky(Route made) {
        made.sticky = provider::Sticky::kSession;
        return made;
    }
    std::string first_of(std::string_view key) {
        question.session = key;
        return order().front();
    }
    void cool(const std::string& name) { health.of(name, "m")->cool(question.now_us + 1); }
};

TEST_F(BalanceTest, MeetsSeventyToThirtyOverTenThousandRequests) {
    const auto first = shares(10'000);
    EXPECT_NEAR(first.at("a"), 7000, 10);
    EXPECT_NEAR(first.at("b"), 3000, 10);
}

TEST_F(BalanceTest, MeetsManyWeights) {
    route = balanced("r", {{"a", 1}, {"b", 2}, {"c", 4}, {"d", 93}});
    const auto first = shares(10'000);
    EXPECT_NEAR(first.at("a"), 100, 10);
    EXPECT_NEAR(first.at("b"), 200, 10);
    EXPECT_NEAR(first.at("c"), 400, 10);
    EXPECT_NEAR(first.at("d"), 9300, 10);
}

TEST_F(BalanceTest, MixesShortRuns) {
    int run = 0;
    int longest = 0;
    std::map<std::string, int> first;
    for (int i = 1; i <= 1000; ++i) {
        const std::string name = order().front();
        ++first[name];
        run = name == "a" ? run + 1 : 0;
        longest = std::max(longest, run);
        ASSERT_NEAR(first["a"], 0.7 * i, 3) << "after " << i;
    }
    EXPECT_LE(longest, 5);
}

TEST_F(BalanceTest, LetsTheOthersFollowHeavierOnesFirst) {
    route = balanced("r", {{"a", 1}, {"b", 2}, {"c", 4}, {"d", 100}});
    for (int i = 0; i < 100; ++i) {
        const auto found = order();
        if (found.front() == "d")
            EXPECT_THAT(found, ElementsAre("d", "c", "b", "a"));
        if (found.front() == "b")
            EXPECT_THAT(found, ElementsAre("b", "d", "c", "a"));
    }
}

TEST_F(BalanceTest, SharesWhatAnUnwellOneHadByTheOthersWeights) {
    route = balanced("r", {{"a", 50}, {"b", 30}, {"c", 10}, {"d", 10}});
    cool("a");
    const auto first = shares(10'000);
    EXPECT_FALSE(first.contains("a"));
    EXPECT_NEAR(first.at("b"), 6000, 10);
    EXPECT_NEAR(first.at("c"), 2000, 10);
    EXPECT_EQ(order().back(), "a") << "asked when nothing else is left";
    for (const char* name : {"b", "c", "d"})
        cool(name);
    EXPECT_NEAR(shares(10'000).at("a"), 5000, 10) << "none is well: then all are chosen from";
}

TEST_F(BalanceTest, AsksOneOfNoWeightOnlyWhereTheOthersFail) {
    route = balanced("r", {{"a", 0}, {"b", 1}});
    for (int i = 0; i < 100; ++i)
        EXPECT_THAT(order(), ElementsAre("b", "a"));
    cool("b");
    EXPECT_THAT(order(), ElementsAre("a", "b"));
}

TEST_F(BalanceTest, TakesTheLargestWeights) {
    route = balanced("r", {{"a", 4'294'967'295U}, {"b", 4'294'967'295U}});
    EXPECT_NEAR(shares(1000).at("a"), 500, 5);
}

TEST_F(BalanceTest, CountsEachRouteApart) {
    const auto mine = shares(10);
    route.name = "other";
    EXPECT_EQ(shares(10), mine);
}

TEST_F(BalanceTest, MeetsTheSharesOfARouteWithinARoute) {
    catalog.routes = {balanced("in", {{"a", 50}, {"b", 50}})};
    route.targets = {nested("in", 70), balanced("", {{"c", 30}}).targets.front()};
    const auto first = shares(10'000);
    EXPECT_NEAR(first.at("c"), 3000, 10);
    EXPECT_NEAR(first.at("a"), 3500, 20);
    EXPECT_NEAR(first.at("b"), 3500, 20);
}

TEST_F(BalanceTest, ARouteThatStandsByTakesNoStepOfItsSequence) {
    catalog.routes = {balanced("in", {{"a", 50}, {"b", 50}})};
    route.mode = RouteMode::kFallback;
    route.targets = {balanced("", {{"c", 1}}).targets.front(), nested("in", 1)};
    std::map<std::string, int> second;
    for (int i = 0; i < 1000; ++i)
        ++second[order().at(1)];
    EXPECT_NEAR(second["a"], 500, 80) << "by chance, while it only stands by";
    EXPECT_EQ(counters.next("in"), 0U);
}

TEST_F(BalanceTest, KeepsAKeyAtItsTarget) {
    route = sticky(balanced("r", {{"a", 1}, {"b", 1}, {"c", 1}}));
    for (const char* key : {"alice", "bob", "carol"}) {
        const std::string first = first_of(key);
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(first_of(key), first) << key;
    }
}

TEST_F(BalanceTest, SpreadsKeysByWeight) {
    route.sticky = provider::Sticky::kSession;
    std::map<std::string, int> first;
    for (int i = 0; i < 10'000; ++i)
        ++first[first_of("key " + std::to_string(i))];
    EXPECT_NEAR(first["a"], 7000, 200) << "four standard deviations are 183";
}

TEST_F(BalanceTest, MovesOnlyTheKeysOfATargetThatIsUnwell) {
    route = sticky(balanced("r", {{"a", 4}, {"b", 3}, {"c", 2}, {"d", 1}}));
    std::map<std::string, std::string> before;
    for (int i = 0; i < 2000; ++i) {
        const std::string key = "key " + std::to_string(i);
        before[key] = first_of(key);
    }
    cool("a");
    std::map<std::string, int> taken_over;
    for (const auto& [key, name] : before) {
        const std::string after = first_of(key);
        if (name == "a")
            ++taken_over[after];
        else
            EXPECT_EQ(after, name) << key;
    }
    EXPECT_GT(taken_over["b"], taken_over["c"]);
    EXPECT_GT(taken_over["c"], taken_over["d"]);
    EXPECT_GT(taken_over["d"], 0);
    question.now_us += 1;
    for (const auto& [key, name] : before)
        EXPECT_EQ(first_of(key), name) << "well again: " << key;
}

TEST_F(BalanceTest, KeepsAKeyWhereTheFilesOrderChanges) {
    route = sticky(balanced("r", {{"a", 4}, {"b", 3}, {"c", 2}}));
    std::map<std::string, std::string> before;
    for (int i = 0; i < 200; ++i) {
        const std::string key = std::to_string(i);
        before[key] = first_of(key);
    }
    std::ranges::reverse(route.targets);
    for (const auto& [key, name] : before)
        EXPECT_EQ(first_of(key), name);
}

TEST_F(BalanceTest, KeepsAKeyWithinARouteWithinARouteByALotOfItsOwn) {
    catalog.routes = {sticky(balanced("in", {{"a", 50}, {"b", 50}}))};
    route.sticky = provider::Sticky::kSession;
    route.targets = {nested("in", 50), balanced("", {{"c", 50}}).targets.front()};
    std::map<std::string, int> first;
    for (int i = 0; i < 4000; ++i) {
        const std::string key = std::to_string(i);
        const std::string name = first_of(key);
        ASSERT_EQ(first_of(key), name);
        ++first[name];
    }
    EXPECT_NEAR(first["c"], 2000, 130);
    EXPECT_NEAR(first["a"], 1000, 110);
    EXPECT_NEAR(first["b"], 1000, 110);
}

TEST_F(BalanceTest, KeepsAKeyWhereOnlyTheRouteWithinIsSticky) {
    catalog.routes = {sticky(balanced("in", {{"a", 50}, {"b", 50}}))};
    route.mode = RouteMode::kFallback;
    route.targets = {nested("in", 1), balanced("", {{"c", 1}}).targets.front()};
    std::map<std::string, int> first;
    for (int i = 0; i < 40; ++i) {
        const std::string key = std::to_string(i);
        const std::string name = first_of(key);
        for (int j = 0; j < 5; ++j)
            EXPECT_EQ(first_of(key), name) << key;
        ++first[name];
    }
    EXPECT_EQ(first.size(), 2U);
}

TEST_F(BalanceTest, ARouteWithinAStickyOneMeetsItsOwnWeights) {
    catalog.routes = {balanced("in", {{"a", 50}, {"b", 50}})};
    route = sticky(balanced("r", {}));
    route.targets = {nested("in", 1)};
    question.session = "always the same";
    EXPECT_NEAR(shares(100)["a"], 50, 2);
}

TEST_F(BalanceTest, KeepsAUserAsItKeepsASession) {
    route = balanced("r", {{"a", 50}, {"b", 50}});
    route.sticky = provider::Sticky::kUser;
    std::map<std::string, int> first;
    for (int i = 0; i < 40; ++i) {
        const std::string user = std::to_string(i);
        question.user = user;
        const std::string name = first_of("a session");
        for (int j = 0; j < 5; ++j)
            EXPECT_EQ(first_of(std::to_string(j)), name) << user;
        ++first[name];
    }
    EXPECT_EQ(first.size(), 2U);
}

} // namespace
} // namespace larder::gateway
