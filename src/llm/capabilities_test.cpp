// Tests of what families of models can do.
#include "llm/capabilities.hpp"

#include <gtest/gtest.h>

#include <string>

namespace larder::llm {
namespace {

/// "tools vision json", each where it can do so.
std::string abilities(std::string_view vendor, std::string_view model) {
    const Capabilities can = capabilities_of(vendor, model);
    std::string out;
    for (const auto& [name, has] :
         {std::pair{"tools", can.tools}, {"vision", can.vision}, {"json", can.json}})
        if (has)
            out.append(out.empty() ? "" : " ").append(name);
    return out;
}

TEST(Capabilities, OfAnUnknownModelAreToolsAndJson) {
    EXPECT_EQ(abilities("local", "my-own-model"), "tools json");
    EXPECT_EQ(abilities("", ""), "tools json");
    EXPECT_EQ(abilities("local", std::string(100'000, 'x')), "tools json");
}

TEST(Capabilities, KnowTheFamiliesThatSee) {
    for (const char* model :
         {"gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4.1-nano", "gpt-5.2-pro", "o1", "o3-pro",
          "o4-mini", "gpt-4-turbo", "claude-sonnet-4-5", "claude-haiku-4-5-20251001",
          "claude-opus-4-1", "claude-opus-5", "gemini-2.5-pro", "pixtral-large-latest",
          "mistral-large-2512", "llama-4-scout-17b-16e-instruct", "qwen2.5-vl-72b-instruct"})
        EXPECT_EQ(abilities("any", model), "tools vision json") << model;
}

TEST(Capabilities, KnowTheFamiliesThatDoNot) {
    for (const char* model :
         {"gpt-3.5-turbo", "gpt-4-0125-preview", "gpt-4-1106-preview", "gpt-4-turbo-preview",
          "o3-mini", "gpt-oss-120b", "deepseek-chat", "deepseek-v3.2", "mistral-large-2411",
          "llama-3.3-70b-versatile", "codestral-latest", "kimi-k2-instruct-0905", "qwen3-32b"})
        EXPECT_EQ(abilities("any", model), "tools json") << model;
}

TEST(Capabilities, KnowTheExceptionsOfAFamily) {
    EXPECT_EQ(abilities("openai", "gpt-4"), "tools");
    EXPECT_EQ(abilities("openai", "gpt-4-0613"), "tools");
    EXPECT_EQ(abilities("openai", "o1-mini"), "");
    EXPECT_EQ(abilities("openai", "gpt-3.5-turbo-instruct"), "");
    EXPECT_EQ(abilities("openai", "chatgpt-4o-latest"), "vision");
    EXPECT_EQ(abilities("openai", "gpt-4o-audio-preview"), "tools");
    EXPECT_EQ(abilities("openai", "gpt-4o-search-preview"), "json");
    EXPECT_EQ(abilities("openai", "text-embedding-3-small"), "");
    EXPECT_EQ(abilities("groq", "meta-llama/llama-guard-4-12b"), "");
    EXPECT_EQ(abilities("groq", "gemma-7b-it"), "json");
}

TEST(Capabilities, KnowFromWhichClaudeOnJsonIsHeldTo) {
    for (const char* model :
         {"claude-3-haiku-20240307", "claude-3-7-sonnet-20250219", "claude-3-5-haiku-20241022",
          "claude-4-opus-20250514", "claude-opus-4-20250514", "claude-sonnet-4-20250514",
          "anthropic.claude-3-5-sonnet-20241022-v2:0"})
        EXPECT_EQ(abilities("anthropic", model), "tools vision") << model;
    EXPECT_EQ(abilities("anthropic", "claude-2.1"), "");
}

TEST(Capabilities, LookBehindAnAggregatorsVendorATuningAndCapitals) {
    EXPECT_EQ(abilities("openrouter", "openai/gpt-4o"), "tools vision json");
    EXPECT_EQ(abilities("openrouter", "anthropic/claude-sonnet-4-5"), "tools vision json");
    EXPECT_EQ(abilities("openai", "ft:gpt-4o-mini-2024-07-18:acme::id"), "tools vision json");
    EXPECT_EQ(abilities("hub", "Qwen/Qwen2.5-VL-72B-Instruct"), "tools vision json");
    EXPECT_EQ(abilities("us", "us.anthropic.claude-opus-4-5-v1:0"), "tools vision json");
    EXPECT_EQ(abilities("hub", "openai/"), "tools json");
}

} // namespace
} // namespace larder::llm
