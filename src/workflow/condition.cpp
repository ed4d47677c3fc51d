#include "workflow/condition.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace larder::workflow {
namespace {

constexpr std::size_t kMostOfOne = 100; // comparisons
constexpr int kDeepest = 8;

using Kind = Condition::Kind;

struct Operator {
    std::string_view name;
    Kind kind;
};
constexpr std::array<Operator, 10> kOperators{{{"equals", Kind::kEquals},
                                               {"notEquals", Kind::kNotEquals},
                                               {"in", Kind::kIn},
                                               {"contains", Kind::kContains},
                                               {"matches", Kind::kMatches},
                                               {"exists", Kind::kExists},
                                               {"greaterThan", Kind::kGreaterThan},
                                               {"atLeast", Kind::kAtLeast},
                                               {"lessThan", Kind::kLessThan},
                                               {"atMost", Kind::kAtMost}}};

std::unexpected<Error> too_large(const std::string& field, std::string message) {
    return std::unexpected(Error{.code = ErrorCode::kTooLarge,
                                 .message = std::move(message),
                                 .field = field,
                                 .position = {},
                                 .detail = {}});
}

/// Reads one `when`, and counts.
class Reader {
public:
    Result<Condition> read(json::Value value, const std::string& field, int depth) {
        if (depth > kDeepest)
            return too_large(field, "a condition is at most 8 deep");
        if (!value.is(json::Kind::kObject))
            return fail_field(field, "must be an object: {\"value\": \"{{…}}\", \"equals\": …}, or "
                                     "one of all, any and not");
        if (value.size() == 1) {
            if (const auto all = value.find("all"))
                return read_group(Kind::kAll, *all, field + ".all", depth);
            if (const auto any = value.find("any"))
                return read_group(Kind::kAny, *any, field + ".any", depth);
            if (const auto part = value.find("not")) {
                Condition negated{.kind = Kind::kNot};
                LARDER_TRY(negated.parts.emplace_back(), read(*part, field + ".not", depth + 1));
                return negated;
            }
        }
        return read_comparison(value, field);
    }

private:
    Result<Condition> read_group(Kind kind, json::Value list, const std::string& field, int depth) {
        if (!list.is(json::Kind::kArray) || list.size() == 0)
            return fail_field(field, "must be a list of at least one condition");
        Condition group{.kind = kind};
        std::optional<Error> error;
        list.for_each_element([&](json::Value element) {
            auto part =
                read(element, field + "[" + std::to_string(group.parts.size()) + "]", depth + 1);
            if (part)
                group.parts.push_back(*std::move(part));
            else
                error = std::move(part).error();
            return !error;
        });
        if (error)
            return std::unexpected(*std::move(error));
        return group;
    }

    Result<Condition> read_comparison(json::Value value, const std::string& field) {
        if (++comparisons_ > kMostOfOne)
            return too_large(field, "a condition has at most 100 comparisons");
        std::optional<json::Value> compared;
        std::optional<json::Value> operand;
        const Operator* found = nullptr;
        std::optional<Error> error;
        value.for_each_member([&](std::string_view name, json::Value member) {
            if (name == "value") {
                compared = member;
                return true;
            }
            const auto known = std::ranges::find(kOperators, name, &Operator::name);
            if (known == kOperators.end())
                error = fail_field(field, "is compared by exactly one of equals, notEquals, in, "
                                          "contains, matches, exists, greaterThan, atLeast, "
                                          "lessThan and atMost, or is one of all, any and not")
                            .error();
            else if (found != nullptr)
                error = fail_field(field, "has more than one operator; put each comparison into a "
                                          "list: {\"all\": […]}")
                            .error();
            else
                found = &*known;
            operand = member;
            return !error;
        });
        if (error)
            return std::unexpected(*std::move(error));
        if (!compared || found == nullptr)
            return fail_field(field, "needs `value` and an operator: {\"value\": \"{{…}}\", "
                                     "\"equals\": …}");
        const auto text = compared->as_string();
        if (!text)
            return fail_field(field + ".value", "must be a text with one reference");
        Condition comparison{.kind = found->kind};
        LARDER_TRY(comparison.value, read_reference(*text, field + ".value"));
        LARDER_CHECK(read_operand(comparison, *operand, field + "." + std::string(found->name)));
        return comparison;
    }

