// The client of a Cluster, with a real one whose slots move and whose masters die.
#include "redis/backends.hpp"
#include "redis/slots.hpp"
#include "testing/redis_cluster.hpp"
#include "testing/run_task.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::RedisCluster;

constexpr auto kLong = std::chrono::microseconds(5s);
constexpr auto kShort = std::chrono::microseconds(50ms); // what a request gives Redis

Command get(std::string_view key) {
    return Command("GET").key(key).idempotent();
}
Command set(std::string_view key, std::string_view value) {
    return Command("SET").key(key).arg(value).idempotent();
}
Command increment(std::string_view key) {
    return Command("INCR").key(key);
}

/// A key in the slot; the same one each time for the same `salt`.
std::string key_in(std::uint16_t slot, const std::string& salt = "k") {
    for (int i = 0;; ++i) {
        const std::string tag = std::to_string(i);
        if (slot_of(tag) == slot)
            return "{" + tag + "}" + salt;
    }
}

/// A key that the node serves now.
std::string key_at(const RedisCluster& cluster, std::size_t node, const std::string& salt) {
    for (int i = 0;; ++i) {
        std::string key = "{" + std::to_string(i) + salt + "}";
        if (cluster.owner(slot_of(key)) == node)
            return key;
    }
}

class ClusterClient : public ::testing::Test {
protected:
    static void SetUpTestSuite() { cluster_ = std::make_unique<RedisCluster>(); }
    static void TearDownTestSuite() { cluster_.reset(); }
    static RedisCluster& cluster() { return *cluster_; }

    void SetUp() override { make_client(cluster().url()); }
    void TearDown() override {
        if (client_)
            client_->stop();
    }
    void make_client(const std::string& url) {
        if (client_)
            client_->stop();
        auto made = make_redis_client(runtime_, {.url = parse_url(url).value()});
        ASSERT_TRUE(made) << made.error().message;
        client_ = *std::move(made);
    }
    /// Every call on the next thread.
    Result<Reply> run(Command command, std::chrono::microseconds within = kLong) {
        next_ = (next_ + 1) % runtime_.size();
        return testing::run(runtime_.context(next_), client_->run(std::move(command), within));
    }
    std::vector<Result<Reply>> pipeline(std::vector<Command> commands) {
        return testing::run(runtime_.context(0), client_->pipeline(std::move(commands), kLong));
    }
    Result<std::vector<Reply>> transaction(std::vector<Command> commands) {
        return testing::run(runtime_.context(0), client_->transaction(std::move(commands), kLong));
    }
    Result<Reply> script(const Script& script, ScriptCall call) {
        return testing::run(runtime_.context(1), client_->script(script, std::move(call), kLong));
    }
    void be_well() {
        ASSERT_TRUE(eventually([this] { return client_->health().ok; }))
            << client_->health().reason;
    }

    async::Runtime runtime_{2};
    std::unique_ptr<Client> client_;

private:
    static std::unique_ptr<RedisCluster> cluster_;
    std::size_t next_ = 0;
};
std::unique_ptr<RedisCluster> ClusterClient::cluster_;

/// Counts up a key again and again, one call after the other, each within 50 ms.
class Load {
public:
    Load(Client& client, asio::io_context& context, std::vector<std::string> keys)
        : client_(client), keys_(std::move(keys)) {
        done_ = testing::start(context, count(*this));
    }
    ~Load() { stop(); }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void stop() {
        stopping_ = true;
        if (done_.valid())
            testing::finish(std::move(done_));
    }
    [[nodiscard]] int acknowledged() const { return acknowledged_; }
    [[nodiscard]] int unknown() const { return unknown_; }
    [[nodiscard]] int refused() const { return refused_; }
    /// Waits until this many more are acknowledged.
    [[nodiscard]] bool goes_on(int more = 200) const {
        const int now = acknowledged_;
        return eventually([this, now, more] { return acknowledged_ > now + more; });
    }

private:
    static Task<bool> count(Load& self) {
        for (std::size_t i = 0; !self.stopping_; ++i) {
            const auto reply =
                co_await self.client_.run(increment(self.keys_[i % self.keys_.size()]), kShort);
            if (reply)
                ++self.acknowledged_;
            else if (reply.error().code == ErrorCode::kTimeout || reply.error().detail == "broken")
                ++self.unknown_;
            else
                ++self.refused_;
            // What fails at once must not starve the loop.
            co_await asio::post(asio::use_awaitable_t<Executor>());
        }
        co_return true;
    }

