// A circuit breaker per provider: after a few failures within its window, when they are enough of
// its calls, it is left alone for a moment, then one probe decides. Any thread; never suspends.
#pragma once

#include "provider/catalog.hpp"

#include <array>
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
    /// What `try_pass` would say now, without its consequences.
    [[nodiscard]] bool is_passing(std::int64_t now_us) const;
    void succeeded(const Breaker& rule, std::int64_t now_us);
    void failed(const Breaker& rule, std::int64_t now_us);
    /// A call that `succeeded` already has failed after all: its body broke off.
    void failed_late(const Breaker& rule, std::int64_t now_us);
    /// The call ended without saying anything about the provider (it was cancelled).
    void abandoned();
    [[nodiscard]] State state() const;

private:
    /// What ended in a tenth of the window.
    struct Tenth {
        std::int64_t number = -1; // since time began
        std::int64_t calls = 0;
        std::int64_t failures = 0;
    };
    static constexpr std::int64_t kTenths = 10;

    /// The tenth that `now_us` is in, emptied of what was there a window ago.
    Tenth& tenth_at(const Breaker& rule, std::int64_t now_us);
    [[nodiscard]] bool is_too_much(const Breaker& rule, std::int64_t now_us) const;
    void note_failure(const Breaker& rule, std::int64_t now_us);

    mutable std::mutex mutex_;
    std::deque<std::int64_t> failures_; // when; at most `Breaker::failures` of them
    std::array<Tenth, kTenths> tenths_;
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
