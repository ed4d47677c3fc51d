// SHA-256 (FIPS 180-4) with a context kept per thread, SHA-1 for names, and random bytes from the
// system. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace larder {

using Sha256 = std::array<unsigned char, 32>;

/// SHA-256 of the parts, one after the other. No allocation after a thread's first call.
Sha256 sha256(std::span<const std::string_view> parts);
Sha256 sha256(std::string_view text);

/// For tables keyed by a SHA-256: its first eight bytes are hash enough.
struct Sha256Hash {
    std::size_t operator()(const Sha256& digest) const noexcept {
        std::size_t value = 0;
        std::memcpy(&value, digest.data(), sizeof value);
        return value;
    }
};

/// SHA-1 (FIPS 180-4) as 40 hex digits: the names of scripts in Redis. Never for safety.
std::string sha1_hex(std::string_view text);

/// Fills `out` from the system's random source; aborts if there is none.
void random_bytes(std::span<unsigned char> out);
/// Not for secrets: a fast per-thread generator (jitter, ids of requests).
std::uint64_t random_u64();

} // namespace larder
