// Tests of the canonical form: what is the same, what is not, and that it is its own canonical
// form.
#include "base/json.hpp"

#include <gtest/gtest.h>
#include <set>

namespace larder::json {
namespace {

std::string canonical(std::string_view text, const CanonicalOptions& options = {}) {
    const auto document = parse(text);
    EXPECT_TRUE(document) << text;
    std::string out;
    if (document)
        write_canonical(out, document->root(), options);
    return out;
}

void expect_canonical(std::string_view text, std::string_view expected) {
    EXPECT_EQ(canonical(text), expected) << text;
    EXPECT_EQ(canonical(expected), expected);
}

TEST(JsonCanonical, DropsWhiteSpaceAndSortsMembers) {
    expect_canonical(" { \"b\" : [ 1 , { \"d\":null, \"c\":true } ], \"a\" : {} }\n",
                     R"({"a":{},"b":[1,{"c":true,"d":null}]})");
    expect_canonical(R"({"b":1,"ab":2,"a":3,"B":4,"":5,"é":6})",
                     R"({"":5,"B":4,"a":3,"ab":2,"b":1,"é":6})");
    expect_canonical("[3,1,2]", "[3,1,2]");
}

TEST(JsonCanonical, ComparesStringsAfterUnescaping) {
    expect_canonical(R"(["\u0061\/\u00e9\ud83d\ude00\u000a\u0022"])",
                     "[\"a/\xC3\xA9\xF0\x9F\x98\x80\\n\\\"\"]");
    expect_canonical(R"({"\u0062":1,"a":2})", R"({"a":2,"b":1})");
    EXPECT_NE(canonical("\"\xC3\xA9\""), canonical("\"e\xCC\x81\"")); // no normalisation
}

TEST(JsonCanonical, WritesEqualDoublesAlike) {
    for (const char* text : {"1", "1.0", "1e0", "10e-1", "0.1E+1", "1.000000000000000000001"})
        expect_canonical(text, "1");
    for (const char* text : {"0", "-0", "0.0", "-0e5", "1e-400", "-1e-400", "1e-9999999999999"})
        expect_canonical(text, "0");
    for (const char* text : {"0.7", "7e-1", "0.70", "0.70000000000000001"})
        expect_canonical(text, "0.7");
    expect_canonical("-1.5e3", "-1500");
    expect_canonical("9007199254740992.0", "9007199254740992");
    expect_canonical("1000000000000000000e-3", "1000000000000000");
}

TEST(JsonCanonical, WritesIntegersBeyond2To53ByTheirDigits) {
    expect_canonical("9007199254740993", "9007199254740993");
    expect_canonical("-9007199254740993.0", "-9007199254740993");
    for (const char* text : {"1e20", "1E+20", "100000000000000000000", "100000000000000000000.0"})
        expect_canonical(text, "1e20");
    expect_canonical("100000000000000000001", "100000000000000000001");
    expect_canonical("1e400", "1e400");
    expect_canonical("-1.5E400", "-15e399");
    expect_canonical("1e401", "1e401");
    std::set<std::string> seen;
    for (const char* text :
         {"9007199254740991", "9007199254740992", "9007199254740993", "9007199254740994",
          "-9007199254740993", "90071992547409920", "90071992547409930", "1e400", "1e401",
          "1e9999999999", "1e99999999999"})
        EXPECT_TRUE(seen.insert(canonical(text)).second) << text;
}

TEST(JsonCanonical, TakesLargeFractionsAsTheirDouble) {
    expect_canonical("9007199254740993.5", "9007199254740994");
    expect_canonical("100000000000000000000.5", "1e20");
    expect_canonical("1E99999999999", "1e99999999999");
    const std::string digits(400, '7');
    expect_canonical(digits + ".5", digits + "5e-1");
}

TEST(JsonCanonical, LeavesTopMembersOut) {
    const std::vector<std::string_view> skip = {"stream", "user"};
    const CanonicalOptions options{.skip_top = skip};
    EXPECT_EQ(canonical(R"({"str\u0065am":true,"a":{"user":1},"user":"x"})", options),
              R"({"a":{"user":1}})");
}

TEST(JsonCanonical, KeepsTheOrderWhereTheRuleSaysSo) {
    const CanonicalOptions options{.order = [](std::string_view name) {
        return name == "parameters" ? Order::kKept : Order::kFree;
    }};
    EXPECT_EQ(
        canonical(R"({"tools":[{"parameters":{"z":{"y":1,"x":2},"a":[{"d":1,"c":2}]},"n":1}]})",
                  options),
        R"({"tools":[{"n":1,"parameters":{"z":{"y":1,"x":2},"a":[{"d":1,"c":2}]}}]})");
    EXPECT_NE(canonical(R"({"parameters":{"a":1,"b":2}})", options),
              canonical(R"({"parameters":{"b":2,"a":1}})", options));
    EXPECT_EQ(canonical(R"({"parameters":{"\u0062" : 1.0,"a":2}})", options),
              R"({"parameters":{"b":1,"a":2}})");
}

TEST(JsonCanonical, SortsObjectsInsideObjects) {
    // Inner objects share their writer's memory with outer ones.
    std::string text = "{";
    for (char c = 'z'; c >= 'a'; --c) {
        text += std::string("\"\\u00") + "6" + "f" + c + "\":{";
        for (char d = 'z'; d >= 'a'; --d)
            text += std::string("\"") + d + "\":{\"y\":1,\"x\":[]}" + (d == 'a' ? "}" : ",");
        text += c == 'a' ? "}" : ",";
    }
    const std::string out = canonical(text);
    EXPECT_TRUE(out.starts_with(R"({"oa":{"a":{"x":[],"y":1},"b":{"x":[],"y":1},)"));
    EXPECT_TRUE(out.ends_with(R"("z":{"x":[],"y":1}}})"));
    EXPECT_EQ(canonical(out), out);
}

TEST(JsonCanonical, AppendsToWhatIsThere) {
    const auto document = parse("[1]");
    std::string out = "before ";
    write_canonical(out, document->root());
    EXPECT_EQ(out, "before [1]");
}

} // namespace
} // namespace larder::json
