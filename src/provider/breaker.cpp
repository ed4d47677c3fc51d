#include "provider/breaker.hpp"

namespace larder::provider {
namespace {

std::int64_t us(std::chrono::milliseconds time) {
    return time.count() * 1000;
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

void CircuitBreaker::succeeded() {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kOpen || (state_ == State::kClosed && failures_.empty()))
        return; // while it is open only a probe decides, not a call from before
    if (state_ != State::kClosed)
        failures_.clear();
    state_ = State::kClosed;
    probing_ = false;
}

void CircuitBreaker::failed(const Breaker& rule, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    probing_ = false;
    failures_.push_back(now_us);
    while (!failures_.empty() && (failures_.front() < now_us - us(rule.window) ||
                                  failures_.size() > static_cast<std::size_t>(rule.failures)))
        failures_.pop_front();
    if (state_ == State::kHalfOpen || failures_.size() >= static_cast<std::size_t>(rule.failures)) {
        state_ = State::kOpen;
        probe_at_us_ = now_us + us(rule.probe_after);
    }
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
