// Entries, leases and purges in Redis, shared by all nodes. What the tasks need is in a core that
// they hold, so that none of them uses a store that is gone.
#pragma once

#include "cache/backends.hpp"
#include "cache/envelope.hpp"
#include "cache/held_leases.hpp"
#include "cache/redis_keys.hpp"
#include "cache/redis_purges.hpp"
#include "cache/redis_relay.hpp"
#include "cache/redis_scripts.hpp"
#include "cache/task_queue.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace larder::cache {

/// Remembers that the server refuses to write, until it has taken something or has not been asked
/// for a while. Any thread.
class WriteRefusal {
public:
    /// True when the answer was a refusal.
    bool note(const Error& error, std::int64_t now_us);
    void clear();
    /// Empty when it takes writes.
    [[nodiscard]] std::string reason(std::int64_t now_us) const;

private:
    mutable std::mutex mutex_;
    std::string reason_;
    std::int64_t at_us_ = 0;
};

/// What all tasks of one store use. Any runtime thread.
struct RedisCore {
    RedisCore(redis::Client& its_client, async::Runtime& runtime, RedisStoreSettings its_settings);

    [[nodiscard]] StoreHealth health() const;
    [[nodiscard]] std::int64_t now_ms() const { return settings.clock->epoch_ms(); }
    [[nodiscard]] std::int64_t now_us() const { return settings.clock->steady_us(); }
    /// Tells all nodes, if there is a channel.
    Task<void> publish(std::string message);

    redis::Client& client;
    const RedisStoreSettings settings;
    const redis::Traits traits;
    const RedisKeys keys;
    HeldLeases leases;
    RedisPurges purges;
    RedisRelay relay;
    TaskQueue tasks;
    WriteRefusal refusal;
    std::atomic<std::uint64_t> dropped = 0;
    /// When the channel came up; INT64_MAX while it is lost.
    std::atomic<std::int64_t> up_since_ms = INT64_MAX;
    /// The same, once the purges were read after that.
    std::atomic<std::int64_t> confirmed_since_ms = INT64_MAX;
};

class RedisStore final : public Store {
public:
    RedisStore(redis::Client& client, async::Runtime& runtime, RedisStoreSettings settings);
    ~RedisStore() override;

    [[nodiscard]] bool may_have(const llm::Fingerprint& /*key*/) const override { return true; }
    Task<Result<EntryPtr>> get(llm::Fingerprint key) override;
    Task<Result<Lookup>> look_up(llm::Fingerprint key, bool wants_lease,
                                 async::TimeBudget& budget) override;
    Task<Result<Lookup>> watch(llm::Fingerprint key, async::TimeBudget& budget) override;
    Task<Result<Lookup>> lease(llm::Fingerprint key, async::TimeBudget& budget) override;
    Task<Result<bool>> renew(llm::Fingerprint key, std::string lease) override;
    void release(const llm::Fingerprint& key, const std::string& lease) override;
    void put_leased(const llm::Fingerprint& key, EntryPtr entry, const std::string& lease) override;
    [[nodiscard]] bool has_leases() const override { return core_->settings.fleet_flight; }
    [[nodiscard]] Relay* relay() override;
    [[nodiscard]] std::int64_t confirmed_since_ms() const override;
    void put(const llm::Fingerprint& key, EntryPtr entry) override;
    void erase(const llm::Fingerprint& key) override;
    void purged(const PurgeScope& scope, std::uint64_t generation) override;
    [[nodiscard]] StoreHealth health() const override { return core_->health(); }
    [[nodiscard]] std::uint64_t dropped_writes() const override { return core_->dropped; }
    void stop() override;

private:
    /// The loop that looks at the purges and the health every second.
    struct Keeper;

    Task<Result<Lookup>> read_entry(llm::Fingerprint key, std::chrono::microseconds within);
    Task<Result<Lookup>> read_or_lead(llm::Fingerprint key, std::chrono::microseconds within);
    Result<Lookup> settle(Result<redis::Reply> reply, const llm::Fingerprint& key,
                          std::string token);
    Task<Result<void>> catch_up(std::string version, std::chrono::microseconds within);
    [[nodiscard]] EntryPtr entry_of(std::string_view bytes) const;

    async::Runtime& runtime_;
    std::shared_ptr<RedisCore> core_;
    std::shared_ptr<Keeper> keeper_;
    std::unique_ptr<redis::Subscription> subscription_;
    bool stopped_ = false;
};

} // namespace larder::cache
