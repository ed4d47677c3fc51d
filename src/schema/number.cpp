// Exact decimals: reading, comparing, dividing.
#include "schema/number.hpp"

#include <algorithm>
#include <charconv>

namespace larder::schema {

namespace {

constexpr std::size_t kDivisorDigitsMax = 18;
constexpr std::int64_t kExponentMax = 100'000'000'000'000'000;

/// Of `text` after the "e".
std::int64_t read_exponent(std::string_view text) {
    const bool is_negative = text.starts_with('-');
    if (text.starts_with('-') || text.starts_with('+'))
        text.remove_prefix(1);
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{})
        value = kExponentMax;
    value = std::min(value, kExponentMax);
    return is_negative ? -value : value;
}

std::strong_ordering compare_magnitudes(const Number& a, const Number& b) {
    const auto size_a = static_cast<std::int64_t>(a.digits.size()) + a.exponent;
    const auto size_b = static_cast<std::int64_t>(b.digits.size()) + b.exponent;
    if (size_a != size_b)
        return size_a <=> size_b;
    return a.digits <=> b.digits; // no zeros at the end: a longer one is larger
}

int sign_of(const Number& number) {
    if (number.digits.empty())
        return 0;
    return number.is_negative ? -1 : 1;
}

} // namespace

Number Number::read(std::string_view token) {
    Number number;
    number.is_negative = token.starts_with('-');
    if (number.is_negative)
        token.remove_prefix(1);
    const std::size_t mark = std::min(token.find_first_of("eE"), token.size());
    if (mark < token.size())
        number.exponent = read_exponent(token.substr(mark + 1));
    token = token.substr(0, mark);
    const std::size_t point = std::min(token.find('.'), token.size());
    number.digits = token.substr(0, point);
    if (point < token.size()) {
        const std::string_view fraction = token.substr(point + 1);
        number.digits += fraction;
        number.exponent -= static_cast<std::int64_t>(fraction.size());
    }
    const std::size_t used = number.digits.find_last_not_of('0') + 1; // npos becomes 0
    if (used == 0)
        return {};
    number.exponent += static_cast<std::int64_t>(number.digits.size() - used);
    number.digits.resize(used);
    number.digits.erase(0, number.digits.find_first_not_of('0'));
    return number;
}

std::strong_ordering Number::operator<=>(const Number& other) const {
    const int sign = sign_of(*this);
    if (sign != sign_of(other) || sign == 0)
        return sign <=> sign_of(other);
    return sign > 0 ? compare_magnitudes(*this, other) : compare_magnitudes(other, *this);
}

std::optional<Divisor> Divisor::of(const Number& number) {
    if (sign_of(number) <= 0 || number.digits.size() > kDivisorDigitsMax)
        return std::nullopt;
    Divisor divisor;
    divisor.exponent_ = number.exponent;
    const char* const digits = number.digits.data();
    std::from_chars(digits, digits + number.digits.size(), divisor.digits_);
    return divisor;
}

bool Divisor::divides(const Number& number) const {
    // No more than 59 twos or fives are in 18 digits: tens beyond that change nothing.
    constexpr std::int64_t kTensMax = 64;
    if (number.digits.empty())
        return true;
    const std::int64_t tens = number.exponent - exponent_;
    if (tens < 0) // its last digit, which is no zero, is finer than the divisor's
        return false;
    std::uint64_t rest = 0;
    for (const char digit : number.digits)
        rest = (rest * 10 + static_cast<std::uint64_t>(digit - '0')) % digits_;
    for (std::int64_t count = std::min(tens, kTensMax); count > 0; --count)
        rest = rest * 10 % digits_;
    return rest == 0;
}

} // namespace larder::schema
