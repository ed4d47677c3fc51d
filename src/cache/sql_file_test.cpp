// Tests of the cache file's writer: its numbers never repeat, the walk finds what has ended, and a
// file of an older form is begun anew.
#include "cache/backends.hpp"
#include "cache/sql_file.hpp"
#include "sql/sqlite.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <thread>

namespace larder::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kStartMs = 1'700'000'000'000;

llm::Fingerprint key_of(std::uint64_t number) {
    llm::Fingerprint key{};
    for (std::size_t index = 0; index < sizeof(number); ++index)
        key[index] = static_cast<unsigned char>((number * 0x9E3779B97F4A7C15) >> (8 * index));
    return key;
}

Write write_of(std::uint64_t number, std::int64_t end_ms = kStartMs + 3'600'000) {
    auto entry = std::make_shared<Entry>();
    entry->created_ms = kStartMs;
    entry->fresh_until_ms = end_ms;
    entry->stale_until_ms = end_ms;
    entry->name_space = "default";
    entry->body = std::to_string(number);
    return {.key = key_of(number), .entry = std::move(entry)};
}

class SqlFileTest : public testing::Test {
protected:
    SqlFileTest() {
        auto name = (fs::temp_directory_path() / "larder-file-XXXXXX").string();
        directory_ = mkdtemp(name.data());
    }
    ~SqlFileTest() override { fs::remove_all(directory_); }

    [[nodiscard]] std::string path() const { return directory_ / "larder.db-cache"; }
    [[nodiscard]] std::unique_ptr<SqlFile> open_file() const {
        auto file = SqlFile::open({.path = path(), .max_size_bytes = 64 << 20}).value();
        EXPECT_TRUE(file->load_tags());
        return file;
    }
    static std::vector<llm::Fingerprint> write(SqlFile& file, const std::vector<Write>& batch) {
        std::vector<llm::Fingerprint> added;
        EXPECT_TRUE(file.write(batch, kStartMs, [&](const auto& key) { added.push_back(key); }));
        return added;
    }
    static std::vector<llm::Fingerprint> seen_by(SqlFile& file) {
        std::vector<llm::Fingerprint> added;
        EXPECT_TRUE(file.refresh([&](const auto& key) { added.push_back(key); }));
        return added;
    }
    /// Steps of the walk until it is over, and how many keys it has removed.
    static std::pair<int, int> walk(SqlFile& file, std::int64_t now_ms) {
        int steps = 1;
        int removed = 0;
        while (file.delete_expired(now_ms, [&](const auto&) { ++removed; }).value())
            ++steps;
        return {steps, removed};
    }
    [[nodiscard]] std::int64_t query(std::string_view text) const {
        auto database = sql::open_sqlite({.path = path(), .read_only = true}).value();
        return database->query_integer(text).value();
    }

    fs::path directory_;
};

TEST_F(SqlFileTest, NumbersRiseAlsoWhenTheNewestEntryIsErased) {
    auto file = open_file();
    write(*file, {write_of(1), write_of(2), write_of(3)});
    EXPECT_EQ(query("SELECT max(id) FROM entries"), 3);
    write(*file, {{key_of(1), nullptr}, {key_of(2), nullptr}, {key_of(3), nullptr}});
    write(*file, {write_of(4)});
    EXPECT_EQ(query("SELECT id FROM entries"), 4);
    file = open_file();
    write(*file, {{key_of(4), nullptr}});
    write(*file, {write_of(5)});
    EXPECT_EQ(query("SELECT id FROM entries"), 5);
}

TEST_F(SqlFileTest, TwoProgramsSeeEachOthersEntriesAndNumberThemApart) {
    auto one = open_file();
    auto two = open_file();
    EXPECT_TRUE(write(*one, {write_of(1), write_of(2)}).empty());
    EXPECT_EQ(write(*two, {write_of(3)}).size(), 2U);
    EXPECT_EQ(seen_by(*one), std::vector{key_of(3)});
    // The newest goes before anybody has looked; what comes after it is seen nevertheless.
    write(*two, {write_of(4)});
    EXPECT_EQ(seen_by(*one), std::vector{key_of(4)});
    write(*two, {{key_of(4), nullptr}});
    write(*two, {write_of(5)});
    EXPECT_EQ(seen_by(*one), std::vector{key_of(5)});
    EXPECT_TRUE(seen_by(*two).empty());
    EXPECT_EQ(query("SELECT max(id) FROM entries"), 5);
    EXPECT_EQ(query("SELECT id FROM last_entry"), 5);
}

