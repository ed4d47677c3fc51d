// Makes the client that the configuration names. Included by the wiring and by tests only.
#pragma once

#include "async/runtime.hpp"
#include "http/client.hpp"
#include "redis/client.hpp"
#include "redis/url.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace larder::redis {

struct RedisSettings {
    Url url;
    std::size_t connections = 2;                     // per thread and server
    std::chrono::milliseconds connect_timeout{1000}; // with TLS and login
    /// What a request waits at most: what takes longer than half of it is slow, whoever asked. 0:
    /// told by the commands' own times.
    std::chrono::milliseconds request_timeout{0};
    /// Called when the health changes, from any thread: for the log.
    std::function<void(const Health&)> on_health;
};

/// Standalone, Sentinel or Cluster, as the URL says. Connects in the background, never fails.
/// kInvalidRequest only for TLS that can't be set up.
Result<std::unique_ptr<Client>> make_redis_client(async::Runtime& runtime, RedisSettings settings);

struct UpstashSettings {
    std::string url;   // https://….upstash.io
    std::string token; // bearer
    http::ProxySettings proxy;
    std::function<void(const Health&)> on_health;
};
/// kInvalidRequest when the URL is none.
Result<std::unique_ptr<Client>> make_upstash_client(async::Runtime& runtime,
                                                    UpstashSettings settings);

} // namespace larder::redis
