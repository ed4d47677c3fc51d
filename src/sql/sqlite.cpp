// The only home of sqlite3.h. Error messages are SQLite's text for the code, never its message,
// which may quote values.
#include "sql/sqlite.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <mutex>
#include <unistd.h>

namespace larder::sql {
namespace {

Failure failure_of_code(int code) {
    if (code == SQLITE_IOERR_SHORT_READ)
        return Failure::kCorrupt; // the file was cut
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return Failure::kBusy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return Failure::kCorrupt;
    case SQLITE_FULL:
        return Failure::kFull;
    case SQLITE_IOERR:
        return Failure::kIo;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return Failure::kReadOnly;
    case SQLITE_CANTOPEN:
        return Failure::kCannotOpen;
    default:
        return Failure::kOther;
    }
}

std::unexpected<Error> failed(int code, std::string_view doing) {
    return std::unexpected(make_error(failure_of_code(code), doing));
}

struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class SqliteStatement final : public Statement {
public:
    SqliteStatement(sqlite3* connection, sqlite3_stmt* statement)
        : connection_(connection), statement_(statement) {}

    Statement& bind(int index, std::int64_t value) override {
        return note(sqlite3_bind_int64(statement_.get(), index, value));
    }
    Statement& bind_text(int index, std::string_view value) override {
        return note(sqlite3_bind_text64(statement_.get(), index, data_of(value), value.size(),
                                        SQLITE_STATIC, SQLITE_UTF8));
    }
    Statement& bind_blob(int index, std::string_view value) override {
        return note(sqlite3_bind_blob64(statement_.get(), index, data_of(value), value.size(),
                                        SQLITE_STATIC));
    }
    Statement& bind_null(int index) override {
        return note(sqlite3_bind_null(statement_.get(), index));
    }

    Result<bool> step() override {
        if (bind_code_ != SQLITE_OK)
            return failed(bind_code_, "bind");
        const int code = sqlite3_step(statement_.get());
        if (code == SQLITE_ROW)
            return true;
        if (code == SQLITE_DONE)
            return false;
        return failed(sqlite3_extended_errcode(connection_), "step");
    }

    void reset() override {
        sqlite3_reset(statement_.get()); // says again what `step` said
        bind_code_ = SQLITE_OK;
    }

    [[nodiscard]] std::int64_t integer(int column) const override {
        return sqlite3_column_int64(statement_.get(), column);
    }
    [[nodiscard]] std::string_view bytes(int column) const override {
        const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
        const int size = sqlite3_column_bytes(statement_.get(), column);
        return data == nullptr ? std::string_view()
                               : std::string_view(data, static_cast<std::size_t>(size));
    }
    [[nodiscard]] bool is_null(int column) const override {
        return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
    }

private:
    /// A null pointer would bind NULL where an empty value is meant.
    static const char* data_of(std::string_view value) {
        return value.data() == nullptr ? "" : value.data();
    }
    Statement& note(int code) {
        if (code != SQLITE_OK)
            bind_code_ = code;
        return *this;
    }

    sqlite3* connection_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bind_code_ = SQLITE_OK;
};

class SqliteDatabase final : public Database {
public:
    explicit SqliteDatabase(sqlite3* connection) : connection_(connection) {}

    Result<void> execute(const std::string& statements) override {
        if (sqlite3_exec(connection_.get(), statements.c_str(), nullptr, nullptr, nullptr) !=
            SQLITE_OK)
            return failed(sqlite3_extended_errcode(connection_.get()), "execute");
        return {};
    }

    Result<std::unique_ptr<Statement>> prepare(std::string_view text) override {
        sqlite3_stmt* statement = nullptr;
        const int code =
            sqlite3_prepare_v3(connection_.get(), text.data(), static_cast<int>(text.size()),
                               SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
        if (code != SQLITE_OK)
            return failed(code, "prepare");
        return std::make_unique<SqliteStatement>(connection_.get(), statement);
    }

    [[nodiscard]] std::int64_t changes() const override {
        return sqlite3_changes64(connection_.get());
    }

private:
    std::unique_ptr<sqlite3, Close> connection_;
};

/// Counting SQLite's memory takes a process-wide lock at each allocation: off, before the first
/// use.
void configure_once() {
    static std::once_flag once;
    std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

std::string pragmas(const SqliteSettings& settings) {
    const auto number = [](std::int64_t value) { return std::to_string(value) + ";"; };
    std::string text = "PRAGMA temp_store=MEMORY;PRAGMA cell_size_check=ON;"
                       "PRAGMA trusted_schema=OFF;PRAGMA cache_size=-" +
                       number(settings.page_cache_kib);
    if (settings.read_only)
        return text;
    text += "PRAGMA page_size=" + number(settings.page_bytes); // these two before the first table
    if (settings.incremental_vacuum)
        text += "PRAGMA auto_vacuum=INCREMENTAL;";
    text += "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA wal_autocheckpoint=" +
            number(settings.checkpoint_pages) +
            "PRAGMA journal_size_limit=" + number(settings.checkpoint_pages * settings.page_bytes);
    if (settings.max_pages > 0)
        text += "PRAGMA max_page_count=" + number(settings.max_pages);
    return text;
}

} // namespace

Result<std::unique_ptr<Database>> open_sqlite(const SqliteSettings& settings) {
    configure_once();
    const int access =
        settings.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    sqlite3* connection = nullptr;
    const int code = sqlite3_open_v2(settings.path.c_str(), &connection,
                                     access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    std::unique_ptr<Database> database = std::make_unique<SqliteDatabase>(connection);
    if (code != SQLITE_OK)
        return failed(code, "open");
    sqlite3_busy_timeout(connection, static_cast<int>(settings.busy_timeout.count()));
    LARDER_CHECK(database->execute(pragmas(settings)));
    return database;
}

bool remove_sqlite(const std::string& path) {
    // The log first: a log without its file is ignored, a file without its log is torn.
    bool gone = true;
    for (const char* suffix : {"-wal", "-shm", ""}) {
        const std::string name = path + suffix;
        if (unlink(name.c_str()) != 0 && errno != ENOENT)
            gone = false;
    }
    return gone;
}

} // namespace larder::sql
