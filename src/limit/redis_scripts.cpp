// The texts. A counter is one string: `<algorithm><window>,<max>,<time>,<a>,<b>;<rest>`. Sliding:
// time is the newest part in use, a all calls, b the newest part's, rest the older parts as
// `<part>,<calls>;`, oldest first, so that what leaves is read and the rest is not. Fixed: time is
// the window's start, a its calls. GCRA: a + b / max is the backlog in ms at time.
//
// Lua's numbers are doubles, exact up to 2^53. Times are below 2^45 ms (the year 3084), so that 60
// times one is below 2^51; windows are below 2^32 and counts up to 2^30, and a product of those is
// divided in two steps of 15 bits. They are written with %d: Lua would round them to 14 digits.
#include "limit/redis_scripts.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace larder::limit {

namespace {

/// What a key outlives its use, and the time: a test's time stands still or runs ahead.
constexpr std::string_view kServerClock = R"(
local clock = redis.call('TIME')
local now, linger = clock[1] * 1000 + math.floor(clock[2] / 1000), 1000
)";
constexpr std::string_view kArgumentClock = R"(
local now, linger = tonumber(ARGV[#ARGV]), 3600000
)";

constexpr std::string_view kLibrary = R"(
local floor, format, match, sub = math.floor, string.format, string.match, string.sub
)";

/// The usual case by itself, in half the time of the functions below: one sliding counter that is
/// new or has the same window, the clock not back, and room.
constexpr std::string_view kUsualReserve = R"(
if #KEYS == 1 and ARGV[1] == 's' then
  local window, max, amount = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
  local part, text = floor(now * 60 / window), redis.call('GET', KEYS[1])
  local same, total, newest, rest = true, 0, 0, ''
  if text then
    local shape, time, a, b, at = match(text, '^([sfg]%d+),%d+,(%d+),(%d+),(%d+);()')
    time = tonumber(time)
    same = shape == 's' .. ARGV[2] and time <= part
    if same and part - time <= 60 then
      total, newest, rest = tonumber(a), tonumber(b), sub(text, at)
      if time < part then
        if newest > 0 then rest = rest .. format('%d,%d;', time, newest) end
        local first, least = 1, part - 60
        while true do
          local old, calls, next = match(rest, '^(%d+),(%d+);()', first)
          if not old or tonumber(old) >= least then break end
          total, first = total - calls, next
        end
        newest, rest = 0, sub(rest, first)
      end
    end
  end
  if same and total + amount <= max then
    total = total + amount
    local free = floor(((part + 61) * window + 59) / 60)
    redis.call('SET', KEYS[1],
      format('s%s,%d,%d,%d,%d;%s', ARGV[2], max, part, total, newest + amount, rest),
      'PX', format('%d', free - now + linger))
    return {0, now, 1, max - total, free, 0, part}
  end
end
)";

constexpr std::string_view kCounter = R"(
-- floor((a * b + c) / d) and what is left, exactly, for b up to 2^30.
local function divide(a, b, c, d)
  local low = b % 32768
  local x = a * ((b - low) / 32768)
  local left = x % d
  local y = left * 32768 + a * low + c
  local rest = y % d
  return (x - left) / d * 32768 + (y - rest) / d, rest
end

local function part_of(time, window) return floor(time * 60 / window) end
local function end_of(part, window) return floor(((part + 61) * window + 59) / 60) end

-- Forgets what no longer counts. A clock that steps back stands still for up to a window; beyond
-- that, what was counted counts as made now.
local function advance(s)
  if s.kind == 's' then
    local part = part_of(now, s.window)
    if part > s.time then
      if part - s.time > 60 then
        s.a, s.b, s.rest = 0, 0, ''
      elseif s.a > 0 then
        local rest, at, least = s.rest, 1, part - 60
        if s.b > 0 then rest = rest .. format('%d,%d;', s.time, s.b) end
        while true do
          local old, calls, next = match(rest, '^(%d+),(%d+);()', at)
          if not old or tonumber(old) >= least then break end
          s.a, at = s.a - calls, next
        end
        s.rest, s.b = sub(rest, at), 0
      end
      s.time = part
    elseif s.time - part > 60 then
      s.time, s.last, s.b, s.rest, s.dirty = part, part, s.a, '', true
    end
    return
  end
  if now < s.time then
    if s.time - now > s.window then s.time, s.dirty = now, true end
  elseif s.kind == 'f' then
    if now - s.time >= s.window then s.a = 0 end
  else
    local elapsed = now - s.time
    if s.a >= elapsed then s.a = s.a - elapsed else s.a, s.b = 0, 0 end
    s.time = now
  end
