#include "session/id.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace larder::session {
namespace {

constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kTagBytes = 12;

std::string encode(std::span<const unsigned char> bytes) {
    return text::base64url({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

} // namespace

std::string tag_of(const Owner& owner) {
    // The length in front: no two owners run into the same text.
    const std::string length = std::to_string(owner.name_space.size()) + ':';
    const std::array<std::string_view, 3> parts{length, owner.name_space, owner.user_id};
    const Sha256 digest = sha256(parts);
    return encode(std::span(digest).first(kTagBytes));
}

std::string_view tag_of_id(std::string_view id) {
    return id.substr(kRandomLength);
}

std::string make_id(const Owner& owner) {
    return make_id_with_tag(tag_of(owner));
}

std::string make_id_with_tag(std::string_view tag) {
    std::array<unsigned char, kRandomBytes> bytes{};
    random_bytes(bytes);
    return encode(bytes).append(tag);
}

bool is_id(std::string_view text) {
    return text.size() == kIdLength && std::ranges::all_of(text, [](char c) {
               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
           });
}

Sha256 hash_of(std::string_view id) {
    return sha256(id);
}

} // namespace larder::session