    Client& client_;
    std::vector<std::string> keys_;
    std::atomic<bool> stopping_{false};
    std::atomic<int> acknowledged_{0};
    std::atomic<int> unknown_{0}; // may have been run
    std::atomic<int> refused_{0}; // surely not run
    std::future<bool> done_;
};

TEST_F(ClusterClient, SendsEveryCommandToTheNodeOfItsKey) {
    be_well();
    for (int i = 0; i < 100; ++i) {
        const std::string key = "every:" + std::to_string(i);
        const auto stored = run(set(key, std::to_string(i)));
        ASSERT_TRUE(stored) << stored.error().message;
        EXPECT_EQ(run(get(key))->text, std::to_string(i));
        EXPECT_EQ(cluster().ask(cluster().owner(slot_of(key)), {"GET", key}).text,
                  std::to_string(i));
    }
    EXPECT_EQ(run(Command("PING"))->text, "PONG");
    EXPECT_EQ(client_->traits().kind, "redis-cluster");
}

TEST_F(ClusterClient, KnowsTheWholeClusterFromOneSeedAndEvenFromAReplica) {
    make_client("redis+cluster://127.0.0.1:" + std::to_string(cluster().port(4)));
    // Before the map is there, MOVED says where to go.
    for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(run(set("seed:" + std::to_string(i), "x")));
    be_well();
}

TEST_F(ClusterClient, StartsWithoutAnyNodeAndSaysSo) {
    const std::string nowhere = std::to_string(testing::free_port());
    make_client("redis+cluster://127.0.0.1:" + nowhere);
    const auto failed = run(get("a"), kShort);
    ASSERT_FALSE(failed);
    EXPECT_TRUE(eventually([this] {
        return client_->health().reason.find("reached") != std::string::npos;
    })) << client_->health().reason;
    EXPECT_FALSE(client_->health().ok);
}

TEST_F(ClusterClient, SaysThatAServerIsNoCluster) {
    const testing::RedisServer server;
    make_client("redis+cluster://127.0.0.1:" + std::to_string(server.port()));
    EXPECT_TRUE(eventually([this] {
        const Health health = client_->health();
        return !health.ok && health.reason != "no server has answered yet";
    }));
}

TEST_F(ClusterClient, GivesTheOutcomesOfAPipelineInOrder) {
    std::vector<Command> commands;
    for (int i = 0; i < 200; ++i)
        commands.push_back(set("pipe:" + std::to_string(i), std::to_string(i)));
    commands.push_back(Command("HGET").key("pipe:0").arg("field"));
    for (int i = 0; i < 200; ++i)
        commands.push_back(get("pipe:" + std::to_string(i)));
    commands.push_back(Command("PING"));
    const auto outcomes = pipeline(std::move(commands));
    ASSERT_EQ(outcomes.size(), 402U);
    EXPECT_EQ(outcomes[200].error().detail, "WRONGTYPE");
    for (std::size_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(outcomes[i]) << outcomes[i].error().message;
        ASSERT_TRUE(outcomes[201 + i]) << outcomes[201 + i].error().message;
        EXPECT_EQ(outcomes[201 + i]->text, std::to_string(i));
    }
    EXPECT_EQ(outcomes[401]->text, "PONG");
    EXPECT_TRUE(pipeline({}).empty());
}

