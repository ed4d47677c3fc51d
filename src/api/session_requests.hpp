// What a request about sessions says, checked, and how a session is shown. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "session/store.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::api {

constexpr std::size_t kUserIdBytesMax = 256;

struct SessionCreation {
    std::string user_id;
    std::string data; // a JSON object, as it came
};
/// { "userId": "…", "data"?: {…} } and nothing else. kTooLarge for data above `data_bytes_max`.
Result<SessionCreation> read_session_creation(std::string_view body, std::size_t data_bytes_max);

/// { "data": {…} } and nothing else: the text of `data`. kTooLarge above `data_bytes_max`.
Result<std::string> read_session_data(std::string_view body, std::size_t data_bytes_max);

/// Nothing, or {}: for what takes no members.
Result<void> read_no_members(std::string_view body);

/// `userId`, given once and alone. A plus is a space, as forms write it.
Result<std::string> read_user_query(std::string_view query);

/// If-Match (RFC 9110, section 13.1.1).
struct Precondition {
    bool is_any = true;                 // no such field, or `*`: any version that there is
    std::vector<std::int64_t> versions; // else one of these: tags that can't be ours are not here

    [[nodiscard]] bool admits(std::int64_t version) const;
    /// What the store compares with: nothing where any will do, and a version that no session has
    /// where none of them can be met. Asked only where at most one is named.
    [[nodiscard]] session::Store::Expected expected() const;
};
/// kInvalidRequest with `field` where it is no list of entity tags. Weak tags never match.
Result<Precondition> read_precondition(std::optional<std::string_view> if_match);

/// `{ "id", "userId", "data", "createdAt", "lastAccessedAt", "expiresAt", "version" }`.
void write_session(std::string& out, const session::Session& session);
/// `{ "sessions": […] }`.
std::string write_sessions(std::span<const session::Session> sessions);
/// The version in quotes.
std::string etag_of(const session::Session& session);

/// `data` of `session` after `patch` (RFC 7396). kTooLarge above `data_bytes_max`.
Result<std::string> merge_data(const session::Session& session, std::string_view patch,
                               std::size_t data_bytes_max);

} // namespace larder::api
