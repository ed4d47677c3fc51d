// The limiter of a fleet: counts in Redis, by its clock. All charges of one subject are one atomic
// script; subjects are asked one after the other, and what was taken is given back when a later one
// refuses: never over a limit, though a refusal may be early. Any thread; suspends.
#pragma once

#include "limit/backends.hpp"
#include "limit/limiter.hpp"
#include "limit/redis_scripts.hpp"

#include <memory>

namespace larder::limit {

class RedisLimiter final : public Limiter {
public:
    /// With TimeSource::kArgument the scripts count by the `now_ms` of the calls.
    RedisLimiter(redis::Client& client, async::Runtime& runtime, RedisLimiterSettings settings,
                 TimeSource source = TimeSource::kServer);
    ~RedisLimiter() override;

    std::optional<Decision> try_take(const Rule& rule, std::uint8_t rule_id, Subject subject,
                                     std::int64_t now_ms) override;
    Task<Reservation> reserve(std::vector<Charge> charges, std::int64_t now_ms,
                              async::TimeBudget& budget) override;
    Task<void> cancel(Reservation reservation, std::int64_t now_ms,
                      async::TimeBudget& budget) override;
    [[nodiscard]] LimiterHealth health() const override;
    [[nodiscard]] std::uint64_t degraded_decisions() const override;
    [[nodiscard]] std::size_t subjects() const override;
    /// How many nodes were seen in the last 30 s, as far as known.
    [[nodiscard]] std::int64_t nodes() const;

private:
    struct State;
    std::shared_ptr<State> state_; // also of the tasks that outlive a call
};

} // namespace larder::limit
