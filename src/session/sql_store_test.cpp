// What is particular to SQLite: the file outlives the store, what has expired is swept, and a file
// that can't be used is tried again.
#include "session/backends.hpp"
#include "session/id.hpp"
#include "session/session_table.hpp"
#include "sql/sqlite.hpp"
#include "testing/run_task.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace larder::session {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const Owner kAnn{.name_space = "default", .user_id = "ann"};

Reference to(const Session& session) {
    return {.name_space = "default", .id = session.id};
}

class SqlSessionFile : public ::testing::Test {
protected:
    SqlSessionFile() : runtime_(1) {
        auto name = (fs::temp_directory_path() / "larder-session-XXXXXX").string();
        directory_ = mkdtemp(name.data());
        settings_.path = directory_ / "larder.db";
        settings_.clock = &clock_;
        settings_.deadline = 20s; // slow machines; one test shortens it
        settings_.retry_interval = 2ms;
    }
    ~SqlSessionFile() override {
        store_.reset();
        runtime_.stop();
        fs::remove_all(directory_);
    }
    void open() {
        store_.reset();
        store_ = make_sql_sessions(settings_);
    }
    Result<Session> create(Lifetime lifetime = {}) {
        return testing::run(runtime_.context(0), store_->create(kAnn, "{}", lifetime, budget_));
    }
    Result<Session> read(const Session& session, Lifetime lifetime = {}) {
        return testing::run(runtime_.context(0),
                            store_->read_and_refresh(to(session), lifetime, budget_));
    }
    std::int64_t rows() {
        auto database = sql::open_sqlite({.path = settings_.path, .read_only = true});
        return database ? (*database)->query_integer("SELECT count(*) FROM sessions").value_or(-1)
                        : -1;
    }

    fs::path directory_;
    ManualClock clock_;
    SqlSessionSettings settings_;
    async::TimeBudget budget_{1us}; // is for remote stores
    async::Runtime runtime_;
    std::unique_ptr<Store> store_;
};

TEST_F(SqlSessionFile, KeepsSessionsBeyondTheStore) {
    open();
    const auto made = create();
    ASSERT_TRUE(made) << made.error().message;
    open();
    const auto read_again = read(*made);
    ASSERT_TRUE(read_again);
    EXPECT_EQ(read_again->created_ms, made->created_ms);
}

TEST_F(SqlSessionFile, IsSharedByPrograms) {
    open();
    const auto made = create();
    ASSERT_TRUE(made);
    const auto other = make_sql_sessions(settings_);
    ASSERT_TRUE(testing::run(runtime_.context(0), other->destroy(to(*made), {}, budget_)));
    EXPECT_FALSE(read(*made));
}

TEST_F(SqlSessionFile, HoldsNoIdThatCanBeLookedUpWithoutItsHash) {
    open();
    const auto made = create();
    ASSERT_TRUE(made);
    auto database = sql::open_sqlite({.path = settings_.path, .read_only = true});
    auto select = (*database)->prepare("SELECT count(*) FROM sessions WHERE hash = ?1").value();
    const Sha256 hash = hash_of(made->id);
    select->bind_blob(1, {reinterpret_cast<const char*>(hash.data()), hash.size()});
    ASSERT_TRUE(select->step().value());
    EXPECT_EQ(select->integer(0), 1);
}

TEST_F(SqlSessionFile, EndsASessionAtTheMillisecond) {
    open();
    const auto made = create({.ttl = 1000ms});
    ASSERT_TRUE(made);
    clock_.advance(999ms);
    const auto in_time = read(*made, {.ttl = 1000ms});
    ASSERT_TRUE(in_time);
    EXPECT_EQ(in_time->expires_ms, made->created_ms + 1999);
    clock_.advance(1000ms);
    EXPECT_EQ(read(*made).error().code, ErrorCode::kNotFound);
}

TEST_F(SqlSessionFile, StretchesToTheAbsoluteEndAndNoFurther) {
    open();
    const Lifetime lifetime{.ttl = 1000ms, .max_age = 2500ms};
    const auto made = create(lifetime);
    ASSERT_TRUE(made);
    for (const std::int64_t expires : {1900, 2500, 2500}) {
        clock_.advance(expires == 1900 ? 900ms : 700ms);
        const auto refreshed = read(*made, lifetime);
        ASSERT_TRUE(refreshed);
        EXPECT_EQ(refreshed->expires_ms, made->created_ms + expires);
    }
    clock_.advance(200ms);
    EXPECT_FALSE(read(*made, lifetime));
}

