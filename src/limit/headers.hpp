// The limit's header lines: the old X-RateLimit-* (Reset in epoch ms) and the IETF draft's pair
// (draft-ietf-httpapi-ratelimit-headers-10). Pure, any thread.
#pragma once

#include "limit/limiter.hpp"

#include <cstdint>
#include <string>

namespace larder::limit {

/// Appends whole lines, each with its CRLF; on a refusal also Retry-After in seconds, rounded up,
/// at least 1. Nothing for a tier that is off. `rule.name` must be a plain token.
void write_rate_headers(std::string& out, const Rule& rule, const Decision& decision,
                        std::int64_t now_ms);

/// Retry-After of a refusal: seconds, rounded up, at least 1.
std::int64_t retry_after_seconds(const Decision& decision);

} // namespace larder::limit
