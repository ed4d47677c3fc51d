// One check of one value against a compiled schema. Recursion is bounded by Limits::depth, work by
// Limits::steps: whoever loops charges first, and everything ends once the steps are used up.
// check.cpp has subschemas and logic, check_kinds.cpp what is said of one kind of value. One
// thread.
#pragma once

#include "schema/compiled.hpp"
#include "schema/path.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::schema {

inline constexpr std::size_t kBytesInAStep = 16;

class Checker {
public:
    explicit Checker(const Program& program)
        : program_(program),
          room_(std::clamp<std::size_t>(program.limits.violations, 1, kViolationsMax)) {}

    Result<std::vector<Violation>> run(json::Value value) {
        std::vector<Violation> violations;
        out_ = &violations;
        evaluate(0, value, Path{});
        if (!failure_.empty())
            return fail(ErrorCode::kTooLarge, std::string(failure_));
        return violations;
    }

private:
    static constexpr std::size_t kViolationsMax = 1'000; // each is compared with all
    static constexpr std::size_t kMessageBytesMax = 400;

    // ---- what bounds a check ----

    bool charge(std::size_t steps) {
        steps_ += steps;
        if (steps_ > program_.limits.steps)
            give_up("the value takes more steps to check than one check may");
        return failure_.empty();
    }

    bool charge_bytes(json::Value value) {
        return charge(1 + (value.raw().size() / kBytesInAStep));
    }

    void give_up(std::string_view why) {
        if (failure_.empty())
            failure_ = why;
    }

    /// After something was wrong: whether there is a point in looking for more.
    [[nodiscard]] bool collects() const {
        return out_ != nullptr && out_->size() < room_ && failure_.empty();
    }

    /// False, for `return wrong(…)`; `message` is only called when someone reads it.
    template <class Message> bool wrong(const Path& where, const Message& message) {
        if (!collects())
            return false;
        Violation violation{.path = where.pointer(), .message = clip(message(), kMessageBytesMax)};
        const bool is_known = std::ranges::any_of(*out_, [&](const Violation& other) {
            return other.path == violation.path && other.message == violation.message;
        });
        if (!is_known)
            out_->push_back(std::move(violation));
        return false;
    }

    // ---- subschemas ----

    bool evaluate(Index index, json::Value value, const Path& where);
    bool evaluate(const Subschema& schema, json::Value value, const Path& where);

    /// The same for something inside the value.
    bool descend(Index index, json::Value value, const Path& where);
    bool quietly(Index index, json::Value value, const Path& where);

    /// The first thing that is wrong, seen from `where`.
    std::string first_wrong(Index index, json::Value value, const Path& where);

    // ---- any kind of value ----

    bool is_of_type(const Subschema& schema, json::Value value, const Path& where);
    bool is_chosen(const Subschema& schema, json::Value value, const Path& where);

    /// Into canonical_.
    bool write_canonical(json::Value value);
    bool by_kind(const Subschema& schema, json::Value value, const Path& where);
    bool is_number(const NumberRules& rules, json::Value value, const Path& where);
    bool is_string(const StringRules& rules, json::Value value, const Path& where);
    bool fits(const Range& range, std::uint64_t count, std::string_view what, const Path& where);

    // ---- arrays ----

    bool is_array(const ArrayRules& rules, json::Value array, const Path& where);

    /// Calls `visit(position, element)` until it returns false or the steps are used up.
    template <class Visit> void each_element(json::Value array, const Visit& visit) {
        const json::Document& document = array.document();
        const std::uint32_t end = document.node(array.index()).next;
        std::size_t position = 0;
        for (std::uint32_t index = array.index() + 1; index < end;
             index = document.node(index).next) {
            if (!charge(1) || !visit(position++, json::Value(&document, index)))
                return;
        }
    }

    bool are_elements(const ArrayRules& rules, json::Value array, const Path& where);
    bool contains(const ArrayRules& rules, json::Value array, const Path& where);

    /// By sorting the elements' canonical forms: a table of hashes could be flooded.
    bool is_unique(json::Value array, const Path& where);

    // ---- objects ----

    bool is_object(const ObjectRules& rules, json::Value object, const Path& where);
    bool lacks(const std::string& name, const Path& where);
    bool depends(const ObjectRules& rules, const Dependency& dependency, json::Value object,
                 const Path& where, const std::vector<bool>& seen);
    bool are_members(const ObjectRules& rules, json::Value object, const Path& where,
                     std::vector<bool>& seen);

    struct Member {
        std::string_view name;
        json::Value key; // its value is the next
        Index property = kNone;
    };
    bool is_member(const ObjectRules& rules, const Member& member, const Path& here);

    // ---- schemas of schemas ----

    bool by_logic(const LogicRules& rules, json::Value value, const Path& where);
    bool matches_any(const std::vector<Index>& alternatives, json::Value value, const Path& where);
    bool matches_one(const std::vector<Index>& alternatives, json::Value value, const Path& where);
    /// Its position, or how many there are; `closest` is set when there is none.
    std::size_t first_match(std::span<const Index> alternatives, json::Value value,
                            const Path& where, Index& closest);
    bool none_matches(const std::vector<Index>& alternatives, Index closest, json::Value value,
                      const Path& where);
    /// What would have been right, if the value's type is wrong for all; else 0.
    [[nodiscard]] std::uint8_t types_instead(const std::vector<Index>& alternatives,
                                             json::Value value) const;

    const Program& program_;
    std::vector<Violation>* out_ = nullptr; // null: only the verdict counts
    std::size_t room_;                      // for violations in out_
    std::size_t steps_ = 0;
    int recursion_ = 0;
    int level_ = 0;            // in the value
    std::string_view failure_; // why there will be no verdict
    std::string canonical_;
};

/// "1 element", "2 elements"
std::string counted(std::uint64_t count, std::string_view what);

} // namespace larder::schema
