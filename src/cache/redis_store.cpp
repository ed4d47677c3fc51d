// Look-ups and leases as a request makes them. Writes are in redis_writes.cpp, what happens beside
// requests in redis_keeper.cpp.
#include "cache/redis_store.hpp"

#include "cache/redis_keeper.hpp"
#include "cache/redis_writes.hpp"

#include <algorithm>
#include <utility>

namespace larder::cache {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kRelayBytesMax = 64 << 20;
/// A memory entry is believed this long where no message can say that it was overwritten.
constexpr std::int64_t kBelievedMs = 1000;
constexpr std::int64_t kRefusalUs = 30'000'000;
constexpr std::chrono::milliseconds kStopPatience{2000};

std::unexpected<Error> spent() {
    return fail(ErrorCode::kTimeout, "the request has no time left for the shared store");
}

std::unexpected<Error> unreadable() {
    return fail(ErrorCode::kStore, "the shared store gave an answer that can't be read");
}

} // namespace

bool WriteRefusal::note(const Error& error, std::int64_t now_us) {
    std::string_view reason;
    if (error.detail == "OOM")
        reason = "it is full";
    else if (error.detail == "READONLY")
        reason = "it is read-only";
    else if (error.detail == "MISCONF" || error.detail == "NOREPLICAS")
        reason = "it takes no writes";
    else
        return false;
    const std::lock_guard lock(mutex_);
    reason_ = reason;
    at_us_ = now_us;
    return true;
}

void WriteRefusal::clear() {
    const std::lock_guard lock(mutex_);
    reason_.clear();
}

std::string WriteRefusal::reason(std::int64_t now_us) const {
    const std::lock_guard lock(mutex_);
    return now_us - at_us_ < kRefusalUs ? reason_ : std::string();
}

RedisCore::RedisCore(redis::Client& its_client, async::Runtime& runtime,
                     RedisStoreSettings its_settings)
    : client(its_client), settings(std::move(its_settings)), traits(client.traits()),
      keys(settings.prefix), leases(kRelayBytesMax), purges(client, keys, settings.on_purges),
      relay(client, keys, leases, settings.write_within),
      tasks(runtime, {.tasks = settings.writes_max, .bytes = settings.write_bytes_max}) {
    LARDER_ASSERT(settings.clock != nullptr);
}

StoreHealth RedisCore::health() const {
    const redis::Health client_health = client.health();
    if (!client_health.ok)
        return {.ok = false, .reason = client_health.reason};
    std::string refused = refusal.reason(now_us());
    const bool ok = refused.empty();
    return {.ok = ok, .reason = std::move(refused)};
}

RedisStore::RedisStore(redis::Client& client, async::Runtime& runtime, RedisStoreSettings settings)
    : runtime_(runtime), core_(std::make_shared<RedisCore>(client, runtime, std::move(settings))),
      keeper_(std::make_shared<Keeper>(core_, runtime.context(0))) {
    subscription_ = subscribe(core_);
    keeper_->start();
}

RedisStore::~RedisStore() {
    stop();
}

void RedisStore::stop() {
    if (std::exchange(stopped_, true))
        return;
    const auto until = Steady::now() + kStopPatience;
    subscription_.reset();
    for (const auto& [lease, key] : core_->leases.held()) // others need not wait for their end
        release(key, lease);
    core_->confirmed_since_ms = INT64_MAX;
    keeper_->stop(until);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Steady::now());
    (void)core_->tasks.close(std::max(left, std::chrono::milliseconds(0)));
}

Relay* RedisStore::relay() {
    return core_->settings.fleet_flight && core_->traits.push ? &core_->relay : nullptr;
}

std::int64_t RedisStore::confirmed_since_ms() const {
    if (!core_->traits.push)
        return core_->now_ms() - kBelievedMs;
    return core_->confirmed_since_ms;
}

Task<Result<EntryPtr>> RedisStore::get(llm::Fingerprint key) {
    auto found = co_await read_entry(key, core_->settings.within);
    if (!found)
        co_return std::unexpected(std::move(found).error());
    co_return std::move(found->entry);
}

Task<Result<Lookup>> RedisStore::look_up(llm::Fingerprint key, bool wants_lease,
                                         async::TimeBudget& budget) {
    if (budget.is_spent())
        co_return spent();
    const async::TimeBudget::Spending spending(budget);
    const bool leads = wants_lease && core_->settings.fleet_flight;
    co_return leads ? co_await read_or_lead(key, budget.left())
                    : co_await read_entry(key, budget.left());
}

/// Null when it is none that can be used: then the provider is asked, and its answer takes the
/// place.
EntryPtr RedisStore::entry_of(std::string_view bytes) const {
    auto entry = read_envelope(bytes);
    if (!entry || core_->now_ms() >= (*entry)->stale_until_ms)
        return nullptr;
    return *std::move(entry);
}

Task<Result<Lookup>> RedisStore::read_entry(llm::Fingerprint key,
                                            std::chrono::microseconds within) {
    const auto until = Steady::now() + within;
    redis::Command command(core_->traits.push ? "GET" : "MGET");
    command.key(core_->keys.entry(key)).idempotent();
    if (!core_->traits.push) // one slot, for REST has none: the version comes along
        command.key(core_->keys.purges_version());
    auto reply = co_await core_->client.run(std::move(command), within);
    if (!reply)
        co_return std::unexpected(std::move(reply).error());
    if (!core_->traits.push) {
        if (reply->items.size() != 2)
            co_return unreadable();
        const auto left =
            std::chrono::duration_cast<std::chrono::microseconds>(until - Steady::now());
        if (auto caught = co_await catch_up(std::move(reply->items[1].text), left); !caught)
            co_return std::unexpected(std::move(caught).error());
        reply = std::move(reply->items[0]);
    }
    Lookup found;
    if (reply->is_text())
        found.entry = entry_of(reply->text);
    co_return found;
}

