// Which of a Cluster's 16384 slots a key is in (Redis Cluster specification: CRC16 of the hash
// tag). Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::redis {

constexpr std::uint16_t kSlots = 16'384;

/// CRC16 (XMODEM) modulo 16384 of what stands between the first `{` and the next `}`, if that is
/// not empty, else of the whole key.
std::uint16_t slot_of(std::string_view key);

} // namespace larder::redis
