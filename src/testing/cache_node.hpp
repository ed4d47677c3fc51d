// A node of a fleet as its store sees it: a client of its own, and what the store has told it.
// Several of them share one runtime. And a fleet of two on a real server.
#pragma once

#include "cache/backends.hpp"
#include "cache/redis_keys.hpp"
#include "redis/backends.hpp"
#include "testing/redis_server.hpp"
#include "testing/run_task.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace larder::testing {

struct CacheNodeSettings {
    cache::RedisStoreSettings store;
    std::chrono::milliseconds budget{20'000}; // of a look-up: slow machines
};

class CacheNode {
public:
    using Settings = CacheNodeSettings;
    struct Overwritten {
        llm::Fingerprint key{};
        std::int64_t asked_ms = 0;
    };

    CacheNode(async::Runtime& runtime, std::unique_ptr<redis::Client> client, Settings settings)
        : runtime_(runtime), budget_(settings.budget), client_(std::move(client)) {
        auto own = std::move(settings.store);
        own.clock = own.clock == nullptr ? &clock_ : own.clock;
        own.on_purges = [this](std::span<const cache::Purge> purges) {
            const std::lock_guard lock(mutex_);
            for (const auto& purge : purges)
                purges_.merge(purge);
        };
        own.on_overwritten = [this](const llm::Fingerprint& key, std::int64_t asked_ms) {
            const std::lock_guard lock(mutex_);
            overwritten_.push_back({key, asked_ms});
        };
        own.on_health = [this](const cache::StoreHealth& health) {
            const std::lock_guard lock(mutex_);
            healths_.push_back(health);
        };
        store_ = cache::make_redis_store(*client_, runtime_, std::move(own));
    }
    ~CacheNode() {
        store_->stop();
        client_->stop();
    }
    CacheNode(const CacheNode&) = delete;
    CacheNode& operator=(const CacheNode&) = delete;

    [[nodiscard]] cache::Store& store() { return *store_; }
    [[nodiscard]] redis::Client& client() { return *client_; }
    [[nodiscard]] std::size_t threads() const { return runtime_.size(); }

    /// Starts a look-up on a thread and goes on.
    std::future<Result<cache::Lookup>> start_look_up(const llm::Fingerprint& key, bool wants_lease,
                                                     std::size_t thread = 0) {
        return start(runtime_.context(thread % runtime_.size()),
                     look_up_there(*store_, key, wants_lease, budget_));
    }
    Result<cache::Lookup> look_up(const llm::Fingerprint& key, bool wants_lease = true) {
        return finish(start_look_up(key, wants_lease));
    }
    Result<cache::Lookup> lease(const llm::Fingerprint& key) {
        return run(runtime_.context(0), lease_there(*store_, key, budget_));
    }
    Result<cache::EntryPtr> get(const llm::Fingerprint& key) {
        return run(runtime_.context(0), store_->get(key));
    }
    Result<bool> renew(const llm::Fingerprint& key, const std::string& lease) {
        return run(runtime_.context(0), store_->renew(key, lease));
    }
    Result<void> relay_write(const llm::Fingerprint& key, const std::string& lease,
                             std::vector<std::string> pieces,
                             std::optional<std::string> end = std::nullopt) {
        return run(runtime_.context(0),
                   store_->relay()->write(key, lease, std::move(pieces), std::move(end)));
    }
    /// `cursor` must outlive the reading.
    std::future<Result<cache::RelayNews>>
    start_relay_read(const llm::Fingerprint& key, const std::string& holder, std::string& cursor,
                     std::chrono::milliseconds within, std::size_t thread = 0) {
        return start(runtime_.context(thread % runtime_.size()),
                     store_->relay()->read(key, holder, cursor, within));
    }
    Result<cache::RelayNews> relay_read(const llm::Fingerprint& key, const std::string& holder,
                                        std::string& cursor, std::chrono::milliseconds within) {
        return finish(start_relay_read(key, holder, cursor, within));
    }

