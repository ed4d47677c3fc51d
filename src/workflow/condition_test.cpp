// Conditions: how values compare, what is not there, and what is refused.
#include "workflow/condition.hpp"

#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

Result<Condition> read(const std::string& text) {
    LARDER_TRY(const json::Document document, json::parse(text));
    return read_condition(document.root(), "steps[0].when");
}

/// Conditions over an input and the outputs of the steps "a", "seven" and "skipped".
class ConditionTest : public testing::Test {
protected:
    void SetUp() override {
        auto parsed = JsonText::parse(R"({
            "kind": "bug", "n": 7, "big": 9007199254740993, "on": true, "nothing": null,
            "text": "12.5", "tags": ["a", 1, {"k": [1.0]}], "o": {"x": 1, "y": [2]},
            "escaped": "caf\u00e9"})");
        ASSERT_TRUE(parsed.has_value());
        input_ = *std::move(parsed);
        outputs_["a"] = {.text = "It is a bug.", .json = nullptr};
        outputs_["seven"] = {.text = "7\n", .json = nullptr};
        outputs_["skipped"] = {};
    }
    bool is_true(const std::string& text) {
        const auto condition = read(text);
        EXPECT_TRUE(condition.has_value()) << text << ": " << condition.error().message;
        std::size_t left = kMostLookedAt;
        const auto is_so =
            condition ? holds(*condition, {.input = input_.get(), .outputs = &outputs_}, left)
                      : Result<bool>(false);
        EXPECT_TRUE(is_so) << text;
        return is_so && *is_so;
    }
    /// A comparison of input.NAME.
    bool is(const std::string& name, const std::string& comparison) {
        return is_true(R"({"value": "{{input.)" + name + R"(}}", )" + comparison + "}");
    }
    /// A comparison of a step's output.
    bool said(const std::string& step, const std::string& comparison) {
        return is_true(R"({"value": "{{steps.)" + step + R"(.output}}", )" + comparison + "}");
    }

private:
    std::shared_ptr<const JsonText> input_;
    std::map<std::string, StepOutput, std::less<>> outputs_;
};

TEST_F(ConditionTest, ComparesForEquality) {
    EXPECT_TRUE(is("kind", R"("equals": "bug")"));
    EXPECT_FALSE(is("kind", R"("equals": "Bug")"));
    EXPECT_TRUE(is("kind", R"("notEquals": "Bug")"));
    EXPECT_FALSE(is("kind", R"("notEquals": "bug")"));
    EXPECT_TRUE(is("escaped", R"("equals": "café")"));
    EXPECT_TRUE(is("n", R"("equals": 7.0)"));
    EXPECT_FALSE(is("n", R"("equals": "7")"));
    EXPECT_FALSE(is("big", R"("equals": 9007199254740992)"));
    EXPECT_TRUE(is("on", R"("equals": true)"));
    EXPECT_FALSE(is("on", R"("equals": 1)"));
    EXPECT_TRUE(is("nothing", R"("equals": null)"));
    EXPECT_TRUE(is("o", R"("equals": {"y": [2], "x": 1e0})"));
    EXPECT_FALSE(is("o", R"("equals": {"y": [2, 3], "x": 1})"));
    EXPECT_TRUE(said("a", R"("equals": "It is a bug.")"));
    EXPECT_FALSE(said("seven", R"("equals": 7)"));
}

TEST_F(ConditionTest, LooksIntoLists) {
    EXPECT_TRUE(is("kind", R"("in": ["x", "bug"])"));
    EXPECT_FALSE(is("kind", R"("in": ["x"])"));
    EXPECT_TRUE(is("n", R"("in": ["7", 7])"));
    EXPECT_TRUE(said("a", R"("in": [7, "It is a bug."])"));
    EXPECT_TRUE(is("tags", R"("contains": "a")"));
    EXPECT_TRUE(is("tags", R"("contains": 1)"));
    EXPECT_TRUE(is("tags", R"("contains": {"k": [1]})"));
    EXPECT_FALSE(is("tags", R"("contains": "k")"));
}

