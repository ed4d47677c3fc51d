// What was answered, used and saved: counters that any thread adds to without a lock, kept in the
// precious database file by one thread. A file that fails is never deleted; counting goes on.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
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

/// Sums since the file was made; with several programs on one file, of all of them.
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
    std::string path; // empty: in memory only
    std::chrono::milliseconds flush_interval{1000};
    /// Called on the writer's thread when the health changes: for the log.
    std::function<void(const LedgerHealth&)> on_health;
};

class Ledger {
public:
    /// Never fails; the file is opened by a thread of its own, so that the sums of earlier runs
    /// appear shortly after.
    explicit Ledger(LedgerSettings settings);
    ~Ledger();
    Ledger(const Ledger&) = delete;
    Ledger& operator=(const Ledger&) = delete;

    /// Any thread; a few relaxed additions to cells of the thread's own.
    void record(const Record& record) noexcept;
    /// What the file said last, and what was counted here since. Any thread.
    [[nodiscard]] Totals totals() const;
    [[nodiscard]] LedgerHealth health() const;
    /// Writes what waits and closes. Blocking; counting goes on in memory.
    void stop();

private:
    static constexpr std::size_t kFields = 11;
    static constexpr std::size_t kCells = 64;
    using Sums = std::array<std::int64_t, kFields>; // in the order of Totals
    struct alignas(64) Cell {
        std::array<std::atomic<std::int64_t>, kFields> values{};
    };
    struct File;

    static Totals to_totals(const Sums& sums);
    [[nodiscard]] Sums counted() const;
    void run();
    void flush();
    void set_health(bool ok, std::string_view reason);

    const LedgerSettings settings_;
    std::array<Cell, kCells> cells_;

    mutable std::mutex mutex_; // all of these
    std::condition_variable woken_;
    bool stopping_ = false;
    Sums in_file_{};
    Sums flushed_{}; // our part of what is in the file
    LedgerHealth health_;

    std::unique_ptr<File> file_; // the writing thread's own
    std::thread writer_;
};

} // namespace larder::ledger
