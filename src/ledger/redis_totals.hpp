// The sums of a fleet in Redis: one script adds a batch and gives all sums. The sequence number of
// a node's last batch stands beside them for a day, so that one whose answer was lost can be sent
// again. One thread, which waits while a runtime thread asks.
#pragma once

#include "async/runtime.hpp"
#include "ledger/backends.hpp"
#include "ledger/totals_store.hpp"
#include "redis/client.hpp"

#include <string>

namespace larder::ledger {

class RedisTotals final : public TotalsStore {
public:
    RedisTotals(redis::Client& client, async::Runtime& runtime, RedisTotalsSettings settings);
    Result<Sums> add(const Batch& batch, std::chrono::milliseconds within) override;
    Result<Sums> read(std::chrono::milliseconds within) override;
    /// Over REST each command is billed: fewer batches, and rarely a look while nothing happens.
    [[nodiscard]] Pace pace() const override;

private:
    Result<Sums> run(Task<Result<redis::Reply>> task, std::chrono::milliseconds within);

    redis::Client& client_;
    async::Runtime& runtime_;
    const std::string totals_key_;
    const std::string node_key_;
};

/// The sums of HMGET over kFieldNames. What is no number, or below 0, counts as 0.
Result<Sums> read_sums(const redis::Reply& reply);

} // namespace larder::ledger
