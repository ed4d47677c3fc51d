// Factories of the session stores. Included by the wiring and by tests only.
#pragma once

#include "base/time.hpp"
#include "redis/client.hpp"
#include "session/store.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace larder::session {

struct SqlSessionSettings {
    std::string path;             // the precious file; "" or ":memory:": none, gone at the end
    const Clock* clock = nullptr; // outlives the store
    std::size_t per_user_max = kSessionsPerUserMax;
    std::size_t queue_max = 4096; // calls that wait for the one thread of the file
    /// What a call may wait: the disk's time, not the request's budget for remote stores.
    std::chrono::milliseconds deadline{1000};
    std::chrono::milliseconds retry_interval{1000}; // of opening a file that can't be used
    /// Called on the store's thread when the health changes: for the log.
    std::function<void(const StoreHealth&)> on_health;
};

/// Sessions in the table `sessions` of an SQLite file that others share. Never fails: a file that
/// can't be opened is tried again, and `health` says so meanwhile.
std::unique_ptr<Store> make_sql_sessions(SqlSessionSettings settings);

struct RedisSessionSettings {
    std::string prefix = "session"; // without braces
    std::size_t per_user_max = kSessionsPerUserMax;
};

/// Sessions in Redis, whatever topology or transport `client` has, which outlives the store.
std::unique_ptr<Store> make_redis_sessions(redis::Client& client, RedisSessionSettings settings);

} // namespace larder::session
