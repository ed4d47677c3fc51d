// Tests of the order in which a route's models are asked: each rule of the header, on catalogs of
// a few providers, with a clock and random numbers that the tests give.
#include "gateway/routing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace larder::gateway {
namespace {

using provider::Route;
using provider::RouteMode;
using provider::RouteTarget;
using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kNow = 100 * kSecond;
constexpr std::string_view kPrices = R"({"models":{
    "a/one":{"mode":"chat","input":1,"output":1,"context":10000,"max_output":2000},
    "b/two":{"mode":"chat","input":0.5,"output":4,"context":10000},
    "c/three":{"mode":"chat","input":2,"output":2,"context":100000,
               "long_prompt":{"above":5000,"input":20,"output":20}},
    "d/gpt-4o":{"mode":"chat","input":9,"output":9}}})";

RouteTarget model(std::string provider, std::string name, std::uint32_t weight = 1) {
    RouteTarget target;
    target.provider = std::move(provider);
    target.model = std::move(name);
    target.weight = weight;
    return target;
}

RouteTarget nested(std::string route, std::uint32_t weight = 1) {
    RouteTarget target;
    target.route = std::move(route);
    target.weight = weight;
    return target;
}

Route make(std::string name, RouteMode mode, std::vector<RouteTarget> targets) {
    Route route;
    route.name = std::move(name);
    route.mode = mode;
    route.targets = std::move(targets);
    return route;
}

struct RoutingTest : testing::Test {
    provider::Catalog catalog;
    provider::Breakers breakers;
    provider::HealthTable health;
    RouteCounters counters;
    RouteQuestion question;
    Route route;

    RoutingTest() {
        for (const char* name : {"a", "b", "c", "d"})
            catalog.providers.emplace_back().name = name;
        EXPECT_TRUE(catalog.prices.load(kPrices));
        question.now_us = kNow;
        route.name = "r";
        route.targets = {model("a", "one"), model("b", "two"), model("c", "three")};
    }
    std::vector<RouteCandidate> candidates() {
        return order_route(catalog, route, question, {breakers, health, counters});
    }
    std::vector<std::string> order() {
        std::vector<std::string> names;
        for (const RouteCandidate& candidate : candidates())
            names.push_back(candidate.provider->name + "/" + candidate.model);
        return names;
    }
    void open_breaker(const std::string& name) {
        for (int i = 0; i < 5; ++i)
            breakers.of(name).failed(catalog.find(name)->breaker, question.now_us);
    }
    void cool(const std::string& name, const std::string& of_model) {
        health.of(name, of_model)->cool(question.now_us + kSecond);
    }
    void observe(const std::string& name, const std::string& of_model, std::int64_t took_us) {
        health.of(name, of_model)->observe(question.stream, took_us, question.now_us);
    }
};

TEST_F(RoutingTest, AFallbackKeepsTheFilesOrder) {
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "c/three"));
}

TEST_F(RoutingTest, ASingleModelIsTheFirstTargetWellOrNot) {
    route.mode = RouteMode::kSingleModel;
    EXPECT_THAT(order(), ElementsAre("a/one"));
    cool("a", "one");
    EXPECT_THAT(order(), ElementsAre("a/one"));
    open_breaker("a");
    EXPECT_THAT(order(), ElementsAre("a/one"));
}

TEST_F(RoutingTest, ASingleModelWithinARouteIsTheFirstTargetToo) {
    catalog.routes = {make("in", RouteMode::kSingleModel, {model("a", "one"), model("b", "two")})};
    route.targets = {nested("in"), model("c", "three")};
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three"));
    EXPECT_EQ(candidates().front().on, &route.on);
    cool("a", "one");
    EXPECT_THAT(order(), ElementsAre("c/three", "a/one")) << "the second one's health is no help";
}

TEST_F(RoutingTest, ARouteThatIsTheFirstTargetOfASingleModelKeepsItsOwnOrder) {
    catalog.routes = {make("in", RouteMode::kFallback, {model("a", "one"), model("b", "two")})};
    route.mode = RouteMode::kSingleModel;
    route.targets = {nested("in"), model("c", "three")};
    const auto found = candidates();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].on, &catalog.routes[0].on);
    EXPECT_EQ(found[1].on, nullptr);
}

