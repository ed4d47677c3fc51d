// Small text tools: comparing, trimming, splitting, encodings, sizes and durations in words. Pure,
// any thread.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::text {

char lower(char c);                                                // ASCII
std::string lower(std::string_view text);                          // ASCII
bool equals_ignoring_case(std::string_view a, std::string_view b); // ASCII
std::string_view trim(std::string_view text);                      // spaces and tabs
std::vector<std::string_view> split(std::string_view text,
                                    char separator); // trimmed, empty parts kept
/// `*` stands for any run of characters; everything else for itself.
bool matches_glob(std::string_view pattern, std::string_view text);
/// Takes as long for any two texts of one length.
bool equals_constant_time(std::string_view a, std::string_view b);

std::string hex(std::string_view bytes); // lower case
Result<std::string> from_hex(std::string_view text);
std::string base64(std::string_view bytes);    // RFC 4648, section 4, padded
std::string base64url(std::string_view bytes); // section 5, unpadded
/// The bytes of either alphabet's own, padded as its encoder pads; anything else is refused.
Result<std::string> from_base64(std::string_view text);
Result<std::string> from_base64url(std::string_view text);
/// For one segment of a path (RFC 3986, 2.3): all but unreserved characters and `:` and `@`.
std::string percent_encode(std::string_view text);
std::string percent_decode(std::string_view text); // leaves malformed escapes as they are

/// "60s", "5m", "24h", "7d", "250ms"; refuses anything else.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "512", "64KiB", "256MiB", "2GiB", and KB, MB, GB of 1000; refuses anything else.
Result<std::uint64_t> parse_size(std::string_view text);

} // namespace larder::text
