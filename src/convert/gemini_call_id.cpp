// Ids of tool calls with a signature inside: the id, a mark, and the signature in base64url.
#include "convert/gemini_call_id.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace larder::convert {
namespace {

constexpr std::string_view kBytesMark = "_sig_"; // base64 as it came, in the other alphabet
constexpr std::string_view kTextMark = "_sgt_";  // any other text
constexpr std::size_t kLongestResponseId = 64;

bool is_id_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
}

bool has_mark(std::string_view id) {
    return id.contains(kBytesMark) || id.contains(kTextMark);
}

std::string short_hash(std::string_view text) {
    constexpr std::size_t kBytes = 12;
    const Sha256 digest = sha256(text);
    return text::hex({reinterpret_cast<const char*>(digest.data()), kBytes});
}

} // namespace

std::string join_call_id(const GeminiCallId& parts) {
    std::string id = has_mark(parts.id) ? short_hash(parts.id) : parts.id;
    if (parts.signature.empty())
        return id;
    const auto bytes = text::from_base64(parts.signature);
    if (bytes && text::base64(*bytes) == parts.signature)
        return id.append(kBytesMark).append(text::base64url(*bytes));
    return id.append(kTextMark).append(text::base64url(parts.signature));
}

GeminiCallId split_call_id(std::string_view id) {
    for (const std::string_view mark : {kBytesMark, kTextMark}) {
        const std::size_t at = id.find(mark);
        if (at == std::string_view::npos || at == 0)
            continue;
        const auto bytes = text::from_base64url(id.substr(at + mark.size()));
        if (bytes && !bytes->empty())
            return {.id = std::string(id.substr(0, at)),
                    .signature = mark == kBytesMark ? text::base64(*bytes) : *bytes};
    }
    return {.id = std::string(id), .signature = {}};
}

std::string make_call_id(std::string_view response_id, std::size_t number) {
    const bool is_plain = response_id.size() <= kLongestResponseId &&
                          std::ranges::all_of(response_id, is_id_character) &&
                          !has_mark(response_id);
    return "call_" + (is_plain ? std::string(response_id) : short_hash(response_id)) + "_" +
           std::to_string(number);
}

} // namespace larder::convert