TEST_F(RoutingTest, PutsThoseThatAreNotWellAtTheEnd) {
    open_breaker("a");
    EXPECT_THAT(order(), ElementsAre("b/two", "c/three", "a/one"));
    cool("b", "two");
    EXPECT_THAT(order(), ElementsAre("c/three", "a/one", "b/two"));
    cool("c", "three");
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "c/three")) << "none is well";
}

TEST_F(RoutingTest, AsksThemAgainOnceTheyMayBeWell) {
    open_breaker("a");
    cool("b", "two");
    question.now_us += kSecond;
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "c/three"));
    ASSERT_TRUE(breakers.of("a").try_pass(catalog.find("a")->breaker, question.now_us));
    EXPECT_THAT(order(), ElementsAre("b/two", "c/three", "a/one")) << "its probe is under way";
}

TEST_F(RoutingTest, TakesAProviderWithoutItsKeyForUnwellWhereThatIsAFailureToGoOnAfter) {
    catalog.providers[0].missing_variable = "A_KEY";
    EXPECT_THAT(order(), ElementsAre("b/two", "c/three", "a/one"));
    route.on.unconfigured = false;
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "c/three"));
}

TEST_F(RoutingTest, AsksEachModelAtAProviderOnce) {
    route.targets = {model("a", "one"), model("b", "two"), model("a", "one"), model("a", "uno")};
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "a/uno"));
}

TEST_F(RoutingTest, AsksNoMoreModelsThanItsBound) {
    route.targets.clear();
    for (int i = 0; i < 100; ++i)
        route.targets.push_back(model("a", std::to_string(i)));
    EXPECT_EQ(order().size(), provider::kMostRouteModels);
}

TEST_F(RoutingTest, PassesOverWhatTheCatalogDoesNotHave) {
    route.targets = {model("gone", "x"), nested("gone"), model("b", "two")};
    EXPECT_THAT(order(), ElementsAre("b/two"));
    route.targets.clear();
    for (const RouteMode mode :
         {RouteMode::kSingleModel, RouteMode::kFallback, RouteMode::kLoadBalance,
          RouteMode::kFastest, RouteMode::kCheapest}) {
        route.mode = mode;
        EXPECT_THAT(order(), ElementsAre());
    }
}

TEST_F(RoutingTest, EndsWhereRoutesMakeACircle) {
    catalog.routes = {make("x", RouteMode::kFastest, {nested("y"), nested("y"), nested("y")}),
                      make("y", RouteMode::kCheapest,
                           {nested("x"), nested("x"), nested("x"), model("a", "one")})};
    route.targets = {nested("x")};
    EXPECT_THAT(order(), ElementsAre("a/one"));
}

TEST_F(RoutingTest, GivesEachModelItsTargetsTimesElseTheRoutes) {
    route.first_byte_timeout = milliseconds(900);
    route.targets[1].first_byte_timeout = milliseconds(100);
    route.targets[1].retries = 3;
    route.targets[1].deployment = "shared";
    const auto found = candidates();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].first_byte_timeout, milliseconds(900));
    EXPECT_EQ(found[1].first_byte_timeout, milliseconds(100));
    EXPECT_EQ(found[0].retries, std::nullopt);
    EXPECT_EQ(found[1].retries, 3);
    EXPECT_EQ(found[0].deployment, "");
    EXPECT_EQ(found[1].deployment, "shared");
}

TEST_F(RoutingTest, GivesWhatStandsAtANestedRouteToItsModels) {
    catalog.routes = {make("in", RouteMode::kFallback, {model("a", "one"), model("b", "two")})};
    route.targets = {nested("in"), model("c", "three")};
    route.targets[0].first_byte_timeout = milliseconds(300);
    catalog.routes[0].targets[1].first_byte_timeout = milliseconds(200);
    const auto found = candidates();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].first_byte_timeout, milliseconds(300));
    EXPECT_EQ(found[1].first_byte_timeout, milliseconds(200));
    EXPECT_EQ(found[2].first_byte_timeout, std::nullopt);
    catalog.routes[0].first_byte_timeout = milliseconds(700);
    const auto again = candidates();
    EXPECT_EQ(again[0].first_byte_timeout, milliseconds(700)) << "its own route is nearer";
}