TEST_F(ClusterClient, RunsATransactionInOneSlotOnly) {
    std::vector<Command> commands;
    commands.push_back(set("{tx}:a", "1"));
    commands.push_back(increment("{tx}:a"));
    commands.push_back(Command("HGET").key("{tx}:a").arg("field"));
    const auto replies = transaction(commands);
    ASSERT_TRUE(replies) << replies.error().message;
    ASSERT_EQ(replies->size(), 3U);
    EXPECT_EQ((*replies)[1].integer, 2);
    EXPECT_TRUE((*replies)[2].is_error());

    commands.push_back(set("{other}:a", "1"));
    const auto refused = transaction(commands);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kStore);
    EXPECT_EQ(run(get("{tx}:a"))->text, "2");
    EXPECT_TRUE(run(get("{other}:a"))->is_null());
}

TEST_F(ClusterClient, RunsAScriptWithAllItsKeysInOneSlot) {
    const Script both("redis.call('INCR', KEYS[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])");
    const ScriptCall call{.keys = {"{script}:a", "{script}:b"}, .args = {"5"}};
    EXPECT_EQ(script(both, call)->integer, 5);
    EXPECT_EQ(script(both, call)->integer, 10);
    EXPECT_EQ(run(get("{script}:a"))->text, "2");
}

TEST_F(ClusterClient, FollowsASlotThatHasMoved) {
    be_well();
    const std::uint16_t slot = 100;
    const std::string key = key_in(slot);
    ASSERT_TRUE(run(set(key, "here")));
    const std::size_t from = cluster().owner(slot);
    const std::size_t to = cluster().master_beside(from);
    cluster().begin_migration(slot, from, to);
    cluster().migrate_keys(slot, from, to, 100);
    cluster().end_migration(slot, from, to);
    EXPECT_EQ(run(get(key))->text, "here");
    EXPECT_EQ(run(get(key))->text, "here");
    const auto replies = transaction({set(key, "there"), get(key)});
    ASSERT_TRUE(replies) << replies.error().message;
    EXPECT_EQ(replies->back().text, "there");
    // Once the map is known the node that lost the slot is not asked any more.
    const auto refusals = [&] {
        const std::string errors = cluster().ask(from, {"INFO", "errorstats"}).text;
        const auto at = errors.find("errorstat_MOVED:count=");
        return at == std::string::npos ? 0 : std::atoi(errors.c_str() + at + 22);
    };
    const int before = refusals();
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(run(get(key))->text, "there");
    EXPECT_EQ(refusals(), before);
}

TEST_F(ClusterClient, FollowsKeysThatAreOnTheMove) {
    be_well();
    const std::uint16_t slot = 200;
    const std::string gone = key_in(slot, "gone");
    const std::string here = key_in(slot, "here");
    ASSERT_TRUE(run(set(gone, "1")));
    const std::size_t from = cluster().owner(slot);
    const std::size_t to = cluster().master_beside(from);
    cluster().begin_migration(slot, from, to);
    ASSERT_EQ(cluster().migrate_keys(slot, from, to, 1), 1U);
    cluster().ask(from, {"SET", here, "1"}); // refused with ASK: it is a new key
    EXPECT_EQ(run(increment(gone))->integer, 2);
    EXPECT_EQ(run(set(here, "5"))->text, "OK");
    EXPECT_EQ(run(get(here))->text, "5");

    const auto replies = transaction({increment(gone), increment(gone)});
    ASSERT_TRUE(replies) << replies.error().message;
    EXPECT_EQ(replies->back().integer, 4);
    const auto outcomes = pipeline({increment(gone), get("elsewhere"), get(here)});
    EXPECT_EQ(outcomes[0]->integer, 5);
    EXPECT_TRUE(outcomes[1]->is_null());
    EXPECT_EQ(outcomes[2]->text, "5");

    // A script of several keys, one of which is nowhere, has to wait for the end of the move.
    const Script sum("return redis.call('INCR', KEYS[1]) + redis.call('INCR', KEYS[2])");
    const std::string fresh = key_in(slot, "fresh");
    auto waiting = testing::start(runtime_.context(0),
                                  client_->script(sum, {.keys = {gone, fresh}, .args = {}}, kLong));
    EXPECT_EQ(run(increment(gone), kLong)->integer, 6);
    cluster().end_migration(slot, from, to);
    const auto summed = testing::finish(std::move(waiting));
    ASSERT_TRUE(summed) << summed.error().message;
    EXPECT_EQ(summed->integer, 7 + 1);
}

