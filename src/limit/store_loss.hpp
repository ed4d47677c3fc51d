// What is decided while the store of the limits is lost, and whether it is: said once a change. Any
// thread; never suspends.
#pragma once

#include "limit/backends.hpp"
#include "limit/limiter.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace larder::limit {

/// "local", "open", "closed".
std::string_view name_of(StoreLoss mode);

/// Lost from the first failure until an answer a second or more after the last one: a store that
/// answers now and then is said to be lost once, not each time.
class StoreHealth {
public:
    StoreHealth(const Clock& clock, StoreLoss mode,
                std::function<void(const LimiterHealth&)> on_change)
        : clock_(clock), mode_(mode), on_change_(std::move(on_change)) {}

    void failed(const Error& error);
    void answered() {
        if (lost_.load(std::memory_order_relaxed)) [[unlikely]]
            answered_while_lost();
    }
    [[nodiscard]] bool is_lost() const { return lost_.load(std::memory_order_relaxed); }
    [[nodiscard]] LimiterHealth get() const;

private:
    void answered_while_lost();
    void change(bool lost, std::string reason);

    const Clock& clock_;
    StoreLoss mode_;
    std::function<void(const LimiterHealth&)> on_change_;
    std::atomic<bool> lost_ = false;
    mutable std::mutex mutex_; // of what follows, and of the order of the calls
    std::int64_t failed_us_ = 0;
    std::string reason_;
};

/// Decides without the store, as the configuration says.
class LossPolicy {
public:
    LossPolicy(StoreLoss mode, MemoryLimits limits) : mode_(mode), local_(limits) {}

    Reservation reserve(std::vector<Charge> charges, std::int64_t now_ms);
    /// What the store allowed counts here too, so that its loss gives nobody a second limit.
    void count(const std::vector<Charge>& charges, std::int64_t now_ms) {
        if (mode_ == StoreLoss::kLocal)
            (void)local_.reserve_now(charges, now_ms);
    }
    void give_back(const std::vector<Held>& held, std::int64_t now_ms) {
        local_.give_back(held, now_ms);
    }
    /// How many nodes share a limit; less than 1 is 1.
    void set_nodes(std::int64_t nodes) { nodes_ = nodes < 1 ? 1 : nodes; }
    [[nodiscard]] std::int64_t nodes() const { return nodes_; }
    [[nodiscard]] StoreLoss mode() const { return mode_; }
    [[nodiscard]] std::uint64_t decisions() const { return decisions_; }
    [[nodiscard]] std::size_t subjects() const { return local_.subjects(); }

private:
    Reservation reserve_share(std::vector<Charge> charges, std::int64_t now_ms);

    StoreLoss mode_;
    MemoryLimiter local_;
    std::atomic<std::int64_t> nodes_ = 1;
    std::atomic<std::uint64_t> decisions_ = 0;
};

} // namespace larder::limit