Task<Result<Lookup>> RedisStore::read_or_lead(llm::Fingerprint key,
                                              std::chrono::microseconds within) {
    const auto until = Steady::now() + within;
    std::string token = core_->leases.make_token();
    const RedisScripts& scripts = RedisScripts::all();
    redis::ScriptCall call{.idempotent = true};
    call.keys = {core_->keys.entry(key), core_->keys.lease(key)};
    call.args = {token, std::to_string(core_->settings.lease.count())};
    if (!core_->traits.push)
        call.keys.push_back(core_->keys.purges_version());
    auto reply = co_await core_->client.script(core_->traits.push ? scripts.look_up
                                                                  : scripts.look_up_with_version,
                                               std::move(call), within);
    if (core_->traits.push || !reply)
        co_return settle(std::move(reply), key, std::move(token));
    auto& items = reply->items;
    if (items.size() < 2)
        co_return unreadable();
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until - Steady::now());
    if (auto caught = co_await catch_up(std::move(items[0].text), left); !caught) {
        release(key, token); // it may have been given
        co_return std::unexpected(std::move(caught).error());
    }
    if (items[1].is_text())
        co_return Lookup{.entry = entry_of(items[1].text), .lease = {}, .holder = {}};
    items.erase(items.begin(), items.begin() + 2);
    co_return settle(std::move(reply), key, std::move(token));
}

Task<Result<Lookup>> RedisStore::watch(llm::Fingerprint key, async::TimeBudget& budget) {
    const async::TimeBudget::Spending spending(budget);
    std::vector<redis::Command> commands;
    commands.push_back(redis::Command("GET").key(core_->keys.entry(key)).idempotent());
    commands.push_back(redis::Command("GET").key(core_->keys.lease(key)).idempotent());
    auto replies = co_await core_->client.pipeline(std::move(commands), budget.left());
    for (auto& reply : replies) {
        if (!reply)
            co_return std::unexpected(std::move(reply).error());
    }
    if (replies.size() != 2)
        co_return unreadable();
    Lookup found;
    if (replies[0]->is_text())
        found.entry = entry_of(replies[0]->text);
    if (is_token(replies[1]->text))
        found.holder = std::move(replies[1]->text);
    co_return found;
}

Task<Result<Lookup>> RedisStore::lease(llm::Fingerprint key, async::TimeBudget& budget) {
    if (!core_->settings.fleet_flight)
        co_return Lookup{};
    if (budget.is_spent())
        co_return spent();
    const async::TimeBudget::Spending spending(budget);
    std::string token = core_->leases.make_token();
    redis::ScriptCall call{.idempotent = true};
    call.keys = {core_->keys.lease(key)};
    call.args = {token, std::to_string(core_->settings.lease.count())};
    auto reply =
        co_await core_->client.script(RedisScripts::all().lease, std::move(call), budget.left());
    co_return settle(std::move(reply), key, std::move(token));
}

/// What the answer of a script that may have given the lease says.
Result<Lookup> RedisStore::settle(Result<redis::Reply> reply, const llm::Fingerprint& key,
                                  std::string token) {
    if (!reply) {
        if (core_->refusal.note(reply.error(), core_->now_us()))
            return Lookup{}; // nobody can have a lease: each node asks for itself
        if (reply.error().code == ErrorCode::kTimeout)
            release(key, token); // it may have been given
        return std::unexpected(std::move(reply).error());
    }
    Lookup found;
    if (reply->is_text()) {
        found.entry = entry_of(reply->text);
        return found;
    }
    auto& items = reply->items;
    if (items.size() != 2 || !is_token(items[1].text))
        return unreadable();
    if (items[0].integer == 1) {
        core_->leases.hold(token, key, core_->now_us());
        found.lease = std::move(token);
    } else {
        found.holder = std::move(items[1].text);
    }
    return found;
}

/// Where purges are not pushed, a look-up that sees another version reads them before it answers.
Task<Result<void>> RedisStore::catch_up(std::string version, std::chrono::microseconds within) {
    if (!core_->purges.is_new(version))
        co_return Result<void>();
    if (within.count() <= 0)
        co_return spent();
    co_return co_await core_->purges.refresh(true, within);
}

Task<Result<bool>> RedisStore::renew(llm::Fingerprint key, std::string lease) {
    if (!core_->leases.holds(lease))
        co_return false;
    redis::ScriptCall call{.idempotent = true};
    call.keys = {core_->keys.lease(key)};
    call.args = {lease, std::to_string(core_->settings.lease.count())};
    auto reply = co_await core_->client.script(RedisScripts::all().renew, std::move(call),
                                               core_->settings.write_within);
    if (!reply)
        co_return std::unexpected(std::move(reply).error());
    if (!core_->leases.holds(lease)) {
        release(key, lease); // it ended meanwhile, and this may have brought it back
        co_return false;
    }
    core_->leases.touch(lease, core_->now_us());
    co_return reply->integer == 1;
}

std::unique_ptr<Store> make_redis_store(redis::Client& client, async::Runtime& runtime,
                                        RedisStoreSettings settings) {
    return std::make_unique<RedisStore>(client, runtime, std::move(settings));
}

} // namespace larder::cache