    static Result<void> read_operand(Condition& comparison, json::Value operand,
                                     const std::string& field) {
        switch (comparison.kind) {
        case Kind::kIn:
            if (!operand.is(json::Kind::kArray) || operand.size() == 0)
                return fail_field(field, "must be a list of at least one value");
            break;
        case Kind::kExists:
            if (!operand.as_bool())
                return fail_field(field, "must be true or false");
            break;
        case Kind::kMatches: {
            const auto expression = operand.as_string();
            if (!expression)
                return fail_field(field, "must be a regular expression, as a text");
            auto pattern = schema::Pattern::compile(*expression);
            if (!pattern)
                return fail_field(field, std::move(pattern).error().message);
            comparison.pattern = std::make_shared<const schema::Pattern>(*std::move(pattern));
            break;
        }
        case Kind::kGreaterThan:
        case Kind::kAtLeast:
        case Kind::kLessThan:
        case Kind::kAtMost:
            if (!operand.is(json::Kind::kNumber) && !operand.is(json::Kind::kString))
                return fail_field(field, "must be a number or a text");
            break;
        default:
            break;
        }
        if (comparison.kind != Kind::kMatches && operand.raw().find("{{") != std::string_view::npos)
            return fail_field(field, "has no references: only `value` may be one");
        auto parsed = JsonText::parse(std::string(operand.raw()));
        if (!parsed)
            return too_large(field, std::move(parsed).error().message);
        comparison.operand = *std::move(parsed);
        return {};
    }

    std::size_t comparisons_ = 0;
};

/// What a comparison looks at: a step's output as it is, an index, or a JSON value.
struct Subject {
    std::optional<std::string_view> text;
    std::optional<std::int64_t> number;
    std::optional<json::Value> value;

