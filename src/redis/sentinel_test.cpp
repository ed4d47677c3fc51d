// The client of a master that real Sentinels watch: its start, fail-overs, and what it says.
#include "redis/backends.hpp"
#include "testing/redis_sentinel.hpp"
#include "testing/run_task.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::RedisSentinels;

constexpr auto kLong = std::chrono::microseconds(5s);
constexpr auto kShort = std::chrono::microseconds(50ms); // what a request gives Redis

Command get(std::string_view key) {
    return Command("GET").key(key).idempotent();
}
Command set(std::string_view key, std::string_view value) {
    return Command("SET").key(key).arg(value).idempotent();
}

class Fixture {
public:
    explicit Fixture(const std::string& url) {
        RedisSettings settings{.url = parse_url(url).value()};
        settings.on_health = [this](const Health& health) {
            const std::lock_guard lock(mutex_);
            reasons_.insert(health.reason);
        };
        client_ = make_redis_client(runtime_, std::move(settings)).value();
    }
    ~Fixture() { client_->stop(); }
    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;

    Client& client() { return *client_; }
    asio::io_context& context(std::size_t index) { return runtime_.context(index); }
    /// Every call on the other thread.
    Result<Reply> run(Command command, std::chrono::microseconds within = kLong) {
        next_ = 1 - next_;
        return testing::run(context(next_), client_->run(std::move(command), within));
    }
    [[nodiscard]] bool becomes(bool ok) {
        return eventually([&] { return client_->health().ok == ok; });
    }
    /// Of all changes of the health so far.
    std::set<std::string> reasons() {
        const std::lock_guard lock(mutex_);
        return reasons_;
    }

private:
    std::mutex mutex_;
    std::set<std::string> reasons_;
    async::Runtime runtime_{2};
    std::unique_ptr<Client> client_;
    std::size_t next_ = 0;
};

/// Counts up a key, one call after the other, each within 50 ms.
class Counting {
public:
    explicit Counting(Fixture& fixture) : fixture_(fixture) {
        done_ = testing::start(fixture.context(0), count(*this));
    }
    ~Counting() { stop(); }
    Counting(const Counting&) = delete;
    Counting& operator=(const Counting&) = delete;

    void stop() {
        stopping_ = true;
        if (done_.valid())
            testing::finish(std::move(done_));
    }
    [[nodiscard]] std::int64_t acknowledged() const { return acknowledged_; }
    [[nodiscard]] std::int64_t unknown() const { return unknown_; }
    [[nodiscard]] bool goes_on() const {
        const std::int64_t now = acknowledged_;
        return eventually([this, now] { return acknowledged_ > now + 200; });
    }

private:
    static Task<bool> count(Counting& self) {
        while (!self.stopping_) {
            const auto reply =
                co_await self.fixture_.client().run(Command("INCR").key("count"), kShort);
            if (reply)
                ++self.acknowledged_;
            else if (reply.error().code == ErrorCode::kTimeout || reply.error().detail == "broken")
                ++self.unknown_;
            co_await asio::post(asio::use_awaitable_t<Executor>());
        }
        co_return true;
    }

    Fixture& fixture_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::int64_t> acknowledged_{0};
    std::atomic<std::int64_t> unknown_{0}; // may have been run
    std::future<bool> done_;
};

TEST(SentinelClient, FollowsTheMasterWhenItDiesUnderLoad) {
    RedisSentinels sentinels;
    Fixture fixture(sentinels.url());
    ASSERT_TRUE(fixture.becomes(true)) << fixture.client().health().reason;
    EXPECT_EQ(fixture.client().traits().kind, "redis-sentinel");
    EXPECT_EQ(fixture.run(set("a", "1"))->text, "OK");
    EXPECT_EQ(testing::ask_redis(sentinels.port(0), {"GET", "a"}).text, "1");

    std::atomic<int> heard{0};
    std::atomic<int> downs{0};
    std::atomic<bool> up{false};
    const auto subscription =
        fixture.client().subscribe("news", {.on_message = [&](std::string_view) { ++heard; },
                                            .on_state =
                                                [&](bool is_up) {
                                                    downs += is_up ? 0 : 1;
                                                    up = is_up;
                                                }});
    ASSERT_TRUE(eventually([&] { return up.load(); }));
    Counting counting(fixture);
    ASSERT_TRUE(counting.goes_on());
    sentinels.kill(0);
    ASSERT_TRUE(counting.goes_on());
    ASSERT_TRUE(fixture.becomes(true)) << fixture.client().health().reason;

    ASSERT_TRUE(eventually([&] { return downs > 0 && up; }));
    const int before = heard;
    ASSERT_TRUE(eventually([&] {
        (void)fixture.run(fixture.client().publish_command("news", "x"), kShort);
        return heard > before;
    }));
    // What is acknowledged from now on is there.
    ASSERT_TRUE(fixture.run(set("b", "2")));
    counting.stop();
    const auto counted = fixture.run(get("count"));
    ASSERT_TRUE(counted);
    EXPECT_LE(std::stoll(counted->text), counting.acknowledged() + counting.unknown());
    // The sentinel that is asked here may hear of it later than the one that told the client.
    std::size_t master = 0;
    ASSERT_TRUE(eventually([&] {
        master = sentinels.master();
        return master != 0;
    }));
    EXPECT_EQ(testing::ask_redis(sentinels.port(master), {"GET", "b"}).text, "2");
}

