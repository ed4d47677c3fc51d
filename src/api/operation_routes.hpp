// What an operator and a dashboard ask: health, readiness, metrics, statistics, providers, purging.
#pragma once

#include "api/context.hpp"
#include "base/metrics.hpp"
#include "gateway/gateway.hpp"
#include "ledger/ledger.hpp"

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace larder::api {

/// One line of /ready.
struct Dependency {
    std::string name; // "store"
    std::string kind; // "sqlite"
    bool ok = true;
    bool degraded = false; // where it is not ok: it goes on in a lesser way
    std::string reason;    // likewise
};

class OperationRoutes {
public:
    struct Parts {
        gateway::Gateway& gateway;
        ledger::Ledger& ledger;
        metrics::Registry& registry;
        std::function<std::vector<Dependency>()> dependencies;
    };
    explicit OperationRoutes(Parts parts) : parts_(std::move(parts)) {}
    Task<void> serve(Context& context);
    /// From now on /ready says "draining".
    void drain() { draining_ = true; }

private:
    [[nodiscard]] http::Response ready() const;
    [[nodiscard]] http::Response cache_stats() const;
    [[nodiscard]] http::Response providers(const provider::Catalog& catalog) const;
    [[nodiscard]] http::Response purge(const http::RequestHead& head) const;

    Parts parts_;
    std::atomic<bool> draining_{false};
};

/// Whatever was answered without a provider: saturates, and takes negative totals as 0.
std::int64_t all_hits(const ledger::Totals& totals);
/// `hitRate` of the contract: a whole percentage, rounded; 0 before the first request.
int hit_rate(std::int64_t hits, std::int64_t misses);
/// "good" above 60, "ok" from 30 to 60 and before the first request, else "review". By the exact
/// rate, not the rounded one.
std::string_view hit_rate_status(std::int64_t hits, std::int64_t misses);
/// "$1.50": two digits, rounded half up.
std::string dollars_text(std::int64_t picodollars);

} // namespace larder::api
