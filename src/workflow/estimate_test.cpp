// What a workflow costs at most: the sums, and what happens where prices or bounds are not known.
#include "workflow/estimate.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace larder::workflow {
namespace {

constexpr std::int64_t kPicodollarsPerMicrodollar = 1'000'000;

/// A dollar per million input tokens and 10 per million output tokens is 1 and 10 microdollars
/// each.
constexpr std::string_view kPrices = R"({"about": "of this test", "models": {
    "v/small": {"mode": "chat", "input": 1, "output": 10, "max_output": 100},
    "v/large": {"mode": "chat", "input": 20, "output": 30, "max_output": 200},
    "v/endless": {"mode": "chat", "input": 1, "output": 1}}})";

provider::Catalog make_catalog() {
    provider::Catalog catalog;
    catalog.providers.push_back({.name = "p", .vendor = "v"});
    catalog.default_model = "p/small";
    const auto loaded = catalog.prices.load(kPrices);
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
    const auto target = [](const std::string& model) {
        return provider::RouteTarget{.provider = "p", .model = model};
    };
    catalog.routes.push_back({.name = "inner", .targets = {target("small"), target("large")}});
    catalog.routes.push_back(
        {.name = "outer", .targets = {target("small"), provider::RouteTarget{.route = "inner"}}});
    return catalog;
}

Estimate estimate_of(const std::string& steps, std::int64_t input_tokens_each = 1'000,
                     const Limits& limits = {}) {
    const std::string text = R"({"steps": [)" + steps + "]}";
    const auto document = json::parse(text);
    EXPECT_TRUE(document.has_value());
    const auto workflow = read_workflow(document->root(), {.limits = limits});
    EXPECT_TRUE(workflow.has_value()) << workflow.error().message;
    return workflow ? estimate(*workflow, make_catalog(), limits, input_tokens_each) : Estimate{};
}

std::int64_t microdollars(const Estimate& estimate) {
    return estimate.cost.picodollars / kPicodollarsPerMicrodollar;
}

