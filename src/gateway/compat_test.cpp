// The switches of other gateways: what each means, when it means nothing, and what is malformed.
#include "gateway/compat.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace larder::gateway {
namespace {

using std::chrono::seconds;
using Given = std::vector<std::pair<std::string_view, std::string_view>>;

constexpr std::chrono::milliseconds kTtlMax = std::chrono::hours(24);
constexpr CompatConfig kAll{.litellm = true, .portkey = true, .helicone = true, .cloudflare = true};

Result<Directives> read(const Given& given, const CompatConfig& compat = kAll) {
    http::Fields fields;
    for (const auto& [name, value] : given)
        fields.add(name, value);
    return read_directives(fields, kTtlMax, compat);
}

Directives good(const Given& given, const CompatConfig& compat = kAll) {
    auto directives = read(given, compat);
    EXPECT_TRUE(directives) << directives.error().message;
    return std::move(directives).value_or(Directives{});
}

std::string refused_field(const Given& given) {
    const auto directives = read(given);
    if (directives)
        return "(accepted)";
    EXPECT_EQ(directives.error().code, ErrorCode::kInvalidRequest);
    EXPECT_TRUE(directives.error().message.contains(directives.error().field));
    return directives.error().field;
}

struct Taken {
    std::string rest;
    Directives directives;
};

Result<Taken> take(std::string_view body, Directives directives = {}) {
    LARDER_TRY(const json::Document document, json::parse(body));
    LARDER_TRY(const auto rest, take_litellm_cache(document, kTtlMax, directives));
    return Taken{rest.value_or("(none)"), std::move(directives)};
}

Directives taken(std::string_view cache, Directives before = {}) {
    auto result = take(R"({"cache":)" + std::string(cache) + "}", std::move(before));
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->rest, "{}");
    return result ? result->directives : Directives{};
}

std::string refused_member(std::string_view cache) {
    const auto result = take(R"({"cache":)" + std::string(cache) + "}");
    if (result)
        return "(accepted)";
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidRequest);
    return result.error().field;
}

TEST(Compat, GivesNoHeaderAMeaningUnlessItsGatewayIsNamed) {
    const Given all{{"x-portkey-cache-force-refresh", "maybe"},
                    {"x-portkey-cache-namespace", ""},
                    {"helicone-cache-enabled", "no"},
                    {"helicone-cache-bucket-max-size", "many"},
                    {"helicone-cache-seed", ""},
                    {"cf-aig-skip-cache", "yes"},
                    {"cf-aig-cache-ttl", "soon"}};
    const Directives directives = good(all, {.litellm = true});
    EXPECT_FALSE(directives.no_cache || directives.no_store || directives.ttl);
    EXPECT_TRUE(directives.key_parts.empty());
    EXPECT_EQ(directives.buckets, 0U);
    EXPECT_TRUE(good({{"cf-aig-skip-cache", "true"}}, {.cloudflare = true}).no_cache);
    EXPECT_FALSE(
        good({{"cf-aig-skip-cache", "true"}}, {.portkey = true, .helicone = true}).no_cache);
}

TEST(Compat, ReadsPortkeysHeaders) {
    EXPECT_TRUE(good({{"X-Portkey-Cache-Force-Refresh", "True"}}).no_cache);
    EXPECT_FALSE(good({{"x-portkey-cache-force-refresh", "false"}}).no_cache);
    EXPECT_EQ(good({{"x-portkey-cache-namespace", "team a"}}).key_parts,
              (std::vector<KeyPart>{{"x-portkey-cache-namespace", "team a"}}));
}

TEST(Compat, ReadsHelicones) {
    EXPECT_FALSE(good({{"Helicone-Cache-Enabled", "true"}}).no_store);
    EXPECT_TRUE(good({{"Helicone-Cache-Enabled", "false"}}).no_store);
    EXPECT_EQ(good({{"Helicone-Cache-Bucket-Max-Size", "20"}}).buckets, 20U);
    EXPECT_EQ(good({{"Helicone-Cache-Seed", "user-1"}}).key_parts,
              (std::vector<KeyPart>{{"helicone-cache-seed", "user-1"}}));
    const Directives max_age =
        good({{"helicone-cache-enabled", "true"}, {"cache-control", "max-age=60"}});
    EXPECT_EQ(max_age.max_age_s, 60);
    EXPECT_FALSE(max_age.ttl) << "HTTP's own meaning";
}

