// Tests of the store's fleet where it is another than on one server: messages and leases over a
// Cluster, and what takes their place over REST.
#include "testing/cache_node.hpp"
#include "testing/redis_cluster.hpp"
#include "testing/upstash_server.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace larder::cache {
namespace {

using testing::cache_entry;
using testing::cache_key;
using testing::CacheNode;
using testing::eventually;

testing::CacheNodeSettings patient() {
    testing::CacheNodeSettings settings;
    settings.store.within = std::chrono::seconds(20);
    settings.store.write_within = Milliseconds(20'000);
    settings.store.refresh = Milliseconds(50);
    settings.store.lease = Milliseconds(60'000);
    return settings;
}

const PurgeScope kModel{PurgeKind::kModel, "gpt-4o"};

TEST(RedisStoreOnACluster, LeasesPurgesOverwritesAndTheRelayGoFromNodeToNode) {
    testing::RedisCluster cluster;
    async::Runtime runtime(2);
    const auto make_node = [&] {
        auto client =
            redis::make_redis_client(runtime, {.url = redis::parse_url(cluster.url()).value()});
        return std::make_unique<CacheNode>(runtime, *std::move(client), patient());
    };
    const auto one = make_node();
    const auto two = make_node();
    ASSERT_TRUE(eventually([&] { return one->is_confirmed() && two->is_confirmed(); }));

    one->store().purged(kModel, 1000);
    EXPECT_TRUE(eventually([&] { return two->purge_of(kModel) == 1000; }));
    for (std::uint64_t i = 0; i < 20; ++i) { // of all masters
        const auto key = cache_key(i);
        const auto lease = one->look_up(key)->lease;
        ASSERT_FALSE(lease.empty());
        ASSERT_EQ(two->look_up(key)->holder, lease);
        std::atomic<int> wanted = 0;
        one->store().relay()->offer(lease, {.wanted = [&] { ++wanted; }, .left = {}});
        std::string cursor;
        auto waiting = two->start_relay_read(key, lease, cursor, Milliseconds(15'000));
        ASSERT_TRUE(eventually([&] { return wanted >= 1; }));
        ASSERT_TRUE(one->relay_write(key, lease, {"a", "b"}, "over"));
        const auto news = testing::finish(std::move(waiting));
        ASSERT_TRUE(news) << news.error().message;
        EXPECT_EQ(news->pieces, (std::vector<std::string>{"a", "b"}));
        EXPECT_EQ(news->end, "over");
        one->store().relay()->withdraw(lease);
        one->store().put_leased(key, cache_entry("answer", 1000), lease);
        ASSERT_TRUE(eventually([&] { return two->body(key) == "answer"; }));
        two->store().put(key, cache_entry("newer", 2000));
        EXPECT_TRUE(eventually([&] {
            return std::ranges::any_of(one->overwritten(),
                                       [&](const auto& told) { return told.key == key; });
        }));
    }
}

class RedisStoreOverRest : public ::testing::Test {
protected:
    RedisStoreOverRest() : runtime_(2) {}
    std::unique_ptr<CacheNode> make_node() {
        auto client = redis::make_upstash_client(
            runtime_, {.url = server_.url(), .token = testing::UpstashServer::token()});
        return std::make_unique<CacheNode>(runtime_, *std::move(client), settings_);
    }
    /// One that has read the purges, as each does once.
    std::unique_ptr<CacheNode> make_started_node() {
        auto node = make_node();
        EXPECT_TRUE(eventually([this] { return server_.count({"by_command", "hgetall"}) > 0; }));
        return node;
    }

    testing::UpstashServer server_;
    async::Runtime runtime_;
    testing::CacheNodeSettings settings_ = patient();
};

TEST_F(RedisStoreOverRest, WritesOnlyText) {
    const auto one = make_node();
    one->store().put(cache_key(1), cache_entry(std::string(50'000, '\xFF')));
    ASSERT_TRUE(eventually([&] { return one->has(cache_key(1)); }));
    const RedisKeys keys("llm:cache");
    const auto stored = server_.redis().cli({"GET", keys.entry(cache_key(1))});
    EXPECT_TRUE(stored.starts_with("B"));
    EXPECT_LT(stored.size(), 5'000U); // compressed within
}

TEST_F(RedisStoreOverRest, BelievesMemoryForASecond) {
    const auto one = make_node();
    const std::int64_t now = SystemClock().epoch_ms();
    const std::int64_t since = one->store().confirmed_since_ms();
    EXPECT_GE(since, now - 1000);
    EXPECT_LT(since, now + 60'000);
    EXPECT_EQ(one->store().relay(), nullptr);
    EXPECT_TRUE(one->store().has_leases());
}

TEST_F(RedisStoreOverRest, ALookUpKnowsOfAPurgeBeforeItAnswers) {
    const auto one = make_node();
    const auto two = make_node();
    one->store().put(cache_key(1), cache_entry("body"));
    ASSERT_TRUE(eventually([&] { return two->has(cache_key(1)); }));
    std::uint64_t generation = 1000;
    for (const bool wants_lease : {false, true}) {
        one->store().purged(kModel, ++generation);
        ASSERT_TRUE(eventually([&] {
            return server_.redis().cli({"HGET", "{llm:cache}:purges", "mgpt-4o"}) ==
                   std::to_string(generation);
        }));
        ASSERT_TRUE(two->look_up(cache_key(1), wants_lease));
        EXPECT_EQ(two->purge_of(kModel), generation);
    }
    one->store().purged(kModel, ++generation);
    ASSERT_TRUE(eventually([&] { return !two->look_up(cache_key(2))->entry; }));
    EXPECT_TRUE(eventually(
        [&] { return two->look_up(cache_key(2)) && two->purge_of(kModel) == generation; }));
}

TEST_F(RedisStoreOverRest, ALookUpIsOneCommand) {
    const auto one = make_started_node();
    ASSERT_TRUE(one->look_up(cache_key(1), false));
    ASSERT_TRUE(one->look_up(cache_key(1), true)); // the script is known from now on
    server_.reset();
    ASSERT_TRUE(one->look_up(cache_key(2), false));
    EXPECT_EQ(server_.count({"requests"}), 1);
    EXPECT_EQ(server_.count({"by_command", "mget"}), 1);
    ASSERT_TRUE(one->look_up(cache_key(2), true));
    EXPECT_EQ(server_.count({"requests"}), 2);
    EXPECT_EQ(server_.count({"by_command", "evalsha"}), 1);
}

TEST_F(RedisStoreOverRest, AsksNothingWhileNobodyAsksIt) {
    settings_.store.refresh = Milliseconds(5);
    const auto one = make_started_node();
    ASSERT_TRUE(one->look_up(cache_key(1)));
    server_.reset();
    // Some of the keeper's rounds, which are counted by what they do on the other node's Redis.
    auto direct = redis::make_redis_client(
        runtime_, {.url = redis::parse_url(server_.redis().url()).value()});
    auto beside = settings_;
    beside.store.prefix = "beside";
    {
        CacheNode other(runtime_, *std::move(direct), beside);
        ASSERT_TRUE(eventually([&] { return other.is_confirmed(); }));
        for (std::uint64_t i = 1; i <= 5; ++i) {
            server_.redis().cli({"HSET", "{beside}:purges", "mm", std::to_string(i)});
            server_.redis().cli({"SET", "{beside}:purges:version", std::to_string(i)});
            ASSERT_TRUE(eventually([&] { return other.purge_of({PurgeKind::kModel, "m"}) == i; }));
        }
    }
    EXPECT_EQ(server_.count({"requests"}), 0);
}

TEST_F(RedisStoreOverRest, PutsPurgesBackIntoADatabaseThatLostThem) {
    const auto one = make_node();
    one->store().purged(kModel, 1000);
    ASSERT_TRUE(
        eventually([&] { return server_.redis().cli({"EXISTS", "{llm:cache}:purges"}) == "1"; }));
    server_.redis().cli({"FLUSHALL"});
    ASSERT_TRUE(one->look_up(cache_key(1)));
    EXPECT_TRUE(eventually(
        [&] { return server_.redis().cli({"HGET", "{llm:cache}:purges", "mgpt-4o"}) == "1000"; }));
}

TEST_F(RedisStoreOverRest, GivesOneLeaseAndChecksItAtThePut) {
    const auto one = make_node();
    const auto two = make_node();
    std::vector<std::future<Result<Lookup>>> waiting;
    for (std::size_t i = 0; i < 20; ++i)
        waiting.push_back((i % 2 == 0 ? *one : *two).start_look_up(cache_key(1), true, i / 2));
    std::vector<std::string> leases;
    for (auto& each : waiting) {
        const auto found = testing::finish(std::move(each));
        ASSERT_TRUE(found) << found.error().message;
        if (!found->lease.empty())
            leases.push_back(found->lease);
    }
    ASSERT_EQ(leases.size(), 1U);
    CacheNode& leader = one->renew(cache_key(1), leases[0]).value_or(false) ? *one : *two;
    leader.store().put_leased(cache_key(1), cache_entry("answer"), leases[0]);
    EXPECT_TRUE(eventually([&] {
        return one->body(cache_key(1)) == "answer" && two->body(cache_key(1)) == "answer";
    }));
    leader.store().put_leased(cache_key(1), cache_entry("again"), leases[0]);
    EXPECT_TRUE(eventually([&] { return leader.store().dropped_writes() == 1; }));
    EXPECT_EQ(one->body(cache_key(1)), "answer");
}

} // namespace
} // namespace larder::cache