TEST(Estimate, TakesTheLongestAnswerAndFourBytesAToken) {
    const Estimate estimate = estimate_of(R"({"id": "a", "prompt": "12345678", "system": "1234"})");
    EXPECT_EQ(microdollars(estimate), 3 + (100 * 10));
    EXPECT_EQ(estimate.calls, 1);
    EXPECT_TRUE(estimate.priced);
    EXPECT_TRUE(estimate.bounded);
    EXPECT_EQ(estimate.input_tokens_each, 1'000);
}

TEST(Estimate, TakesMaxTokensWhereTheyAreGiven) {
    EXPECT_EQ(microdollars(estimate_of(R"({"id": "a", "prompt": "1234", "maxTokens": 7})")),
              1 + 70);
}

TEST(Estimate, CountsEachReference) {
    EXPECT_EQ(microdollars(estimate_of(
                  R"({"id": "a", "prompt": "{{input.x}}{{input.y}}", "maxTokens": 1})", 50)),
              100 + 10);
    EXPECT_EQ(microdollars(estimate_of(
                  R"({"id": "a", "prompt": "1234", "maxTokens": 7},
                     {"id": "b", "prompt": "{{steps.a.output}}{{steps.a.json}}", "maxTokens": 1})")),
              (1 + 70) + (14 + 10));
}

TEST(Estimate, CountsTriesAndOneRepair) {
    EXPECT_EQ(microdollars(estimate_of(
                  R"({"id": "a", "prompt": "1234", "maxTokens": 7, "retry": {"attempts": 3}})")),
              3 * (1 + 70));
    const Estimate repaired =
        estimate_of(R"({"id": "a", "prompt": "1234", "maxTokens": 7, "outputSchema": {}})");
    EXPECT_EQ(repaired.calls, 2);
    EXPECT_GT(microdollars(repaired), 2 * (1 + 70));
    EXPECT_LT(microdollars(repaired), 2 * (1 + 70) + 1'000);
}

TEST(Estimate, CountsItemsAndTheListOfTheirOutputs) {
    const std::string each = R"({"id": "a", "prompt": "1234", "maxTokens": 7,
                                 "forEach": {"in": "{{input.l}}", "maxItems": 5}},)";
    const Estimate estimate =
        estimate_of(each + R"({"id": "b", "prompt": "{{steps.a.output}}", "maxTokens": 1})");
    EXPECT_EQ(estimate.calls, 6);
    EXPECT_EQ(microdollars(estimate), (5 * 71) + (35 + 10));
    Limits limits;
    limits.items = 3;
    EXPECT_EQ(
        estimate_of(R"({"id": "a", "prompt": "p", "forEach": {"in": "{{input.l}}"}})", 1, limits)
            .calls,
        3);
}

TEST(Estimate, CountsAListThatAStepMadeOnceOverAllItems) {
    const Estimate estimate = estimate_of(
        R"({"id": "a", "prompt": "1234", "maxTokens": 60},
           {"id": "b", "prompt": "{{item}}", "maxTokens": 1,
            "forEach": {"in": "{{steps.a.json}}", "maxItems": 5}})");
    EXPECT_EQ(microdollars(estimate), (1 + 600) + (60 + 50));
}

TEST(Estimate, TakesTheDearestModelOfARouteAndOfTheRoutesBelow) {
    const std::string step = R"({"id": "a", "prompt": "1234", "maxTokens": 7, "model": ")";
    EXPECT_EQ(microdollars(estimate_of(step + R"(inner"})")), 20 + 210);
    EXPECT_EQ(microdollars(estimate_of(step + R"(outer"})")), 20 + 210);
    EXPECT_EQ(microdollars(estimate_of(R"({"id": "a", "prompt": "1234", "model": "outer"})")),
              20 + 6'000);
}

TEST(Estimate, TakesTheDearestModelThatAModeMayAsk) {
    provider::Catalog catalog = make_catalog();
    catalog.providers.push_back({.name = "other", .vendor = "w"});
    const auto loaded = catalog.prices.load(
        R"({"models": {"w/small": {"mode": "chat", "input": 5, "output": 50}}})");
    ASSERT_TRUE(loaded.has_value());
    const auto cost = [&catalog](const std::string& more) {
        const std::string text =
            R"({"steps": [{"id": "a", "prompt": "1234", "maxTokens": 7, "model": "small")" + more +
            "}]}";
        const auto document = json::parse(text);
        const auto workflow = read_workflow(document->root(), {});
        return workflow ? microdollars(estimate(*workflow, catalog, {})) : -1;
    };
    EXPECT_EQ(cost(""), 1 + 70);
    EXPECT_EQ(cost(R"(, "routingMode": "single-model")"), 1 + 70);
    EXPECT_EQ(cost(R"(, "routingMode": "cheapest")"), 5 + 350);
    EXPECT_EQ(cost(R"(, "routingMode": "cheapest", "provider": "p")"), 5 + 350);
}

TEST(Estimate, SaysWhatIsNotKnown) {
    const Estimate endless = estimate_of(R"({"id": "a", "prompt": "p", "model": "p/endless"})");
    EXPECT_FALSE(endless.bounded);
    EXPECT_TRUE(endless.priced);
    EXPECT_EQ(microdollars(endless), 1 + 4'096);
    const Estimate unpriced =
        estimate_of(R"({"id": "a", "prompt": "p", "model": "p/other", "maxTokens": 5})");
    EXPECT_FALSE(unpriced.priced);
    EXPECT_TRUE(unpriced.bounded);
    EXPECT_EQ(microdollars(unpriced), 0);
    EXPECT_FALSE(estimate_of(R"({"id": "a", "prompt": "p", "model": "gone"})").priced);
}

TEST(Estimate, SaturatesInPlaceOfAnOverflow) {
    Limits limits;
    limits.items = 1'000'000'000'000;
    std::string steps;
    for (int i = 0; i < 20; ++i) {
        const std::string before = i == 0 ? "x" : "{{steps.s" + std::to_string(i - 1) + ".output}}";
        steps += (i == 0 ? "" : ",") + (R"({"id": "s)" + std::to_string(i)) + R"(", "prompt": ")" +
                 before + R"(", "maxTokens": 10000000, "retry": {"attempts": 10},
                 "forEach": {"in": "{{input.l}}"}})";
    }
    const Estimate estimate = estimate_of(steps, std::numeric_limits<std::int64_t>::max(), limits);
    EXPECT_EQ(estimate.cost.picodollars, std::numeric_limits<std::int64_t>::max());
    EXPECT_GT(estimate.calls, 0);
}

} // namespace
} // namespace larder::workflow