TEST_F(ConditionTest, LooksIntoTexts) {
    EXPECT_TRUE(is("kind", R"("contains": "ug")"));
    EXPECT_TRUE(said("a", R"("contains": "bug")"));
    EXPECT_FALSE(said("seven", R"("contains": 7)"));
    EXPECT_FALSE(is("n", R"("contains": "7")"));
    EXPECT_FALSE(is("o", R"("contains": "x")"));
    EXPECT_TRUE(said("a", R"("matches": "(?i)IS A \\w+")"));
    EXPECT_FALSE(said("a", R"("matches": "^bug$")"));
    EXPECT_TRUE(is("n", R"("matches": "^[0-9]$")"));
    EXPECT_FALSE(is("nothing", R"("matches": "")"));
}

TEST_F(ConditionTest, ComparesOrder) {
    EXPECT_TRUE(is("n", R"("greaterThan": 6.9)"));
    EXPECT_FALSE(is("n", R"("greaterThan": 7)"));
    EXPECT_TRUE(is("n", R"("atLeast": 7)"));
    EXPECT_TRUE(is("n", R"("lessThan": 10)"));
    EXPECT_TRUE(is("n", R"("atMost": "7")"));
    EXPECT_TRUE(is("big", R"("greaterThan": 9007199254740992)"));
    EXPECT_TRUE(is("text", R"("lessThan": 100)"));
    EXPECT_TRUE(said("seven", R"("atLeast": 7)"));
    EXPECT_TRUE(is("kind", R"("greaterThan": "a")"));
    EXPECT_FALSE(is("text", R"("greaterThan": "9")")); // texts, bytewise
    for (const auto* name : {"kind", "on", "nothing", "tags", "o"}) {
        EXPECT_FALSE(is(name, R"("greaterThan": 0)")) << name;
        EXPECT_FALSE(is(name, R"("atMost": 0)")) << name;
    }
}

TEST_F(ConditionTest, FindsNothingTrueOfWhatIsNotThere) {
    const auto nowhere = [&](const std::string& comparison) {
        return is("gone.deep.0", comparison);
    };
    EXPECT_FALSE(nowhere(R"("equals": null)"));
    EXPECT_FALSE(nowhere(R"("equals": "")"));
    EXPECT_FALSE(nowhere(R"("in": [null, ""])"));
    EXPECT_FALSE(nowhere(R"("contains": "")"));
    EXPECT_FALSE(nowhere(R"("matches": "")"));
    EXPECT_FALSE(nowhere(R"("atMost": 1)"));
    EXPECT_FALSE(nowhere(R"("exists": true)"));
    EXPECT_TRUE(nowhere(R"("exists": false)"));
    EXPECT_TRUE(nowhere(R"("notEquals": 1)"));
    EXPECT_FALSE(said("skipped", R"("exists": true)"));
    EXPECT_FALSE(said("skipped", R"("equals": "")"));
    EXPECT_TRUE(said("never", R"("exists": false)"));
    EXPECT_TRUE(is("nothing", R"("exists": true)"));
    EXPECT_TRUE(said("a", R"("exists": true)"));
    EXPECT_TRUE(is_true(R"({"value": "{{steps.a.json}}", "exists": false})"));
    EXPECT_TRUE(is_true(R"({"value": "{{steps.seven.json}}", "equals": 7})"));
}

TEST_F(ConditionTest, Combines) {
    const std::string yes = R"({"value": "{{input.n}}", "equals": 7})";
    const std::string no = R"({"value": "{{input.n}}", "equals": 8})";
    EXPECT_TRUE(is_true(R"({"all": [)" + yes + "," + yes + "]}"));
    EXPECT_FALSE(is_true(R"({"all": [)" + yes + "," + no + "]}"));
    EXPECT_TRUE(is_true(R"({"any": [)" + no + "," + yes + "]}"));
    EXPECT_FALSE(is_true(R"({"any": [)" + no + "]}"));
    EXPECT_TRUE(is_true(R"({"not": )" + no + "}"));
    EXPECT_FALSE(is_true(R"({"not": {"any": [)" + no + R"(, {"all": [)" + yes + "]}]}}"));
}

