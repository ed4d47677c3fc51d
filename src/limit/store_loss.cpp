// The three ways to go on without a store.
#include "limit/store_loss.hpp"

#include "limit/counter.hpp"

#include <algorithm>

namespace larder::limit {

namespace {

constexpr std::int64_t kQuietUs = 1'000'000;
constexpr std::int64_t kClosedRetryMs = 1000;

} // namespace

std::string_view name_of(StoreLoss mode) {
    switch (mode) {
    case StoreLoss::kLocal:
        return "local";
    case StoreLoss::kOpen:
        return "open";
    case StoreLoss::kClosed:
        return "closed";
    }
    return "";
}

void StoreHealth::failed(const Error& error) {
    const std::lock_guard lock(mutex_);
    failed_us_ = clock_.steady_us();
    if (!lost_)
        change(true, error.message);
}

void StoreHealth::answered_while_lost() {
    const std::lock_guard lock(mutex_);
    if (lost_ && clock_.steady_us() - failed_us_ >= kQuietUs)
        change(false, {});
}

void StoreHealth::change(bool lost, std::string reason) {
    reason_ = std::move(reason);
    lost_ = lost;
    if (on_change_)
        on_change_({.ok = !lost, .reason = reason_, .mode = name_of(mode_)});
}

LimiterHealth StoreHealth::get() const {
    const std::lock_guard lock(mutex_);
    return {.ok = !lost_, .reason = reason_, .mode = name_of(mode_)};
}

Reservation LossPolicy::reserve(std::vector<Charge> charges, std::int64_t now_ms) {
    decisions_.fetch_add(1, std::memory_order_relaxed);
    if (mode_ == StoreLoss::kLocal)
        return reserve_share(std::move(charges), now_ms);
    const bool open = mode_ == StoreLoss::kOpen;
    Reservation made{.allowed = open, .degraded = true, .unavailable = !open};
    for (const Charge& charge : charges) {
        const std::int64_t max = shape_of(*charge.rule).max;
        Decision decision{
            .limit = max, .remaining = max, .reset_epoch_ms = now_ms, .decided_at_ms = now_ms};
        if (!open && max > 0) {
            decision.allowed = false;
            decision.remaining = 0;
            decision.retry_after_ms = kClosedRetryMs;
            decision.reset_epoch_ms = now_ms + kClosedRetryMs;
        }
        made.decisions.push_back(decision);
    }
    return made;
}

Reservation LossPolicy::reserve_share(std::vector<Charge> charges, std::int64_t now_ms) {
    std::vector<Rule> rules;
    rules.reserve(charges.size());
    const std::int64_t nodes = nodes_;
    for (Charge& charge : charges) {
        const Rule& whole = *charge.rule;
        rules.push_back({.max = whole.max > 0 ? std::max<std::int64_t>(whole.max / nodes, 1) : 0,
                         .window = whole.window,
                         .algorithm = whole.algorithm});
        charge.rule = &rules.back();
    }
    Reservation made = local_.reserve_now(charges, now_ms);
    made.degraded = true;
    return made;
}

} // namespace larder::limit
