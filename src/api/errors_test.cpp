// Every error in every style is valid JSON with that API's type; providers' errors keep theirs.
#include "api/errors.hpp"

#include "base/json.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace larder::api {
namespace {

constexpr int kCodes = static_cast<int>(ErrorCode::kInternal) + 1;

/// The text at a path of members; "(none)" when it isn't there, "(null)" for a null.
std::string at(std::string_view body, std::initializer_list<std::string_view> path) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    if (!document)
        return "(invalid)";
    json::Value value = document->root();
    for (const std::string_view name : path) {
        const auto member = value.find(name);
        if (!member)
            return "(none)";
        value = *member;
    }
    if (value.is(json::Kind::kNull))
        return "(null)";
    return value.as_string().value_or(std::string(value.raw()));
}

std::string field_of(const http::Response& response, std::string_view wanted) {
    for (const auto& [name, value] : response.fields) {
        if (name == wanted)
            return value;
    }
    return "(none)";
}

TEST(Errors, OfEveryCodeAreValidInEveryStyle) {
    std::set<std::string_view> names;
    for (int i = 0; i < kCodes; ++i) {
        const Error error{.code = static_cast<ErrorCode>(i),
                          .message = "it \"broke\"\n\x01",
                          .field = "mo\"del",
                          .position = 12};
        EXPECT_TRUE(names.insert(name_of(error.code)).second) << name_of(error.code);
        const int status = status_of(error);
        EXPECT_TRUE(status >= 400 && status < 600);
        const std::string llm = error_body(Style::kLlm, error, "r1");
        EXPECT_EQ(at(llm, {"error"}), error.message);
        EXPECT_EQ(at(llm, {"code"}), name_of(error.code));
        EXPECT_EQ(at(llm, {"requestId"}), "r1");
        EXPECT_EQ(at(llm, {"field"}), error.field);
        EXPECT_EQ(at(llm, {"position"}), "12");
        const std::string openai = error_body(Style::kOpenAi, error, "r1");
        EXPECT_EQ(at(openai, {"error", "message"}), error.message);
        EXPECT_EQ(at(openai, {"error", "param"}), error.field);
        EXPECT_NE(at(openai, {"error", "type"}), "(none)");
        EXPECT_EQ(at(openai, {"error", "type"}) == "server_error", status >= 500);
        const std::string anthropic = error_body(Style::kAnthropic, error, "r1");
        EXPECT_EQ(at(anthropic, {"type"}), "error");
        EXPECT_NE(at(anthropic, {"error", "type"}), "(none)");
        EXPECT_NE(at(anthropic, {"error", "message"}).find(error.message), std::string::npos);
        EXPECT_EQ(error_response(Style::kLlm, error, "r1").status, status);
    }
}

TEST(Errors, HaveTheStatusAndTypeThatSdksLookAt) {
    const auto type = [](Style style, ErrorCode code) {
        return at(error_body(style, {.code = code, .message = "m"}, "r"), {"error", "type"});
    };
    EXPECT_EQ(status_of({.code = ErrorCode::kNotCached}), 504);
    EXPECT_EQ(status_of({.code = ErrorCode::kRateLimited}), 429);
    EXPECT_EQ(status_of({.code = ErrorCode::kHeadTooLarge}), 431);
    EXPECT_EQ(status_of({.code = ErrorCode::kProviderUnconfigured}), 503);
    EXPECT_EQ(type(Style::kAnthropic, ErrorCode::kUnauthorized), "authentication_error");
    EXPECT_EQ(type(Style::kAnthropic, ErrorCode::kForbidden), "permission_error");
    EXPECT_EQ(type(Style::kAnthropic, ErrorCode::kModelNotFound), "not_found_error");
    EXPECT_EQ(type(Style::kAnthropic, ErrorCode::kRateLimited), "rate_limit_error");
    EXPECT_EQ(type(Style::kAnthropic, ErrorCode::kTooLarge), "request_too_large");
    EXPECT_EQ(type(Style::kOpenAi, ErrorCode::kInvalidRequest), "invalid_request_error");
    EXPECT_EQ(type(Style::kOpenAi, ErrorCode::kRateLimited), "requests");
    const Error unauthorized{.code = ErrorCode::kUnauthorized, .message = "m"};
    EXPECT_EQ(at(error_body(Style::kOpenAi, unauthorized, "r"), {"error", "code"}),
              "invalid_api_key");
    EXPECT_EQ(field_of(error_response(Style::kOpenAi, unauthorized, "r"), "WWW-Authenticate"),
              "Bearer");
    EXPECT_EQ(at(error_body(Style::kOpenAi, {.code = ErrorCode::kInvalidRequest}, "r"),
                 {"error", "param"}),
              "(null)");
}

