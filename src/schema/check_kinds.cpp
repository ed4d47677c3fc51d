// Checking what is said of numbers, strings, arrays and objects.
#include "schema/checker.hpp"

namespace larder::schema {

using json::Kind;
using json::Value;

namespace {

constexpr std::size_t kQuotedBytesMax = 80;
constexpr std::size_t kStepsOfSorting = 4; // for each element

std::string quoted(std::string_view name) {
    std::string out;
    json::write_string(out, clip(name, kQuotedBytesMax));
    return out;
}

std::size_t code_points(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

} // namespace

bool Checker::by_kind(const Subschema& schema, Value value, const Path& where) {
    switch (value.kind()) {
    case Kind::kNumber:
        return !schema.number || is_number(*schema.number, value, where);
    case Kind::kString:
        return !schema.string || is_string(*schema.string, value, where);
    case Kind::kArray:
        return !schema.array || is_array(*schema.array, value, where);
    case Kind::kObject:
        return !schema.object || is_object(*schema.object, value, where);
    default:
        return true;
    }
}

bool Checker::is_number(const NumberRules& rules, Value value, const Path& where) {
    if (!charge_bytes(value))
        return false;
    const Number number = Number::read(value.raw());
    const auto must = [&](std::string_view words, const std::string& text) {
        return wrong(where, [&] { return "must be " + std::string(words) + text; });
    };
    bool is_valid = true;
    if (rules.least && number < rules.least->number)
        is_valid = must("at least ", rules.least->text);
    if (rules.most && number > rules.most->number)
        is_valid = must("at most ", rules.most->text);
    if (rules.above && number <= rules.above->number)
        is_valid = must("more than ", rules.above->text);
    if (rules.below && number >= rules.below->number)
        is_valid = must("less than ", rules.below->text);
    if (rules.divisor && !rules.divisor->divides(number))
        is_valid = must("a multiple of ", rules.divisor_text);
    return is_valid;
}

bool Checker::is_string(const StringRules& rules, Value value, const Path& where) {
    if (!charge_bytes(value))
        return false;
    std::string unescaped;
    std::optional<std::string_view> text = value.as_plain_string();
    if (!text) {
        unescaped = value.as_string().value_or("");
        text = unescaped;
    }
    const bool is_sized = fits(rules.length, code_points(*text), "character", where);
    if (rules.pattern == kNone || (!is_sized && !collects()))
        return is_sized;
    const Pattern& pattern = program_.patterns[rules.pattern];
    if (!charge(pattern.steps(text->size())))
        return false;
    if (!pattern.matches(*text))
        return wrong(where, [&] { return "must match the pattern " + rules.pattern_text; });
    return is_sized;
}

bool Checker::fits(const Range& range, std::uint64_t count, std::string_view what,
                   const Path& where) {
    if (count < range.least)
        return wrong(where, [&] { return "must have at least " + counted(range.least, what); });
    if (count > range.most)
        return wrong(where, [&] { return "must have at most " + counted(range.most, what); });
    return true;
}

// ---- arrays ----

bool Checker::is_array(const ArrayRules& rules, Value array, const Path& where) {
    bool is_valid = fits(rules.size, array.size(), "element", where);
    if (is_valid || collects())
        is_valid = are_elements(rules, array, where) && is_valid;
    if (rules.contains != kNone && (is_valid || collects()))
        is_valid = contains(rules, array, where) && is_valid;
    if (rules.is_unique && array.size() > 1 && (is_valid || collects()))
        is_valid = is_unique(array, where) && is_valid;
    return is_valid;
}

bool Checker::are_elements(const ArrayRules& rules, Value array, const Path& where) {
    bool is_valid = true;
    if (rules.prefix.empty() && rules.rest == kNone)
        return true;
    each_element(array, [&](std::size_t position, Value element) {
        const bool is_listed = position < rules.prefix.size();
        const Index schema = is_listed ? rules.prefix[position] : rules.rest;
        if (schema == kNone)
            return false;
        is_valid = descend(schema, element, Path::of_index(where, position)) && is_valid;
        return is_valid || collects();
    });
    return is_valid;
}

bool Checker::contains(const ArrayRules& rules, Value array, const Path& where) {
    const Range& range = rules.contained;
    std::uint64_t count = 0;
    std::vector<Violation>* const out = std::exchange(out_, nullptr);
    each_element(array, [&](std::size_t position, Value element) {
        if (descend(rules.contains, element, Path::of_index(where, position)))
            ++count;
        return count <= range.most && (range.most != kUnbounded || count < range.least);
    });
    out_ = out;
    if (count < range.least)
        return wrong(where, [&] {
            return "must contain at least " + counted(range.least, "element") +
                   " of the kind asked for";
        });
    if (count > range.most)
        return wrong(where, [&] {
            return "must contain at most " + counted(range.most, "element") +
                   " of the kind asked for";
        });
    return true;
}

bool Checker::is_unique(Value array, const Path& where) {
    struct Element {
        std::string_view text;
        std::size_t position;
    };
    std::string all;
    std::vector<std::pair<std::size_t, std::size_t>> spans;
    each_element(array, [&](std::size_t /*position*/, Value element) {
        if (!charge(kStepsOfSorting) || !write_canonical(element))
            return false;
        spans.emplace_back(all.size(), canonical_.size());
        all += canonical_;
        return true;
    });
    if (!failure_.empty())
        return false;
    std::vector<Element> elements;
    elements.reserve(spans.size());
    for (const auto& [begin, size] : spans)
        elements.push_back(
            {.text = std::string_view(all).substr(begin, size), .position = elements.size()});
    std::ranges::sort(elements, {}, [](const Element& element) {
        return std::pair(element.text, element.position);
    });
    const auto equal = std::ranges::adjacent_find(elements, {}, &Element::text);
    if (equal == elements.end())
        return true;
    return wrong(where, [&] {
        return "must not have equal elements, as at " + std::to_string(equal->position) + " and " +
               std::to_string(std::next(equal)->position);
    });
}

// ---- objects ----

bool Checker::is_object(const ObjectRules& rules, Value object, const Path& where) {
    if (!charge((rules.names.size() / kBytesInAStep) + rules.required.size() +
                rules.dependencies.size()))
        return false;
    bool is_valid = fits(rules.size, object.size(), "member", where);
    std::vector<bool> seen(rules.names.size()); // of rules.names
    if (is_valid || collects())
        is_valid = are_members(rules, object, where, seen) && is_valid;
    for (const Index needed : rules.required) {
        if (!seen[needed] && (is_valid || collects()))
            is_valid = lacks(rules.names[needed].name, where);
    }
    for (const Dependency& dependency : rules.dependencies) {
        if (seen[dependency.trigger] && (is_valid || collects()))
            is_valid = depends(rules, dependency, object, where, seen) && is_valid;
    }
    return is_valid;
}

bool Checker::lacks(const std::string& name, const Path& where) {
    return wrong(where, [&] { return "lacks the member " + quoted(name); });
}

bool Checker::depends(const ObjectRules& rules, const Dependency& dependency, Value object,
                      const Path& where, const std::vector<bool>& seen) {
    if (dependency.schema != kNone)
        return evaluate(dependency.schema, object, where);
    if (seen[dependency.needed])
        return true;
    return wrong(where, [&] {
        return "lacks the member " + quoted(rules.names[dependency.needed].name) +
               ", which goes with " + quoted(rules.names[dependency.trigger].name);
    });
}

bool Checker::are_members(const ObjectRules& rules, Value object, const Path& where,
                          std::vector<bool>& seen) {
    const json::Document& document = object.document();
    const std::uint32_t end = document.node(object.index()).next;
    bool is_valid = true;
    for (std::uint32_t index = object.index() + 1; index < end && (is_valid || collects());
         index = document.node(index + 1).next) {
        const Value key(&document, index);
        if (!charge_bytes(key))
            return false;
        const std::string unescaped = document.node(index).escaped ? *key.as_string() : "";
        const std::string_view name =
            document.node(index).escaped ? unescaped : *key.as_plain_string();
        const Path here = Path::of_name(where, name);
        const auto known = std::ranges::lower_bound(rules.names, name, {}, &KnownName::name);
        Index property = kNone;
        if (known != rules.names.end() && known->name == name) {
            seen[static_cast<std::size_t>(known - rules.names.begin())] = true;
            property = known->property;
        }
        is_valid =
            is_member(rules, {.name = name, .key = key, .property = property}, here) && is_valid;
    }
    return is_valid && failure_.empty();
}

bool Checker::is_member(const ObjectRules& rules, const Member& member, const Path& here) {
    const Value value(&member.key.document(), member.key.index() + 1);
    bool is_covered = member.property != kNone;
    bool is_valid = !is_covered || descend(member.property, value, here);
    for (const auto& [index, schema] : rules.patterns) {
        const Pattern& pattern = program_.patterns[index];
        if (!charge(pattern.steps(member.name.size())))
            return false;
        if (!pattern.matches(member.name))
            continue;
        is_covered = true;
        if (is_valid || collects())
            is_valid = descend(schema, value, here) && is_valid;
    }
    if (!is_covered && rules.additional != kNone)
        is_valid = descend(rules.additional, value, here);
    if (rules.every_name == kNone || (!is_valid && !collects()))
        return is_valid;
    if (quietly(rules.every_name, member.key, here))
        return is_valid;
    return wrong(
        here, [&] { return "has a name that " + first_wrong(rules.every_name, member.key, here); });
}

} // namespace larder::schema
