// Counting in cells per thread, and adding the differences to the store in batches.
#include "ledger/ledger.hpp"

#include <algorithm>
#include <limits>

namespace larder::ledger {
namespace {

enum Field : std::size_t { // the outcomes come first, in their order
    kUpstreamCalls = 6,
    kInputTokens,
    kOutputTokens,
    kSaved,
    kSpent,
};

/// Cells are shared only where there are more threads than cells, or where one took another's
/// place; the additions are atomic.
std::size_t cell_of_this_thread() {
    static std::atomic<std::size_t> next = 0;
    static thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
    return mine;
}

/// A call of the store, and all that a stop takes.
constexpr std::chrono::milliseconds kCallWithin{1000};
constexpr std::chrono::milliseconds kStopWithin{2000};
constexpr int kStopTries = 4;

} // namespace

std::int64_t add_saturating(std::int64_t a, std::int64_t b) {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? std::numeric_limits<std::int64_t>::min()
                 : std::numeric_limits<std::int64_t>::max();
}

Ledger::Ledger(std::unique_ptr<TotalsStore> store, LedgerSettings settings)
    : settings_(std::move(settings)), store_(std::move(store)) {
    if (store_ != nullptr)
        writer_ = std::thread([this] { run(); });
}

Ledger::~Ledger() {
    stop();
}

void Ledger::record(const Record& record) noexcept {
    auto& values = cells_[cell_of_this_thread() % kCells].values;
    const auto add = [&values](std::size_t field, std::int64_t amount) {
        if (amount == 0)
            return;
        std::int64_t known = values[field].load(std::memory_order_relaxed);
        while (!values[field].compare_exchange_weak(known, add_saturating(known, amount),
                                                    std::memory_order_relaxed)) {
        }
    };
    if (record.outcome != Outcome::kCall)
        add(static_cast<std::size_t>(record.outcome), 1);
    add(kUpstreamCalls, record.upstream_calls);
    add(kInputTokens, record.input_tokens);
    add(kOutputTokens, record.output_tokens);
    add(kSaved, record.saved_picodollars);
    add(kSpent, record.spent_picodollars);
}

Sums Ledger::counted() const {
    Sums sums{};
    for (const auto& cell : cells_) {
        for (std::size_t i = 0; i < kFields; ++i)
            sums[i] = add_saturating(sums[i], cell.values[i].load(std::memory_order_relaxed));
    }
    return sums;
}

Totals Ledger::to_totals(const Sums& sums) {
    return {.hits = sums[0],
            .misses = sums[1],
            .stale = sums[2],
            .coalesced = sums[3],
            .bypassed = sums[4],
            .refused = sums[5],
            .upstream_calls = sums[kUpstreamCalls],
            .input_tokens = sums[kInputTokens],
            .output_tokens = sums[kOutputTokens],
            .saved_picodollars = sums[kSaved],
            .spent_picodollars = sums[kSpent]};
}

Totals Ledger::totals() const {
    const std::lock_guard lock(mutex_);
    Sums sums = counted(); // under the lock: never less than what was flushed
    for (std::size_t i = 0; i < kFields; ++i)
        sums[i] = add_saturating(in_store_[i], sums[i] - flushed_[i]);
    return to_totals(sums);
}

LedgerHealth Ledger::health() const {
    const std::lock_guard lock(mutex_);
    return health_;
}

void Ledger::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (!stop_by_)
            stop_by_ = Steady::now() + kStopWithin;
        woken_.notify_all();
    }
    if (writer_.joinable())
        writer_.join();
}

void Ledger::run() {
    const Pace pace = settings_.pace.value_or(store_->pace());
    std::unique_lock lock(mutex_);
    while (!stop_by_) {
        lock.unlock();
        flush(pace, kCallWithin);
        lock.lock();
        woken_.wait_for(lock, pace.batch, [this] { return stop_by_.has_value(); });
    }
    const Steady::time_point stop_by = *stop_by_;
    lock.unlock();
    // A batch in doubt is settled first, then comes what was counted since.
    for (int i = 0; i < kStopTries && (pending_ || counted() != flushed_); ++i) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(stop_by - Steady::now());
        if (left.count() <= 0)
            break;
        flush(pace, std::min(left, kCallWithin));
    }
    store_.reset();
}

/// Adds what is new, or what may not have arrived, and takes over what all nodes have.
void Ledger::flush(const Pace& pace, std::chrono::milliseconds within) {
    if (!pending_) {
        const Sums now = counted();
        Sums more{};
        for (std::size_t i = 0; i < kFields; ++i)
            more[i] = now[i] - flushed_[i]; // written by this thread only
        if (more != Sums{})
            pending_ = Batch{.delta = more, .sequence = ++sequence_};
        else if (Steady::now() < read_at_)
            return;
    }
    const Result<Sums> sums = pending_ ? store_->add(*pending_, within) : store_->read(within);
    if (!sums)
        return set_health(false, sums.error().message);
    {
        const std::lock_guard lock(mutex_);
        in_store_ = *sums;
        for (std::size_t i = 0; pending_ && i < kFields; ++i)
            flushed_[i] = add_saturating(flushed_[i], pending_->delta[i]);
    }
    pending_.reset();
    read_at_ = Steady::now() + pace.read;
    set_health(true, {});
}

void Ledger::set_health(bool ok, std::string_view reason) {
    const LedgerHealth now{.ok = ok, .reason = std::string(reason)};
    {
        const std::lock_guard lock(mutex_);
        if (health_.ok == now.ok && health_.reason == now.reason)
            return;
        health_ = now;
    }
    if (settings_.on_health)
        settings_.on_health(now);
}

} // namespace larder::ledger
