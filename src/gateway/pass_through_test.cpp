// Tests of which provider gets a request that passes through, under which path, and of paths that
// must not get there.
#include "gateway/pass_through.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace larder::gateway {
namespace {

using protocol::Dialect;

provider::Provider make_provider(std::string name, Dialect dialect, std::string base_url) {
    provider::Provider provider;
    provider.name = std::move(name);
    provider.dialect = dialect;
    provider.base_url = std::move(base_url);
    provider.vendor = provider.name;
    return provider;
}

provider::Catalog make_catalog() {
    provider::Catalog catalog;
    catalog.providers.push_back(
        make_provider("local", Dialect::kOpenAiChat, "http://127.0.0.1:9/v1"));
    catalog.providers.back().models = {"llama3.2"};
    catalog.providers.push_back(
        make_provider("openai", Dialect::kOpenAiChat, "https://api.openai.com/v1"));
    catalog.providers.push_back(
        make_provider("anthropic", Dialect::kAnthropicMessages, "https://api.anthropic.com"));
    catalog.providers.push_back(
        make_provider("gemini", Dialect::kGemini, "https://gemini.test/v1beta"));
    catalog.aliases["fast"] = {.provider = "openai", .model = "gpt-4o-mini"};
    catalog.aliases["wise"] = {.provider = "anthropic", .model = "claude-opus-4-1"};
    return catalog;
}

/// A request with all that its views point into.
struct Asked {
    std::string method = "POST";
    std::string path = "/v1/moderations";
    std::string query;
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;
    std::string target; // empty: the path
    bool strips_cache = false;

    [[nodiscard]] Result<PassPlan> plan(const provider::Catalog& catalog, bool counts) const {
        http::Fields views;
        for (const auto& [name, value] : fields)
            views.add(name, value);
        const PassRequest request{.method = method,
                                  .target = target.empty() ? path : target,
                                  .path = path,
                                  .query = query,
                                  .fields = views,
                                  .body = body,
                                  .strips_cache = strips_cache};
        return counts ? plan_count(catalog, request) : plan_pass(catalog, request);
    }
};

class PassThrough : public testing::Test {
protected:
    Result<PassPlan> plan(const Asked& asked) { return asked.plan(catalog_, false); }
    Result<PassPlan> count(const Asked& asked) { return asked.plan(catalog_, true); }

    /// Provider and path, or the error's message.
    std::string to(const Asked& asked) {
        const auto planned = plan(asked);
        return planned ? planned->provider->name + " " + planned->path : planned.error().message;
    }

    provider::Catalog catalog_ = make_catalog();
    const std::pair<std::string, std::string> json_{"Content-Type", "application/json"};
};

TEST_F(PassThrough, GoesToTheFirstProviderOfTheApi) {
    EXPECT_EQ(to({.path = "/v1/images/generations"}), "local /images/generations");
    EXPECT_EQ(to({.path = "/v1/messages/batches"}), "anthropic /v1/messages/batches");
    EXPECT_EQ(to({.path = "/v1/complete"}), "anthropic /v1/complete");
    EXPECT_EQ(to({.path = "/v1/completions"}), "local /completions");
    EXPECT_EQ(to({.path = "/v1/messagesque"}), "local /messagesque");
    EXPECT_EQ(to({.method = "GET",
                  .path = "/v1/files",
                  .query = "limit=3&after=a%2Fb",
                  .fields = {{"anthropic-version", "2023-06-01"}}}),
              "anthropic /v1/files?limit=3&after=a%2Fb");
}

TEST_F(PassThrough, GoesToTheProviderThatIsNamed) {
    EXPECT_EQ(to({.fields = {{"x-larder-provider", "openai"}}}), "openai /moderations");
    EXPECT_EQ(to({.path = "/v1/organizations/me", .fields = {{"X-Larder-Provider", "anthropic"}}}),
              "anthropic /v1/organizations/me");
    const auto missing = plan({.fields = {{"x-larder-provider", "nobody"}}});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(missing.error().field, "x-larder-provider");
    EXPECT_THAT(missing.error().message, testing::HasSubstr("local, openai, anthropic, gemini"));
    const auto other = plan({.fields = {{"x-larder-provider", "gemini"}}});
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::kInvalidRequest);
}

TEST_F(PassThrough, GoesByTheModelOfAJsonBody) {
    EXPECT_EQ(to({.body = R"({"model":"llama3.2"})", .fields = {json_}}), "local /moderations");
    EXPECT_EQ(to({.body = R"({"model":"gpt-image-1"})", .fields = {json_}}), "openai /moderations");
    EXPECT_EQ(to({.body = R"({"model":"dall-e-3"})", .fields = {json_}}), "openai /moderations")
        << "no rule knows it: the first one that takes any model";
    EXPECT_EQ(to({.body = R"({"model":7})", .fields = {json_}}), "local /moderations");
    EXPECT_EQ(to({.body = R"({"model":"gpt-4o"})", .fields = {{"content-type", "text/plain"}}}),
              "local /moderations")
        << "not said to be JSON";
}

