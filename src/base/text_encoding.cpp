// Hexadecimal, Base64 (RFC 4648) and percent encoding (RFC 3986, section 2.1). Pure, any thread.
#include "base/text.hpp"

namespace larder::text {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// -1 for what is no hexadecimal digit.
int digit_value(char c) {
    const std::size_t value = kHexDigits.find(lower(c));
    return value == std::string_view::npos ? -1 : static_cast<int>(value);
}

std::string encode_base64(std::string_view bytes, std::string_view alphabet, bool is_padded) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view group = bytes.substr(at, 3);
        std::uint32_t bits = 0;
        for (std::size_t index = 0; index < 3; ++index)
            bits =
                bits << 8U | (index < group.size() ? static_cast<unsigned char>(group[index]) : 0U);
        for (std::size_t index = 0; index < 4; ++index) {
            if (index <= group.size())
                out.push_back(alphabet[bits >> (18 - 6 * index) & 0x3FU]);
            else if (is_padded)
                out.push_back('=');
        }
    }
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
    return encode_base64(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                         true);
}

std::string base64url(std::string_view bytes) {
    return encode_base64(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                         false);
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
