// JSON texts and the JSON in what steps say.
#include "workflow/scope.hpp"

#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

std::string json_in(std::string text) {
    StepOutput output{.text = std::move(text), .json = nullptr};
    const JsonText* const json = json_of(output);
    EXPECT_TRUE(output.json_known);
    EXPECT_EQ(output.json.get(), json);
    return json == nullptr ? "none" : std::string(json->root().raw());
}

TEST(JsonText, OwnsItsBytesEvenWhereTheyAreFew) {
    auto parsed = JsonText::parse("[1]");
    ASSERT_TRUE(parsed.has_value());
    const std::shared_ptr<const JsonText> kept = *std::move(parsed);
    EXPECT_EQ(kept->root().raw(), "[1]");
    EXPECT_EQ(kept->text(), "[1]");
}

TEST(JsonText, RefusesWhatIsNoneWithItsPlace) {
    const auto parsed = JsonText::parse("[1,]");
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidRequest);
    EXPECT_TRUE(parsed.error().position.has_value());
}

TEST(JsonText, BoundsHowManyValuesItHas) {
    std::string text = "[1";
    for (int i = 0; i < 250'000; ++i)
        text += ",1";
    const auto parsed = JsonText::parse(text + "]");
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().code, ErrorCode::kTooLarge);
}

TEST(JsonOf, ReadsTheWholeOrTheOneBlock) {
    EXPECT_EQ(json_in(" {\"a\": 1}\n"), "{\"a\": 1}");
    EXPECT_EQ(json_in("7"), "7");
    EXPECT_EQ(json_in("```json\n[1,\n2]\n```"), "[1,\n2]");
    EXPECT_EQ(json_in("Of course:\n\n~~~\n{}\n~~~\nAnything else?"), "{}");
}

TEST(JsonOf, FindsNoneInOtherTexts) {
    EXPECT_EQ(json_in(""), "none");
    EXPECT_EQ(json_in("bug"), "none");
    EXPECT_EQ(json_in("{\"a\": 1"), "none");
    EXPECT_EQ(json_in("```json\n{}\n```\n```json\n{}\n```"), "none");
    EXPECT_EQ(json_in("{\"a\": 1, \"a\": 2}"), "none");
    EXPECT_EQ(json_in(std::string(200, '[') + std::string(200, ']')), "none");
}

TEST(JsonOf, ReadsOnce) {
    StepOutput output{.text = "[1]", .json = nullptr};
    const JsonText* const first = json_of(output);
    EXPECT_EQ(json_of(output), first);
}

} // namespace
} // namespace larder::workflow
