// When a provider's circuit breaker opens and closes.
#include "provider/breaker.hpp"

#include <algorithm>

namespace larder::provider {
namespace {

std::int64_t us(std::chrono::milliseconds time) {
    return time.count() * 1000;
}

std::int64_t tenth_number(const Breaker& rule, std::int64_t now_us) {
    return std::max<std::int64_t>(now_us, 0) / std::max<std::int64_t>(us(rule.window) / 10, 1);
}

} // namespace

bool CircuitBreaker::try_pass(const Breaker& rule, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    switch (state_) {
    case State::kClosed:
        return true;
    case State::kOpen:
        if (now_us < probe_at_us_)
            return false;
        state_ = State::kHalfOpen;
        probing_ = true;
        probe_at_us_ = now_us + us(rule.probe_after);
        return true;
    case State::kHalfOpen:
        // One probe at a time; one that never came back must not keep the breaker shut for ever.
        if (probing_ && now_us < probe_at_us_)
            return false;
        probing_ = true;
        probe_at_us_ = now_us + us(rule.probe_after);
        return true;
    }
    return true;
}

bool CircuitBreaker::is_passing(std::int64_t now_us) const {
    const std::lock_guard lock(mutex_);
    switch (state_) {
    case State::kClosed:
        return true;
    case State::kOpen:
        return now_us >= probe_at_us_;
    case State::kHalfOpen:
        return !probing_ || now_us >= probe_at_us_;
    }
    return true;
}

void CircuitBreaker::succeeded(const Breaker& rule, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kOpen)
        return; // only a probe decides, not a call from before
    if (state_ == State::kHalfOpen) {
        failures_.clear();
        tenths_ = {};
    }
    state_ = State::kClosed;
    probing_ = false;
    ++tenth_at(rule, now_us).calls;
}

void CircuitBreaker::failed(const Breaker& rule, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    ++tenth_at(rule, now_us).calls;
    note_failure(rule, now_us);
}

void CircuitBreaker::failed_late(const Breaker& rule, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    note_failure(rule, now_us);
}

void CircuitBreaker::note_failure(const Breaker& rule, std::int64_t now_us) {
    probing_ = false;
    ++tenth_at(rule, now_us).failures;
    failures_.push_back(now_us);
    while (!failures_.empty() && (failures_.front() < now_us - us(rule.window) ||
                                  failures_.size() > static_cast<std::size_t>(rule.failures)))
        failures_.pop_front();
    if (state_ != State::kClosed || is_too_much(rule, now_us)) {
        state_ = State::kOpen;
        probe_at_us_ = now_us + us(rule.probe_after);
    }
}

CircuitBreaker::Tenth& CircuitBreaker::tenth_at(const Breaker& rule, std::int64_t now_us) {
    const std::int64_t number = tenth_number(rule, now_us);
    Tenth& tenth = tenths_[static_cast<std::size_t>(number % kTenths)];
    if (tenth.number != number)
        tenth = {.number = number, .calls = 0, .failures = 0};
    return tenth;
}

bool CircuitBreaker::is_too_much(const Breaker& rule, std::int64_t now_us) const {
    if (failures_.size() < static_cast<std::size_t>(rule.failures))
        return false;
    const std::int64_t now = tenth_number(rule, now_us);
    double calls = 0;
    double failures = 0;
    for (const Tenth& tenth : tenths_) {
        if (tenth.number <= now - kTenths || tenth.number > now)
            continue;
        calls += static_cast<double>(tenth.calls);
        failures += static_cast<double>(tenth.failures);
    }
    return failures >= rule.rate * calls;
}

void CircuitBreaker::abandoned() {
    const std::lock_guard lock(mutex_);
    probing_ = false;
}

CircuitBreaker::State CircuitBreaker::state() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

CircuitBreaker& Breakers::of(std::string_view provider) {
    const std::lock_guard lock(mutex_);
    auto found = breakers_.find(provider);
    if (found == breakers_.end())
        found = breakers_.emplace(provider, std::make_unique<CircuitBreaker>()).first;
    return *found->second;
}

} // namespace larder::provider
