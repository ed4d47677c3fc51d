// Tests of the store in Redis on a real server, with two nodes: what is put comes back on the
// other, leases, fencing, and what the nodes tell each other.
#include "testing/cache_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace larder::cache {
namespace {

using testing::cache_entry;
using testing::cache_key;
using testing::CacheNode;
using testing::eventually;

class RedisStoreTest : public ::testing::Test {
protected:
    void open() { ASSERT_TRUE(fleet_.open()); }
    [[nodiscard]] CacheNode& one() { return *fleet_.one; }
    [[nodiscard]] CacheNode& two() { return *fleet_.two; }
    std::string redis(const std::vector<std::string>& words) { return fleet_.server.cli(words); }
    [[nodiscard]] std::string entry_name(std::uint64_t number) const {
        return fleet_.keys.entry(cache_key(number));
    }
    [[nodiscard]] std::string lease_name(std::uint64_t number) const {
        return fleet_.keys.lease(cache_key(number));
    }
    static void put(CacheNode& node, std::uint64_t number, std::string_view body,
                    std::int64_t asked_ms = 0) {
        node.store().put(cache_key(number), cache_entry(body, asked_ms));
    }
    [[nodiscard]] bool comes(CacheNode& node, std::uint64_t number, std::string_view body) const {
        return eventually([&] { return node.body(cache_key(number)) == body; });
    }
    /// The lease of a key that nobody holds.
    std::string lead(CacheNode& node, std::uint64_t number) {
        const auto found = node.look_up(cache_key(number));
        EXPECT_TRUE(found && found->entry == nullptr && found->holder.empty());
        return found ? found->lease : "";
    }
    [[nodiscard]] bool was_told(const CacheNode& node, std::uint64_t number,
                                std::int64_t asked_ms) const {
        const auto told = node.overwritten();
        return std::ranges::any_of(told, [&](const auto& one) {
            return one.key == cache_key(number) && one.asked_ms == asked_ms;
        });
    }

