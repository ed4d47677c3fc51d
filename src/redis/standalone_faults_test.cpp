// The client of one server that is stopped, killed, slow, full, loading or read-only.
#include "testing/redis_fixture.hpp"
#include "testing/redis_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using testing::get;
using testing::increment;
using testing::kLong;
using testing::RedisFixture;
using testing::RedisServer;
using testing::set;
using Steady = std::chrono::steady_clock;

std::chrono::milliseconds since(Steady::time_point began) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began);
}

/// How long one command took that was to fail, and what it failed with.
struct Failure {
    Error error;
    std::chrono::milliseconds took;
};
Failure fail_once(RedisFixture& fixture, Command command, std::chrono::microseconds within) {
    const auto began = Steady::now();
    auto reply = fixture.run(std::move(command), within);
    EXPECT_FALSE(reply);
    return {reply ? Error{} : reply.error(), since(began)};
}

TEST(StandaloneFaults, AStoppedServerCostsItsDeadlineAFewTimesAndThenNothing) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("a", "b"), 50ms));
    server.pause();
    int waits = 0;
    for (int i = 0; i < 200; ++i) {
        const Failure failure = fail_once(fixture, get("a"), 50ms);
        if (failure.error.code == ErrorCode::kTimeout)
            ++waits;
        else
            EXPECT_EQ(failure.error.detail, "breaker_open");
    }
    EXPECT_GE(waits, 1);
    EXPECT_LE(waits, 10);
    EXPECT_FALSE(fixture.client().health().ok);
    server.resume();
    EXPECT_TRUE(fixture.becomes(true));
    EXPECT_EQ(fixture.run(get("a"))->text, "b");
}

TEST(StandaloneFaults, ADeadlineIsKeptToAFewMilliseconds) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("a", "b")));
    server.pause();
    std::vector<std::chrono::milliseconds> took;
    for (int i = 0; i < 4; ++i)
        took.push_back(fail_once(fixture, get("a"), 50ms).took);
    server.resume();
    std::ranges::sort(took);
    EXPECT_GE(took.front(), 50ms);
    EXPECT_LE(took.front(), 70ms); // the best of four, for the machine may be busy
}

TEST(StandaloneFaults, WhatHasNoTimeLeftIsNotSent) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(increment("n")));
    for (const auto within : {0us, -5us}) {
        const Failure failure = fail_once(fixture, increment("n"), within);
        EXPECT_EQ(failure.error.code, ErrorCode::kTimeout);
    }
    EXPECT_EQ(fixture.run(increment("n"))->integer, 2);
    EXPECT_TRUE(fixture.client().health().ok);
}

TEST(StandaloneFaults, ALateAnswerIsNotTakenForTheNextOne) {
    const RedisServer server;
    RedisFixture fixture(server.url(), 1, 1);
    ASSERT_TRUE(fixture.run(set("a", "of a")));
    ASSERT_TRUE(fixture.run(set("b", "of b")));
    for (int round = 0; round < 3; ++round) {
        server.pause();
        EXPECT_EQ(fail_once(fixture, get("a"), 20ms).error.code, ErrorCode::kTimeout);
        EXPECT_EQ(fail_once(fixture, get("a"), 20ms).error.code, ErrorCode::kTimeout);
        server.resume();
        EXPECT_EQ(fixture.run(get("b"))->text, "of b");
        EXPECT_EQ(fixture.run(get("a"))->text, "of a");
    }
}

TEST(StandaloneFaults, AServerThatIsStoppedForLongIsAskedOnNewConnections) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("a", "b"), 50ms));
    server.pause();
    while (fixture.client().health().ok)
        fail_once(fixture, get("a"), 50ms);
    std::this_thread::sleep_for(2500ms); // the probes give the old connections up meanwhile
    EXPECT_EQ(fail_once(fixture, get("a"), 50ms).error.detail, "breaker_open");
    server.resume();
    EXPECT_TRUE(fixture.becomes(true));
    EXPECT_EQ(fixture.run(get("a"))->text, "b");
}

