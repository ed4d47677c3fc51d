// The threads around the cache file. Every failure ends in `on_failure`, which decides: begin anew,
// or close and try again.
#include "cache/sql_store.hpp"

#include "async/worker_call.hpp"
#include "sql/sqlite.hpp"

namespace larder::cache {
namespace {

using Steady = std::chrono::steady_clock;

/// The pages of the index on the key are written anew by each batch: the larger, the cheaper a row.
constexpr std::size_t kBatchEntries = 2048;
constexpr std::size_t kReadsWaitingMax = 4096;
/// What this share of the bound can't hold would push out too much.
constexpr std::uint64_t kEntryShare = 8;
constexpr auto kSweepInterval = std::chrono::seconds(1);
/// Keys that other programs deleted stay in the index until it is loaded again.
constexpr auto kIndexReloadInterval = std::chrono::minutes(10);

constexpr std::string_view kUnavailable = "the cache file is not available";

std::unexpected<Error> unavailable() {
    return fail(ErrorCode::kStore, std::string(kUnavailable));
}

} // namespace

Result<EntryPtr> ReaderPool::find(const llm::Fingerprint& key, std::int64_t now_ms) {
    LARDER_TRY(auto lent, borrow());
    auto found = lent.reader->find(key, now_ms);
    if (found)
        give_back(std::move(lent));
    return found;
}

Result<ReaderPool::Lent> ReaderPool::borrow() {
    Lent lent;
    {
        const std::lock_guard lock(mutex_);
        lent.generation = generation_;
        if (!idle_.empty()) {
            lent.reader = std::move(idle_.back());
            idle_.pop_back();
            return lent;
        }
    }
    LARDER_TRY(lent.reader, SqlReader::open(path_));
    return lent;
}

void ReaderPool::give_back(Lent lent) {
    const std::lock_guard lock(mutex_);
    if (lent.generation == generation_)
        idle_.push_back(std::move(lent.reader));
}

void ReaderPool::forget() {
    std::vector<std::unique_ptr<SqlReader>> closing;
    const std::lock_guard lock(mutex_);
    ++generation_;
    closing.swap(idle_);
}

SqlStore::SqlStore(SqlStoreSettings settings)
    : settings_(std::move(settings)), path_(settings_.path + "-cache"),
      queue_({.entries = settings_.queue_entries_max,
              .bytes = settings_.queue_bytes_max,
              .batch_entries = kBatchEntries,
              .batch_bytes = batch_bytes_max(settings_.max_size_bytes)}),
      readers_(path_), workers_(settings_.readers, kReadsWaitingMax) {
    LARDER_ASSERT(settings_.clock != nullptr);
    writer_ = std::thread([this] { run(); });
}

SqlStore::~SqlStore() {
    stop();
}

void SqlStore::stop() {
    stopping_ = true;
    queue_.wake();
    if (writer_.joinable())
        writer_.join();
    workers_.stop();
    readers_.forget();
}

bool SqlStore::may_have(const llm::Fingerprint& key) const {
    // While the index is loaded, what waits to be written may not be in it yet.
    return index_.may_have(key) || queue_.find(key).has_value();
}

void SqlStore::put(const llm::Fingerprint& key, EntryPtr entry) {
    LARDER_ASSERT(entry != nullptr);
    if (entry->bytes() > settings_.max_size_bytes / kEntryShare ||
        !queue_.push(key, std::move(entry)))
        ++dropped_;
    else
        index_.add(key);
}

void SqlStore::erase(const llm::Fingerprint& key) {
    if (!queue_.push(key, nullptr))
        ++dropped_;
}

void SqlStore::purged(const PurgeScope& scope, std::uint64_t generation) {
    {
        const std::lock_guard lock(mutex_);
        raised_.merge({.scope = scope, .generation = generation});
    }
    queue_.wake();
}

StoreHealth SqlStore::health() const {
    const std::lock_guard lock(mutex_);
    return health_;
}

Task<Result<EntryPtr>> SqlStore::get(llm::Fingerprint key) {
    if (auto waiting = queue_.find(key))
        co_return *std::move(waiting);
    if (!index_.may_have(key))
        co_return EntryPtr();
    co_return co_await async::call_worker<EntryPtr>(
        workers_, [this, key] { return find(key); },
        {.within = settings_.get_deadline,
         .late = {.code = ErrorCode::kStore, .message = "the cache file answers too slowly"},
         .full = {.code = ErrorCode::kStore, .message = std::string(kUnavailable)}});
}

bool SqlStore::wait_for_access() {
    std::unique_lock lock(mutex_);
    access_changed_.wait_for(lock, settings_.get_deadline,
                             [this] { return access_ != Access::kStarting; });
    return access_ == Access::kOpen;
}

Result<EntryPtr> SqlStore::find(const llm::Fingerprint& key) {
    if (!wait_for_access())
        return unavailable();
    auto found = readers_.find(key, settings_.clock->epoch_ms());
    if (!found && sql::failure_of(found.error()) == sql::Failure::kCorrupt) {
        reader_saw_corruption_ = true;
        queue_.wake();
    }
    return found;
}

void SqlStore::run() {
    while (true) {
        const bool stopping = stopping_;
        tick(stopping);
        if (stopping)
            break;
        queue_.wait(settings_.flush_interval);
    }
    dropped_ += queue_.keys().size(); // nothing, unless the file can't be used
    close_file(Access::kClosed);
}

void SqlStore::tick(bool stopping) {
    if (!stopping && Steady::now() < retry_at_)
        return;
    if (reader_saw_corruption_.exchange(false) && file_ != nullptr)
        begin_anew();
    if (file_ != nullptr && !file_->is_in_place())
        close_file(Access::kStarting); // somebody deleted it: a new one takes its place
    if (file_ == nullptr) {
        if (auto opened = open_file(); !opened)
            return on_failure(opened.error());
    }
    if (auto drained = drain(stopping); !drained)
        return on_failure(drained.error());
    if (auto kept = keep_up(); !kept)
        return on_failure(kept.error());
    set_health(true, {});
}

Result<void> SqlStore::open_file() {
    tried_identity_ = file_identity(path_);
    LARDER_TRY(auto file, SqlFile::open({.path = path_,
                                         .max_size_bytes = settings_.max_size_bytes,
                                         .max_pages = settings_.max_pages}));
    tried_identity_ = file_identity(path_);
    // Before anybody reads an entry: it may have been purged.
    LARDER_TRY(const auto stored, file->new_purges());
    PurgeSet in_file;
    for (const Purge& purge : stored)
        in_file.merge(purge);
    report_purges(stored);
    missing_ = purges_.list();
    std::erase_if(missing_, [&in_file](const Purge& purge) {
        return in_file.of(purge.scope) >= purge.generation;
    });
    file_ = std::move(file);
    readers_.forget();
    set_access(Access::kOpen);
    return load_index();
}

Result<void> SqlStore::load_index() {
    LARDER_TRY(const auto tags, file_->load_tags());
    index_.replace(tags);
    for (const auto& key : queue_.keys()) // may have been added to the old one
        index_.add(key);
    index_loaded_at_ = Steady::now();
    others_wrote_ = false;
    return {};
}

/// First what others did, which needs no room on the disk.
Result<void> SqlStore::sync_purges() {
    LARDER_TRY(const auto others, file_->new_purges());
    report_purges(others);
    PurgeSet raised;
    {
        const std::lock_guard lock(mutex_);
        std::swap(raised, raised_);
    }
    if (raised.empty() && missing_.empty())
        return {};
    const auto ours = raised.list();
    if (auto written = file_->write_purges(ours, missing_); !written) {
        const std::lock_guard lock(mutex_);
        for (const Purge& purge : ours)
            raised_.merge(purge);
        return written;
    }
    missing_.clear();
    for (const Purge& purge : ours)
        purges_.merge(purge);
    LARDER_TRY(const auto numbered, file_->new_purges());
    report_purges(numbered);
    return {};
}

void SqlStore::report_purges(const std::vector<Purge>& purges) {
    for (const Purge& purge : purges)
        purges_.merge(purge);
    if (settings_.on_purges && !purges.empty())
        settings_.on_purges(purges);
}

Result<void> SqlStore::drain(bool everything) {
    const auto added = [this](const llm::Fingerprint& key) {
        others_wrote_ = true;
        index_.add(key);
    };
    do {
        LARDER_CHECK(sync_purges());
        const auto batch = queue_.take_batch();
        if (batch.empty())
            return {};
        auto written = file_->write(batch, settings_.clock->epoch_ms(), added);
        if (!written) {
            // A batch that the database refuses for itself would be refused again.
            if (sql::failure_of(written.error()) == sql::Failure::kOther) {
                queue_.done(batch);
                dropped_ += batch.size();
            } else {
                queue_.put_back(batch);
            }
            return written;
        }
        queue_.done(batch);
        for (const auto& write : batch) {
            if (write.entry == nullptr)
                forget_key(write.key);
        }
        LARDER_CHECK(file_->enforce_size([this](const auto& key) { forget_key(key); }));
    } while (everything || queue_.has_batch());
    return {};
}

Result<void> SqlStore::keep_up() {
    LARDER_CHECK(file_->refresh([this](const llm::Fingerprint& key) {
        others_wrote_ = true;
        index_.add(key);
    }));
    const auto now = Steady::now();
    if (now - swept_at_ < kSweepInterval)
        return {};
    swept_at_ = now;
    const auto forget = [this](const llm::Fingerprint& key) { forget_key(key); };
    LARDER_TRY(const bool more, file_->delete_expired(settings_.clock->epoch_ms(), forget));
    if (more)
        swept_at_ = {}; // goes on at the next tick
    LARDER_CHECK(file_->enforce_size(forget));
    if (others_wrote_ && now - index_loaded_at_ > kIndexReloadInterval)
        LARDER_CHECK(load_index());
    return {};
}

/// A key that is put at the same time keeps its tag: it is in the queue before it is in the index.
void SqlStore::forget_key(const llm::Fingerprint& key) {
    index_.erase(key);
    if (queue_.find(key))
        index_.add(key);
}

void SqlStore::close_file(Access access) {
    set_access(access);
    readers_.forget();
    file_.reset();
}

void SqlStore::begin_anew() {
    set_health(false, sql::describe(sql::Failure::kCorrupt));
    close_file(Access::kStarting);
    // Another program may have been faster: then its new file is not ours to delete.
    if (file_identity(path_) != tried_identity_ || !sql::remove_sqlite(path_))
        return;
    const std::lock_guard lock(mutex_);
    ++health_.begun_anew;
}

void SqlStore::on_failure(const Error& error) {
    const auto failure = sql::failure_of(error);
    if (failure != sql::Failure::kCorrupt)
        set_health(false, sql::describe(failure));
    if (failure == sql::Failure::kCorrupt) {
        begin_anew();
        if (auto opened = open_file())
            return; // the batch that waits is written at the next tick
        close_file(Access::kClosed);
    } else if (failure == sql::Failure::kBusy || failure == sql::Failure::kFull) {
        if (file_ == nullptr)
            set_access(Access::kClosed); // else what is there can still be read
    } else {
        close_file(Access::kClosed);
    }
    retry_at_ = Steady::now() + settings_.retry_interval;
}

void SqlStore::set_access(Access access) {
    const std::lock_guard lock(mutex_);
    access_ = access;
    access_changed_.notify_all();
}

void SqlStore::set_health(bool ok, std::string_view reason) {
    StoreHealth changed;
    {
        const std::lock_guard lock(mutex_);
        if (health_.ok == ok && health_.reason == reason)
            return;
        health_.ok = ok;
        health_.reason = reason;
        changed = health_;
    }
    if (settings_.on_health)
        settings_.on_health(changed);
}

std::unique_ptr<Store> make_sql_store(SqlStoreSettings settings) {
    return std::make_unique<SqlStore>(std::move(settings));
}

} // namespace larder::cache
