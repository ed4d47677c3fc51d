// How an answer came to be. Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::gateway {

/// How an answer came to be, as `x-larder-cache` says it.
enum class Outcome : std::uint8_t { kHit, kMiss, kStale, kCoalesced, kBypass };
std::string_view name_of(Outcome outcome);

} // namespace larder::gateway
