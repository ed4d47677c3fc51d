// Tests of the text tools.
#include "base/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::text {
namespace {

using std::chrono::milliseconds;

TEST(Text, LowersAsciiOnly) {
    EXPECT_EQ(lower("ABC-xyz\xC3\x89[@`{"), "abc-xyz\xC3\x89[@`{");
    EXPECT_EQ(lower('Z'), 'z');
}

TEST(Text, ComparesIgnoringCase) {
    EXPECT_TRUE(equals_ignoring_case("Content-Type", "content-TYPE"));
    EXPECT_TRUE(equals_ignoring_case("", ""));
    EXPECT_FALSE(equals_ignoring_case("a", "ab"));
    EXPECT_FALSE(equals_ignoring_case("@", "`"));
}

TEST(Text, TrimsSpacesAndTabsOnly) {
    EXPECT_EQ(trim(" \t a b\t "), "a b");
    EXPECT_EQ(trim(" \t "), "");
    EXPECT_EQ(trim("\na\r"), "\na\r");
}

TEST(Text, SplitsAndKeepsEmptyParts) {
    EXPECT_THAT(split("a, b,,c ", ','), testing::ElementsAre("a", "b", "", "c"));
    EXPECT_THAT(split("", ','), testing::ElementsAre(""));
    EXPECT_THAT(split(",", ','), testing::ElementsAre("", ""));
}

TEST(Text, MatchesGlobs) {
    EXPECT_TRUE(matches_glob("o3*", "o3"));
    EXPECT_TRUE(matches_glob("o3*", "o3-mini"));
    EXPECT_FALSE(matches_glob("o3*", "gpt-o3"));
    EXPECT_TRUE(matches_glob("*mini*", "gpt-4o-mini-2024"));
    EXPECT_TRUE(matches_glob("a*b*c", "aXbXbc"));
    EXPECT_FALSE(matches_glob("a*b*c", "aXbXcb"));
    EXPECT_TRUE(matches_glob("*", ""));
    EXPECT_TRUE(matches_glob("", ""));
    EXPECT_FALSE(matches_glob("", "a"));
    EXPECT_TRUE(matches_glob("a**", "a"));
    EXPECT_FALSE(matches_glob("a?c", "abc"));
    EXPECT_TRUE(matches_glob("DELETE /admin/*", "DELETE /admin/cache/x"));
}

TEST(Text, MatchesHostileGlobsInBoundedTime) {
    std::string pattern;
    for (int index = 0; index < 50; ++index)
        pattern += "a*";
    EXPECT_FALSE(matches_glob(pattern + "b", std::string(5000, 'a')));
}

TEST(Text, ComparesInConstantTimeWithTheRightAnswer) {
    EXPECT_TRUE(equals_constant_time("", ""));
    EXPECT_TRUE(equals_constant_time("secret", "secret"));
    EXPECT_FALSE(equals_constant_time("secret", "secreT"));
    EXPECT_FALSE(equals_constant_time("Secret", "secret"));
    EXPECT_FALSE(equals_constant_time("secret", "secret "));
}

TEST(Text, WritesAndReadsHexadecimal) {
    EXPECT_EQ(hex(std::string_view("\x00\x0f\xff\xa5", 4)), "000fffa5");
    EXPECT_EQ(*from_hex("000fFFa5"), std::string("\x00\x0f\xff\xa5", 4));
    EXPECT_EQ(*from_hex(""), "");
    EXPECT_FALSE(from_hex("abc"));
    EXPECT_FALSE(from_hex("0g"));
    EXPECT_FALSE(from_hex(" 0"));
}

TEST(Text, WritesBase64AsTheRfcDoes) {
    // RFC 4648, section 10
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xfb\xff\xfe"), "+//+");
    EXPECT_EQ(base64url("\xfb\xff\xfe"), "-__-");
    EXPECT_EQ(base64url("fo"), "Zm8");
    EXPECT_EQ(base64url("f"), "Zg");
}

TEST(Text, ReadsWhatItWritesInBase64) {
    std::string bytes;
    for (int value = 0; value < 300; ++value) {
        EXPECT_EQ(*from_base64(base64(bytes)), bytes);
        EXPECT_EQ(*from_base64url(base64url(bytes)), bytes);
        bytes.push_back(static_cast<char>(value * 7));
    }
}

TEST(Text, RefusesWhatIsNoBase64) {
    for (const char* text : {"Zg", "Zg=", "Z===", "====", "Zm9v=", "Zg==Zg==", "Zm 9", "Zm9v\n",
                             "-__-", "Zh==", "Zm9=", "=Zm9", "Zm\xFF\xFF"})
        EXPECT_FALSE(from_base64(text)) << text;
    for (const char* text : {"Z", "Zg==", "+//+", "Zh", "Zm9vY", "Zm9 "})
        EXPECT_FALSE(from_base64url(text)) << text;
}

TEST(Text, DecodesPercentAndLeavesTheMalformed) {
    EXPECT_EQ(percent_decode("a%20b%2Fc%c3%A9"), "a b/c\xC3\xA9");
    EXPECT_EQ(percent_decode("100%"), "100%");
    EXPECT_EQ(percent_decode("%2"), "%2");
    EXPECT_EQ(percent_decode("%zz%2g%41"), "%zz%2gA");
    EXPECT_EQ(percent_decode("a+b"), "a+b");
    EXPECT_EQ(percent_decode("%%41"), "%A");
}

TEST(Text, ReadsDurations) {
    EXPECT_EQ(*parse_duration("250ms"), milliseconds(250));
    EXPECT_EQ(*parse_duration("60s"), milliseconds(60'000));
    EXPECT_EQ(*parse_duration("5m"), milliseconds(300'000));
    EXPECT_EQ(*parse_duration("24h"), milliseconds(86'400'000));
    EXPECT_EQ(*parse_duration("7d"), milliseconds(604'800'000));
    EXPECT_EQ(*parse_duration("0s"), milliseconds(0));
    for (const char* text : {"", "60", "s", "-1s", "+1s", "1.5s", " 1s", "1 s", "1S", "1w", "1s ",
                             "1h30m", "99999999999999999999s", "9223372036854775807s", "40000d"})
        EXPECT_FALSE(parse_duration(text)) << text;
    EXPECT_THAT(parse_duration("1w").error().message, testing::HasSubstr("'1w'"));
}

TEST(Text, ReadsSizes) {
    EXPECT_EQ(*parse_size("0"), 0U);
    EXPECT_EQ(*parse_size("512"), 512U);
    EXPECT_EQ(*parse_size("64KiB"), 65'536U);
    EXPECT_EQ(*parse_size("256MiB"), 268'435'456U);
    EXPECT_EQ(*parse_size("2GiB"), 2'147'483'648U);
    EXPECT_EQ(*parse_size("2KB"), 2000U);
    EXPECT_EQ(*parse_size("3MB"), 3'000'000U);
    EXPECT_EQ(*parse_size("4GB"), 4'000'000'000U);
    for (const char* text : {"", "MiB", "-1", "1.5GiB", "64 KiB", "64kib", "64K", "1XB",
                             "18446744073709551616", "9999999999GiB"})
        EXPECT_FALSE(parse_size(text)) << text;
}

} // namespace
TEST(PercentEncoding, EscapesWhatNoSegmentOfAPathHolds) {
    EXPECT_EQ(percent_encode("gemini-2.5_pro~x:tuned@1"), "gemini-2.5_pro~x:tuned@1");
    EXPECT_EQ(percent_encode("a/b?c#d e\r\n%\xc3\xa9"), "a%2Fb%3Fc%23d%20e%0D%0A%25%C3%A9");
    EXPECT_EQ(percent_decode(percent_encode("a/b?c#d e\r\n%\xc3\xa9")), "a/b?c#d e\r\n%\xc3\xa9");
}

} // namespace larder::text
