// When a failed call is tried again, and after how long: pure decisions (RFC 9110, 10.2.3 for
// Retry-After).
#pragma once

#include "http/message.hpp"
#include "provider/catalog.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace larder::provider {

/// Statuses that are worth another try: 408, 409, 429, and 5xx but 501 and 505.
bool is_retryable(int status);
/// What the provider asks for: `retry-after-ms`, else `Retry-After` in seconds or as a date.
/// nullopt: nothing readable.
std::optional<std::chrono::milliseconds> retry_after(const http::Fields& fields,
                                                     std::int64_t now_epoch_ms);

/// The waits of one request.
class RetrySchedule {
public:
    explicit RetrySchedule(const Provider& provider) : RetrySchedule(provider, provider.retries) {}
    RetrySchedule(const Provider& provider, int retries) : provider_(provider), retries_(retries) {}
    /// `sends`: how often the last try was sent (a pooled connection may turn out to be closed).
    /// How long to wait before the next try, or nullopt when there is none: tries are used up, or
    /// the wait would pass what is left of `retry_max_wait`. `random`: any 64 bits, for the jitter
    /// (full: between 0 and base × 2^n).
    std::optional<std::chrono::milliseconds> next(std::optional<std::chrono::milliseconds> asked,
                                                  std::uint64_t random, int sends = 1);

private:
    const Provider& provider_;
    const int retries_;
    int tries_ = 0;
    std::chrono::milliseconds waited_{0};
};

} // namespace larder::provider
