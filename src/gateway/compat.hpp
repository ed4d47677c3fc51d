// The cache switches of other gateways, in our own terms: LiteLLM's body field, the headers of
// Portkey, Helicone and Cloudflare. They narrow what a request shares and never widen it; of two
// that say different things the stricter one holds. Pure, any thread.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "gateway/directives.hpp"
#include "gateway/outcome.hpp"
#include "gateway/settings.hpp"
#include "http/message.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace larder::gateway {

/// RFC 9111, 1.2.2: enough for every larger number.
constexpr std::int64_t kMostSeconds = 1LL << 31;
/// Digits only; what is larger than `kMostSeconds` counts as that.
std::optional<std::int64_t> seconds_of(std::string_view text);

/// Adds what the headers of the gateways in `compat` say. A malformed value is an Error with the
/// header's name as `field`. A longer TTL than `ttl_max` counts as that.
Result<void> read_compat_fields(const http::Fields& fields, std::chrono::milliseconds ttl_max,
                                const CompatConfig& compat, Directives& directives);

/// Takes LiteLLM's `cache` out of `body`: adds what it says to `directives`, and gives the bytes
/// without it; nullopt where there is none. A wrong value is an Error with "cache.ttl" as `field`.
Result<std::optional<std::string>> take_litellm_cache(const json::Document& body,
                                                      std::chrono::milliseconds ttl_max,
                                                      Directives& directives);

/// Adds how an answer came to be in the reply fields of the gateways in `compat`. `refreshes`: the
/// client wanted none from the cache.
void add_compat_lines(std::string& lines, const CompatConfig& compat, Outcome outcome,
                      bool refreshes);

} // namespace larder::gateway