    [[nodiscard]] bool is_there() const { return text || number || value; }
};

Subject subject_of(const Reference& reference, const Scope& scope) {
    Subject subject;
    if (reference.kind == Reference::Kind::kIndex) {
        if (scope.item != nullptr)
            subject.number = static_cast<std::int64_t>(scope.item->index);
    } else if (reference.kind == Reference::Kind::kOutput) {
        if (scope.outputs == nullptr)
            return subject;
        const auto output = scope.outputs->find(reference.name);
        if (output != scope.outputs->end() && !output->second.text.empty())
            subject.text = output->second.text;
    } else {
        subject.value = find(reference, scope);
    }
    return subject;
}

std::string canonical(json::Value value) {
    std::string out;
    json::write_canonical(out, value);
    return out;
}

std::uint32_t nodes_of(json::Value value) {
    return value.document().node(value.index()).next - value.index();
}

/// An operand with its canonical form, written once however many values are compared with it.
class Operand {
public:
    explicit Operand(json::Value value) : value_(value), canonical_(canonical(value)) {}
    [[nodiscard]] bool equals(json::Value other) const {
        return other.kind() == value_.kind() && nodes_of(other) == nodes_of(value_) &&
               canonical(other) == canonical_;
    }
    [[nodiscard]] bool equals(const Subject& subject) const {
        if (subject.text)
            return value_.as_string() == *subject.text;
        if (subject.number)
            return value_.as_int() == *subject.number;
        return subject.value && equals(*subject.value);
    }

private:
    json::Value value_;
    std::string canonical_;
};

bool is_in(const Subject& subject, json::Value list) {
    if (!subject.is_there())
        return false;
    const std::optional<Operand> value =
        subject.value ? std::optional<Operand>(*subject.value) : std::nullopt;
    bool found = false;
    list.for_each_element([&](json::Value element) {
        if (value)
            found = value->equals(element);
        else if (subject.text)
            found = element.as_string() == *subject.text;
        else
            found = element.as_int() == *subject.number;
        return !found;
    });
    return found;
}

std::optional<std::string> text_of(const Subject& subject) {
    if (subject.text)
        return std::string(*subject.text);
    if (subject.number)
        return std::to_string(*subject.number);
    if (!subject.value || subject.value->is(json::Kind::kNull))
        return std::nullopt;
    if (auto text = subject.value->as_string())
        return text;
    return std::string(subject.value->raw());
}

bool contains(const Subject& subject, json::Value operand) {
    if (subject.value && subject.value->is(json::Kind::kArray)) {
        const Operand wanted(operand);
        bool found = false;
        subject.value->for_each_element([&](json::Value element) {
            found = wanted.equals(element);
            return !found;
        });
        return found;
    }
    const bool is_text = subject.text || (subject.value && subject.value->is(json::Kind::kString));
    const auto part = operand.as_string();
    return is_text && part && text_of(subject)->find(*part) != std::string::npos;
}

std::optional<std::partial_ordering> order_of_numbers(json::Value a, json::Value b) {
    const auto whole_a = a.as_int();
    const auto whole_b = b.as_int();
    if (whole_a && whole_b)
        return *whole_a <=> *whole_b;
    const auto broken_a = a.as_double();
    const auto broken_b = b.as_double();
    if (broken_a && broken_b)
        return *broken_a <=> *broken_b;
    return std::nullopt;
}

/// How the subject stands to the operand. nullopt: they can't be compared.
std::optional<std::partial_ordering> order_of(const Subject& subject, json::Value operand) {
    constexpr std::size_t kLongestNumber = 100;
    const bool is_value = subject.value.has_value();
    if (is_value && !subject.value->is(json::Kind::kString) &&
        !subject.value->is(json::Kind::kNumber))
        return std::nullopt;
    const auto text = text_of(subject);
    if (!text)
        return std::nullopt;
    const bool is_text = subject.text || (is_value && subject.value->is(json::Kind::kString));
    if (is_text && operand.is(json::Kind::kString))
        return *text <=> operand.as_string().value_or(std::string());
    const std::string other = operand.as_string().value_or(std::string(operand.raw()));
    if (text->size() > kLongestNumber || other.size() > kLongestNumber)
        return std::nullopt;
    const auto parsed = json::parse(*text);
    const auto parsed_other = json::parse(other);
    if (!parsed || !parsed_other)
        return std::nullopt;
    return order_of_numbers(parsed->root(), parsed_other->root());
}

bool compare(const Condition& condition, const Scope& scope) {
    const Subject subject = subject_of(condition.value, scope);
    const json::Value operand = condition.operand->root();
    const auto ordered = [&](auto is_so) {
        const auto order = order_of(subject, operand);
        return order && is_so(*order);
    };
    switch (condition.kind) {
    case Kind::kEquals:
        return Operand(operand).equals(subject);
    case Kind::kNotEquals:
        return !Operand(operand).equals(subject);
    case Kind::kIn:
        return is_in(subject, operand);
    case Kind::kContains:
        return contains(subject, operand);
    case Kind::kMatches: {
        const auto text = text_of(subject);
        return text && condition.pattern->matches(*text);
    }
    case Kind::kExists:
        return subject.is_there() == operand.is(json::Kind::kTrue);
    case Kind::kGreaterThan:
        return ordered([](auto order) { return order > 0; });
    case Kind::kAtLeast:
        return ordered([](auto order) { return order >= 0; });
    case Kind::kLessThan:
        return ordered([](auto order) { return order < 0; });
    case Kind::kAtMost:
        return ordered([](auto order) { return order <= 0; });
    default:
        return false;
    }
}

} // namespace

Result<Condition> read_condition(json::Value value, const std::string& field) {
    return Reader().read(value, field, 1);
}

bool holds(const Condition& condition, const Scope& scope) {
    const auto part_holds = [&scope](const Condition& part) { return holds(part, scope); };
    switch (condition.kind) {
    case Kind::kAll:
        return std::ranges::all_of(condition.parts, part_holds);
    case Kind::kAny:
        return std::ranges::any_of(condition.parts, part_holds);
    case Kind::kNot:
        return std::ranges::none_of(condition.parts, part_holds);
    default:
        return compare(condition, scope);
    }
}

void collect(const Condition& condition, std::vector<const Reference*>& out) {
    const bool is_group = condition.kind == Kind::kAll || condition.kind == Kind::kAny ||
                          condition.kind == Kind::kNot;
    if (!is_group)
        out.push_back(&condition.value);
    for (const Condition& part : condition.parts)
        collect(part, out);
}

} // namespace larder::workflow
