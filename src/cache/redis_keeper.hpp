// What a Redis store does beside requests: it listens to the channel, and looks at the purges and
// the health every second. On the runtime's first thread.
#pragma once

#include "cache/redis_store.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>

namespace larder::cache {

struct RedisStore::Keeper : std::enable_shared_from_this<RedisStore::Keeper> {
    Keeper(std::shared_ptr<RedisCore> its_core, asio::io_context& its_context);
    void start();
    /// Ends the loop and waits for that, and for purges that wait, no longer than until then.
    /// From outside the runtime.
    void stop(std::chrono::steady_clock::time_point until);

private:
    static Task<void> run(std::shared_ptr<Keeper> self);
    Task<void> step();
    void tell_health();

    std::shared_ptr<RedisCore> core_;
    asio::io_context& context_;
    async::Signal wakes_;
    StoreHealth told_;
    std::atomic<bool> is_stopping_ = false;
    std::mutex mutex_;
    std::condition_variable ended_;
    bool is_running_ = false;
};

/// Follows the channel of the core's prefix; null where there is none.
std::unique_ptr<redis::Subscription> subscribe(std::shared_ptr<RedisCore> core);

} // namespace larder::cache
