// How Upstash's service is, as all threads see it together: one breaker, the reason why it is open,
// and the newest sync token. Any thread; calls `on_health` once a change, outside its lock.
#pragma once

#include "redis/breaker.hpp"
#include "redis/client.hpp"
#include "redis/upstash_wire.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace larder::redis::upstash {

/// How long a try took, and how long it might have.
struct Times {
    std::chrono::microseconds took{0};
    std::chrono::microseconds within{0};
    std::int64_t now_us = 0; // steady
};

class Guard {
public:
    explicit Guard(std::function<void(const Health&)> on_health)
        : on_health_(std::move(on_health)) {}

    /// The Error while the service is left alone, or after `stop`.
    [[nodiscard]] std::optional<Error> refusal() const;
    /// What a try came to. True when the breaker opened by it: the caller starts probing. A late
    /// answer, or none, counts only where there was a fair time for one.
    [[nodiscard]] bool note(const Verdict& verdict, const Times& times);
    /// The same for a try that nothing was known before: any failure opens the breaker.
    [[nodiscard]] bool note_first(const Verdict& verdict, const Times& times);

    /// Before each probe: how long to wait. Longer for a quota, which comes back with the day.
    [[nodiscard]] std::chrono::microseconds probe_wait(std::uint64_t random);
    /// What a probe came to. True when the breaker is closed: no more probes.
    [[nodiscard]] bool probed(const Verdict& verdict, const Times& times);

    [[nodiscard]] Health health() const;
    /// No `on_health` any more once it has returned; every `refusal` is an Error.
    void stop();
    [[nodiscard]] bool is_stopped() const;

    /// By order of arrival.
    void take_sync_token(std::string_view token);
    [[nodiscard]] std::string sync_token() const;

private:
    void tell();
    bool note_locked(const Verdict& verdict, const Times& times);

    mutable std::mutex mutex_;
    Breaker breaker_;
    std::string reason_ = "it has not answered yet"; // of what is wrong, when something is
    std::string sync_token_;
    bool is_quota_ = false;
    bool stopped_ = false;

    std::mutex telling_; // taken before mutex_
    std::function<void(const Health&)> on_health_;
    Health told_{.ok = false, .reason = "it has not answered yet"};
};

} // namespace larder::redis::upstash
