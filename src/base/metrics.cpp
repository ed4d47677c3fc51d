// Cells per thread, and their sums as Prometheus text. A thread's slot is its own until it ends, so
// that a cell has one writer (but for the shared slot) and an addition needs no locked instruction.
// Any thread.
#include "base/metrics.hpp"

#include "base/result.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace larder::metrics {

namespace internal {

namespace {

std::atomic<std::uint64_t> free_slots = ~std::uint64_t{0};

constexpr std::size_t kNoSlot = kSlots + 1;
thread_local constinit std::size_t current_slot = kNoSlot;

/// Gives the thread's slot back when the thread ends; what later destructors count is shared.
struct SlotOwner {
    std::size_t slot = kSlots;
    SlotOwner() {
        std::uint64_t free = free_slots.load();
        while (free != 0) {
            const int lowest = std::countr_zero(free);
            if (free_slots.compare_exchange_weak(free, free & ~(std::uint64_t{1} << lowest))) {
                slot = static_cast<std::size_t>(lowest);
                return;
            }
        }
    }
    ~SlotOwner() {
        current_slot = kSlots;
        if (slot < kSlots)
            free_slots |= std::uint64_t{1} << slot;
    }
    SlotOwner(const SlotOwner&) = delete;
    SlotOwner& operator=(const SlotOwner&) = delete;
};

std::size_t take_slot() {
    thread_local const SlotOwner owner;
    current_slot = owner.slot;
    return owner.slot;
}

template <class T> T& make_once(std::atomic<T*>& place) {
    T* there = place.load(std::memory_order_acquire);
    if (there != nullptr)
        return *there;
    auto made = std::make_unique<T>();
    if (place.compare_exchange_strong(there, made.get(), std::memory_order_acq_rel,
                                      std::memory_order_acquire))
        return *made.release();
    return *there;
}

} // namespace

std::size_t this_thread_slot() {
    return current_slot == kNoSlot ? take_slot() : current_slot;
}

Cells::~Cells() {
    for (const auto& place : slots_) {
        const std::unique_ptr<Slot> slot(place.load());
        if (!slot)
            continue;
        for (const auto& page : slot->pages)
            delete page.load();
    }
}

Cells::Page& Cells::page(std::size_t slot, std::size_t number) {
    return make_once(make_once(slots_[slot]).pages[number]);
}

void Cells::add(std::size_t cell, std::uint64_t amount) {
    const std::size_t slot = this_thread_slot();
    std::atomic<std::uint64_t>& value =
        page(slot, cell / kCellsPerPage).cells[cell % kCellsPerPage];
    if (slot == kSlots)
        value.fetch_add(amount, std::memory_order_relaxed);
    else
        value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

std::uint64_t Cells::sum(std::size_t cell) const {
    std::uint64_t sum = 0;
    for (const auto& place : slots_) {
        const Slot* const slot = place.load(std::memory_order_acquire);
        if (slot == nullptr)
            continue;
        const Page* const page = slot->pages[cell / kCellsPerPage].load(std::memory_order_acquire);
        if (page != nullptr)
            sum += page->cells[cell % kCellsPerPage].load(std::memory_order_relaxed);
    }
    return sum;
}

} // namespace internal

namespace {

constexpr std::size_t kBoundsMax = 64;
/// The cells of series for which there was no room: enough for the largest histogram.
constexpr std::size_t kSinkCells = kBoundsMax + 2;

constexpr std::int64_t kDefaultBounds[] = {
    10,        25,        50,         100,        250,        500,         1'000,       2'500,
    5'000,     10'000,    25'000,     50'000,     100'000,    250'000,     500'000,     1'000'000,
    2'500'000, 5'000'000, 10'000'000, 25'000'000, 60'000'000, 120'000'000, 300'000'000, 600'000'000,
};

bool is_name(std::string_view name) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !name.empty() && is_letter(name[0]) && std::ranges::all_of(name, [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9');
    });
}

void append_escaped(std::string& out, std::string_view text, bool escapes_quotes) {
    for (const char c : text) {
        if (c == '\\')
            out += "\\\\";
        else if (c == '\n')
            out += "\\n";
        else if (c == '"' && escapes_quotes)
            out += "\\\"";
        else
            out += c;
    }
}

/// `a="b",c="d"`; empty without labels.
std::string label_text(const Labels& labels) {
    std::string text;
    for (const auto& [name, value] : labels) {
        LARDER_ASSERT(is_name(name) && name != "le");
        if (!text.empty())
            text += ',';
        text += name;
        text += "=\"";
        append_escaped(text, value, true);
        text += '"';
    }
    return text;
}

void append_real(std::string& out, double value) {
    if (std::isnan(value)) {
        out += "NaN";
    } else if (std::isinf(value)) {
        out += value > 0 ? "+Inf" : "-Inf";
    } else {
        char digits[32];
        const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
        out.append(digits, end);
    }
}

/// Microseconds as seconds, exactly: 2500 is "0.0025".
std::string seconds_text(std::int64_t us) {
    std::string text = std::to_string(us / 1'000'000);
    const std::int64_t rest = us % 1'000'000;
    if (rest == 0)
        return text;
    const std::string digits = std::to_string(rest);
    text += '.' + std::string(6 - digits.size(), '0') + digits;
    text.erase(text.find_last_not_of('0') + 1);
    return text;
}

/// `name{labels,extra} `
void append_sample(std::string& out, std::string_view name, std::string_view labels,
                   std::string_view extra = {}) {
    out += name;
    if (!labels.empty() || !extra.empty()) {
        out += '{';
        out += labels;
        if (!labels.empty() && !extra.empty())
            out += ',';
        out += extra;
        out += '}';
    }
    out += ' ';
}

} // namespace