TEST_F(SqlSessionFile, SweepsWhatHasExpired) {
    open();
    for (int i = 0; i < 5; ++i)
        ASSERT_TRUE(create({.ttl = 1000ms}));
    EXPECT_EQ(rows(), 5);
    clock_.advance(1001ms);
    ASSERT_TRUE(testing::eventually([&] { // the next sweep is a second after the last
        const auto made = create({.ttl = 1h});
        return made && rows() > 0 && [&] {
            auto database = sql::open_sqlite({.path = settings_.path, .read_only = true});
            return (*database)
                       ->query_integer("SELECT count(*) FROM sessions WHERE expires_ms <= " +
                                       std::to_string(clock_.epoch_ms()))
                       .value_or(-1) == 0;
        }();
    }));
}

TEST_F(SqlSessionFile, IsTriedAgainUntilItCanBeUsed) {
    settings_.path = directory_ / "later" / "larder.db";
    open();
    const auto refused = create();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kStore);
    EXPECT_EQ(refused.error().detail, "") << "the reason is not the client's";
    EXPECT_FALSE(store_->health().ok);
    EXPECT_EQ(store_->health().reason, "the database file can't be opened");
    fs::create_directory(directory_ / "later");
    EXPECT_TRUE(testing::eventually([&] { return create().has_value(); }));
    EXPECT_TRUE(store_->health().ok);
}

TEST_F(SqlSessionFile, IsNeverDeletedWhenItIsCorrupt) {
    const std::string rubbish(10'000, 'x');
    std::ofstream(settings_.path) << rubbish;
    open();
    EXPECT_FALSE(create());
    EXPECT_FALSE(store_->health().ok);
    store_.reset();
    EXPECT_EQ(fs::file_size(settings_.path), rubbish.size());
}

TEST_F(SqlSessionFile, SaysSoWhenItIsLockedAndGoesOnAfterwards) {
    open();
    const auto made = create();
    ASSERT_TRUE(made);
    auto other = sql::open_sqlite({.path = settings_.path});
    {
        auto held = sql::Transaction::begin(**other).value();
        const auto refused = read(*made);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kStore);
        EXPECT_EQ(store_->health().reason, "the database is locked by another program");
    }
    EXPECT_TRUE(read(*made));
    EXPECT_TRUE(store_->health().ok);
}

TEST_F(SqlSessionFile, IsNotWaitedForLongerThanTheDeadline) {
    settings_.deadline = 20ms;
    open();
    ASSERT_TRUE(testing::eventually([&] { return create().has_value(); }));
    auto other = sql::open_sqlite({.path = settings_.path});
    auto held = sql::Transaction::begin(**other).value();
    const auto refused = create();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "the session store did not answer in time");
}

TEST_F(SqlSessionFile, RefusesWhenTooManyWait) {
    settings_.queue_max = 2;
    open();
    ASSERT_TRUE(testing::eventually([&] { return create().has_value(); }));
    auto other = sql::open_sqlite({.path = settings_.path});
    auto held = sql::Transaction::begin(**other).value();
    std::vector<std::future<Result<Session>>> calls;
    for (int i = 0; i < 4; ++i)
        calls.push_back(
            testing::start(runtime_.context(0), store_->create(kAnn, "{}", {}, budget_)));
    int overloaded = 0;
    for (auto& call : calls) {
        const auto result = testing::finish(std::move(call));
        overloaded += !result && result.error().code == ErrorCode::kOverloaded ? 1 : 0;
    }
    EXPECT_GE(overloaded, 1);
}

TEST(SessionTable, SweepsInBatches) {
    auto table = SessionTable::open(":memory:").value();
    for (int i = 0; i < 5; ++i)
        ASSERT_TRUE(table->create({kAnn, "{}", {.ttl = 10ms}}, 1000));
    EXPECT_EQ(table->sweep(1009, 3).value(), 0);
    EXPECT_EQ(table->sweep(1010, 3).value(), 3);
    EXPECT_EQ(table->sweep(1010, 3).value(), 2);
    EXPECT_EQ(table->sweep(1010, 3).value(), 0);
}

TEST(SessionExpiry, IsTheEarlierOfBothEnds) {
    EXPECT_EQ(expiry_of(100, 1000, {.ttl = 50ms, .max_age = 0ms}), 1050);
    EXPECT_EQ(expiry_of(100, 1000, {.ttl = 50ms, .max_age = 940ms}), 1040);
    EXPECT_EQ(expiry_of(100, 1000, {.ttl = 50ms, .max_age = 10'000ms}), 1050);
}

} // namespace
} // namespace larder::session
