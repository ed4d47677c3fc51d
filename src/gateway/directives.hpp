// What a request says about the cache: Cache-Control (RFC 9111, section 5.2.1) and our own headers.
// Pure.
#pragma once

#include "base/result.hpp"
#include "http/message.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace larder::gateway {

struct Directives {
    bool no_cache = false;       // ask again and refresh the entry
    bool no_store = false;       // neither read nor write
    bool only_if_cached = false; // 504 when there is none
    std::optional<std::int64_t> max_age_s;
    std::optional<std::chrono::seconds> ttl;
    std::string_view variant; // a view into the head
};

/// Unknown directives are ignored, and so are malformed ones of Cache-Control, as RFC 9111 says; a
/// malformed x-larder-ttl or x-larder-variant is an Error with its name as `field`. `ttl_max`
/// bounds the former.
Result<Directives> read_directives(const http::Fields& fields, std::chrono::milliseconds ttl_max);

} // namespace larder::gateway