TEST(Compat, ReadsCloudflares) {
    EXPECT_TRUE(good({{"cf-aig-skip-cache", "true"}}).no_cache);
    EXPECT_EQ(good({{"cf-aig-cache-ttl", "60"}}).ttl, seconds(60));
    EXPECT_EQ(good({{"cf-aig-cache-ttl", "2592000"}}).ttl, seconds(86'400)) << "cache.ttl_max";
    EXPECT_TRUE(good({{"cf-aig-cache-key", "shared"}}).key_parts.empty());
}

TEST(Compat, RefusesMalformedValuesByTheirHeader) {
    for (const std::string_view name :
         {"x-portkey-cache-force-refresh", "helicone-cache-enabled", "cf-aig-skip-cache"}) {
        for (const std::string_view value : {"", "1", "yes", "true,false"})
            EXPECT_EQ(refused_field({{name, value}}), name) << value;
    }
    const std::string long_text(257, 'a');
    for (const std::string_view name : {"x-portkey-cache-namespace", "helicone-cache-seed"}) {
        for (const std::string_view value :
             {std::string_view(""), std::string_view("a\tb"), std::string_view("\xc3\xa4"),
              std::string_view(long_text)})
            EXPECT_EQ(refused_field({{name, value}}), name) << value;
        EXPECT_EQ(refused_field({{name, "a"}, {name, "b"}}), name);
    }
    for (const std::string_view value : {"", "0", "21", "-1", "2.5", "x", "99999999999999999999"})
        EXPECT_EQ(refused_field({{"helicone-cache-bucket-max-size", value}}),
                  "helicone-cache-bucket-max-size");
    for (const std::string_view value : {"", "-1", "1.5", "1h", " "})
        EXPECT_EQ(refused_field({{"Cf-Aig-Cache-Ttl", value}}), "cf-aig-cache-ttl") << value;
}

TEST(Compat, TakesTheStricterOfTwo) {
    EXPECT_EQ(good({{"x-larder-ttl", "10"}, {"cf-aig-cache-ttl", "60"}}).ttl, seconds(10));
    EXPECT_EQ(good({{"x-larder-ttl", "90"}, {"cf-aig-cache-ttl", "60"}}).ttl, seconds(60));
    const Directives both = good({{"cache-control", "no-store"},
                                  {"helicone-cache-enabled", "true"},
                                  {"x-portkey-cache-force-refresh", "true"}});
    EXPECT_TRUE(both.no_store && both.no_cache);
    EXPECT_TRUE(good({{"cache-control", "no-cache"}, {"cf-aig-skip-cache", "false"}}).no_cache);
}

TEST(Compat, KnowsNoOrderOfHeaders) {
    const Given given{{"x-portkey-cache-namespace", "a"}, {"helicone-cache-seed", "b"}};
    EXPECT_EQ(good(given).key_parts, good({given[1], given[0]}).key_parts);
}

TEST(LitellmCache, ReadsEachMember) {
    EXPECT_EQ(taken(R"({"ttl":5})").ttl, seconds(5));
    EXPECT_EQ(taken(R"({"ttl":5.0})").ttl, seconds(5));
    EXPECT_EQ(taken(R"({"ttl":99999999})").ttl, seconds(86'400)) << "cache.ttl_max";
    EXPECT_EQ(taken(R"({"s-maxage":7})").max_age_s, 7);
    EXPECT_EQ(taken(R"({"s-max-age":7})").max_age_s, 7);
    EXPECT_TRUE(taken(R"({"no-cache":true})").no_cache);
    EXPECT_FALSE(taken(R"({"no-cache":false})").no_cache);
    EXPECT_TRUE(taken(R"({"no-store":true})").no_store);
    EXPECT_TRUE(taken(R"({"use-cache":false})").no_store);
    EXPECT_FALSE(taken(R"({"use-cache":true})").no_store);
    EXPECT_EQ(taken(R"({"namespace":"a"})").key_parts.size(), 1U);
    EXPECT_EQ(taken(R"({"namespace":"\u0061"})").key_parts.at(0).value, "a");
}

TEST(LitellmCache, TakesNullAsAbsent) {
    const Directives none =
        taken(R"({"ttl":null,"s-maxage":null,"no-cache":null,"no-store":null,"namespace":null})");
    EXPECT_FALSE(none.ttl || none.max_age_s || none.no_cache || none.no_store);
    EXPECT_TRUE(none.key_parts.empty());
    EXPECT_FALSE(taken("null").no_store);
}

TEST(LitellmCache, RefusesWrongTypesByTheirField) {
    EXPECT_EQ(refused_member("true"), "cache");
    EXPECT_EQ(refused_member("[]"), "cache");
    for (const std::string_view value : {R"("5")", "-1", "1.5", "true", "{}", "1e400"}) {
        EXPECT_EQ(refused_member(R"({"ttl":)" + std::string(value) + "}"), "cache.ttl") << value;
        EXPECT_EQ(refused_member(R"({"s-maxage":)" + std::string(value) + "}"), "cache.s-maxage");
    }
    for (const std::string_view name : {"no-cache", "no-store", "use-cache"})
        EXPECT_EQ(refused_member("{\"" + std::string(name) + R"(":"true"})"),
                  "cache." + std::string(name));
    for (const std::string_view value : {R"("")", "1", "[]"})
        EXPECT_EQ(refused_member(R"({"namespace":)" + std::string(value) + "}"), "cache.namespace");
    EXPECT_EQ(refused_member(R"({"namespace":")" + std::string(257, 'a') + "\"}"),
              "cache.namespace");
    EXPECT_EQ(refused_member(R"({"nocache":true})"), "cache.nocache");
}

TEST(LitellmCache, TakesTheStricterOfHeadAndBody) {
    const Directives head = good({{"x-larder-ttl", "10"}, {"cache-control", "max-age=3"}});
    const Directives both = taken(R"({"ttl":60,"s-maxage":60})", head);
    EXPECT_EQ(both.ttl, seconds(10));
    EXPECT_EQ(both.max_age_s, 3);
    EXPECT_TRUE(taken(R"({"no-cache":false})", {.no_cache = true}).no_cache);
}

TEST(LitellmCache, IsTakenOutAtEveryPlace) {
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {R"({"a":1})", "(none)"},
        {R"({"a":{"cache":{}}})", "(none)"},
        {R"({"cache":{}})", "{}"},
        {R"({ "cache" : {} })", "{  }"},
        {R"({"cache":{"ttl":1},"a":1})", R"({"a":1})"},
        {R"({"a":1,"cache":{}})", R"({"a":1})"},
        {R"({"a":1 , "cache":{} })", R"({"a":1  })"},
        {R"({"a":1,"cache":null,"b":",cache"})", R"({"a":1,"b":",cache"})"},
        {R"({"a":1,"c\u0061che":{},"b":2})", R"({"a":1,"b":2})"},
    };
    for (const auto& [body, rest] : cases) {
        const auto result = take(body);
        ASSERT_TRUE(result) << body;
        EXPECT_EQ(result->rest, rest);
    }
}

TEST(CompatLines, SayTheOutcomeInEachGatewaysWords) {
    const auto lines = [](const CompatConfig& compat, Outcome outcome, bool refreshes = false) {
        std::string out;
        add_compat_lines(out, compat, outcome, refreshes);
        return out;
    };
    EXPECT_EQ(lines({.litellm = true}, Outcome::kHit), "");
    for (const Outcome hit : {Outcome::kHit, Outcome::kStale, Outcome::kCoalesced}) {
        EXPECT_EQ(lines(kAll, hit), "x-portkey-cache-status: HIT\r\nHelicone-Cache: HIT\r\n"
                                    "cf-aig-cache-status: HIT\r\n");
    }
    EXPECT_EQ(lines({.helicone = true}, Outcome::kMiss), "Helicone-Cache: MISS\r\n");
    EXPECT_EQ(lines({.portkey = true}, Outcome::kMiss, true),
              "x-portkey-cache-status: REFRESH\r\n");
    EXPECT_EQ(lines(kAll, Outcome::kBypass), "x-portkey-cache-status: DISABLED\r\n");
}

} // namespace
} // namespace larder::gateway
