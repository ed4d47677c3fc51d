// Tests of purges in the cache file: they come back, other programs see them, and two at the same
// moment both count.
#include "cache/backends.hpp"
#include "cache/sql_file.hpp"
#include "sql/sqlite.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

namespace larder::cache {
namespace {

namespace fs = std::filesystem;

const PurgeScope kWeb{PurgeKind::kNamespace, "web"};
const PurgeScope kMini{PurgeKind::kModel, "mini"};

class SqlPurgesTest : public testing::Test {
protected:
    SqlPurgesTest() {
        auto name = (fs::temp_directory_path() / "larder-purges-XXXXXX").string();
        directory_ = mkdtemp(name.data());
    }
    ~SqlPurgesTest() override { fs::remove_all(directory_); }

    [[nodiscard]] std::string file() const { return directory_ / "larder.db-cache"; }
    [[nodiscard]] std::unique_ptr<SqlFile> open_file() const {
        return SqlFile::open({.path = file(), .max_size_bytes = 64 << 20}).value();
    }

    /// One program: a store and what it has told.
    struct Program {
        explicit Program(const SqlPurgesTest& test)
            : store(make_sql_store({.path = test.directory_ / "larder.db",
                                    .clock = &test.clock_,
                                    .flush_interval = Milliseconds(5),
                                    .retry_interval = Milliseconds(5),
                                    .get_deadline = Milliseconds(20'000),
                                    .on_purges = [this](std::span<const Purge> purges) {
                                        const std::lock_guard lock(mutex);
                                        for (const Purge& purge : purges)
                                            known.merge(purge);
                                    }})) {}
        ~Program() { store.reset(); }
        std::uint64_t of(const PurgeScope& scope) {
            const std::lock_guard lock(mutex);
            return known.of(scope);
        }
        std::mutex mutex;
        PurgeSet known;
        std::unique_ptr<Store> store;
    };

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

