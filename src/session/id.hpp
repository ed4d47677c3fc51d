// The ids of sessions: 256 random bits and the tag of the user, so that the id alone says where all
// of that user's sessions are kept. An id is a secret: stores look it up by its hash, and no log
// ever has it. Pure but for the random bits; any thread.
#pragma once

#include "base/hash.hpp"
#include "session/store.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace larder::session {

constexpr std::size_t kRandomLength = 43; // 32 bytes in base64url
/// 12 bytes: nobody finds a user name with the tag of another one's.
constexpr std::size_t kTagLength = 16;
constexpr std::size_t kIdLength = kRandomLength + kTagLength;

/// The first 96 bits of the SHA-256 of namespace and user, in base64url.
std::string tag_of(const Owner& owner);
/// The tag within an id of the right form.
std::string_view tag_of_id(std::string_view id);

/// A new id, its random part from the system's source.
std::string make_id(const Owner& owner);
/// A new one for the same user.
std::string make_id_with_tag(std::string_view tag);
/// The right length, and base64url throughout: worth asking a store for.
bool is_id(std::string_view text);

/// What a store knows a session by.
Sha256 hash_of(std::string_view id);

} // namespace larder::session
