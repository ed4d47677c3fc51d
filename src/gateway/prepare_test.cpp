// From requests to keys: what shares an entry and what must not, and which rules apply.
#include "gateway/gateway.hpp"
#include "testing/gateway_parts.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

namespace larder::gateway {
namespace {

using protocol::Dialect;

std::shared_ptr<Settings> make_settings() {
    auto settings = std::make_shared<Settings>();
    settings->catalog.providers = {
        {.name = "openai",
         .dialect = Dialect::kOpenAiChat,
         .base_url = "https://a.example/v1",
         .cache_identity = "openai https://a.example/v1"},
        {.name = "anthropic",
         .dialect = Dialect::kAnthropicMessages,
         .base_url = "https://b.example",
         .cache_identity = "anthropic https://b.example"},
    };
    return settings;
}

struct PrepareTest : larder::testing::GatewayTest {
    PrepareTest() { settings = make_settings(); }

    static Inquiry chat(std::string_view body) {
        return {.dialect = Dialect::kOpenAiChat, .body = body, .name_space = "web", .user = "ann"};
    }
    static Inquiry llm(std::string_view body) {
        Inquiry inquiry = chat(body);
        inquiry.dialect = Dialect::kLlm;
        return inquiry;
    }
    static Inquiry messages(std::string_view body) {
        Inquiry inquiry = chat(body);
        inquiry.dialect = Dialect::kAnthropicMessages;
        return inquiry;
    }
    Prepared prepare(const Inquiry& inquiry) {
        auto prepared = gateway.prepare(settings, inquiry);
        EXPECT_TRUE(prepared) << prepared.error().message << " of " << inquiry.body;
        return prepared ? *std::move(prepared) : Prepared();
    }
    llm::Fingerprint key(const Inquiry& inquiry) { return prepare(inquiry).key; }
};

constexpr std::string_view kChat =
    R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"temperature":0.5})";

TEST_F(PrepareTest, TheSameRequestWrittenOtherwiseHasTheSameKey) {
    const auto expected = key(chat(kChat));
    for (
        const std::string_view body :
        {R"({"temperature":0.5,"messages":[{"content":"Hi","role":"user"}],"model":"gpt-4o"})",
         R"( { "model" : "gpt-4o" , "temperature" : 5e-1, "messages":[{"role":"user","content":"\u0048i"}] })",
         R"({"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}],"temperature":0.5})",
         R"({"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}],"temperature":0.50})",
         R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}],"temperature":0.5})"})
        EXPECT_EQ(key(chat(body)), expected) << body;
}

TEST_F(PrepareTest, WhateverCanChangeTheAnswerChangesTheKey) {
    const auto expected = key(chat(kChat));
    for (
        const std::string_view body :
        {R"({"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"temperature":0.5})",
         R"({"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"temperature":0.5})",
         R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"temperature":0.6})",
         R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]})",
         R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"not_known":1})"})
        EXPECT_NE(key(chat(body)), expected) << body;
    const std::vector<std::function<void(Inquiry&)>> changes{
        [](Inquiry& one) { one.name_space = "app"; },
        [](Inquiry& one) { one.directives.variant = "b"; },
        [](Inquiry& one) { one.query = "api-version=2"; },
        [](Inquiry& one) { one.forwarded = {{"openai-beta", "x"}}; }};
    for (std::size_t i = 0; i < changes.size(); ++i) {
        Inquiry inquiry = chat(kChat);
        changes[i](inquiry);
        EXPECT_NE(key(inquiry), expected) << "change " << i;
    }
    settings->catalog.providers[0].cache_identity = "openai https://c.example/v1";
    EXPECT_NE(key(chat(kChat)), expected) << "another base URL";
}

TEST_F(PrepareTest, UsersShareAnEntryUnlessTheScopeIsTheirs) {
    Inquiry other = chat(kChat);
    other.user = "bob";
    EXPECT_EQ(key(other), key(chat(kChat)));
    settings->cache.scope = ShareScope::kUser;
    EXPECT_NE(key(other), key(chat(kChat)));
    settings->cache.scope = ShareScope::kGlobal;
    other.name_space = "app";
    EXPECT_EQ(key(other), key(chat(kChat)));
}

