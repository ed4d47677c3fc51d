// Reading the values of a parsed JSON text: members, strings, exact integers. Pure, any thread.
#include "base/json.hpp"

#include "base/json_internal.hpp"

#include <algorithm>
#include <charconv>

namespace larder::json {

namespace internal {

namespace {

void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0U | (point >> 6));
        put(0x80U | (point & 0x3FU));
    } else if (point < 0x10000) {
        put(0xE0U | (point >> 12));
        put(0x80U | ((point >> 6) & 0x3FU));
        put(0x80U | (point & 0x3FU));
    } else {
        put(0xF0U | (point >> 18));
        put(0x80U | ((point >> 12) & 0x3FU));
        put(0x80U | ((point >> 6) & 0x3FU));
        put(0x80U | (point & 0x3FU));
    }
}

std::uint32_t unit_at(std::string_view text, std::size_t at) {
    std::uint32_t unit = 0;
    std::from_chars(text.data() + at, text.data() + at + 4, unit, 16);
    return unit;
}

char simple_escape(char what) {
    switch (what) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return what;
    }
}

} // namespace

std::string unescape(std::string_view inner) {
    std::string out;
    out.reserve(inner.size());
    std::size_t at = 0;
    while (at < inner.size()) {
        const std::size_t slash = inner.find('\\', at);
        if (slash == std::string_view::npos) {
            out.append(inner.substr(at));
            break;
        }
        out.append(inner.substr(at, slash - at));
        at = slash + 2;
        if (inner[slash + 1] != 'u') {
            out.push_back(simple_escape(inner[slash + 1]));
            continue;
        }
        std::uint32_t point = unit_at(inner, at);
        at += 4;
        if (point >= 0xD800 && point <= 0xDBFF) { // the parser saw the other half
            point = 0x10000 + ((point - 0xD800) << 10) + (unit_at(inner, at + 2) - 0xDC00);
            at += 6;
        }
        append_utf8(out, point);
    }
    return out;
}

Decimal take_apart(std::string_view token) {
    constexpr std::size_t kExponentDigitsMax = 9;
    Decimal decimal;
    if (token.starts_with('-')) {
        decimal.negative = true;
        token.remove_prefix(1);
    }
    const std::size_t mark = token.find_first_of("eE");
    std::string_view exponent;
    if (mark != std::string_view::npos) {
        exponent = token.substr(mark + 1);
        token = token.substr(0, mark);
    }
    const std::size_t point = token.find('.');
    decimal.digits = token.substr(0, point);
    if (point != std::string_view::npos) {
        decimal.digits.append(token.substr(point + 1));
        decimal.exponent = -static_cast<std::int64_t>(token.size() - point - 1);
    }
    const std::size_t last = decimal.digits.find_last_not_of('0');
    if (last == std::string::npos) {
        decimal.digits.clear();
        decimal.exponent = 0;
        return decimal;
    }
    decimal.exponent += static_cast<std::int64_t>(decimal.digits.size() - last - 1);
    decimal.digits.resize(last + 1);
    decimal.digits.erase(0, decimal.digits.find_first_not_of('0'));
    const bool is_small = exponent.starts_with('-');
    exponent.remove_prefix(std::min(exponent.find_first_not_of("+-0"), exponent.size()));
    if (exponent.size() > kExponentDigitsMax) {
        decimal.out_of_hand = true;
        return decimal;
    }
    std::int64_t written = 0;
    std::from_chars(exponent.data(), exponent.data() + exponent.size(), written);
    decimal.exponent += is_small ? -written : written;
    return decimal;
}

} // namespace internal

namespace {

std::string_view without_quotes(std::string_view raw) {
    return raw.substr(1, raw.size() - 2);
}

} // namespace

Kind Value::kind() const {
    return document_->node(index_).kind;
}

std::size_t Value::begin() const {
    return document_->node(index_).begin;
}

std::size_t Value::end() const {
    return document_->node(index_).end;
}

std::string_view Value::raw() const {
    const Node& node = document_->node(index_);
    return document_->text().substr(node.begin, node.end - node.begin);
}