TEST_F(RoutingTest, TheInnermostRouteWithMoreModelsSaysWhatComesAfterAFailure) {
    catalog.routes = {make("in", RouteMode::kFallback, {model("b", "two"), model("c", "three")})};
    route.targets = {model("a", "one"), nested("in"), model("d", "gpt-4o")};
    const auto found = candidates();
    ASSERT_EQ(found.size(), 4U);
    EXPECT_EQ(found[0].on, &route.on);
    EXPECT_EQ(found[1].on, &catalog.routes[0].on);
    EXPECT_EQ(found[2].on, &route.on);
    EXPECT_EQ(found[3].on, nullptr);
}

TEST_F(RoutingTest, AModelThatIsLeftOutLeavesThePolicyOfTheOuterRoute) {
    catalog.routes = {make("in", RouteMode::kFallback, {model("b", "two"), model("a", "one")})};
    route.targets = {model("a", "one"), nested("in"), model("c", "three")};
    const auto found = candidates();
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[1].on, &route.on) << "what comes next is not in the inner route";
    catalog.routes = {make("in", RouteMode::kFallback, {model("a", "one"), model("b", "two")})};
    const auto other = candidates();
    ASSERT_EQ(other.size(), 3U);
    EXPECT_EQ(other[0].on, &route.on);
    route.targets.pop_back();
    EXPECT_EQ(candidates().back().on, nullptr);
}

TEST_F(RoutingTest, ANestedRouteStandsWhereItsTargetStands) {
    catalog.routes = {make("in", RouteMode::kFallback, {model("b", "two"), model("c", "three")})};
    route.targets = {nested("in"), model("a", "one")};
    EXPECT_THAT(order(), ElementsAre("b/two", "c/three", "a/one"));
    open_breaker("b");
    EXPECT_THAT(order(), ElementsAre("c/three", "b/two", "a/one")) << "one of its own is well";
    open_breaker("c");
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "c/three"));
}

struct CheapestTest : RoutingTest {
    CheapestTest() {
        route.mode = RouteMode::kCheapest;
        question.needs.input_tokens = 1000;
    }
};

TEST_F(CheapestTest, OrdersByThePriceOfTheEstimatedTokens) {
    question.needs.max_output_tokens = 1000; // a 2, b 4.5, c 4 thousandths
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three", "b/two"));
    question.needs.max_output_tokens = 10; // a 1.01, b 0.54, c 2.02
    EXPECT_THAT(order(), ElementsAre("b/two", "a/one", "c/three"));
}

TEST_F(CheapestTest, TakesAThousandTokensForAnAnswerWithoutABound) {
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three", "b/two"));
}

TEST_F(CheapestTest, TakesNoLongerAnAnswerThanTheModelGives) {
    question.needs.max_output_tokens = 8000; // of a at most 2,000
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three", "b/two"));
    catalog.providers[3].name = "e";
    EXPECT_TRUE(catalog.prices.load(
        R"({"models":{"e/short":{"mode":"chat","input":1,"output":90,"max_output":10}}})"));
    route.targets.push_back(model("e", "short")); // 1.9 thousandths
    question.needs.max_output_tokens = 0;
    EXPECT_EQ(order().front(), "e/short");
}

TEST_F(CheapestTest, CountsTheLongPromptsPrice) {
    question.needs.input_tokens = 6000;
    question.needs.max_output_tokens = 3000; // b 15, c 180 thousandths
    route.targets = {model("c", "three"), model("b", "two")};
    EXPECT_THAT(order(), ElementsAre("b/two", "c/three"));
}

TEST_F(CheapestTest, PutsUnpricedOnesAfterThePricedOnes) {
    route.targets = {model("d", "unknown"), model("c", "three"), model("a", "one")};
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three", "d/unknown"));
}

TEST_F(CheapestTest, LeavesOutWhatTheRequestDoesNotFitIn) {
    question.needs.input_tokens = 9500; // and 1,000 of output
    EXPECT_THAT(order(), ElementsAre("c/three"));
    question.needs.max_output_tokens = 500;
    EXPECT_THAT(order(), ElementsAre("b/two", "a/one", "c/three"));
    question.needs.input_tokens = 1'000'000'000'000;
    EXPECT_EQ(order().size(), 3U) << "none can";
}

