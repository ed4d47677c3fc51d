// How an entry stands in a shared store: a format byte, when it was asked for as 15 decimal digits
// (so that a script compares them as texts), and the entry's bytes, compressed where it pays, in
// base64 where only text goes through. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "cache/entry.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace larder::cache {

/// What an envelope's bytes may be.
enum class EnvelopeBytes : std::uint8_t { kBinary, kText };

/// Where the digits of `asked_ms` stand, for scripts.
constexpr std::size_t kAskedAt = 1;
constexpr std::size_t kAskedDigits = 15;

/// `asked_ms` as it stands in an envelope.
std::string asked_digits(std::int64_t asked_ms);

/// Formats: 0x01 the bytes of `encode_entry`; 0x02 their size in 4 bytes, little endian, and a zstd
/// frame; 'B' base64 of one of these two without its digits.
std::string write_envelope(const Entry& entry, EnvelopeBytes kind);
/// Reads every form. kStore when the bytes are no envelope with an entry; whatever they are, not
/// more memory is taken than `entry_bytes_max`.
Result<EntryPtr> read_envelope(std::string_view bytes, std::size_t entry_bytes_max = 256 << 20);

} // namespace larder::cache
