// What is the same for every database: errors, transactions, migrations.
#include "sql/database.hpp"

#include <array>

namespace larder::sql {
namespace {

struct FailureName {
    Failure failure;
    std::string_view code;
    std::string_view reason;
};

constexpr std::array kFailureNames{
    FailureName{Failure::kOther, "store_failed", "the database refused a statement"},
    FailureName{Failure::kBusy, "store_busy", "the database is locked by another program"},
    FailureName{Failure::kCorrupt, "store_corrupt", "the database file is corrupt"},
    FailureName{Failure::kFull, "store_full", "the disk is full"},
    FailureName{Failure::kIo, "store_io", "the disk can't be read or written"},
    FailureName{Failure::kReadOnly, "store_read_only", "the database may not be written"},
    FailureName{Failure::kCannotOpen, "store_unopened", "the database file can't be opened"},
};

} // namespace

Error make_error(Failure failure, std::string_view doing) {
    Error error{.code = ErrorCode::kStore};
    error.message = std::string(doing) + ": " + std::string(describe(failure));
    error.detail = kFailureNames[static_cast<std::size_t>(failure)].code;
    return error;
}

Failure failure_of(const Error& error) {
    for (const auto& name : kFailureNames) {
        if (error.detail == name.code)
            return name.failure;
    }
    return Failure::kOther;
}

std::string_view describe(Failure failure) {
    return kFailureNames[static_cast<std::size_t>(failure)].reason;
}

Result<void> Statement::run() {
    for (;;) {
        auto row = step();
        if (!row || !*row) {
            reset();
            if (!row)
                return std::unexpected(std::move(row).error());
            return {};
        }
    }
}

Result<std::int64_t> Database::query_integer(std::string_view text) {
    LARDER_TRY(auto statement, prepare(text));
    LARDER_TRY(auto has_row, statement->step());
    if (!has_row)
        return std::unexpected(make_error(Failure::kOther, "no row"));
    return statement->integer(0);
}

Result<Transaction> Transaction::begin(Database& database) {
    LARDER_CHECK(database.execute("BEGIN IMMEDIATE"));
    return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
    if (database_ != nullptr)
        (void)database_->execute("ROLLBACK");
}

Result<void> Transaction::commit() {
    LARDER_ASSERT(database_ != nullptr);
    LARDER_CHECK(database_->execute("COMMIT")); // if not, the destructor rolls back
    database_ = nullptr;
    return {};
}

Result<void> migrate(Database& database, std::string_view room,
                     std::span<const Migration> migrations) {
    const std::int64_t last = migrations.empty() ? 0 : migrations.back().number;
    const auto read_reached = [&]() -> Result<std::int64_t> {
        LARDER_TRY(auto select, database.prepare("SELECT coalesce(max(number), 0) FROM "
                                                 "schema_migrations WHERE room = ?1"));
        LARDER_CHECK(select->bind_text(1, room).step());
        return select->integer(0);
    };
    // The usual case first, without taking the write lock.
    if (auto reached = read_reached(); reached && *reached == last)
        return {};

    LARDER_TRY(auto transaction, Transaction::begin(database));
    LARDER_CHECK(database.execute("CREATE TABLE IF NOT EXISTS schema_migrations (room TEXT, number "
                                  "INTEGER, PRIMARY KEY (room, number))"));
    LARDER_TRY(auto reached, read_reached());
    if (reached > last)
        return std::unexpected(make_error(Failure::kOther, "the file is of a newer version"));
    for (const auto& migration : migrations) {
        if (migration.number <= reached)
            continue;
        LARDER_CHECK(database.execute(std::string(migration.statements)));
        LARDER_TRY(auto note, database.prepare(
                                  "INSERT INTO schema_migrations (room, number) VALUES (?1, ?2)"));
        LARDER_CHECK(note->bind_text(1, room).bind(2, migration.number).run());
    }
    return transaction.commit();
}

} // namespace larder::sql
