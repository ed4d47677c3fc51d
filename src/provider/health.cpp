// How the models at providers are doing: the peak-sensitive average, and the table of all of them.
#include "provider/health.hpp"

#include "async/deadlines.hpp"

#include <algorithm>
#include <cmath>

namespace larder::provider {
namespace {

constexpr double kHalfLifeUs = 2'000'000;
/// What a first byte is taken to cost while nothing is known and a call is under way already: more
/// than any that is known, so that a burst doesn't go to the one that nobody has heard of.
constexpr double kUnknownUs = 60'000'000;
constexpr std::size_t kMostTargets = 4096;
constexpr std::size_t kLongestKey = 512;
constexpr std::int64_t kForgottenUs = 60'000'000; // 30 half-lives
/// A full table is looked through no more often, whatever names come.
constexpr std::int64_t kSweepUs = 1'000'000;

/// The share of an old value that is left after `age_us`.
double left_after(std::int64_t age_us) {
    return std::exp2(-static_cast<double>(std::max<std::int64_t>(age_us, 0)) / kHalfLifeUs);
}

} // namespace

void TargetHealth::began() {
    pending_.fetch_add(1, std::memory_order_relaxed);
}

void TargetHealth::ended() {
    pending_.fetch_sub(1, std::memory_order_relaxed);
}

void TargetHealth::observe(bool stream, std::int64_t took_us, std::int64_t now_us) {
    const auto sample = static_cast<double>(std::max<std::int64_t>(took_us, 1));
    const std::lock_guard lock(mutex_);
    Average& average = averages_[stream ? 1 : 0];
    if (!average.is_known || sample >= average.value_us) {
        average.value_us = sample;
    } else {
        const double left = left_after(now_us - average.at_us);
        average.value_us = average.value_us * left + sample * (1 - left);
    }
    average.at_us = average.is_known ? std::max(average.at_us, now_us) : now_us;
    average.is_known = true;
}

void TargetHealth::gave_up(bool stream, std::int64_t waited_us, std::int64_t now_us) {
    {
        const std::lock_guard lock(mutex_);
        const Average& average = averages_[stream ? 1 : 0];
        if (average.is_known && static_cast<double>(waited_us) < average.value_us)
            return; // it might have come in its usual time
    }
    observe(stream, waited_us, now_us);
}

double TargetHealth::cost(bool stream, std::int64_t now_us) const {
    const double pending = std::max(pending_.load(std::memory_order_relaxed), 0);
    const std::lock_guard lock(mutex_);
    const Average& own = averages_[stream ? 1 : 0];
    if (own.is_known)
        return own.value_us * (pending == 0 ? left_after(now_us - own.at_us) : pending + 1);
    // The other kind's average stands in while calls are under way; it says little, but it does say
    // that this target answers.
    const Average& other = averages_[stream ? 0 : 1];
    return pending * (other.is_known ? other.value_us : kUnknownUs);
}

void TargetHealth::timed_out(int failures, std::int64_t until_us) {
    if (silences_.fetch_add(1, std::memory_order_relaxed) + 1 < failures)
        return;
    silences_.store(failures - 1, std::memory_order_relaxed);
    cool(until_us);
}

void TargetHealth::cool(std::int64_t until_us) {
    std::int64_t known = cool_until_us_.load(std::memory_order_relaxed);
    while (known < until_us &&
           !cool_until_us_.compare_exchange_weak(known, until_us, std::memory_order_relaxed)) {
    }
}

bool TargetHealth::is_cooling(std::int64_t now_us) const {
    return now_us < cool_until_us_.load(std::memory_order_relaxed);
}

std::shared_ptr<TargetHealth> HealthTable::of(std::string_view provider, std::string_view model,
                                              std::int64_t now_us) {
    if (provider.size() + model.size() > kLongestKey)
        return std::make_shared<TargetHealth>(); // no model is called so; it is not kept
    std::string key;
    key.reserve(provider.size() + 1 + model.size());
    key.append(provider).append(1, '\0').append(model);
    const std::lock_guard lock(mutex_);
    if (const auto found = targets_.find(key); found != targets_.end()) {
        found->second.used_us = std::max(found->second.used_us, now_us);
        return found->second.health;
    }
    auto health = std::make_shared<TargetHealth>();
    if (targets_.size() >= kMostTargets)
        make_room(now_us);
    if (targets_.size() < kMostTargets)
        targets_.emplace(std::move(key), Entry{.health = health, .used_us = now_us});
    return health;
}

std::shared_ptr<TargetHealth> HealthTable::of(std::string_view provider, std::string_view model) {
    return of(provider, model, async::Deadlines::now_us());
}

void HealthTable::make_room(std::int64_t now_us) {
    if (now_us < next_sweep_us_)
        return;
    next_sweep_us_ = now_us + kSweepUs;
    std::erase_if(targets_, [&](const auto& item) {
        const Entry& entry = item.second;
        return entry.health.use_count() == 1 && !entry.health->is_cooling(now_us) &&
               now_us - entry.used_us >= kForgottenUs;
    });
}

} // namespace larder::provider