TEST_F(PrepareTest, AnLlmRequestSharesTheKeyOfTheRequestThatItBecomes) {
    const Prepared asked = prepare(
        llm(R"({"prompt":"Hi","model":"gpt-4o","temperature":0.5,"routingMode":"single-model"})"));
    EXPECT_EQ(asked.form, ClientForm::kLlmPlain);
    EXPECT_EQ(asked.key, key(chat(kChat)));
    EXPECT_EQ(asked.key, key(chat(asked.upstream_body)));

    const Prepared claude =
        prepare(llm(R"({"prompt":"Hi","model":"claude-sonnet-4-5","stream":true})"));
    EXPECT_EQ(claude.form, ClientForm::kLlmStream);
    EXPECT_EQ(claude.upstream_path, "/v1/messages");
    Inquiry native = messages(claude.upstream_body);
    EXPECT_EQ(claude.key, key(native));
    native.forwarded = {{"anthropic-version", "2023-06-01"}};
    EXPECT_EQ(claude.key, key(native));
    native.forwarded = {{"anthropic-version", "2024-01-01"}};
    EXPECT_NE(claude.key, key(native));
}

TEST_F(PrepareTest, DirectivesSayWhatTheCacheMayDo) {
    const Prepared plain = prepare(chat(kChat));
    EXPECT_TRUE(plain.may_read && plain.may_join && plain.may_keep);
    Inquiry inquiry = chat(kChat);
    inquiry.directives.no_cache = true;
    const Prepared refresh = prepare(inquiry);
    EXPECT_TRUE(!refresh.may_read && refresh.may_join && refresh.may_keep);
    EXPECT_EQ(refresh.key, plain.key) << "it refreshes that entry";
    inquiry.directives = {.no_store = true};
    const Prepared apart = prepare(inquiry);
    EXPECT_FALSE(apart.may_read || apart.may_join || apart.may_keep);
    inquiry.directives = {.ttl = std::chrono::seconds(0)};
    EXPECT_FALSE(prepare(inquiry).may_keep);
    inquiry.directives = {.ttl = std::chrono::seconds(7)};
    EXPECT_EQ(prepare(inquiry).ttl, std::chrono::seconds(7));
}

TEST_F(PrepareTest, TheFirstRuleThatMatchesDecides) {
    settings->cache.rules = {
        {.api = "anthropic", .mode = RuleMode::kOff},
        {.temperature_above = 0.7, .mode = RuleMode::kCoalesceOnly},
        {.model = "gpt-*", .temperature_equal = 0.5, .ttl = std::chrono::milliseconds(5)},
        {.model = "gpt-*", .tools = false, .mode = RuleMode::kOff}};
    const Prepared matched = prepare(chat(kChat));
    EXPECT_TRUE(matched.may_read && matched.may_keep);
    EXPECT_EQ(matched.ttl, std::chrono::milliseconds(5));
    const Prepared off = prepare(chat(
        R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"temperature":0.7})"));
    EXPECT_FALSE(off.may_read || off.may_join || off.may_keep);
    const Prepared coalesced = prepare(chat(
        R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"temperature":0.8})"));
    EXPECT_TRUE(!coalesced.may_read && coalesced.may_join && !coalesced.may_keep);
    const Prepared anthropic = prepare(messages(
        R"({"model":"claude-sonnet-4-5","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]})"));
    EXPECT_FALSE(anthropic.may_join);
}

TEST_F(PrepareTest, WhatTheCallItselfForbidsOrASwitchedOffCacheIsBypassed) {
    EXPECT_FALSE(
        prepare(
            chat(
                R"({"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"background":true})"))
            .may_join);
    settings->cache.enabled = false;
    EXPECT_FALSE(prepare(chat(kChat)).may_join);
}

TEST_F(PrepareTest, RefusesWithTheMemberAtFault) {
    const auto refused = [&](const Inquiry& inquiry) {
        const auto prepared = gateway.prepare(settings, inquiry);
        EXPECT_FALSE(prepared);
        return prepared ? std::string() : prepared.error().field;
    };
    EXPECT_EQ(refused(llm(R"({"prompt":"Hi","provider":"nobody"})")), "provider");
    EXPECT_EQ(refused(llm(R"({"prompt":"Hi","model":"unheard-of"})")), "model");
    EXPECT_EQ(refused(llm(R"({"prompt":"a","prompt":"b"})")), "prompt");
    EXPECT_FALSE(gateway.prepare(settings, llm("{")));
    EXPECT_FALSE(gateway.prepare(settings, llm("")));
}

