// The writing side of the cache file: schema, batches, what expires, the bound on its size, and
// what other programs have added. Blocking; one thread.
#pragma once

#include "cache/purges.hpp"
#include "cache/write_queue.hpp"
#include "sql/database.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace larder::cache {

struct SqlFileSettings {
    std::string path;
    std::uint64_t max_size_bytes = 0; // with the log and free pages
    std::int64_t max_pages = 0;       // for tests: "disk full" beyond
};

/// How many bytes one transaction should hold at most, so that the log stays within the bound.
std::size_t batch_bytes_max(std::uint64_t max_size_bytes);

class SqlFile {
public:
    using KeySink = std::function<void(const llm::Fingerprint&)>;

    /// Opens or creates the file and brings its schema up to date.
    static Result<std::unique_ptr<SqlFile>> open(const SqlFileSettings& settings);

    /// Tags of all keys; later `write` and `refresh` report only what comes after.
    Result<std::vector<std::uint64_t>> load_tags();
    /// One transaction: all or nothing. Entries that have ended by `now_ms` are passed over. Keys
    /// that other programs wrote since the last look go to `added`.
    Result<void> write(const std::vector<Write>& batch, std::int64_t now_ms, const KeySink& added);
    /// The purges that were written since the last call, the oldest first; at the first call, all.
    Result<std::vector<Purge>> new_purges();
    /// One transaction. `raised` are new: one whose number is not above all in the file (another
    /// program was faster) gets a number that is. `known` are old, from another file: passed over
    /// where they or later ones are there.
    Result<void> write_purges(const std::vector<Purge>& raised, const std::vector<Purge>& known);
    /// Looks for keys of other programs; cheap when nothing has changed.
    Result<void> refresh(const KeySink& added);
    /// One step of a walk over the table, which deletes the entries that ended before `now_ms`.
    /// True while the walk isn't over. No walk begins before the first entry has ended.
    Result<bool> delete_expired(std::int64_t now_ms, const KeySink& removed);
    /// Brings the file under its bound, by a bounded piece of work: the namespace with the most
    /// bytes gives first, its oldest entries first.
    Result<void> enforce_size(const KeySink& removed);
    /// False when the path leads to another file, or to none: someone has deleted ours.
    [[nodiscard]] bool is_in_place() const;

private:
    SqlFile(const SqlFileSettings& settings, std::unique_ptr<sql::Database> database);
    Result<void> prepare_statements();
    Result<void> see_others(const KeySink& added);
    Result<std::int64_t> namespace_id(std::string_view name);
    void note_end(std::int64_t end_ms);
    Result<void> insert(const Write& write, std::int64_t id);
    Result<std::int64_t> write_rows(const std::vector<Write>& batch, std::int64_t now_ms,
                                    std::int64_t last_id);
    Result<void> write_purge(const Purge& purge);
    Result<std::uint64_t> generation_of(const PurgeScope& scope);
    Result<std::int64_t> delete_rows(sql::Statement& statement, const KeySink& removed);
    Result<void> choose_victim();
    Result<std::int64_t> read(sql::Statement& statement);

    SqlFileSettings settings_;
    std::unique_ptr<sql::Database> database_;
    std::unique_ptr<sql::Statement> insert_;
    std::unique_ptr<sql::Statement> erase_;
    std::unique_ptr<sql::Statement> walk_;
    std::unique_ptr<sql::Statement> expire_;
    std::unique_ptr<sql::Statement> evict_;
    std::unique_ptr<sql::Statement> newer_;
    std::unique_ptr<sql::Statement> last_id_;
    std::unique_ptr<sql::Statement> note_last_id_;
    std::unique_ptr<sql::Statement> data_version_;
    std::unique_ptr<sql::Statement> page_count_;
    std::unique_ptr<sql::Statement> newer_purges_;
    std::unique_ptr<sql::Statement> free_count_;
    std::unordered_map<std::string, std::int64_t> namespaces_;
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    std::int64_t page_bytes_ = 0;
    std::int64_t seen_version_ = 0;
    std::int64_t seen_id_ = 0;
    std::int64_t walked_id_ = 0;    // 0: no walk is under way
    std::int64_t earliest_end_ms_;  // no row ends before
    std::int64_t walk_earliest_ms_; // the same for what the walk has passed and what came since
    std::uint64_t seen_purge_ = 0;
    std::int64_t victim_ = 0;        // the namespace that gives
    std::int64_t victim_budget_ = 0; // bytes, before the sums are taken again
};

/// The identity of the file at `path`: device and inode, zeros where there is none.
std::pair<std::uint64_t, std::uint64_t> file_identity(const std::string& path);

/// A reader's connection: looks entries up, one thread at a time.
class SqlReader {
public:
    static Result<std::unique_ptr<SqlReader>> open(const std::string& path);
    /// The entry, or null where there is none, where it has ended, or where its bytes are damaged.
    Result<EntryPtr> find(const llm::Fingerprint& key, std::int64_t now_ms);

private:
    std::unique_ptr<sql::Database> database_;
    std::unique_ptr<sql::Statement> select_;
};

} // namespace larder::cache