TEST_F(PassThrough, PatchesNothingButTheModelsName) {
    const auto plain = plan({.body = R"({ "model": "gpt-4o" })", .fields = {json_}});
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->body, std::nullopt) << "the client's own bytes";
    const auto alias =
        plan({.body = R"({ "x": 1.0, "model" : "f\u0061st","n":2})", .fields = {json_}});
    ASSERT_TRUE(alias);
    EXPECT_EQ(alias->body, R"({ "x": 1.0, "model" : "gpt-4o-mini","n":2})");
    EXPECT_EQ(alias->model, "gpt-4o-mini");
    const auto both = plan({.body = R"({"model":"openai/tts-1"})", .fields = {json_}});
    ASSERT_TRUE(both);
    EXPECT_EQ(both->body, R"({"model":"tts-1"})");
}

TEST_F(PassThrough, RefusesAModelThatItsProviderDoesNotTake) {
    const auto refused = plan({.body = R"({"model":"local/other"})", .fields = {json_}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kModelNotFound);
    catalog_.providers.erase(catalog_.providers.begin() + 1);
    const auto unknown = plan({.body = R"({"model":"dall-e-3"})", .fields = {json_}});
    ASSERT_FALSE(unknown) << "the only provider of the API lists its models";
    EXPECT_EQ(unknown.error().code, ErrorCode::kModelNotFound);
}

TEST_F(PassThrough, RefusesJsonThatIsNone) {
    const auto refused = plan({.body = R"({"model":"a","model":"b"})", .fields = {json_}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest);
    EXPECT_TRUE(plan({.body = "{", .fields = {{"content-type", "application/jsonl"}}}));
}

TEST_F(PassThrough, GoesByTheModelOfThePath) {
    EXPECT_EQ(to({.method = "GET", .path = "/v1/models/gpt-4o"}), "openai /models/gpt-4o");
    EXPECT_EQ(to({.method = "GET", .path = "/v1/models/wise"}),
              "anthropic /v1/models/claude-opus-4-1");
    EXPECT_EQ(to({.method = "DELETE", .path = "/v1/models/openai/ft:gpt"}),
              "openai /models/ft:gpt");
    EXPECT_EQ(to({.method = "GET", .path = "/v1/models/openai%2Fa%2Fb"}), "openai /models/a%2Fb");
    EXPECT_EQ(to({.method = "GET", .path = "/v1/models/vendor/name"}),
              "openai /models/vendor/name");
    for (const std::string path :
         {"/v1/models/..", "/v1/models/a%2F..%2Fb", "/v1/models/%2e%2e", "/v1/models/a//b",
          "/v1/models/a%252Fb", "/v1/models/a%5Cb", "/v1/models/a%00b", "/v1/models/openai/.."}) {
        const auto refused = plan({.method = "GET", .path = path});
        ASSERT_FALSE(refused) << path;
        EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest) << path;
    }
}

TEST_F(PassThrough, RefusesPathsThatCouldBeReadInAnotherWay) {
    for (const std::string path :
         {"/v1/..",           "/v1/../admin",       "/v1/files/../../x",
          "/v1/./files",      "/v1//files",         "/v1/files/",
          "/v1/%2e%2e/admin", "/v1/%2E./admin",     "/v1/files%2F..%2Fx",
          "/v1/files%2fx",    "/v1/files%5cx",      "/v1/files\\x",
          "/v1/%252e%252e/x", "/v1/files/%",        "/v1/files/%4",
          "/v1/files/%zz",    "/v1/files/%00",      "/v1/files/%0d%0aHost:x",
          "/v1/..;/x",        "/v1/.;a=b/x",        "/v1/%69mages",
          "/v1/files/a#b",    "/v1/files/\xC3\xA9", "/v1/@evil.test/%2F"}) {
        const auto refused = plan({.method = "GET", .path = path});
        ASSERT_FALSE(refused) << path;
        EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest) << path;
    }
    EXPECT_FALSE(plan({.path = "/v1/files", .target = "http://evil.test/v1/files"}));
    EXPECT_EQ(to({.path = "/v1/files/a.b..c/@x:%C3%A9%20"}), "local /files/a.b..c/@x:%C3%A9%20");
}

TEST_F(PassThrough, TakesOnlyFieldsOfTheProvidersApi) {
    const std::vector<std::pair<std::string, std::string>> all{
        {"Authorization", "Bearer mine"}, {"x-api-key", "mine"},  {"Cookie", "a=b"},
        {"OpenAI-Beta", "assistants=v2"}, {"Accept", "audio/*"},  {"X-Other", "1"},
        {"anthropic-beta", "files"},      {"Content-Type", "a/b"}};
    Asked asked{.fields = all};
    asked.fields.emplace_back("x-larder-provider", "openai");
    const auto openai = plan(asked);
    ASSERT_TRUE(openai);
    EXPECT_EQ(openai->fields, (http::OwnedFields{{"openai-beta", "assistants=v2"}}));
    EXPECT_EQ(openai->content_type, "a/b");
    EXPECT_EQ(openai->accept, "audio/*");
    asked.fields.back().second = "anthropic";
    const auto anthropic = plan(asked);
    ASSERT_TRUE(anthropic);
    EXPECT_EQ(anthropic->fields, (http::OwnedFields{{"anthropic-beta", "files"},
                                                    {"anthropic-version", "2023-06-01"}}));
}