end

-- The backlog of a GCRA after n more calls.
local function backlog(s, n)
  local whole, left = divide(s.window, n, 0, s.max)
  whole, left = s.a + whole, s.b + left
  if left >= s.max then return whole + 1, left - s.max end
  return whole, left
end

local function add(s, n)
  if s.kind == 's' then
    s.a, s.b, s.last = s.a + n, s.b + n, s.time
  elseif s.kind == 'f' then
    if s.a == 0 then s.time = now end
    s.a = s.a + n
  else
    s.a, s.b = backlog(s, n)
    if s.a >= s.window then s.a, s.b = s.window, 0 end
  end
end

local function fresh(kind, window, max)
  return {kind = kind, window = window, max = max, time = 0, last = 0, a = 0, b = 0, rest = ''}
end

local function read(key)
  local text = redis.call('GET', key)
  if not text then return nil end
  local kind, window, max, time, a, b, at =
    match(text, '^([sfg])(%d+),(%d+),(%d+),(%d+),(%d+);()')
  if not kind then return nil end
  time = tonumber(time)
  return {kind = kind, window = tonumber(window), max = tonumber(max), time = time, last = time,
          a = tonumber(a), b = tonumber(b), rest = sub(text, at)}
end

-- The rule may have changed: what counts is carried over as made now, so that nothing is free early.
local function load(key, kind, window, max)
  local s = read(key)
  if not s then
    s = fresh(kind, window, max)
    advance(s)
    return s
  end
  advance(s)
  if s.kind == kind and s.window == window and (kind ~= 'g' or s.max == max) then
    s.max = max
    return s
  end
  local calls = s.a
  if s.kind == 'g' then calls = divide(s.a, s.max, s.b + s.window - 1, s.window) end
  s = fresh(kind, window, max)
  advance(s)
  if calls > 0 then
    add(s, math.min(calls, max))
    s.dirty = true
  end
  return s
end

local function has_room(s, n)
  if n > s.max then return false end
  if s.kind ~= 'g' then return s.a + n <= s.max end
  local whole, left = backlog(s, n)
  return whole < s.window or whole == s.window and left == 0
end

local function free_at(s)
  if s.a == 0 and (s.kind ~= 'g' or s.b == 0) then return now end
  local at
  if s.kind == 's' then at = end_of(s.last, s.window)
  elseif s.kind == 'f' then at = s.time + s.window
  else at = s.time + s.a + (s.b > 0 and 1 or 0) end
  return at > now and at or now
end

local function store(key, s)
  if s.a == 0 and (s.kind ~= 'g' or s.b == 0) then
    redis.call('DEL', key)
    return
  end
  redis.call('SET', key,
    format('%s%d,%d,%d,%d,%d;%s', s.kind, s.window, s.max, s.time, s.a, s.b, s.rest),
    'PX', format('%d', free_at(s) - now + linger))
end
)";

constexpr std::string_view kReserve = R"(
local function remaining(s)
  if s.kind == 'g' then
    return (divide(s.window - s.a, s.max, -s.b, s.window))
  end
  return s.a < s.max and s.max - s.a or 0
end

-- When n more calls find room; what is more than the max never does: then when all is free.
local function room_at(s, n)
  if n > s.max then n = s.max end
  if s.kind == 'f' then return s.a == 0 and 0 or s.time + s.window end
  if s.kind == 'g' then
    local whole, left = backlog(s, n)
    return s.time + whole - s.window + (left > 0 and 1 or 0)
  end
  local left, part, at = s.a + n, s.time - 61, 1
  while left > s.max do
    local old, calls, next = match(s.rest, '^(%d+),(%d+);()', at)
    if not old then return end_of(s.last, s.window) end
    left, part, at = left - calls, tonumber(old), next
  end
  return end_of(part, s.window)
end

