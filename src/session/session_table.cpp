#include "session/session_table.hpp"

#include "session/id.hpp"
#include "sql/sqlite.hpp"

#include <algorithm>
#include <array>

namespace larder::session {
namespace {

constexpr std::array kMigrations{sql::Migration{1, R"(
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    id TEXT NOT NULL,
    name_space TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    accessed_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    version INTEGER NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (name_space, user_id, expires_ms);
CREATE INDEX sessions_by_expiry ON sessions (expires_ms);
)"}};

/// The bytes of a session's hash, for a statement.
std::string_view view(const Sha256& hash) {
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::unexpected<Error> not_found() {
    return fail(ErrorCode::kNotFound, "there is no such session");
}

/// Resets a statement with rows however its reader returns.
class Reading {
public:
    explicit Reading(sql::Statement& statement) : statement_(statement) {}
    ~Reading() { statement_.reset(); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

private:
    sql::Statement& statement_;
};

Session read_session(const sql::Statement& row) {
    return {.id = std::string(row.bytes(0)),
            .user_id = std::string(row.bytes(1)),
            .data = std::string(row.bytes(2)),
            .created_ms = row.integer(3),
            .accessed_ms = row.integer(4),
            .expires_ms = row.integer(5),
            .version = row.integer(6)};
}

} // namespace

std::int64_t expiry_of(std::int64_t created_ms, std::int64_t now_ms, const Lifetime& lifetime) {
    const std::int64_t idle_end = now_ms + lifetime.ttl.count();
    return lifetime.max_age.count() > 0 ? std::min(idle_end, created_ms + lifetime.max_age.count())
                                        : idle_end;
}

Result<std::unique_ptr<SessionTable>> SessionTable::open(const std::string& path) {
    LARDER_TRY(auto database, sql::open_sqlite({.path = path}));
    LARDER_CHECK(sql::migrate(*database, "session", kMigrations));
    std::unique_ptr<SessionTable> table(new SessionTable(std::move(database)));
    LARDER_CHECK(table->prepare());
    return table;
}

Result<void> SessionTable::prepare() {
    struct Text {
        std::unique_ptr<sql::Statement>& statement;
        std::string_view text;
    };
    const std::array texts{
        Text{insert_, "INSERT INTO sessions (hash, id, name_space, user_id, created_ms, "
                      "accessed_ms, expires_ms, version, data) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, 1, ?7)"},
        Text{select_, "SELECT id, user_id, data, created_ms, accessed_ms, expires_ms, version, "
                      "number FROM sessions "
                      "WHERE hash = ?1 AND name_space = ?2 AND expires_ms > ?3"},
        Text{touch_, "UPDATE sessions SET accessed_ms = ?2, expires_ms = ?3 WHERE number = ?1"},
        Text{replace_, "UPDATE sessions SET data = ?2, version = ?3 WHERE number = ?1"},
        Text{rename_, "UPDATE sessions SET hash = ?2, id = ?3 WHERE number = ?1"},
        Text{delete_, "DELETE FROM sessions WHERE number = ?1"},
        Text{trim_, "DELETE FROM sessions WHERE number IN (SELECT number FROM sessions "
                    "WHERE name_space = ?1 AND user_id = ?2 "
                    "ORDER BY expires_ms DESC LIMIT -1 OFFSET ?3)"},
        Text{list_, "SELECT id, user_id, data, created_ms, accessed_ms, expires_ms, version "
                    "FROM sessions WHERE name_space = ?1 AND user_id = ?2 AND expires_ms > ?3 "
                    "ORDER BY expires_ms"},
        Text{delete_all_, "DELETE FROM sessions "
                          "WHERE name_space = ?1 AND user_id = ?2 AND expires_ms > ?3"},
        Text{sweep_, "DELETE FROM sessions WHERE number IN "
                     "(SELECT number FROM sessions WHERE expires_ms <= ?1 LIMIT ?2)"},
    };
    for (const Text& one : texts) {
        LARDER_TRY(one.statement, database_->prepare(one.text));
    }
    return {};
}

Result<Session> SessionTable::create(const Creation& creation, std::int64_t now_ms) {
    const Owner& owner = creation.owner;
    Session session{.id = make_id(owner),
                    .user_id = owner.user_id,
                    .data = creation.data,
                    .created_ms = now_ms,
                    .accessed_ms = now_ms,
                    .expires_ms = expiry_of(now_ms, now_ms, creation.lifetime)};
    const Sha256 hash = hash_of(session.id);
    LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
    trim_->bind_text(1, owner.name_space).bind_text(2, owner.user_id);
    trim_->bind(3, static_cast<std::int64_t>(creation.per_user_max) - 1);
    LARDER_CHECK(trim_->run());
    insert_->bind_blob(1, view(hash)).bind_text(2, session.id);
    insert_->bind_text(3, owner.name_space).bind_text(4, owner.user_id);
    insert_->bind(5, now_ms).bind(6, session.expires_ms).bind_text(7, session.data);
    LARDER_CHECK(insert_->run());
    LARDER_CHECK(transaction.commit());
    return session;
}

/// The row that lives and has the expected version. Within the caller's transaction.
Result<SessionTable::Row> SessionTable::load(const Reference& reference,
                                             const Store::Expected& expected, std::int64_t now_ms) {
    if (!is_id(reference.id))
        return not_found();
    const Sha256 hash = hash_of(reference.id);
    const Reading reading(*select_);
    select_->bind_blob(1, view(hash)).bind_text(2, reference.name_space).bind(3, now_ms);
    LARDER_TRY(const bool found, select_->step());
    if (!found)
        return not_found();
    Row row{.session = read_session(*select_), .number = select_->integer(7)};
    if (expected && *expected != row.session.version)
        return fail(ErrorCode::kConflict, "the session has another version");
    return row;
}

/// Begins the row's time anew. Where its absolute end has come it is written as ended, so that no
/// later setting brings it back.
Result<void> SessionTable::refresh(Row& row, const Lifetime& lifetime, std::int64_t now_ms) {
    row.session.accessed_ms = now_ms;
    row.session.expires_ms = expiry_of(row.session.created_ms, now_ms, lifetime);
    touch_->bind(1, row.number).bind(2, now_ms).bind(3, row.session.expires_ms);
    return touch_->run();
}

Result<Session> SessionTable::finish(sql::Transaction& transaction, Row row, std::int64_t now_ms) {
    LARDER_CHECK(transaction.commit());
    if (row.session.expires_ms <= now_ms)
        return not_found();
    return std::move(row.session);
}

Result<Session> SessionTable::read_and_refresh(const Reference& reference, const Lifetime& lifetime,
                                               std::int64_t now_ms) {
    LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
    LARDER_TRY(Row row, load(reference, std::nullopt, now_ms));
    LARDER_CHECK(refresh(row, lifetime, now_ms));
    return finish(transaction, std::move(row), now_ms);
}

Result<Session> SessionTable::replace(const Replacement& replacement, std::int64_t now_ms) {
    LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
    LARDER_TRY(Row row, load(replacement.reference, replacement.expected, now_ms));
    LARDER_CHECK(refresh(row, replacement.lifetime, now_ms));
    row.session.data = replacement.data;
    ++row.session.version;
    replace_->bind(1, row.number).bind_text(2, row.session.data).bind(3, row.session.version);
    LARDER_CHECK(replace_->run());
    return finish(transaction, std::move(row), now_ms);
}

Result<Session> SessionTable::rotate(const Rotation& rotation, std::int64_t now_ms) {
    LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
    LARDER_TRY(Row row, load(rotation.reference, rotation.expected, now_ms));
    LARDER_CHECK(refresh(row, rotation.lifetime, now_ms));
    row.session.id = make_id({rotation.reference.name_space, row.session.user_id});
    const Sha256 hash = hash_of(row.session.id);
    rename_->bind(1, row.number).bind_blob(2, view(hash)).bind_text(3, row.session.id);
    LARDER_CHECK(rename_->run());
    return finish(transaction, std::move(row), now_ms);
}

Result<void> SessionTable::destroy(const Reference& reference, Store::Expected expected,
                                   std::int64_t now_ms) {
    LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
    LARDER_TRY(const Row row, load(reference, expected, now_ms));
    LARDER_CHECK(delete_->bind(1, row.number).run());
    return transaction.commit();
}

Result<std::vector<Session>> SessionTable::list(const Owner& owner, std::int64_t now_ms) {
    const Reading reading(*list_);
    list_->bind_text(1, owner.name_space).bind_text(2, owner.user_id).bind(3, now_ms);
    std::vector<Session> sessions;
    std::size_t bytes = 0;
    while (true) {
        LARDER_TRY(const bool found, list_->step());
        if (!found)
            return sessions;
        sessions.push_back(read_session(*list_));
        bytes += sessions.back().data.size();
        if (bytes > kListBytesMax)
            return fail(ErrorCode::kTooLarge, kListTooLarge);
    }
}

Result<std::int64_t> SessionTable::destroy_all(const Owner& owner, std::int64_t now_ms) {
    delete_all_->bind_text(1, owner.name_space).bind_text(2, owner.user_id).bind(3, now_ms);
    LARDER_CHECK(delete_all_->run());
    return database_->changes();
}

Result<std::int64_t> SessionTable::sweep(std::int64_t now_ms, std::int64_t rows_max) {
    LARDER_CHECK(sweep_->bind(1, now_ms).bind(2, rows_max).run());
    return database_->changes();
}

} // namespace larder::session
