// Factories of the stores. Included by the wiring and by tests only: nobody else can know which
// database there is.
#pragma once

#include "async/runtime.hpp"
#include "base/time.hpp"
#include "cache/store.hpp"
#include "redis/client.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace larder::cache {

struct SqlStoreSettings {
    std::string path;                          // the precious file; ours is `<path>-cache`
    std::uint64_t max_size_bytes = 2ULL << 30; // with the log and free pages
    const Clock* clock = nullptr;              // outlives the store
    std::size_t queue_entries_max = 16'384;    // waiting to be written
    std::size_t queue_bytes_max = 64 << 20;
    std::size_t readers = 2;           // threads, with a connection each
    Milliseconds flush_interval{100};  // an entry waits at most this long, and a commit
    Milliseconds retry_interval{1000}; // after a failure
    Milliseconds get_deadline{250};
    /// Called on the writer's thread when the health changes: for the log.
    std::function<void(const StoreHealth&)> on_health;
    /// Called on the writer's thread, maybe before the factory returns and until `stop` has: all
    /// purges in the file when it was opened, before anything is read from it; later those that
    /// were added by this program (with a larger number, if another was faster) or another one.
    std::function<void(std::span<const Purge>)> on_purges;
    std::int64_t max_pages = 0; // for tests: the disk is full beyond
};

/// Entries in an SQLite file of their own, which may be deleted at any time. Never fails: a file
/// that can't be used is tried again, and `health` says so meanwhile.
std::unique_ptr<Store> make_sql_store(SqlStoreSettings settings);

struct RedisStoreSettings {
    std::string prefix = "llm:cache"; // without braces
    const Clock* clock = nullptr;     // outlives the store
    /// Leases, and where messages can be pushed a relay.
    bool fleet_flight = true;
    /// What a look-up outside a budget may take: `get`.
    std::chrono::microseconds within{50'000};
    /// What a write may take, a renewal, and a step of the relay: no request waits for these.
    Milliseconds write_within{1000};
    Milliseconds lease{3000};      // how long a lease lives without being renewed
    Milliseconds refresh{1000};    // between two looks at the purges
    std::size_t writes_max = 4096; // waiting or under way; what comes beyond is dropped
    std::size_t write_bytes_max = 64 << 20;
    /// Called on a runtime thread, maybe on two at once, until `stop` has returned: all purges
    /// found in the database, later those that were added by another node, or by this one with a
    /// larger number.
    std::function<void(std::span<const Purge>)> on_purges;
    /// A node (maybe this one) has put an answer that was asked for at `asked_ms`: what memory
    /// holds of the key and was asked for before that has been overwritten. On a runtime thread.
    std::function<void(const llm::Fingerprint& key, std::int64_t asked_ms)> on_overwritten;
    /// Called on a runtime thread when the health changes: for the log.
    std::function<void(const StoreHealth&)> on_health;
};

/// Entries in Redis, shared by all nodes that have the same prefix. Over a client without push
/// (REST): no relay, and a purge is seen by the look-ups after it. Never fails. `stop` is called
/// from outside while the runtime runs, and before the client's; client and runtime outlive the
/// store.
std::unique_ptr<Store> make_redis_store(redis::Client& client, async::Runtime& runtime,
                                        RedisStoreSettings settings);

} // namespace larder::cache
