// Tests of the route table.
#include "api/routes.hpp"

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
    EXPECT_EQ(find_route("get", "/health", allow), nullptr) << "methods have a case";
}

TEST(Routes, ServeHeadWhereverGetIsServed) {
    for (const Route& route : routes()) {
        std::string allow;
        const std::string_view method = route.method == "*" ? "PUT" : route.method;
        EXPECT_EQ(find_route(method, route.path, allow), &route);
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

TEST(Routes, MayHaveOneSegmentThatIsAParameter) {
    std::string allow;
    const Route* read = find_route("GET", "/sessions/a-b_C9", allow);
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->endpoint, Endpoint::kSessionRead);
    EXPECT_EQ(path_parameter(*read, "/sessions/a-b_C9"), "a-b_C9");
    const Route* rotate = find_route("POST", "/sessions/rotate/rotate", allow);
    ASSERT_NE(rotate, nullptr);
    EXPECT_EQ(rotate->endpoint, Endpoint::kSessionRotate);
    EXPECT_EQ(path_parameter(*rotate, "/sessions/rotate/rotate"), "rotate");
    const Route* list = find_route("GET", "/sessions", allow);
    ASSERT_NE(list, nullptr);
    EXPECT_EQ(list->endpoint, Endpoint::kSessionList);
    EXPECT_EQ(path_parameter(*list, "/sessions"), "");
    EXPECT_EQ(find_route("PUT", "/sessions/x", allow)->endpoint, Endpoint::kSessionReplace);
    EXPECT_EQ(find_route("PATCH", "/sessions/x", allow)->endpoint, Endpoint::kSessionMerge);
    EXPECT_EQ(find_route("DELETE", "/sessions/x", allow)->endpoint, Endpoint::kSessionEnd);
    EXPECT_EQ(find_route("DELETE", "/sessions", allow)->endpoint, Endpoint::kSessionEndAll);
}

TEST(Routes, NeverTakeAnEmptyOrASecondSegmentForAParameter) {
    for (const std::string_view method : {"GET", "POST", "PUT", "DELETE"}) {
        for (const std::string_view path :
             {"/sessions/", "/sessions//", "/sessions/a/", "/sessions/a/b", "/sessions//rotate",
              "/sessions/a/b/rotate", "/sessions/a/rotate/", "/sessions/a/Rotate", "/sessionsa"}) {
            std::string allow;
            EXPECT_EQ(find_route(method, path, allow), nullptr) << path;
            EXPECT_EQ(allow, "") << path;
        }
    }
}

TEST(Routes, SayWhichMethodsAPathWithAParameterTakes) {
    std::string allow;
    EXPECT_EQ(find_route("POST", "/sessions/x", allow), nullptr);
    EXPECT_EQ(allow, "GET, HEAD, PUT, PATCH, DELETE");
    allow.clear();
    EXPECT_EQ(find_route("GET", "/sessions/x/rotate", allow), nullptr);
    EXPECT_EQ(allow, "POST");
}

TEST(Routes, OfSessionsNeedTheirScopeAndAreCounted) {
    for (const Route& route : routes()) {
        if (route.path.starts_with("/sessions")) {
            EXPECT_EQ(route.scopes, kScopeSessions) << route.path;
            EXPECT_EQ(route.tier, Tier::kStandard) << route.path;
        }
    }
}

TEST(Routes, PassOnWhatHasNoRowBelowV1) {
    std::string allow;
    for (const std::string_view method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}) {
        const Route* route = find_route(method, "/v1/files/a/content", allow);
        ASSERT_NE(route, nullptr) << method;
        EXPECT_EQ(route->endpoint, Endpoint::kPassThrough);
        EXPECT_EQ(route->tier, Tier::kLlm);
        EXPECT_EQ(route->scopes, kScopeLlm);
    }
    EXPECT_EQ(find_route("GET", "/v1/chat/completions", allow)->endpoint, Endpoint::kPassThrough)
        << "the list of those that are kept at the provider";
    EXPECT_EQ(find_route("POST", "/v1/chat/completions", allow)->endpoint,
              Endpoint::kChatCompletions);
    EXPECT_EQ(find_route("HEAD", "/v1/models", allow)->endpoint, Endpoint::kModelList);
    EXPECT_EQ(find_route("DELETE", "/v1/models/x", allow)->endpoint, Endpoint::kPassThrough);
    allow.clear();
    for (const std::string_view path : {"/v1", "/v1/", "/v2/files", "/V1/files", "/x/v1/files"})
        EXPECT_EQ(find_route("GET", path, allow), nullptr) << path;
    EXPECT_EQ(allow, "");
    for (const std::string_view method : {"OPTIONS", "TRACE", "CONNECT", "get", "*"}) {
        allow.clear();
        EXPECT_EQ(find_route(method, "/v1/chat/completions", allow), nullptr) << method;
        EXPECT_EQ(allow, "DELETE, GET, HEAD, PATCH, POST, PUT") << method;
    }
}

TEST(Routes, AreLimitedByTheirOwnPathOrTheRequests) {
    std::string allow;
    const Route* pass = find_route("HEAD", "/v1/images/x", allow);
    ASSERT_NE(pass, nullptr);
    EXPECT_EQ(limited_as(*pass, "HEAD", "/v1/images/x"), "GET /v1/images/x");
    EXPECT_EQ(limited_as(*pass, "POST", "/v1/images/x"), "POST /v1/images/x");
    const Route* read = find_route("HEAD", "/sessions/a", allow);
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(limited_as(*read, "HEAD", "/sessions/a"), "GET /sessions/{id}");
}

TEST(Routes, OfUnknownPathsHaveTheirApisStyle) {
    EXPECT_EQ(style_of("/llm/x", true), Style::kLlm);
    EXPECT_EQ(style_of("/v1/embeddings", false), Style::kOpenAi);
    EXPECT_EQ(style_of("/v1/models", true), Style::kAnthropic);
    EXPECT_EQ(style_of("/v1/messages/count_tokens", false), Style::kAnthropic);
    EXPECT_EQ(style_of("/v1/complete", false), Style::kAnthropic);
    EXPECT_EQ(style_of("/v1/completions", false), Style::kOpenAi);
}

} // namespace
} // namespace larder::api
