// One log line and a few counts for every request. Labels come from the route table only. Any
// thread.
#pragma once

#include "api/context.hpp"
#include "base/metrics.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace larder::api {

class Telemetry {
public:
    explicit Telemetry(metrics::Registry& registry);
    /// Called once, when the exchange is over.
    void record(const Context& context);

private:
    struct RouteMetrics {
        std::array<metrics::Counter*, 6> by_status_class{}; // 0: the client went away; 2 to 5
        metrics::Histogram* seconds = nullptr;
    };
    struct OutcomeMetrics {
        std::string_view name;
        metrics::Counter* requests = nullptr;
        metrics::Histogram* added_seconds = nullptr;
    };
    RouteMetrics& of(const Route* route);
    OutcomeMetrics* of(std::string_view outcome);

    metrics::Counter* moves_ = nullptr;
    std::vector<RouteMetrics> routes_; // as in the route table; the last one: no route
    std::array<OutcomeMetrics, 5> outcomes_;
};

} // namespace larder::api
