// Chooses and owns what lasts longer than a request: the cache's second tier, limits, sessions.
// The only place that knows which database there is.
#pragma once

#include "api/operation_routes.hpp"
#include "app/config.hpp"
#include "async/runtime.hpp"
#include "base/metrics.hpp"
#include "base/time.hpp"
#include "cache/memory_store.hpp"
#include "cache/store.hpp"
#include "gateway/fill_epochs.hpp"
#include "gateway/purge_table.hpp"
#include "http/client.hpp"
#include "ledger/ledger.hpp"
#include "limit/limiter.hpp"
#include "redis/client.hpp"
#include "session/store.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace larder::app {

/// What the stores tell of other nodes goes here.
struct StoreParts {
    const Clock& clock;
    async::Runtime& runtime;
    cache::MemoryStore& memory;
    gateway::PurgeTable& purges;
    gateway::FillEpochs& epochs;
    http::ProxySettings proxy; // for what is far away
};

class Stores {
public:
    Stores(const Config& config, StoreParts parts);
    ~Stores();
    Stores(const Stores&) = delete;
    Stores& operator=(const Stores&) = delete;

    /// Null: memory only.
    [[nodiscard]] cache::Store* cache() const { return cache_.get(); }
    [[nodiscard]] limit::Limiter& limiter() const { return *limiter_; }
    [[nodiscard]] session::Store& sessions() const { return *sessions_; }
    [[nodiscard]] ledger::Ledger& ledger() const { return *ledger_; }
    /// What a request may wait for them.
    static std::chrono::microseconds budget(const Config& config);
    /// Lines of /ready.
    [[nodiscard]] std::vector<api::Dependency> dependencies() const;
    void register_metrics(metrics::Registry& registry) const;
    /// Why they can't be had as the configuration wants them.
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
    /// Writes what waits, and disconnects. Blocking, from outside the runtime, which still runs.
    void stop();

private:
    void open_embedded(const Config& config, const StoreParts& parts);
    void open_shared(const Config& config, const StoreParts& parts);

    const std::string node_; // of this process, among those that share a store
    std::string kind_;       // of the store, for /ready
    std::optional<Error> failure_;
    std::unique_ptr<redis::Client> redis_; // before all that use it
    std::unique_ptr<cache::Store> cache_;
    std::unique_ptr<limit::Limiter> limiter_;
    std::unique_ptr<session::Store> sessions_;
    std::unique_ptr<ledger::Ledger> ledger_;
};

} // namespace larder::app