TEST_F(PassThrough, TakesFieldsThatAskForAPartOrOnce) {
    const http::OwnedFields all{{"range", "bytes=0-9"},
                                {"if-range", "\"a\""},
                                {"if-none-match", "\"a\", \"b\""},
                                {"if-modified-since", "Tue, 07 Jul 2026 07:07:07 GMT"},
                                {"idempotency-key", "once"}};
    Asked asked{.fields = {all.begin(), all.end()}};
    const auto planned = plan(asked);
    ASSERT_TRUE(planned);
    EXPECT_EQ(planned->fields, all);
}

TEST_F(PassThrough, TakesNoFieldThatIsForTheConnection) {
    const auto planned = plan({.fields = {{"x-larder-provider", "anthropic"},
                                          {"Connection", "keep-alive,Range"},
                                          {"connection", " ANTHROPIC-version ,accept"},
                                          {"range", "bytes=0-9"},
                                          {"accept", "a/b"},
                                          {"anthropic-version", "2099-01-01"},
                                          {"idempotency-key", "once"}}});
    ASSERT_TRUE(planned);
    EXPECT_EQ(planned->fields, (http::OwnedFields{{"anthropic-version", "2023-06-01"},
                                                  {"idempotency-key", "once"}}));
    EXPECT_EQ(planned->accept, "*/*");
}

TEST_F(PassThrough, StripsLitellmsFieldWhereItIsToldTo) {
    Asked asked{.body = R"({ "cache": {"ttl": 5}, "model" : "fast","n":1.0})", .fields = {json_}};
    EXPECT_EQ(plan(asked)->body, R"({ "cache": {"ttl": 5}, "model" : "gpt-4o-mini","n":1.0})");
    asked.strips_cache = true;
    EXPECT_EQ(plan(asked)->body, R"({  "model" : "gpt-4o-mini","n":1.0})");
    asked.body = R"({"model":"gpt-4o","cache":null})";
    EXPECT_EQ(plan(asked)->body, R"({"model":"gpt-4o"})");
    asked.path = "/v1/models/gpt-4o";
    EXPECT_EQ(plan(asked)->body, R"({"model":"gpt-4o"})");
    asked.body = R"({"model":"wise","cache":{"no-cache":true}})";
    EXPECT_EQ(count(asked)->body, R"({"model":"claude-opus-4-1"})");
    asked.body = R"({"n":1})";
    EXPECT_EQ(plan(asked)->body, std::nullopt) << "the client's own bytes";
    asked.body = R"({"cache":{"ttl":"x"}})";
    const auto refused = plan(asked);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().field, "cache.ttl");
    asked.fields = {{"content-type", "text/plain"}};
    EXPECT_EQ(plan(asked)->body, std::nullopt) << "not said to be JSON";
}

TEST_F(PassThrough, IsRepeatableOnlyWhereItReads) {
    for (const auto& [method, repeatable] : std::vector<std::pair<std::string, bool>>{
             {"GET", true}, {"HEAD", true}, {"POST", false}, {"DELETE", false}, {"PUT", false}}) {
        const auto planned = plan({.method = method});
        ASSERT_TRUE(planned);
        EXPECT_EQ(planned->repeatable, repeatable) << method;
    }
}

TEST_F(PassThrough, SaysWhenThereIsNoProviderOfTheApi) {
    catalog_.providers.erase(catalog_.providers.begin() + 2);
    const auto missing = plan({.path = "/v1/messages/batches"});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(missing.error().message, testing::HasSubstr("Anthropic"));
}

TEST_F(PassThrough, CountsTokensAtAnthropicOnly) {
    Asked asked{.path = "/v1/messages/count_tokens", .body = R"({"model":"wise"})"};
    const auto counted = count(asked);
    ASSERT_TRUE(counted);
    EXPECT_EQ(counted->path, "/v1/messages/count_tokens");
    EXPECT_EQ(counted->body, R"({"model":"claude-opus-4-1"})");
    EXPECT_TRUE(counted->repeatable);
    for (const std::string body : {R"({"model":"gpt-4o"})", R"({"model":"llama3.2"})", "{}"}) {
        asked.body = body;
        const auto refused = count(asked);
        ASSERT_FALSE(refused) << body;
        EXPECT_EQ(refused.error().field, "model") << body;
        EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest) << body;
    }
    asked.body = R"({"model":"what-is-this"})";
    const auto unknown = count(asked);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::kModelNotFound);
}

} // namespace
} // namespace larder::gateway