TEST(StandaloneFaults, AKilledServerFailsAtOnceAndItsSuccessorIsFound) {
    RedisServer server;
    RedisFixture fixture(server.url(), 2);
    ASSERT_TRUE(fixture.run(set("a", "b")));
    ASSERT_TRUE(fixture.becomes(true));
    server.kill();
    EXPECT_TRUE(fixture.becomes(false));
    EXPECT_EQ(fixture.client().health().reason, "it can't be reached");
    EXPECT_LT(fail_once(fixture, get("a"), kLong).took, 1s);
    server.start();
    EXPECT_TRUE(fixture.becomes(true));
    EXPECT_TRUE(testing::eventually([&] { return fixture.run(get("a")).has_value(); }));
    const auto changes = fixture.changes();
    ASSERT_EQ(changes.size(), 3U); // each once, however many threads and connections saw it
    EXPECT_TRUE(changes[0].ok);
    EXPECT_FALSE(changes[1].ok);
    EXPECT_TRUE(changes[2].ok);
}

TEST(StandaloneFaults, BeginsWithoutAServerAndFindsItLater) {
    RedisServer server;
    server.kill();
    RedisFixture fixture(server.url());
    EXPECT_FALSE(fixture.run(get("a"), 50ms));
    ASSERT_TRUE(testing::eventually([&] { return !fixture.changes().empty(); }));
    EXPECT_EQ(fixture.client().health().reason, "it can't be reached");
    server.start();
    EXPECT_TRUE(fixture.becomes(true));
    EXPECT_TRUE(fixture.run(set("a", "b")));
}

TEST(StandaloneFaults, CommandsWaitForTheFirstConnection) {
    const RedisServer server;
    for (int i = 0; i < 20; ++i) {
        RedisFixture fixture(server.url());
        const auto reply = fixture.run(increment("n"));
        ASSERT_TRUE(reply) << reply.error().message;
    }
    EXPECT_EQ(server.cli({"GET", "n"}), "20");
}

Task<int> read_for(Client& client, Steady::time_point end) {
    int failed = 0;
    while (Steady::now() < end) {
        auto reply = co_await client.run(get("a"), kLong);
        failed += reply && reply->text == "b" ? 0 : 1;
    }
    co_return failed;
}

TEST(StandaloneFaults, ReadsSurviveTheirConnections) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("a", "b")));
    const auto end = Steady::now() + 600ms;
    std::vector<std::future<int>> readers;
    for (int i = 0; i < 20; ++i)
        readers.push_back(testing::start(fixture.context(), read_for(fixture.client(), end)));
    for (int i = 0; i < 5; ++i) {
        server.cli({"CLIENT", "KILL", "TYPE", "normal"});
        std::this_thread::sleep_for(100ms);
    }
    int failed = 0;
    for (auto& reader : readers)
        failed += testing::finish(std::move(reader));
    EXPECT_EQ(failed, 0);
}

struct Counted {
    int done = 0;
    int unknown = 0; // may have been run
    int unsent = 0;
};

Task<Counted> count_for(Client& client, Steady::time_point end) {
    Counted counted;
    while (Steady::now() < end) {
        auto reply = co_await client.run(increment("n"), kLong);
        if (reply)
            ++counted.done;
        else if (reply.error().detail == "broken")
            ++counted.unknown;
        else
            ++counted.unsent;
    }
    co_return counted;
}

TEST(StandaloneFaults, WhatIsNotIdempotentIsNeverRunTwice) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    const auto end = Steady::now() + 600ms;
    std::vector<std::future<Counted>> counters;
    for (int i = 0; i < 20; ++i)
        counters.push_back(testing::start(fixture.context(), count_for(fixture.client(), end)));
    for (int i = 0; i < 5; ++i) {
        server.cli({"CLIENT", "KILL", "TYPE", "normal"});
        std::this_thread::sleep_for(100ms);
    }
    Counted all;
    for (auto& counter : counters) {
        const Counted one = testing::finish(std::move(counter));
        all.done += one.done;
        all.unknown += one.unknown;
    }
    const int count = std::stoi(server.cli({"GET", "n"}));
    EXPECT_GT(all.done, 0);
    EXPECT_GE(count, all.done);
    EXPECT_LE(count, all.done + all.unknown);
}

