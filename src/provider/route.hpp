// Routes as data: which models may answer a request, in which order they are tried, and after which
// failures the next one is. Immutable, any thread.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::provider {

enum class RouteMode : std::uint8_t {
    kSingleModel,
    kFallback,
    kLoadBalance,
    kFastest,
    kCheapest,
};
/// "single-model", "fallback", "load-balance", "fastest", "cheapest".
std::string_view name_of(RouteMode mode);
std::optional<RouteMode> route_mode_named(std::string_view name);

/// Whose requests stay with one target as long as it is well.
enum class Sticky : std::uint8_t { kNone, kSession, kUser };

/// After which failures of a target the next one is asked.
struct FailurePolicy {
    /// From and to, both included.
    std::vector<std::pair<int, int>> statuses{{408, 408}, {429, 429}, {500, 599}};
    bool connection = true;   // it can't be reached, or its breaker is open
    bool timeout = true;      // no first byte, or not all of it, in its time
    bool unreadable = true;   // its answer is none of its API
    bool unconfigured = true; // its key is missing

    [[nodiscard]] bool covers_status(int status) const;
    [[nodiscard]] bool covers(ErrorCode code) const;
};

/// A model at a provider, or another route.
struct RouteTarget {
    std::string route; // empty: a model
    std::string provider;
    std::string model;
    std::uint32_t weight = 1; // load-balance
    std::string deployment;   // targets of one name share cached answers
    std::optional<std::chrono::milliseconds> first_byte_timeout; // else the route's
    std::optional<int> retries; // else none, but for the last target: its provider's
};

struct Route {
    std::string name;
    RouteMode mode = RouteMode::kFallback;
    std::vector<RouteTarget> targets;
    FailurePolicy on;
    Sticky sticky = Sticky::kNone;
    std::optional<std::chrono::milliseconds> first_byte_timeout; // else the provider's own
};

/// Routes nest no deeper, and no route has more models with those of the routes below it.
inline constexpr int kDeepestRoute = 8;
inline constexpr std::size_t kMostRouteModels = 64;

} // namespace larder::provider
