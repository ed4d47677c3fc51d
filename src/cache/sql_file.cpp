// A rowid table with a unique index on the key: new rows are appended, and only the indices are
// written at random. Row ids come from a counter in the file and never repeat, so "above the last
// seen" finds what others added. There is no index on the time: a walk finds what has ended.
#include "cache/sql_file.hpp"

#include "cache/tag_index.hpp"
#include "sql/sqlite.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <sys/stat.h>
#include <tuple>

namespace larder::cache {
namespace {

/// Numbers 1 and 2 made another form, with AUTOINCREMENT and an index on the time: together a fifth
/// of an insert.
constexpr std::int64_t kFirstNumber = 3;
constexpr std::array kMigrations{sql::Migration{kFirstNumber, R"(
CREATE TABLE namespaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    key BLOB NOT NULL,
    entry BLOB NOT NULL
);
CREATE UNIQUE INDEX entries_by_key ON entries (key);
CREATE INDEX entries_by_namespace ON entries (namespace, id, bytes);
CREATE TABLE last_entry (only INTEGER PRIMARY KEY, id INTEGER NOT NULL);
INSERT INTO last_entry (only, id) VALUES (1, 0);
CREATE TABLE purges (
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE INDEX purges_by_generation ON purges (generation);
)"}};

/// Six answers of 2 KB share a page; with 4 KB pages each would have one, and half of it empty.
constexpr std::int64_t kPageBytes = 16'384;
constexpr std::int64_t kPageCacheKib = 4096;
constexpr int kDeleteRows = 128;
constexpr int kWalkRows = 256;
constexpr int kEvictStepsMax = 16; // of kDeleteRows each, so that it outruns a batch of puts
constexpr std::size_t kNamespacesRemembered = 4096;
constexpr std::int64_t kRowOverheadBytes = 128;
constexpr std::int64_t kVacuumPages = 64;
/// Times in ms don't come near; a larger number is damage.
constexpr std::int64_t kGenerationMax = 1LL << 62;
constexpr std::int64_t kIdMax = 1LL << 62; // as above
constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

/// What the log may take beside the file.
std::uint64_t log_bytes_max(std::uint64_t max_size_bytes) {
    return std::clamp<std::uint64_t>(max_size_bytes / 4, 256 << 10, 32 << 20);
}

std::string_view view_of(const llm::Fingerprint& key) {
    return {reinterpret_cast<const char*>(key.data()), key.size()};
}

bool read_key(std::string_view bytes, llm::Fingerprint& key) {
    if (bytes.size() != key.size())
        return false;
    std::memcpy(key.data(), bytes.data(), key.size());
    return true;
}

/// A file of an older form is as good as none: its user begins it anew.
Result<void> refuse_older_form(sql::Database& database) {
    auto select =
        database.prepare("SELECT min(number) FROM schema_migrations WHERE room = 'cache'");
    if (!select) {
        if (sql::failure_of(select.error()) == sql::Failure::kOther)
            return {}; // a new file: it has no such table
        return std::unexpected(std::move(select).error());
    }
    LARDER_TRY(const bool has_row, (*select)->step());
    if (has_row && !(*select)->is_null(0) && (*select)->integer(0) < kFirstNumber)
        return std::unexpected(sql::make_error(sql::Failure::kCorrupt, "know an older form"));
    return {};
}

} // namespace

std::size_t batch_bytes_max(std::uint64_t max_size_bytes) {
    return static_cast<std::size_t>(log_bytes_max(max_size_bytes) / 8);
}

std::pair<std::uint64_t, std::uint64_t> file_identity(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
        return {0, 0};
    return {status.st_dev, status.st_ino};
}

SqlFile::SqlFile(const SqlFileSettings& settings, std::unique_ptr<sql::Database> database)
    : settings_(settings), database_(std::move(database)), earliest_end_ms_(kUnknown),
      walk_earliest_ms_(kNever) {}

Result<std::unique_ptr<SqlFile>> SqlFile::open(const SqlFileSettings& settings) {
    const auto log_pages =
        static_cast<std::int64_t>(log_bytes_max(settings.max_size_bytes)) / kPageBytes;
    LARDER_TRY(auto database,
               sql::open_sqlite({.path = settings.path,
                                 .page_cache_kib = kPageCacheKib,
                                 .incremental_vacuum = true,
                                 .page_bytes = kPageBytes,
                                 .checkpoint_pages = std::max<std::int64_t>(log_pages / 4, 1),
                                 .max_pages = settings.max_pages}));
    LARDER_CHECK(refuse_older_form(*database));
    LARDER_CHECK(sql::migrate(*database, "cache", kMigrations));
    std::unique_ptr<SqlFile> file(new SqlFile(settings, std::move(database)));
    LARDER_CHECK(file->prepare_statements());
    LARDER_TRY(file->page_bytes_, file->database_->query_integer("PRAGMA page_size"));
    std::tie(file->device_, file->inode_) = file_identity(settings.path);
    return file;
}

Result<void> SqlFile::prepare_statements() {
    const struct {
        std::unique_ptr<sql::Statement>& statement;
        std::string_view text;
    } all[] = {
        {insert_, "INSERT OR IGNORE INTO entries (id, namespace, created_ms, expires_ms, bytes, "
                  "key, entry) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
        {erase_, "DELETE FROM entries WHERE key = ?1"},
        {walk_, "SELECT id, expires_ms FROM entries WHERE id > ?1 ORDER BY id LIMIT ?2"},
        {expire_, "DELETE FROM entries WHERE id > ?1 AND id <= ?2 AND expires_ms < ?3 "
                  "RETURNING key, bytes"},
        {evict_, "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE namespace = ?1 "
                 "ORDER BY id LIMIT ?2) RETURNING key, bytes"},
        {newer_, "SELECT id, key, expires_ms FROM entries WHERE id > ?1 ORDER BY id"},
        {last_id_, "SELECT max(coalesce((SELECT id FROM last_entry), 0), "
                   "coalesce((SELECT max(id) FROM entries), 0))"},
        {note_last_id_, "INSERT OR REPLACE INTO last_entry (only, id) VALUES (1, ?1)"},
        {data_version_, "PRAGMA data_version"},
        {newer_purges_, "SELECT kind, name, generation FROM purges WHERE generation > ?1 "
                        "ORDER BY generation"},
        {page_count_, "PRAGMA page_count"},
        {free_count_, "PRAGMA freelist_count"},
    };
    for (const auto& one : all) {
        LARDER_TRY(one.statement, database_->prepare(one.text));
    }
    return {};
}

Result<std::int64_t> SqlFile::read(sql::Statement& statement) {
    auto row = statement.step();
    const std::int64_t value = row && *row ? statement.integer(0) : 0;
    statement.reset();
    if (!row)
        return std::unexpected(std::move(row).error());
    return value;
}

Result<std::vector<std::uint64_t>> SqlFile::load_tags() {
    // A read transaction, so that the version, the last id and the keys are of one moment.
    LARDER_CHECK(database_->execute("BEGIN"));
    auto loaded = [this]() -> Result<std::vector<std::uint64_t>> {
        LARDER_TRY(seen_id_, read(*last_id_));
        LARDER_TRY(seen_version_, read(*data_version_));
        LARDER_TRY(auto all, database_->prepare("SELECT key FROM entries INDEXED BY "
                                                "entries_by_key"));
        walked_id_ = 0; // when these end isn't known
        earliest_end_ms_ = kUnknown;
        std::vector<std::uint64_t> tags;
        for (;;) {
            LARDER_TRY(auto has_row, all->step());
            if (!has_row)
                return tags;
            llm::Fingerprint key{};
            if (read_key(all->bytes(0), key))
                tags.push_back(TagIndex::tag_of(key));
        }
    }();
    (void)database_->execute("ROLLBACK");
    return loaded;
}

/// Within a transaction: nothing can come between the look and what follows.
Result<void> SqlFile::see_others(const KeySink& added) {
    LARDER_TRY(const std::int64_t version, read(*data_version_));
    if (version == seen_version_)
        return {};
    newer_->bind(1, seen_id_);
    std::int64_t last = seen_id_;
    for (;;) {
        auto row = newer_->step();
        if (!row || !*row) {
            newer_->reset();
            if (!row)
                return std::unexpected(std::move(row).error());
            break;
        }
        llm::Fingerprint key{};
        if (read_key(newer_->bytes(1), key))
            added(key);
        last = newer_->integer(0);
        note_end(newer_->integer(2));
    }
    seen_id_ = last;
    seen_version_ = version;
    return {};
}

Result<void> SqlFile::refresh(const KeySink& added) {
    LARDER_TRY(const std::int64_t version, read(*data_version_));
    if (version == seen_version_)
        return {};
    LARDER_CHECK(database_->execute("BEGIN"));
    auto seen = see_others(added);
    (void)database_->execute("ROLLBACK");
    return seen;
}

Result<std::int64_t> SqlFile::namespace_id(std::string_view name) {
    if (const auto found = namespaces_.find(std::string(name)); found != namespaces_.end())
        return found->second;
    LARDER_TRY(auto insert,
               database_->prepare("INSERT OR IGNORE INTO namespaces (name) VALUES (?1)"));
    LARDER_CHECK(insert->bind_text(1, name).run());
    LARDER_TRY(auto select, database_->prepare("SELECT id FROM namespaces WHERE name = ?1"));
    select->bind_text(1, name);
    LARDER_TRY(const std::int64_t id, read(*select));
    if (namespaces_.size() >= kNamespacesRemembered)
        namespaces_.clear();
    namespaces_.emplace(name, id);
    return id;
}

/// Of a row that is there or will be: the walk must come by after this time.
void SqlFile::note_end(std::int64_t end_ms) {
    earliest_end_ms_ = std::min(earliest_end_ms_, end_ms);
    walk_earliest_ms_ = std::min(walk_earliest_ms_, end_ms);
}

Result<void> SqlFile::insert(const Write& write, std::int64_t id) {
    LARDER_TRY(const std::int64_t name_space, namespace_id(write.entry->name_space));
    const std::string bytes = encode_entry(*write.entry);
    note_end(write.entry->stale_until_ms);
    const auto try_once = [&]() -> Result<bool> {
        insert_->bind(1, id)
            .bind(2, name_space)
            .bind(3, write.entry->created_ms)
            .bind(4, write.entry->stale_until_ms)
            .bind(5, static_cast<std::int64_t>(bytes.size()) + kRowOverheadBytes)
            .bind_blob(6, view_of(write.key))
            .bind_blob(7, bytes);
        LARDER_CHECK(insert_->run());
        return database_->changes() > 0;
    };
    LARDER_TRY(const bool is_new, try_once());
    if (is_new)
        return {};
    // Rare, and so dearer: REPLACE would look for what is in its way at each insert.
    LARDER_CHECK(erase_->bind_blob(1, view_of(write.key)).run());
    LARDER_TRY(const bool replaced, try_once());
    if (!replaced) // the index doesn't agree with the table
        return std::unexpected(sql::make_error(sql::Failure::kCorrupt, "insert"));
    return {};
}

/// Within a transaction. In the order of the keys, so that the pages of their index are visited
/// once each.
Result<std::int64_t> SqlFile::write_rows(const std::vector<Write>& batch, std::int64_t now_ms,
                                         std::int64_t last_id) {
    std::vector<const Write*> sorted;
    sorted.reserve(batch.size());
    for (const Write& write : batch)
        sorted.push_back(&write);
    std::ranges::sort(sorted, [](const Write* left, const Write* right) {
        // Of equal keys the last stays the last.
        return std::tuple(view_of(left->key), left) < std::tuple(view_of(right->key), right);
    });
    for (const Write* write : sorted) {
        if (write->entry == nullptr)
            LARDER_CHECK(erase_->bind_blob(1, view_of(write->key)).run());
        else if (write->entry->stale_until_ms >= now_ms)
            LARDER_CHECK(insert(*write, ++last_id));
    }
    return last_id;
}

Result<void> SqlFile::write(const std::vector<Write>& batch, std::int64_t now_ms,
                            const KeySink& added) {
    auto written = [&]() -> Result<void> {
        LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
        LARDER_CHECK(see_others(added));
        LARDER_TRY(const std::int64_t before, read(*last_id_));
        if (before < 0 || before > kIdMax)
            return std::unexpected(sql::make_error(sql::Failure::kCorrupt, "number entries"));
        LARDER_TRY(const std::int64_t last, write_rows(batch, now_ms, before));
        if (last != before)
            LARDER_CHECK(note_last_id_->bind(1, last).run());
        LARDER_CHECK(transaction.commit());
        seen_id_ = std::max(seen_id_, last);
        return {};
    }();
    if (!written)
        namespaces_.clear(); // ids that were made in it are gone
    return written;
}

Result<std::vector<Purge>> SqlFile::new_purges() {
    std::vector<Purge> purges;
    newer_purges_->bind(1, static_cast<std::int64_t>(seen_purge_));
    for (;;) {
        auto row = newer_purges_->step();
        if (!row || !*row) {
            newer_purges_->reset();
            if (!row)
                return std::unexpected(std::move(row).error());
            break;
        }
        const std::int64_t kind = newer_purges_->integer(0);
        const std::int64_t generation = newer_purges_->integer(2);
        if (kind < 0 || kind > static_cast<std::int64_t>(PurgeKind::kModel) ||
            generation > kGenerationMax || purges.size() > PurgeSet::kScopesMax) {
            newer_purges_->reset();
            return std::unexpected(sql::make_error(sql::Failure::kCorrupt, "read purges"));
        }
        purges.push_back({{static_cast<PurgeKind>(kind), std::string(newer_purges_->bytes(1))},
                          static_cast<std::uint64_t>(generation)});
    }
    if (!purges.empty())
        seen_purge_ = purges.back().generation;
    return purges;
}

Result<std::uint64_t> SqlFile::generation_of(const PurgeScope& scope) {
    LARDER_TRY(auto select, database_->prepare("SELECT coalesce(max(generation), 0) FROM purges "
                                               "WHERE kind = 0 OR (kind = ?1 AND name = ?2)"));
    select->bind(1, static_cast<std::int64_t>(scope.kind)).bind_text(2, scope.name);
    LARDER_TRY(const std::int64_t generation, read(*select));
    return static_cast<std::uint64_t>(generation);
}

/// Within a transaction. Numbers rise with every row that is written, whoever writes it: that is
/// what `new_purges` goes by, and why two purges at one moment both end what the other has made.
Result<void> SqlFile::write_purge(const Purge& purge) {
    LARDER_TRY(const std::int64_t last,
               database_->query_integer("SELECT coalesce(max(generation), 0) FROM purges"));
    if (last > kGenerationMax)
        return std::unexpected(sql::make_error(sql::Failure::kCorrupt, "write a purge"));
    const std::int64_t generation = std::max(static_cast<std::int64_t>(purge.generation), last + 1);
    LARDER_TRY(auto others, database_->prepare("SELECT count(*) FROM purges WHERE kind <> 0 AND "
                                               "NOT (kind = ?1 AND name = ?2)"));
    others->bind(1, static_cast<std::int64_t>(purge.scope.kind)).bind_text(2, purge.scope.name);
    LARDER_TRY(const std::int64_t count, read(*others));
    const bool fits = count < static_cast<std::int64_t>(PurgeSet::kScopesMax);
    const PurgeScope scope = fits ? purge.scope : PurgeScope{};
    LARDER_TRY(auto put, database_->prepare("INSERT OR REPLACE INTO purges (kind, name, "
                                            "generation) VALUES (?1, ?2, ?3)"));
    put->bind(1, static_cast<std::int64_t>(scope.kind))
        .bind_text(2, scope.name)
        .bind(3, generation);
    LARDER_CHECK(put->run());
    if (scope.kind != PurgeKind::kAll)
        return {};
    return database_->execute("DELETE FROM purges WHERE kind <> 0"); // all older than this one
}

Result<void> SqlFile::write_purges(const std::vector<Purge>& raised,
                                   const std::vector<Purge>& known) {
    LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
    for (const Purge& purge : known) {
        LARDER_TRY(const std::uint64_t present, generation_of(purge.scope));
        if (present < purge.generation)
            LARDER_CHECK(write_purge(purge));
    }
    for (const Purge& purge : raised)
        LARDER_CHECK(write_purge(purge));
    return transaction.commit();
}

Result<std::int64_t> SqlFile::delete_rows(sql::Statement& statement, const KeySink& removed) {
    std::int64_t bytes = 0;
    for (;;) {
        auto row = statement.step();
        if (!row || !*row) {
            statement.reset();
            if (!row)
                return std::unexpected(std::move(row).error());
            return bytes;
        }
        llm::Fingerprint key{};
        if (read_key(statement.bytes(0), key))
            removed(key);
        bytes += statement.integer(1);
    }
}

Result<bool> SqlFile::delete_expired(std::int64_t now_ms, const KeySink& removed) {
    if (walked_id_ == 0 && earliest_end_ms_ >= now_ms)
        return false;
    if (walked_id_ == 0)
        walk_earliest_ms_ = kNever; // it will come by all that is there now
    walk_->bind(1, walked_id_).bind(2, kWalkRows);
    std::int64_t last = walked_id_;
    int rows = 0;
    bool any_ended = false;
    for (;; ++rows) {
        auto row = walk_->step();
        if (!row || !*row) {
            walk_->reset();
            if (!row)
                return std::unexpected(std::move(row).error());
            break;
        }
        last = walk_->integer(0);
        const std::int64_t end_ms = walk_->integer(1);
        if (end_ms < now_ms)
            any_ended = true;
        else
            walk_earliest_ms_ = std::min(walk_earliest_ms_, end_ms);
    }
    if (any_ended) {
        expire_->bind(1, walked_id_).bind(2, last).bind(3, now_ms);
        LARDER_CHECK(delete_rows(*expire_, removed));
    }
    walked_id_ = last;
    if (rows == kWalkRows)
        return true;
    walked_id_ = 0; // the end: from the start again, when the first of them has ended
    earliest_end_ms_ = walk_earliest_ms_;
    return false;
}

Result<void> SqlFile::choose_victim() {
    LARDER_TRY(auto sums,
               database_->prepare("SELECT namespace, sum(bytes) AS total FROM entries GROUP BY "
                                  "namespace ORDER BY total DESC LIMIT 2"));
    victim_budget_ = 0;
    LARDER_TRY(const bool any, sums->step());
    if (!any)
        return {};
    victim_ = sums->integer(0);
    const std::int64_t largest = sums->integer(1);
    LARDER_TRY(const bool more, sums->step());
    const std::int64_t second = more ? sums->integer(1) : 0;
    // At least a part, so that equals take turns in larger steps.
    victim_budget_ = std::max(largest - second, largest / 64 + 1);
    return {};
}

Result<void> SqlFile::enforce_size(const KeySink& removed) {
    const auto log_bytes = static_cast<std::int64_t>(log_bytes_max(settings_.max_size_bytes));
    // The log may pass its part by the batch that makes it too long.
    const auto limit =
        static_cast<std::int64_t>(settings_.max_size_bytes) - log_bytes - log_bytes / 4;
    LARDER_TRY(const std::int64_t pages, read(*page_count_));
    LARDER_TRY(std::int64_t free_pages, read(*free_count_));
    if ((pages - free_pages) * page_bytes_ > limit) {
        LARDER_TRY(auto transaction, sql::Transaction::begin(*database_));
        // A little further than needed, so that it isn't done for each batch.
        for (int step = 0; step < kEvictStepsMax; ++step) {
            if ((pages - free_pages) * page_bytes_ <= limit - limit / 32)
                break;
            if (victim_budget_ <= 0)
                LARDER_CHECK(choose_victim());
            evict_->bind(1, victim_).bind(2, kDeleteRows);
            LARDER_TRY(const std::int64_t given, delete_rows(*evict_, removed));
            victim_budget_ = given == 0 ? 0 : victim_budget_ - given;
            LARDER_TRY(free_pages, read(*free_count_));
        }
        LARDER_CHECK(transaction.commit());
    }
    const bool too_large = pages * page_bytes_ > limit;
    const bool mostly_free = free_pages > pages / 4 && free_pages > kVacuumPages;
    if (free_pages > 0 && (too_large || mostly_free))
        LARDER_CHECK(
            database_->execute("PRAGMA incremental_vacuum(" + std::to_string(kVacuumPages) + ")"));
    struct stat log{};
    if (stat((settings_.path + "-wal").c_str(), &log) == 0 && log.st_size > log_bytes)
        LARDER_CHECK(database_->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
    return {};
}

bool SqlFile::is_in_place() const {
    return file_identity(settings_.path) == std::pair(device_, inode_);
}

Result<std::unique_ptr<SqlReader>> SqlReader::open(const std::string& path) {
    auto reader = std::make_unique<SqlReader>();
    LARDER_TRY(reader->database_,
               sql::open_sqlite({.path = path, .read_only = true, .page_cache_kib = 512}));
    LARDER_TRY(reader->select_, reader->database_->prepare("SELECT entry FROM entries WHERE key = "
                                                           "?1 AND expires_ms >= ?2"));
    return reader;
}

Result<EntryPtr> SqlReader::find(const llm::Fingerprint& key, std::int64_t now_ms) {
    select_->bind_blob(1, view_of(key)).bind(2, now_ms);
    auto found = select_->step();
    EntryPtr entry;
    if (found && *found) {
        if (auto decoded = decode_entry(select_->bytes(0)))
            entry = *std::move(decoded);
    }
    select_->reset(); // an open read would keep the log from being brought back
    if (!found)
        return std::unexpected(std::move(found).error());
    return entry;
}

} // namespace larder::cache