TEST_F(ClusterClient, LosesAndDoublesNothingWhileSlotsMoveUnderLoad) {
    be_well();
    const std::uint16_t slot = 300;
    std::vector<std::string> keys;
    for (int i = 0; i < 50; ++i)
        keys.push_back(key_in(slot, "load" + std::to_string(i)));
    Load one(*client_, runtime_.context(0), keys);
    Load two(*client_, runtime_.context(1), keys);
    std::size_t from = cluster().owner(slot);
    for (int turn = 0; turn < 6; ++turn) {
        ASSERT_TRUE(one.goes_on() && two.goes_on());
        const std::size_t to = cluster().master_beside(from);
        cluster().begin_migration(slot, from, to);
        for (int i = 0; cluster().migrate_keys(slot, from, to, 3) > 0; ++i)
            ASSERT_LT(i, 1000);
        cluster().end_migration(slot, from, to);
        from = to;
    }
    ASSERT_TRUE(one.goes_on() && two.goes_on());
    one.stop();
    two.stop();
    int counted = 0;
    for (const std::string& key : keys) {
        const auto value = run(get(key));
        ASSERT_TRUE(value && value->is_text());
        counted += std::stoi(value->text);
    }
    const int acknowledged = one.acknowledged() + two.acknowledged();
    EXPECT_GE(counted, acknowledged);
    EXPECT_LE(counted, acknowledged + one.unknown() + two.unknown());
}

TEST_F(ClusterClient, HealsByItselfWhenAMasterDiesUnderLoadAndCountsNothingTwice) {
    be_well();
    const std::size_t victim = cluster().owner(0);
    const std::string doomed = key_at(cluster(), victim, "doomed");
    std::size_t other = cluster().owner(kSlots - 1);
    const std::string safe = key_at(cluster(), other, "safe");
    Load at_victim(*client_, runtime_.context(0), {doomed});
    Load at_other(*client_, runtime_.context(1), {safe});
    ASSERT_TRUE(at_victim.goes_on() && at_other.goes_on());
    cluster().kill(victim);
    ASSERT_TRUE(at_victim.goes_on());
    ASSERT_TRUE(at_other.goes_on());
    be_well();
    at_victim.stop();
    at_other.stop();
    // Its replica had what was acknowledged but for the last moment; never more than was asked.
    EXPECT_LE(std::stoi(run(get(doomed))->text), at_victim.acknowledged() + at_victim.unknown());
    const int counted = std::stoi(run(get(safe))->text);
    EXPECT_GE(counted, at_other.acknowledged());
    EXPECT_LE(counted, at_other.acknowledged() + at_other.unknown());
    EXPECT_NE(cluster().owner(0), victim);
    cluster().heal();
}

TEST_F(ClusterClient, WaitsNoLongerThanItMayForAMasterThatIsStopped) {
    be_well();
    const std::size_t victim = cluster().owner(0);
    const std::string key = key_at(cluster(), victim, "stopped");
    ASSERT_TRUE(run(set(key, "1")));
    cluster().pause(victim);
    // Also when it says nothing its replica takes over.
    ASSERT_TRUE(eventually([&] { return run(set(key, "2"), kShort).has_value(); }));
    EXPECT_EQ(run(get(key))->text, "2");
    be_well();
    cluster().heal();
}

