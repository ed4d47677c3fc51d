// Tests of the SQLite tier: what is put comes back, also after kill -9 and from another program;
// expiry, the bound on the size, and every way in which the file can fail.
#include "cache/backends.hpp"
#include "sql/sqlite.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace larder::cache {
namespace {

namespace fs = std::filesystem;

llm::Fingerprint key_of(std::uint64_t number) {
    llm::Fingerprint key{};
    std::mt19937_64 random(number);
    for (auto& byte : key)
        byte = static_cast<unsigned char>(random());
    return key;
}

class SqlStoreTest : public testing::Test {
protected:
    SqlStoreTest() {
        auto name = (fs::temp_directory_path() / "larder-cache-XXXXXX").string();
        directory_ = mkdtemp(name.data());
        settings_.path = directory_ / "larder.db";
        settings_.clock = &clock_;
        settings_.flush_interval = Milliseconds(5);
        settings_.retry_interval = Milliseconds(5);
        settings_.get_deadline = Milliseconds(20'000); // slow machines; one test shortens it
    }
    ~SqlStoreTest() override {
        store_.reset();
        fs::remove_all(directory_);
    }

    void open() { store_ = make_sql_store(settings_); }
    void reopen() {
        store_.reset();
        open();
    }
    [[nodiscard]] std::string file() const { return settings_.path + "-cache"; }

    EntryPtr entry_of(std::size_t body_bytes, std::string_view name_space = "default",
                      std::int64_t lives_ms = 3'600'000) {
        auto entry = std::make_shared<Entry>();
        entry->created_ms = clock_.epoch_ms();
        entry->fresh_until_ms = clock_.epoch_ms() + lives_ms;
        entry->stale_until_ms = clock_.epoch_ms() + lives_ms;
        entry->name_space = name_space;
        entry->model = "gpt-4o-mini";
        entry->body = std::string(body_bytes, 'x');
        return entry;
    }

    static Result<EntryPtr> get(Store& store, const llm::Fingerprint& key) {
        asio::io_context context(1);
        Result<EntryPtr> result = fail(ErrorCode::kInternal, "never answered");
        std::thread::id resumed_on;
        asio::co_spawn(context.get_executor(), store.get(key),
                       [&](const std::exception_ptr& thrown, Result<EntryPtr> got) {
                           EXPECT_FALSE(thrown);
                           resumed_on = std::this_thread::get_id();
                           result = std::move(got);
                       });
        context.run();
        EXPECT_EQ(resumed_on, std::this_thread::get_id());
        return result;
    }
    Result<EntryPtr> get(std::uint64_t number) { return get(*store_, key_of(number)); }
    bool has(std::uint64_t number) {
        const auto got = get(number);
        return got && *got != nullptr;
    }

    /// Waits for a state that must come; the bound is only for a broken program.
    template <class Condition> static bool comes(Condition condition) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!condition()) {
            if (std::chrono::steady_clock::now() > until)
                return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return true;
    }
    /// Rows as another program sees them; -1 while there is no table.
    std::int64_t rows(const std::string& where = "1") {
        auto database = sql::open_sqlite({.path = file(), .read_only = true});
        if (!database)
            return -1;
        return (*database)
            ->query_integer("SELECT count(*) FROM entries WHERE " + where)
            .value_or(-1);
    }
    [[nodiscard]] std::uint64_t bytes_on_disk() const {
        std::uint64_t total = 0;
        for (const char* suffix : {"", "-wal"}) {
            std::error_code absent;
            const auto size = fs::file_size(file() + suffix, absent);
            total += absent ? 0 : size;
        }
        return total;
    }

    ManualClock clock_;
    fs::path directory_;
    SqlStoreSettings settings_;
    std::unique_ptr<Store> store_;
};

TEST_F(SqlStoreTest, GivesBackWhatWasPutAlsoBeforeItIsWritten) {
    settings_.flush_interval = std::chrono::hours(1);
    open();
    const auto entry = entry_of(100);
    store_->put(key_of(1), entry);
    EXPECT_TRUE(store_->may_have(key_of(1)));
    EXPECT_EQ(get(1).value(), entry);
    store_->stop(); // writes it
    EXPECT_EQ(rows(), 1);
}

TEST_F(SqlStoreTest, GivesBackWhatAnEarlierProgramWrote) {
    open();
    for (std::uint64_t number = 0; number < 1000; ++number)
        store_->put(key_of(number), entry_of(number));
    reopen();
    for (std::uint64_t number = 0; number < 1000; number += 37) {
        const auto got = get(number).value();
        ASSERT_NE(got, nullptr);
        EXPECT_EQ(got->body.size(), number);
        EXPECT_EQ(got->model, "gpt-4o-mini");
        EXPECT_EQ(got->name_space, "default");
    }
    EXPECT_EQ(get(5000).value(), nullptr);
    EXPECT_TRUE(store_->health().ok);
}

TEST_F(SqlStoreTest, KnowsAMissWithoutTheFile) {
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return !store_->may_have(key_of(2)); })); // once the index is loaded
    EXPECT_TRUE(store_->may_have(key_of(1)));
}

