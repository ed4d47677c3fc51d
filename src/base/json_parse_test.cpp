// Tests of the JSON parser: the grammar, its refusals and their positions, limits, hostile input.
#include "base/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>

namespace larder::json {
namespace {

/// Parses a copy in a block of its own size, so that a byte read too many is seen by ASan.
Result<Document> parse_copy(std::string_view text, std::unique_ptr<char[]>& block,
                            const Limits& limits = {}) {
    block = std::make_unique<char[]>(text.size());
    std::copy(text.begin(), text.end(), block.get());
    return parse({block.get(), text.size()}, limits);
}

void expect_parses(std::string_view text) {
    std::unique_ptr<char[]> block;
    const auto document = parse_copy(text, block);
    EXPECT_TRUE(document) << text << ": " << (document ? "" : document.error().message);
}

void expect_refused(std::string_view text, std::size_t position, std::string_view reason) {
    std::unique_ptr<char[]> block;
    const auto document = parse_copy(text, block);
    ASSERT_FALSE(document) << text;
    EXPECT_EQ(document.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(document.error().position, position) << text;
    EXPECT_THAT(document.error().message, testing::HasSubstr(std::string(reason))) << text;
}

TEST(JsonParse, TakesEveryKindOfValue) {
    for (const char* text :
         {"null", "true", "false", "0", "-0", "12", "-1.5", "1e5", "1E-5", "1.25e+10", "\"\"",
          "\"a\\n\\u00e9\\ud83d\\ude00\"", "[]", "{}", "[[],{}]", R"({"a":[1,{"b":null}],"c":""})",
          " \t\r\n[ 1 , 2 ]\n", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x7F\"", R"({"":1,"a":2})"})
        expect_parses(text);
}

TEST(JsonParse, RefusesWhatTheGrammarDoesNotAllowAndSaysWhere) {
    expect_refused("", 0, "empty");
    expect_refused("   ", 3, "ends where a value");
    expect_refused("{", 1, "name in quotes, or '}'");
    expect_refused("[", 1, "ends where a value");
    expect_refused("[1", 2, "',' or ']' after an element");
    expect_refused("[1 2]", 3, "',' or ']' after an element");
    expect_refused("[1,]", 3, "expected a value");
    expect_refused("[1}", 2, "',' or ']'");
    expect_refused(R"({"a" 1})", 5, "':' after");
    expect_refused(R"({"a":1 "b":2})", 7, "expected ',' or '}' after a member");
    expect_refused(R"({"a":1,})", 7, "name in quotes after ','");
    expect_refused(R"({a:1})", 1, "name in quotes");
    expect_refused(R"({"a":})", 5, "expected a value");
    expect_refused("1 2", 2, "text after the value");
    expect_refused("{}}", 2, "text after the value");
    expect_refused("nul", 0, "expected a value");
    expect_refused("True", 0, "expected a value");
    expect_refused("NaN", 0, "expected a value");
    expect_refused("// x\n1", 0, "expected a value");
    expect_refused(std::string_view("[1]\0", 4), 3, "text after the value");
    expect_refused("\xEF\xBB\xBF{}", 0, "byte-order mark");
}

TEST(JsonParse, RefusesNumbersOfAnotherGrammar) {
    expect_refused("01", 0, "begin with a zero");
    expect_refused("-", 1, "digit after '-'");
    expect_refused("-a", 1, "digit after '-'");
    expect_refused("-01", 0, "begin with a zero");
    expect_refused("1.", 2, "digit after '.'");
    expect_refused("1.e5", 2, "digit after '.'");
    expect_refused(".5", 0, "expected a value");
    expect_refused("+1", 0, "expected a value");
    expect_refused("1e", 2, "exponent");
    expect_refused("1e+", 3, "exponent");
    expect_refused("0x10", 1, "text after");
    expect_refused("-Infinity", 1, "digit after '-'");
}

TEST(JsonParse, RefusesBadStrings) {
    expect_refused("\"abc", 0, "not closed");
    expect_refused("\"abc\\", 4, "not closed");
    expect_refused("\"abc\\\"", 0, "not closed");
    expect_refused("\"a\nb\"", 2, "control character");
    expect_refused(std::string_view("\"a\0b\"", 5), 2, "control character");
    expect_refused(R"("\x41")", 1, "unknown escape");
    expect_refused(R"("\u12g4")", 1, "four hexadecimal");
    expect_refused(R"("\u12")", 1, "four hexadecimal");
    expect_refused("\"\\u1", 1, "four hexadecimal");
    expect_refused(R"("\ud83d")", 1, "surrogate");
    expect_refused(R"("\ud83dx")", 1, "surrogate");
    expect_refused(R"("\ud83d\ud83d")", 1, "surrogate");
    expect_refused(R"("\ud83d\n")", 1, "surrogate");
    expect_refused(R"("\ude00")", 1, "surrogate");
}

TEST(JsonParse, SeesASpecialByteAtEveryPlaceOfALongString) {
    for (std::size_t at = 0; at < 70; ++at) {
        std::string text = "\"" + std::string(70, 'a') + "\"";
        text[at + 1] = '\x1f';
        expect_refused(text, at + 1, "control character");
        text[at + 1] = '"';
        expect_refused(text, at + 2, "text after the value");
        text[at + 1] = ' ';
        expect_parses(text);
        text[at + 1] = '\x7f';
        expect_parses(text);
    }
}

TEST(JsonParse, RefusesInvalidUtf8AndSaysWhere) {
    expect_refused("\"a\xFF\"", 2, "UTF-8");
    expect_refused("\"\xC3\"", 1, "UTF-8");
    expect_refused("\"\xC0\x80\"", 1, "UTF-8");         // overlong
    expect_refused("\"ab\xED\xA0\x80\"", 3, "UTF-8");   // a surrogate
    expect_refused("\"\xF4\x90\x80\x80\"", 1, "UTF-8"); // beyond U+10FFFF
    expect_refused("\"\xE2\x82", 1, "UTF-8");
    expect_refused("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x80\"", 10, "UTF-8");
}

TEST(JsonParse, RefusesAMemberGivenTwiceAndNamesIt) {
    const auto expect_twice = [](std::string_view text, std::size_t position,
                                 std::string_view name) {
        expect_refused(text, position, "given twice");
        std::unique_ptr<char[]> block;
        EXPECT_EQ(parse_copy(text, block).error().field, name);
    };
    expect_twice(R"({"a":1,"a":1})", 7, "a");
    expect_twice(R"({"a":1,"\u0061":2})", 7, "a");
    expect_twice(R"({"x":[{"b":{},"c":0,"b":1}]})", 20, "b");
    expect_twice(R"({"":1,"":2})", 6, "");
    expect_parses(R"([{"a":1},{"a":1}])");
    expect_parses(R"({"a":{"a":1},"A":2,"a ":3})");
}

TEST(JsonParse, FindsARepeatedMemberAmongMany) {
    std::string text = "{";
    for (int index = 0; index < 40; ++index)
        text += "\"name" + std::to_string(index) + "\":0,";
    const std::size_t position = text.size();
    expect_refused(text + R"("nam\u006517":1,"name3":1})", position, "given twice");
    expect_parses(text + R"("nam\u0065":1,"other":1})");
}

TEST(JsonParse, ShortensTheFieldOfARepeatedMemberAtACharacter) {
    std::string name(255, 'x');
    for (int index = 0; index < 100; ++index)
        name += "\xC3\xA9";
    std::unique_ptr<char[]> block;
    const auto document = parse_copy("{\"" + name + "\":1,\"" + name + "\":1}", block);
    ASSERT_FALSE(document);
    EXPECT_EQ(document.error().field, std::string(255, 'x'));
}

TEST(JsonParse, TakesAHundredThousandMembersOfOneLengthAndPrefix) {
    std::string text = "{";
    for (int index = 100'000; index < 200'000; ++index)
        text += "\"a common and rather long beginning " + std::to_string(index) + "\":0,";
    const std::size_t position = text.size();
    expect_parses(text + "\"last\":0}");
    expect_refused(text + "\"a common and rather long beginning 150000\":0}", position,
                   "given twice");
}

TEST(JsonParse, HoldsItsLimits) {
    std::unique_ptr<char[]> block;
    const auto refused_as_too_large = [&block](std::string_view text, const Limits& limits) {
        const auto document = parse_copy(text, block, limits);
        return !document && document.error().code == ErrorCode::kTooLarge;
    };
    EXPECT_TRUE(parse_copy("[[[]]]", block, {.depth = 3}));
    EXPECT_TRUE(refused_as_too_large("[[[]]]", {.depth = 2}));
    EXPECT_TRUE(parse_copy("[[],[],[{}]]", block, {.depth = 3}));
    EXPECT_TRUE(parse_copy("[1,2]", block, {.nodes = 3}));
    EXPECT_TRUE(refused_as_too_large("[1,2,3]", {.nodes = 3}));
    EXPECT_TRUE(parse_copy("[1,2]", block, {.bytes = 5}));
    EXPECT_TRUE(refused_as_too_large("[1,2]", {.bytes = 4}));
    EXPECT_TRUE(refused_as_too_large(std::string(1'000'000, '['), {}));
    EXPECT_TRUE(refused_as_too_large("[[1,2]]", {.depth = 1}));
}

TEST(JsonParse, RefusesEveryBeginningOfAText) {
    const std::string_view text =
        R"({"a":[1.5e3,true,false,null,"\u00e9\ud83d\ude00x"],"b":{"c":"é","d":{}},"e":[]})";
    expect_parses(text);
    for (std::size_t length = 0; length < text.size(); ++length) {
        std::unique_ptr<char[]> block;
        EXPECT_FALSE(parse_copy(text.substr(0, length), block)) << length;
    }
}

TEST(JsonParse, MakesATapeWhoseSubtreesCanBeSkipped) {
    const std::string_view text = R"({"a":[1,[2]],"b":3})";
    const auto document = parse(text);
    ASSERT_TRUE(document);
    const Node& root = document->node(0);
    EXPECT_EQ(root.size, 2U);
    EXPECT_EQ(root.next, 8U);
    EXPECT_EQ(root.end, text.size());
    const Node& array = document->node(2);
    EXPECT_EQ(array.kind, Kind::kArray);
    EXPECT_EQ(array.size, 2U);
    EXPECT_EQ(array.next, 6U);
    EXPECT_EQ(document->node(7).kind, Kind::kNumber);
}

} // namespace
} // namespace larder::json
