// What a request may say about the cache: the contract's "Per request", and what is malformed.
#include "gateway/directives.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace larder::gateway {
namespace {

using Given = std::vector<std::pair<std::string_view, std::string_view>>;

Result<Directives> read(const Given& given,
                        std::chrono::milliseconds ttl_max = std::chrono::hours(24)) {
    http::Fields fields;
    for (const auto& [name, value] : given)
        fields.add(name, value);
    return read_directives(fields, ttl_max);
}

Directives cache_control(std::string_view value) {
    const auto directives = read({{"Cache-Control", value}});
    EXPECT_TRUE(directives);
    return directives.value_or(Directives{});
}

std::string refused_field(const Given& given) {
    const auto directives = read(given);
    if (directives)
        return "(accepted)";
    EXPECT_EQ(directives.error().code, ErrorCode::kInvalidRequest);
    EXPECT_FALSE(directives.error().message.empty());
    return directives.error().field;
}

TEST(Directives, AreAllUnsetWithoutFields) {
    const auto directives = read({{"Accept", "no-cache"}, {"Pragma", "no-cache"}});
    ASSERT_TRUE(directives);
    EXPECT_FALSE(directives->no_cache || directives->no_store || directives->only_if_cached);
    EXPECT_FALSE(directives->max_age_s || directives->ttl);
    EXPECT_EQ(directives->variant, "");
}

TEST(Directives, ReadEachDirectiveOfTheContract) {
    EXPECT_TRUE(cache_control("no-cache").no_cache);
    EXPECT_TRUE(cache_control("no-store").no_store);
    EXPECT_TRUE(cache_control("only-if-cached").only_if_cached);
    EXPECT_EQ(cache_control("max-age=60").max_age_s, 60);
    EXPECT_EQ(cache_control("max-age=0").max_age_s, 0);
}

TEST(Directives, TakeListsCaseAndSpaceAsTheyCome) {
    const Directives directives = cache_control(" No-Cache ,,\tMAX-AGE = 5 , ONLY-if-cached");
    EXPECT_TRUE(directives.no_cache);
    EXPECT_TRUE(directives.only_if_cached);
    EXPECT_FALSE(directives.no_store);
    EXPECT_EQ(directives.max_age_s, 5);
}

TEST(Directives, AddUpOverSeveralFields) {
    const auto directives = read({{"cache-control", "no-store"}, {"CACHE-CONTROL", "max-age=9"}});
    ASSERT_TRUE(directives);
    EXPECT_TRUE(directives->no_store);
    EXPECT_EQ(directives->max_age_s, 9);
}

TEST(Directives, TakeTheSmallerOfTwoMaxAges) {
    EXPECT_EQ(cache_control("max-age=9, max-age=3").max_age_s, 3);
    EXPECT_EQ(cache_control("max-age=3, max-age=9").max_age_s, 3);
}

TEST(Directives, IgnoreUnknownAndMalformedOnesOfCacheControl) {
    for (const std::string_view value :
         {"", ",", "no-transform", "no-cachex", "xno-store", "max-age", "max-age=", "max-age=-1",
          "max-age=-0", "max-age=1.5", "max-age=abc", "max-age=5x", "max-age=\"", "max-stale=5",
          "min-fresh=5", "s-maxage=5", "maxage=5", "private"}) {
        const Directives directives = cache_control(value);
        EXPECT_FALSE(directives.no_cache || directives.no_store || directives.only_if_cached)
            << value;
        EXPECT_FALSE(directives.max_age_s) << value;
    }
}

TEST(Directives, TakeAQuotedMaxAge) {
    EXPECT_EQ(cache_control("max-age=\"7\"").max_age_s, 7);
}

TEST(Directives, HugeNumbersMeanForEverAndOverflowNothing) {
    for (const std::string_view digits :
         {"2147483648", "9223372036854775807", "9223372036854775808", "99999999999999999999999"}) {
        const auto age = cache_control("max-age=" + std::string(digits)).max_age_s;
        ASSERT_TRUE(age) << digits;
        EXPECT_EQ(*age, 1LL << 31) << digits;
    }
}

TEST(Directives, ReadATtlUpToItsBound) {
    EXPECT_EQ(read({{"x-larder-ttl", "0"}})->ttl, std::chrono::seconds(0));
    EXPECT_EQ(read({{"X-Larder-TTL", "86400"}})->ttl, std::chrono::seconds(86400));
    EXPECT_EQ(refused_field({{"x-larder-ttl", "86401"}}), "x-larder-ttl");
}

TEST(Directives, RefuseAMalformedTtl) {
    for (const std::string_view value :
         {"", "-1", "-0", "1.5", "60s", "abc", "0x10", "1 2", "99999999999999999999",
          "9223372036854775807", "18446744073709552", "+5"})
        EXPECT_EQ(refused_field({{"x-larder-ttl", value}}), "x-larder-ttl") << value;
    EXPECT_EQ(refused_field({{"x-larder-ttl", "5"}, {"x-larder-ttl", "5"}}), "x-larder-ttl");
}

TEST(Directives, ReadAVariantOfVisibleCharacters) {
    EXPECT_EQ(read({{"x-larder-variant", "a-1/~!"}})->variant, "a-1/~!");
    const std::string longest(128, 'v');
    EXPECT_EQ(read({{"x-larder-variant", longest}})->variant, longest);
}

TEST(Directives, RefuseAMalformedVariant) {
    for (const std::string& value :
         {std::string(), std::string(129, 'v'), std::string("a b"), std::string("\xc3\xa4"),
          std::string("a\x7f"), std::string("a\0b", 3)})
        EXPECT_EQ(refused_field({{"x-larder-variant", value}}), "x-larder-variant") << value;
    EXPECT_EQ(refused_field({{"x-larder-variant", "a"}, {"x-larder-variant", "a"}}),
              "x-larder-variant");
}

} // namespace
} // namespace larder::gateway
