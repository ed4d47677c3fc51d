// The bounds of workflows, the money in them, and what providers hold to.
#include "app/config.hpp"
#include "app/config_text.hpp"

#include <gtest/gtest.h>

namespace larder::app {
namespace {

Result<Config> read(std::string_view yaml) {
    return read_config(yaml, "f",
                       {.variable = [](std::string_view name) -> std::optional<std::string> {
                           return name == "COST" ? std::optional<std::string>("2.5") : std::nullopt;
                       }});
}

Config good(std::string_view yaml) {
    auto config = read(yaml);
    if (config)
        return *std::move(config);
    ADD_FAILURE() << yaml << "\n" << config.error().message;
    return {};
}

std::string mistakes(std::string_view yaml) {
    const auto config = read(yaml);
    return config ? "none" : config.error().message;
}

TEST(ConfigWorkflows, ReadEveryBound) {
    const workflow::Limits limits =
        good("workflows: { time: 90s, cost: 0.000001, parallel: 1000, calls: 100000, items: 10000, "
             "prompt: 1KiB, output: 64MiB }")
            .workflows;
    EXPECT_EQ(limits.time, std::chrono::seconds(90));
    EXPECT_EQ(limits.cost.picodollars, 1'000'000);
    EXPECT_EQ(limits.parallel, 1000U);
    EXPECT_EQ(limits.calls, 100'000U);
    EXPECT_EQ(limits.items, 10'000U);
    EXPECT_EQ(limits.prompt_bytes, 1024U);
    EXPECT_EQ(limits.output_bytes, 64U << 20U);
    EXPECT_EQ(good("workflows: { cost: 0 }").workflows.cost.picodollars, 0);
    EXPECT_EQ(good("workflows: { cost: '${COST}' }").workflows.cost.picodollars, 2'500'000'000'000);
}

TEST(ConfigWorkflows, RefuseWhatIsBeyondTheirBounds) {
    const std::pair<const char*, const char*> table[] = {
        {"time: 999ms", "time: must be from 1000ms to 86400000ms"},
        {"time: 25h", "time: must be from 1000ms to 86400000ms"},
        {"cost: -1", "cost: must be US dollars from 0 to 1000000"},
        {"cost: $1", "cost: must be US dollars"},
        {"cost: 1000000.000001", "cost: must be US dollars"},
        {"cost: 0.0000001", "cost: must be US dollars"},
        {"cost: [1]", "cost: must be a number of dollars, not a list"},
        {"parallel: 0", "parallel: must be from 1 to 1000"},
        {"parallel: 1001", "parallel: must be from 1 to 1000"},
        {"calls: 0", "calls: must be from 1 to 100000"},
        {"calls: 100001", "calls: must be from 1 to 100000"},
        {"items: 0", "items: must be from 1 to 10000"},
        {"items: 10001", "items: must be from 1 to 10000"},
        {"prompt: 1023", "prompt: must be from 1024 to 67108864 bytes"},
        {"prompt: 65MiB", "prompt: must be from 1024 to 67108864 bytes"},
        {"output: 1023", "output: must be from 1024 to 67108864 bytes"},
        {"output: 65MiB", "output: must be from 1024 to 67108864 bytes"},
        {"steps: 5", "steps: unknown key"},
    };
    for (const auto& [inside, expected] : table) {
        const std::string message = mistakes("workflows: { " + std::string(inside) + " }");
        EXPECT_TRUE(message.starts_with("f:1: workflows." + std::string(expected))) << message;
    }
}

TEST(ConfigText, ReadsDollarsExactly) {
    const std::pair<std::string_view, std::int64_t> table[] = {
        {"0", 0},
        {"0.1", 100'000'000'000},
        {"10", 10'000'000'000'000},
        {"2.500000", 2'500'000'000'000},
        {"0.000001", 1'000'000},
        {"007.07", 7'070'000'000'000},
        {"999999.999999", 999'999'999'999'000'000},
        {"1000000", 1'000'000'000'000'000'000}};
    for (const auto& [text, picodollars] : table) {
        const auto money = parse_dollars(text);
        ASSERT_TRUE(money) << text;
        EXPECT_EQ(money->picodollars, picodollars) << text;
    }
    for (const std::string_view text :
         {"", ".", ".5", "5.", "1.2.3", "-1", "+1", "1e3", " 1", "1 ", "1,5", "0x1", "1.0000000",
          "1000000.000001", "99999999999999999999999", "inf", "1.-1"})
        EXPECT_FALSE(parse_dollars(text)) << text;
}

TEST(ConfigProviders, HoldToSchemasAtTheVendorsOwnHostsUnlessTheFileSaysOtherwise) {
    const Config config =
        good("providers:\n"
             "  openai: {}\n"
             "  anthropic: { structured_outputs: false }\n"
             "  google: { api: gemini, api_key: k }\n"
             "  gemini: { api: openai, api_key: k,\n"
             "    base_url: 'https://generativelanguage.googleapis.com/v1beta/openai' }\n"
             "  local: { api: openai, base_url: 'http://127.0.0.1:11434/v1' }\n"
             "  proxy: { api: openai, base_url: 'http://h', structured_outputs: true }\n"
             "  mirror: { api: openai, base_url: 'http://h', vendor: openai }\n"
             "  other: { api: openai, base_url: 'https://api.openai.com/v1', vendor: acme }\n");
    const auto holds = [&](std::string_view name) {
        return config.catalog.find(name)->structured_outputs;
    };
    EXPECT_TRUE(holds("openai"));
    EXPECT_FALSE(holds("anthropic"));
    EXPECT_TRUE(holds("google"));
    EXPECT_TRUE(holds("gemini"));
    EXPECT_FALSE(holds("local"));
    EXPECT_TRUE(holds("proxy"));
    EXPECT_FALSE(holds("mirror"));
    EXPECT_FALSE(holds("other"));
    EXPECT_TRUE(good("").catalog.find("anthropic")->structured_outputs);
}

TEST(ConfigProviders, TakeAShareOfFailuresAboveNothingUpToAll) {
    const auto yaml = [](std::string_view rate) {
        return "providers: { openai: { breaker: { rate: " + std::string(rate) + " } } }";
    };
    EXPECT_EQ(good(yaml("1")).catalog.providers.at(0).breaker.rate, 1.0);
    EXPECT_EQ(good(yaml("0.01")).catalog.providers.at(0).breaker.rate, 0.01);
    for (const auto* rate : {"0", "-0.5", "1.01", "nan", "inf", "half", "0.5x", "''", "50%"})
        EXPECT_EQ(mistakes(yaml(rate)),
                  "f:1: providers.openai.breaker.rate: must be a number above 0, up to 1")
            << rate;
}

} // namespace
} // namespace larder::app
