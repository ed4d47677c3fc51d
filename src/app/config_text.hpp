// What keys, addresses and names of the file may look like. Pure, any thread.
#pragma once

#include "llm/usage.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace larder::app {

/// Why `url` is no base URL (http or https, without user information, query and fragment); empty
/// when it is one.
std::string_view url_mistake(std::string_view url);

std::string without_slash(std::string url);

/// A key without the spaces around it (a line break from a file, mostly), which would break the
/// header that carries it; nullopt when it holds others.
std::optional<std::string> clean_key(std::string_view key);
constexpr std::string_view kBadKey = "must be printable characters without spaces";

/// "2.5" as money, exactly: digits, up to six decimals, no sign; up to a million dollars.
std::optional<llm::Money> parse_dollars(std::string_view text);

bool has_controls(std::string_view text);

} // namespace larder::app
