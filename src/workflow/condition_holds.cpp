// What conditions say of a scope, within a bound on what they look at.
#include "workflow/condition.hpp"

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace larder::workflow {
namespace {

using Kind = Condition::Kind;

// What is looked at, in bytes that are as much work.
constexpr std::size_t kOfAnElement = 8;
constexpr std::size_t kOfANode = 64;        // of a canonical form
constexpr std::size_t kOfANumber = 128;     // that is no small integer
constexpr std::size_t kOfASearchedByte = 2; // of a text
constexpr std::size_t kOfAnEscapedByte = 4; // of a string
constexpr std::size_t kOfAWrittenByte = 4;  // of a canonical form
constexpr std::size_t kOfAPatternStep = 16; // schema::Pattern::steps
constexpr std::size_t kLongestEscape = 6;   // for one byte
constexpr std::size_t kLongestNumber = 100;

/// What a run's conditions may still look at.
class Work {
public:
    explicit Work(std::size_t& left) : left_(left) {}
    /// False: there is not so much left, now or for anything else.
    bool take(std::size_t bytes) {
        is_spent_ = is_spent_ || bytes > left_;
        left_ = is_spent_ ? 0 : left_ - bytes;
        return !is_spent_;
    }
    [[nodiscard]] bool is_spent() const { return is_spent_; }

private:
    std::size_t& left_;
    bool is_spent_ = false;
};

bool is_string(json::Value value) {
    return value.is(json::Kind::kString);
}

std::uint32_t nodes_of(json::Value value) {
    return value.document().node(value.index()).next - value.index();
}

/// One side of a comparison: a JSON value, or a text. What is worked out for one comparison serves
/// the next.
class Side {
public:
    explicit Side(json::Value value) : value_(value) {}
    explicit Side(std::string_view text) : text_(text) {}

    [[nodiscard]] json::Kind kind() const { return value_ ? value_->kind() : json::Kind::kString; }
    /// Only of what is no text.
    [[nodiscard]] json::Value value() const { return *value_; }

    /// Of a string; nullopt: the work is used up.
    std::optional<std::string_view> text(Work& work) {
        if (!text_)
            text_ = value_->as_plain_string();
        if (!text_ && work.take(kOfAnEscapedByte * value_->raw().size()))
            text_ = unescaped_ = *value_->as_string();
        return text_;
    }
    /// Whether a string can have so many bytes, as far as that is known without a look at them.
    [[nodiscard]] bool may_have(std::size_t least, std::size_t most) const {
        const auto [own_least, own_most] = sizes();
        return own_least <= most && least <= own_most;
    }
    [[nodiscard]] std::pair<std::size_t, std::size_t> sizes() const {
        if (text_)
            return {text_->size(), text_->size()};
        const std::size_t written = value_->raw().size() - 2;
        if (value_->as_plain_string())
            return {written, written};
        return {written / kLongestEscape, written};
    }
    const std::string* canonical(Work& work) {
        const bool is_number = value_->is(json::Kind::kNumber);
        if (canonical_.empty() &&
            work.take((is_number ? kOfANumber : kOfANode * nodes_of(*value_)) +
                      (kOfAWrittenByte * value_->raw().size())))
            json::write_canonical(canonical_, *value_);
        return canonical_.empty() ? nullptr : &canonical_;
    }

private:
    std::optional<json::Value> value_;
    std::optional<std::string_view> text_;
    std::string unescaped_;
    std::string canonical_;
};

bool are_equal(Side& a, Side& b, Work& work) {
    const json::Kind kind = a.kind();
    if (kind != b.kind())
        return false;
    if (kind == json::Kind::kString) {
        const auto [least, most] = b.sizes();
        if (!a.may_have(least, most))
            return false;
        const auto text = a.text(work);
        const auto other = text ? b.text(work) : std::nullopt;
        return other && text->size() == other->size() && work.take(text->size()) && *text == *other;
    }
    if (kind == json::Kind::kNumber) {
        if (!work.take(a.value().raw().size() + b.value().raw().size()))
            return false;
        const auto whole = a.value().as_int();
        const auto other = b.value().as_int();
        if (whole && other)
            return *whole == *other;
    } else if (kind != json::Kind::kArray && kind != json::Kind::kObject) {
        return true;
    } else if (nodes_of(a.value()) != nodes_of(b.value())) {
        return false;
    }
    const std::string* const written = a.canonical(work);
    const std::string* const other = written == nullptr ? nullptr : b.canonical(work);
    return other != nullptr && *written == *other;
}

/// Whether one of a list's elements is equal to `wanted`.
bool has_element(json::Value list, Side& wanted, Work& work) {
    const json::Document& document = list.document();
    const std::uint32_t end = document.node(list.index()).next;
    for (std::uint32_t at = list.index() + 1; at < end; at = document.node(at).next) {
        if (!work.take(kOfAnElement))
            return false;
        if (document.node(at).kind != wanted.kind())
            continue;
        Side element(json::Value(&document, at));
        if (are_equal(element, wanted, work))
            return true;
    }
    return false;
}

/// Linear, however the two repeat themselves.
bool has_part(std::string_view text, std::string_view part, Work& work) {
    return part.size() <= text.size() &&
           work.take(kOfASearchedByte * (text.size() + part.size())) &&
           (part.empty() || memmem(text.data(), text.size(), part.data(), part.size()) != nullptr);
}

std::optional<std::partial_ordering> order_of_numbers(std::string_view text,
                                                      std::string_view other) {
    if (text.size() > kLongestNumber || other.size() > kLongestNumber)
        return std::nullopt;
    const auto parsed = json::parse(text);
    const auto parsed_other = json::parse(other);
    if (!parsed || !parsed_other)
        return std::nullopt;
    const json::Value a = parsed->root();
    const json::Value b = parsed_other->root();
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

/// A step's output as it is, or a JSON value. nullopt: not there.
std::optional<Side> subject_of(const Reference& reference, const Scope& scope) {
    if (reference.kind == Reference::Kind::kOutput) {
        if (scope.outputs == nullptr)
            return std::nullopt;
        const auto output = scope.outputs->find(reference.name);
        if (output == scope.outputs->end() || output->second.text.empty())
            return std::nullopt;
        return Side(std::string_view(output->second.text));
    }
    const auto value = find(reference, scope);
    return value ? std::optional<Side>(*value) : std::nullopt;
}

/// One comparison with what is there.
class Comparison {
public:
    Comparison(const Condition& condition, Side& subject, Work& work)
        : condition_(condition), subject_(subject), work_(work),
          operand_(condition.operand->root()) {}

    bool holds() {
        switch (condition_.kind) {
        case Kind::kEquals:
            return equals();
        case Kind::kNotEquals:
            return !equals();
        case Kind::kIn:
            return has_element(operand_, subject_, work_);
        case Kind::kContains:
            return contains();
        case Kind::kMatches:
            return matches();
        case Kind::kExists:
            return operand_.is(json::Kind::kTrue);
        case Kind::kGreaterThan:
            return order() > 0;
        case Kind::kAtLeast:
            return order() >= 0;
        case Kind::kLessThan:
            return order() < 0;
        case Kind::kAtMost:
            return order() <= 0;
        default:
            return false;
        }
    }

private:
    bool equals() {
        Side other(operand_);
        return are_equal(subject_, other, work_);
    }

    bool contains() {
        Side part(operand_);
        if (subject_.kind() == json::Kind::kArray)
            return has_element(subject_.value(), part, work_);
        if (subject_.kind() != json::Kind::kString || !is_string(operand_))
            return false;
        const auto text = subject_.text(work_);
        const auto wanted = part.text(work_);
        return text && wanted && has_part(*text, *wanted, work_);
    }

    bool matches() {
        if (subject_.kind() == json::Kind::kNull)
            return false;
        const auto text =
            subject_.kind() == json::Kind::kString ? subject_.text(work_) : subject_.value().raw();
        return text &&
               work_.take(text->size() +
                          (kOfAPatternStep * condition_.pattern->steps(text->size()))) &&
               condition_.pattern->matches(*text);
    }

    /// How the subject stands to the operand; unordered: they can't be compared.
    std::partial_ordering order() {
        const bool is_text = subject_.kind() == json::Kind::kString;
        if (!is_text && subject_.kind() != json::Kind::kNumber)
            return std::partial_ordering::unordered;
        Side other(operand_);
        const auto text = is_text ? subject_.text(work_) : subject_.value().raw();
        const auto compared = is_string(operand_) ? other.text(work_) : operand_.raw();
        if (!text || !compared)
            return std::partial_ordering::unordered;
        if (is_text && is_string(operand_))
            return work_.take(std::min(text->size(), compared->size()))
                       ? std::partial_ordering(*text <=> *compared)
                       : std::partial_ordering::unordered;
        if (!work_.take(kOfANumber))
            return std::partial_ordering::unordered;
        return order_of_numbers(*text, *compared).value_or(std::partial_ordering::unordered);
    }

    const Condition& condition_;
    Side& subject_;
    Work& work_;
    json::Value operand_;
};

bool is_true(const Condition& condition, const Scope& scope, Work& work) {
    const auto part_is_true = [&](const Condition& part) {
        return !work.is_spent() && is_true(part, scope, work);
    };
    switch (condition.kind) {
    case Kind::kAll:
        return std::ranges::all_of(condition.parts, part_is_true);
    case Kind::kAny:
        return std::ranges::any_of(condition.parts, part_is_true);
    case Kind::kNot:
        return std::ranges::none_of(condition.parts, part_is_true);
    default:
        break;
    }
    auto subject = subject_of(condition.value, scope);
    if (!subject)
        return condition.kind == Kind::kNotEquals ||
               (condition.kind == Kind::kExists &&
                condition.operand->root().is(json::Kind::kFalse));
    return Comparison(condition, *subject, work).holds();
}

} // namespace

Result<bool> holds(const Condition& condition, const Scope& scope, std::size_t& left) {
    Work work(left);
    const bool is_so = is_true(condition, scope, work);
    if (work.is_spent())
        return fail(ErrorCode::kUnprocessable,
                    "its condition looks at too much: all conditions of a workflow may look at " +
                        std::to_string(kMostLookedAt) + " bytes together");
    return is_so;
}

} // namespace larder::workflow
