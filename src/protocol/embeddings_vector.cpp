// Vectors as numbers and as base64 of little-endian float32, and back without a bit lost.
#include "protocol/embeddings.hpp"

#include "base/text.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace larder::protocol {
namespace {

constexpr std::string_view kName = "\"embedding\":";

std::unexpected<Error> unreadable(std::string_view why) {
    return fail(ErrorCode::kProviderUnreadable, "a vector can't be read: " + std::string(why));
}

/// Where the value of `embedding` begins in a KeptVector's vector; npos: nowhere.
std::size_t value_begin(std::string_view vector) {
    if (vector.size() < kName.size() + 4 || vector.back() != '}')
        return std::string_view::npos;
    const char last = vector[vector.size() - 2];
    if (last != ']' && last != '"')
        return std::string_view::npos;
    const std::size_t begin =
        last == ']' ? vector.rfind('[') : vector.rfind('"', vector.size() - 3);
    const bool is_named = begin != std::string_view::npos && begin >= kName.size() &&
                          vector.substr(begin - kName.size(), kName.size()) == kName;
    return is_named ? begin : std::string_view::npos;
}

void append_float(std::string& bytes, float value) {
    auto bits = std::bit_cast<std::uint32_t>(value);
    for (int i = 0; i < 4; ++i, bits >>= 8U)
        bytes += static_cast<char>(bits & 0xFFU);
}

/// The nearest float32; nullopt beyond its range.
std::optional<float> read_float(std::string_view digits) {
    float value = 0;
    const char* end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, value);
    if (read.ptr != end || read.ec == std::errc::invalid_argument)
        return std::nullopt;
    if (read.ec == std::errc() && std::isfinite(value))
        return value;
    double wide = 0; // too large, or nearer to 0 than any float32
    if (std::from_chars(digits.data(), end, wide).ec != std::errc() || std::abs(wide) > 1)
        return std::nullopt;
    return static_cast<float>(wide);
}

Result<std::string> to_base64(std::string_view numbers) {
    std::string bytes;
    bytes.reserve(numbers.size() / 2);
    numbers = numbers.substr(1, numbers.size() - 2);
    while (!numbers.empty()) {
        const std::size_t comma = numbers.find(',');
        const auto value = read_float(numbers.substr(0, comma));
        if (!value)
            return unreadable("a number is beyond float32");
        append_float(bytes, *value);
        numbers.remove_prefix(comma == std::string_view::npos ? numbers.size() : comma + 1);
    }
    std::string quoted = "\"";
    quoted += text::base64(bytes);
    quoted += '"';
    return quoted;
}

Result<std::string> to_numbers(std::string_view quoted) {
    const auto bytes = text::from_base64(quoted.substr(1, quoted.size() - 2));
    if (!bytes || bytes->size() % 4 != 0)
        return unreadable("it is no base64 of float32");
    std::string numbers = "[";
    numbers.reserve(bytes->size() * 3 + 2);
    for (std::size_t at = 0; at < bytes->size(); at += 4) {
        std::uint32_t bits = 0;
        for (std::size_t i = 4; i-- > 0;)
            bits = bits << 8U | static_cast<unsigned char>((*bytes)[at + i]);
        const auto value = std::bit_cast<float>(bits);
        if (!std::isfinite(value))
            return unreadable("a value is no number");
        if (at > 0)
            numbers += ',';
        std::array<char, 32> digits{};
        const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
        numbers.append(digits.data(), written.ptr);
    }
    numbers += ']';
    return numbers;
}

} // namespace

VectorForm form_of_vector(std::string_view vector) {
    return vector.ends_with("]}") ? VectorForm::kNumbers : VectorForm::kBase64;
}

Result<std::string> convert_vector(std::string_view vector, VectorForm form) {
    const std::size_t begin = value_begin(vector);
    if (begin == std::string_view::npos)
        return unreadable("its object has no vector at its end");
    if (form == VectorForm::kOther || form_of_vector(vector) == form)
        return std::string(vector);
    const std::string_view value = vector.substr(begin, vector.size() - begin - 1);
    LARDER_TRY(const std::string converted,
               form == VectorForm::kBase64 ? to_base64(value) : to_numbers(value));
    std::string out(vector.substr(0, begin));
    out += converted;
    out += '}';
    return out;
}

} // namespace larder::protocol