TEST_F(SqlStoreTest, WritesByItselfWithinItsInterval) {
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
}

TEST_F(SqlStoreTest, KeepsTheLastOfTwoAnswers) {
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
    store_->put(key_of(1), entry_of(20));
    reopen();
    EXPECT_EQ(get(1).value()->body.size(), 20U);
    EXPECT_EQ(rows(), 1);
}

TEST_F(SqlStoreTest, ErasesAnEntry) {
    open();
    store_->put(key_of(1), entry_of(10));
    store_->put(key_of(2), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 2; }));
    store_->erase(key_of(1));
    EXPECT_FALSE(has(1)); // at once
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
    EXPECT_FALSE(has(1));
    EXPECT_TRUE(has(2));
    EXPECT_TRUE(comes([&] { return !store_->may_have(key_of(1)); }));
}

TEST_F(SqlStoreTest, LosesNothingToKillMinusNineOnceItIsWritten) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const auto store = make_sql_store(settings_);
        for (std::uint64_t number = 0; number < 700; ++number)
            store->put(key_of(number), entry_of(2000));
        comes([&] { return rows() == 700; });
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    open();
    for (std::uint64_t number = 0; number < 700; ++number)
        ASSERT_TRUE(has(number)) << number;
}

TEST_F(SqlStoreTest, SeesWhatAnotherProgramWrites) {
    open();
    EXPECT_TRUE(comes([&] { return !store_->may_have(key_of(1)); }));
    auto other = make_sql_store(settings_);
    other->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return store_->may_have(key_of(1)); }));
    EXPECT_TRUE(has(1));
    // Also when both write at the same time.
    for (std::uint64_t number = 100; number < 1100; ++number)
        (number % 2 == 0 ? *store_ : *other).put(key_of(number), entry_of(500));
    EXPECT_TRUE(comes([&] { return rows() == 1001; }));
    EXPECT_TRUE(comes([&] {
        for (std::uint64_t number = 100; number < 1100; ++number)
            if (!store_->may_have(key_of(number)) || !other->may_have(key_of(number)))
                return false;
        return true;
    }));
    EXPECT_TRUE(has(101));
    EXPECT_EQ(store_->dropped_writes() + other->dropped_writes(), 0U);
}

