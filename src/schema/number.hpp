// JSON's numbers as exact decimals: comparing them, and whether one is a multiple of another. Work
// is linear in their digits, however large their exponents. Pure, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::schema {

/// ±`digits` × 10^`exponent`; `digits` has zeros at neither end and is empty for 0. Exponents are
/// held within ±10^17.
struct Number {
    bool is_negative = false;
    std::string digits;
    std::int64_t exponent = 0;

    /// Of a number token that the parser has accepted.
    static Number read(std::string_view token);
    [[nodiscard]] bool is_integral() const { return exponent >= 0; }
    std::strong_ordering operator<=>(const Number& other) const;
    bool operator==(const Number& other) const = default;
};

/// What `multipleOf` divides by.
class Divisor {
public:
    /// nullopt for what is not above zero, or has more than 18 digits that count.
    static std::optional<Divisor> of(const Number& number);
    [[nodiscard]] bool divides(const Number& number) const;

private:
    std::uint64_t digits_ = 1;
    std::int64_t exponent_ = 0;
};

} // namespace larder::schema