/// How much one comparison of {{input.x}} looks at; nullopt: more than `left`.
std::optional<std::size_t> look(const std::string& x, const std::string& comparison, bool expected,
                                std::size_t left = kMostLookedAt) {
    const auto input = JsonText::parse(R"({"x":)" + x + "}");
    const auto condition = read(R"({"value": "{{input.x}}", )" + comparison + "}");
    EXPECT_TRUE(input && condition);
    if (!input || !condition)
        return std::nullopt;
    const std::size_t before = left;
    const auto is_so = holds(*condition, {.input = input->get()}, left);
    if (is_so) {
        EXPECT_EQ(*is_so, expected) << comparison;
        return before - left;
    }
    EXPECT_EQ(is_so.error().code, ErrorCode::kUnprocessable);
    EXPECT_TRUE(is_so.error().message.contains(std::to_string(kMostLookedAt)));
    EXPECT_EQ(left, 0U);
    return std::nullopt;
}

std::string quoted(std::size_t size, std::string_view last) {
    return '"' + std::string(size, 'x').append(last) + '"';
}

TEST(ConditionWork, LooksAtNoTextWhoseSizeSaysEnough) {
    EXPECT_EQ(look(quoted(1'000'000, ""), R"("equals": "short")", false), 0U);
    EXPECT_EQ(look(quoted(1'000'000, "\\n"), R"("equals": "short")", false), 0U);
    EXPECT_EQ(look("[" + quoted(1'000'000, "") + "]", R"("equals": [])", false), 0U);
    EXPECT_LE(look("[" + quoted(1'000'000, "") + "]", R"("contains": "short")", false).value_or(99),
              8U);
    EXPECT_LE(look(quoted(5, ""), R"("in": ["x", "xx", "xxxxx"])", true).value_or(99), 40U);
}

