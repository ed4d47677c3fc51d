// The texts of the scripts.
#include "cache/redis_scripts.hpp"

namespace larder::cache {
namespace {

// A retry finds its own token, which counts as taken.
constexpr std::string_view kLookUp = R"(
local entry = redis.call('GET', KEYS[1])
if entry then return entry end
if redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then return {1, ARGV[1]} end
local holder = redis.call('GET', KEYS[2])
if holder == ARGV[1] then return {1, holder} end
return {0, holder}
)";

constexpr std::string_view kLookUpWithVersion = R"(
local version = redis.call('GET', KEYS[3])
local entry = redis.call('GET', KEYS[1])
if entry then return {version, entry} end
if redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2], 'NX') then return {version, false, 1, ARGV[1]} end
local holder = redis.call('GET', KEYS[2])
if holder == ARGV[1] then return {version, false, 1, holder} end
return {version, false, 0, holder}
)";

constexpr std::string_view kLease = R"(
if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return {1, ARGV[1]} end
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return {1, holder} end
return {0, holder}
)";

constexpr std::string_view kRenew = R"(
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
)";

constexpr std::string_view kRelease = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
)";

// An envelope has its time in 15 digits after the format byte, so that texts compare as numbers.
// What has other bytes there is no entry.
constexpr std::string_view kPut = R"(
local asked = redis.call('GETRANGE', KEYS[1], 1, 15)
if string.match(asked, '^%d+$') and asked > ARGV[2] then return 2 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
if asked == '' then return 0 end
return 1
)";

constexpr std::string_view kPutLeased = R"(
if redis.call('GET', KEYS[2]) ~= ARGV[4] then return 3 end
redis.call('DEL', KEYS[2])
local asked = redis.call('GETRANGE', KEYS[1], 1, 15)
if string.match(asked, '^%d+$') and asked > ARGV[2] then return 2 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
if asked == '' then return 0 end
return 1
)";

// A purge of everything ends all older ones. Generations are whole and below 2^53: exact in Lua.
// What else stands in the hash counts as absent, and is written over.
constexpr std::string_view kRaisePurge = R"(
local function read(text)
  if not text or not string.match(text, '^%d+$') then return 0 end
  local number = tonumber(text)
  if number < 9007199254740992 then return number end
  return 0
end
local generation = tonumber(ARGV[2])
for _, field in ipairs({'a', ARGV[1]}) do
  local there = read(redis.call('HGET', KEYS[1], field))
  if there >= generation then generation = math.min(there + 1, 9007199254740991) end
end
if ARGV[1] == 'a' then
  local old = redis.call('HGETALL', KEYS[1])
  for i = 1, #old, 2 do
    if read(old[i + 1]) <= generation then redis.call('HDEL', KEYS[1], old[i]) end
  end
end
local text = string.format('%.0f', generation)
redis.call('HSET', KEYS[1], ARGV[1], text)
redis.call('SET', KEYS[2], ARGV[3])
return text
)";

constexpr std::string_view kMergePurges = R"(
local function read(text)
  if not text or not string.match(text, '^%d+$') then return 0 end
  local number = tonumber(text)
  if number < 9007199254740992 then return number end
  return 0
end
local changed = 0
for i = 2, #ARGV, 2 do
  local there = read(redis.call('HGET', KEYS[1], ARGV[i]))
  if there < tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    changed = changed + 1
  end
end
if changed > 0 then redis.call('SET', KEYS[2], ARGV[1]) end
return changed
)";

} // namespace

const RedisScripts& RedisScripts::all() {
    static const RedisScripts scripts{
        .look_up = redis::Script(kLookUp),
        .look_up_with_version = redis::Script(kLookUpWithVersion),
        .lease = redis::Script(kLease),
        .renew = redis::Script(kRenew),
        .release = redis::Script(kRelease),
        .put = redis::Script(kPut),
        .put_leased = redis::Script(kPutLeased),
        .raise_purge = redis::Script(kRaisePurge),
        .merge_purges = redis::Script(kMergePurges),
    };
    return scripts;
}

} // namespace larder::cache
