// The scripts of the sessions in Redis. Each is one atomic step, answers with texts only, and does
// first what may be refused for lack of memory, so that a refusal leaves all as it was.
#pragma once

#include "redis/script.hpp"

namespace larder::session {

/// KEYS: session, index, the session that makes room (if any). ARGV: its hash, id, space, user,
/// data, ttl, max_age, per_user_max, hash of the one that makes room. Answers the session without
/// its data, or { "full", hash of the one that would have to make room }.
const redis::Script& create_script();
/// KEYS: session, index. ARGV: its hash, space, ttl, max_age. Answers the session with its data.
const redis::Script& read_script();
/// KEYS: session, index. ARGV: its hash, space, ttl, max_age, version or "", data.
const redis::Script& replace_script();
/// KEYS: session, index, new session. ARGV: its hash, space, ttl, max_age, version or "", new hash,
/// new id. Answers the session with its data.
const redis::Script& rotate_script();
/// KEYS: session, index. ARGV: its hash, space, version or "".
const redis::Script& destroy_script();
/// KEYS: index, sessions. ARGV: space, user, hashes of the sessions. Answers { "again", hashes }
/// when there are others by now, and { "ok", how many of the user's were ended }.
const redis::Script& destroy_all_script();

} // namespace larder::session