TEST(Errors, OfALimitCarryTheContractsBody) {
    const auto llm = rate_limited_response(Style::kLlm, "Too many", 37, "r1");
    EXPECT_EQ(llm.status, 429);
    EXPECT_EQ(llm.body,
              R"({"error":"Too many","retryAfter":37,"code":"rate_limited","requestId":"r1"})");
    EXPECT_EQ(at(rate_limited_response(Style::kOpenAi, "m", 1, "r").body, {"error", "code"}),
              "rate_limit_exceeded");
    EXPECT_EQ(at(rate_limited_response(Style::kAnthropic, "m", 1, "r").body, {"error", "type"}),
              "rate_limit_error");
}

TEST(ProviderErrors, GoThroughAsTheyAreInTheNativeStyles) {
    for (const Style style : {Style::kOpenAi, Style::kAnthropic}) {
        const auto response =
            provider_error_response(style, true, 418, "any \xff bytes", "text/x", "p", "r");
        EXPECT_EQ(response.status, 418);
        EXPECT_EQ(response.body, "any \xff bytes") << "masking is done before";
        EXPECT_EQ(field_of(response, "Content-Type"), "text/x");
    }
}

TEST(ProviderErrors, TakeTheContractsShapeUnderLlm) {
    const auto said = [](std::string_view body) {
        return at(provider_error_response(Style::kLlm, false, 400, body, "x", "p", "r").body,
                  {"error"});
    };
    EXPECT_EQ(said(R"({"error":{"message":"no \"way\""}})"), "provider p answered 400: no \"way\"");
    EXPECT_EQ(said(R"({"error":"plainly"})"), "provider p answered 400: plainly");
    EXPECT_EQ(said(R"({"message":"outside"})"), "provider p answered 400: outside");
    EXPECT_EQ(said(R"([{"error":{"message":"in a list"}}])"), "provider p answered 400: in a list");
    for (const std::string_view body :
         {"", "<html>", "[]", "{}", "5", R"({"error":[1]})", R"({"error":{"message":5}})", "\xff"})
        EXPECT_EQ(said(body), "provider p answered 400") << body;
    const auto status = [](int given) {
        return provider_error_response(Style::kLlm, false, given, "", "x", "p", "r").status;
    };
    EXPECT_EQ(status(401), 502) << "our own key is our failure";
    EXPECT_EQ(status(403), 502);
    EXPECT_EQ(status(500), 502);
    EXPECT_EQ(status(429), 429);
    EXPECT_EQ(
        at(provider_error_response(Style::kLlm, false, 429, "", "x", "p", "r").body, {"code"}),
        "provider_rate_limited");
}

TEST(ErrorEvents, NameTheirEventWhereTheApiDoes) {
    const Error error{.code = ErrorCode::kTimeout, .message = "late"};
    EXPECT_TRUE(error_event(Style::kLlm, error, "r").starts_with("event: error\ndata: {"));
    EXPECT_TRUE(error_event(Style::kAnthropic, error, "r").starts_with("event: error\ndata: {"));
    EXPECT_TRUE(error_event(Style::kOpenAi, error, "r").starts_with("data: {"));
    EXPECT_TRUE(error_event(Style::kLlm, error, "r").ends_with("}\n\n"));
}

} // namespace
} // namespace larder::api