TEST_F(SqlFileTest, AnEntryThatIsWrittenAgainIsNewToOthers) {
    auto one = open_file();
    auto two = open_file();
    write(*one, {write_of(1), write_of(2)});
    EXPECT_EQ(seen_by(*two).size(), 2U);
    write(*one, {write_of(1, kStartMs + 7'000)});
    EXPECT_EQ(seen_by(*two), std::vector{key_of(1)});
    EXPECT_EQ(query("SELECT count(*) FROM entries"), 2);
    EXPECT_EQ(query("SELECT max(expires_ms) FROM entries WHERE id = 3"), kStartMs + 7'000);
}

TEST_F(SqlFileTest, OfEqualKeysInABatchTheLastStays) {
    auto file = open_file();
    write(*file, {write_of(1, kStartMs + 1),
                  write_of(2),
                  write_of(1, kStartMs + 2),
                  write_of(3),
                  {key_of(3), nullptr}});
    EXPECT_EQ(query("SELECT count(*) FROM entries"), 2);
    EXPECT_EQ(query("SELECT min(expires_ms) FROM entries"), kStartMs + 2);
}

TEST_F(SqlFileTest, GoesOnWithoutItsCounterAndRefusesADamagedOne) {
    auto file = open_file();
    write(*file, {write_of(1), write_of(2)});
    auto database = sql::open_sqlite({.path = path()}).value();
    ASSERT_TRUE(database->execute("DELETE FROM last_entry"));
    write(*file, {write_of(3)});
    EXPECT_EQ(query("SELECT id FROM last_entry"), 3);
    EXPECT_EQ(query("SELECT count(*) FROM entries"), 3);
    ASSERT_TRUE(database->execute("UPDATE last_entry SET id = 9223372036854775807"));
    const auto refused = file->write({write_of(4)}, kStartMs, [](const auto&) {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(sql::failure_of(refused.error()), sql::Failure::kCorrupt);
}

TEST_F(SqlFileTest, WalksInStepsAndOnlyWhenSomethingHasEnded) {
    auto file = open_file();
    EXPECT_EQ(walk(*file, kStartMs), std::pair(1, 0));
    std::vector<Write> batch;
    for (std::uint64_t number = 0; number < 1000; ++number)
        batch.push_back(write_of(number, kStartMs + (number % 2 == 0 ? 1000 : 5000)));
    write(*file, batch);
    EXPECT_EQ(walk(*file, kStartMs + 1000), std::pair(1, 0)); // they end after that moment
    EXPECT_EQ(walk(*file, kStartMs + 1001), std::pair(4, 500));
    EXPECT_EQ(walk(*file, kStartMs + 5000), std::pair(1, 0));
    EXPECT_EQ(query("SELECT count(*) FROM entries"), 500);
    EXPECT_EQ(walk(*file, kStartMs + 5001).second, 500);
    EXPECT_EQ(query("SELECT count(*) FROM entries"), 0);
}

TEST_F(SqlFileTest, TheWalkFindsWhatWasThereBeforeAndWhatComesMeanwhile) {
    {
        auto file = open_file();
        std::vector<Write> batch;
        for (std::uint64_t number = 0; number < 600; ++number)
            batch.push_back(write_of(number, kStartMs + 1000));
        write(*file, batch);
    }
    auto file = open_file();
    auto other = open_file();
    int removed = 0;
    ASSERT_TRUE(file->delete_expired(kStartMs + 2000, [&](const auto&) { ++removed; }).value());
    EXPECT_EQ(removed, 256);
    write(*file, {write_of(1000, kStartMs + 3000)});
    write(*other, {write_of(1001, kStartMs + 4000)});
    EXPECT_EQ(walk(*file, kStartMs + 2000).second, 344);
    EXPECT_EQ(walk(*file, kStartMs + 3001).second, 1);
    EXPECT_EQ(walk(*file, kStartMs + 4001).second, 1);
    // Another program's entries after the walk.
    write(*other, {write_of(1002, kStartMs + 6000)});
    EXPECT_EQ(seen_by(*file).size(), 1U);
    EXPECT_EQ(walk(*file, kStartMs + 6000).second, 0);
    EXPECT_EQ(walk(*file, kStartMs + 6001).second, 1);
}

TEST_F(SqlFileTest, AFileOfAnOlderFormIsBegunAnew) {
    {
        auto database = sql::open_sqlite({.path = path()}).value();
        constexpr std::array kOlder{
            sql::Migration{1, "CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT, "
                              "expires_ms INTEGER, key BLOB UNIQUE, entry BLOB);"
                              "CREATE TABLE namespaces (id INTEGER PRIMARY KEY, name TEXT UNIQUE);"
                              "INSERT INTO entries (key, entry) VALUES (x'01', x'02');"},
            sql::Migration{2,
                           "CREATE TABLE purges (kind INTEGER, name TEXT, generation INTEGER);"}};
        ASSERT_TRUE(sql::migrate(*database, "cache", kOlder));
    }
    const auto refused = SqlFile::open({.path = path(), .max_size_bytes = 64 << 20});
    ASSERT_FALSE(refused);
    EXPECT_EQ(sql::failure_of(refused.error()), sql::Failure::kCorrupt);

    ManualClock clock;
    auto store = make_sql_store({.path = directory_ / "larder.db",
                                 .clock = &clock,
                                 .flush_interval = Milliseconds(5),
                                 .retry_interval = Milliseconds(5)});
    auto write = write_of(1, clock.epoch_ms() + 60'000);
    store->put(write.key, write.entry);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (store->health().begun_anew == 0 && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    store->stop();
    EXPECT_EQ(query("SELECT count(*) FROM entries"), 1);
    EXPECT_EQ(query("SELECT min(number) FROM schema_migrations WHERE room = 'cache'"), 3);
    EXPECT_EQ(store->health().begun_anew, 1U);
    EXPECT_EQ(store->dropped_writes(), 0U);
}

} // namespace
} // namespace larder::cache
