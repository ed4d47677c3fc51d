// Where the sums of all nodes and runs are kept. Used by the ledger's own thread, one call at a
// time; calls block.
#pragma once

#include "base/result.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace larder::ledger {

/// The names of the sums in every store, in the order of Totals.
constexpr std::array<std::string_view, 11> kFieldNames = {"hits",
                                                          "misses",
                                                          "stale",
                                                          "coalesced",
                                                          "bypassed",
                                                          "refused",
                                                          "upstream_calls",
                                                          "input_tokens",
                                                          "output_tokens",
                                                          "saved_picodollars",
                                                          "spent_picodollars"};
constexpr std::size_t kFields = kFieldNames.size();
using Sums = std::array<std::int64_t, kFields>;

/// What one node has counted since its last batch.
struct Batch {
    Sums delta{};
    std::uint64_t sequence = 0; // from 1, one more each time
};

/// How often a store wants to hear from a node.
struct Pace {
    std::chrono::milliseconds batch{1000}; // between two batches, and after a failure
    std::chrono::milliseconds read{1000};  // while nothing is counted
};

/// The message of an Error is for the log and /ready: no path, no secret.
class TotalsStore {
public:
    virtual ~TotalsStore() = default;
    /// Adds a batch and gives all sums. After an Error it may or may not have been added: the same
    /// batch under the same sequence number is then given again, and counts once.
    virtual Result<Sums> add(const Batch& batch, std::chrono::milliseconds within) = 0;
    virtual Result<Sums> read(std::chrono::milliseconds within) = 0;
    [[nodiscard]] virtual Pace pace() const { return {}; }
};

/// A sum that stays at its bounds instead of running over them.
std::int64_t add_saturating(std::int64_t a, std::int64_t b);

} // namespace larder::ledger
