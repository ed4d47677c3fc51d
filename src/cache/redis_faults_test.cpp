// Tests of what the store in Redis does when its server is killed, empty, full, read-only or
// stopped: it says so, loses no purge, keeps nobody waiting, and heals by itself.
#include "testing/cache_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace larder::cache {
namespace {

using testing::cache_entry;
using testing::cache_key;
using testing::CacheNode;
using testing::eventually;

const PurgeScope kModel{PurgeKind::kModel, "gpt-4o"};

class RedisFaultsTest : public ::testing::Test {
protected:
    RedisFaultsTest() {
        fleet_.settings.store.write_within = Milliseconds(1000);
        fleet_.settings.store.within = Milliseconds(1000);
        fleet_.settings.budget = Milliseconds(1000);
    }
    void open() { ASSERT_TRUE(fleet_.open()); }
    [[nodiscard]] CacheNode& one() { return *fleet_.one; }
    [[nodiscard]] CacheNode& two() { return *fleet_.two; }
    std::string redis(const std::vector<std::string>& words) { return fleet_.server.cli(words); }
    [[nodiscard]] bool both_are_confirmed() {
        return eventually([this] { return one().is_confirmed() && two().is_confirmed(); });
    }
    [[nodiscard]] bool none_is_confirmed() {
        return eventually([this] { return !one().is_confirmed() && !two().is_confirmed(); });
    }
    /// Puts until one arrives: those before were dropped.
    [[nodiscard]] bool puts_again(CacheNode& node) {
        return eventually([&] {
            node.store().put(cache_key(1), cache_entry("again"));
            return node.body(cache_key(1)) == "again";
        });
    }
    [[nodiscard]] static bool was_said(const CacheNode& node, std::string_view reason) {
        return std::ranges::any_of(node.healths(), [&](const StoreHealth& health) {
            return !health.ok && health.reason == reason;
        });
    }

