// The sums of a fleet on a real Redis: added up, never twice, and what its faults do to them.
#include "ledger/ledger.hpp"
#include "ledger/redis_totals.hpp"
#include "redis/backends.hpp"
#include "testing/redis_cluster.hpp"
#include "testing/redis_server.hpp"
#include "testing/upstash_server.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <thread>

namespace larder::ledger {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::RedisCluster;
using testing::RedisServer;
using testing::UpstashServer;

constexpr std::string_view kKey = "{p}:totals";
constexpr Record kMissed{.outcome = Outcome::kMiss,
                         .upstream_calls = 2,
                         .input_tokens = 100,
                         .output_tokens = 20,
                         .spent_picodollars = 5'000'000};
constexpr Record kHit{.outcome = Outcome::kHit, .saved_picodollars = 7};

/// One node: threads, a client and what is made on them.
class Node {
public:
    Node(const RedisServer& server, std::string name) : Node(server.url(), std::move(name)) {}
    /// `url` as of store.redis.url, or of a server that speaks Upstash's REST.
    Node(const std::string& url, std::string name) : runtime_(1), name_(std::move(name)) {
        if (url.starts_with("http"))
            client_ = redis::make_upstash_client(
                          runtime_, {.url = url, .token = UpstashServer::token(), .on_health = {}})
                          .value();
        else
            client_ = redis::make_redis_client(
                          runtime_, {.url = redis::parse_url(url).value(), .on_health = {}})
                          .value();
    }
    ~Node() { client_->stop(); }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    std::unique_ptr<TotalsStore> store() {
        return make_redis_totals(*client_, runtime_, {.prefix = "p", .node = name_});
    }
    std::unique_ptr<Ledger> ledger(std::chrono::milliseconds pace = 5ms) {
        return std::make_unique<Ledger>(
            store(), LedgerSettings{.pace = Pace{.batch = pace, .read = pace}, .on_health = {}});
    }

private:
    async::Runtime runtime_;
    std::unique_ptr<redis::Client> client_;
    const std::string name_;
};

std::string field(const RedisServer& server, std::string_view name) {
    return server.cli({"HGET", std::string(kKey), std::string(name)});
}

Batch hits(std::int64_t count, std::uint64_t sequence) {
    Batch batch{.sequence = sequence};
    batch.delta[0] = count;
    return batch;
}

TEST(RedisTotals, AddsABatchAndGivesAllSums) {
    const RedisServer server;
    Node node(server, "a");
    const auto store = node.store();
    EXPECT_EQ(store->read(1s).value(), Sums{});
    Batch batch{.sequence = 1};
    for (std::size_t i = 0; i < kFields; ++i)
        batch.delta[i] = static_cast<std::int64_t>(i) * 1'000'000'000'000'000;
    EXPECT_EQ(store->add(batch, 1s).value(), batch.delta);
    EXPECT_EQ(store->add(hits(3, 2), 1s).value()[0], 3);
    EXPECT_EQ(field(server, "spent_picodollars"), "10000000000000000");
    EXPECT_EQ(field(server, "hits"), "3");
    EXPECT_EQ(store->read(1s).value()[kFields - 1], 10'000'000'000'000'000);
    EXPECT_EQ(server.cli({"DBSIZE"}), "2");
}

TEST(RedisTotals, CountsABatchOnceHoweverOftenItIsSent) {
    const RedisServer server;
    Node one(server, "a");
    Node two(server, "b");
    const auto a = one.store();
    const auto b = two.store();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(a->add(hits(5, 1), 1s));
        ASSERT_TRUE(b->add(hits(7, 1), 1s)); // another node's numbers are its own
    }
    EXPECT_EQ(a->read(1s).value()[0], 12);
    ASSERT_TRUE(a->add(hits(1, 2), 1s));
    ASSERT_TRUE(a->add(hits(5, 1), 1s)); // late
    EXPECT_EQ(a->read(1s).value()[0], 13);
    const int seconds = std::stoi(server.cli({"TTL", std::string(kKey) + ":a"}));
    EXPECT_GT(seconds, 86'000);
    EXPECT_LE(seconds, 86'400);
    EXPECT_EQ(server.cli({"TTL", std::string(kKey)}), "-1");
}

TEST(RedisTotals, KeepsSumsThatADoubleCannotHold) {
    const RedisServer server;
    Node node(server, "a");
    const auto store = node.store();
    constexpr std::int64_t kExact = (1LL << 53) + 1;
    EXPECT_EQ(store->add(hits(kExact, 1), 1s).value()[0], kExact);
    EXPECT_EQ(store->add(hits(1, 2), 1s).value()[0], kExact + 1);
}

TEST(RedisTotals, StaysAtTheGreatestNumberAndAddsTheOthers) {
    const RedisServer server;
    Node node(server, "a");
    const auto store = node.store();
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    Batch batch = hits(kMax - 1, 1);
    batch.delta[1] = 4;
    ASSERT_TRUE(store->add(batch, 1s));
    batch.sequence = 2;
    const Sums sums = store->add(batch, 1s).value();
    EXPECT_EQ(sums[0], kMax);
    EXPECT_EQ(sums[1], 8);
    EXPECT_EQ(store->add(hits(1, 3), 1s).value()[0], kMax);
}

TEST(RedisTotals, BeginsAFieldAnewThatIsNoNumber) {
    const RedisServer server;
    Node node(server, "a");
    const auto store = node.store();
    (void)server.cli({"HSET", std::string(kKey), "hits", "many", "misses", "-5", "stale", "2"});
    EXPECT_EQ(store->read(1s).value(), (Sums{0, 0, 2}));
    EXPECT_EQ(store->add(hits(3, 1), 1s).value(), (Sums{3, 0, 2}));
}

TEST(RedisTotals, CountsNothingOfABatchThatIsRefused) {
    const RedisServer server;
    Node node(server, "a");
    const auto store = node.store();
    (void)server.cli({"SET", std::string(kKey), "secret"});
    const auto refused = store->add(hits(3, 1), 1s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message.find("secret"), std::string::npos);
    EXPECT_FALSE(store->read(1s));
    (void)server.cli({"DEL", std::string(kKey)});
    EXPECT_EQ(store->add(hits(3, 1), 1s).value()[0], 3);

    (void)server.cli({"CONFIG", "SET", "maxmemory", "1"});
    EXPECT_FALSE(store->add(hits(4, 2), 1s));
    EXPECT_EQ(store->read(1s).value()[0], 3);
    (void)server.cli({"CONFIG", "SET", "maxmemory", "0"});
    EXPECT_EQ(store->add(hits(4, 2), 1s).value()[0], 7);
}

/// Until the client has reached its server; the same batch again counts once.
void expect_to_count(TotalsStore& store) {
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
        Result<Sums> sums;
        ASSERT_TRUE(eventually([&] {
            sums = store.add(hits(1'000'000'000'000'000, sequence), 1s);
            return sums.has_value();
        })) << sums.error().message;
        EXPECT_EQ((*sums)[0], static_cast<std::int64_t>(sequence) * 1'000'000'000'000'000);
    }
    EXPECT_EQ(store.add(hits(5, 3), 1s).value()[0], 3'000'000'000'000'000);
    EXPECT_EQ(store.read(1s).value()[0], 3'000'000'000'000'000);
}

TEST(RedisTotals, CountInACluster) {
    const RedisCluster cluster;
    Node node(cluster.url(), "a");
    const auto store = node.store();
    expect_to_count(*store);
    EXPECT_EQ(store->pace().batch, 1s);
}

TEST(RedisTotals, CountOverRestAndAskRarely) {
    const UpstashServer server;
    Node node(server.url(), "a");
    const auto store = node.store();
    expect_to_count(*store);
    EXPECT_EQ(store->pace().batch, 5s);
    EXPECT_EQ(store->pace().read, 60s);
}

TEST(RedisTotals, TakesNoOtherReplyForSums) {
    using Kind = redis::Reply::Kind;
    redis::Reply reply{.kind = Kind::kArray};
    EXPECT_FALSE(read_sums(reply));
    EXPECT_FALSE(read_sums({.kind = Kind::kText, .text = "5"}));
    EXPECT_FALSE(read_sums({.kind = Kind::kError, .text = "ERR no"}));
    reply.items.resize(kFields);
    reply.items[0] = {.kind = Kind::kText, .text = "5"};
    reply.items[1] = {.kind = Kind::kText, .text = "5x"};
    reply.items[2] = {.kind = Kind::kText, .text = "99999999999999999999"};
    reply.items[3] = {.kind = Kind::kInteger, .integer = 6};
    reply.items[4] = {.kind = Kind::kText, .text = ""};
    EXPECT_EQ(read_sums(reply).value(), (Sums{5, 0, 0, 6}));
    reply.items.emplace_back();
    EXPECT_FALSE(read_sums(reply));
}

TEST(FleetLedger, AddsUpOverNodesAndTheirRestarts) {
    const RedisServer server;
    Node one(server, "a");
    Node two(server, "b");
    const auto first = one.ledger();
    const auto second = two.ledger();
    for (int i = 0; i < 500; ++i) {
        first->record(kHit);
        second->record(kMissed);
        if (i % 50 == 0)
            std::this_thread::yield();
    }
    const Totals both{.hits = 500,
                      .misses = 500,
                      .upstream_calls = 1000,
                      .input_tokens = 50'000,
                      .output_tokens = 10'000,
                      .saved_picodollars = 3'500,
                      .spent_picodollars = 2'500'000'000};
    EXPECT_TRUE(eventually([&] { return first->totals() == both && second->totals() == both; }));
    first->stop();
    EXPECT_EQ(first->totals(), both);
    Node again(server, "c");
    const auto third = again.ledger();
    EXPECT_TRUE(eventually([&] { return third->totals() == both; }));
    third->record(kHit);
    EXPECT_TRUE(eventually([&] { return second->totals().hits == 501; }));
}

TEST(FleetLedger, WritesWhatWaitsWhenItStops) {
    const RedisServer server;
    Node node(server, "a");
    const auto ledger = node.ledger(1h);
    EXPECT_TRUE(eventually(
        [&] { return server.cli({"INFO", "commandstats"}).find("hmget") != std::string::npos; }));
    for (int i = 0; i < 10; ++i)
        ledger->record(kHit);
    ledger->stop();
    EXPECT_EQ(field(server, "hits"), "10");
    EXPECT_EQ(ledger->totals().hits, 10);
}

TEST(FleetLedger, CountsABatchOnceWhoseAnswerWasLost) {
    const RedisServer server;
    Node node(server, "a");
    const auto ledger = node.ledger();
    ledger->record(kHit);
    ASSERT_TRUE(eventually([&] { return field(server, "hits") == "1"; }));
    server.pause();
    ledger->record(kHit); // sent, and read by Redis when it goes on
    ledger->record(kHit);
    ASSERT_TRUE(eventually([&] { return !ledger->health().ok; }));
    for (int i = 0; i < 5; ++i)
        ledger->record(kHit);
    EXPECT_EQ(ledger->totals().hits, 8);
    server.resume();
    EXPECT_TRUE(eventually([&] { return field(server, "hits") == "8"; }));
    EXPECT_TRUE(eventually([&] { return ledger->health().ok; }));
    EXPECT_EQ(ledger->totals().hits, 8);
    ledger->record(kHit);
    EXPECT_TRUE(eventually([&] { return field(server, "hits") == "9"; }));
}

TEST(FleetLedger, GoesOnCountingWithoutRedisAndAddsItLater) {
    RedisServer server;
    Node node(server, "a");
    server.kill();
    const auto ledger = node.ledger();
    ledger->record(kHit);
    EXPECT_TRUE(eventually([&] { return !ledger->health().ok; }));
    EXPECT_FALSE(ledger->health().reason.empty());
    ledger->record(kHit);
    EXPECT_EQ(ledger->totals().hits, 2);
    server.start();
    EXPECT_TRUE(eventually([&] { return field(server, "hits") == "2"; }));
    EXPECT_TRUE(eventually([&] { return ledger->health().ok; }));
}

TEST(FleetLedger, BeginsAnewWithARedisThatLostItsDataAndIsNeverNegative) {
    RedisServer server;
    Node node(server, "a");
    const auto ledger = node.ledger();
    for (int i = 0; i < 10; ++i)
        ledger->record(kHit);
    ASSERT_TRUE(eventually([&] { return field(server, "hits") == "10"; }));
    server.restart();
    ASSERT_TRUE(eventually([&] { return ledger->totals().hits == 0; }));
    EXPECT_EQ(ledger->totals(), Totals{});
    ledger->record(kHit);
    EXPECT_EQ(ledger->totals().hits, 1);
    EXPECT_TRUE(eventually([&] { return field(server, "hits") == "1"; }));
}

TEST(FleetLedger, StopsInTimeWhileRedisIsSilent) {
    const RedisServer server;
    Node node(server, "a");
    const auto ledger = node.ledger();
    ASSERT_TRUE(eventually(
        [&] { return server.cli({"INFO", "commandstats"}).find("hmget") != std::string::npos; }));
    server.pause();
    ledger->record(kHit);
    const auto begun = std::chrono::steady_clock::now();
    ledger->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s); // 2 s and what the machine adds
    EXPECT_EQ(ledger->totals().hits, 1);
    server.resume();
}

} // namespace
} // namespace larder::ledger