    testing::CacheFleet fleet_;
};

TEST_F(RedisStoreTest, GivesTheOtherNodeWhatOnePut) {
    open();
    const std::string large(100'000, 'x');
    put(one(), 1, "small", 1'700'000'000'001);
    put(one(), 2, large);
    EXPECT_TRUE(comes(two(), 1, "small"));
    EXPECT_TRUE(comes(two(), 2, large));
    EXPECT_FALSE(two().has(cache_key(3)));
    EXPECT_EQ((*two().get(cache_key(1)))->asked_ms, 1'700'000'000'001);
    EXPECT_TRUE(two().store().may_have(cache_key(3)));
    EXPECT_LT(std::stoi(redis({"STRLEN", entry_name(2)})), 10'000); // compressed
}

TEST_F(RedisStoreTest, EntriesEndInRedisWhenTheyAreNoLongerGoodForAnything) {
    open();
    one().store().put(cache_key(1), cache_entry("body", 0, std::chrono::minutes(10)));
    ASSERT_TRUE(comes(two(), 1, "body"));
    const int left_ms = std::stoi(redis({"PTTL", entry_name(1)}));
    EXPECT_GT(left_ms, 500'000);
    EXPECT_LE(left_ms, 600'000);
    one().store().put(cache_key(2), cache_entry("over", 0, Milliseconds(-1)));
    put(one(), 3, "after it");
    ASSERT_TRUE(comes(two(), 3, "after it"));
    EXPECT_EQ(redis({"EXISTS", entry_name(2)}), "0");
}

TEST_F(RedisStoreTest, ErasesForAllNodes) {
    open();
    put(one(), 1, "body");
    ASSERT_TRUE(comes(two(), 1, "body"));
    two().store().erase(cache_key(1));
    EXPECT_TRUE(comes(one(), 1, "-"));
}

TEST_F(RedisStoreTest, KeepsItsKeysInOneSlotAnEntry) {
    open();
    const auto lease = lead(one(), 1);
    EXPECT_EQ(redis({"CLUSTER", "KEYSLOT", entry_name(1)}),
              redis({"CLUSTER", "KEYSLOT", lease_name(1)}));
    EXPECT_TRUE(entry_name(1).starts_with("llm:cache:{"));
    EXPECT_EQ(redis({"GET", lease_name(1)}), lease);
    EXPECT_GT(std::stoi(redis({"PTTL", lease_name(1)})), 0);
}

TEST_F(RedisStoreTest, GivesOneLeaseToAHundredParallelLookUps) {
    open();
    std::vector<std::future<Result<Lookup>>> waiting;
    for (std::size_t i = 0; i < 100; ++i)
        waiting.push_back((i % 2 == 0 ? one() : two()).start_look_up(cache_key(1), true, i / 2));
    std::string lease;
    std::vector<std::string> holders;
    for (auto& one : waiting) {
        const auto found = testing::finish(std::move(one));
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_EQ(found->entry, nullptr);
        ASSERT_NE(found->lease.empty(), found->holder.empty());
        if (!found->lease.empty()) {
            EXPECT_EQ(lease, "");
            lease = found->lease;
        } else {
            holders.push_back(found->holder);
        }
    }
    ASSERT_EQ(holders.size(), 99U);
    for (const std::string& holder : holders)
        EXPECT_EQ(holder, lease);
}

TEST_F(RedisStoreTest, GivesNoLeaseToWhoWantsNone) {
    open();
    const auto found = one().look_up(cache_key(1), false);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->lease.empty() && found->holder.empty());
    EXPECT_EQ(redis({"EXISTS", lease_name(1)}), "0");
}

TEST_F(RedisStoreTest, KnowsNoLeasesWhereFleetFlightIsOff) {
    fleet_.settings.store.fleet_flight = false;
    open();
    EXPECT_FALSE(one().store().has_leases());
    EXPECT_EQ(one().store().relay(), nullptr);
    const auto found = one().look_up(cache_key(1));
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->lease.empty() && found->holder.empty());
    const auto leased = one().lease(cache_key(1));
    ASSERT_TRUE(leased);
    EXPECT_TRUE(leased->lease.empty());
}

TEST_F(RedisStoreTest, EndsTheLeaseWithThePut) {
    open();
    const auto lease = lead(one(), 1);
    EXPECT_EQ(two().look_up(cache_key(1))->holder, lease);
    one().store().put_leased(cache_key(1), cache_entry("answer"), lease);
    ASSERT_TRUE(comes(two(), 1, "answer"));
    EXPECT_EQ(redis({"EXISTS", lease_name(1)}), "0");
    const auto found = two().look_up(cache_key(1));
    ASSERT_TRUE(found);
    EXPECT_NE(found->entry, nullptr);
    EXPECT_TRUE(found->lease.empty());
}

TEST_F(RedisStoreTest, LetsAnotherNodeLeadAfterARelease) {
    open();
    const auto lease = lead(one(), 1);
    one().store().release(cache_key(1), lease);
    std::string next;
    EXPECT_TRUE(eventually([&] {
        next = two().look_up(cache_key(1))->lease;
        return !next.empty();
    }));
    // A late release of the old one doesn't end the new one.
    one().store().release(cache_key(1), lease);
    put(one(), 2, "after it");
    ASSERT_TRUE(comes(two(), 2, "after it"));
    EXPECT_EQ(redis({"GET", lease_name(1)}), next);
}

TEST_F(RedisStoreTest, TakesALeaseThoughThereIsAnEntry) {
    open();
    put(one(), 1, "old", 1000);
    ASSERT_TRUE(comes(two(), 1, "old"));
    const auto taken = one().lease(cache_key(1));
    ASSERT_TRUE(taken);
    ASSERT_FALSE(taken->lease.empty());
    EXPECT_EQ(two().lease(cache_key(1))->holder, taken->lease);
    one().store().put_leased(cache_key(1), cache_entry("new", 2000), taken->lease);
    EXPECT_TRUE(comes(two(), 1, "new"));
    EXPECT_TRUE(eventually([&] { return was_told(two(), 1, 2000); }));
}

TEST_F(RedisStoreTest, DropsThePutOfALeaseThatAnotherNodeHas) {
    open();
    const auto late = lead(one(), 1);
    redis({"DEL", lease_name(1)}); // its time is over
    const auto lease = lead(two(), 1);
    one().store().put_leased(cache_key(1), cache_entry("late", 1000), late);
    EXPECT_TRUE(eventually([&] { return one().store().dropped_writes() == 1; }));
    EXPECT_TRUE(eventually([&] { return was_told(one(), 1, 1001); })) << "memory drops it too";
    EXPECT_FALSE(two().has(cache_key(1)));
    EXPECT_EQ(redis({"GET", lease_name(1)}), lease);
    two().store().put_leased(cache_key(1), cache_entry("right"), lease);
    EXPECT_TRUE(comes(one(), 1, "right"));
}

TEST_F(RedisStoreTest, DropsThePutOfALeaseThatHasRunOut) {
    open();
    const auto late = lead(one(), 1);
    redis({"DEL", lease_name(1)});
    one().store().put_leased(cache_key(1), cache_entry("late"), late);
    EXPECT_TRUE(eventually([&] { return one().store().dropped_writes() == 1; }));
    EXPECT_FALSE(two().has(cache_key(1)));
}

TEST_F(RedisStoreTest, ReplacesAHolderThatDied) {
    fleet_.settings.store.lease = Milliseconds(300);
    open();
    const auto lease = lead(one(), 1);
    std::string next;
    EXPECT_TRUE(eventually([&] {
        next = two().look_up(cache_key(1))->lease;
        return !next.empty();
    }));
    EXPECT_NE(next, lease);
    EXPECT_FALSE(one().renew(cache_key(1), lease).value_or(true));
}

TEST_F(RedisStoreTest, RenewsALease) {
    open();
    const auto lease = lead(one(), 1);
    redis({"PEXPIRE", lease_name(1), "30000"});
    EXPECT_TRUE(one().renew(cache_key(1), lease).value_or(false));
    EXPECT_GT(std::stoi(redis({"PTTL", lease_name(1)})), 30'000);
    EXPECT_FALSE(one().renew(cache_key(1), "0123.1").value_or(true)); // never had it
    redis({"SET", lease_name(1), "abcd.7"});
    EXPECT_FALSE(one().renew(cache_key(1), lease).value_or(true));
    EXPECT_EQ(redis({"GET", lease_name(1)}), "abcd.7");
}

TEST_F(RedisStoreTest, TakesALeaseBackThatTheServerForgot) {
    open();
    const auto lease = lead(one(), 1);
    redis({"FLUSHALL"});
    EXPECT_TRUE(one().renew(cache_key(1), lease).value_or(false));
    EXPECT_EQ(two().look_up(cache_key(1))->holder, lease);
}

TEST_F(RedisStoreTest, DropsAnAnswerThatWasAskedForEarlier) {
    open();
    put(one(), 1, "asked later", 2000);
    ASSERT_TRUE(comes(two(), 1, "asked later"));
    put(two(), 1, "asked earlier", 1000);
    EXPECT_TRUE(eventually([&] { return two().store().dropped_writes() == 1; }));
    EXPECT_EQ(one().body(cache_key(1)), "asked later");
    put(two(), 1, "asked at the same time", 2000);
    EXPECT_TRUE(comes(one(), 1, "asked at the same time"));
}

TEST_F(RedisStoreTest, TellsTheOtherNodeOfAnOverwrite) {
    open();
    put(one(), 1, "old", 1000);
    ASSERT_TRUE(comes(two(), 1, "old"));
    put(one(), 1, "new", 2000);
    EXPECT_TRUE(eventually([&] { return was_told(two(), 1, 2000); }));
}

TEST_F(RedisStoreTest, SaysNothingOfAFirstAnswerUnderALease) {
    open();
    one().store().put_leased(cache_key(1), cache_entry("first", 1000), lead(one(), 1));
    ASSERT_TRUE(comes(two(), 1, "first"));
    put(one(), 2, "later", 2000);
    ASSERT_TRUE(eventually([&] { return was_told(two(), 2, 2000); }));
    EXPECT_FALSE(was_told(two(), 1, 1000));
}

TEST_F(RedisStoreTest, TellsTheOtherNodeOfAPurge) {
    open();
    const PurgeScope model{PurgeKind::kModel, "gpt 4o"};
    const PurgeScope name_space{PurgeKind::kNamespace, "team"};
    one().store().purged(model, 1000);
    EXPECT_TRUE(eventually([&] { return two().purge_of(model) == 1000; }));
    one().store().purged(name_space, 2000);
    EXPECT_TRUE(eventually([&] { return two().purge_of(name_space) == 2000; }));
    EXPECT_EQ(redis({"HGET", "{llm:cache}:purges", "mgpt 4o"}), "1000");
    two().store().purged({}, 3000);
    EXPECT_TRUE(eventually([&] { return one().purge_of(model) == 3000; }));
    EXPECT_EQ(redis({"HLEN", "{llm:cache}:purges"}), "1"); // it ended the others
}

TEST_F(RedisStoreTest, GivesALargerNumberToAPurgeThatAnotherHadBefore) {
    open();
    const PurgeScope model{PurgeKind::kModel, "m"};
    one().store().purged(model, 5000);
    ASSERT_TRUE(eventually([&] { return two().purge_of(model) == 5000; }));
    two().store().purged(model, 5000);
    EXPECT_TRUE(eventually([&] { return one().purge_of(model) == 5001; }));
    EXPECT_TRUE(eventually([&] { return two().purge_of(model) == 5001; }));
    one().store().purged({}, 6000);
    ASSERT_TRUE(eventually([&] { return two().purge_of(model) == 6000; }));
    two().store().purged(model, 4000); // its clock is behind
    EXPECT_TRUE(eventually([&] { return one().purge_of(model) == 6001; }));
}

TEST_F(RedisStoreTest, TellsANewNodeOfAllPurges) {
    open();
    for (std::uint64_t i = 1; i <= 300; ++i)
        one().store().purged({PurgeKind::kModel, "m" + std::to_string(i)}, 1000 + i);
    ASSERT_TRUE(eventually([&] { return redis({"HLEN", "{llm:cache}:purges"}) == "300"; }));
    const auto three = fleet_.make_node();
    EXPECT_TRUE(eventually([&] {
        return three->purge_of({PurgeKind::kModel, "m1"}) == 1001 &&
               three->purge_of({PurgeKind::kModel, "m300"}) == 1300;
    }));
}

TEST_F(RedisStoreTest, TakesWhatItCannotReadForAMiss) {
    open();
    for (const char* value : {"", "x", "hostile bytes that are no entry",
                              "\x01"
                              "999999999999999rest"}) {
        redis({"SET", entry_name(1), value, "PX", "60000"});
        const auto found = one().look_up(cache_key(1));
        ASSERT_TRUE(found) << value;
        EXPECT_EQ(found->entry, nullptr);
    }
    redis({"SET", entry_name(1), "hostile bytes that are no entry"});
    put(one(), 1, "body");
    EXPECT_TRUE(comes(two(), 1, "body"));
    redis({"SET", lease_name(2), "no token\n"});
    EXPECT_FALSE(one().look_up(cache_key(2)));
}

TEST_F(RedisStoreTest, IgnoresHostileMessagesAndFields) {
    open();
    redis({"PUBLISH", "{llm:cache}:news", "no news"});
    redis({"PUBLISH", "{llm:cache}:news", "w ffff.1"});
    redis({"HSET", "{llm:cache}:purges", "xnew", "7", "", "8", "mname", "text", "mgood", "9"});
    redis({"SET", "{llm:cache}:purges:version", "77"});
    EXPECT_TRUE(eventually([&] { return one().purge_of({PurgeKind::kModel, "good"}) == 9; }));
    EXPECT_EQ(one().purge_of({PurgeKind::kModel, "name"}), 0U);
}

TEST_F(RedisStoreTest, DropsWritesBeyondItsBound) {
    fleet_.settings.store.write_bytes_max = 10'000;
    open();
    put(one(), 1, std::string(20'000, 'x'));
    EXPECT_EQ(one().store().dropped_writes(), 1U);
    put(one(), 2, "small");
    EXPECT_TRUE(comes(two(), 2, "small"));
    // A lease that can't be used is given back at once.
    const auto lease = lead(one(), 3);
    one().store().put_leased(cache_key(3), cache_entry(std::string(20'000, 'x')), lease);
    EXPECT_TRUE(eventually([&] { return redis({"EXISTS", lease_name(3)}) == "0"; }));
}

TEST_F(RedisStoreTest, WritesWhatIsWaitingWhenItStops) {
    open();
    for (std::uint64_t i = 0; i < 200; ++i)
        put(one(), i, "body");
    one().store().purged({PurgeKind::kModel, "m"}, 5000);
    one().store().stop();
    for (std::uint64_t i = 0; i < 200; ++i)
        ASSERT_TRUE(two().has(cache_key(i))) << i;
    EXPECT_EQ(redis({"HGET", "{llm:cache}:purges", "mm"}), "5000");
    put(one(), 500, "too late");
    EXPECT_EQ(one().store().dropped_writes(), 1U);
    EXPECT_FALSE(one().is_confirmed());
}

TEST_F(RedisStoreTest, AsksNothingWithoutTimeLeft) {
    fleet_.settings.budget = Milliseconds(0);
    open();
    const auto found = one().look_up(cache_key(1));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kTimeout);
    EXPECT_FALSE(one().lease(cache_key(1)));
    EXPECT_EQ(redis({"EXISTS", lease_name(1)}), "0");
}

} // namespace
} // namespace larder::cache
