// The table of sessions in an SQLite file: each operation is one transaction that takes the write
// lock at once. Blocking; one thread at a time.
#pragma once

#include "session/store.hpp"
#include "sql/database.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::session {

class SessionTable {
public:
    /// Opens the file, or makes it; ":memory:" is gone with this object.
    static Result<std::unique_ptr<SessionTable>> open(const std::string& path);

    // As the port's; `now_ms` is the time of the call. Other failures are those of sql::Database.
    struct Creation {
        Owner owner;
        std::string data;
        Lifetime lifetime;
        std::size_t per_user_max = kSessionsPerUserMax;
    };
    Result<Session> create(const Creation& creation, std::int64_t now_ms);
    Result<Session> read_and_refresh(const Reference& reference, const Lifetime& lifetime,
                                     std::int64_t now_ms);
    struct Replacement {
        Reference reference;
        std::string data;
        Store::Expected expected;
        Lifetime lifetime;
    };
    Result<Session> replace(const Replacement& replacement, std::int64_t now_ms);
    struct Rotation {
        Reference reference;
        Store::Expected expected;
        Lifetime lifetime;
    };
    Result<Session> rotate(const Rotation& rotation, std::int64_t now_ms);
    Result<void> destroy(const Reference& reference, Store::Expected expected, std::int64_t now_ms);
    Result<std::vector<Session>> list(const Owner& owner, std::int64_t now_ms);
    Result<std::int64_t> destroy_all(const Owner& owner, std::int64_t now_ms);

    /// Deletes at most `rows_max` of the rows that have expired; how many there were.
    Result<std::int64_t> sweep(std::int64_t now_ms, std::int64_t rows_max);

private:
    struct Row {
        Session session;
        std::int64_t number = 0; // its rowid
    };
    explicit SessionTable(std::unique_ptr<sql::Database> database)
        : database_(std::move(database)) {}
    Result<void> prepare();
    Result<Row> load(const Reference& reference, const Store::Expected& expected,
                     std::int64_t now_ms);
    Result<void> refresh(Row& row, const Lifetime& lifetime, std::int64_t now_ms);
    static Result<Session> finish(sql::Transaction& transaction, Row row, std::int64_t now_ms);

    std::unique_ptr<sql::Database> database_;
    std::unique_ptr<sql::Statement> insert_;
    std::unique_ptr<sql::Statement> select_;
    std::unique_ptr<sql::Statement> touch_;
    std::unique_ptr<sql::Statement> replace_;
    std::unique_ptr<sql::Statement> rename_;
    std::unique_ptr<sql::Statement> delete_;
    std::unique_ptr<sql::Statement> trim_;
    std::unique_ptr<sql::Statement> list_;
    std::unique_ptr<sql::Statement> delete_all_;
    std::unique_ptr<sql::Statement> sweep_;
};

/// When a session's time is over, counted from an access now.
std::int64_t expiry_of(std::int64_t created_ms, std::int64_t now_ms, const Lifetime& lifetime);

} // namespace larder::session
