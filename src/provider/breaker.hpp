// A circuit breaker per provider: after a few failures within its window it is left alone for a
// moment, then one probe decides. Any thread; never suspends.
#pragma once

#include "provider/catalog.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace larder::provider {

class CircuitBreaker {
public:
    enum class State : std::uint8_t { kClosed, kOpen, kHalfOpen };
    /// Whether a call may go out now. A call that was let through must be followed by `succeeded`,
    /// `failed` or `abandoned`.
    bool try_pass(const Breaker& rule, std::int64_t now_us);
    void succeeded();
    void failed(const Breaker& rule, std::int64_t now_us);
    /// The call ended without saying anything about the provider (it was cancelled).
    void abandoned();
    [[nodiscard]] State state() const;

private:
    mutable std::mutex mutex_;
    std::deque<std::int64_t> failures_; // at most `Breaker::failures` of them
    std::int64_t probe_at_us_ = 0;
    State state_ = State::kClosed;
    bool probing_ = false;
};

/// The breakers of all providers by name; they outlive a reload of the configuration.
class Breakers {
public:
    CircuitBreaker& of(std::string_view provider);

private:
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<CircuitBreaker>, std::less<>> breakers_;
};

} // namespace larder::provider
