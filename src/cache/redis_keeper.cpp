// The channel and the loop of a Redis store.
#include "cache/redis_keeper.hpp"

#include "async/deadlines.hpp"
#include "cache/redis_writes.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace larder::cache {
namespace {

/// A lease that was not renewed for so many of its lives is forgotten.
constexpr std::int64_t kLeaseLives = 4;

/// Reads what may have been missed; then what memory gets from now on is confirmed.
Task<void> confirm(std::shared_ptr<RedisCore> core) {
    const std::int64_t since = core->up_since_ms;
    if (since == INT64_MAX)
        co_return;
    const auto read = co_await core->purges.refresh(true, core->settings.write_within);
    if (!read)
        co_return; // the keeper tries again
    if (core->up_since_ms == since)
        core->confirmed_since_ms = since;
}

void on_channel(const std::shared_ptr<RedisCore>& core, bool is_up) {
    core->confirmed_since_ms = INT64_MAX;
    // What came in the same millisecond may have come before.
    core->up_since_ms = is_up ? core->now_ms() + 1 : INT64_MAX;
    if (is_up)
        core->tasks.push_beyond([core] { return confirm(core); });
}

/// Somebody waits for a flight, which may be one of this node.
void on_wanted(const std::shared_ptr<RedisCore>& core, const FlightNews& wanted) {
    if (!core->leases.is_ours(wanted.token) || core->leases.want(wanted.token))
        return;
    // It ended before this was said: who waits must look again.
    auto done = write_news(FlightNews{.kind = FlightNews::Kind::kDone, .token = wanted.token});
    (void)core->tasks.push(done.size(), [core, done] { return write_message(core, done); });
}

void on_message(const std::shared_ptr<RedisCore>& core, std::string_view message) {
    auto news = read_news(message);
    if (!news)
        return;
    if (auto* purge = std::get_if<Purge>(&*news)) {
        core->purges.heard(std::move(*purge));
    } else if (const auto* overwrite = std::get_if<OverwriteNews>(&*news)) {
        if (core->settings.on_overwritten)
            core->settings.on_overwritten(overwrite->key, overwrite->asked_ms);
    } else if (const auto* flight = std::get_if<FlightNews>(&*news)) {
        if (flight->kind == FlightNews::Kind::kWanted)
            on_wanted(core, *flight);
        else if (flight->kind == FlightNews::Kind::kLeft)
            core->leases.leave(flight->token);
        else
            core->relay.heard(*flight);
    }
}

} // namespace

std::unique_ptr<redis::Subscription> subscribe(std::shared_ptr<RedisCore> core) {
    if (!core->traits.push)
        return nullptr;
    redis::SubscriptionEvents events;
    events.on_message = [core](std::string_view message) { on_message(core, message); };
    events.on_state = [core](bool is_up) { on_channel(core, is_up); };
    return core->client.subscribe(core->keys.news(), std::move(events));
}

RedisStore::Keeper::Keeper(std::shared_ptr<RedisCore> its_core, asio::io_context& its_context)
    : core_(std::move(its_core)), context_(its_context), wakes_(its_context.get_executor()) {}

void RedisStore::Keeper::start() {
    is_running_ = true;
    async::spawn("cache keeper", context_.get_executor(), run(shared_from_this()));
}

void RedisStore::Keeper::stop(std::chrono::steady_clock::time_point until) {
    is_stopping_ = true;
    asio::post(context_, [self = shared_from_this()] { self->wakes_.notify(); });
    std::unique_lock lock(mutex_);
    ended_.wait_until(lock, until, [this] { return !is_running_; });
}

Task<void> RedisStore::Keeper::run(std::shared_ptr<Keeper> self) {
    async::Deadline deadline(async::Deadlines::of(self->context_),
                             [keeper = self.get()] { keeper->wakes_.notify(); });
    if (!self->core_->traits.push) // later, look-ups see that there is something new
        (void)co_await self->core_->purges.refresh(true, self->core_->settings.write_within);
    while (!self->is_stopping_) {
        co_await self->step();
        if (self->is_stopping_)
            break;
        deadline.arm(self->core_->settings.refresh);
        co_await self->wakes_.wait();
        deadline.disarm();
    }
    if (self->core_->purges.has_pending())
        co_await write_purges(self->core_);
    const std::lock_guard lock(self->mutex_);
    self->is_running_ = false;
    self->ended_.notify_all();
}

Task<void> RedisStore::Keeper::step() {
    const auto& settings = core_->settings;
    const auto kept_us = std::chrono::microseconds(settings.lease).count() * kLeaseLives;
    core_->leases.forget_older(core_->now_us() - kept_us);
    if (core_->purges.has_pending())
        co_await write_purges(core_);
    if (core_->traits.push) {
        const bool is_confirmed = core_->confirmed_since_ms != INT64_MAX;
        if (is_confirmed || core_->up_since_ms == INT64_MAX)
            (void)co_await core_->purges.refresh(false, settings.write_within);
        else
            co_await confirm(core_);
    }
    tell_health();
}

void RedisStore::Keeper::tell_health() {
    StoreHealth now = core_->health();
    if (now.ok == told_.ok && now.reason == told_.reason)
        return;
    told_ = std::move(now);
    if (core_->settings.on_health)
        core_->settings.on_health(told_);
}

} // namespace larder::cache