    [[nodiscard]] bool has(const llm::Fingerprint& key) {
        const auto got = get(key);
        return got && *got != nullptr;
    }
    /// The body of what the store has; "-" for nothing.
    [[nodiscard]] std::string body(const llm::Fingerprint& key) {
        const auto got = get(key);
        return got && *got != nullptr ? std::string((*got)->body.view()) : "-";
    }
    [[nodiscard]] bool is_confirmed() const { return store_->confirmed_since_ms() != INT64_MAX; }
    /// The generation that the node was told for a scope.
    [[nodiscard]] std::uint64_t purge_of(const cache::PurgeScope& scope) const {
        const std::lock_guard lock(mutex_);
        return purges_.of(scope);
    }
    [[nodiscard]] std::vector<Overwritten> overwritten() const {
        const std::lock_guard lock(mutex_);
        return overwritten_;
    }
    [[nodiscard]] std::vector<cache::StoreHealth> healths() const {
        const std::lock_guard lock(mutex_);
        return healths_;
    }

private:
    static Task<Result<cache::Lookup>> look_up_there(cache::Store& store, llm::Fingerprint key,
                                                     bool wants_lease,
                                                     std::chrono::milliseconds total) {
        async::TimeBudget budget(total);
        co_return co_await store.look_up(key, wants_lease, budget);
    }
    static Task<Result<cache::Lookup>> lease_there(cache::Store& store, llm::Fingerprint key,
                                                   std::chrono::milliseconds total) {
        async::TimeBudget budget(total);
        co_return co_await store.lease(key, budget);
    }

    async::Runtime& runtime_;
    SystemClock clock_;
    const std::chrono::milliseconds budget_;
    mutable std::mutex mutex_;
    cache::PurgeSet purges_;
    std::vector<Overwritten> overwritten_;
    std::vector<cache::StoreHealth> healths_;
    std::unique_ptr<redis::Client> client_;
    std::unique_ptr<cache::Store> store_;
};

/// Two nodes on one real server; the settings may be changed before `open`.
class CacheFleet {
public:
    explicit CacheFleet(std::vector<std::string> server_words = {})
        : server(std::move(server_words)), runtime(2) {
        settings.store.within = std::chrono::seconds(20); // slow machines
        settings.store.write_within = Milliseconds(20'000);
        settings.store.refresh = Milliseconds(50);
        settings.store.lease = Milliseconds(60'000);
    }
    /// False when the nodes never hear each other.
    [[nodiscard]] bool open() {
        one = make_node();
        two = make_node();
        return eventually([this] { return one->is_confirmed() && two->is_confirmed(); });
    }
    [[nodiscard]] std::unique_ptr<CacheNode> make_node() {
        auto client =
            redis::make_redis_client(runtime, {.url = redis::parse_url(server.url()).value()});
        return std::make_unique<CacheNode>(runtime, *std::move(client), settings);
    }

    RedisServer server;
    async::Runtime runtime;
    CacheNodeSettings settings;
    const cache::RedisKeys keys{"llm:cache"};
    std::unique_ptr<CacheNode> one;
    std::unique_ptr<CacheNode> two;
};

inline llm::Fingerprint cache_key(std::uint64_t number) {
    return sha256("key " + std::to_string(number));
}

/// An entry that lives from now on.
inline std::shared_ptr<cache::Entry>
cache_entry(std::string_view body, std::int64_t asked_ms = 0,
            std::chrono::milliseconds lives = std::chrono::minutes(10)) {
    const std::int64_t now = SystemClock().epoch_ms();
    auto entry = std::make_shared<cache::Entry>();
    entry->asked_ms = asked_ms == 0 ? now : asked_ms;
    entry->created_ms = now;
    entry->fresh_until_ms = now + lives.count();
    entry->stale_until_ms = now + lives.count();
    entry->name_space = "default";
    entry->model = "gpt-4o-mini";
    entry->body = body;
    return entry;
}

} // namespace larder::testing
