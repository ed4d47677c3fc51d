// What was answered, used and saved: counters that any thread adds to without a lock, brought to
// the store in batches by one thread. Without its store counting goes on.
#pragma once

#include "ledger/totals_store.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace larder::ledger {

/// How a request was answered; kCall: a provider's call alone, no request.
enum class Outcome : std::uint8_t { kHit, kMiss, kStale, kCoalesced, kBypassed, kRefused, kCall };

/// One answered request.
struct Record {
    Outcome outcome = Outcome::kMiss;
    std::int64_t upstream_calls = 0;
    std::int64_t input_tokens = 0;
    std::int64_t output_tokens = 0;
    std::int64_t saved_picodollars = 0;
    std::int64_t spent_picodollars = 0;
};

/// Sums since the store was made, of all nodes and programs that share it.
struct Totals {
    std::int64_t hits = 0;
    std::int64_t misses = 0;
    std::int64_t stale = 0;
    std::int64_t coalesced = 0;
    std::int64_t bypassed = 0;
    std::int64_t refused = 0;
    std::int64_t upstream_calls = 0;
    std::int64_t input_tokens = 0;
    std::int64_t output_tokens = 0;
    std::int64_t saved_picodollars = 0;
    std::int64_t spent_picodollars = 0;
    bool operator==(const Totals&) const = default;
};

struct LedgerHealth {
    bool ok = true;
    std::string reason; // empty when ok; never a path
};

struct LedgerSettings {
    std::optional<Pace> pace; // by default the store's own
    /// Called on the writer's thread when the health changes: for the log.
    std::function<void(const LedgerHealth&)> on_health;
};

class Ledger {
public:
    /// Never fails; a null store: in memory only. The store is used by a thread of its own, so that
    /// the sums of earlier runs appear shortly after.
    explicit Ledger(std::unique_ptr<TotalsStore> store, LedgerSettings settings = {});
    ~Ledger();
    Ledger(const Ledger&) = delete;
    Ledger& operator=(const Ledger&) = delete;

    /// Any thread; a few relaxed additions to cells of the thread's own.
    void record(const Record& record) noexcept;
    /// What the store said last, and what was counted here since. Any thread.
    [[nodiscard]] Totals totals() const;
    [[nodiscard]] LedgerHealth health() const;
    /// Writes what waits, within 2 s, and closes. Blocking; counting goes on in memory.
    void stop();

private:
    using Steady = std::chrono::steady_clock;
    static constexpr std::size_t kCells = 64;
    struct alignas(64) Cell {
        std::array<std::atomic<std::int64_t>, kFields> values{};
    };

    static Totals to_totals(const Sums& sums);
    [[nodiscard]] Sums counted() const;
    void run();
    void flush(const Pace& pace, std::chrono::milliseconds within);
    void set_health(bool ok, std::string_view reason);

    const LedgerSettings settings_;
    std::array<Cell, kCells> cells_;

    mutable std::mutex mutex_; // all of these
    std::condition_variable woken_;
    std::optional<Steady::time_point> stop_by_; // set: it stops
    Sums in_store_{};
    Sums flushed_{}; // our part of what is in the store
    LedgerHealth health_;

    std::unique_ptr<TotalsStore> store_; // the writing thread's own, as all below
    std::optional<Batch> pending_;       // sent, or about to be; known to be in the store: none
    std::uint64_t sequence_ = 0;         // of the last batch
    Steady::time_point read_at_{};       // next, while nothing is counted
    std::thread writer_;
};

} // namespace larder::ledger
