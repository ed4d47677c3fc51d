// Tests of cross-origin decisions.
#include "api/cors.hpp"

#include <gtest/gtest.h>

namespace larder::api {
namespace {

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
          "RateLimit-Policy", "Retry-After", "x-larder-cache", "x-larder-route,",
          "x-larder-route-tried", "Age", "ETag", "x-request-id"})
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
        EXPECT_TRUE(decision.head_lines.ends_with("\r\n"));
    }
}

TEST(Cors, AllowsInAPreflightWhatThePageAsksFor) {
    auto head = head_from("https://a.example", true);
    head.fields.add("Access-Control-Request-Headers", "authorization, x-stainless-lang");
    EXPECT_TRUE(decide_cors({"https://a.example"}, head)
                    .head_lines.contains(
                        "Access-Control-Allow-Headers: authorization, x-stainless-lang\r\n"));
}

TEST(Cors, SendsNothingBackThatIsNoListOfNames) {
    auto head = head_from("https://a.example", true);
    head.fields.add("Access-Control-Request-Headers", "a\"b;c");
    EXPECT_FALSE(decide_cors({"https://a.example"}, head).head_lines.contains("Allow-Headers"));
}

} // namespace
} // namespace larder::api
