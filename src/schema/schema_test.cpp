// Tests of schemas: what is refused and where, and how violations read. The verdicts are in
// table_test.cpp, the bounds in limits_test.cpp.
#include "schema/schema.hpp"

#include "schema/testing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::schema {
namespace {

using testing::Parsed;

Error error_of(std::string_view text) {
    const Parsed schema(text);
    auto compiled = Schema::compile(schema.root());
    EXPECT_FALSE(compiled) << text;
    return compiled ? Error{} : std::move(compiled).error();
}

std::string words(std::string_view schema_text, std::string_view value_text) {
    const Parsed value(value_text);
    const Parsed schema(schema_text);
    const auto compiled = Schema::compile(schema.root());
    if (!compiled)
        return "refused: " + compiled.error().message;
    const auto violations = compiled->check(value.root());
    return violations ? to_text(*violations) : "error: " + violations.error().message;
}

struct Refused {
    std::string_view schema;
    std::string_view field;
};

TEST(Schema, RefusesWhatIsNoSchemaWithItsPlace) {
    for (const Refused& row : {
             Refused{"1", ""},
             Refused{"[]", ""},
             Refused{"null", ""},
             Refused{R"({"type":"text"})", "/type"},
             Refused{R"({"type":["string","text"]})", "/type/1"},
             Refused{R"({"type":[]})", "/type"},
             Refused{R"({"type":3})", "/type"},
             Refused{R"({"enum":"a"})", "/enum"},
             Refused{R"({"properties":[]})", "/properties"},
             Refused{R"({"properties":{"a/b":{"properties":{"c~d":7}}}})",
                     "/properties/a~1b/properties/c~0d"},
             Refused{R"({"required":"a"})", "/required"},
             Refused{R"({"required":["a",1]})", "/required/1"},
             Refused{R"({"additionalProperties":"no"})", "/additionalProperties"},
             Refused{R"({"patternProperties":{"(":{}}})", "/patternProperties/("},
             Refused{R"({"patternProperties":{"a":1}})", "/patternProperties/a"},
             Refused{R"({"propertyNames":"a"})", "/propertyNames"},
             Refused{R"({"minProperties":-1})", "/minProperties"},
             Refused{R"({"maxProperties":1.5})", "/maxProperties"},
             Refused{R"({"dependentRequired":{"a":{}}})", "/dependentRequired/a"},
             Refused{R"({"dependentRequired":{"a":["b",2]}})", "/dependentRequired/a/1"},
             Refused{R"({"dependentSchemas":{"a":["b"]}})", "/dependentSchemas/a"},
             Refused{R"({"dependencies":{"a":"b"}})", "/dependencies/a"},
             Refused{R"({"items":[{},5]})", "/items/1"},
             Refused{R"({"prefixItems":{}})", "/prefixItems"},
             Refused{R"({"prefixItems":[]})", "/prefixItems"},
             Refused{R"({"prefixItems":[{}],"items":[{}]})", "/items"},
             Refused{R"({"contains":[]})", "/contains"},
             Refused{R"({"contains":{},"minContains":"1"})", "/minContains"},
             Refused{R"({"maxItems":1e30})", "/maxItems"},
             Refused{R"({"uniqueItems":1})", "/uniqueItems"},
             Refused{R"({"minLength":null})", "/minLength"},
             Refused{R"({"pattern":5})", "/pattern"},
             Refused{R"j({"pattern":"(?=a)"})j", "/pattern"},
             Refused{R"({"pattern":"(x{1000}){1000}"})", "/pattern"},
             Refused{R"({"minimum":"1"})", "/minimum"},
             Refused{R"({"minimum":1,"exclusiveMinimum":true})", "/exclusiveMinimum"},
             Refused{R"({"multipleOf":0})", "/multipleOf"},
             Refused{R"({"multipleOf":-0.5})", "/multipleOf"},
             Refused{R"({"multipleOf":1234567890.123456789})", "/multipleOf"},
             Refused{R"({"allOf":{}})", "/allOf"},
             Refused{R"({"anyOf":[]})", "/anyOf"},
             Refused{R"({"oneOf":[true,{"not":3}]})", "/oneOf/1/not"},
             Refused{R"({"if":1})", "/if"},
             Refused{R"({"$defs":{"unused":{"type":"nothing"}}})", "/$defs/unused/type"},
             Refused{R"({"$anchor":1})", "/$anchor"},
             Refused{R"({"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}})", "/$defs/b/$anchor"},
             Refused{R"({"properties":{"a":{"$id":"other"}}})", "/properties/a/$id"},
         }) {
        const Error error = error_of(row.schema);
        EXPECT_EQ(error.code, ErrorCode::kInvalidRequest) << row.schema;
        EXPECT_EQ(error.field, row.field) << row.schema;
        EXPECT_FALSE(error.message.empty()) << row.schema;
    }
}

