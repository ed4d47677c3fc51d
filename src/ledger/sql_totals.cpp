// The sums as one row of an SQLite file, which several programs may share.
#include "ledger/sql_totals.hpp"

#include "ledger/backends.hpp"
#include "sql/sqlite.hpp"

#include <array>
#include <utility>

namespace larder::ledger {
namespace {

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

} // namespace

/// The open file.
struct SqlTotals::File {
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

SqlTotals::SqlTotals(std::string path) : path_(std::move(path)) {}

SqlTotals::~SqlTotals() = default;

Result<Sums> SqlTotals::add(const Batch& batch, std::chrono::milliseconds /*within*/) {
    return with_file(&batch);
}

Result<Sums> SqlTotals::read(std::chrono::milliseconds /*within*/) {
    return with_file(nullptr);
}

Result<Sums> SqlTotals::with_file(const Batch* batch) {
    auto sums = [&]() -> Result<Sums> {
        if (file_ == nullptr) {
            LARDER_TRY(file_, File::open(path_));
        }
        return batch == nullptr ? file_->read() : file_->add(batch->delta);
    }();
    if (sums)
        return sums;
    // A file that is only locked stays open; any other trouble may end with a file that is put
    // right by hand.
    const auto failure = sql::failure_of(sums.error());
    if (failure != sql::Failure::kBusy)
        file_.reset();
    return fail(ErrorCode::kStore, std::string(sql::describe(failure)));
}

std::unique_ptr<TotalsStore> make_sql_totals(std::string path) {
    return std::make_unique<SqlTotals>(std::move(path));
}

} // namespace larder::ledger
