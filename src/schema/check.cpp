// Checking a value against a compiled schema. Recursion is bounded by Limits::depth, work by
// Limits::steps: whoever loops charges first, and everything ends once the steps are used up.
#include "schema/compiled.hpp"
#include "schema/path.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace larder::schema {

namespace {

using json::Kind;
using json::Value;

constexpr int kRecursionMax = 1'000;          // `allOf`, `$ref` and the like among it
constexpr std::size_t kComparedDepth = 128;   // of values that are compared whole
constexpr std::size_t kViolationsMax = 1'000; // each is compared with all
constexpr std::size_t kMessageBytesMax = 400;
constexpr std::size_t kQuotedBytesMax = 80;
constexpr std::size_t kBytesInAStep = 16;
constexpr std::size_t kStepsOfSorting = 4; // for each element

std::string quoted(std::string_view name) {
    std::string out;
    json::write_string(out, clip(name, kQuotedBytesMax));
    return out;
}

std::string counted(std::uint64_t count, std::string_view what) {
    return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

std::size_t code_points(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool is_integral(std::string_view token) {
    return token.find_first_of(".eE") == std::string_view::npos ||
           Number::read(token).is_integral();
}

class Checker {
public:
    explicit Checker(const Program& program)
        : program_(program),
          room_(std::clamp<std::size_t>(program.limits.violations, 1, kViolationsMax)) {}

    Result<std::vector<Violation>> run(Value value) {
        std::vector<Violation> violations;
        out_ = &violations;
        evaluate(0, value, Path{});
        if (!failure_.empty())
            return fail(ErrorCode::kTooLarge, std::string(failure_));
        return violations;
    }

private:
    // ---- what bounds a check ----

    bool charge(std::size_t steps) {
        steps_ += steps;
        if (steps_ > program_.limits.steps)
            give_up("the value takes more steps to check than one check may");
        return failure_.empty();
    }

    bool charge_bytes(Value value) { return charge(1 + (value.raw().size() / kBytesInAStep)); }

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

    bool evaluate(Index index, Value value, const Path& where) {
        const Subschema& schema = program_.subschemas[index];
        if (!charge(1))
            return false;
        if (++recursion_ > kRecursionMax)
            give_up("the value nests deeper than a check follows");
        const bool is_valid = failure_.empty() && evaluate(schema, value, where);
        --recursion_;
        return is_valid;
    }

    bool evaluate(const Subschema& schema, Value value, const Path& where) {
        if (!is_of_type(schema, value, where) || !is_chosen(schema, value, where))
            return false;
        bool is_valid = by_kind(schema, value, where);
        if (schema.reference != kNone && (is_valid || collects()))
            is_valid = evaluate(schema.reference, value, where) && is_valid;
        if (schema.logic && (is_valid || collects()))
            is_valid = by_logic(*schema.logic, value, where) && is_valid;
        return is_valid;
    }

    /// The same for something inside the value.
    bool descend(Index index, Value value, const Path& where) {
        if (++level_ > program_.limits.depth)
            give_up("the value nests deeper than a check follows");
        const bool is_valid = evaluate(index, value, where);
        --level_;
        return is_valid;
    }

    bool quietly(Index index, Value value, const Path& where) {
        std::vector<Violation>* const out = std::exchange(out_, nullptr);
        const bool is_valid = evaluate(index, value, where);
        out_ = out;
        return is_valid;
    }

    /// The first thing that is wrong, seen from `where`.
    std::string first_wrong(Index index, Value value, const Path& where) {
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

    bool is_of_type(const Subschema& schema, Value value, const Path& where) {
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

    bool is_chosen(const Subschema& schema, Value value, const Path& where) {
        for (const Choice& choice : schema.choices) {
            const bool is_in = (choice.types & type_of(value)) != 0 && write_canonical(value) &&
                               std::ranges::binary_search(choice.canonical, canonical_);
            if (!is_in)
                return wrong(where, [&] { return choice.words; });
        }
        return true;
    }

    /// Into canonical_.
    bool write_canonical(Value value) {
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

    bool by_kind(const Subschema& schema, Value value, const Path& where) {
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

    bool is_number(const NumberRules& rules, Value value, const Path& where) {
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

    bool is_string(const StringRules& rules, Value value, const Path& where) {
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

    bool fits(const Range& range, std::uint64_t count, std::string_view what, const Path& where) {
        if (count < range.least)
            return wrong(where, [&] { return "must have at least " + counted(range.least, what); });
        if (count > range.most)
            return wrong(where, [&] { return "must have at most " + counted(range.most, what); });
        return true;
    }

    // ---- arrays ----

    bool is_array(const ArrayRules& rules, Value array, const Path& where) {
        bool is_valid = fits(rules.size, array.size(), "element", where);
        if (is_valid || collects())
            is_valid = are_elements(rules, array, where) && is_valid;
        if (rules.contains != kNone && (is_valid || collects()))
            is_valid = contains(rules, array, where) && is_valid;
        if (rules.is_unique && array.size() > 1 && (is_valid || collects()))
            is_valid = is_unique(array, where) && is_valid;
        return is_valid;
    }

    /// Calls `visit(position, element)` until it returns false or the steps are used up.
    template <class Visit> void each_element(Value array, const Visit& visit) {
        const json::Document& document = array.document();
        const std::uint32_t end = document.node(array.index()).next;
        std::size_t position = 0;
        for (std::uint32_t index = array.index() + 1; index < end;
             index = document.node(index).next) {
            if (!charge(1) || !visit(position++, Value(&document, index)))
                return;
        }
    }

    bool are_elements(const ArrayRules& rules, Value array, const Path& where) {
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

    bool contains(const ArrayRules& rules, Value array, const Path& where) {
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

    /// By sorting the elements' canonical forms: a table of hashes could be flooded.
    bool is_unique(Value array, const Path& where) {
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
            return "must not have equal elements, as at " + std::to_string(equal->position) +
                   " and " + std::to_string(std::next(equal)->position);
        });
    }

    // ---- objects ----

    bool is_object(const ObjectRules& rules, Value object, const Path& where) {
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

    bool lacks(const std::string& name, const Path& where) {
        return wrong(where, [&] { return "lacks the member " + quoted(name); });
    }

    bool depends(const ObjectRules& rules, const Dependency& dependency, Value object,
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

    bool are_members(const ObjectRules& rules, Value object, const Path& where,
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
            is_valid = is_member(rules, {.name = name, .key = key, .property = property}, here) &&
                       is_valid;
        }
        return is_valid && failure_.empty();
    }

    struct Member {
        std::string_view name;
        Value key; // its value is the next
        Index property = kNone;
    };

    bool is_member(const ObjectRules& rules, const Member& member, const Path& here) {
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
        return wrong(here, [&] {
            return "has a name that " + first_wrong(rules.every_name, member.key, here);
        });
    }

    // ---- schemas of schemas ----

    bool by_logic(const LogicRules& rules, Value value, const Path& where) {
        bool is_valid = true;
        for (const Index part : rules.all) {
            if (is_valid || collects())
                is_valid = evaluate(part, value, where) && is_valid;
        }
        if (!rules.any.empty() && (is_valid || collects()))
            is_valid = matches_any(rules.any, value, where) && is_valid;
        if (!rules.one.empty() && (is_valid || collects()))
            is_valid = matches_one(rules.one, value, where) && is_valid;
        if (rules.negated != kNone && (is_valid || collects()) &&
            quietly(rules.negated, value, where))
            is_valid =
                wrong(where, [] { return std::string("must not be of the kind ruled out"); });
        if (rules.condition != kNone && (is_valid || collects())) {
            const Index branch =
                quietly(rules.condition, value, where) ? rules.then : rules.otherwise;
            is_valid = (branch == kNone || evaluate(branch, value, where)) && is_valid;
        }
        return is_valid;
    }

    bool matches_any(const std::vector<Index>& alternatives, Value value, const Path& where) {
        Index closest = alternatives.front();
        std::size_t farthest = 0;
        for (const Index alternative : alternatives) {
            const std::size_t before = steps_;
            if (quietly(alternative, value, where))
                return true;
            if (steps_ - before > farthest) { // the one that failed last is likely meant
                farthest = steps_ - before;
                closest = alternative;
            }
        }
        return none_matches(alternatives.size(), closest, value, where);
    }

    bool matches_one(const std::vector<Index>& alternatives, Value value, const Path& where) {
        Index closest = alternatives.front();
        std::size_t farthest = 0;
        std::optional<std::size_t> match;
        for (std::size_t position = 0; position < alternatives.size(); ++position) {
            const std::size_t before = steps_;
            if (quietly(alternatives[position], value, where)) {
                if (match)
                    return wrong(where, [&] {
                        return "must match one alternative only, but matches " +
                               std::to_string(*match) + " and " + std::to_string(position);
                    });
                match = position;
            } else if (steps_ - before > farthest) {
                farthest = steps_ - before;
                closest = alternatives[position];
            }
        }
        return match || none_matches(alternatives.size(), closest, value, where);
    }

    bool none_matches(std::size_t count, Index closest, Value value, const Path& where) {
        return wrong(where, [&] {
            return "matches none of the " + counted(count, "alternative") +
                   "; by the closest, it " + first_wrong(closest, value, where);
        });
    }

    const Program& program_;
    std::vector<Violation>* out_ = nullptr; // null: only the verdict counts
    std::size_t room_;                      // for violations in out_
    std::size_t steps_ = 0;
    int recursion_ = 0;
    int level_ = 0;            // in the value
    std::string_view failure_; // why there will be no verdict
    std::string canonical_;
};

} // namespace

Result<std::vector<Violation>> check_value(const Program& program, Value value) {
    return Checker(program).run(value);
}

} // namespace larder::schema
