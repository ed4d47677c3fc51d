// Tests of the bounds: schemas and values that were made to take for ever, and honest large ones
// that have to pass.
#include "schema/schema.hpp"

#include "schema/testing.hpp"

#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::schema {
namespace {

using testing::Parsed;

constexpr json::Limits kDeepJson{.depth = 1'000'000};
constexpr Limits kLargeSchema{.bytes = 64UL << 20};

std::string repeat(std::string_view text, std::size_t times) {
    std::string out;
    out.reserve(text.size() * times);
    for (std::size_t time = 0; time < times; ++time)
        out += text;
    return out;
}

/// "[a,b,…]" of `write(0)`, `write(1)`, …
std::string list(std::size_t size, const std::function<std::string(std::size_t)>& write) {
    std::string out = "[";
    for (std::size_t index = 0; index < size; ++index)
        out += (index == 0 ? "" : ",") + write(index);
    return out + "]";
}

Result<std::vector<Violation>> check(const Parsed& schema, const Parsed& value,
                                     const Limits& limits = {}) {
    const auto compiled = Schema::compile(schema.root(), limits);
    EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
    if (!compiled)
        return fail(ErrorCode::kInternal, "no schema");
    return compiled->check(value.root());
}

void expect_too_large(const Result<std::vector<Violation>>& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kTooLarge);
    EXPECT_FALSE(result.error().message.empty());
}

/// Each of `levels` leads twice to the next, in place.
std::string bomb(std::string_view keyword, int levels) {
    std::string text = R"({"$ref":"#/$defs/n0","$defs":{)";
    for (int level = 0; level < levels; ++level) {
        const std::string next = R"({"$ref":"#/$defs/n)" + std::to_string(level + 1) + R"("})";
        text += "\"n" + std::to_string(level) + "\":{\"" + std::string(keyword) + "\":[" + next +
                "," + next + "]},";
    }
    const std::string_view leaf = keyword == "allOf" ? "true" : "false";
    return ((text += "\"n" + std::to_string(levels) + "\":") += leaf) + "}}";
}

TEST(SchemaLimits, RefuseAReferenceBomb) {
    for (const std::string_view keyword : {"allOf", "anyOf", "oneOf"}) {
        for (const int levels : {12, 40, 70}) {
            const Parsed schema(bomb(keyword, levels));
            const auto compiled = Schema::compile(schema.root());
            ASSERT_FALSE(compiled) << keyword << levels;
            EXPECT_EQ(compiled.error().code, ErrorCode::kInvalidRequest);
            EXPECT_TRUE(compiled.error().field.starts_with("/$defs/n")) << compiled.error().field;
            EXPECT_TRUE(compiled.error().message.contains("10000")) << compiled.error().message;
        }
        const Parsed small(bomb(keyword, 10));
        EXPECT_TRUE(Schema::compile(small.root())) << keyword;
    }
}

TEST(SchemaLimits, CountEveryWayToCheckTheSameValue) {
    constexpr Limits kThree{.in_place = 3};
    for (const std::string_view text :
         {R"({"not":{"not":{"not":true}}})", R"({"if":true,"then":true,"else":true})",
          R"({"dependentSchemas":{"a":true,"b":true,"c":true}})",
          R"({"properties":{"a":{"allOf":[true,true,true]}}})"}) {
        const Parsed schema(text);
        EXPECT_FALSE(Schema::compile(schema.root(), kThree)) << text;
    }
    const Parsed inside(R"({"items":{"items":{"items":true}},"properties":{"a":{},"b":{},"c":{}},
                            "prefixItems":[true,true,true,true],"allOf":[true,true]})");
    EXPECT_TRUE(Schema::compile(inside.root(), kThree));
}

TEST(SchemaLimits, EndAReferenceBomb) {
    for (const std::string_view keyword : {"allOf", "anyOf", "oneOf"}) {
        const Parsed schema(bomb(keyword, 30));
        expect_too_large(check(schema, Parsed("1"), {.in_place = 1ULL << 40}));
    }
}

TEST(SchemaLimits, EndNestedAlternativesThatAllFail) {
    std::string text = R"({"type":"null"})";
    for (int level = 0; level < 60; ++level)
        text = R"({"anyOf":[{"type":"string"},)" + text + "]}";
    const Parsed schema(text);
    const auto result = check(schema, Parsed("1"));
    ASSERT_TRUE(result);
    ASSERT_EQ(result->size(), 1U);
    EXPECT_LE(result->front().message.size(), 410U);
}