TEST(ConditionWork, CountsWhatItLooksAt) {
    const std::string text = quoted(10'000, "");
    EXPECT_GE(look(text, R"("equals": )" + text, true).value_or(0), 10'000U);
    EXPECT_GE(look(text, R"("notEquals": )" + quoted(9'999, "y"), true).value_or(0), 10'000U);
    EXPECT_GE(look(text, R"("in": ["", )" + text + "]", true).value_or(0), 10'000U);
    EXPECT_GE(look(text, R"("contains": "y")", false).value_or(0), 10'000U);
    EXPECT_GE(look(text, R"("matches": "y")", false).value_or(0), 10'000U);
    EXPECT_GE(look(text, R"("atLeast": )" + text, true).value_or(0), 10'000U);
    EXPECT_GE(look("[" + text + "]", R"("equals": [)" + text + "]", true).value_or(0), 10'000U);
    EXPECT_GE(look(quoted(10'000, "\\n"), R"("contains": "\n")", true).value_or(0), 10'000U);
}

TEST(ConditionWork, EndsWhereItIsUsedUp) {
    const std::string text = quoted(10'000, "");
    for (const std::string& comparison :
         {R"("equals": )" + text, R"("in": [)" + text + "]", std::string(R"("contains": "y")"),
          std::string(R"("matches": "y")"), R"("atMost": )" + text})
        EXPECT_EQ(look(text, comparison, true, 5'000), std::nullopt) << comparison.substr(0, 20);
    EXPECT_EQ(look("[" + text + "]", R"("equals": [)" + text + "]", true, 5'000), std::nullopt);
    std::string many = "[0";
    for (int i = 0; i < 10'000; ++i)
        many += ",0";
    EXPECT_EQ(look(many + "]", R"("contains": "a")", false, 5'000), std::nullopt);
    EXPECT_EQ(look(quoted(10'000, "\\n"), R"("contains": "y")", false, 5'000), std::nullopt);
}

TEST(ReadCondition, NamesTheFieldAtFault) {
    const auto field_of = [](const std::string& text) {
        const auto condition = read(text);
        EXPECT_FALSE(condition.has_value()) << text;
        return condition ? "" : condition.error().field;
    };
    const std::string value = R"({"value": "{{input.a}}", )";
    EXPECT_EQ(field_of("[]"), "steps[0].when");
    EXPECT_EQ(field_of("{}"), "steps[0].when");
    EXPECT_EQ(field_of(R"({"value": "{{input.a}}"})"), "steps[0].when");
    EXPECT_EQ(field_of(R"({"equals": 1})"), "steps[0].when");
    EXPECT_EQ(field_of(value + R"("equals": 1, "exists": true})"), "steps[0].when");
    EXPECT_EQ(field_of(value + R"("is": 1})"), "steps[0].when");
    EXPECT_EQ(field_of(R"({"value": 5, "equals": 1})"), "steps[0].when.value");
    EXPECT_EQ(field_of(R"({"value": "input.a", "equals": 1})"), "steps[0].when.value");
    EXPECT_EQ(field_of(R"({"value": "{{input.a}}x", "equals": 1})"), "steps[0].when.value");
    EXPECT_EQ(field_of(value + R"("in": "abc"})"), "steps[0].when.in");
    EXPECT_EQ(field_of(value + R"("in": []})"), "steps[0].when.in");
    EXPECT_EQ(field_of(value + R"("exists": 1})"), "steps[0].when.exists");
    EXPECT_EQ(field_of(value + R"("matches": 1})"), "steps[0].when.matches");
    EXPECT_EQ(field_of(value + R"("matches": "("})"), "steps[0].when.matches");
    EXPECT_EQ(field_of(value + R"x("matches": "(?=x)"})x"), "steps[0].when.matches");
    EXPECT_EQ(field_of(value + R"("atLeast": [1]})"), "steps[0].when.atLeast");
    EXPECT_EQ(field_of(value + R"("equals": "{{input.b}}"})"), "steps[0].when.equals");
    EXPECT_EQ(field_of(R"({"all": {}})"), "steps[0].when.all");
    EXPECT_EQ(field_of(R"({"any": []})"), "steps[0].when.any");
    EXPECT_EQ(field_of(R"({"any": [)" + value + R"("exists": true}, {"not": 1}]})"),
              "steps[0].when.any[1].not");
    EXPECT_EQ(field_of(R"({"all": [], "any": []})"), "steps[0].when");
}

TEST(ReadCondition, BoundsDepthAndComparisons) {
    const std::string one = R"({"value": "{{input.a}}", "exists": true})";
    const auto nested = [&one](int deep) {
        std::string text = one;
        for (int i = 1; i < deep; ++i)
            text.insert(0, R"({"not": )").append("}");
        return read(text);
    };
    EXPECT_TRUE(nested(8).has_value());
    const auto too_deep = nested(9);
    ASSERT_FALSE(too_deep.has_value());
    EXPECT_EQ(too_deep.error().code, ErrorCode::kTooLarge);
    const auto listed = [&one](int count) {
        std::string text = R"({"any": [)" + one;
        for (int i = 1; i < count; ++i)
            text += "," + one;
        return read(text + "]}");
    };
    EXPECT_TRUE(listed(100).has_value());
    const auto too_many = listed(101);
    ASSERT_FALSE(too_many.has_value());
    EXPECT_EQ(too_many.error().code, ErrorCode::kTooLarge);
}

TEST(CollectReferences, FindsThoseOfAllParts) {
    const auto condition = read(R"({"all": [{"value": "{{input.a}}", "exists": true},
        {"not": {"any": [{"value": "{{steps.b.output}}", "equals": 1}]}}]})");
    ASSERT_TRUE(condition.has_value());
    std::vector<const Reference*> references;
    collect(*condition, references);
    ASSERT_EQ(references.size(), 2U);
    EXPECT_EQ(references[0]->text(), "input.a");
    EXPECT_EQ(references[1]->text(), "steps.b.output");
}

} // namespace
} // namespace larder::workflow
