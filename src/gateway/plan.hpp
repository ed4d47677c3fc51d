// Which models may answer a request, one after the other, each with what would be sent and its key.
// Lives in the frame of the request.
#pragma once

#include "gateway/gateway.hpp"
#include "gateway/routing.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace larder::gateway {

/// A candidate as it would be asked.
struct Way {
    /// Of a bare one no more than its target: the rest is made when it is needed.
    Prepared prepared;
    bool is_bare = false;
    const provider::FailurePolicy* on = nullptr; // null: whatever happens, no other one is asked
    std::optional<std::chrono::milliseconds> first_byte_timeout = {};
};

struct Plan {
    std::shared_ptr<const Settings> settings;
    RouteChoice choice;
    std::vector<Way> ways; // at least one

    [[nodiscard]] bool is_routed() const { return choice.is_routed(); }
    /// Whether an earlier way has the key that `way` was taken with: its lease is of no use to this
    /// one.
    [[nodiscard]] bool repeats_key(std::size_t way) const;
};

/// What the cache has for a plan.
struct PlanLookUp {
    std::size_t way = 0;        // of `found`
    std::optional<Found> found; // the first fresh one, else the first that may stand in
    Claim claim;                // of the first way
};

/// How a call of a route ended, for those who want to know what was tried.
struct Attempt {
    std::string provider;
    std::string model;
    std::string result; // "200", "503", "timeout", "unavailable", "unreadable", "hit", …
    std::int64_t took_ms = 0;
};

/// Whether a kept answer that has run out may stand in for this end.
[[nodiscard]] bool is_failure(const FlightEnd& end);
/// Whether the next way is to be asked after this end.
[[nodiscard]] bool moves_on(const provider::FailurePolicy* on, const FlightEnd& end);
/// Whether the provider's stream says something in it: comments don't.
[[nodiscard]] bool tells(const Flight::News& news);
[[nodiscard]] std::string result_of(const FlightEnd& end);
/// The end of a way that was given up because no first byte came in its time.
[[nodiscard]] FlightEnd end_without_first_byte(const provider::Target& target,
                                               std::chrono::milliseconds bound);

} // namespace larder::gateway
