// When a step runs: comparisons of what earlier steps said. Pure.
#pragma once

#include "base/result.hpp"
#include "schema/pattern.hpp"
#include "workflow/template.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace larder::workflow {

/// { "value": "{{steps.a.json.kind}}", "<operator>": … } with exactly one operator: equals,
/// notEquals, in (a list), contains (of a text or a list), matches (RE2), exists (true, false),
/// greaterThan, atLeast, lessThan, atMost; or { "all": […] }, { "any": […] }, { "not": {…} }.
struct Condition {
    enum class Kind : std::uint8_t {
        kAll,
        kAny,
        kNot,
        kEquals,
        kNotEquals,
        kIn,
        kContains,
        kMatches,
        kExists,
        kGreaterThan,
        kAtLeast,
        kLessThan,
        kAtMost,
    };
    Kind kind = Kind::kAll;
    std::vector<Condition> parts; // of all, any, not
    Reference value;
    std::shared_ptr<const JsonText> operand;
    std::shared_ptr<const schema::Pattern> pattern; // of matches
};

/// What all conditions of a run may look at, in bytes; a longer look at a byte counts as several.
inline constexpr std::size_t kMostLookedAt = 32UL << 20;

/// At most 100 comparisons, 8 deep. kInvalidRequest with `field`.
Result<Condition> read_condition(json::Value value, const std::string& field);
/// A value that isn't there is equal to nothing, and no operator but `exists` and the negated ones
/// is true for it; `null` is there, the empty output of a step (a skipped one's) isn't. Numbers
/// compare as numbers, texts bytewise; a text and a number are compared by greaterThan and the like
/// where the text is a JSON number.
/// Takes what it looks at from `left`; kUnprocessable: that is not enough.
Result<bool> holds(const Condition& condition, const Scope& scope, std::size_t& left);
/// Every reference in it.
void collect(const Condition& condition, std::vector<const Reference*>& out);

} // namespace larder::workflow
