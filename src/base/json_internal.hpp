// What the parts of base/json share: scanning strings, unescaping, decimal numbers. Included by
// json_*.cpp only. Pure, any thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace larder::json::internal {

inline bool is_special(char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

/// The first `"`, `\` or control character in [at, end), or `end`.
inline const char* find_special(const char* at, const char* end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1f);
    while (end - at >= 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
        const __m128i special = _mm_or_si128(
            control, _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
        const auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
        if (mask != 0)
            return at + std::countr_zero(mask);
        at += 16;
    }
#endif
    while (at != end && !is_special(*at))
        ++at;
    return at;
}

/// The characters of a string whose escapes the parser has accepted; `inner` is without its quotes.
std::string unescape(std::string_view inner);

/// A number as `digits` x 10^`exponent`, with neither leading nor trailing zeros in `digits` (empty
/// for zero).
struct Decimal {
    std::string digits;
    std::int64_t exponent = 0;
    bool negative = false;
    bool out_of_hand = false; // the written exponent has more digits than anybody computes with
    [[nodiscard]] bool is_zero() const { return digits.empty(); }
    [[nodiscard]] bool is_integral() const { return exponent >= 0; }
    /// The value is below 10^magnitude() and not below a tenth of that.
    [[nodiscard]] std::int64_t magnitude() const {
        return static_cast<std::int64_t>(digits.size()) + exponent;
    }
};

/// Takes a number token that the parser has accepted apart.
Decimal take_apart(std::string_view token);

} // namespace larder::json::internal
