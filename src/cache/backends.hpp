// Factories of the stores. Included by the wiring and by tests only: nobody else can know which
// database there is.
#pragma once

#include "base/time.hpp"
#include "cache/store.hpp"

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

} // namespace larder::cache