local counters, rooms, refused = {}, {}, 0
for i = 1, #KEYS do
  local at = i * 4
  local s = load(KEYS[i], ARGV[at - 3], tonumber(ARGV[at - 2]), tonumber(ARGV[at - 1]))
  counters[i], rooms[i] = s, has_room(s, tonumber(ARGV[at]))
  if refused == 0 and not rooms[i] then refused = i end
end
local answer = {refused, now}
for i = 1, #KEYS do
  local s, amount, retry = counters[i], tonumber(ARGV[i * 4]), 0
  if refused == 0 then
    add(s, amount)
  elseif not rooms[i] then
    retry = room_at(s, amount) - now
    if retry < 1 then retry = 1 end
  end
  if refused == 0 or s.dirty then store(KEYS[i], s) end
  local at = i * 5 - 2
  answer[at], answer[at + 1], answer[at + 2] = rooms[i] and 1 or 0, remaining(s), free_at(s)
  answer[at + 3], answer[at + 4] = retry, s.kind == 'g' and s.time + s.a or s.time
end
return answer
)";

constexpr std::string_view kCancel = R"(
-- From the very part it was counted in, and no more than that still has.
local function give_back_to_part(s, part, n)
  if part == s.time and s.b > 0 then
    local taken = math.min(s.b, n)
    s.a, s.b = s.a - taken, s.b - taken
  else
    s.rest = string.gsub(s.rest, '(%d+),(%d+);', function(old, calls)
      if tonumber(old) ~= part then return nil end
      local taken = math.min(tonumber(calls), n)
      s.a = s.a - taken
      if taken == tonumber(calls) then return '' end
      return format('%d,%d;', part, calls - taken)
    end)
  end
  if s.b == 0 and s.a > 0 then
    local before, last, calls = match(s.rest, '^(.-)(%d+),(%d+);$')
    s.rest, s.time, s.last, s.b = before, tonumber(last), tonumber(last), tonumber(calls)
  end
end

local function give_back(s, n, mark)
  if s.kind == 's' then
    give_back_to_part(s, mark, n)
  elseif s.kind == 'f' then
    if s.time == mark then s.a = s.a - math.min(s.a, n) end
  elseif mark > s.time then
    -- What has drained of it by now was room for others: only the rest may go.
    local whole, left = divide(s.window, n, 0, s.max)
    if mark - s.time <= whole then whole, left = mark - s.time, 0 end
    s.a, s.b = s.a - whole, s.b - left
    if s.b < 0 then s.a, s.b = s.a - 1, s.b + s.max end
    if s.a < 0 then s.a, s.b = 0, 0 end
  end
end

if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return 0 end
for i = 2, #KEYS do
  local at = (i - 2) * 5 + 2
  local s = read(KEYS[i])
  local window, max = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if s and s.kind == ARGV[at] and s.window == window and (s.kind ~= 'g' or s.max == max) then
    advance(s)
    give_back(s, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    store(KEYS[i], s)
  end
end
return 1
)";

constexpr std::string_view kNodes = R"(
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%d', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%d', now - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('ZCARD', KEYS[1])
)";

redis::Script script_of(TimeSource source, std::initializer_list<std::string_view> parts) {
    std::string text(source == TimeSource::kServer ? kServerClock : kArgumentClock);
    for (const std::string_view part : parts)
        text += part;
    return redis::Script(text);
}

redis::Script reserve_of(TimeSource source) {
    return script_of(source, {kLibrary, kUsualReserve, kCounter, kReserve});
}

redis::Script cancel_of(TimeSource source) {
    return script_of(source, {kLibrary, kCounter, kCancel});
}

} // namespace

const redis::Script& reserve_script(TimeSource source) {
    static const redis::Script kByServer = reserve_of(TimeSource::kServer);
    static const redis::Script kByArgument = reserve_of(TimeSource::kArgument);
    return source == TimeSource::kServer ? kByServer : kByArgument;
}

const redis::Script& cancel_script(TimeSource source) {
    static const redis::Script kByServer = cancel_of(TimeSource::kServer);
    static const redis::Script kByArgument = cancel_of(TimeSource::kArgument);
    return source == TimeSource::kServer ? kByServer : kByArgument;
}

const redis::Script& nodes_script() {
    static const redis::Script kScript(kNodes);
    return kScript;
}

} // namespace larder::limit
