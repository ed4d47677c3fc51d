// Hexadecimal, Base64 (RFC 4648) and percent encoding (RFC 3986, section 2.1). Pure, any thread.
#include "base/text.hpp"

#include <array>

namespace larder::text {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xFF;

/// The value of each character in an alphabet, kNoDigit for the others.
consteval std::array<std::uint8_t, 256> values_of(std::string_view alphabet) {
    std::array<std::uint8_t, 256> values{};
    values.fill(kNoDigit);
    for (std::size_t value = 0; value < alphabet.size(); ++value)
        values[static_cast<unsigned char>(alphabet[value])] = static_cast<std::uint8_t>(value);
    return values;
}

constexpr auto kBase64Values = values_of(kBase64);
constexpr auto kBase64UrlValues = values_of(kBase64Url);

/// -1 for what is no hexadecimal digit.
int digit_value(char c) {
    const std::size_t value = kHexDigits.find(lower(c));
    return value == std::string_view::npos ? -1 : static_cast<int>(value);
}

std::string encode_base64(std::string_view bytes, std::string_view alphabet, bool is_padded) {
    std::string out((bytes.size() + 2) / 3 * 4, '=');
    char* to = out.data();
    const auto write = [&](std::uint32_t bits, unsigned characters) {
        for (unsigned index = 0; index < characters; ++index)
            *to++ = alphabet[bits >> (18 - 6 * index) & 0x3FU];
    };
    const auto at = [bytes](std::size_t index) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[index]));
    };
    std::size_t from = 0;
    for (; from + 3 <= bytes.size(); from += 3)
        write(at(from) << 16U | at(from + 1) << 8U | at(from + 2), 4);
    if (bytes.size() - from == 1)
        write(at(from) << 16U, 2);
    else if (bytes.size() - from == 2)
        write(at(from) << 16U | at(from + 1) << 8U, 3);
    if (!is_padded)
        out.resize(static_cast<std::size_t>(to - out.data()));
    return out;
}

/// `text` without padding. Bits that stand for nothing must be 0, so that no two texts mean the
/// same.
Result<std::string> decode_base64(std::string_view text,
                                  const std::array<std::uint8_t, 256>& values) {
    if (text.size() % 4 == 1)
        return fail(ErrorCode::kInvalidRequest, "base64 text ends within a byte");
    std::string out;
    out.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const std::uint8_t value = values[static_cast<unsigned char>(c)];
        if (value == kNoDigit)
            return fail(ErrorCode::kInvalidRequest, "base64 text has another character in it");
        bits = bits << 6U | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out.push_back(static_cast<char>(bits >> count & 0xFFU));
        }
    }
    if ((bits & ((1U << count) - 1)) != 0)
        return fail(ErrorCode::kInvalidRequest, "base64 text ends within a byte");
    return out;
}

} // namespace

std::string hex(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out.push_back(kHexDigits[byte >> 4U]);
        out.push_back(kHexDigits[byte & 0x0FU]);
    }
    return out;
}

Result<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0)
        return fail(ErrorCode::kInvalidRequest, "hexadecimal text needs two digits a byte");
    std::string out;
    out.reserve(text.size() / 2);
    for (std::size_t at = 0; at < text.size(); at += 2) {
        const int high = digit_value(text[at]);
        const int low = digit_value(text[at + 1]);
        if (high < 0 || low < 0)
            return fail(ErrorCode::kInvalidRequest, "hexadecimal text has another character in it");
        out.push_back(static_cast<char>(high * 16 + low));
    }
    return out;
}

std::string base64(std::string_view bytes) {
    return encode_base64(bytes, kBase64, true);
}

std::string base64url(std::string_view bytes) {
    return encode_base64(bytes, kBase64Url, false);
}

Result<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0)
        return fail(ErrorCode::kInvalidRequest, "base64 text lacks its padding");
    for (int padding = 0; padding < 2 && text.ends_with('='); ++padding)
        text.remove_suffix(1);
    return decode_base64(text, kBase64Values);
}

Result<std::string> from_base64url(std::string_view text) {
    return decode_base64(text, kBase64UrlValues);
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    const auto stays = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-._~:@").contains(c);
    };
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (stays(c)) {
            out.push_back(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out.push_back('%');
        out.push_back(kDigits[byte >> 4U]);
        out.push_back(kDigits[byte & 0xfU]);
    }
    return out;
}

std::string percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const bool has_two = text.size() - at > 2;
        const int high = text[at] == '%' && has_two ? digit_value(text[at + 1]) : -1;
        const int low = high >= 0 ? digit_value(text[at + 2]) : -1;
        if (low < 0) {
            out.push_back(text[at]);
            continue;
        }
        out.push_back(static_cast<char>(high * 16 + low));
        at += 2;
    }
    return out;
}

} // namespace larder::text
