// What a request says about the cache: Cache-Control (RFC 9111, section 5.2.1) and our own headers.
// Pure.
#pragma once

#include "base/result.hpp"
#include "gateway/settings.hpp"
#include "http/message.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::gateway {

/// What a client adds to the key beside its own namespace: it narrows what is shared.
struct KeyPart {
    std::string_view name; // a constant
    std::string value;
    bool operator==(const KeyPart&) const = default;
};

struct Directives {
    bool no_cache = false;       // ask again and refresh the entry
    bool no_store = false;       // neither read nor write
    bool only_if_cached = false; // 504 when there is none
    std::optional<std::int64_t> max_age_s;
    std::optional<std::chrono::seconds> ttl;
    std::string variant;
    std::vector<KeyPart> key_parts;
    std::uint32_t buckets = 0; // Helicone's: so many answers a key, one of them at random
    std::uint32_t bucket = 0;  // the chosen one; the first is the key's own
};

/// Unknown directives are ignored, and so are malformed ones of Cache-Control, as RFC 9111 says; a
/// malformed x-larder-ttl or x-larder-variant is an Error with its name as `field`. `ttl_max`
/// bounds the former. Headers of other gateways count where `compat` says so, see compat.hpp.
Result<Directives> read_directives(const http::Fields& fields, std::chrono::milliseconds ttl_max,
                                   const CompatConfig& compat = {});

} // namespace larder::gateway
