// Counting in cells per thread, and adding the differences to one row of the file every second.
#include "ledger/ledger.hpp"

#include "sql/sqlite.hpp"

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

constexpr std::array kMigrations{sql::Migration{1, R"(
CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hits INTEGER NOT NULL DEFAULT 0,
    misses INTEGER NOT NULL DEFAULT 0,
    stale INTEGER NOT NULL DEFAULT 0,
    coalesced INTEGER NOT NULL DEFAULT 0,
    bypassed INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    upstream_calls INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    saved_picodollars INTEGER NOT NULL DEFAULT 0,
    spent_picodollars INTEGER NOT NULL DEFAULT 0
);
INSERT INTO totals (id) VALUES (1);
)"}};

std::int64_t add_saturating(std::int64_t a, std::int64_t b) {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? std::numeric_limits<std::int64_t>::min()
                 : std::numeric_limits<std::int64_t>::max();
}

/// Cells are shared only where there are more threads than cells, or where one took another's
/// place; the additions are atomic.
std::size_t cell_of_this_thread() {
    static std::atomic<std::size_t> next = 0;
    static thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
    return mine;
}

} // namespace

/// The row in the file.
struct Ledger::File {
    std::unique_ptr<sql::Database> database;
    std::unique_ptr<sql::Statement> select;
    std::unique_ptr<sql::Statement> update;

    static Result<std::unique_ptr<File>> open(const std::string& path) {
        auto file = std::make_unique<File>();
        LARDER_TRY(file->database, sql::open_sqlite({.path = path, .page_cache_kib = 64}));
        LARDER_CHECK(sql::migrate(*file->database, "ledger", kMigrations));
        LARDER_TRY(file->select,
                   file->database->prepare(
                       "SELECT hits, misses, stale, coalesced, bypassed, refused, upstream_calls, "
                       "input_tokens, output_tokens, saved_picodollars, spent_picodollars FROM "
                       "totals WHERE id = 1"));
        LARDER_TRY(file->update,
                   file->database->prepare(
                       "UPDATE totals SET hits = ?1, misses = ?2, stale = ?3, coalesced = ?4, "
                       "bypassed = ?5, refused = ?6, upstream_calls = ?7, input_tokens = ?8, "
                       "output_tokens = ?9, saved_picodollars = ?10, spent_picodollars = ?11 "
                       "WHERE id = 1"));
        return file;
    }

    Result<Sums> read() {
        Sums sums{};
        auto row = select->step();
        for (std::size_t i = 0; row && *row && i < kFields; ++i)
            sums[i] = select->integer(static_cast<int>(i));
        select->reset();
        if (!row)
            return std::unexpected(std::move(row).error());
        if (!*row)
            return std::unexpected(sql::make_error(sql::Failure::kOther, "no totals"));
        return sums;
    }

    /// Adds under the write lock, so that programs on one file add up; here rather than in SQL,
    /// where an overflow would turn the sum into a floating-point number.
    Result<Sums> add(const Sums& more) {
        LARDER_TRY(auto transaction, sql::Transaction::begin(*database));
        LARDER_TRY(Sums sums, read());
        for (std::size_t i = 0; i < kFields; ++i) {
            sums[i] = add_saturating(sums[i], more[i]);
            update->bind(static_cast<int>(i) + 1, sums[i]);
        }
        LARDER_CHECK(update->run());
        LARDER_CHECK(transaction.commit());
        return sums;
    }
};

Ledger::Ledger(LedgerSettings settings) : settings_(std::move(settings)) {
    if (!settings_.path.empty())
        writer_ = std::thread([this] { run(); });
}

Ledger::~Ledger() {
    stop();
}

void Ledger::record(const Record& record) noexcept {
    auto& values = cells_[cell_of_this_thread() % kCells].values;
    const auto add = [&values](std::size_t field, std::int64_t amount) {
        if (amount != 0)
            values[field].fetch_add(amount, std::memory_order_relaxed);
    };
    if (record.outcome != Outcome::kCall)
        add(static_cast<std::size_t>(record.outcome), 1);
    add(kUpstreamCalls, record.upstream_calls);
    add(kInputTokens, record.input_tokens);
    add(kOutputTokens, record.output_tokens);
    add(kSaved, record.saved_picodollars);
    add(kSpent, record.spent_picodollars);
}

Ledger::Sums Ledger::counted() const {
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
        sums[i] = add_saturating(in_file_[i], sums[i] - flushed_[i]);
    return to_totals(sums);
}

LedgerHealth Ledger::health() const {
    const std::lock_guard lock(mutex_);
    return health_;
}

void Ledger::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        woken_.notify_all();
    }
    if (writer_.joinable())
        writer_.join();
}

void Ledger::run() {
    bool last = false;
    while (!last) {
        {
            const std::lock_guard lock(mutex_);
            last = stopping_;
        }
        flush();
        std::unique_lock lock(mutex_);
        if (!last)
            woken_.wait_for(lock, settings_.flush_interval, [this] { return stopping_; });
    }
    file_.reset();
}

/// Opens the file where that is needed, adds what is new, and reads what others have added.
void Ledger::flush() {
    auto flushed = [this]() -> Result<void> {
        if (file_ == nullptr) {
            LARDER_TRY(file_, File::open(settings_.path));
        }
        const Sums now = counted();
        Sums more{};
        for (std::size_t i = 0; i < kFields; ++i)
            more[i] = now[i] - flushed_[i]; // written by this thread only
        LARDER_TRY(const Sums in_file, more == Sums{} ? file_->read() : file_->add(more));
        const std::lock_guard lock(mutex_);
        in_file_ = in_file;
        flushed_ = now;
        return {};
    }();
    if (flushed)
        return set_health(true, {});
    // A file that is only locked stays open; any other trouble may end with a file that is put
    // right by hand.
    const auto failure = sql::failure_of(flushed.error());
    if (failure != sql::Failure::kBusy)
        file_.reset();
    set_health(false, sql::describe(failure));
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