TEST_F(SqlStoreTest, EndsEntriesWithTheirTime) {
    open();
    store_->put(key_of(1), entry_of(10, "default", 1000));
    store_->put(key_of(2), entry_of(10, "default", 60'000));
    EXPECT_TRUE(comes([&] { return rows() == 2; }));
    clock_.advance(std::chrono::seconds(2));
    EXPECT_FALSE(has(1));
    EXPECT_TRUE(has(2));
    EXPECT_TRUE(comes([&] { return rows() == 1; })); // deleted, with its tag
    EXPECT_TRUE(comes([&] { return !store_->may_have(key_of(1)); }));
    store_->put(key_of(3), entry_of(10, "default", -1)); // has ended already
    store_->stop();
    EXPECT_EQ(rows(), 1);
}

TEST_F(SqlStoreTest, StaysWithinItsSizeAndKeepsTheNewest) {
    settings_.max_size_bytes = 4 << 20;
    open();
    std::uint64_t largest = 0;
    for (std::uint64_t number = 0; number < 6000; ++number) {
        store_->put(key_of(number), entry_of(2000 + number % 3000));
        if (number % 500 == 499) {
            EXPECT_TRUE(comes([&] { return rows("id = " + std::to_string(number + 1)) == 1; }));
            largest = std::max(largest, bytes_on_disk());
        }
    }
    EXPECT_LE(largest, settings_.max_size_bytes);
    EXPECT_GT(rows(), 300);
    EXPECT_TRUE(has(5999));
    EXPECT_FALSE(has(0));
    EXPECT_FALSE(store_->may_have(key_of(0)));
}

TEST_F(SqlStoreTest, TakesFromTheLargestNamespaceFirst) {
    settings_.max_size_bytes = 4 << 20;
    open();
    for (std::uint64_t number = 0; number < 100; ++number)
        store_->put(key_of(number), entry_of(2000, "modest"));
    EXPECT_TRUE(comes([&] { return rows() == 100; }));
    for (std::uint64_t number = 1000; number < 5000; ++number) {
        store_->put(key_of(number), entry_of(2000, "greedy"));
        if (number % 500 == 499)
            EXPECT_TRUE(comes([&] { return rows("id = " + std::to_string(number - 899)) == 1; }));
    }
    EXPECT_EQ(rows("namespace = (SELECT id FROM namespaces WHERE name = 'modest')"), 100);
    EXPECT_TRUE(has(0));
    EXPECT_TRUE(has(4999));
}

TEST_F(SqlStoreTest, GivesTheDiskBackWhenTheBoundIsLowered) {
    open();
    for (std::uint64_t number = 0; number < 4000; ++number)
        store_->put(key_of(number), entry_of(3000));
    store_.reset();
    ASSERT_GT(bytes_on_disk(), 12U << 20);
    settings_.max_size_bytes = 4 << 20;
    settings_.flush_interval = Milliseconds(1);
    open();
    std::uint64_t number = 10'000; // each batch brings it a piece nearer
    EXPECT_TRUE(comes([&] {
        store_->put(key_of(number++), entry_of(10));
        return bytes_on_disk() <= settings_.max_size_bytes;
    }));
}

TEST_F(SqlStoreTest, DropsAndCountsWhatTheQueueCannotHold) {
    settings_.flush_interval = std::chrono::hours(1);
    settings_.queue_entries_max = 10;
    open();
    for (std::uint64_t number = 0; number < 15; ++number)
        store_->put(key_of(number), entry_of(10));
    EXPECT_EQ(store_->dropped_writes(), 5U);
    store_->stop();
    EXPECT_EQ(rows(), 10);
}

TEST_F(SqlStoreTest, BeginsAnewWithAFileThatIsNoDatabase) {
    std::ofstream(file()) << std::string(100'000, 'x');
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
    EXPECT_TRUE(has(1));
    EXPECT_TRUE(comes([&] { return store_->health().ok; }));
    EXPECT_EQ(store_->health().begun_anew, 1U);
}

TEST_F(SqlStoreTest, BeginsAnewWhenTheFileBecomesCorruptLater) {
    open();
    for (std::uint64_t number = 0; number < 2000; ++number)
        store_->put(key_of(number), entry_of(2000));
    EXPECT_TRUE(comes([&] { return rows() == 2000; }));
    {
        auto database = sql::open_sqlite({.path = file()}).value();
        ASSERT_TRUE(database->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
    }
    std::fstream damaged(file(), std::ios::in | std::ios::out | std::ios::binary);
    damaged.seekp(4096);
    damaged << std::string(fs::file_size(file()) - 4096, 'x');
    damaged.close();
    std::uint64_t number = 0; // a reader or the writer meets it
    EXPECT_TRUE(comes([&] {
        (void)get(number);
        store_->put(key_of(10'000 + number++), entry_of(10));
        return store_->health().begun_anew > 0;
    }));
    store_->put(key_of(1), entry_of(77));
    EXPECT_TRUE(comes([&] { return rows("bytes < 500") > 0 && store_->health().ok; }));
    EXPECT_EQ(get(1).value()->body.size(), 77U);
    EXPECT_FALSE(fs::exists(settings_.path)); // the precious file is not ours to touch
}

TEST_F(SqlStoreTest, TakesADamagedEntryForAMiss) {
    open();
    store_->put(key_of(1), entry_of(10));
    store_->stop();
    {
        auto database = sql::open_sqlite({.path = file()}).value();
        ASSERT_TRUE(database->execute("UPDATE entries SET entry = x'01ff'"));
    }
    reopen();
    EXPECT_EQ(get(1).value(), nullptr);
}

TEST_F(SqlStoreTest, GoesOnWhenSomebodyDeletesItsFile) {
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
    ASSERT_TRUE(sql::remove_sqlite(file()));
    EXPECT_TRUE(comes([&] { return rows() == 0; }));
    EXPECT_FALSE(has(1));
    store_->put(key_of(2), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
    EXPECT_TRUE(has(2));
}

TEST_F(SqlStoreTest, ServesOnWhileTheFileIsLocked) {
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
    auto locker = sql::open_sqlite({.path = file()}).value();
    ASSERT_TRUE(locker->execute("BEGIN EXCLUSIVE"));
    store_->put(key_of(2), entry_of(20));
    EXPECT_TRUE(comes([&] { return !store_->health().ok; }));
    EXPECT_EQ(store_->health().reason, "the database is locked by another program");
    EXPECT_TRUE(has(1));
    EXPECT_TRUE(has(2));
    ASSERT_TRUE(locker->execute("ROLLBACK"));
    EXPECT_TRUE(comes([&] { return store_->health().ok && rows() == 2; }));
    EXPECT_EQ(store_->health().reason, "");
    EXPECT_EQ(store_->dropped_writes(), 0U);
}

TEST_F(SqlStoreTest, StartsWhileTheFileIsLocked) {
    open();
    store_->put(key_of(1), entry_of(10));
    store_.reset();
    auto locker = sql::open_sqlite({.path = file()}).value();
    ASSERT_TRUE(locker->execute("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE"));
    open();
    EXPECT_TRUE(comes([&] { return !store_->health().ok; }));
    EXPECT_TRUE(store_->may_have(key_of(1)));
    EXPECT_FALSE(get(1)); // an error, not a miss
    locker.reset();
    EXPECT_TRUE(comes([&] { return store_->health().ok; }));
    EXPECT_TRUE(has(1));
}

TEST_F(SqlStoreTest, ServesOnWhileTheDiskIsFull) {
    settings_.max_pages = 24;
    std::vector<std::string> reasons;
    settings_.on_health = [&](const StoreHealth& health) { reasons.push_back(health.reason); };
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1; }));
    for (std::uint64_t number = 100; number < 300; ++number)
        store_->put(key_of(number), entry_of(2000));
    EXPECT_TRUE(comes([&] { return !store_->health().ok; }));
    EXPECT_EQ(store_->health().reason, "the disk is full");
    EXPECT_TRUE(has(1));
    EXPECT_TRUE(has(299)); // still waiting
    // Somebody makes room.
    for (std::uint64_t number = 100; number < 300; ++number)
        store_->erase(key_of(number));
    EXPECT_TRUE(comes([&] { return store_->health().ok; }));
    store_->put(key_of(2), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 2; }));
    store_->stop();
    EXPECT_EQ(reasons, (std::vector<std::string>{"the disk is full", ""}));
}

TEST_F(SqlStoreTest, ServesOnWithoutADirectoryAndTakesItUpWhenItIsThere) {
    settings_.path = directory_ / "later" / "larder.db";
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return !store_->health().ok; }));
    EXPECT_EQ(store_->health().reason.find("later"), std::string::npos);
    EXPECT_TRUE(has(1));
    EXPECT_FALSE(get(2));
    fs::create_directory(directory_ / "later");
    EXPECT_TRUE(comes([&] { return store_->health().ok && rows() == 1; }));
    EXPECT_EQ(get(2).value(), nullptr);
}

TEST_F(SqlStoreTest, AnswersWithinItsDeadline) {
    settings_.readers = 0; // nobody reads: only the deadline can answer
    settings_.get_deadline = Milliseconds(10);
    open();
    store_->put(key_of(1), entry_of(10));
    EXPECT_TRUE(comes([&] { return rows() == 1 && !get(1); }));
    EXPECT_EQ(get(1).error().code, ErrorCode::kStore);
}

TEST_F(SqlStoreTest, StaysWholeUnderManyThreads) {
    open();
    {
        std::vector<std::jthread> threads;
        for (unsigned seed = 0; seed < 3; ++seed)
            threads.emplace_back([&, seed] {
                std::mt19937 random(seed);
                for (int i = 0; i < 300; ++i) {
                    const std::uint64_t number = random() % 100;
                    if (random() % 3 == 0) {
                        store_->put(key_of(number), entry_of(number));
                    } else if (const auto got = get(number); got && *got) {
                        EXPECT_EQ((*got)->body.size(), number);
                    }
                    (void)store_->health();
                }
            });
    }
    EXPECT_TRUE(store_->health().ok);
}

} // namespace
} // namespace larder::cache