TEST(StandaloneFaults, AnAnswerThatBreaksOffIsRepeatedOnlyWhenThatDoesNoHarm) {
    std::atomic<int> asked{0};
    testing::ScriptedServer server([&](testing::RawConnection& peer, int) {
        std::string bytes = peer.read_until("PING\r\n");
        peer.send("%1\r\n$5\r\nproto\r\n:3\r\n+PONG\r\n");
        bytes = peer.read_until("$3\r\nkey\r\n");
        if (bytes.empty())
            return;
        if (++asked % 2 == 1) {
            peer.send("$100\r\nhalf");
            peer.reset();
            return;
        }
        peer.send("$4\r\nfull\r\n");
        peer.read_to_end();
    });
    {
        RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()), 1, 1);
        const auto read = fixture.run(get("key"));
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(read->text, "full");
        EXPECT_EQ(asked, 2);
    }
    RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()), 1, 1);
    const auto counted = fixture.run(increment("key"));
    ASSERT_FALSE(counted);
    EXPECT_EQ(counted.error().detail, "broken");
    EXPECT_EQ(asked, 3);
}

TEST(StandaloneFaults, APipelineKeepsTheAnswersThatCameBeforeTheBreak) {
    testing::ScriptedServer server([&](testing::RawConnection& peer, int) {
        if (peer.read_until("PING\r\n").empty())
            return;
        peer.send("%1\r\n$5\r\nproto\r\n:3\r\n+PONG\r\n");
        if (peer.read_until("$4\r\nlast\r\n").empty())
            return;
        peer.send(":1\r\n:2\r\n");
    });
    {
        RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()), 1, 1);
        std::vector<Command> commands;
        for (const std::string_view key : {"a", "b", "c", "last"})
            commands.push_back(increment(key));
        const auto outcomes =
            testing::run(fixture.context(), fixture.client().pipeline(commands, kLong));
        ASSERT_EQ(outcomes.size(), 4U);
        EXPECT_EQ(outcomes[0]->integer, 1);
        EXPECT_EQ(outcomes[1]->integer, 2);
        EXPECT_EQ(outcomes[2].error().detail, "broken");
        EXPECT_EQ(outcomes[3].error().detail, "broken");
    }
}

TEST(StandaloneFaults, AServerThatSpeaksSomethingElseIsLeftAlone) {
    testing::ScriptedServer server([](testing::RawConnection& peer, int) {
        peer.read_some();
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.read_to_end();
    });
    RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()));
    ASSERT_TRUE(testing::eventually([&] { return !fixture.changes().empty(); }));
    EXPECT_EQ(fixture.client().health().reason, "it doesn't speak the protocol of Redis");
    EXPECT_FALSE(fixture.run(get("a"), 50ms));
}

TEST(StandaloneFaults, AServerThatEndsEveryConnectionIsNotStormed) {
    testing::ScriptedServer server([](testing::RawConnection& peer, int) {
        if (!peer.read_until("PING\r\n").empty())
            peer.send("%1\r\n$5\r\nproto\r\n:3\r\n+PONG\r\n");
    });
    RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()), 1, 1);
    std::this_thread::sleep_for(500ms);
    EXPECT_GE(server.connections(), 2);
    EXPECT_LE(server.connections(), 10);
}

TEST(StandaloneFaults, SaysThatItIsLoading) {
    std::atomic<bool> loading{true};
    testing::ScriptedServer server([&](testing::RawConnection& peer, int) {
        while (!peer.read_until("PING\r\n").empty()) {
            peer.send("%1\r\n$5\r\nproto\r\n:3\r\n");
            peer.send(loading ? "-LOADING Redis is loading the dataset in memory\r\n"
                              : "+PONG\r\n");
        }
    });
    RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()), 1, 1);
    ASSERT_TRUE(testing::eventually([&] { return !fixture.changes().empty(); }));
    EXPECT_EQ(fixture.client().health().reason, "it is loading its data");
    loading = false;
    EXPECT_TRUE(fixture.becomes(true));
}

