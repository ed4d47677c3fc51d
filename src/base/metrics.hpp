// Counters, gauges and histograms in Prometheus text form 0.0.4. Each thread counts in cells of its
// own, so that the hot path is an addition without a lock; the reader adds them up. Labels come
// from the configuration and the route table only. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace larder::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

namespace internal {

inline constexpr std::size_t kSlots =
    64; // threads with cells of their own; one more slot is shared
inline constexpr std::size_t kCellsPerPage = 512;
inline constexpr std::size_t kPagesMax = 256;
inline constexpr std::size_t kCellsMax = kPagesMax * kCellsPerPage;

/// The calling thread's slot, 0 to kSlots; kSlots is shared by the threads that found no other.
std::size_t this_thread_slot();

/// Numbered cells, one of each number per slot. Memory comes with a slot's first use.
class Cells {
public:
    Cells() = default;
    ~Cells();
    Cells(const Cells&) = delete;
    Cells& operator=(const Cells&) = delete;

    void add(std::size_t cell, std::uint64_t amount);
    [[nodiscard]] std::uint64_t sum(std::size_t cell) const;

private:
    struct alignas(64) Page {
        std::array<std::atomic<std::uint64_t>, kCellsPerPage> cells{};
    };
    struct Slot {
        std::array<std::atomic<Page*>, kPagesMax> pages{};
    };
    Page& page(std::size_t slot, std::size_t number);

    std::array<std::atomic<Slot*>, kSlots + 1> slots_{};
};

} // namespace internal

/// Only grows.
class Counter {
public:
    Counter(internal::Cells& cells, std::size_t cell) : cells_(cells), cell_(cell) {}
    void add(std::uint64_t amount = 1) { cells_.add(cell_, amount); }
    [[nodiscard]] std::uint64_t value() const { return cells_.sum(cell_); }

private:
    internal::Cells& cells_;
    std::size_t cell_;
};

/// Either set() or add() is used on one gauge, not both.
class Gauge {
public:
    Gauge(internal::Cells& cells, std::size_t cell) : cells_(cells), cell_(cell) {}
    void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t amount) { cells_.add(cell_, static_cast<std::uint64_t>(amount)); }
    [[nodiscard]] std::int64_t value() const {
        return value_.load(std::memory_order_relaxed) +
               static_cast<std::int64_t>(cells_.sum(cell_));
    }

private:
    internal::Cells& cells_;
    std::size_t cell_;
    std::atomic<std::int64_t> value_ = 0;
};

/// Upper bounds of buckets in microseconds, rising, and where to begin to look for a value.
class Bounds {
public:
    explicit Bounds(std::span<const std::int64_t> upper_us);
    /// The number of the first bucket whose bound is not below `us`; size() when there is none.
    [[nodiscard]] std::size_t bucket_of(std::int64_t us) const;
    [[nodiscard]] std::size_t size() const { return upper_us_.size(); }
    [[nodiscard]] std::int64_t operator[](std::size_t i) const { return upper_us_[i]; }

private:
    std::vector<std::int64_t> upper_us_;
    std::array<std::uint8_t, 65> first_{}; // by the bit width of the value
};

/// Durations, shown in seconds.
class Histogram {
public:
    Histogram(internal::Cells& cells, std::size_t first_cell, std::shared_ptr<const Bounds> bounds)
        : cells_(cells), first_cell_(first_cell), bounds_(std::move(bounds)) {}
    void observe_us(std::int64_t us); // a negative duration counts as 0
    [[nodiscard]] std::uint64_t count() const;
    [[nodiscard]] std::int64_t sum_us() const;
    [[nodiscard]] const Bounds& bounds() const { return *bounds_; }
    /// How many lay in that bucket alone; number bounds().size() holds what is above all bounds.
    [[nodiscard]] std::uint64_t in_bucket(std::size_t bucket) const;

private:
    internal::Cells& cells_;
    std::size_t first_cell_; // the buckets, one above them all, the sum
    std::shared_ptr<const Bounds> bounds_;
};

/// 10 µs to 600 s, two or three to a decade.
std::span<const std::int64_t> default_bounds_us();

/// All metrics of the program. References stay good as long as the registry. The same name and
/// labels give the same object; one name with two kinds is a bug. Beyond the registry's room new
/// series count nowhere and `larder_metrics_left_out` says how many.
class Registry {
public:
    using Read = std::function<double()>; // runs under the registry's lock: it may not register

    Registry();
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    /// `_total` is added to a counter's name where it is missing.
    Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {},
                         std::span<const std::int64_t> upper_us = default_bounds_us());
    /// Read when the text is made; registering again puts the new function in the old one's place.
    void counter(std::string_view name, std::string_view help, const Labels& labels, Read read);
    void gauge(std::string_view name, std::string_view help, const Labels& labels, Read read);

    /// Text form 0.0.4, families in the order of their registration.
    [[nodiscard]] std::string prometheus() const;

private:
    enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
    struct Series;
    struct Family;

    Family& family(std::string_view name, std::string_view help, Kind kind);
    Series& series(Family& family, const Labels& labels);
    std::size_t take_cells(std::size_t count);
    static void write_series(std::string& out, const Family& family, const Series& series);
    static void write_histogram(std::string& out, const Family& family, const Series& series);

    internal::Cells cells_;
    mutable std::mutex mutex_; // of what follows
    std::size_t cells_taken_;
    std::size_t left_out_ = 0;
    std::deque<Family> families_;
    std::unordered_map<std::string, Family*> by_name_;
};

} // namespace larder::metrics