TEST(Schema, RefusesKeywordsThatItCannotCheck) {
    for (const std::string name :
         {"unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"}) {
        const Error error = error_of(R"({"items":{")" + name + R"(":false}})");
        EXPECT_EQ(error.field, "/items/" + name);
        EXPECT_THAT(error.message, ::testing::HasSubstr("can't be checked"));
    }
}

TEST(Schema, RefusesOldDraftsByName) {
    const Error error = error_of(R"({"$schema":"http://json-schema.org/draft-04/schema#"})");
    EXPECT_EQ(error.field, "/$schema");
    EXPECT_THAT(error.message, ::testing::HasSubstr("draft-04"));
    for (const std::string_view known :
         {"https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema",
          "https://json-schema.org/draft-07/schema#"}) {
        const Parsed schema(R"({"$schema":")" + std::string(known) + R"("})");
        EXPECT_TRUE(Schema::compile(schema.root())) << known;
    }
}

TEST(Schema, RefusesReferencesThatLeadNowhereOrOutside) {
    for (const Refused& row : {
             Refused{R"({"$ref":"#/$defs/none"})", "/$ref"},
             Refused{R"({"items":{"$ref":"#none"}})", "/items/$ref"},
             Refused{R"({"$ref":"https://example.com/a.json"})", "/$ref"},
             Refused{R"({"$ref":"other.json#/a"})", "/$ref"},
             Refused{R"({"$id":"https://a.b/c","$ref":"https://a.b/cd"})", "/$ref"},
             Refused{R"({"$ref":7})", "/$ref"},
             Refused{R"({"title":"x","$ref":"#/title"})", "/$ref"},
             Refused{R"({"$defs":{"a~b":{}},"$ref":"#/$defs/a~b"})", "/$ref"},
             Refused{R"({"allOf":[true,{"$ref":"#/allOf/00"}]})", "/allOf/1/$ref"},
             Refused{R"({"allOf":[true,{"$ref":"#/allOf/2"}]})", "/allOf/1/$ref"},
             Refused{R"({"allOf":[true,{"$ref":"#/allOf/-1"}]})", "/allOf/1/$ref"},
             Refused{R"({"x":{"y":{"type":"z"}},"$ref":"#/x/y"})", "/x/y/type"},
         }) {
        const Error error = error_of(row.schema);
        EXPECT_EQ(error.field, row.field) << row.schema << error.message;
    }
}

TEST(Schema, RefusesCirclesThatTakeNoStepInTheValue) {
    for (const Refused& row : {
             Refused{R"({"$ref":"#"})", "/$ref"},
             Refused{R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})",
                     "/$defs/b/$ref"},
             Refused{R"({"allOf":[{"not":{"$ref":"#"}}]})", "/allOf/0/not/$ref"},
             Refused{R"({"if":{"anyOf":[{"oneOf":[{"$ref":"#/if"}]}]}})",
                     "/if/anyOf/0/oneOf/0/$ref"},
             Refused{R"({"else":{"dependentSchemas":{"a":{"$ref":"#"}}}})",
                     "/else/dependentSchemas/a/$ref"},
             Refused{R"({"x":{"y":{"allOf":[{"$ref":"#/x/y"}]}},"items":{"$ref":"#/x/y"}})",
                     "/x/y/allOf/0/$ref"},
         }) {
        const Error error = error_of(row.schema);
        EXPECT_EQ(error.field, row.field) << row.schema;
        EXPECT_THAT(error.message, ::testing::HasSubstr("circle")) << row.schema;
    }
}

TEST(Schema, OutlivesItsText) {
    auto text = std::make_unique<Parsed>(R"({"properties":{"name":{"enum":["a"],"pattern":"a"}},
        "required":["name"],"multipleOf":0.5,"minimum":1})");
    auto compiled = Schema::compile(text->root());
    ASSERT_TRUE(compiled);
    Schema moved = *std::move(compiled);
    text.reset();
    const Parsed value(R"({"name":"b"})");
    const auto violations = moved.check(value.root());
    ASSERT_TRUE(violations);
    EXPECT_EQ(to_text(*violations), R"(/name must be one of "a")");
}

TEST(Schema, SaysWhatIsWrongAndWhere) {
    const std::string_view schema = R"({"type":"object","required":["items","count"],
        "additionalProperties":false,"properties":{"count":{"maximum":5},
        "items":{"items":{"properties":{"name":{"type":"string"}}}}}})";
    EXPECT_EQ(words(schema, R"({"items":[{},{"name":3}],"count":6})"),
              "/items/1/name must be a string; /count must be at most 5");
    EXPECT_EQ(words(schema, R"({"a/b~":1,"items":[],"count":1})"), "/a~1b~0 is not allowed");
    EXPECT_EQ(words(schema, R"({"count":1})"), R"(the value lacks the member "items")");
    EXPECT_EQ(words(schema, "[]"), "the value must be an object");
    EXPECT_EQ(words(schema, R"({"items":[],"count":1})"), "");
}

TEST(Schema, HasWordsForEveryKeyword) {
    struct Case {
        std::string_view schema;
        std::string_view value;
        std::string_view words;
    };
    for (const Case& row : {
             Case{R"({"type":["integer","null"]})", "1.5", "must be a whole number or null"},
             Case{R"({"enum":[1,"a"]})", "2", R"(must be one of 1, "a")"},
             Case{R"({"const":{"a":1}})", "2", R"(must be {"a":1})"},
             Case{R"({"minimum":1})", "0", "must be at least 1"},
             Case{R"({"exclusiveMinimum":1})", "1", "must be more than 1"},
             Case{R"({"exclusiveMaximum":1})", "1", "must be less than 1"},
             Case{R"({"multipleOf":0.1})", "0.25", "must be a multiple of 0.1"},
             Case{R"({"minLength":1})", R"("")", "must have at least 1 character"},
             Case{R"({"maxLength":2})", R"("abc")", "must have at most 2 characters"},
             Case{R"({"pattern":"^a"})", R"("b")", "must match the pattern ^a"},
             Case{R"({"minItems":2})", "[]", "must have at least 2 elements"},
             Case{R"({"maxProperties":0})", R"({"a":1})", "must have at most 0 members"},
             Case{R"({"uniqueItems":true})", "[1,2,1]",
                  "must not have equal elements, as at 0 and 2"},
             Case{R"({"contains":{"const":1}})", "[2]",
                  "must contain at least 1 element of the kind asked for"},
             Case{R"({"contains":{"const":1},"maxContains":1})", "[1,1]",
                  "must contain at most 1 element of the kind asked for"},
             Case{R"({"dependentRequired":{"a":["b"]}})", R"({"a":1})",
                  R"(lacks the member "b", which goes with "a")"},
             Case{R"({"not":{"type":"null"}})", "null", "must not be of the kind ruled out"},
             Case{R"({"oneOf":[{"minimum":1},{"minimum":2},{"minimum":3}]})", "2",
                  "must match one alternative only, but matches 0 and 1"},
         })
        EXPECT_EQ(words(row.schema, row.value), "the value " + std::string(row.words));
    EXPECT_EQ(words(R"({"propertyNames":{"maxLength":1}})", R"({"ab":1})"),
              "/ab has a name that must have at most 1 character");
}

TEST(Schema, NamesTheFirstFaultOfTheClosestAlternative) {
    const std::string_view schema = R"({"anyOf":[{"type":"null"},
        {"properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},
        {"properties":{"kind":{"const":"b"},"y":{"type":"integer"}},"required":["kind","y"]}]})";
    EXPECT_EQ(words(schema, R"({"kind":"b","y":"text"})"),
              "the value matches none of the 3 alternatives; by the closest, it /y must be a whole "
              "number");
    EXPECT_EQ(words(schema, R"({"kind":"a"})"),
              "the value matches none of the 3 alternatives; by the closest, it lacks the member "
              "\"x\"");
}

TEST(Schema, NamesTheTypesWhenNoAlternativeHasTheValuesOwn) {
    EXPECT_EQ(words(R"({"anyOf":[{"type":"string","minLength":3},{"type":"null"}]})", "1"),
              "the value must be a string or null");
    EXPECT_EQ(words(R"({"oneOf":[{"type":"integer"},{"type":"null"}]})", "1.5"),
              "the value matches none of the 2 alternatives; by the closest, it must be a whole "
              "number");
    EXPECT_EQ(words(R"({"anyOf":[{"properties":{"a":{"type":"null"}}}]})", R"({"a":1})"),
              "/a must be null");
}

TEST(Schema, ReportsAFaultOnceAndNoMoreThanItsLimit) {
    EXPECT_EQ(words(R"({"$defs":{"a":{"minimum":1}},"allOf":[{"$ref":"#/$defs/a"},
                       {"$ref":"#/$defs/a"}]})",
                    "0"),
              "the value must be at least 1");
    const Parsed schema(R"({"items":{"type":"string"}})");
    const Parsed value("[1,2,3,4,5,6,7]");
    const auto compiled = Schema::compile(schema.root(), {.violations = 3});
    ASSERT_TRUE(compiled);
    const auto violations = compiled->check(value.root());
    ASSERT_TRUE(violations);
    ASSERT_EQ(violations->size(), 3U);
    EXPECT_EQ(violations->back().path, "/2");
}

TEST(Schema, ClipsWhatItQuotes) {
    const std::string name(5'000, 'n');
    const Parsed schema(R"({"required":[")" + name + R"("],"additionalProperties":false})");
    const Parsed value(R"({"é)" + name + R"(":1})");
    const auto compiled = Schema::compile(schema.root());
    ASSERT_TRUE(compiled);
    const auto violations = compiled->check(value.root());
    ASSERT_TRUE(violations);
    ASSERT_EQ(violations->size(), 2U);
    for (const Violation& violation : *violations) {
        EXPECT_LE(violation.path.size(), 1'010U);
        EXPECT_LE(violation.message.size(), 120U);
    }
}

TEST(SchemaText, KeepsToItsBytes) {
    std::vector<Violation> violations;
    for (int index = 0; index < 20; ++index)
        violations.push_back({.path = "/" + std::to_string(index), .message = "must be a string"});
    EXPECT_EQ(to_text({}), "");
    EXPECT_THAT(to_text(violations), ::testing::EndsWith("; /19 must be a string"));
    EXPECT_EQ(to_text(violations, 70), "/0 must be a string; /1 must be a string; and 18 more");
    for (std::size_t bytes = 0; bytes < 500; ++bytes)
        EXPECT_LE(to_text(violations, bytes).size(), bytes);
}

} // namespace
} // namespace larder::schema
