// Tests of writing JSON: strings, doubles, patches.
#include "base/json.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace larder::json {
namespace {

std::string written(std::string_view text) {
    std::string out = "+";
    write_string(out, text);
    return out;
}

std::string written(double value) {
    std::string out;
    write_double(out, value);
    return out;
}

TEST(JsonWrite, EscapesOnlyWhatMustBe) {
    EXPECT_EQ(written(""), R"(+"")");
    EXPECT_EQ(written("a/\xC3\xA9\xF0\x9F\x98\x80\x7F'<"), "+\"a/\xC3\xA9\xF0\x9F\x98\x80\x7F'<\"");
    EXPECT_EQ(written("\"\\\b\f\n\r\t"), R"(+"\"\\\b\f\n\r\t")");
    EXPECT_EQ(written(std::string_view("\0\x1f", 2)), R"(+"\u0000\u001f")");
    EXPECT_EQ(written(std::string(40, 'x') + "\"" + std::string(17, 'y') + "\n"),
              "+\"" + std::string(40, 'x') + "\\\"" + std::string(17, 'y') + "\\n\"");
}

TEST(JsonWrite, GivesAStringBackThatParsesToTheSame) {
    std::string all;
    for (int c = 0; c < 128; ++c)
        all.append(static_cast<std::size_t>(c % 7), 'x').push_back(static_cast<char>(c));
    const std::string out = written(all);
    const auto document = parse(std::string_view(out).substr(1));
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root().as_string(), all);
}

TEST(JsonWrite, WritesTheShortestDecimal) {
    EXPECT_EQ(written(0.1), "0.1");
    EXPECT_EQ(written(0.7), "0.7");
    EXPECT_EQ(written(-2.5), "-2.5");
    EXPECT_EQ(written(0.0), "0");
    EXPECT_EQ(written(-0.0), "0");
    EXPECT_EQ(written(1.0), "1");
    EXPECT_EQ(written(-1000000000000000.0), "-1000000000000000");
    EXPECT_EQ(written(9007199254740991.0), "9007199254740991");
    EXPECT_EQ(written(1e300), "1e+300");
    EXPECT_EQ(written(5e-324), "5e-324");
    EXPECT_EQ(written(std::numeric_limits<double>::infinity()), "null");
    EXPECT_EQ(written(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(JsonPatch, ReplacesSpansInAnyOrder) {
    Patch patch;
    EXPECT_TRUE(patch.empty());
    patch.replace(8, 9, "ninth");
    patch.replace(0, 1, "");
    patch.replace(3, 3, "+");
    EXPECT_FALSE(patch.empty());
    EXPECT_EQ(patch.apply("0123456789"), "12+34567ninth9");
    EXPECT_EQ(Patch().apply("as it is"), "as it is");
}

TEST(JsonPatch, AddsMembersAtTheEndOfAnObject) {
    const std::string text = R"({"model": "a", "options": { }, "last": {"x":1} })";
    const auto document = parse(text);
    ASSERT_TRUE(document);
    const Value root = document->root();
    Patch patch;
    patch.add_member(root, "stream", "true");
    patch.add_member(*root.find("options"), "a\"b", "1");
    patch.add_member(*root.find("options"), "c", "[2]");
    patch.add_member(*root.find("last"), "y", "2");
    patch.replace(root.find("model")->begin(), root.find("model")->end(), "\"longer\"");
    const std::string out = patch.apply(text);
    EXPECT_EQ(out, R"({"model": "longer", "options": { "a\"b":1,"c":[2]}, "last": {"x":1,"y":2} )"
                   R"(,"stream":true})");
    EXPECT_TRUE(parse(out));
}

TEST(JsonPatchDeathTest, StopsAtEditsThatOverlap) {
    Patch patch;
    patch.replace(0, 3, "x");
    patch.replace(2, 4, "y");
    EXPECT_DEATH(static_cast<void>(patch.apply("012345")), "assertion failed");
}

} // namespace
} // namespace larder::json