std::span<const std::int64_t> default_bounds_us() {
    return kDefaultBounds;
}

Bounds::Bounds(std::span<const std::int64_t> upper_us)
    : upper_us_(upper_us.begin(), upper_us.end()) {
    LARDER_ASSERT(!upper_us_.empty() && upper_us_.size() <= kBoundsMax && upper_us_[0] >= 0);
    LARDER_ASSERT(std::ranges::adjacent_find(upper_us_, std::greater_equal()) == upper_us_.end());
    for (std::size_t width = 0; width < first_.size(); ++width) {
        const std::uint64_t smallest = width == 0 ? 0 : std::uint64_t{1} << (width - 1);
        std::size_t bucket = 0;
        while (bucket < upper_us_.size() &&
               static_cast<std::uint64_t>(upper_us_[bucket]) < smallest)
            ++bucket;
        first_[width] = static_cast<std::uint8_t>(bucket);
    }
}

std::size_t Bounds::bucket_of(std::int64_t us) const {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0));
    std::size_t bucket = first_[static_cast<std::size_t>(std::bit_width(value))];
    while (bucket < upper_us_.size() && static_cast<std::uint64_t>(upper_us_[bucket]) < value)
        ++bucket;
    return bucket;
}

void Histogram::observe_us(std::int64_t us) {
    us = std::max<std::int64_t>(us, 0);
    cells_.add(first_cell_ + bounds_->bucket_of(us), 1);
    cells_.add(first_cell_ + bounds_->size() + 1, static_cast<std::uint64_t>(us));
}

std::uint64_t Histogram::count() const {
    std::uint64_t count = 0;
    for (std::size_t bucket = 0; bucket <= bounds_->size(); ++bucket)
        count += in_bucket(bucket);
    return count;
}

std::int64_t Histogram::sum_us() const {
    return static_cast<std::int64_t>(cells_.sum(first_cell_ + bounds_->size() + 1));
}

std::uint64_t Histogram::in_bucket(std::size_t bucket) const {
    return cells_.sum(first_cell_ + bucket);
}

struct Registry::Series {
    std::string labels;
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
    Read read;
    bool is_left_out = false;
};

struct Registry::Family {
    std::string name;
    std::string help;
    Kind kind = Kind::kCounter;
    std::shared_ptr<const Bounds> bounds;
    std::deque<Series> series;
    std::unordered_map<std::string, Series*> by_labels;
};

Registry::Registry() : cells_taken_(kSinkCells) {}
Registry::~Registry() = default;

Registry::Family& Registry::family(std::string_view name, std::string_view help, Kind kind) {
    std::string key(name);
    if (kind == Kind::kCounter && !name.ends_with("_total"))
        key += "_total";
    if (const auto found = by_name_.find(key); found != by_name_.end()) {
        LARDER_ASSERT(found->second->kind == kind);
        return *found->second;
    }
    LARDER_ASSERT(is_name(key));
    Family& made = families_.emplace_back();
    made.name = key;
    made.help = help;
    made.kind = kind;
    by_name_.emplace(std::move(key), &made);
    return made;
}

