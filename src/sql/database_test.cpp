// Tests of the SQL port on SQLite: values, transactions, migrations, and each kind of failure.
#include "sql/database.hpp"
#include "sql/sqlite.hpp"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace larder::sql {
namespace {

namespace fs = std::filesystem;

class Sqlite : public testing::Test {
protected:
    Sqlite() {
        auto name = (fs::temp_directory_path() / "larder-sql-XXXXXX").string();
        directory_ = mkdtemp(name.data());
        settings_.path = directory_ / "test.db";
        settings_.busy_timeout = std::chrono::milliseconds(1);
    }
    ~Sqlite() override { fs::remove_all(directory_); }

    std::unique_ptr<Database> open() {
        auto database = open_sqlite(settings_);
        EXPECT_TRUE(database) << database.error().message;
        return std::move(database).value();
    }

    fs::path directory_;
    SqliteSettings settings_;
};

TEST_F(Sqlite, GivesBackWhatWasBound) {
    auto database = open();
    ASSERT_TRUE(database->execute("CREATE TABLE t (a INTEGER, b TEXT, c BLOB, d INTEGER)"));
    auto insert = database->prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4)").value();
    const std::string blob("a\0b", 3);
    insert->bind(1, INT64_MIN).bind_text(2, "täxt").bind_blob(3, blob).bind_null(4);
    ASSERT_TRUE(insert->run());
    EXPECT_EQ(database->changes(), 1);

    auto select = database->prepare("SELECT a, b, c, d FROM t").value();
    ASSERT_TRUE(select->step().value());
    EXPECT_EQ(select->integer(0), INT64_MIN);
    EXPECT_EQ(select->bytes(1), "täxt");
    EXPECT_EQ(select->bytes(2), blob);
    EXPECT_TRUE(select->is_null(3));
    EXPECT_FALSE(select->step().value());
}

TEST_F(Sqlite, KeepsAnEmptyValueApartFromNull) {
    auto database = open();
    ASSERT_TRUE(database->execute("CREATE TABLE t (a TEXT, b BLOB)"));
    auto insert = database->prepare("INSERT INTO t VALUES (?1, ?2)").value();
    ASSERT_TRUE(insert->bind_text(1, {}).bind_blob(2, {}).run());
    auto select = database->prepare("SELECT a, b FROM t").value();
    ASSERT_TRUE(select->step().value());
    EXPECT_FALSE(select->is_null(0));
    EXPECT_FALSE(select->is_null(1));
    EXPECT_EQ(select->bytes(1), "");
}

TEST_F(Sqlite, UsesAStatementAgainAfterReset) {
    auto database = open();
    ASSERT_TRUE(database->execute("CREATE TABLE t (a INTEGER)"));
    auto insert = database->prepare("INSERT INTO t VALUES (?1)").value();
    for (std::int64_t value = 1; value <= 3; ++value)
        ASSERT_TRUE(insert->bind(1, value).run());
    EXPECT_EQ(database->query_integer("SELECT sum(a) FROM t").value(), 6);
}

TEST_F(Sqlite, RefusesAParameterThatIsNotThere) {
    auto database = open();
    auto select = database->prepare("SELECT 1").value();
    select->bind(3, 1);
    EXPECT_FALSE(select->step());
}

TEST_F(Sqlite, RollsBackWhatWasNotCommitted) {
    auto database = open();
    ASSERT_TRUE(database->execute("CREATE TABLE t (a INTEGER)"));
    {
        auto transaction = Transaction::begin(*database).value();
        ASSERT_TRUE(database->execute("INSERT INTO t VALUES (1)"));
    }
    EXPECT_EQ(database->query_integer("SELECT count(*) FROM t").value(), 0);
    {
        auto transaction = Transaction::begin(*database).value();
        ASSERT_TRUE(database->execute("INSERT INTO t VALUES (1)"));
        ASSERT_TRUE(transaction.commit());
    }
    EXPECT_EQ(database->query_integer("SELECT count(*) FROM t").value(), 1);
}

TEST_F(Sqlite, SaysThatTheFileIsLocked) {
    auto holder = open();
    auto transaction = Transaction::begin(*holder).value();
    auto other = open();
    auto refused = Transaction::begin(*other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kStore);
    EXPECT_EQ(failure_of(refused.error()), Failure::kBusy);
}

