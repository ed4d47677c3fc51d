// The Lua scripts of the limits in Redis: the three algorithms as Counter has them, with the same
// answers for the same times. Any thread.
#pragma once

#include "redis/script.hpp"

#include <cstdint>

namespace larder::limit {

/// Whose clock a script counts by.
enum class TimeSource : std::uint8_t {
    kServer,   // TIME
    kArgument, // the last argument, in ms: for tests that compare
};

/// All charges of one subject, or none. KEYS: the counters. ARGV: for each its algorithm ("s", "f",
/// "g"), window in ms, max and amount. Answers the number of the first charge that found no room
/// (0: all were taken), the time in ms, and for each charge: whether it had room, what remains,
/// when all is free (ms), after how many ms there is room (0: there is), and its mark.
const redis::Script& reserve_script(TimeSource source);

/// Gives back once what was taken. KEYS: a marker, the counters. ARGV: how long the marker stays
/// (ms), then for each counter its algorithm, window, max, amount and mark. Answers 1, or 0 when
/// that was done before.
const redis::Script& cancel_script(TimeSource source);

/// "I am here": KEYS: the zset of the nodes. ARGV: the node, how long a node counts as seen and how
/// long the zset stays (ms). Answers how many were seen.
const redis::Script& nodes_script();

} // namespace larder::limit
