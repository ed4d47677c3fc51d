#include "session/scripts.hpp"

#include <string>
#include <string_view>

namespace larder::session {
namespace {

constexpr std::string_view kCommon = R"(
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function expiry(created, ttl, max_age)
  local ends = now + ttl
  if tonumber(max_age) > 0 then ends = math.min(ends, created + max_age) end
  return ends
end

local function answer(session, data)
  return {'ok', session.id, session.user, data, session.created, session.accessed,
          session.expires, session.version}
end

local function remove(key, index, hash)
  redis.call('DEL', key)
  redis.call('ZREM', index, hash)
end

local function keep_in_index(index, hash, expires)
  redis.call('ZADD', index, expires, hash)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', index, text(tonumber(last[2])))
end

-- The session that lives in that namespace and has that version; else nothing and the answer.
local function load(key, index, hash, space, version)
  local field = redis.call('HMGET', key, 'space', 'id', 'user', 'data', 'created', 'version')
  if field[1] ~= space then
    if not field[1] then redis.call('ZREM', index, hash) end
    return nil, {'none'}
  end
  if version ~= '' and field[6] ~= version then return nil, {'other'} end
  return {id = field[2], user = field[3], data = field[4], created = field[5],
          version = field[6]}
end

-- Sets when it was accessed and expires; false when its absolute end has come: then it is gone.
local function begin_anew(session, key, index, hash, ttl, max_age)
  local expires = expiry(session.created, ttl, max_age)
  if expires <= now then
    remove(key, index, hash)
    return false
  end
  session.accessed = text(now)
  session.expires = text(expires)
  return true
end
)";

constexpr std::string_view kCreate = R"(
local session, index, oldest = KEYS[1], KEYS[2], KEYS[3]
local hash, ttl, max_age = ARGV[1], ARGV[6], ARGV[7]
local made = {id = ARGV[2], user = ARGV[4], created = text(now), accessed = text(now),
              expires = text(expiry(now, ttl, max_age)), version = '1'}
local alive = '(' .. text(now)
local is_full = redis.call('ZCOUNT', index, alive, '+inf') >= tonumber(ARGV[8])
if is_full then
  local first = redis.call('ZRANGEBYSCORE', index, alive, '+inf', 'LIMIT', 0, 1)[1]
  if first ~= ARGV[9] then return {'full', first} end
end
redis.call('HSET', session, 'id', made.id, 'space', ARGV[3], 'user', made.user, 'data', ARGV[5],
           'created', made.created, 'accessed', made.accessed, 'expires', made.expires,
           'version', made.version)
redis.call('PEXPIREAT', session, made.expires)
if is_full then remove(oldest, index, ARGV[9]) end
keep_in_index(index, hash, made.expires)
return answer(made, '')
)";

constexpr std::string_view kRead = R"(
local key, index, hash = KEYS[1], KEYS[2], ARGV[1]
local session, why = load(key, index, hash, ARGV[2], '')
if not session then return why end
if not begin_anew(session, key, index, hash, ARGV[3], ARGV[4]) then return {'none'} end
-- In this order it works on a full server too, which refuses no write after a first one.
redis.call('PEXPIREAT', key, session.expires)
redis.call('HSET', key, 'accessed', session.accessed, 'expires', session.expires)
keep_in_index(index, hash, session.expires)
return answer(session, session.data)
)";

constexpr std::string_view kReplace = R"(
local key, index, hash = KEYS[1], KEYS[2], ARGV[1]
local session, why = load(key, index, hash, ARGV[2], ARGV[5])
if not session then return why end
if not begin_anew(session, key, index, hash, ARGV[3], ARGV[4]) then return {'none'} end
session.version = text(session.version + 1)
redis.call('HSET', key, 'data', ARGV[6], 'accessed', session.accessed, 'expires', session.expires,
           'version', session.version)
redis.call('PEXPIREAT', key, session.expires)
keep_in_index(index, hash, session.expires)
return answer(session, '')
)";

constexpr std::string_view kRotate = R"(
local key, index, new_key, hash = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local session, why = load(key, index, hash, ARGV[2], ARGV[5])
if not session then return why end
if not begin_anew(session, key, index, hash, ARGV[3], ARGV[4]) then return {'none'} end
session.id = ARGV[7]
redis.call('HSET', new_key, 'id', session.id, 'space', ARGV[2], 'user', session.user,
           'data', session.data, 'created', session.created, 'accessed', session.accessed,
           'expires', session.expires, 'version', session.version)
redis.call('PEXPIREAT', new_key, session.expires)
remove(key, index, hash)
keep_in_index(index, ARGV[6], session.expires)
return answer(session, session.data)
)";

constexpr std::string_view kDestroy = R"(
local session, why = load(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
if not session then return why end
remove(KEYS[1], KEYS[2], ARGV[1])
return {'ok'}
)";

constexpr std::string_view kDestroyAll = R"(
local index, space, user = KEYS[1], ARGV[1], ARGV[2]
local known = {}
for i = 3, #ARGV do known[ARGV[i]] = true end
redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))
local members = redis.call('ZRANGE', index, 0, -1)
local again = {'again'}
local is_new = false
for _, hash in ipairs(members) do
  is_new = is_new or not known[hash]
  again[#again + 1] = hash
end
if is_new then return again end
local ended = 0
for i = 2, #KEYS do
  local hash = ARGV[i + 1]
  local owner = redis.call('HMGET', KEYS[i], 'space', 'user')
  if not owner[1] then
    redis.call('ZREM', index, hash)
  elseif owner[1] == space and owner[2] == user then
    remove(KEYS[i], index, hash)
    ended = ended + 1
  end
end
return {'ok', text(ended)}
)";

std::string joined(std::string_view body) {
    return std::string(kCommon).append(body);
}

} // namespace

const redis::Script& create_script() {
    static const redis::Script script(joined(kCreate));
    return script;
}

const redis::Script& read_script() {
    static const redis::Script script(joined(kRead));
    return script;
}

const redis::Script& replace_script() {
    static const redis::Script script(joined(kReplace));
    return script;
}

const redis::Script& rotate_script() {
    static const redis::Script script(joined(kRotate));
    return script;
}

const redis::Script& destroy_script() {
    static const redis::Script script(joined(kDestroy));
    return script;
}

const redis::Script& destroy_all_script() {
    static const redis::Script script(joined(kDestroyAll));
    return script;
}

} // namespace larder::session