TEST_F(Sqlite, SaysThatTheFileIsNotADatabase) {
    std::ofstream(settings_.path) << std::string(10'000, 'x');
    auto database = open_sqlite(settings_);
    ASSERT_FALSE(database);
    EXPECT_EQ(failure_of(database.error()), Failure::kCorrupt);
}

TEST_F(Sqlite, SaysThatTheDiskIsFull) {
    settings_.max_pages = 8;
    auto database = open();
    ASSERT_TRUE(database->execute("CREATE TABLE t (a BLOB)"));
    auto refused = database->execute("INSERT INTO t VALUES (zeroblob(100000))");
    ASSERT_FALSE(refused);
    EXPECT_EQ(failure_of(refused.error()), Failure::kFull);
}

TEST_F(Sqlite, SaysThatTheFileCannotBeOpenedWithoutNamingIt) {
    settings_.path = directory_ / "absent-directory" / "test.db";
    auto database = open_sqlite(settings_);
    ASSERT_FALSE(database);
    EXPECT_EQ(failure_of(database.error()), Failure::kCannotOpen);
    EXPECT_EQ(database.error().message.find("absent"), std::string::npos);
}

TEST_F(Sqlite, ReadsOnlyWhereAskedTo) {
    ASSERT_TRUE(open()->execute("CREATE TABLE t (a INTEGER)"));
    settings_.read_only = true;
    auto database = open();
    EXPECT_EQ(database->query_integer("SELECT count(*) FROM t").value(), 0);
    auto refused = database->execute("INSERT INTO t VALUES (1)");
    ASSERT_FALSE(refused);
    EXPECT_EQ(failure_of(refused.error()), Failure::kReadOnly);
}

TEST_F(Sqlite, NeverQuotesAValueInAnError) {
    auto database = open();
    auto refused = database->execute("SELECT * FROM secretname");
    ASSERT_FALSE(refused);
    EXPECT_EQ(failure_of(refused.error()), Failure::kOther);
    EXPECT_EQ(refused.error().message.find("secretname"), std::string::npos);
}

TEST_F(Sqlite, RemovesTheFileWithItsLog) {
    auto database = open();
    ASSERT_TRUE(database->execute("CREATE TABLE t (a INTEGER)"));
    ASSERT_TRUE(fs::exists(settings_.path + "-wal"));
    EXPECT_TRUE(remove_sqlite(settings_.path));
    EXPECT_TRUE(fs::is_empty(directory_));
    EXPECT_TRUE(remove_sqlite(settings_.path));
}

constexpr std::array kTwoSteps{
    Migration{1, "CREATE TABLE a (x INTEGER)"},
    Migration{2, "CREATE TABLE b (x INTEGER); INSERT INTO b VALUES (7)"},
};

TEST_F(Sqlite, MigratesOnceAndFromWhereItStands) {
    auto database = open();
    ASSERT_TRUE(migrate(*database, "room", std::span(kTwoSteps).first(1)));
    EXPECT_FALSE(database->query_integer("SELECT count(*) FROM b"));
    ASSERT_TRUE(migrate(*database, "room", kTwoSteps));
    ASSERT_TRUE(migrate(*database, "room", kTwoSteps));
    EXPECT_EQ(database->query_integer("SELECT count(*) FROM b").value(), 1);
    EXPECT_EQ(database->query_integer("SELECT max(number) FROM schema_migrations").value(), 2);
}

TEST_F(Sqlite, CountsTheMigrationsOfEachRoomForItself) {
    constexpr std::array kOther{Migration{1, "CREATE TABLE c (x INTEGER)"}};
    auto database = open();
    ASSERT_TRUE(migrate(*database, "room", kTwoSteps));
    ASSERT_TRUE(migrate(*database, "other", kOther));
    EXPECT_EQ(database->query_integer("SELECT count(*) FROM c").value(), 0);
}

TEST_F(Sqlite, RefusesTheFileOfANewerProgram) {
    auto database = open();
    ASSERT_TRUE(migrate(*database, "room", kTwoSteps));
    EXPECT_FALSE(migrate(*database, "room", std::span(kTwoSteps).first(1)));
}

TEST_F(Sqlite, LeavesNothingOfAMigrationThatFails) {
    constexpr std::array kBroken{
        Migration{1, "CREATE TABLE a (x INTEGER); INSERT INTO nowhere VALUES (1)"}};
    auto database = open();
    EXPECT_FALSE(migrate(*database, "room", kBroken));
    EXPECT_FALSE(database->query_integer("SELECT count(*) FROM a"));
}

TEST(SqlError, KeepsItsKindWhenContextIsAdded) {
    auto error = make_error(Failure::kFull, "write").with("cache");
    EXPECT_EQ(failure_of(error), Failure::kFull);
    EXPECT_EQ(error.message, "cache: write: the disk is full");
    EXPECT_EQ(failure_of(Error{}), Failure::kOther);
}

} // namespace
} // namespace larder::sql
