// Makes the stores of the sums. Included by the wiring and by tests only.
#pragma once

#include "async/runtime.hpp"
#include "ledger/totals_store.hpp"
#include "redis/client.hpp"

#include <memory>
#include <string>

namespace larder::ledger {

/// One row of the precious database file, which programs may share. Opened when it is needed; a
/// file that fails is never deleted.
std::unique_ptr<TotalsStore> make_sql_totals(std::string path);

struct RedisTotalsSettings {
    std::string prefix = "llm:cache"; // of the cache: those who share it have sums in common
    std::string node;                 // of this process and no earlier one
};

/// The hash `{<prefix>}:totals`. A Redis that lost its data begins the sums anew. `client` and
/// `runtime` outlive what is made, and the runtime runs for as long as it is used.
std::unique_ptr<TotalsStore> make_redis_totals(redis::Client& client, async::Runtime& runtime,
                                               RedisTotalsSettings settings);

} // namespace larder::ledger