    ManualClock clock_;
    fs::path directory_;
};

TEST_F(SqlPurgesTest, ComeBackAfterARestart) {
    {
        Program program(*this);
        program.store->purged(kWeb, 1000);
        program.store->purged(kMini, 1001);
    }
    Program program(*this);
    EXPECT_TRUE(comes([&] { return program.of(kMini) == 1001; }));
    EXPECT_EQ(program.of(kWeb), 1000U);
    EXPECT_EQ(program.of({}), 0U);
}

TEST_F(SqlPurgesTest, AreKnownBeforeAnEntryIsRead) {
    llm::Fingerprint key{};
    key[0] = 1;
    {
        Program program(*this);
        auto entry = std::make_shared<Entry>();
        entry->stale_until_ms = clock_.epoch_ms() + 3'600'000;
        program.store->put(key, entry);
        program.store->purged(kWeb, 1000);
    }
    for (int i = 0; i < 20; ++i) {
        Program program(*this);
        asio::io_context context(1);
        std::uint64_t known_then = 0;
        EntryPtr found;
        asio::co_spawn(context.get_executor(), program.store->get(key),
                       [&](const std::exception_ptr&, Result<EntryPtr> got) {
                           known_then = program.of(kWeb);
                           found = got.value_or(nullptr);
                       });
        context.run();
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(known_then, 1000U);
    }
}

TEST_F(SqlPurgesTest, AreSeenByAnotherProgram) {
    Program first(*this);
    Program second(*this);
    first.store->purged(kWeb, 1000);
    EXPECT_TRUE(comes([&] { return second.of(kWeb) == 1000; }));
    second.store->purged({}, 1001);
    EXPECT_TRUE(comes([&] { return first.of(kWeb) == 1001; }));
    EXPECT_TRUE(comes([&] { return second.of({}) == 1001; }));
}

TEST_F(SqlPurgesTest, TwoOfTheSameMomentBothCount) {
    Program first(*this);
    Program second(*this);
    first.store->purged(kWeb, 1000);
    second.store->purged(kWeb, 1000); // knew nothing of the first one
    // What either made under 1000 ends, for the other purge may have come later.
    EXPECT_TRUE(comes([&] { return first.of(kWeb) == 1001 && second.of(kWeb) == 1001; }));
}

TEST_F(SqlPurgesTest, GoIntoANewFileToo) {
    Program program(*this);
    program.store->purged(kWeb, 1000);
    EXPECT_TRUE(comes([&] { return program.of(kWeb) == 1000; }));
    ASSERT_TRUE(sql::remove_sqlite(file()));
    EXPECT_TRUE(comes([&] {
        auto database = sql::open_sqlite({.path = file(), .read_only = true});
        return database && (*database)->query_integer("SELECT generation FROM purges") == 1000;
    }));
}

TEST_F(SqlPurgesTest, WaitWhileTheFileIsLocked) {
    Program program(*this);
    EXPECT_TRUE(comes([&] { return fs::exists(file()) && program.store->health().ok; }));
    auto locker = sql::open_sqlite({.path = file()}).value();
    ASSERT_TRUE(comes([&] { return locker->execute("BEGIN EXCLUSIVE").has_value(); }));
    program.store->purged(kWeb, 1000);
    EXPECT_TRUE(comes([&] { return !program.store->health().ok; }));
    program.store->purged(kMini, 1001);
    ASSERT_TRUE(locker->execute("ROLLBACK"));
    EXPECT_TRUE(comes([&] { return program.of(kWeb) == 1000 && program.of(kMini) == 1001; }));
}

TEST_F(SqlPurgesTest, AnOlderNumberIsRaisedAboveAllInTheFile) {
    const auto file = open_file();
    ASSERT_TRUE(file->write_purges({{kWeb, 1000}, {kMini, 900}}, {}));
    EXPECT_EQ(file->new_purges().value(), (std::vector<Purge>{{kWeb, 1000}, {kMini, 1001}}));
    EXPECT_TRUE(file->new_purges().value().empty());
    ASSERT_TRUE(file->write_purges({{kWeb, 2000}}, {}));
    EXPECT_EQ(file->new_purges().value(), (std::vector<Purge>{{kWeb, 2000}}));
}

TEST_F(SqlPurgesTest, WhatIsKnownAnywayIsNotRaisedAgain) {
    const auto file = open_file();
    ASSERT_TRUE(file->write_purges({{kWeb, 1000}}, {}));
    ASSERT_TRUE(file->write_purges({}, {{kWeb, 1000}, {kMini, 1500}}));
    EXPECT_EQ(file->new_purges().value(), (std::vector<Purge>{{kWeb, 1000}, {kMini, 1500}}));
    ASSERT_TRUE(file->write_purges({}, {{kWeb, 900}, {kMini, 1500}}));
    EXPECT_TRUE(file->new_purges().value().empty());
}

TEST_F(SqlPurgesTest, OneOfEverythingTakesTheOthersPlace) {
    const auto file = open_file();
    ASSERT_TRUE(file->write_purges({{kWeb, 1000}, {kMini, 1001}, {{}, 1002}, {kWeb, 1003}}, {}));
    EXPECT_EQ(file->new_purges().value(), (std::vector<Purge>{{{}, 1002}, {kWeb, 1003}}));
}

TEST_F(SqlPurgesTest, TheFileIsBoundedByOneOfEverything) {
    const auto file = open_file();
    std::vector<Purge> purges;
    for (std::uint64_t i = 0; i < PurgeSet::kScopesMax; ++i)
        purges.push_back({{PurgeKind::kModel, std::to_string(i)}, 1000 + i});
    {
        auto database = sql::open_sqlite({.path = this->file()}).value();
        ASSERT_TRUE(
            database->execute("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM "
                              "n WHERE i < 9999) INSERT INTO purges SELECT 2, i, 1000 + i "
                              "FROM n"));
    }
    EXPECT_EQ(file->new_purges().value(), purges);
    ASSERT_TRUE(file->write_purges({{{PurgeKind::kModel, "7"}, 20'000}}, {}));
    EXPECT_EQ(file->new_purges().value().at(0).scope.name, "7") << "it has its row already";
    ASSERT_TRUE(file->write_purges({{kWeb, 20'001}}, {}));
    EXPECT_EQ(file->new_purges().value(), (std::vector<Purge>{{{}, 20'001}}));
    EXPECT_EQ(open_file()->new_purges().value(), (std::vector<Purge>{{{}, 20'001}}));
}

TEST_F(SqlPurgesTest, AbsurdRowsAreDamage) {
    for (const char* row : {"3, 'x', 5", "-1, 'x', 5", "1, 'x', 9223372036854775807"}) {
        const auto file = open_file();
        auto database = sql::open_sqlite({.path = this->file()}).value();
        ASSERT_TRUE(database->execute("DELETE FROM purges; INSERT INTO purges VALUES (" +
                                      std::string(row) + ")"));
        const auto read = file->new_purges();
        ASSERT_FALSE(read) << row;
        EXPECT_EQ(sql::failure_of(read.error()), sql::Failure::kCorrupt);
    }
    EXPECT_FALSE(open_file()->write_purges({{kWeb, 1}}, {})) << "there is no larger number";
}

TEST_F(SqlPurgesTest, NamesAreBytes) {
    const PurgeScope odd{PurgeKind::kModel, std::string("a'\0\xff;--", 7)};
    const auto file = open_file();
    ASSERT_TRUE(file->write_purges({{odd, 5}}, {}));
    ASSERT_TRUE(file->write_purges({{odd, 6}}, {}));
    EXPECT_EQ(open_file()->new_purges().value(), (std::vector<Purge>{{odd, 6}}));
}

} // namespace
} // namespace larder::cache
