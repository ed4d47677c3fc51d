// Checking: subschemas, references, choices and the schemas of schemas.
#include "schema/checker.hpp"

#include <tuple>

namespace larder::schema {

using json::Value;

namespace {

constexpr int kRecursionMax = 500;          // `allOf`, `$ref` and the like among it
constexpr std::size_t kComparedDepth = 128; // of values that are compared whole

bool is_integral(std::string_view token) {
    return token.find_first_of(".eE") == std::string_view::npos ||
           Number::read(token).is_integral();
}

} // namespace

Result<std::vector<Violation>> check_value(const Program& program, Value value) {
    return Checker(program).run(value);
}

std::string counted(std::uint64_t count, std::string_view what) {
    return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

// ---- subschemas ----

bool Checker::evaluate(Index index, Value value, const Path& where) {
    const Subschema& schema = program_.subschemas[index];
    if (!charge(1))
        return false;
    if (++recursion_ > kRecursionMax)
        give_up("the value nests deeper than a check follows");
    const bool is_valid = failure_.empty() && evaluate(schema, value, where);
    --recursion_;
    return is_valid;
}

bool Checker::evaluate(const Subschema& schema, Value value, const Path& where) {
    if (!is_of_type(schema, value, where) || !is_chosen(schema, value, where))
        return false;
    bool is_valid = by_kind(schema, value, where);
    if (schema.reference != kNone && (is_valid || collects()))
        is_valid = evaluate(schema.reference, value, where) && is_valid;
    if (schema.logic && (is_valid || collects()))
        is_valid = by_logic(*schema.logic, value, where) && is_valid;
    return is_valid;
}

bool Checker::descend(Index index, Value value, const Path& where) {
    if (++level_ > program_.limits.depth)
        give_up("the value nests deeper than a check follows");
    const bool is_valid = evaluate(index, value, where);
    --level_;
    return is_valid;
}

bool Checker::quietly(Index index, Value value, const Path& where) {
    std::vector<Violation>* const out = std::exchange(out_, nullptr);
    const bool is_valid = evaluate(index, value, where);
    out_ = out;
    return is_valid;
}

std::string Checker::first_wrong(Index index, Value value, const Path& where) {
    std::vector<Violation> found;
    const auto outer = std::pair(std::exchange(out_, &found), std::exchange(room_, 1));
    evaluate(index, value, where);
    std::tie(out_, room_) = outer;
    if (found.empty()) // out of steps
        return "is wrong";
    const std::string here = where.pointer();
    Violation& first = found.front();
    return first.path == here ? first.message : first.path + " " + first.message;
}

// ---- any kind of value ----

bool Checker::is_of_type(const Subschema& schema, Value value, const Path& where) {
    if (schema.is_false)
        return wrong(where, [] { return std::string("is not allowed"); });
    if (schema.types == 0)
        return true;
    const TypeBit type = type_of(value);
    if ((schema.types & type) != 0)
        return true;
    if (type == kNumberBit && (schema.types & kIntegerBit) != 0) {
        if (charge_bytes(value) && is_integral(value.raw()))
            return true;
    }
    return wrong(where, [&] { return "must be " + words_of(schema.types); });
}

bool Checker::is_chosen(const Subschema& schema, Value value, const Path& where) {
    for (const Choice& choice : schema.choices) {
        const bool is_in = (choice.types & type_of(value)) != 0 && write_canonical(value) &&
                           std::ranges::binary_search(choice.canonical, canonical_);
        if (!is_in)
            return wrong(where, [&] { return choice.words; });
    }
    return true;
}

bool Checker::write_canonical(Value value) {
    const std::size_t nodes = value.document().node(value.index()).next - value.index();
    if (!charge(nodes + (value.raw().size() / kBytesInAStep)))
        return false;
    if (is_deeper_than(value, kComparedDepth))
        give_up("the value nests deeper than a check follows");
    canonical_.clear();
    if (failure_.empty())
        json::write_canonical(canonical_, value);
    return failure_.empty();
}

// ---- schemas of schemas ----

bool Checker::by_logic(const LogicRules& rules, Value value, const Path& where) {
    bool is_valid = true;
    for (const Index part : rules.all) {
        if (is_valid || collects())
            is_valid = evaluate(part, value, where) && is_valid;
    }
    if (!rules.any.empty() && (is_valid || collects()))
        is_valid = matches_any(rules.any, value, where) && is_valid;
    if (!rules.one.empty() && (is_valid || collects()))
        is_valid = matches_one(rules.one, value, where) && is_valid;
    if (rules.negated != kNone && (is_valid || collects()) && quietly(rules.negated, value, where))
        is_valid = wrong(where, [] { return std::string("must not be of the kind ruled out"); });
    if (rules.condition != kNone && (is_valid || collects())) {
        const Index branch = quietly(rules.condition, value, where) ? rules.then : rules.otherwise;
        is_valid = (branch == kNone || evaluate(branch, value, where)) && is_valid;
    }
    return is_valid;
}

bool Checker::matches_any(const std::vector<Index>& alternatives, Value value, const Path& where) {
    if (alternatives.size() == 1) // says more
        return evaluate(alternatives.front(), value, where);
    Index closest = kNone;
    return first_match(alternatives, value, where, closest) < alternatives.size() ||
           none_matches(alternatives, closest, value, where);
}

bool Checker::matches_one(const std::vector<Index>& alternatives, Value value, const Path& where) {
    if (alternatives.size() == 1)
        return evaluate(alternatives.front(), value, where);
    Index closest = kNone;
    const std::size_t match = first_match(alternatives, value, where, closest);
    if (match >= alternatives.size())
        return none_matches(alternatives, closest, value, where);
    const auto others = std::span(alternatives).subspan(match + 1);
    const std::size_t other = match + 1 + first_match(others, value, where, closest);
    if (other >= alternatives.size())
        return true;
    return wrong(where, [&] {
        return "must match one alternative only, but matches " + std::to_string(match) + " and " +
               std::to_string(other);
    });
}

std::size_t Checker::first_match(std::span<const Index> alternatives, Value value,
                                 const Path& where, Index& closest) {
    std::size_t farthest = 0;
    for (std::size_t position = 0; position < alternatives.size(); ++position) {
        const std::size_t before = steps_;
        if (quietly(alternatives[position], value, where))
            return position;
        if (steps_ - before > farthest) { // the one that failed last is likely meant
            farthest = steps_ - before;
            closest = alternatives[position];
        }
    }
    return alternatives.size();
}

bool Checker::none_matches(const std::vector<Index>& alternatives, Index closest, Value value,
                           const Path& where) {
    return wrong(where, [&] {
        if (const std::uint8_t types = types_instead(alternatives, value); types != 0)
            return "must be " + words_of(types);
        return "matches none of the " + counted(alternatives.size(), "alternative") +
               "; by the closest, it " + first_wrong(closest, value, where);
    });
}

std::uint8_t Checker::types_instead(const std::vector<Index>& alternatives, Value value) const {
    const TypeBit type = type_of(value);
    std::uint8_t types = 0;
    for (const Index alternative : alternatives) {
        const std::uint8_t allowed = program_.subschemas[alternative].types;
        const bool could_match =
            (allowed & type) != 0 || (type == kNumberBit && (allowed & kIntegerBit) != 0);
        if (allowed == 0 || could_match)
            return 0;
        types |= allowed;
    }
    return types;
}

} // namespace larder::schema
