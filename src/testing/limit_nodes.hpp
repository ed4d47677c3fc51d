// Limiters of tests: several nodes of a fleet on one Redis, each with a client of its own, on the
// threads of one runtime.
#pragma once

#include "limit/redis_limiter.hpp"
#include "redis/backends.hpp"
#include "redis/url.hpp"
#include "testing/run_task.hpp"

#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace larder::testing {

/// What the limiters say of their health, in order.
class HealthLog {
public:
    void add(const limit::LimiterHealth& health) {
        const std::lock_guard lock(mutex_);
        all_.push_back(health.ok ? "ok" : std::string("lost, ") + std::string(health.mode));
    }
    [[nodiscard]] std::vector<std::string> all() const {
        const std::lock_guard lock(mutex_);
        return all_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> all_;
};

class LimitNodes {
public:
    struct Options {
        std::string url;
        std::size_t nodes = 1;
        std::size_t threads = 1;
        limit::StoreLoss on_store_loss = limit::StoreLoss::kLocal;
        limit::TimeSource source = limit::TimeSource::kServer;
    };

    explicit LimitNodes(const Options& options) : runtime(options.threads) {
        for (std::size_t i = 0; i < options.nodes; ++i) {
            auto url = redis::parse_url(options.url);
            auto client = redis::make_redis_client(runtime, {.url = std::move(*url)});
            if (!client)
                std::abort();
            clients.push_back(std::move(*client));
            limiters.push_back(std::make_unique<limit::RedisLimiter>(
                *clients.back(), runtime,
                limit::RedisLimiterSettings{
                    .clock = clock,
                    .on_store_loss = options.on_store_loss,
                    .node_id = "node" + std::to_string(i),
                    .on_health = [this](const auto& health) { log.add(health); }},
                options.source));
        }
    }
    ~LimitNodes() {
        limiters.clear();
        for (const auto& client : clients)
            client->stop();
        runtime.stop();
    }
    LimitNodes(const LimitNodes&) = delete;
    LimitNodes& operator=(const LimitNodes&) = delete;

    /// One reservation on a node and a thread, with its own budget.
    static Task<limit::Reservation> reserve_task(limit::Limiter& limiter,
                                                 std::vector<limit::Charge> charges,
                                                 std::int64_t now_ms,
                                                 std::chrono::microseconds budget_us) {
        async::TimeBudget budget(budget_us);
        co_return co_await limiter.reserve(std::move(charges), now_ms, budget);
    }
    static Task<bool> cancel_task(limit::Limiter& limiter, limit::Reservation reservation,
                                  std::int64_t now_ms) {
        async::TimeBudget budget(std::chrono::seconds(5));
        co_await limiter.cancel(std::move(reservation), now_ms, budget);
        co_return true;
    }
    limit::Reservation reserve(std::vector<limit::Charge> charges, std::int64_t now_ms = 0,
                               std::size_t node = 0,
                               std::chrono::microseconds budget = std::chrono::seconds(5)) {
        return run(runtime.context(0),
                   reserve_task(*limiters[node], std::move(charges), now_ms, budget));
    }
    void cancel(limit::Reservation reservation, std::int64_t now_ms = 0, std::size_t node = 0) {
        run(runtime.context(0), cancel_task(*limiters[node], std::move(reservation), now_ms));
    }

    SystemClock clock;
    HealthLog log;
    async::Runtime runtime;
    std::vector<std::unique_ptr<redis::Client>> clients;
    std::vector<std::unique_ptr<limit::RedisLimiter>> limiters;
};

/// A charge of user `id`.
inline limit::Charge charge(const limit::Rule& rule, std::uint8_t rule_id, std::string id,
                            std::int64_t amount = 1) {
    return {.rule = &rule,
            .rule_id = rule_id,
            .kind = limit::Subject::Kind::kUser,
            .id = std::move(id),
            .amount = amount};
}

} // namespace larder::testing