TEST(StandaloneFaults, AFullServerStillReads) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("a", "b")));
    server.cli({"CONFIG", "SET", "maxmemory", "1"});
    EXPECT_EQ(fixture.run(set("c", "d")).error().detail, "OOM");
    EXPECT_EQ(fixture.run(get("a"))->text, "b");
    server.cli({"CONFIG", "SET", "maxmemory", "0"});
    EXPECT_TRUE(fixture.run(set("c", "d")));
}

TEST(StandaloneFaults, AReadOnlyServerIsLookedForAnew) {
    const RedisServer server;
    RedisFixture fixture(server.url(), 1, 1);
    ASSERT_TRUE(fixture.run(set("a", "b")));
    const auto id = [&] { return fixture.run(Command("CLIENT").arg("ID"))->integer; };
    const std::int64_t before = id();
    server.cli({"REPLICAOF", "127.0.0.1", std::to_string(testing::free_port())});
    EXPECT_EQ(fixture.run(set("a", "c")).error().detail, "READONLY");
    EXPECT_NE(id(), before);
    server.cli({"REPLICAOF", "NO", "ONE"});
    EXPECT_TRUE(fixture.run(set("a", "c")));
}

TEST(StandaloneFaults, AServerThatAnswersSlowlyIsLeftAlone) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("a", "b"), 50ms));
    // Each PING and GET takes 200 ms while this lasts.
    std::atomic<bool> slow{true};
    std::thread brake([&] {
        while (slow) {
            server.pause();
            std::this_thread::sleep_for(200ms);
            server.resume();
            std::this_thread::sleep_for(1ms);
        }
    });
    EXPECT_TRUE(testing::eventually([&] {
        static_cast<void>(fixture.run(get("a"), 50ms));
        return !fixture.client().health().ok;
    }));
    EXPECT_EQ(fixture.client().health().reason, "it answers too slowly");
    slow = false;
    brake.join();
    EXPECT_TRUE(fixture.becomes(true));
}

TEST(StandaloneFaults, AConnectionWhoseAnswersAreOffByOneIsMadeAnew) {
    // The first connection swallows one answer: each later one is taken for the one before.
    testing::ScriptedServer server([](testing::RawConnection& peer, int number) {
        if (peer.read_until("PING\r\n").empty())
            return;
        peer.send("%1\r\n$5\r\nproto\r\n:3\r\n+PONG\r\n");
        bool swallows = number == 0;
        for (std::string bytes = peer.read_some(); !bytes.empty(); bytes = peer.read_some()) {
            for (auto at = bytes.find('*'); at != std::string::npos; at = bytes.find('*', at + 1)) {
                if (!std::exchange(swallows, false))
                    peer.send(bytes.substr(at).starts_with("*1\r\n") ? "+PONG\r\n" : "$1\r\nb\r\n");
            }
        }
    });
    RedisFixture fixture("redis://127.0.0.1:" + std::to_string(server.port()), 1, 1);
    while (fixture.client().health().ok || fixture.changes().empty())
        static_cast<void>(fixture.run(get("a"), 30ms));
    EXPECT_TRUE(fixture.becomes(true));
    EXPECT_EQ(server.connections(), 2);
    const auto reply = fixture.run(get("a"), 1s);
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->text, "b");
}

TEST(StandaloneFaults, WhatWaitsFailsWhenTheClientStops) {
    const RedisServer server;
    std::future<Result<Reply>> waiting;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("a", "b")));
    server.pause();
    waiting = testing::start(fixture.context(), fixture.client().run(get("a"), kLong));
    testing::run_there(fixture.context(), [] {});
    fixture.client().stop();
    EXPECT_FALSE(testing::finish(std::move(waiting)));
    EXPECT_FALSE(fixture.run(get("a")));
    server.resume();
}

} // namespace
} // namespace larder::redis
