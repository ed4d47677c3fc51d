#include "redis/upstash_guard.hpp"

#include <utility>

namespace larder::redis::upstash {
namespace {

using Kind = Verdict::Kind;
using std::chrono::microseconds;

constexpr microseconds kFairTime{100'000}; // less says nothing of the service
constexpr microseconds kQuick{50'000};     // never late, however little time there was
constexpr microseconds kProbeMax{500'000};
constexpr std::size_t kTokenMax = 1024;
constexpr int kQuotaFactor = 10;

bool is_answer(const Verdict& verdict) {
    return verdict.kind == Kind::kReplies || verdict.kind == Kind::kRefused;
}

} // namespace

std::optional<Error> Guard::refusal() const {
    const std::scoped_lock lock(mutex_);
    if (stopped_)
        return Error{.code = ErrorCode::kStore,
                     .message = "Upstash: the client was stopped",
                     .detail = "stopped"};
    if (breaker_.is_closed())
        return std::nullopt;
    return Error{.code = ErrorCode::kStore,
                 .message = "Upstash is left alone for a moment: " + reason_,
                 .detail = "breaker_open"};
}

bool Guard::note_locked(const Verdict& verdict, const Times& times) {
    if (stopped_ || !breaker_.is_closed() || verdict.kind == Kind::kNotAsked)
        return false;
    const bool had_time = times.within >= kFairTime;
    if (verdict.kind == Kind::kOutage) {
        reason_ = verdict.reason;
        is_quota_ = verdict.error.detail == "quota";
        return breaker_.trip(times.now_us);
    }
    if (is_answer(verdict)) {
        const bool late = times.took > kQuick && times.took > times.within * 3 / 4;
        if (late && !had_time)
            return false;
        const auto outcome = late ? Breaker::Outcome::kSlow : Breaker::Outcome::kGood;
        const bool opened = breaker_.note(outcome, times.now_us);
        reason_ = opened ? "it answers too slowly" : "";
        return opened;
    }
    if (verdict.error.code == ErrorCode::kTimeout && !had_time)
        return false;
    const bool opened = breaker_.note(Breaker::Outcome::kFailed, times.now_us);
    if (opened) {
        reason_ = verdict.reason;
        is_quota_ = false;
    }
    return opened;
}

bool Guard::note(const Verdict& verdict, const Times& times) {
    bool opened = false;
    bool changed = false;
    {
        const std::scoped_lock lock(mutex_);
        const bool was_fine = reason_.empty();
        opened = note_locked(verdict, times);
        changed = opened || was_fine != reason_.empty();
    }
    if (changed)
        tell();
    return opened;
}

bool Guard::note_first(const Verdict& verdict, const Times& times) {
    if (is_answer(verdict) || verdict.kind == Kind::kOutage || verdict.kind == Kind::kNotAsked)
        return note(verdict, times);
    bool opened = false;
    {
        const std::scoped_lock lock(mutex_);
        opened = !stopped_ && breaker_.trip(times.now_us);
        if (opened)
            reason_ = verdict.reason;
    }
    if (opened)
        tell();
    return opened;
}

microseconds Guard::probe_wait(std::uint64_t random) {
    const std::scoped_lock lock(mutex_);
    const microseconds wait = breaker_.wait(random);
    return is_quota_ ? wait * kQuotaFactor : wait;
}

bool Guard::probed(const Verdict& verdict, const Times& times) {
    bool closed = false;
    {
        const std::scoped_lock lock(mutex_);
        if (stopped_)
            return true;
        const bool good = is_answer(verdict) && times.took <= kProbeMax;
        breaker_.probing();
        closed = breaker_.probed(good, times.now_us) || breaker_.is_closed();
        if (closed)
            reason_.clear();
        else
            reason_ = is_answer(verdict) ? "it answers too slowly" : verdict.reason;
        is_quota_ = !closed && verdict.error.detail == "quota";
    }
    tell();
    return closed;
}

Health Guard::health() const {
    const std::scoped_lock lock(mutex_);
    return {.ok = reason_.empty() && breaker_.is_closed(), .reason = reason_};
}

void Guard::tell() {
    const std::scoped_lock telling(telling_);
    Health now = health();
    if (now.ok == told_.ok && now.reason == told_.reason)
        return;
    told_ = std::move(now);
    if (on_health_)
        on_health_(told_);
}

void Guard::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
    }
    const std::scoped_lock telling(telling_);
    on_health_ = nullptr;
}

bool Guard::is_stopped() const {
    const std::scoped_lock lock(mutex_);
    return stopped_;
}

void Guard::take_sync_token(std::string_view token) {
    if (token.empty() || token.size() > kTokenMax)
        return;
    const std::scoped_lock lock(mutex_);
    sync_token_ = token;
}

std::string Guard::sync_token() const {
    const std::scoped_lock lock(mutex_);
    return sync_token_;
}

} // namespace larder::redis::upstash
