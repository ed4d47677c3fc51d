// Comparing, trimming, splitting, and sizes and durations in words. Pure, any thread.
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

namespace larder::text {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/// A unit of parse_duration or parse_size and how many of the result's units it is.
struct Unit {
    std::string_view name;
    std::uint64_t factor = 1;
};

/// Digits and then one of `units`, nothing between or around them.
std::optional<std::uint64_t> read_quantity(std::string_view text, std::span<const Unit> units) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    if (read.ec != std::errc{})
        return std::nullopt;
    const std::string_view name(read.ptr, end);
    const auto unit = std::ranges::find(units, name, &Unit::name);
    if (unit == units.end() || number > std::numeric_limits<std::int64_t>::max() / unit->factor)
        return std::nullopt;
    return number * unit->factor;
}

} // namespace

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = lower(c);
    return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(
        a, b, {}, [](char c) { return lower(c); }, [](char c) { return lower(c); });
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.push_back(trim(text.substr(0, at)));
        if (at == std::string_view::npos)
            return parts;
        text.remove_prefix(at + 1);
    }
}

bool matches_glob(std::string_view pattern, std::string_view text) {
    // On a mismatch only the last star ever needs to take one more character.
    std::size_t in_pattern = 0;
    std::size_t in_text = 0;
    std::size_t after_star = std::string_view::npos;
    std::size_t taken_to = 0;
    while (in_text < text.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            after_star = ++in_pattern;
            taken_to = in_text;
        } else if (in_pattern < pattern.size() && pattern[in_pattern] == text[in_text]) {
            ++in_pattern;
            ++in_text;
        } else if (after_star != std::string_view::npos) {
            in_pattern = after_star;
            in_text = ++taken_to;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

bool equals_constant_time(std::string_view a, std::string_view b) {
    if (a.size() != b.size())
        return false;
    volatile unsigned char difference = 0; // volatile: no early end may be optimised in
    for (std::size_t index = 0; index < a.size(); ++index)
        difference = static_cast<unsigned char>(difference |
                                                static_cast<unsigned char>(a[index] ^ b[index]));
    return difference == 0;
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    static constexpr std::array<Unit, 5> kUnits{
        {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
    // Longer ones would overflow where they are brought into nanoseconds.
    static constexpr std::uint64_t kMax = 100ULL * 365 * 86'400'000;
    const auto quantity = read_quantity(text, kUnits);
    if (!quantity || *quantity > kMax)
        return fail(ErrorCode::kInvalidRequest,
                    "'" + std::string(text) +
                        "' is not a duration of at most a hundred years like 250ms, 60s, 5m, 24h "
                        "or 7d");
    return std::chrono::milliseconds(static_cast<std::int64_t>(*quantity));
}

Result<std::uint64_t> parse_size(std::string_view text) {
    static constexpr std::array<Unit, 10> kUnits{{{"", 1},
                                                  {"B", 1},
                                                  {"KiB", 1ULL << 10U},
                                                  {"MiB", 1ULL << 20U},
                                                  {"GiB", 1ULL << 30U},
                                                  {"TiB", 1ULL << 40U},
                                                  {"KB", 1000},
                                                  {"MB", 1'000'000},
                                                  {"GB", 1'000'000'000},
                                                  {"TB", 1'000'000'000'000}}};
    const auto quantity = read_quantity(text, kUnits);
    if (!quantity)
        return fail(ErrorCode::kInvalidRequest,
                    "'" + std::string(text) + "' is not a size like 512, 64KiB, 256MiB or 2GiB");
    return *quantity;
}

} // namespace larder::text