TEST(SchemaLimits, FollowAValueAsDeepAsTheyAllowAndNoDeeper) {
    const Parsed schema(R"({"items":{"$ref":"#"},"type":"array"})");
    const auto nested = [](std::size_t depth) { return repeat("[", depth) + repeat("]", depth); };
    const auto fitting = check(schema, Parsed(nested(65)));
    ASSERT_TRUE(fitting);
    EXPECT_TRUE(fitting->empty());
    expect_too_large(check(schema, Parsed(nested(66))));
    expect_too_large(check(schema, Parsed(nested(100'000), kDeepJson)));
}

TEST(SchemaLimits, LeaveAloneWhatTheSchemaDoesNotLookInto) {
    const Parsed value(repeat("[", 100'000) + repeat("]", 100'000), kDeepJson);
    const auto result = check(Parsed(R"({"type":"array","maxItems":1,"items":{}})"), value);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->empty());
}

TEST(SchemaLimits, RefuseToCompareWhatIsTooDeep) {
    const std::string deep = repeat("[", 100'000) + repeat("]", 100'000);
    const Parsed value("[" + deep + "," + deep + "]", kDeepJson);
    expect_too_large(check(Parsed(R"({"uniqueItems":true})"), value));
    expect_too_large(check(Parsed(R"({"enum":[[1]]})"), value));
    const Parsed schema(R"({"items":{"const":)" + deep + "}}", kDeepJson);
    const auto compiled = Schema::compile(schema.root());
    ASSERT_FALSE(compiled);
    EXPECT_EQ(compiled.error().field, "/items/const");
}

TEST(SchemaLimits, EndAChainOfReferencesInPlace) {
    std::string text = R"({"$ref":"#/$defs/n0","$defs":{)";
    for (int level = 0; level < 4'000; ++level)
        text += "\"n" + std::to_string(level) + R"(":{"$ref":"#/$defs/n)" +
                std::to_string(level + 1) + "\"},";
    expect_too_large(check(Parsed(text + R"("n4000":true}})"), Parsed("1")));
}

TEST(SchemaLimits, RefuseALargeSchema) {
    const Parsed schema(R"({"title":")" + std::string(10'000'000, 'x') + "\"}");
    const auto compiled = Schema::compile(schema.root());
    ASSERT_FALSE(compiled);
    EXPECT_EQ(compiled.error().code, ErrorCode::kInvalidRequest);
    EXPECT_THAT(compiled.error().message, ::testing::HasSubstr("262144 bytes"));
}

TEST(SchemaLimits, RefuseTheFirstSubschemaTooMany) {
    const auto all = [](std::size_t size) {
        return R"({"allOf":)" + list(size, [](std::size_t) { return "true"; }) + "}";
    };
    const Parsed fitting(all(4'999));
    EXPECT_TRUE(Schema::compile(fitting.root()));
    const Parsed large(all(5'000));
    const auto compiled = Schema::compile(large.root());
    ASSERT_FALSE(compiled);
    EXPECT_EQ(compiled.error().field, "/allOf/4999");
}

TEST(SchemaLimits, RefuseASchemaThatNestsTooDeep) {
    const auto nots = [](std::size_t depth) {
        return repeat(R"({"not":)", depth) + "true" + repeat("}", depth);
    };
    const Parsed fitting(nots(64));
    EXPECT_TRUE(Schema::compile(fitting.root()));
    for (const std::size_t depth : {65UL, 30'000UL}) {
        const Parsed schema(nots(depth), kDeepJson);
        const auto compiled = Schema::compile(schema.root());
        ASSERT_FALSE(compiled);
        EXPECT_EQ(compiled.error().field, repeat("/not", 65));
    }
}

TEST(SchemaLimits, RefuseMorePatternsThanMemoryAllows) {
    const auto with = [](std::size_t patterns) {
        return R"({"allOf":)" +
               list(patterns,
                    [](std::size_t index) {
                        return R"({"pattern":"^)" + std::to_string(index) + "\"}";
                    }) +
               "}";
    };
    const Parsed fitting(with(100));
    EXPECT_TRUE(Schema::compile(fitting.root()));
    const Parsed large(with(101));
    EXPECT_FALSE(Schema::compile(large.root()));
    const Parsed same(R"({"allOf":)" +
                      list(2'000, [](std::size_t) { return R"({"pattern":"^a"})"; }) + "}");
    EXPECT_TRUE(Schema::compile(same.root()));
}

TEST(SchemaLimits, RefusePatternsThatAreTooLargeTogether) {
    const Parsed schema(R"({"allOf":)" +
                        list(50,
                             [](std::size_t index) {
                                 return R"({"pattern":"(ab?){900}[cd]{)" + std::to_string(index) +
                                        ",900}\"}";
                             }) +
                        "}");
    const auto compiled = Schema::compile(schema.root());
    ASSERT_FALSE(compiled);
    EXPECT_THAT(compiled.error().message, ::testing::HasSubstr("too large together"));
    EXPECT_THAT(compiled.error().field, ::testing::MatchesRegex("/allOf/[0-9]+/pattern"));
}

TEST(SchemaLimits, MatchAnEvilPatternInLinearTime) {
    const Parsed schema(R"j({"pattern":"(a+)+$"})j");
    const auto result = check(schema, Parsed("\"" + std::string(1'000'000, 'a') + "b\""));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->size(), 1U);
}

TEST(SchemaLimits, CountWhatPatternsTakeOfLongTexts) {
    const Parsed schema(R"j({"items":{"pattern":"^([a-z]{1,20}x){40}$"}})j");
    const Parsed value(
        list(1'000, [](std::size_t) { return "\"" + std::string(10'000, 'x') + "\""; }));
    expect_too_large(check(schema, value));
}

TEST(SchemaLimits, LookUpALargeEnumForALargeArray) {
    const auto number = [](std::size_t index) { return std::to_string(index); };
    const Parsed schema(R"({"items":{"enum":)" + list(100'000, number) + "}}");
    EXPECT_FALSE(Schema::compile(schema.root()));
    const Parsed value(list(100'000, number));
    const auto result = check(schema, value, kLargeSchema);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->empty());
}

TEST(SchemaLimits, TellAHundredThousandElementsApart) {
    const Parsed schema(R"({"uniqueItems":true})");
    const auto differing = check(schema, Parsed(list(100'000, [](std::size_t index) {
                                     return "\"" + std::to_string(index) + "\"";
                                 })));
    ASSERT_TRUE(differing);
    EXPECT_TRUE(differing->empty());
    const auto repeated = check(schema, Parsed(list(100'000, [](std::size_t index) {
                                    return std::to_string(index % 99'999);
                                })));
    ASSERT_TRUE(repeated);
    ASSERT_EQ(repeated->size(), 1U);
    EXPECT_THAT(repeated->front().message, ::testing::EndsWith("at 0 and 99999"));
    expect_too_large(check(
        schema, Parsed(list(500'000, [](std::size_t index) { return std::to_string(index); }))));
}

TEST(SchemaLimits, RequireManyNamesOfManyMembersWithoutTryingAllPairs) {
    const auto name = [](std::size_t index) { return "\"n" + std::to_string(index) + "\""; };
    const Parsed schema(R"({"required":)" + list(20'000, name) + "}");
    std::string members;
    for (std::size_t index = 0; index < 20'000; ++index)
        members += (index == 0 ? "" : ",") + name(index) + ":1";
    const auto result = check(schema, Parsed("{" + members + "}"));
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->empty());
    const auto empty = check(schema, Parsed("{}"));
    ASSERT_TRUE(empty);
    EXPECT_EQ(empty->size(), 20U);
    const Parsed many(R"({"items":{"not":{"required":)" + list(20'000, name) + "}}}");
    const Parsed objects(list(10'000, [](std::size_t) { return "{}"; }));
    expect_too_large(check(many, objects));
}

TEST(SchemaLimits, TakeLongNumbersAndCountThem) {
    const std::string digits(1'000'000, '7');
    const Parsed schema(
        R"({"minimum":1,"multipleOf":7e-300,"maximum":1e2000000,"type":"integer"})");
    const auto result = check(schema, Parsed(digits));
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->empty());
    const Parsed many(list(30, [&](std::size_t) { return digits; }));
    expect_too_large(check(Parsed(R"({"items":{"minimum":1}})"), many));
}

TEST(SchemaLimits, ResolveManyReferencesThroughALargeObject) {
    std::string definitions;
    for (std::size_t index = 0; index < 2'000; ++index)
        definitions += (index == 0 ? "\"d" : ",\"d") + std::to_string(index) + "\":true";
    const Parsed schema(R"({"$defs":{)" + definitions + R"(},"allOf":)" +
                        list(2'000,
                             [](std::size_t index) {
                                 return R"({"$ref":"#/$defs/d)" + std::to_string(index) + "\"}";
                             }) +
                        "}");
    const auto result = check(schema, Parsed("1"));
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->empty());
}

TEST(SchemaLimits, EndAProductOfPatternsAndMembers) {
    std::string patterns;
    for (int index = 0; index < 100; ++index)
        patterns += (index == 0 ? "\"" : ",\"") + std::to_string(index) + "$\":true";
    std::string members;
    for (int index = 0; index < 20'000; ++index)
        members += (index == 0 ? "\"" : ",\"") + std::to_string(index) + "\":1";
    expect_too_large(
        check(Parsed(R"({"patternProperties":{)" + patterns + "}}"), Parsed("{" + members + "}")));
}

} // namespace
} // namespace larder::schema
