// From a route to the list of models that are asked one after the other. Pure decisions over what
// is known of the targets' health; any thread.
#pragma once

#include "gateway/settings.hpp"
#include "protocol/needs.hpp"
#include "provider/breaker.hpp"
#include "provider/health.hpp"
#include "provider/route.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::gateway {

/// A model that may answer, and what holds if it doesn't.
struct RouteCandidate {
    const provider::Provider* provider = nullptr; // points into the catalog
    std::string model;
    std::string deployment;
    std::optional<std::chrono::milliseconds> first_byte_timeout;
    std::optional<int> retries;
    bool is_resting = false; // it has asked to be left alone, and that time is not over
    /// After which failures the next candidate is asked: of the innermost route whose last one this
    /// isn't. nullptr for the last of all.
    const provider::FailurePolicy* on = nullptr;
};

/// The route that a request takes.
struct RouteChoice {
    std::string route; // its name; empty: none was asked for
    provider::RouteMode mode = provider::RouteMode::kSingleModel;
    std::shared_ptr<const provider::Route> made; // one that no file has
    std::vector<RouteCandidate> candidates;      // they point into it, and into the catalog

    [[nodiscard]] bool is_routed() const { return !route.empty(); }
};

/// What a choice depends on beside the route.
struct RouteQuestion {
    protocol::Needs needs;
    bool stream = false;
    std::string_view user;    // for routes that are sticky by user; empty: not said
    std::string_view session; // as `user`
    std::int64_t now_us = 0;  // steady
    std::uint64_t random = 0;
};

/// Shared by all requests: health by target, breakers by provider, and each route's place in its
/// sequence (load-balance).
struct RouteState {
    provider::Breakers& breakers;
    provider::HealthTable& health;
    class RouteCounters& counters;
};

/// How often each route was asked, so that weights are met exactly and not by luck.
class RouteCounters {
public:
    /// The next number of the route's sequence, from 0.
    std::uint64_t next(std::string_view route);

private:
    std::mutex mutex_;
    std::map<std::string, std::uint64_t, std::less<>> counts_; // bounded: begun anew at 4,096
};

/// The candidates in the order in which they are to be asked, each model at a provider once, at
/// most kMostRouteModels. Those that are well come first: no open breaker (one whose probe is due
/// lets it through), not cooling, no key missing (unless the route doesn't go on after that); where
/// none is well, all are chosen from. `fallback`: the file's order. `single-model`: its first
/// target only, well or not; what the others have answered before isn't looked up. `load-balance`:
/// by weight over a low-discrepancy sequence, or by weighted rendezvous hashing of its sticky key;
/// the others follow, heavier ones first. `fastest`: the better of two random ones by peak EWMA,
/// the others by their cost. `cheapest`: by the price of the estimated tokens among those that can
/// do what is asked; unpriced ones after them; those that can't are left out unless none can. A
/// nested route stands where its target stands, as its own list; its weight is the target's, its
/// cost, price and abilities those of its first candidate; it takes a step of its sequence only
/// where its list comes first, else its weights are met by chance.
std::vector<RouteCandidate> order_route(const provider::Catalog& catalog,
                                        const provider::Route& route, const RouteQuestion& question,
                                        const RouteState& state);

/// The route of a request that asks for a mode without naming a route: with `model`, every provider
/// that takes it, the resolved one first; for `fallback` then, and without a model, the targets of
/// the file's first route of that mode; else every provider's best known model.
Result<provider::Route> make_route(const provider::Catalog& catalog, provider::RouteMode mode,
                                   std::string_view provider, std::string_view model);

} // namespace larder::gateway
