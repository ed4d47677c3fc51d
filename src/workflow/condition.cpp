#include "workflow/condition.hpp"

#include <algorithm>
#include <array>
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

} // namespace

Result<Condition> read_condition(json::Value value, const std::string& field) {
    return Reader().read(value, field, 1);
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
