// What explains a key: its parts, and where two keys differ; values as hashes only.
#include "gateway/explain.hpp"
#include "testing/gateway_parts.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace larder::gateway {
namespace {

using protocol::Dialect;
using Rows = std::vector<std::pair<std::string, Difference::Kind>>;
using enum Difference::Kind;

const ValueHasher kHasher(ValueHasher::Secret{});

KeyContents contents_of(std::string_view body) {
    return {.parts = {{"path", "/a"}, {"body", std::string(body)}}, .ignored = {}};
}

Differences differences_of(const KeyContents& first, const KeyContents& second) {
    const auto differences = explain_differences(first, second, kHasher);
    EXPECT_TRUE(differences);
    return differences.value_or(Differences{});
}

Rows rows_of(std::string_view first, std::string_view second) {
    Rows rows;
    for (const Difference& row : differences_of(contents_of(first), contents_of(second)).rows) {
        EXPECT_TRUE(row.in_body);
        rows.emplace_back(row.path, row.kind);
    }
    return rows;
}

struct ExplainTest : larder::testing::GatewayTest {
    KeyContents contents;

    ExplainTest() {
        settings->catalog.providers = {{.name = "openai",
                                        .dialect = Dialect::kOpenAiChat,
                                        .base_url = "https://a.example/v1",
                                        .cache_identity = "openai https://a.example/v1"}};
    }
    Prepared prepare(std::string_view body, Directives directives = {}) {
        contents = {};
        auto prepared = gateway.prepare(settings,
                                        {.dialect = Dialect::kOpenAiChat,
                                         .body = body,
                                         .query = "secret=1",
                                         .name_space = "web",
                                         .user = "ann",
                                         .directives = std::move(directives)},
                                        &contents);
        EXPECT_TRUE(prepared) << prepared.error().message;
        return std::move(prepared).value_or(Prepared{});
    }
};

constexpr std::string_view kBody =
    R"({"model":"gpt-4o","messages":[{"role":"user","content":"PROMPT"},{"role":"user","content":"b"}],"stream":true})";

TEST_F(ExplainTest, ListsAllThatIsInTheKeyAndShowsNamesOnly) {
    const Prepared prepared = prepare(kBody);
    const auto explained = explain_parts(prepared, contents, kHasher);
    ASSERT_TRUE(explained);
    std::string names;
    for (const ExplainedPart& part : explained->parts) {
        names += part.name + " ";
        EXPECT_EQ(part.hash.size(), 16U);
        EXPECT_FALSE(part.shown.contains("example") || part.shown.contains("secret") ||
                     part.shown.contains("PROMPT"));
    }
    EXPECT_EQ(names,
              "prefix namespace upstream method path dialect messages[0] messages[1] model ");
    EXPECT_EQ(contents.ignored, std::vector<std::string>{"stream"});
    EXPECT_EQ(explained->parts[4].shown, "/chat/completions");
}

TEST_F(ExplainTest, ListsNoMoreThanAThousandParts) {
    std::string body = R"({"model":"gpt-4o","messages":[)";
    for (int i = 0; i < 1200; ++i)
        body += R"({"role":"user","content":"a"},)";
    body.back() = ']';
    const Prepared prepared = prepare(body + "}");
    const auto explained = explain_parts(prepared, contents, kHasher);
    ASSERT_TRUE(explained);
    EXPECT_EQ(explained->parts.size(), 1000U);
    EXPECT_EQ(explained->left_out, 1207U - 1000U);
}

TEST_F(ExplainTest, HasTheSameKeyWithContentsAsWithout) {
    const Prepared explained = prepare(kBody, {.variant = "v"});
    const auto plain = gateway.prepare(settings, {.dialect = Dialect::kOpenAiChat,
                                                  .body = kBody,
                                                  .query = "secret=1",
                                                  .name_space = "web",
                                                  .user = "ann",
                                                  .directives = {.variant = "v"}});
    ASSERT_TRUE(plain);
    EXPECT_EQ(explained.key, plain->key);
}

TEST_F(ExplainTest, SaysWhyNothingIsKept) {
    EXPECT_EQ(explain_bypass(prepare(kBody)), "");
    EXPECT_EQ(explain_bypass(prepare(kBody, {.no_cache = true})), "");
    EXPECT_EQ(explain_bypass(prepare(kBody, {.no_store = true})), "no-store");
    EXPECT_EQ(explain_bypass(prepare(kBody, {.ttl = std::chrono::seconds(0)})), "ttl");
    settings->cache.rules = {{.api = "llm"}, {.model = "gpt-*", .mode = RuleMode::kOff}};
    const Prepared ruled = prepare(kBody);
    EXPECT_EQ(explain_bypass(ruled), "cache.rules");
    EXPECT_EQ(ruled.rule, 1U);
    settings->cache.rules[1].mode = RuleMode::kCoalesceOnly;
    EXPECT_EQ(explain_bypass(prepare(kBody)), "coalesce_only");
    settings->cache.enabled = false;
    EXPECT_EQ(explain_bypass(prepare(kBody)), "cache.enabled");
    EXPECT_FALSE(contents.parts.empty()) << "a bypassed request is explained too";
}

TEST(ExplainForm, NamesWhoseBytesAndHow) {
    EXPECT_EQ(explain_form(ClientForm::kLlmPlain), "llm.plain");
    EXPECT_EQ(explain_form(ClientForm::kNativeStreamWithUsage), "native.stream");
    EXPECT_EQ(explain_form(ClientForm::kMessagesPlain), "converted.plain");
}

TEST(ExplainDifferences, NameTheDeepestMember) {
    EXPECT_EQ(rows_of(R"({"a":1})", R"({"a":1})"), Rows());
    EXPECT_EQ(rows_of(R"({"a":1,"b":2})", R"({"a":1,"b":3})"), (Rows{{"b", kValue}}));
    EXPECT_EQ(rows_of(R"({"a":[{"b":[1,2]}]})", R"({"a":[{"b":[1,3]}]})"),
              (Rows{{"a[0].b[1]", kValue}}));
    EXPECT_EQ(rows_of(R"({"a":{"b":1}})", R"({"a":[1]})"), (Rows{{"a", kValue}}));
    EXPECT_EQ(rows_of(R"({"a":1,"c":1})", R"({"b":1,"c":1})"),
              (Rows{{"a", kMissing}, {"b", kMissing}}));
    EXPECT_EQ(rows_of(R"({"a":[1,2,3]})", R"({"a":[1]})"),
              (Rows{{"a[1]", kMissing}, {"a[2]", kMissing}}));
}

TEST(ExplainDifferences, SeeTheOrderOfMembers) {
    EXPECT_EQ(rows_of(R"({"p":{"a":1,"b":2}})", R"({"p":{"b":2,"a":1}})"), (Rows{{"p", kOrder}}));
    EXPECT_EQ(rows_of(R"({"p":{"a":1,"b":2}})", R"({"p":{"b":2,"a":3}})"),
              (Rows{{"p.a", kValue}, {"p", kOrder}}));
    EXPECT_EQ(rows_of(R"({"p":{"a":1,"b":2}})", R"({"p":{"a":1,"c":1,"b":2}})"),
              (Rows{{"p.c", kMissing}}));
}

TEST(ExplainDifferences, WriteStrangeNamesSoThatTheyCantBeMistaken) {
    const std::string long_name(100, 'n');
    EXPECT_EQ(rows_of(R"({"a.b":1,"":1,"c\"d":1})", "{}"),
              (Rows{{R"([""])", kMissing}, {R"(["a.b"])", kMissing}, {R"(["c\"d"])", kMissing}}));
    EXPECT_EQ(rows_of("{\"" + long_name + "\":1}", "{}"),
              (Rows{{"[\"" + std::string(64, 'n') + "…\"]", kMissing}}));
    const std::string umlauts = "a" + [] {
        std::string text;
        for (int i = 0; i < 40; ++i)
            text += "ä";
        return text;
    }();
    const Rows cut = rows_of("{\"" + umlauts + "\":1}", "{}");
    ASSERT_EQ(cut.size(), 1U);
    EXPECT_TRUE(json::parse("\"" + cut[0].first.substr(2, cut[0].first.size() - 4) + "\""))
        << "no character is cut in half";
}

TEST(ExplainDifferences, StopAtFifty) {
    const auto list = [](int shift) {
        std::string text = R"({"a":[)";
        for (int i = 0; i < 51; ++i)
            text += std::to_string(i + shift) + ",";
        text.back() = ']';
        return text + "}";
    };
    const Differences all = differences_of(contents_of(list(0)), contents_of(list(1)));
    EXPECT_EQ(all.rows.size(), 50U);
    EXPECT_TRUE(all.some_left_out);
}

TEST(ExplainDifferences, BoundTheirPaths) {
    std::string first = "1";
    std::string second = "2";
    for (int i = 0; i < 100; ++i) {
        first = "{\"" + std::string(60, 'm') + "\":" + first + "}";
        second = "{\"" + std::string(60, 'm') + "\":" + second + "}";
    }
    const Rows rows = rows_of(first, second);
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_LT(rows[0].first.size(), 1100U);
    EXPECT_TRUE(rows[0].first.ends_with("…"));
}

TEST(ExplainDifferences, CompareTheOtherPartsByName) {
    const KeyContents first{.parts = {{"path", "/a"}, {"variant", "v"}, {"body", "{}"}},
                            .ignored = {}};
    const KeyContents second{.parts = {{"path", "/b"}, {"openai-beta", "x"}, {"body", "{}"}},
                             .ignored = {}};
    const Differences differences = differences_of(first, second);
    ASSERT_EQ(differences.rows.size(), 3U);
    EXPECT_EQ(differences.rows[0].path, "path");
    EXPECT_EQ(differences.rows[0].kind, kValue);
    EXPECT_EQ(differences.rows[1].path, "variant");
    EXPECT_EQ(differences.rows[1].second, "");
    EXPECT_EQ(differences.rows[2].path, "openai-beta");
    EXPECT_EQ(differences.rows[2].first, "");
    EXPECT_NE(differences.rows[2].second, "");
}

TEST(ValueHasher, IsHmacAndKeepsKindsApart) {
    // HMAC-SHA-256 of "value", 0, 0, "abc" under 32 zero bytes.
    EXPECT_EQ(kHasher.of_value("abc"), "156d91ec28930da9");
    EXPECT_NE(kHasher.of_value("abc"), kHasher.of_part("", "abc"));
    EXPECT_NE(kHasher.of_part("a", "b"), kHasher.of_part("ab", ""));
    EXPECT_NE(ValueHasher().of_value("abc"), ValueHasher().of_value("abc"));
}

} // namespace
} // namespace larder::gateway