std::uint32_t Value::size() const {
    return document_->node(index_).size;
}

std::optional<Value> Value::find(std::string_view name) const {
    const Node& object = document_->node(index_);
    if (object.kind != Kind::kObject)
        return std::nullopt;
    const std::string_view text = document_->text();
    for (std::uint32_t key = index_ + 1; key < object.next; key = document_->node(key + 1).next) {
        const Node& node = document_->node(key);
        const std::size_t length = node.end - node.begin - 2;
        const std::string_view written = text.substr(node.begin + 1, length);
        if (node.escaped ? length > name.size() && internal::unescape(written) == name
                         : written == name)
            return Value(document_, key + 1);
    }
    return std::nullopt;
}

std::optional<std::string> Value::as_string() const {
    const Node& node = document_->node(index_);
    if (node.kind != Kind::kString)
        return std::nullopt;
    const std::string_view inner = without_quotes(raw());
    return node.escaped ? internal::unescape(inner) : std::string(inner);
}

std::optional<std::string_view> Value::as_plain_string() const {
    const Node& node = document_->node(index_);
    if (node.kind != Kind::kString || node.escaped)
        return std::nullopt;
    return without_quotes(raw());
}

std::optional<std::int64_t> Value::as_int() const {
    if (kind() != Kind::kNumber)
        return std::nullopt;
    const std::string_view token = raw();
    std::int64_t value = 0;
    const char* const end = token.data() + token.size();
    if (const auto read = std::from_chars(token.data(), end, value);
        read.ec == std::errc{} && read.ptr == end)
        return value;
    return as_scaled(0);
}

std::optional<std::int64_t> Value::as_scaled(int places) const {
    constexpr std::int64_t kDigitsMax = 19;
    if (kind() != Kind::kNumber)
        return std::nullopt;
    internal::Decimal decimal = internal::take_apart(raw());
    if (decimal.is_zero())
        return 0;
    decimal.exponent += places;
    if (decimal.out_of_hand || !decimal.is_integral() || decimal.magnitude() > kDigitsMax)
        return std::nullopt;
    std::string digits = (decimal.negative ? "-" : "") + decimal.digits;
    digits.append(static_cast<std::size_t>(decimal.exponent), '0');
    std::int64_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (read.ec != std::errc{})
        return std::nullopt;
    return value;
}

std::optional<double> Value::as_double() const {
    if (kind() != Kind::kNumber)
        return std::nullopt;
    const std::string_view token = raw();
    double value = 0;
    const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
    if (read.ec == std::errc{})
        return value;
    const internal::Decimal decimal = internal::take_apart(token);
    const bool is_tiny = decimal.out_of_hand ? token.find("e-") != std::string_view::npos ||
                                                   token.find("E-") != std::string_view::npos
                                             : decimal.magnitude() <= 0;
    if (decimal.is_zero() || is_tiny)
        return decimal.negative ? -0.0 : 0.0;
    return std::nullopt;
}

std::optional<bool> Value::as_bool() const {
    if (is(Kind::kTrue))
        return true;
    if (is(Kind::kFalse))
        return false;
    return std::nullopt;
}

void Value::for_each_member(const std::function<bool(std::string_view, Value)>& visit) const {
    const Node& object = document_->node(index_);
    if (object.kind != Kind::kObject)
        return;
    for (std::uint32_t key = index_ + 1; key < object.next; key = document_->node(key + 1).next) {
        const std::string_view written = without_quotes(Value(document_, key).raw());
        const Value value(document_, key + 1);
        const bool goes_on = document_->node(key).escaped
                                 ? visit(internal::unescape(written), value)
                                 : visit(written, value);
        if (!goes_on)
            return;
    }
}

void Value::for_each_element(const std::function<bool(Value)>& visit) const {
    const Node& array = document_->node(index_);
    if (array.kind != Kind::kArray)
        return;
    for (std::uint32_t index = index_ + 1; index < array.next; index = document_->node(index).next)
        if (!visit(Value(document_, index)))
            return;
}

} // namespace larder::json
