// Makes the limiter of a fleet. Included by the wiring and by tests only.
#pragma once

#include "async/runtime.hpp"
#include "base/time.hpp"
#include "limit/limiter.hpp"
#include "redis/client.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace larder::limit {

/// What happens while the store is lost.
enum class StoreLoss : std::uint8_t {
    kLocal,  // each node enforces the max divided by the nodes seen, at least 1
    kOpen,   // everything is allowed, nothing is counted
    kClosed, // everything is refused, for a second each time
};

struct RedisLimiterSettings {
    const Clock& clock;
    StoreLoss on_store_loss = StoreLoss::kLocal;
    std::string node_id;              // of this process, for the count of nodes
    std::string key_prefix = "limit"; // without braces
    MemoryLimits local;               // of the counters while the store is lost
    /// Called once a change, from any thread: for the log.
    std::function<void(const LimiterHealth&)> on_health;
};

/// Counts in Redis, by its clock, for all nodes that share it. Starts without Redis too. `client`
/// outlives the runtime's threads; the limiter may go before or after them.
std::unique_ptr<Limiter> make_redis_limiter(redis::Client& client, async::Runtime& runtime,
                                            RedisLimiterSettings settings);

} // namespace larder::limit