Registry::Series& Registry::series(Family& family, const Labels& labels) {
    std::string text = label_text(labels);
    if (const auto found = family.by_labels.find(text); found != family.by_labels.end())
        return *found->second;
    Series& made = family.series.emplace_back();
    made.labels = text;
    family.by_labels.emplace(std::move(text), &made);
    return made;
}

/// The number of the first cell; 0, the sink's, when there is no room.
std::size_t Registry::take_cells(std::size_t count) {
    if (cells_taken_ + count > internal::kCellsMax) {
        ++left_out_;
        return 0;
    }
    return std::exchange(cells_taken_, cells_taken_ + count);
}

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    Series& found = series(family(name, help, Kind::kCounter), labels);
    if (!found.counter) {
        const std::size_t cell = take_cells(1);
        found.is_left_out = cell == 0;
        found.counter = std::make_unique<Counter>(cells_, cell);
    }
    return *found.counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    Series& found = series(family(name, help, Kind::kGauge), labels);
    if (!found.gauge) {
        const std::size_t cell = take_cells(1);
        found.is_left_out = cell == 0;
        found.gauge = std::make_unique<Gauge>(cells_, cell);
    }
    return *found.gauge;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, const Labels& labels,
                               std::span<const std::int64_t> upper_us) {
    const std::lock_guard lock(mutex_);
    Family& its_family = family(name, help, Kind::kHistogram);
    if (!its_family.bounds)
        its_family.bounds = std::make_shared<const Bounds>(upper_us);
    Series& found = series(its_family, labels);
    if (!found.histogram) {
        const std::size_t cell = take_cells(its_family.bounds->size() + 2);
        found.is_left_out = cell == 0;
        found.histogram = std::make_unique<Histogram>(cells_, cell, its_family.bounds);
    }
    return *found.histogram;
}

void Registry::counter(std::string_view name, std::string_view help, const Labels& labels,
                       Read read) {
    const std::lock_guard lock(mutex_);
    series(family(name, help, Kind::kCounter), labels).read = std::move(read);
}

void Registry::gauge(std::string_view name, std::string_view help, const Labels& labels,
                     Read read) {
    const std::lock_guard lock(mutex_);
    series(family(name, help, Kind::kGauge), labels).read = std::move(read);
}

void Registry::write_histogram(std::string& out, const Family& family, const Series& series) {
    const Histogram& histogram = *series.histogram;
    const std::string bucket_name = family.name + "_bucket";
    const std::int64_t sum_us = histogram.sum_us();
    std::uint64_t count = 0;
    for (std::size_t bucket = 0; bucket <= histogram.bounds().size(); ++bucket) {
        const bool is_last = bucket == histogram.bounds().size();
        count += histogram.in_bucket(bucket);
        append_sample(out, bucket_name, series.labels,
                      "le=\"" + (is_last ? "+Inf" : seconds_text(histogram.bounds()[bucket])) +
                          "\"");
        out += std::to_string(count) + '\n';
    }
    append_sample(out, family.name + "_sum", series.labels);
    out += seconds_text(sum_us) + '\n';
    append_sample(out, family.name + "_count", series.labels);
    out += std::to_string(count) + '\n';
}

void Registry::write_series(std::string& out, const Family& family, const Series& series) {
    if (series.is_left_out)
        return;
    if (series.histogram)
        return write_histogram(out, family, series);
    append_sample(out, family.name, series.labels);
    if (series.read)
        append_real(out, series.read());
    else if (series.counter)
        out += std::to_string(series.counter->value());
    else
        out += std::to_string(series.gauge->value());
    out += '\n';
}

std::string Registry::prometheus() const {
    constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const Family& family : families_) {
        out += "# HELP " + family.name + ' ';
        append_escaped(out, family.help, false);
        out += "\n# TYPE " + family.name + ' ';
        out += kKinds[static_cast<std::size_t>(family.kind)];
        out += '\n';
        for (const Series& series : family.series)
            write_series(out, family, series);
    }
    if (left_out_ > 0)
        out += "# HELP larder_metrics_left_out Series for which there was no room\n"
               "# TYPE larder_metrics_left_out gauge\nlarder_metrics_left_out " +
               std::to_string(left_out_) + '\n';
    return out;
}

} // namespace larder::metrics
