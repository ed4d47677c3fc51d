// Tests of the ledger: sums, restarts, two programs on one file, broken files, threads.
#include "ledger/backends.hpp"
#include "ledger/ledger.hpp"
#include "sql/sqlite.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>
#include <unistd.h>
#include <vector>

namespace larder::ledger {
namespace {

namespace fs = std::filesystem;

class LedgerTest : public testing::Test {
protected:
    LedgerTest() {
        auto name = (fs::temp_directory_path() / "larder-ledger-XXXXXX").string();
        directory_ = mkdtemp(name.data());
        path_ = directory_ / "larder.db";
        settings_.pace =
            Pace{.batch = std::chrono::milliseconds(2), .read = std::chrono::milliseconds(2)};
    }
    ~LedgerTest() override { fs::remove_all(directory_); }

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
    std::int64_t hits_in_file() {
        auto database = sql::open_sqlite({.path = path_, .read_only = true});
        return database ? (*database)->query_integer("SELECT hits FROM totals").value_or(-1) : -1;
    }

    fs::path directory_;
    std::string path_;
    LedgerSettings settings_;
};

constexpr Record kMissed{.outcome = Outcome::kMiss,
                         .upstream_calls = 2,
                         .input_tokens = 100,
                         .output_tokens = 20,
                         .spent_picodollars = 5'000'000};
constexpr Record kHit{.outcome = Outcome::kHit, .saved_picodollars = 5'000'000};

TEST_F(LedgerTest, AddsUpInMemory) {
    Ledger ledger(nullptr);
    ledger.record(kMissed);
    ledger.record(kHit);
    ledger.record(kHit);
    for (const auto outcome : {Outcome::kStale, Outcome::kCoalesced, Outcome::kBypassed})
        ledger.record({.outcome = outcome});
    for (int i = 0; i < 3; ++i)
        ledger.record({.outcome = Outcome::kRefused});
    EXPECT_EQ(ledger.totals(), (Totals{.hits = 2,
                                       .misses = 1,
                                       .stale = 1,
                                       .coalesced = 1,
                                       .bypassed = 1,
                                       .refused = 3,
                                       .upstream_calls = 2,
                                       .input_tokens = 100,
                                       .output_tokens = 20,
                                       .saved_picodollars = 10'000'000,
                                       .spent_picodollars = 5'000'000}));
    EXPECT_TRUE(ledger.health().ok);
    ledger.stop();
    EXPECT_EQ(ledger.totals().hits, 2);
}

TEST_F(LedgerTest, KeepsItsSumsOverARestart) {
    Totals before;
    {
        Ledger ledger(make_sql_totals(path_), settings_);
        ledger.record(kMissed);
        ledger.record(kHit);
        before = ledger.totals();
        ledger.stop();
        EXPECT_EQ(ledger.totals(), before);
    }
    Ledger ledger(make_sql_totals(path_), settings_);
    EXPECT_TRUE(comes([&] { return ledger.totals() == before; }));
    ledger.record(kHit);
    EXPECT_EQ(ledger.totals().hits, 2);
    ledger.stop();
    EXPECT_EQ(hits_in_file(), 2);
}

TEST_F(LedgerTest, WritesByItself) {
    Ledger ledger(make_sql_totals(path_), settings_);
    ledger.record(kHit);
    EXPECT_TRUE(comes([&] { return hits_in_file() == 1; }));
}

TEST_F(LedgerTest, WritesWhatWaitsWhenItStops) {
    settings_.pace = Pace{.batch = std::chrono::hours(1), .read = std::chrono::hours(1)};
    Ledger ledger(make_sql_totals(path_), settings_);
    for (int i = 0; i < 10; ++i)
        ledger.record(kHit);
    ledger.stop();
    EXPECT_EQ(hits_in_file(), 10);
}

TEST_F(LedgerTest, AddsUpWithAnotherProgramOnTheSameFile) {
    Ledger one(make_sql_totals(path_), settings_);
    Ledger two(make_sql_totals(path_), settings_);
    for (int i = 0; i < 500; ++i) {
        one.record(kHit);
        two.record(kMissed);
        if (i % 50 == 0)
            std::this_thread::yield();
    }
    const Totals both{.hits = 500,
                      .misses = 500,
                      .upstream_calls = 1000,
                      .input_tokens = 50'000,
                      .output_tokens = 10'000,
                      .saved_picodollars = 2'500'000'000,
                      .spent_picodollars = 2'500'000'000};
    EXPECT_TRUE(comes([&] { return one.totals() == both && two.totals() == both; }));
    EXPECT_TRUE(one.health().ok);
    EXPECT_TRUE(two.health().ok);
}

TEST_F(LedgerTest, CountsExactlyFromManyThreads) {
    Ledger ledger(make_sql_totals(path_), settings_);
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 8; ++thread)
            threads.emplace_back([&] {
                for (int i = 0; i < 5000; ++i)
                    ledger.record(kMissed);
            });
        std::int64_t last = 0;
        for (int i = 0; i < 100; ++i) { // never goes back while it is written
            const auto now = ledger.totals().misses;
            EXPECT_GE(now, last);
            last = now;
        }
    }
    EXPECT_EQ(ledger.totals().misses, 40'000);
    EXPECT_EQ(ledger.totals().input_tokens, 4'000'000);
    ledger.stop();
    EXPECT_EQ(ledger.totals().misses, 40'000);
}

TEST_F(LedgerTest, SaturatesInsteadOfOverflowing) {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    for (int round = 0; round < 2; ++round) {
        Ledger ledger(make_sql_totals(path_), settings_);
        ledger.record({.outcome = Outcome::kHit, .saved_picodollars = kMax - 1});
        ledger.stop();
    }
    Ledger ledger(make_sql_totals(path_), settings_);
    EXPECT_TRUE(comes([&] { return ledger.totals().hits == 2; }));
    EXPECT_EQ(ledger.totals().saved_picodollars, kMax);
}

TEST_F(LedgerTest, NeverDeletesABrokenFileAndGoesOnCounting) {
    const std::string garbage(50'000, 'x');
    std::ofstream(path_) << garbage;
    Ledger ledger(make_sql_totals(path_), settings_);
    ledger.record(kHit);
    EXPECT_TRUE(comes([&] { return !ledger.health().ok; }));
    EXPECT_EQ(ledger.health().reason, "the database file is corrupt");
    EXPECT_EQ(ledger.totals().hits, 1);
    std::ostringstream content;
    content << std::ifstream(path_).rdbuf();
    EXPECT_EQ(content.str(), garbage);
    // Somebody takes it away: the ledger goes on with what it has counted.
    fs::remove(path_);
    EXPECT_TRUE(comes([&] { return ledger.health().ok; }));
    EXPECT_EQ(hits_in_file(), 1);
}

TEST_F(LedgerTest, WaitsForALockedFile) {
    {
        const Ledger made(make_sql_totals(path_), settings_);
    }
    auto locker = sql::open_sqlite({.path = path_}).value();
    ASSERT_TRUE(locker->execute("BEGIN EXCLUSIVE"));
    Ledger ledger(make_sql_totals(path_), settings_);
    ledger.record(kHit);
    EXPECT_TRUE(comes([&] { return !ledger.health().ok; }));
    EXPECT_EQ(ledger.health().reason, "the database is locked by another program");
    ASSERT_TRUE(locker->execute("COMMIT"));
    EXPECT_TRUE(comes([&] { return ledger.health().ok; }));
    EXPECT_EQ(hits_in_file(), 1);
}

TEST_F(LedgerTest, CountsWithoutADirectory) {
    path_ = directory_ / "later" / "larder.db";
    Ledger ledger(make_sql_totals(path_), settings_);
    ledger.record(kHit);
    EXPECT_TRUE(comes([&] { return !ledger.health().ok; }));
    EXPECT_EQ(ledger.health().reason.find("later"), std::string::npos);
    EXPECT_EQ(ledger.totals().hits, 1);
    fs::create_directory(directory_ / "later");
    EXPECT_TRUE(comes([&] { return ledger.health().ok; }));
    EXPECT_EQ(hits_in_file(), 1);
}

} // namespace
} // namespace larder::ledger
