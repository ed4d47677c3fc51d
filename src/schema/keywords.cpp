// The keywords of JSON Schema, each with its reader. 2020-12's words, and draft 7's where they
// differ.
#include "schema/compiler.hpp"

#include <algorithm>
#include <array>

namespace larder::schema {

namespace {

using json::Kind;
using json::Value;

constexpr std::size_t kQuotedBytesMax = 80;
constexpr std::size_t kComparedDepth = 128; // of values that are compared whole

std::unexpected<Error> refuse(const Path& where, std::string what) {
    return fail_field(where.pointer(), std::move(what));
}

Result<std::string> string_of(Value value, const Path& where) {
    if (auto text = value.as_string())
        return *std::move(text);
    return refuse(where, "must be a string");
}

Result<void> must_be(Kind kind, Value value, const Path& where) {
    if (value.is(kind))
        return {};
    return refuse(where, kind == Kind::kObject ? "must be an object" : "must be an array");
}

Result<void> read_count(Value value, const Path& where, std::uint64_t& into) {
    const auto count = value.as_int();
    if (!count || *count < 0)
        return refuse(where, "must be a whole number from 0");
    into = static_cast<std::uint64_t>(*count);
    return {};
}

Result<void> read_bound(Value value, const Path& where, std::optional<Bound>& into) {
    if (!value.is(Kind::kNumber))
        return refuse(where, "must be a number");
    into = Bound{.number = Number::read(value.raw()), .text = clip(value.raw(), kQuotedBytesMax)};
    return {};
}

Result<void> read_divisor(Draft& draft, Value value, const Path& where) {
    const auto divisor =
        value.is(Kind::kNumber) ? Divisor::of(Number::read(value.raw())) : std::nullopt;
    if (!divisor)
        return refuse(where, "must be a number above 0 of at most 18 digits");
    draft.number().divisor = divisor;
    draft.number().divisor_text = clip(value.raw(), kQuotedBytesMax);
    return {};
}

// ---- types and values ----

std::uint8_t type_named(std::string_view name) {
    struct Named {
        std::string_view name;
        TypeBit bit;
    };
    constexpr std::array kTypes = {
        Named{"null", kNullBit},     Named{"boolean", kBooleanBit}, Named{"object", kObjectBit},
        Named{"array", kArrayBit},   Named{"number", kNumberBit},   Named{"integer", kIntegerBit},
        Named{"string", kStringBit},
    };
    const auto found = std::ranges::find(kTypes, name, &Named::name);
    return found == kTypes.end() ? std::uint8_t{0} : static_cast<std::uint8_t>(found->bit);
}

Result<void> read_type(Draft& draft, Value value, const Path& where) {
    const auto add = [&](Value name, const Path& place) -> Result<void> {
        const auto text = name.as_string();
        const std::uint8_t bit = text ? type_named(*text) : std::uint8_t{0};
        if (bit == 0)
            return refuse(place, "must be null, boolean, object, array, number, integer or string");
        draft.out.types |= bit;
        return {};
    };
    if (!value.is(Kind::kArray))
        return add(value, where);
    if (value.size() == 0)
        return refuse(where, "must name a type");
    return each_item(value, [&](std::size_t position, Value name) {
        return add(name, Path::of_index(where, position));
    });
}

Result<void> add_choice(Choice& choice, Value value, const Path& where) {
    if (is_deeper_than(value, kComparedDepth))
        return refuse(where, "nests too deep");
    std::string canonical;
    json::write_canonical(canonical, value);
    choice.types |= type_of(value);
    if (choice.words.size() <= kQuotedBytesMax)
        choice.words += (choice.canonical.empty() ? "" : ", ") + clip(canonical, kQuotedBytesMax);
    choice.canonical.push_back(std::move(canonical));
    return {};
}

Result<void> read_enum(Draft& draft, Value value, const Path& where) {
    LARDER_CHECK(must_be(Kind::kArray, value, where));
    Choice choice;
    LARDER_CHECK(each_item(value, [&](std::size_t position, Value element) {
        return add_choice(choice, element, Path::of_index(where, position));
    }));
    std::ranges::sort(choice.canonical);
    choice.words = "must be one of " + clip(choice.words, kQuotedBytesMax);
    draft.out.choices.push_back(std::move(choice));
    return {};
}

Result<void> read_const(Draft& draft, Value value, const Path& where) {
    Choice choice;
    LARDER_CHECK(add_choice(choice, value, where));
    choice.words = "must be " + choice.words;
    draft.out.choices.push_back(std::move(choice));
    return {};
}

// ---- objects ----

Result<void> read_properties(Compiler& compiler, Draft& draft, Value value, const Path& where) {
    LARDER_CHECK(must_be(Kind::kObject, value, where));
    return each_member(value, [&](std::string_view name, Value member) -> Result<void> {
        LARDER_TRY(const Index index,
                   compiler.subschema(draft, member, Path::of_name(where, name)));
        draft.names[std::string(name)] = index;
        return {};
    });
}

Result<void> read_names(Value value, const Path& where, std::vector<std::string>& into) {
    LARDER_CHECK(must_be(Kind::kArray, value, where));
    return each_item(value, [&](std::size_t position, Value element) -> Result<void> {
        LARDER_TRY(std::string name, string_of(element, Path::of_index(where, position)));
        into.push_back(std::move(name));
        return {};
    });
}

Result<void> read_required(Draft& draft, Value value, const Path& where) {
    LARDER_CHECK(read_names(value, where, draft.required));
    std::ranges::sort(draft.required);
    const auto repeated = std::ranges::unique(draft.required);
    draft.required.erase(repeated.begin(), repeated.end());
    for (const std::string& name : draft.required)
        draft.names.try_emplace(name, kNone);
    return {};
}

Result<void> read_patterns(Compiler& compiler, Draft& draft, Value value, const Path& where) {
    LARDER_CHECK(must_be(Kind::kObject, value, where));
    return each_member(value, [&](std::string_view name, Value member) -> Result<void> {
        const Path place = Path::of_name(where, name);
        LARDER_TRY(const Index pattern, compiler.pattern(name, place));
        LARDER_TRY(const Index index, compiler.subschema(draft, member, place));
        draft.object().patterns.emplace_back(pattern, index);
        return {};
    });
}

Result<void> add_needed(Draft& draft, std::string_view trigger, Value value, const Path& where) {
    std::vector<std::string> needed;
    LARDER_CHECK(read_names(value, where, needed));
    draft.names.try_emplace(std::string(trigger), kNone);
    for (std::string& name : needed) {
        draft.names.try_emplace(name, kNone);
        draft.dependencies.push_back({.trigger = std::string(trigger), .needed = std::move(name)});
    }
    return {};
}

enum class Dependents : std::uint8_t { kNames, kSchemas, kEither };

Result<void> read_dependents(Compiler& compiler, Draft& draft, Value value, const Path& where,
                             Dependents kind) {
    LARDER_CHECK(must_be(Kind::kObject, value, where));
    return each_member(value, [&](std::string_view name, Value member) -> Result<void> {
        const Path place = Path::of_name(where, name);
        const bool is_list =
            kind == Dependents::kNames || (kind == Dependents::kEither && member.is(Kind::kArray));
        if (is_list)
            return add_needed(draft, name, member, place);
        LARDER_TRY(const Index index, compiler.subschema(draft, member, place));
        draft.names.try_emplace(std::string(name), kNone);
        draft.dependencies.push_back({.trigger = std::string(name), .schema = index});
        return {};
    });
}

// ---- arrays and lists of schemas ----

Result<void> read_schemas(Compiler& compiler, Draft& draft, Value value, const Path& where,
                          std::vector<Index>& into) {
    LARDER_CHECK(must_be(Kind::kArray, value, where));
    if (value.size() == 0)
        return refuse(where, "must have a schema in it");
    return each_item(value, [&](std::size_t position, Value element) -> Result<void> {
        LARDER_TRY(const Index index,
                   compiler.subschema(draft, element, Path::of_index(where, position)));
        into.push_back(index);
        return {};
    });
}

Result<void> read_schema(Compiler& compiler, Draft& draft, Value value, const Path& where,
                         Index& into) {
    LARDER_TRY(into, compiler.subschema(draft, value, where));
    return {};
}

Result<void> read_items(Compiler& compiler, Draft& draft, Value value, const Path& where) {
    if (!value.is(Kind::kArray))
        return read_schema(compiler, draft, value, where, draft.items);
    draft.has_list = true;
    if (value.size() == 0) // draft 7 allows it
        return {};
    return read_schemas(compiler, draft, value, where, draft.array().prefix);
}

Result<void> read_unique(Draft& draft, Value value, const Path& where) {
    const auto is_unique = value.as_bool();
    if (!is_unique)
        return refuse(where, "must be true or false");
    draft.array().is_unique = *is_unique;
    return {};
}

// ---- strings ----

Result<void> read_pattern(Compiler& compiler, Draft& draft, Value value, const Path& where) {
    LARDER_TRY(const std::string expression, string_of(value, where));
    LARDER_TRY(draft.string().pattern, compiler.pattern(expression, where));
    draft.string().pattern_text = clip(expression, kQuotedBytesMax);
    return {};
}

// ---- the schema itself ----

Result<void> read_dialect(Value value, const Path& where) {
    constexpr std::array<std::string_view, 4> kSpoken = {
        "json-schema.org/draft/2020-12/schema", "json-schema.org/draft/2019-09/schema",
        "json-schema.org/draft-07/schema", "json-schema.org/draft-06/schema"};
    LARDER_TRY(const std::string text, string_of(value, where));
    std::string_view dialect = text;
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (dialect.starts_with(scheme))
            dialect.remove_prefix(scheme.size());
    }
    if (dialect.ends_with('#'))
        dialect.remove_suffix(1);
    if (std::ranges::find(kSpoken, dialect) != kSpoken.end())
        return {};
    return refuse(where, clip(text, kQuotedBytesMax) +
                             " is not understood here: write 2020-12 or draft 7");
}

Result<void> read_definitions(Compiler& compiler, Draft& draft, Value value, const Path& where) {
    LARDER_CHECK(must_be(Kind::kObject, value, where));
    return each_member(value, [&](std::string_view name, Value member) -> Result<void> {
        LARDER_CHECK(compiler.subschema(draft, member, Path::of_name(where, name)));
        return {};
    });
}

Result<void> read_anchor(Compiler& compiler, Draft& draft, Value value, const Path& where) {
    LARDER_TRY(const std::string name, string_of(value, where));
    return compiler.name_anchor(name, compiler.subschema_of(draft), where);
}

Result<void> read_id(Compiler& compiler, Draft& draft, Value value, const Path& where) {
    LARDER_TRY(const std::string id, string_of(value, where));
    return compiler.name_base(draft, id, where);
}

Result<void> read_unchecked(Compiler& /*compiler*/, Draft& /*draft*/, Value /*value*/,
                            const Path& where) {
    return refuse(where, "is a keyword that can't be checked here");
}

struct Keyword {
    std::string_view name;
    ReadKeyword read;
};

// One row: a keyword, and what reads it with `c` the compiler, `d` the draft, `v` its value at `w`.
#define LARDER_KEYWORD(name, expression)                                                           \
    Keyword {                                                                                      \
        name, [](Compiler& c, Draft& d, Value v, const Path& w) -> Result<void> {                  \
            static_cast<void>(c), static_cast<void>(d);                                            \
            return expression;                                                                     \
        }                                                                                          \
    }

constexpr std::array kKeywords = {
    LARDER_KEYWORD("type", read_type(d, v, w)),
    LARDER_KEYWORD("enum", read_enum(d, v, w)),
    LARDER_KEYWORD("const", read_const(d, v, w)),
    LARDER_KEYWORD("properties", read_properties(c, d, v, w)),
    LARDER_KEYWORD("required", read_required(d, v, w)),
    LARDER_KEYWORD("additionalProperties", read_schema(c, d, v, w, d.object().additional)),
    LARDER_KEYWORD("patternProperties", read_patterns(c, d, v, w)),
    LARDER_KEYWORD("propertyNames", read_schema(c, d, v, w, d.object().every_name)),
    LARDER_KEYWORD("minProperties", read_count(v, w, d.object().size.least)),
    LARDER_KEYWORD("maxProperties", read_count(v, w, d.object().size.most)),
    LARDER_KEYWORD("dependentRequired", read_dependents(c, d, v, w, Dependents::kNames)),
    LARDER_KEYWORD("dependentSchemas", read_dependents(c, d, v, w, Dependents::kSchemas)),
    LARDER_KEYWORD("dependencies", read_dependents(c, d, v, w, Dependents::kEither)),
    LARDER_KEYWORD("items", read_items(c, d, v, w)),
    LARDER_KEYWORD("additionalItems", read_schema(c, d, v, w, d.additional_items)),
    LARDER_KEYWORD("prefixItems",
                   (d.has_prefix = true, read_schemas(c, d, v, w, d.array().prefix))),
    LARDER_KEYWORD("contains", read_schema(c, d, v, w, d.array().contains)),
    LARDER_KEYWORD("minContains", read_count(v, w, d.array().contained.least)),
    LARDER_KEYWORD("maxContains", read_count(v, w, d.array().contained.most)),
    LARDER_KEYWORD("minItems", read_count(v, w, d.array().size.least)),
    LARDER_KEYWORD("maxItems", read_count(v, w, d.array().size.most)),
    LARDER_KEYWORD("uniqueItems", read_unique(d, v, w)),
    LARDER_KEYWORD("minLength", read_count(v, w, d.string().length.least)),
    LARDER_KEYWORD("maxLength", read_count(v, w, d.string().length.most)),
    LARDER_KEYWORD("pattern", read_pattern(c, d, v, w)),
    LARDER_KEYWORD("minimum", read_bound(v, w, d.number().least)),
    LARDER_KEYWORD("maximum", read_bound(v, w, d.number().most)),
    LARDER_KEYWORD("exclusiveMinimum", read_bound(v, w, d.number().above)),
    LARDER_KEYWORD("exclusiveMaximum", read_bound(v, w, d.number().below)),
    LARDER_KEYWORD("multipleOf", read_divisor(d, v, w)),
    LARDER_KEYWORD("allOf", read_schemas(c, d, v, w, d.logic().all)),
    LARDER_KEYWORD("anyOf", read_schemas(c, d, v, w, d.logic().any)),
    LARDER_KEYWORD("oneOf", read_schemas(c, d, v, w, d.logic().one)),
    LARDER_KEYWORD("not", read_schema(c, d, v, w, d.logic().negated)),
    LARDER_KEYWORD("if", read_schema(c, d, v, w, d.logic().condition)),
    LARDER_KEYWORD("then", read_schema(c, d, v, w, d.logic().then)),
    LARDER_KEYWORD("else", read_schema(c, d, v, w, d.logic().otherwise)),
    LARDER_KEYWORD("$ref", c.refer(d, v, w)),
    LARDER_KEYWORD("$defs", read_definitions(c, d, v, w)),
    LARDER_KEYWORD("definitions", read_definitions(c, d, v, w)),
    LARDER_KEYWORD("$anchor", read_anchor(c, d, v, w)),
    LARDER_KEYWORD("$dynamicAnchor", read_anchor(c, d, v, w)),
    LARDER_KEYWORD("$id", read_id(c, d, v, w)),
    LARDER_KEYWORD("$schema", read_dialect(v, w)),
    Keyword{"unevaluatedProperties", read_unchecked},
    Keyword{"unevaluatedItems", read_unchecked},
    Keyword{"$dynamicRef", read_unchecked},
    Keyword{"$recursiveRef", read_unchecked},
};

#undef LARDER_KEYWORD

} // namespace

ReadKeyword find_keyword(std::string_view name) {
    const auto* const found = std::ranges::find(kKeywords, name, &Keyword::name);
    return found == kKeywords.end() ? nullptr : found->read;
}

} // namespace larder::schema