TEST_F(CheapestTest, LeavesOutWhatCannotDoWhatIsAsked) {
    route.targets.push_back(model("d", "gpt-4o"));
    route.targets.push_back(model("d", "o1-mini"));
    question.needs.vision = true;
    EXPECT_THAT(order(), ElementsAre("d/gpt-4o"));
    question.needs.vision = false;
    question.needs.tools = true;
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three", "b/two", "d/gpt-4o"));
    question.needs.tools = false;
    question.needs.json = true;
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three", "b/two", "d/gpt-4o"));
}

TEST_F(CheapestTest, KeepsAllWhereNoneCan) {
    question.needs.vision = true;
    EXPECT_THAT(order(), ElementsAre("a/one", "c/three", "b/two"));
}

TEST_F(CheapestTest, PrefersWhatIsWellToWhatIsCheap) {
    open_breaker("a");
    EXPECT_THAT(order(), ElementsAre("c/three", "b/two", "a/one"));
}

TEST_F(CheapestTest, AsksAVendorsPriceUnderAnotherProvidersName) {
    catalog.providers[3].vendor = "a";
    route.targets = {model("c", "three"), model("d", "one")};
    EXPECT_THAT(order(), ElementsAre("d/one", "c/three"));
}

TEST_F(CheapestTest, ANestedRouteHasThePriceAndTheAbilitiesOfItsFirstModel) {
    catalog.routes = {make("in", RouteMode::kFallback, {model("a", "one"), model("d", "gpt-4o")})};
    route.targets = {model("c", "three"), nested("in")};
    EXPECT_THAT(order(), ElementsAre("a/one", "d/gpt-4o", "c/three"));
    open_breaker("a");
    EXPECT_THAT(order(), ElementsAre("c/three", "d/gpt-4o", "a/one"));
    question.needs.vision = true;
    EXPECT_THAT(order(), ElementsAre("d/gpt-4o", "a/one"));
}

struct FastestTest : RoutingTest {
    FastestTest() {
        route.mode = RouteMode::kFastest;
        observe("a", "one", 30'000);
        observe("b", "two", 10'000);
        observe("c", "three", 20'000);
    }
};

TEST_F(FastestTest, TakesTheBetterOfTwoAndOrdersTheOthersByTheirCost) {
    std::set<std::vector<std::string>> orders;
    for (question.random = 0; question.random < 200; ++question.random)
        orders.insert(order());
    const std::vector<std::string> best{"b/two", "c/three", "a/one"};
    const std::vector<std::string> second{"c/three", "b/two", "a/one"};
    EXPECT_THAT(orders, ElementsAre(best, second)) << "the slowest is never the better of two";
}

TEST_F(FastestTest, ChoosesAmongThoseThatAreWell) {
    open_breaker("b");
    for (question.random = 0; question.random < 50; ++question.random)
        EXPECT_THAT(order(), ElementsAre("c/three", "a/one", "b/two"));
    cool("c", "three");
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "c/three"));
}

TEST_F(FastestTest, LooksAtStreamsApart) {
    question.stream = true;
    observe("a", "one", 1'000);
    observe("b", "two", 90'000);
    route.targets.pop_back();
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two"));
    question.stream = false;
    EXPECT_THAT(order(), ElementsAre("b/two", "a/one"));
}

TEST_F(FastestTest, ANestedRouteCostsWhatItsFirstModelCosts) {
    catalog.routes = {make("in", RouteMode::kFallback, {model("a", "one"), model("b", "two")})};
    route.targets = {nested("in"), model("c", "three")};
    EXPECT_THAT(order(), ElementsAre("c/three", "a/one", "b/two"));
    observe("c", "three", 40'000);
    EXPECT_THAT(order(), ElementsAre("a/one", "b/two", "c/three"));
}

TEST(RouteCounters, CountEachRouteFromNought) {
    RouteCounters counters;
    EXPECT_EQ(counters.next("x"), 0U);
    EXPECT_EQ(counters.next("x"), 1U);
    EXPECT_EQ(counters.next("y"), 0U);
    EXPECT_EQ(counters.next("x"), 2U);
}

TEST(RouteCounters, AreBegunAnewBeyondTheirBound) {
    RouteCounters counters;
    for (int i = 0; i < 4096; ++i)
        counters.next(std::to_string(i));
    EXPECT_EQ(counters.next("7"), 1U);
    EXPECT_EQ(counters.next("one more"), 0U);
    EXPECT_EQ(counters.next("7"), 0U);
}

} // namespace
} // namespace larder::gateway
