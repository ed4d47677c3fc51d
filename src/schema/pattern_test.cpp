// Tests of patterns: ECMA-262's words in RE2, and that no expression and no text takes long.
#include "schema/pattern.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace larder::schema {
namespace {

bool matches(std::string_view expression, std::string_view text) {
    const auto pattern = Pattern::compile(expression);
    EXPECT_TRUE(pattern) << expression;
    return pattern && pattern->matches(text);
}

TEST(Pattern, MatchesAnywhereUnlessAnchored) {
    EXPECT_TRUE(matches("b", "abc"));
    EXPECT_FALSE(matches("^b", "abc"));
    EXPECT_FALSE(matches("b$", "abc"));
    EXPECT_TRUE(matches("^abc$", "abc"));
    EXPECT_FALSE(matches("^abc$", "abc\n"));
    EXPECT_TRUE(matches("", ""));
}

TEST(Pattern, ReadsWhatEcmaScriptWritesInItsOwnWay) {
    EXPECT_TRUE(matches(R"(^\u00e9$)", "\xC3\xA9"));
    EXPECT_TRUE(matches(R"(^\u{1F600}$)", "\xF0\x9F\x98\x80"));
    EXPECT_TRUE(matches(R"(^\uD83D\uDE00$)", "\xF0\x9F\x98\x80"));
    EXPECT_TRUE(matches(R"(^[\u0061-\u0063]+$)", "abc"));
    EXPECT_TRUE(matches(R"(^\cJ$)", "\n"));
    EXPECT_TRUE(matches(R"(^[\b]$)", "\b"));
    EXPECT_TRUE(matches(R"(\bcat\b)", "a cat!"));
    EXPECT_TRUE(matches(R"(^\0$)", std::string_view("\0", 1)));
    EXPECT_TRUE(matches(R"(^(?<year>\d{4})\/(?<month>\d\d)$)", "2026/11"));
    EXPECT_TRUE(matches(R"(^[[:a]+$)", "[:a"));
    EXPECT_TRUE(matches(R"(^a.c$)", "a\xE2\x82\xAC"
                                    "c"));
    EXPECT_FALSE(matches(R"(^a.c$)", "a\rc"));
    EXPECT_FALSE(matches(R"(^a.c$)", "a\xE2\x80\xA8"
                                     "c"));
    EXPECT_TRUE(matches(R"(^[.]$)", "."));
    EXPECT_FALSE(matches(R"(^[.]$)", "x"));
    EXPECT_FALSE(matches(R"(^\.$)", "x"));
}

TEST(Pattern, TakesUnicodeSpacesForSpaces) {
    EXPECT_TRUE(matches(R"(^\s$)", "\xC2\xA0"));
    EXPECT_TRUE(matches(R"(^\s+$)", " \t\n\v\f\r"));
    EXPECT_FALSE(matches(R"(^\S$)", "\xE3\x80\x80"));
    EXPECT_TRUE(matches(R"(^[\s_]+$)", "_\xE2\x80\x83"));
    EXPECT_TRUE(matches(R"(^[^\S]$)", "\xE2\x80\xA9"));
    EXPECT_TRUE(matches(R"(^[\S]$)", "\xC3\xA9"));
}

TEST(Pattern, RefusesWhatCannotBeDoneInLinearTimeOrIsNoEcmaScript) {
    for (const std::string_view expression : {"(?=a)",
                                              "(?!a)",
                                              "(?<=a)b",
                                              "(?<!a)b",
                                              R"((a)\1)",
                                              "(",
                                              "[",
                                              "a**",
                                              "*",
                                              R"(\)",
                                              R"(\Q.\E)",
                                              R"(\C)",
                                              R"(\A)",
                                              R"(\z)",
                                              R"(\u12)",
                                              R"(\u{110000})",
                                              R"(\u{)",
                                              R"(\uD83D\u0041)",
                                              R"(\c1)",
                                              R"(\p{Nothing})",
                                              "(x{1000}){1000}",
                                              "x{1001}",
                                              R"((\p{L}{500}){2}\p{L}{1000})"}) {
        const auto pattern = Pattern::compile(expression);
        ASSERT_FALSE(pattern) << expression;
        EXPECT_EQ(pattern.error().code, ErrorCode::kInvalidRequest);
        EXPECT_THAT(pattern.error().message, ::testing::StartsWith("is no regular expression"));
    }
    EXPECT_TRUE(Pattern::compile(std::string(1'000, 'a')));
    EXPECT_FALSE(Pattern::compile(std::string(1'001, 'a')));
}

TEST(Pattern, TakesLinearTimeWhereBacktrackingTakesForEver) {
    const std::string text = std::string(1'000'000, 'a') + "b";
    EXPECT_FALSE(matches("(a+)+$", text));
    EXPECT_FALSE(matches("^(a|aa)+$", text));
    EXPECT_FALSE(matches("^(a?){100}a{100}$", text.substr(text.size() - 100)));
}

TEST(Pattern, CountsLongTextsAndLargeExpressionsAsMoreSteps) {
    const auto small = Pattern::compile("^[a-z]+$");
    const auto large = Pattern::compile("^([a-z]{1,9}-){100}$");
    ASSERT_TRUE(small && large);
    EXPECT_EQ(small->steps(0), 1U);
    EXPECT_LT(small->steps(1'000), small->steps(100'000));
    EXPECT_GT(large->steps(1'000), 10 * small->steps(1'000));
}

} // namespace
} // namespace larder::schema