TEST(SentinelClient, FollowsAFailoverThatIsAskedForAndLosesNothing) {
    RedisSentinels sentinels;
    Fixture fixture(sentinels.url());
    ASSERT_TRUE(fixture.becomes(true)) << fixture.client().health().reason;
    ASSERT_TRUE(fixture.run(set("a", "1")));
    EXPECT_EQ(testing::ask_redis(sentinels.port(0), {"WAIT", "2", "5000"}).integer, 2);
    ASSERT_FALSE(testing::ask_redis(sentinels.sentinel_port(0),
                                    {"SENTINEL", "FAILOVER", RedisSentinels::kName})
                     .is_error());
    // The old master still takes writes for some seconds: the client must be told to leave it.
    ASSERT_TRUE(eventually([&] { return sentinels.master() != 0; }));
    const std::uint16_t port = sentinels.port(sentinels.master());
    ASSERT_TRUE(eventually([&] {
        return fixture.run(set("b", "2"), kShort) &&
               testing::ask_redis(port, {"GET", "b"}).text == "2";
    }));
    EXPECT_EQ(fixture.run(get("a"))->text, "1");

    std::vector<Command> commands;
    commands.push_back(Command("INCR").key("n"));
    commands.push_back(get("b"));
    const auto replies =
        testing::run(fixture.context(0), fixture.client().transaction(commands, kLong));
    ASSERT_TRUE(replies) << replies.error().message;
    EXPECT_EQ(replies->front().integer, 1);
    const auto outcomes =
        testing::run(fixture.context(1), fixture.client().pipeline(commands, kLong));
    ASSERT_EQ(outcomes.size(), 2U);
    EXPECT_EQ(outcomes[0]->integer, 2);
    EXPECT_EQ(outcomes[1]->text, "2");
}

TEST(SentinelClient, WritesAgainAfterAServerThatTookNone) {
    RedisSentinels sentinels;
    Fixture fixture(sentinels.url());
    ASSERT_TRUE(fixture.becomes(true)) << fixture.client().health().reason;
    ASSERT_TRUE(fixture.run(set("a", "1")));
    const std::string nowhere = std::to_string(testing::free_port());
    testing::must_ask_redis(sentinels.port(0), {"REPLICAOF", "127.0.0.1", nowhere});
    const auto refused = fixture.run(Command("INCR").key("n"), kShort);
    ASSERT_FALSE(refused);
    // It was surely not run, so that it may be sent again, to whoever is the master then.
    auto waiting = testing::start(fixture.context(1),
                                  fixture.client().run(Command("INCR").key("n"), 3 * kLong));
    testing::must_ask_redis(sentinels.port(0), {"REPLICAOF", "NO", "ONE"});
    const auto counted = testing::finish(std::move(waiting));
    ASSERT_TRUE(counted) << counted.error().message;
    EXPECT_EQ(counted->integer, 1);
}

TEST(SentinelClient, WaitsUntilTheSentinelsKnowTheMaster) {
    RedisSentinels sentinels(false);
    Fixture fixture(sentinels.url());
    ASSERT_TRUE(eventually([&] {
        return fixture.client().health().reason.find("no master of this name") != std::string::npos;
    })) << fixture.client().health().reason;
    const auto early = fixture.run(get("a"), kShort);
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().detail, "not_sent");
    sentinels.watch();
    ASSERT_TRUE(fixture.becomes(true));
    EXPECT_TRUE(fixture.run(set("a", "1")));

    // Another name stays unknown.
    Fixture other(sentinels.url("another"));
    ASSERT_TRUE(eventually([&] {
        return other.client().health().reason.find("no master of this name") != std::string::npos;
    }));
    EXPECT_FALSE(other.client().health().ok);

    // A dead Sentinel is passed over; the master goes on without any.
    sentinels.kill_sentinel(0);
    Fixture third(sentinels.url());
    ASSERT_TRUE(third.becomes(true)) << third.client().health().reason;
    sentinels.kill_sentinel(1);
    sentinels.kill_sentinel(2);
    EXPECT_TRUE(third.run(set("a", "2")));
    Fixture fourth(sentinels.url());
    ASSERT_TRUE(eventually([&] {
        return fourth.client().health().reason.find("a Sentinel") != std::string::npos;
    })) << fourth.client().health().reason;
}

} // namespace
} // namespace larder::redis
