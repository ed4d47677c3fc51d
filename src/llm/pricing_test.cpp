// Tests of the price table: the file's form, finding models, and costs of recorded usage.
#include "llm/pricing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

namespace larder::llm {
namespace {

const PriceTable& built_in() {
    static const PriceTable table = [] {
        PriceTable loading;
        const auto loaded = loading.load(built_in_prices());
        EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().message);
        return loading;
    }();
    return table;
}

std::int64_t built_in_cost(std::string_view vendor, std::string_view model, const Usage& usage) {
    const Price* const price = built_in().find(vendor, model);
    EXPECT_NE(price, nullptr) << model;
    return price == nullptr ? -1 : cost_of(*price, usage).picodollars;
}

std::string refusal_of(std::string_view text) {
    PriceTable table;
    const auto loaded = table.load(text);
    return loaded ? "" : loaded.error().message;
}

TEST(Usage, EstimatesFourBytesATokenRoundedUp) {
    EXPECT_EQ(estimate_tokens(0), 0);
    EXPECT_EQ(estimate_tokens(1), 1);
    EXPECT_EQ(estimate_tokens(4), 1);
    EXPECT_EQ(estimate_tokens(5), 2);
    EXPECT_EQ(estimate_tokens(std::numeric_limits<std::size_t>::max()), INT64_C(1) << 62);
}

TEST(Usage, AddsItsClasses) {
    const Usage usage{.input = 1,
                      .cached_input = 2,
                      .cache_write = 4,
                      .cache_write_1h = 8,
                      .output = 16,
                      .reasoning = 5};
    EXPECT_EQ(usage.prompt(), 15);
    EXPECT_EQ(usage.total(), 31);
}

// The usage is what the providers sent in recorded exchanges; the sums are done by hand.
TEST(Cost, PricesAnthropicsPromptCacheByItsClasses) {
    EXPECT_EQ(built_in_cost("anthropic", "claude-sonnet-4-20250514",
                            {.input = 2081,
                             .cached_input = 28289,
                             .cache_write = 8239,
                             .output = 561,
                             .exact = true}),
              2081 * 3'000'000LL + 28289 * 300'000LL + 8239 * 3'750'000LL + 561 * 15'000'000LL);
    EXPECT_EQ(built_in_cost("anthropic", "claude-sonnet-4-20250514",
                            {.input = 18, .cache_write = 2055, .output = 100}),
              9'260'250'000); // $0.00926025
    EXPECT_EQ(built_in_cost("anthropic", "claude-sonnet-4-20250514",
                            {.input = 11, .cached_input = 2055, .output = 100}),
              2'149'500'000); // the same text read from the cache: $0.0021495
    EXPECT_EQ(built_in_cost("anthropic", "claude-sonnet-4-6",
                            {.input = 3, .cache_write = 4563, .output = 6}),
              17'210'250'000);
}

TEST(Cost, PricesOpenAisCachedAndReasoningTokens) {
    // 1515 prompt tokens, 1390 of them cached
    EXPECT_EQ(built_in_cost("openai", "gpt-4o-2024-08-06",
                            {.input = 125, .cached_input = 1390, .output = 8}),
              2'130'000'000); // $0.00213; without the classes it would be $0.0038675
    EXPECT_EQ(
        built_in_cost("openai", "o4-mini-2025-04-16", {.input = 19, .output = 85, .reasoning = 64}),
        394'900'000); // reasoning is a part of the output, priced once
    EXPECT_EQ(built_in_cost("openai", "gpt-5-mini-2025-08-07",
                            {.input = 145, .output = 154, .reasoning = 128}),
              344'250'000);
    EXPECT_EQ(built_in_cost("openai", "text-embedding-3-small", {.input = 1000}), 20'000'000);
}

TEST(Cost, TakesTheLongPromptsRatesAboveTheirBoundOnly) {
    const Usage at_bound{.input = 100'000, .cached_input = 100'000, .output = 10};
    EXPECT_EQ(built_in_cost("anthropic", "claude-sonnet-4-5", at_bound),
              100'000 * 3'000'000LL + 100'000 * 300'000LL + 10 * 15'000'000LL);
    const Usage above{.input = 100'001, .cached_input = 100'000, .output = 10};
    EXPECT_EQ(built_in_cost("anthropic", "claude-sonnet-4-5", above),
              100'001 * 6'000'000LL + 100'000 * 600'000LL + 10 * 22'500'000LL);
}

TEST(Cost, PricesReasoningByItsOwnRate) {
    Price price;
    price.base = {.output = 10, .reasoning = 3};
    EXPECT_EQ(cost_of(price, {.output = 100, .reasoning = 40}).picodollars, 600 + 120);
    EXPECT_EQ(cost_of(price, {.output = 100, .reasoning = 400}).picodollars, 300);
}

TEST(Cost, SaturatesAndTakesNegativeFiguresAsZero) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    Price price;
    price.base = {kMost, kMost, kMost, kMost, kMost, kMost};
    EXPECT_EQ(cost_of(price, {.input = kMost,
                              .cached_input = kMost,
                              .cache_write = kMost,
                              .cache_write_1h = kMost,
                              .output = kMost,
                              .reasoning = kMost})
                  .picodollars,
              kMost);
    price.long_prompt_above = 10;
    price.long_prompt = {.input = 1};
    EXPECT_EQ(cost_of(price, {.input = kMost, .cached_input = kMost}).picodollars, kMost);
    EXPECT_EQ(cost_of(price, {.input = -5, .output = -7, .reasoning = -1}).picodollars, 0);
}

TEST(PriceTable, ReadsEveryMemberOfAPrice) {
    PriceTable table;
    ASSERT_TRUE(table.load(R"({"about": "mine", "models": {"acme/one": {
        "mode": "completion", "input": 2.50, "output": 1e1, "cached_input": 0.075,
        "cache_write": 3.000001, "cache_write_1h": 5, "reasoning": 11, "context": 128000,
        "max_output": 4096, "uncertain": true,
        "long_prompt": {"above": 200000, "input": 5, "output": 20}}}})"));
    const Price* const price = table.find("acme", "one");
    ASSERT_NE(price, nullptr);
    EXPECT_EQ(price->mode, "completion");
    EXPECT_EQ(price->base.input, 2'500'000);
    EXPECT_EQ(price->base.output, 10'000'000);
    EXPECT_EQ(price->base.cached_input, 75'000);
    EXPECT_EQ(price->base.cache_write, 3'000'001);
    EXPECT_EQ(price->base.cache_write_1h, 5'000'000);
    EXPECT_EQ(price->base.reasoning, 11'000'000);
    EXPECT_EQ(price->context, 128'000);
    EXPECT_EQ(price->max_output, 4096);
    EXPECT_TRUE(price->uncertain);
    EXPECT_EQ(price->long_prompt_above, 200'000);
    EXPECT_EQ(price->long_prompt.input, 5'000'000);
    EXPECT_EQ(price->long_prompt.cached_input, 5'000'000);
    EXPECT_EQ(price->long_prompt.reasoning, 20'000'000);
}

TEST(PriceTable, FillsMissingClassesWithInputAndOutput) {
    PriceTable table;
    ASSERT_TRUE(table.load(R"({"models": {"acme/one": {"input": 2, "output": 8,
                               "long_prompt": {"above": 10, "output": 9}}}})"));
    const Price* const price = table.find("acme", "one");
    ASSERT_NE(price, nullptr);
    EXPECT_EQ(price->mode, "chat");
    EXPECT_EQ(price->base.cached_input, 2'000'000);
    EXPECT_EQ(price->base.cache_write, 2'000'000);
    EXPECT_EQ(price->base.cache_write_1h, 2'000'000);
    EXPECT_EQ(price->base.reasoning, 8'000'000);
    EXPECT_EQ(price->long_prompt.input, 2'000'000);
    EXPECT_EQ(price->long_prompt.reasoning, 9'000'000);
    EXPECT_FALSE(price->uncertain);
}

TEST(PriceTable, OverridesSingleModelsOfAnEarlierFile) {
    PriceTable table;
    ASSERT_TRUE(table.load(built_in_prices()));
    ASSERT_TRUE(table.load(R"({"models": {"openai/gpt-4o": {"input": 1, "output": 2}}})"));
    EXPECT_EQ(table.find("openai", "gpt-4o")->base.input, 1'000'000);
    EXPECT_EQ(table.find("openai", "gpt-4o")->base.cached_input, 1'000'000);
    EXPECT_EQ(table.find("openai", "gpt-4o-mini")->base.input, 150'000);
}

TEST(PriceTable, RefusesWhatItDoesNotKnowAndSaysWhere) {
    using testing::HasSubstr;
    EXPECT_THAT(refusal_of("{"), HasSubstr("the price file: the body is not valid JSON"));
    EXPECT_THAT(refusal_of("[]"), HasSubstr("models must be an object"));
    EXPECT_THAT(refusal_of(R"({"models":{},"prices":1})"), HasSubstr("prices is not known"));
    const auto price = [](std::string_view members) {
        return refusal_of(R"({"models":{"a/b":{)" + std::string(members) + "}}}");
    };
    EXPECT_EQ(price(R"("input":1,"output":1)"), "");
    EXPECT_THAT(price(R"("input":1)"), HasSubstr("a/b needs `input` and `output`"));
    EXPECT_THAT(price(R"("input":"1","output":1)"), HasSubstr("a/b.input must be dollars"));
    EXPECT_THAT(price(R"("input":-1,"output":1)"), HasSubstr("a/b.input"));
    EXPECT_THAT(price(R"("input":0.0000001,"output":1)"), HasSubstr("six decimals"));
    EXPECT_THAT(price(R"("input":1e30,"output":1)"), HasSubstr("a/b.input"));
    EXPECT_THAT(price(R"("input":1,"output":1,"inputs":1)"), HasSubstr("a/b.inputs is not known"));
    EXPECT_THAT(price(R"("input":1,"output":1,"mode":1)"), HasSubstr("a/b.mode"));
    EXPECT_THAT(price(R"("input":1,"output":1,"uncertain":1)"), HasSubstr("a/b.uncertain"));
    EXPECT_THAT(price(R"("input":1,"output":1,"context":1.5)"), HasSubstr("a/b.context"));
    EXPECT_THAT(price(R"("input":1,"output":1,"long_prompt":{"input":1})"), HasSubstr("`above`"));
    EXPECT_THAT(price(R"("input":1,"output":1,"long_prompt":{"above":1,"x":1})"),
                HasSubstr("a/b.long_prompt.x is not known"));
    EXPECT_THAT(refusal_of(R"({"models":{"gpt-4o":{"input":1,"output":1}}})"),
                HasSubstr("\"vendor/model\""));
    EXPECT_THAT(refusal_of(R"({"models":{"a/b":1}})"), HasSubstr("a/b must be an object"));
}

TEST(PriceTable, TakesNothingOfAFileThatItRefuses) {
    PriceTable table;
    EXPECT_FALSE(table.load(R"({"models":{"a/b":{"input":1,"output":1},"a/c":{}}})"));
    EXPECT_EQ(table.find("a", "b"), nullptr);
}

TEST(PriceTable, FindsAModelWithoutItsDateOrLatest) {
    PriceTable table;
    ASSERT_TRUE(table.load(R"({"models": {
        "acme/one": {"input": 1, "output": 1}, "acme/one-2024-08-06": {"input": 2, "output": 2},
        "acme/two-latest": {"input": 3, "output": 3}}})"));
    const auto input = [&table](std::string_view model) {
        const Price* const price = table.find("acme", model);
        return price == nullptr ? -1 : price->base.input;
    };
    EXPECT_EQ(input("one"), 1'000'000);
    EXPECT_EQ(input("one-2024-08-06"), 2'000'000);
    EXPECT_EQ(input("one-2025-01-01"), 1'000'000);
    EXPECT_EQ(input("one-20250514"), 1'000'000);
    EXPECT_EQ(input("one-latest"), 1'000'000);
    EXPECT_EQ(input("two-latest"), 3'000'000);
    EXPECT_EQ(input("one-mini"), -1);
    EXPECT_EQ(input("one-2025-0101"), -1);
    EXPECT_EQ(input("one-2025051x"), -1);
    EXPECT_EQ(input("-20250514"), -1);
    EXPECT_EQ(input(""), -1);
    EXPECT_EQ(table.find("other", "one"), nullptr);
}

TEST(PriceTable, ListsVendorsAndChatModels) {
    PriceTable table;
    ASSERT_TRUE(table.load(R"({"models": {
        "acme/one": {"input": 1, "output": 1}, "acme-2/one": {"input": 1, "output": 1},
        "acme/embed": {"mode": "embedding", "input": 1, "output": 0},
        "zeta/open/one": {"input": 1, "output": 1}}})"));
    EXPECT_THAT(table.vendors_of("one"), testing::ElementsAre("acme", "acme-2"));
    EXPECT_THAT(table.vendors_of("one-20250514"), testing::ElementsAre("acme", "acme-2"));
    EXPECT_THAT(table.vendors_of("open/one"), testing::ElementsAre("zeta"));
    EXPECT_THAT(table.vendors_of("none"), testing::IsEmpty());
    EXPECT_THAT(table.chat_models("acme"), testing::ElementsAre("one"));
    EXPECT_THAT(table.chat_models("acm"), testing::IsEmpty());
}

TEST(BuiltInPrices, KnowTheVendorsAndMarkWhatIsUncertain) {
    EXPECT_GT(built_in().chat_models("openai").size(), 50U);
    EXPECT_GT(built_in().chat_models("anthropic").size(), 20U);
    EXPECT_THAT(built_in().vendors_of("gpt-4o"), testing::ElementsAre("openai"));
    EXPECT_EQ(built_in().find("openai", "gpt-4o")->context, 128'000);
    EXPECT_FALSE(built_in().find("openai", "gpt-4o")->uncertain);
    EXPECT_TRUE(built_in().find("openai", "gpt-4o-2024-05-13")->uncertain);
    // the price from 2026-09-01 on
    EXPECT_EQ(built_in().find("anthropic", "claude-sonnet-5")->base.input, 3'000'000);
    EXPECT_TRUE(built_in().find("anthropic", "claude-sonnet-5")->uncertain);
    // known to be wrong in the source, so left out
    EXPECT_EQ(built_in().find("gemini", "gemini-1.5-flash"), nullptr);
}

} // namespace
} // namespace larder::llm
