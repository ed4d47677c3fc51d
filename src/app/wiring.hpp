// Owns everything in order and connects it: stores, limiter, gateway, API, server. The only place
// where backends are chosen.
#pragma once

#include "api/application.hpp"
#include "app/config.hpp"
#include "app/stores.hpp"
#include "async/runtime.hpp"
#include "base/budget.hpp"
#include "base/metrics.hpp"
#include "base/time.hpp"
#include "cache/memory_store.hpp"
#include "gateway/gateway.hpp"
#include "http/server.hpp"

#include <memory>
#include <string>

namespace larder::app {

/// One running Larder.
class Larder {
public:
    Larder(Config config, const Environment& environment);
    ~Larder(); // as `stop`
    Larder(const Larder&) = delete;
    Larder& operator=(const Larder&) = delete;

    /// Begins to serve. An Error says what is in the way (a port that is taken).
    Result<void> start();
    [[nodiscard]] std::string address() const { return server_->address(); }
    /// Takes over what a reload may change: providers, models, prices, keys, limits, cache rules,
    /// CORS, proxies, the log level. What needs a restart is logged.
    void reload(Config config);
    /// Takes no new work, ends what is under way within `server.drain`, writes what is waiting.
    /// Blocking; from outside the runtime.
    void stop();

private:
    [[nodiscard]] std::shared_ptr<const api::Settings> make_settings(const Config& config);
    void register_gauges();

    SystemClock clock_;
    Config config_;
    std::uint64_t generation_ = 0;
    bool stopped_ = false;

    metrics::Registry registry_;
    MemoryBudget budget_;
    cache::MemoryStore memory_;
    gateway::PurgeTable purges_; // these two before the stores, which tell them of other nodes
    gateway::FillEpochs epochs_;
    async::Runtime runtime_;
    Stores stores_;
    gateway::Gateway gateway_;
    api::SettingsHolder settings_;
    api::LlmRoutes llm_routes_;
    api::EmbeddingRoutes embedding_routes_;
    api::ExplainRoutes explain_routes_;
    api::PassRoutes pass_routes_;
    api::OperationRoutes operation_routes_;
    api::SessionRoutes session_routes_;
    api::WorkflowRoutes workflow_routes_;
    api::Application application_;
    std::unique_ptr<http::Server> server_;
};

} // namespace larder::app
