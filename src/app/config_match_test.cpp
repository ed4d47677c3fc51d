// Routes that some endpoint is under, and rules that an earlier one makes idle.
#include "app/config_match.hpp"

#include "base/text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace larder::app {
namespace {

using gateway::CacheRule;

TEST(ConfigMatch, FindsTheEndpointsOfThisVersionAndOfLaterOnes) {
    for (const auto* pattern :
         {"POST /llm/generate", "POST /llm/*", "* /llm/generate", "* /*", "GET /llm/cache/stats",
          "DELETE /admin/cache", "DELETE /admin/*", "GET /admin/cache/entries",
          "POST /llm/execute-workflow", "POST /llm/workflow/generate", "POST /sessions",
          "GET /sessions/abc", "POST /sessions/*/rotate", "POST /sessions/a1/rotate",
          "* /sessions*", "POST /v1/embeddings", "GET /v1/files/*", "DELETE /v1/*",
          "GET /*/models"})
        EXPECT_TRUE(matches_some_endpoint(pattern)) << pattern;
}

TEST(ConfigMatch, FindsNoEndpointUnderARouteThatIsNone) {
    for (const auto* pattern : {"DELETE /nope",
                                "GET /llm/generate",
                                "POST /llm/cache/stats",
                                "PUT /llm/*",
                                "POST /llm",
                                "POST /llm/generate/",
                                "POST /LLM/generate",
                                "PATCH /sessions",
                                "PUT /sessions",
                                "POST /sessions/a1",
                                "POST /sessions/a1/rotate/x",
                                "GET /v1",
                                "GET /v2/*",
                                "GET /admin",
                                "HEAD /llm/models",
                                "OPTIONS /llm/generate",
                                "GET /health",
                                "GET /metrics",
                                "* /read*",
                                "GET",
                                ""})
        EXPECT_FALSE(matches_some_endpoint(pattern)) << pattern;
}

CacheRule model(std::string name) {
    CacheRule rule;
    rule.model = std::move(name);
    return rule;
}

TEST(ConfigMatch, CoversNamesByGlobs) {
    EXPECT_TRUE(covers(model("o3*"), model("o3-mini")));
    EXPECT_TRUE(covers(model("o3*"), model("o3*")));
    EXPECT_TRUE(covers(model("o3*"), model("o3-*")));
    EXPECT_TRUE(covers(model("*"), model("")));
    EXPECT_TRUE(covers(model(""), model("gpt*")));
    EXPECT_TRUE(covers(model("*mini*"), model("gpt-*-mini")));
    EXPECT_FALSE(covers(model("o3-*"), model("o3*")));
    EXPECT_FALSE(covers(model("o3-mini"), model("o3*")));
    EXPECT_FALSE(covers(model("o3-mini"), model("")));
    EXPECT_FALSE(covers(model("gpt-*-mini"), model("*mini*")));
}

/// Whatever covers() says of globs over a small alphabet holds for every short text.
TEST(ConfigMatch, SaysOfGlobsWhatTheirTextsSay) {
    std::vector<std::string> globs{""};
    std::vector<std::string> texts{""};
    for (std::size_t begin = 0, round = 0; round < 4; ++round) {
        const std::size_t end = globs.size();
        for (; begin < end; ++begin)
            for (const char c : {'a', 'b', '*'})
                globs.push_back(globs[begin] + c);
    }
    for (std::size_t begin = 0, round = 0; round < 5; ++round) {
        const std::size_t end = texts.size();
        for (; begin < end; ++begin)
            for (const char c : {'a', 'b', 'c'}) // c stands in no glob
                texts.push_back(texts[begin] + c);
    }
    globs.erase(globs.begin()); // an empty one means something else
    for (const std::string& earlier : globs) {
        for (const std::string& later : globs) {
            const bool all = std::ranges::all_of(texts, [&](const std::string& text) {
                return !text::matches_glob(later, text) || text::matches_glob(earlier, text);
            });
            ASSERT_EQ(covers(model(earlier), model(later)), all) << earlier << " " << later;
        }
    }
}

TEST(ConfigMatch, CoversOnlyWhereNoConditionIsNarrower) {
    CacheRule narrow = model("o3-mini");
    narrow.api = "llm";
    narrow.tools = true;
    narrow.temperature_equal = 0.7;
    EXPECT_TRUE(covers({}, narrow));
    EXPECT_TRUE(covers(narrow, narrow));
    EXPECT_FALSE(covers(narrow, {}));
    CacheRule other = narrow;
    other.api = "openai";
    EXPECT_FALSE(covers(other, narrow));
    other = narrow;
    other.tools = false;
    EXPECT_FALSE(covers(other, narrow));
    other = narrow;
    other.temperature_equal = 0.5;
    EXPECT_FALSE(covers(other, narrow));
    other.temperature_equal.reset();
    other.temperature_above = 0.5;
    EXPECT_TRUE(covers(other, narrow));
    other.temperature_above = 0.7;
    EXPECT_FALSE(covers(other, narrow));
    CacheRule above = other;
    above.temperature_above = 1;
    EXPECT_TRUE(covers(other, above));
    EXPECT_FALSE(covers(above, other));
    EXPECT_FALSE(covers(narrow, other));
    above.temperature_above.reset();
    EXPECT_FALSE(covers(other, above));
}

} // namespace
} // namespace larder::app