    testing::CacheFleet fleet_;
};

TEST_F(RedisFaultsTest, ALostChannelLeavesNothingConfirmedUntilItIsBack) {
    open();
    const std::int64_t before = one().store().confirmed_since_ms();
    EXPECT_LE(before, SystemClock().epoch_ms() + 1);
    fleet_.server.kill();
    EXPECT_TRUE(none_is_confirmed());
    const std::int64_t lost_at = SystemClock().epoch_ms();
    fleet_.server.start();
    EXPECT_TRUE(both_are_confirmed());
    EXPECT_GE(one().store().confirmed_since_ms(), lost_at);
}

TEST_F(RedisFaultsTest, AChannelThatIsCutAloneIsMadeAnew) {
    open();
    const std::int64_t before = one().store().confirmed_since_ms();
    redis({"CLIENT", "KILL", "TYPE", "pubsub"});
    EXPECT_TRUE(eventually([&] {
        const std::int64_t now = one().store().confirmed_since_ms();
        return now != INT64_MAX && now > before;
    }));
    ASSERT_TRUE(both_are_confirmed());
    one().store().purged(kModel, 1000);
    EXPECT_TRUE(eventually([&] { return two().purge_of(kModel) == 1000; }));
}

TEST_F(RedisFaultsTest, APurgeDuringAnOutageIsWrittenAfterIt) {
    open();
    fleet_.server.kill();
    ASSERT_TRUE(none_is_confirmed());
    one().store().purged(kModel, 1000);
    one().store().purged({PurgeKind::kNamespace, "team"}, 2000);
    fleet_.server.start();
    EXPECT_TRUE(eventually([&] {
        return two().purge_of(kModel) == 1000 &&
               two().purge_of({PurgeKind::kNamespace, "team"}) == 2000;
    }));
}

TEST_F(RedisFaultsTest, PutsPurgesBackIntoAServerThatLostThem) {
    open();
    one().store().purged(kModel, 1000);
    ASSERT_TRUE(eventually([&] { return two().purge_of(kModel) == 1000; }));
    fleet_.server.restart();
    EXPECT_TRUE(
        eventually([&] { return redis({"HGET", "{llm:cache}:purges", "mgpt-4o"}) == "1000"; }));
    redis({"FLUSHALL"});
    EXPECT_TRUE(
        eventually([&] { return redis({"HGET", "{llm:cache}:purges", "mgpt-4o"}) == "1000"; }));
    redis({"DEL", "{llm:cache}:purges"}); // as a server that is full does
    EXPECT_TRUE(
        eventually([&] { return redis({"HGET", "{llm:cache}:purges", "mgpt-4o"}) == "1000"; }));
    EXPECT_EQ(two().purge_of(kModel), 1000U);
}

TEST_F(RedisFaultsTest, WritesOverANumberOfAPurgeThatNoneCanHave) {
    open();
    std::uint64_t generation = 1000;
    for (const std::string poison : {"1e308", "9007199254740992", "18446744073709551616", "inf",
                                     "nan", "-1", "1.5", "0x10", "", "7 x"}) {
        for (const PurgeScope& scope : {kModel, PurgeScope{}}) {
            const std::string field = scope == kModel ? "mgpt-4o" : "a";
            redis({"HSET", "{llm:cache}:purges", field, poison});
            redis({"SET", "{llm:cache}:purges:version", poison + field});
            one().store().purged(scope, ++generation);
            EXPECT_TRUE(eventually([&] { return two().purge_of(scope) == generation; })) << poison;
            EXPECT_EQ(one().purge_of(scope), 0U) << "nothing had to be raised";
            EXPECT_EQ(redis({"HGET", "{llm:cache}:purges", field}), std::to_string(generation));
        }
    }
}

TEST_F(RedisFaultsTest, TakesNoNumberOfAPurgeThatNoneCanHaveFromAMessage) {
    open();
    for (const std::string poison : {"9007199254740992", "9007199254740993", "1e308"})
        redis({"PUBLISH", "{llm:cache}:news", "p m " + poison + " gpt-4o"});
    one().store().purged(kModel, 1000);
    EXPECT_TRUE(eventually([&] { return two().purge_of(kModel) == 1000; }));
}

TEST_F(RedisFaultsTest, PutsANumberOfAPurgeBackOverOneThatNoneCanHave) {
    open();
    one().store().purged(kModel, 1000);
    ASSERT_TRUE(eventually([&] { return two().purge_of(kModel) == 1000; }));
    redis({"HSET", "{llm:cache}:purges", "mgpt-4o", "1e308"});
    redis({"SET", "{llm:cache}:purges:version", "other"});
    EXPECT_TRUE(
        eventually([&] { return redis({"HGET", "{llm:cache}:purges", "mgpt-4o"}) == "1000"; }));
}

TEST_F(RedisFaultsTest, StartsWithoutAServerAndFindsIt) {
    fleet_.server.kill();
    fleet_.one = fleet_.make_node();
    EXPECT_TRUE(eventually([&] { return !one().store().health().ok; }));
    EXPECT_FALSE(one().store().health().reason.empty());
    EXPECT_FALSE(one().is_confirmed());
    EXPECT_FALSE(one().look_up(cache_key(1)));
    EXPECT_TRUE(eventually([&] { return !one().healths().empty(); }));
    fleet_.server.start();
    EXPECT_TRUE(eventually([&] { return one().is_confirmed() && one().store().health().ok; }));
    EXPECT_TRUE(puts_again(one()));
    EXPECT_TRUE(eventually([&] { return one().healths().back().ok; }));
}

TEST_F(RedisFaultsTest, SaysThatTheServerIsFullAndHeals) {
    open();
    one().store().put(cache_key(2), cache_entry("before"));
    ASSERT_TRUE(eventually([&] { return one().has(cache_key(2)); }));
    redis({"CONFIG", "SET", "maxmemory", "1"});
    one().store().put(cache_key(1), cache_entry("body"));
    EXPECT_TRUE(eventually([&] { return was_said(one(), "it is full"); }));
    EXPECT_EQ(one().store().health().reason, "it is full");
    EXPECT_EQ(one().store().dropped_writes(), 1U);
    // What is there still comes, and what is not there has no lease: each node asks for itself.
    EXPECT_EQ(one().body(cache_key(2)), "before");
    EXPECT_NE(one().look_up(cache_key(2))->entry, nullptr);
    const auto missed = two().look_up(cache_key(3));
    ASSERT_TRUE(missed) << missed.error().message;
    EXPECT_TRUE(missed->lease.empty() && missed->holder.empty() && !missed->entry);
    EXPECT_FALSE(two().store().health().ok);
    redis({"CONFIG", "SET", "maxmemory", "0"});
    EXPECT_TRUE(puts_again(one()));
    EXPECT_TRUE(one().store().health().ok);
    EXPECT_TRUE(eventually([&] { return one().healths().back().ok; }));
}

TEST_F(RedisFaultsTest, SaysThatTheServerIsReadOnlyAndHeals) {
    open();
    redis({"REPLICAOF", "127.0.0.1", "1"});
    EXPECT_TRUE(eventually([&] {
        one().store().put(cache_key(1), cache_entry("body"));
        return !one().store().health().ok;
    }));
    redis({"REPLICAOF", "NO", "ONE"});
    EXPECT_TRUE(puts_again(one()));
    EXPECT_TRUE(eventually([&] { return one().store().health().ok; }));
}

TEST_F(RedisFaultsTest, RunsItsScriptsOnAServerThatForgotThem) {
    open();
    ASSERT_FALSE(one().look_up(cache_key(1))->lease.empty());
    redis({"SCRIPT", "FLUSH"});
    EXPECT_FALSE(one().look_up(cache_key(2))->lease.empty());
    EXPECT_TRUE(puts_again(two()));
}

TEST_F(RedisFaultsTest, WaitsNoLongerThanItsBudgetForAServerThatHangs) {
    fleet_.settings.budget = Milliseconds(50);
    open();
    const auto lease = one().look_up(cache_key(1))->lease;
    fleet_.server.pause();
    const auto began = std::chrono::steady_clock::now();
    const auto found = two().look_up(cache_key(1));
    const auto took = std::chrono::steady_clock::now() - began;
    ASSERT_FALSE(found);
    EXPECT_LT(took, std::chrono::seconds(5)); // of a machine that is busy with other things
    for (std::uint64_t i = 0; i < 100; ++i)
        two().store().put(cache_key(i), cache_entry("body"));
    EXPECT_TRUE(none_is_confirmed());
    fleet_.server.resume();
    EXPECT_TRUE(both_are_confirmed());
    EXPECT_TRUE(puts_again(two()));
}

TEST_F(RedisFaultsTest, ALeaseOfALookUpThatWasGivenUpIsGivenBack) {
    fleet_.settings.budget = Milliseconds(50);
    open();
    ASSERT_TRUE(one().look_up(cache_key(9))); // the connections are there
    fleet_.server.pause();
    ASSERT_FALSE(one().look_up(cache_key(1)));
    fleet_.server.resume(); // the script runs now, the release after it
    EXPECT_TRUE(eventually([&] {
        const auto found = two().look_up(cache_key(1));
        return found && !found->lease.empty();
    }));
}

TEST_F(RedisFaultsTest, StopsInTimeWhileTheServerHangs) {
    open();
    fleet_.server.pause();
    for (std::uint64_t i = 0; i < 100; ++i)
        one().store().put(cache_key(i), cache_entry("body"));
    one().store().purged(kModel, 1000);
    const auto began = std::chrono::steady_clock::now();
    one().store().stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
    fleet_.server.resume();
}

} // namespace
} // namespace larder::cache
