// The port to an SQL database: statements, transactions, numbered migrations. Blocking.
// A connection and its statements belong to one thread at a time.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace larder::sql {

/// Why the database failed, as its user must treat it.
enum class Failure : std::uint8_t {
    kOther,      // wrong SQL, a constraint, a foreign schema
    kBusy,       // another connection holds the lock for longer than the time-out
    kCorrupt,    // the file is not a database, or no longer one
    kFull,       // the disk, or the bound on pages
    kIo,         // reading or writing failed
    kReadOnly,   // may not be written
    kCannotOpen, // no such directory, no right to it
};

/// An Error{kStore} that carries `failure`; its message never holds a path or a value.
Error make_error(Failure failure, std::string_view doing);
/// What `make_error` put in; kOther for any other error.
Failure failure_of(const Error& error);
/// A short reason for people: "the disk is full".
std::string_view describe(Failure failure);

/// A prepared statement. Parameters count from 1, columns from 0.
/// What is bound must live until the next `reset`: nothing is copied.
class Statement {
public:
    virtual ~Statement() = default;
    virtual Statement& bind(int index, std::int64_t value) = 0;
    virtual Statement& bind_text(int index, std::string_view value) = 0;
    virtual Statement& bind_blob(int index, std::string_view value) = 0;
    virtual Statement& bind_null(int index) = 0;
    /// True with a row, false at the end. Needs a `reset` before it starts again.
    virtual Result<bool> step() = 0;
    virtual void reset() = 0;
    [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
    /// Text or a blob; valid until the next `step` or `reset`.
    [[nodiscard]] virtual std::string_view bytes(int column) const = 0;
    [[nodiscard]] virtual bool is_null(int column) const = 0;

    /// Steps to the end and resets: for statements without rows.
    Result<void> run();
};

/// One connection.
class Database {
public:
    virtual ~Database() = default;
    /// Runs one or more statements without parameters.
    virtual Result<void> execute(const std::string& statements) = 0;
    virtual Result<std::unique_ptr<Statement>> prepare(std::string_view statement) = 0;
    /// Rows that the last statement changed.
    [[nodiscard]] virtual std::int64_t changes() const = 0;

    /// The first column of the first row; kOther without a row.
    Result<std::int64_t> query_integer(std::string_view statement);
};

/// Takes the write lock at once; rolls back unless committed.
class Transaction {
public:
    static Result<Transaction> begin(Database& database);
    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    /// When it fails, the transaction is rolled back.
    Result<void> commit();

private:
    explicit Transaction(Database& database) : database_(&database) {}
    Database* database_;
};

/// A step of a schema. Numbers rise from 1; a step that has shipped never changes.
struct Migration {
    std::int64_t number = 0;
    std::string_view statements;
};

/// Brings `room`'s tables in `database` to the last of its `migrations`, all in one transaction,
/// and notes the numbers in `schema_migrations`: rooms that share a file count for themselves.
/// kOther when a newer program has written the file.
Result<void> migrate(Database& database, std::string_view room,
                     std::span<const Migration> migrations);

} // namespace larder::sql