TEST_F(PrepareTest, AliasKeysTellApartWhatTheirPartsTellApart) {
    const Inquiry inquiry = chat(kChat);
    const Sha256 expected = gateway.alias_key(*settings, inquiry);
    EXPECT_EQ(gateway.alias_key(*settings, inquiry), expected);
    Inquiry other = inquiry;
    other.name_space = "we";
    other.directives.variant = "b";
    EXPECT_NE(gateway.alias_key(*settings, other), expected);
    other = inquiry;
    other.dialect = Dialect::kLlm;
    EXPECT_NE(gateway.alias_key(*settings, other), expected);
    Inquiry moved = inquiry;
    moved.forwarded = {{"ab", "c"}};
    other.dialect = inquiry.dialect;
    other.forwarded = {{"a", "bc"}};
    EXPECT_NE(gateway.alias_key(*settings, other), gateway.alias_key(*settings, moved));
    settings->generation = 2;
    EXPECT_NE(gateway.alias_key(*settings, inquiry), expected) << "another configuration";
}

TEST_F(PrepareTest, TakesLitellmsFieldOutOfTheBodyAndOutOfTheKeyWhereItIsNamed) {
    constexpr std::string_view kPlain =
        R"({"model":"gpt-4o","messages":[{"role":"user","content":"a"}]})";
    constexpr std::string_view kSwitched =
        R"({"cache":{"ttl":5},"model":"gpt-4o","messages":[{"role":"user","content":"a"}]})";
    const auto unknown = gateway.prepare(settings, chat(kSwitched));
    ASSERT_TRUE(unknown);
    EXPECT_EQ(unknown->upstream_body, kSwitched) << "goes up as it is";
    EXPECT_NE(unknown->key, gateway.prepare(settings, chat(kPlain))->key);
    EXPECT_FALSE(unknown->has_body_directives);

    settings->compat.litellm = true;
    const auto known = gateway.prepare(settings, chat(kSwitched));
    ASSERT_TRUE(known);
    EXPECT_EQ(known->upstream_body, kPlain);
    EXPECT_EQ(known->key, gateway.prepare(settings, chat(kPlain))->key);
    EXPECT_EQ(known->ttl, std::chrono::seconds(5));
    EXPECT_TRUE(known->has_body_directives);

    const auto asks = gateway.prepare(settings, llm(R"({"prompt":"a","cache":{"s-maxage":2}})"));
    ASSERT_TRUE(asks);
    EXPECT_FALSE(asks->upstream_body.contains("cache"));
    EXPECT_EQ(asks->directives.max_age_s, 2);
    EXPECT_EQ(asks->not_before_ms, asks->looked_up_ms - 2000);
}

TEST_F(PrepareTest, KeepsClientsNamespacesAndBucketsApart) {
    constexpr std::string_view kBody =
        R"({"model":"gpt-4o","messages":[{"role":"user","content":"a"}]})";
    const auto key_of = [&](Directives directives) {
        Inquiry inquiry = chat(kBody);
        inquiry.directives = std::move(directives);
        return gateway.prepare(settings, inquiry)->key;
    };
    const auto plain = key_of({});
    EXPECT_NE(key_of({.key_parts = {{"helicone-cache-seed", "a"}}}), plain);
    EXPECT_NE(key_of({.key_parts = {{"helicone-cache-seed", "a"}}}),
              key_of({.key_parts = {{"x-portkey-cache-namespace", "a"}}}));
    EXPECT_EQ(key_of({.buckets = 3, .bucket = 0}), plain);
    EXPECT_NE(key_of({.buckets = 3, .bucket = 1}), plain);
    EXPECT_NE(key_of({.buckets = 3, .bucket = 1}), key_of({.buckets = 3, .bucket = 2}));
    Inquiry inquiry = chat(kBody);
    const Sha256 alias = gateway.alias_key(*settings, inquiry);
    inquiry.directives.key_parts = {{"helicone-cache-seed", "a"}};
    EXPECT_NE(gateway.alias_key(*settings, inquiry), alias);
    inquiry.directives = {.bucket = 1};
    EXPECT_NE(gateway.alias_key(*settings, inquiry), alias);
}

} // namespace
} // namespace larder::gateway
