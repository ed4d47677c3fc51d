// The SQLite tier: one thread writes batches, a few read; what waits to be written is readable.
// A bad file never stops anybody: it is begun anew when corrupt, else tried again every second.
#pragma once

#include "async/runtime.hpp"
#include "cache/backends.hpp"
#include "cache/sql_file.hpp"
#include "cache/tag_index.hpp"
#include "cache/write_queue.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace larder::cache {

/// Connections for reading, lent to one job at a time. Any thread.
class ReaderPool {
public:
    explicit ReaderPool(std::string path) : path_(std::move(path)) {}
    /// Blocking. A connection that failed is closed.
    Result<EntryPtr> find(const llm::Fingerprint& key, std::int64_t now_ms);
    /// Connections to the present file are not used again.
    void forget();

private:
    struct Lent {
        std::unique_ptr<SqlReader> reader;
        std::uint64_t generation = 0;
    };
    Result<Lent> borrow();
    void give_back(Lent lent);

    const std::string path_;
    std::mutex mutex_;
    std::uint64_t generation_ = 0;
    std::vector<std::unique_ptr<SqlReader>> idle_;
};

class SqlStore final : public Store {
public:
    explicit SqlStore(SqlStoreSettings settings);
    ~SqlStore() override;

    [[nodiscard]] bool may_have(const llm::Fingerprint& key) const override;
    Task<Result<EntryPtr>> get(llm::Fingerprint key) override;
    void put(const llm::Fingerprint& key, EntryPtr entry) override;
    void erase(const llm::Fingerprint& key) override;
    void purged(const PurgeScope& scope, std::uint64_t generation) override;
    [[nodiscard]] StoreHealth health() const override;
    [[nodiscard]] std::uint64_t dropped_writes() const override { return dropped_.load(); }
    void stop() override;

private:
    enum class Access : std::uint8_t { kStarting, kOpen, kClosed };

    // On the reading threads.
    Result<EntryPtr> find(const llm::Fingerprint& key);
    bool wait_for_access();

    // On the writing thread.
    void run();
    void tick(bool stopping);
    Result<void> open_file();
    Result<void> load_index();
    Result<void> sync_purges();
    void report_purges(const std::vector<Purge>& purges);
    Result<void> drain(bool everything);
    Result<void> keep_up();
    void close_file(Access access);
    void begin_anew();
    void on_failure(const Error& error);
    void set_access(Access access);
    void set_health(bool ok, std::string_view reason);
    void forget_key(const llm::Fingerprint& key);

    const SqlStoreSettings settings_;
    const std::string path_;
    TagIndex index_;
    WriteQueue queue_;
    ReaderPool readers_;
    std::atomic<std::uint64_t> dropped_ = 0;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> reader_saw_corruption_ = false;

    mutable std::mutex mutex_; // access_, health_ and raised_
    std::condition_variable access_changed_;
    Access access_ = Access::kStarting;
    StoreHealth health_;
    PurgeSet raised_; // not yet in the file

    // The writing thread's own.
    std::unique_ptr<SqlFile> file_;
    PurgeSet purges_;            // all that are known
    std::vector<Purge> missing_; // of these, what a new file doesn't have yet
    std::pair<std::uint64_t, std::uint64_t> tried_identity_;
    std::chrono::steady_clock::time_point retry_at_;
    std::chrono::steady_clock::time_point index_loaded_at_;
    std::chrono::steady_clock::time_point swept_at_;
    bool others_wrote_ = false;

    async::WorkerPool workers_;
    std::thread writer_; // last: it uses all of the above
};

} // namespace larder::cache
