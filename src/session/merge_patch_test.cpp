// Tests of JSON Merge Patch: the table of RFC 7396, appendix A, and what the RFC leaves open.
#include "session/merge_patch.hpp"

#include <gtest/gtest.h>

namespace larder::session {
namespace {

std::string merged(std::string_view target, std::string_view patch) {
    const auto a = json::parse(target);
    const auto b = json::parse(patch);
    if (!a || !b)
        return "unreadable";
    return merge_patch(a->root(), b->root());
}

struct Row {
    std::string_view target;
    std::string_view patch;
    std::string_view result;
};

TEST(MergePatch, GivesTheResultsOfTheRfcsTable) {
    constexpr Row kRows[] = {
        {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
        {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
        {R"({"a":"b"})", R"({"a":null})", R"({})"},
        {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
        {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
        {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
        {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
        {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
        {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
        {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
        {R"({"a":"foo"})", R"(null)", R"(null)"},
        {R"({"a":"foo"})", R"("bar")", R"("bar")"},
        {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
        {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
        {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
    };
    for (const Row& row : kRows)
        EXPECT_EQ(merged(row.target, row.patch), row.result) << row.target << " + " << row.patch;
}

TEST(MergePatch, KeepsTheBytesOfWhatItDoesNotName) {
    EXPECT_EQ(merged(R"({"big":12345678901234567890.10, "list":[ 1 , 2 ],"x":1})", R"({"x":2})"),
              R"({"big":12345678901234567890.10,"list":[ 1 , 2 ],"x":2})");
}

TEST(MergePatch, TakesNamesForWhatTheyMeanAndNotAsTheyAreWritten) {
    EXPECT_EQ(merged(R"({"caf\u00e9":1,"b":2})", R"({"café":null})"), R"({"b":2})");
    EXPECT_EQ(merged(R"({"a\"b":1})", R"({"\u0061\u0022b":2})"), R"({"a\"b":2})");
}

TEST(MergePatch, KeepsNullsInsideArraysAndStripsThemFromNewObjects) {
    EXPECT_EQ(merged(R"({})", R"({"a":[null,{"b":null}],"c":{"d":null,"e":1}})"),
              R"({"a":[null,{"b":null}],"c":{"e":1}})");
}

TEST(MergePatch, KeepsTheTargetsOrderAndAppendsInThePatchs) {
    EXPECT_EQ(merged(R"({"z":1,"m":2,"a":3})", R"({"y":9,"a":4,"b":8,"z":5})"),
              R"({"z":5,"m":2,"a":4,"y":9,"b":8})");
}

TEST(MergePatch, RemovesWhatIsNotThereWithoutATrace) {
    EXPECT_EQ(merged(R"({})", R"({"a":null,"b":{"c":null}})"), R"({"b":{}})");
    EXPECT_EQ(merged(R"({"a":1})", R"({})"), R"({"a":1})");
}

TEST(MergePatch, TakesAScalarsPlaceWithAnObject) {
    EXPECT_EQ(merged(R"({"a":1})", R"({"a":{"b":null,"c":2}})"), R"({"a":{"c":2}})");
}

TEST(MergePatch, GoesAsDeepAsTheParserDoes) {
    std::string target = "1";
    std::string patch = "2";
    for (int i = 0; i < 100; ++i) {
        target = R"({"a":)" + target + "}";
        patch = R"({"a":)" + patch + "}";
    }
    EXPECT_EQ(merged(target, patch), patch);
}

/// A search through all members for each one would be 400 million comparisons.
TEST(MergePatch, MergesManyMembersInOneGo) {
    std::string target = "{";
    std::string patch = "{";
    for (int i = 0; i < 20'000; ++i) {
        const std::string comma = i == 0 ? "" : ",";
        const std::string name = "\"m" + std::to_string(i) + "\":";
        target += comma + name + "1";
        patch += comma + name + (i == 0 ? "2" : "null");
    }
    EXPECT_EQ(merged(target + "}", patch + "}"), R"({"m0":2})");
}

} // namespace
} // namespace larder::session
