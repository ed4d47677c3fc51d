// The route table, CORS, and the arithmetic of /llm/cache/stats.
#include "api/routes.hpp"

#include "api/cors.hpp"
#include "api/operation_routes.hpp"

#include <gtest/gtest.h>

#include <string>

namespace larder::api {
namespace {

TEST(Routes, AreFoundByMethodAndExactPath) {
    std::string allow;
    const Route* route = find_route("POST", "/llm/generate", allow);
    ASSERT_NE(route, nullptr);
    EXPECT_EQ(route->endpoint, Endpoint::kGenerate);
    EXPECT_EQ(route->tier, Tier::kLlm);
    EXPECT_EQ(route->scopes, kScopeLlm);
    for (const std::string_view path :
         {"", "/", "*", "/llm/generate/", "/LLM/generate", "/llm//generate", "/llm", "/healthz"}) {
        EXPECT_EQ(find_route("POST", path, allow), nullptr) << path;
        EXPECT_EQ(allow, "") << path;
    }
}

TEST(Routes, SayWhichMethodsAPathTakes) {
    std::string allow;
    EXPECT_EQ(find_route("GET", "/llm/generate", allow), nullptr);
    EXPECT_EQ(allow, "POST");
    allow.clear();
    EXPECT_EQ(find_route("POST", "/health", allow), nullptr);
    EXPECT_EQ(allow, "GET, HEAD");
    allow.clear();
    EXPECT_EQ(find_route("HEAD", "/v1/messages", allow), nullptr);
    EXPECT_EQ(allow, "POST");
    allow.clear();
    EXPECT_EQ(find_route("get", "/health", allow), nullptr) << "methods have a case";
}

TEST(Routes, ServeHeadWhereverGetIsServed) {
    for (const Route& route : routes()) {
        std::string allow;
        EXPECT_EQ(find_route(route.method, route.path, allow), &route);
        if (route.method == "GET")
            EXPECT_EQ(find_route("HEAD", route.path, allow), &route) << route.path;
    }
}

TEST(Routes, LeaveNothingOpenButHealthAndReadiness) {
    for (const Route& route : routes()) {
        if (route.scopes == 0)
            EXPECT_TRUE(route.path == "/health" || route.path == "/ready") << route.path;
    }
}

TEST(Routes, OfUnknownPathsHaveTheirApisStyle) {
    EXPECT_EQ(style_of("/llm/x", true), Style::kLlm);
    EXPECT_EQ(style_of("/v1/embeddings", false), Style::kOpenAi);
    EXPECT_EQ(style_of("/v1/models", true), Style::kAnthropic);
    EXPECT_EQ(style_of("/v1/messages/count_tokens", false), Style::kAnthropic);
}

http::RequestHead head_from(std::string_view origin, bool preflight = false) {
    http::RequestHead head;
    head.method = preflight ? http::Method::kOptions : http::Method::kPost;
    if (!origin.empty())
        head.fields.add("Origin", origin);
    if (preflight)
        head.fields.add("Access-Control-Request-Method", "POST");
    return head;
}

TEST(Cors, SaysNothingWithoutConfiguredOriginsOrAnOrigin) {
    EXPECT_EQ(decide_cors({}, head_from("https://a.example")).head_lines, "");
    EXPECT_FALSE(decide_cors({}, head_from("https://a.example", true)).is_preflight);
    EXPECT_EQ(decide_cors({"https://a.example"}, head_from("")).head_lines, "");
}

TEST(Cors, NamesAListedOriginAndExposesTheContractsFields) {
    const auto decision = decide_cors({"https://a.example"}, head_from("https://a.example"));
    EXPECT_FALSE(decision.is_preflight);
    EXPECT_TRUE(decision.head_lines.contains("Access-Control-Allow-Origin: https://a.example\r\n"));
    EXPECT_TRUE(decision.head_lines.contains("Vary: Origin\r\n"));
    for (const std::string_view name :
         {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit",
          "RateLimit-Policy", "Retry-After", "x-larder-cache", "Age", "ETag", "x-request-id"})
        EXPECT_TRUE(decision.head_lines.contains(name)) << name;
    EXPECT_FALSE(decision.head_lines.contains("Allow-Credentials"));
}

TEST(Cors, AllowsNothingToOtherOrigins) {
    for (const std::string_view origin :
         {"https://b.example", "https://a.example.evil", "http://a.example", "null",
          "https://a.example:444", "https://A.example"}) {
        const auto decision = decide_cors({"https://a.example"}, head_from(origin, true));
        EXPECT_TRUE(decision.is_preflight) << origin;
        EXPECT_EQ(decision.head_lines, "Vary: Origin\r\n") << origin;
    }
}

TEST(Cors, AnswersAPreflightOfAListedOrigin) {
    for (const std::string& listed : {std::string("*"), std::string("https://a.example")}) {
        const auto decision = decide_cors({listed}, head_from("https://a.example", true));
        EXPECT_TRUE(decision.is_preflight);
        EXPECT_TRUE(decision.head_lines.contains("Access-Control-Allow-Methods: "));
        EXPECT_TRUE(decision.head_lines.contains("Authorization"));
        EXPECT_TRUE(decision.head_lines.ends_with("\r\n"));
    }
}

TEST(CacheStats, RoundTheHitRateToAWholePercentage) {
    EXPECT_EQ(hit_rate(0, 0), 0);
    EXPECT_EQ(hit_rate(150, 50), 75);
    EXPECT_EQ(hit_rate(1, 2), 33);
    EXPECT_EQ(hit_rate(2, 1), 67);
    EXPECT_EQ(hit_rate(1, 199), 1);
    EXPECT_EQ(hit_rate(1, 0), 100);
    EXPECT_EQ(hit_rate(1'000'000'000'000, 1'000'000'000'000), 50);
}

TEST(CacheStats, JudgeByTheExactRate) {
    EXPECT_EQ(hit_rate_status(0, 0), "ok") << "before the first request";
    EXPECT_EQ(hit_rate_status(60, 40), "ok");
    EXPECT_EQ(hit_rate_status(6001, 3999), "good") << "60.01 %, though 60 is shown";
    EXPECT_EQ(hit_rate_status(30, 70), "ok");
    EXPECT_EQ(hit_rate_status(2999, 7001), "review") << "29.99 %, though 30 is shown";
    EXPECT_EQ(hit_rate_status(0, 1), "review");
    EXPECT_EQ(hit_rate_status(1, 0), "good");
}

TEST(CacheStats, WriteDollarsWithTwoDigits) {
    EXPECT_EQ(dollars_text(0), "$0.00");
    EXPECT_EQ(dollars_text(1'500'000'000'000), "$1.50");
    EXPECT_EQ(dollars_text(4'999'999'999), "$0.00");
    EXPECT_EQ(dollars_text(5'000'000'000), "$0.01");
    EXPECT_EQ(dollars_text(999'995'000'000'000), "$1000.00");
    EXPECT_EQ(dollars_text(9'000'000'000'000'000'000), "$9000000.00");
}

} // namespace
} // namespace larder::api
