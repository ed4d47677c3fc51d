// When to leave a server alone: after failures in a row, or when most of what it answers comes
// late. While open, nothing but a probe goes out; the first good probe closes it. Pure; times in
// microseconds of any steady clock; one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace larder::redis {

/// Waits that double up to a maximum, each spread by a quarter to both sides.
class Backoff {
public:
    Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest)
        : first_us_(first.count() * 1000), longest_us_(longest.count() * 1000) {}
    [[nodiscard]] std::chrono::microseconds next(std::uint64_t random) {
        const std::int64_t full = std::min(first_us_ << doublings_, longest_us_);
        if (full < longest_us_)
            ++doublings_;
        const std::int64_t spread = full / 2;
        const auto part = static_cast<std::int64_t>(random % 1024) * spread / 1024;
        return std::chrono::microseconds(full - spread / 2 + part);
    }
    void reset() { doublings_ = 0; }

private:
    std::int64_t first_us_;
    std::int64_t longest_us_;
    int doublings_ = 0;
};

class Breaker {
public:
    enum class State : std::uint8_t { kClosed, kOpen, kHalfOpen };
    enum class Outcome : std::uint8_t { kGood, kSlow, kFailed };

    static constexpr int kFailuresInARow = 5;
    static constexpr std::uint32_t kLateMin = 20; // in a window, and half of all in it
    static constexpr std::int64_t kWindowUs = 1'000'000;
    /// Opened again so soon, it waits longer before the next probe.
    static constexpr std::int64_t kRelapseUs = 10'000'000;

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] bool is_closed() const { return state_ == State::kClosed; }

    /// What became of a command; true when the breaker opened by it.
    bool note(Outcome outcome, std::int64_t now_us) {
        if (state_ != State::kClosed)
            return false; // of a time before
        if (now_us - window_began_us_ >= kWindowUs) {
            window_began_us_ = now_us;
            seen_ = 0;
            late_ = 0;
        }
        ++seen_;
        if (outcome == Outcome::kGood) {
            in_a_row_ = 0;
            return false;
        }
        ++late_;
        if (outcome == Outcome::kFailed) // a late answer between them is no sign of health
            ++in_a_row_;
        if (in_a_row_ < kFailuresInARow && (late_ < kLateMin || late_ * 2 < seen_))
            return false;
        open(now_us);
        return true;
    }

    /// Opens it whatever came before; true when it was closed.
    bool trip(std::int64_t now_us) {
        if (state_ != State::kClosed)
            return false;
        open(now_us);
        return true;
    }

    /// How long to wait before the next probe. Each call is a new wait, longer up to a second.
    [[nodiscard]] std::chrono::microseconds wait(std::uint64_t random) {
        return backoff_.next(random);
    }
    void probing() {
        if (state_ == State::kOpen)
            state_ = State::kHalfOpen;
    }
    /// True when it closed.
    bool probed(bool good, std::int64_t now_us) {
        if (state_ == State::kClosed)
            return false;
        state_ = good ? State::kClosed : State::kOpen;
        if (!good)
            return false;
        closed_at_us_ = now_us;
        window_began_us_ = now_us;
        seen_ = 0;
        late_ = 0;
        in_a_row_ = 0;
        return true;
    }

private:
    void open(std::int64_t now_us) {
        state_ = State::kOpen;
        if (now_us - closed_at_us_ >= kRelapseUs)
            backoff_.reset();
    }

    Backoff backoff_{std::chrono::milliseconds(25), std::chrono::milliseconds(1000)};
    std::int64_t window_began_us_ = 0;
    std::int64_t closed_at_us_ = 0;
    std::uint32_t seen_ = 0;
    std::uint32_t late_ = 0;
    int in_a_row_ = 0;
    State state_ = State::kClosed;
};

} // namespace larder::redis
