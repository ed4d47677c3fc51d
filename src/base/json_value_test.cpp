// Tests of reading values: members, strings, exact integers, doubles.
#include "base/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::json {
namespace {

/// A document whose text lives with it; "null" with a failure noted when it does not parse.
struct Parsed {
    explicit Parsed(std::string source) : text(std::move(source)) {
        auto parsed = parse(text);
        EXPECT_TRUE(parsed) << text;
        document = parsed ? *parsed : *parse("null");
    }
    [[nodiscard]] Value root() const { return document.root(); }
    std::string text;
    Document document;
};

TEST(JsonValue, FindsMembersByTheirUnescapedName) {
    const Parsed parsed(R"( {"a":1, "b\u00e9\n":{"a":2}, "c":[3], "":4} )");
    const Value root = parsed.root();
    EXPECT_EQ(root.find("a")->as_int(), 1);
    EXPECT_EQ(root.find("b\xC3\xA9\n")->find("a")->as_int(), 2);
    EXPECT_EQ(root.find("")->as_int(), 4);
    EXPECT_EQ(root.find("c")->raw(), "[3]");
    EXPECT_EQ(root.find("c")->size(), 1U);
    EXPECT_EQ(root.find("c")->begin(), parsed.text.find("[3]"));
    EXPECT_EQ(root.find("c")->end(), parsed.text.find("[3]") + 3);
    EXPECT_FALSE(root.find("d"));
    EXPECT_FALSE(root.find("A"));
    EXPECT_FALSE(root.find("c")->find("a"));
    EXPECT_FALSE(root.find("a")->find(""));
}

TEST(JsonValue, UnescapesStrings) {
    const Parsed parsed(R"(["\"\\\/\b\f\n\r\t", "\u0000x", "\u00e9\u20AC\ud83d\ude00!", "plain"])");
    std::vector<std::string> strings;
    parsed.root().for_each_element([&](Value element) {
        strings.push_back(*element.as_string());
        return true;
    });
    EXPECT_THAT(strings, testing::ElementsAre("\"\\/\b\f\n\r\t", std::string("\0x", 2),
                                              "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80!", "plain"));
}

TEST(JsonValue, GivesAPlainStringOnlyWithoutEscapes) {
    const Parsed parsed(R"({"a":"text","b":"te\u0078t","c":""})");
    EXPECT_EQ(parsed.root().find("a")->as_plain_string(), "text");
    EXPECT_FALSE(parsed.root().find("b")->as_plain_string());
    EXPECT_EQ(parsed.root().find("b")->as_string(), "text");
    EXPECT_EQ(parsed.root().find("c")->as_plain_string(), "");
    EXPECT_FALSE(parsed.root().as_plain_string());
}

TEST(JsonValue, TakesAnIntegerInEverySpelling) {
    const auto as_int = [](const char* text) { return Parsed(text).root().as_int(); };
    EXPECT_EQ(as_int("3"), 3);
    EXPECT_EQ(as_int("3.0"), 3);
    EXPECT_EQ(as_int("3e0"), 3);
    EXPECT_EQ(as_int("0.3e1"), 3);
    EXPECT_EQ(as_int("30E-1"), 3);
    EXPECT_EQ(as_int("-0"), 0);
    EXPECT_EQ(as_int("-0.0e5"), 0);
    EXPECT_EQ(as_int("-12e2"), -1200);
    EXPECT_EQ(as_int("9223372036854775807"), INT64_MAX);
    EXPECT_EQ(as_int("-9223372036854775808"), INT64_MIN);
    EXPECT_EQ(as_int("-9223372036854775808.0"), INT64_MIN);
    EXPECT_EQ(as_int("922337203685477580.7e1"), INT64_MAX);
    EXPECT_EQ(as_int("0e99999999999999"), 0);
}

TEST(JsonValue, RefusesAnIntegerThatIsNoneOrOutOfRange) {
    for (const char* text :
         {"3.5", "1e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999999",
          "1e-999999999999999", "\"3\"", "true", "null", "[3]"})
        EXPECT_FALSE(Parsed(text).root().as_int()) << text;
}

TEST(JsonValue, ScalesDecimalsExactly) {
    const auto scaled = [](const char* text) { return Parsed(text).root().as_scaled(6); };
    EXPECT_EQ(scaled("2.5"), 2'500'000);
    EXPECT_EQ(scaled("0.075"), 75'000);
    EXPECT_EQ(scaled("1e-6"), 1);
    EXPECT_EQ(scaled("-3"), -3'000'000);
    EXPECT_EQ(scaled("0"), 0);
    EXPECT_EQ(scaled("9223372036854.775807"), INT64_MAX);
    EXPECT_FALSE(scaled("9223372036854.775808"));
    EXPECT_FALSE(scaled("0.0000001"));
    EXPECT_FALSE(scaled("1e99999999999"));
    EXPECT_FALSE(scaled("\"2.5\""));
}

TEST(JsonValue, ReadsDoubles) {
    const auto as_double = [](const char* text) { return Parsed(text).root().as_double(); };
    EXPECT_EQ(as_double("0.7"), 0.7);
    EXPECT_EQ(as_double("-1.25e2"), -125.0);
    EXPECT_EQ(as_double("1e-400"), 0.0);
    EXPECT_EQ(as_double("1e-99999999999999"), 0.0);
    EXPECT_EQ(as_double("5e-324"), 5e-324);
    EXPECT_FALSE(as_double("1e400"));
    EXPECT_FALSE(as_double("-1e99999999999999"));
    EXPECT_FALSE(as_double("\"1\""));
}

TEST(JsonValue, ReadsBooleansAndKinds) {
    const Parsed parsed(R"([true,false,null])");
    std::vector<Value> values;
    parsed.root().for_each_element([&](Value value) {
        values.push_back(value);
        return true;
    });
    EXPECT_EQ(values[0].as_bool(), true);
    EXPECT_EQ(values[1].as_bool(), false);
    EXPECT_FALSE(values[2].as_bool());
    EXPECT_TRUE(values[2].is(Kind::kNull));
}

TEST(JsonValue, VisitsMembersAndElementsInOrderUntilToldToStop) {
    const Parsed parsed(R"({"b":[1,2,3],"\u0061":{},"c":0})");
    std::string names;
    parsed.root().for_each_member([&](std::string_view name, Value value) {
        names.append(name).append(value.raw());
        return name != "a";
    });
    EXPECT_EQ(names, "b[1,2,3]a{}");
    int sum = 0;
    parsed.root().find("b")->for_each_element([&](Value element) {
        sum += static_cast<int>(*element.as_int());
        return sum < 3;
    });
    EXPECT_EQ(sum, 3);
    parsed.root().find("c")->for_each_member([](std::string_view, Value) {
        ADD_FAILURE();
        return true;
    });
    parsed.root().for_each_element([](Value) {
        ADD_FAILURE();
        return true;
    });
}

TEST(JsonValue, FollowsItsTextToAnotherPlace) {
    std::string text = R"({"model":"gpt-4o"})";
    auto document = parse(text);
    ASSERT_TRUE(document);
    const std::string copy = text;
    document->rebase(copy);
    text.assign(text.size(), '#');
    EXPECT_EQ(document->root().find("model")->as_string(), "gpt-4o");
}

} // namespace
} // namespace larder::json