TEST_F(ClusterClient, SaysWhenSlotsAreNotServed) {
    be_well();
    const std::size_t master = cluster().owner(0);
    std::set<std::size_t> dead;
    // The master and whoever could follow it.
    for (std::size_t i = 0; i < RedisCluster::kNodes; ++i) {
        const std::string nodes = cluster().ask(i, {"CLUSTER", "NODES"}).text;
        const auto own = cluster().ask(i, {"ROLE"});
        const bool follows =
            own.items[0].text == "slave" && own.items[2].integer == cluster().port(master);
        if (i == master || follows)
            dead.insert(i);
    }
    ASSERT_EQ(dead.size(), 2U);
    for (const std::size_t each : dead)
        cluster().kill(each);
    ASSERT_TRUE(eventually([this] {
        (void)run(get("{a}"), kShort); // whatever it says: somebody has to notice
        return !client_->health().ok;
    }));
    EXPECT_EQ(client_->health().reason, "some slots are not served");
    cluster().heal();
    be_well();
}

/// What a subscription has told.
struct Told {
    std::atomic<int> messages{0};
    std::atomic<int> ups{0};
    std::atomic<int> downs{0};
    std::atomic<bool> up{false};

    SubscriptionEvents events() {
        return {.on_message = [this](std::string_view message) { messages += message == "news"; },
                .on_state =
                    [this](bool is_up) {
                        ++(is_up ? ups : downs);
                        up = is_up;
                    }};
    }
};

TEST_F(ClusterClient, HearsAShardedChannelAcrossAMoveAndAFailover) {
    be_well();
    const std::uint16_t slot = 400;
    const std::string channel = key_in(slot, "news");
    Told told;
    const auto subscription = client_->subscribe(channel, told.events());
    const auto publish = [&] { return run(client_->publish_command(channel, "news"), kShort); };
    const auto hears = [&] {
        const int before = told.messages;
        return eventually([&] {
            (void)publish(); // what is published while it is down is lost
            return told.messages > before;
        });
    };
    ASSERT_TRUE(eventually([&] { return told.up.load(); }));
    ASSERT_TRUE(publish());
    ASSERT_TRUE(eventually([&] { return told.messages == 1; }));

    const std::size_t from = cluster().owner(slot);
    const std::size_t to = cluster().master_beside(from);
    cluster().begin_migration(slot, from, to);
    cluster().end_migration(slot, from, to);
    ASSERT_TRUE(eventually([&] { return told.downs >= 1 && told.up; }));
    ASSERT_TRUE(hears());

    const int downs = told.downs;
    cluster().kill(to);
    ASSERT_TRUE(eventually([&] { return told.downs > downs && told.up; }));
    ASSERT_TRUE(hears());
    cluster().heal();
}

TEST_F(ClusterClient, FailsAtOnceAfterItsStop) {
    be_well();
    client_->stop();
    EXPECT_FALSE(run(get("a")));
    EXPECT_FALSE(pipeline({get("a")}).front());
    EXPECT_FALSE(transaction({get("a")}));
    EXPECT_FALSE(client_->health().ok);
    client_->stop();
}

TEST_F(ClusterClient, LogsInToEveryNode) {
    for (std::size_t i = 0; i < RedisCluster::kNodes; ++i) {
        cluster().ask(i, {"ACL", "SETUSER", "guest", "on", ">secret", "~*", "&*", "+@all"});
    }
    const std::string host = "127.0.0.1:" + std::to_string(cluster().port(0));
    make_client("redis+cluster://guest:secret@" + host);
    for (int i = 0; i < 30; ++i) {
        const auto stored = run(set(std::to_string(i), "1"));
        ASSERT_TRUE(stored) << stored.error().message;
    }
    for (const std::uint16_t slot : std::initializer_list<std::uint16_t>{0, 8192, 16'383}) {
        const std::string clients = cluster().ask(cluster().owner(slot), {"CLIENT", "LIST"}).text;
        EXPECT_NE(clients.find("user=guest"), std::string::npos);
    }
    make_client("redis+cluster://guest:wrong@" + host);
    EXPECT_TRUE(eventually([&] {
        return client_->health().reason.find("login") != std::string::npos;
    })) << client_->health().reason;
    EXPECT_FALSE(run(get("a"), kShort));
}

} // namespace
} // namespace larder::redis
