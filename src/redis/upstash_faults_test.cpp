// The client of Upstash when things go wrong: nothing is counted twice, nothing waits for longer
// than it may, and it heals by itself.
#include "redis/upstash.hpp"
#include "testing/redis_ask.hpp"
#include "testing/upstash_connected.hpp"

#include <gtest/gtest.h>

namespace larder::redis {
namespace {

using std::chrono::milliseconds;
using testing::eventually;
using testing::UpstashConnected;
using testing::UpstashServer;

class UpstashFaults : public ::testing::Test {
protected:
    UpstashServer server;
    UpstashConnected connected{server.url()};

    Result<Reply> increment(milliseconds within = milliseconds(10'000)) {
        return connected.ask(Command("INCR").key("n"), 0, within);
    }
    Result<Reply> set() { return connected.ask(Command("SET").key("k").arg("v").idempotent()); }
    /// What Redis itself has.
    std::string counted() { return testing::ask_redis(server.redis().port(), {"GET", "n"}).text; }
    void expect_heals() {
        server.fault("none");
        EXPECT_TRUE(eventually([this] { return connected.client().health().ok; }))
            << connected.client().health().reason;
        EXPECT_TRUE(set());
    }
};

/// Those after which a command may have been run.
class UpstashUnsureFaults : public UpstashFaults,
                            public ::testing::WithParamInterface<std::string> {};

TEST_P(UpstashUnsureFaults, ACommandThatIsNotIdempotentIsNotSentAgain) {
    server.reset();
    server.fault(GetParam(), 1);
    const auto lost = increment();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, ErrorCode::kStore);
    EXPECT_EQ(server.count({"requests"}), 1);
    const bool was_run = GetParam() == "drop" || GetParam() == "half";
    EXPECT_EQ(counted(), was_run ? "1" : "");
    EXPECT_EQ(increment().value().integer, was_run ? 2 : 1);
}

TEST_P(UpstashUnsureFaults, AnIdempotentOneIs) {
    server.reset();
    server.fault(GetParam(), 2);
    EXPECT_TRUE(set());
    EXPECT_EQ(server.count({"faults"}), 2);
    EXPECT_EQ(server.count({"requests"}), 3);
    EXPECT_TRUE(connected.client().health().ok) << "two failures are not the end";
}

TEST_P(UpstashUnsureFaults, APipelineAndATransactionAreOnlyWhenAllOfItIs) {
    const auto commands = [](bool all) {
        std::vector<Command> made;
        made.push_back(Command("SET").key("k").arg("v").idempotent());
        made.push_back(all ? Command("DEL").key("k").idempotent() : Command("INCR").key("n"));
        return made;
    };
    server.fault(GetParam(), 1);
    for (const auto& outcome : connected.pipeline(commands(false)))
        EXPECT_FALSE(outcome);
    server.fault(GetParam(), 1);
    EXPECT_FALSE(connected.transaction(commands(false)));
    server.fault(GetParam(), 1);
    for (const auto& outcome : connected.pipeline(commands(true)))
        EXPECT_TRUE(outcome);
    server.fault(GetParam(), 1);
    EXPECT_TRUE(connected.transaction(commands(true)));
    const bool was_run = GetParam() == "drop" || GetParam() == "half";
    EXPECT_EQ(counted(), was_run ? "2" : "");
}

TEST_P(UpstashUnsureFaults, OpensTheBreakerAndHealsByItself) {
    server.fault(GetParam());
    std::string detail;
    for (int tries = 0; tries < 5; ++tries)
        EXPECT_FALSE(increment());
    const auto refused = increment();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, "breaker_open");
    EXPECT_FALSE(connected.client().health().ok);
    const bool was_run = GetParam() == "drop" || GetParam() == "half";
    EXPECT_EQ(counted(), was_run ? "5" : "");
    expect_heals();
    const auto told = connected.told();
    EXPECT_EQ(told.front(), "ok");
    EXPECT_EQ(told.back(), "ok");
    EXPECT_GE(told.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Modes, UpstashUnsureFaults,
                         ::testing::Values("drop", "half", "500", "503", "html502", "garbage"),
                         [](const auto& one) { return "mode_" + one.param; });

/// Those that no further try would help.
class UpstashOutages : public UpstashFaults,
                       public ::testing::WithParamInterface<std::pair<std::string, std::string>> {};

TEST_P(UpstashOutages, OpenTheBreakerAtOnceAndAreToldOnce) {
    const auto& [mode, reason] = GetParam();
    server.reset();
    server.fault(mode);
    EXPECT_FALSE(set());
    EXPECT_EQ(connected.client().health().reason, reason);
    for (int tries = 0; tries < 20; ++tries) {
        const auto refused = set();
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().detail, "breaker_open");
    }
    EXPECT_EQ(server.count({"by_command", "set"}), 0);
    expect_heals();
    EXPECT_EQ(server.count({"by_command", "set"}), 1);
    EXPECT_EQ(connected.told(), (std::vector<std::string>{"ok", reason, "ok"}));
}

INSTANTIATE_TEST_SUITE_P(Modes, UpstashOutages,
                         ::testing::Values(std::pair("401", "it refuses the token"),
                                           std::pair("quota", "its quota is used up")),
                         [](const auto& one) { return "mode_" + one.param.first; });

TEST_F(UpstashFaults, TooManyRequestsAreRepeatedForTheyWereNotRun) {
    server.reset();
    server.fault("429", 2, R"(,"retry_after":0)");
    EXPECT_EQ(increment().value().integer, 1);
    EXPECT_EQ(server.count({"requests"}), 3);
}

TEST_F(UpstashFaults, RetryAfterIsHonouredSoThatALongOneEndsTheTries) {
    server.reset();
    server.fault("429", 1, R"(,"retry_after":3600)");
    const auto refused = increment();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, "http_429");
    EXPECT_EQ(server.count({"requests"}), 1);
}

TEST_F(UpstashFaults, AServerThatNeverAnswersEndsInATimeoutAndThenInTheBreaker) {
    server.fault("hang");
    for (int tries = 0; tries < 5; ++tries) {
        const auto late = increment(milliseconds(200));
        ASSERT_FALSE(late);
        EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
    }
    EXPECT_EQ(increment(milliseconds(200)).error().detail, "breaker_open");
    EXPECT_EQ(connected.client().health().reason, "it did not answer in time");
    expect_heals();
    EXPECT_EQ(counted(), "");
}

TEST_F(UpstashFaults, AServerThatIsStoppedAsAWholeToo) {
    server.pause();
    Result<Reply> last;
    for (int tries = 0; tries < 8; ++tries) {
        last = increment(milliseconds(200));
        ASSERT_FALSE(last);
    }
    EXPECT_EQ(last.error().detail, "breaker_open");
    server.resume();
    expect_heals();
}

TEST_F(UpstashFaults, ALateAnswerIsATimeoutAndIsNotAskedForAgain) {
    server.reset();
    server.fault("slow", 1, R"(,"ms":400)");
    const auto late = increment(milliseconds(100));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
    EXPECT_TRUE(eventually([this] { return counted() == "1"; })) << "it was on its way";
    EXPECT_EQ(server.count({"requests"}), 1);
}

TEST_F(UpstashFaults, ALateAnswerLeavesItsConnectionBehind) {
    server.fault("slow", 1, R"(,"ms":300)");
    EXPECT_FALSE(increment(milliseconds(100)));
    EXPECT_TRUE(eventually([this] { return counted() == "1"; }));
    EXPECT_TRUE(eventually([this] {
        const auto before = server.count({"connections"});
        const bool answered = increment().has_value();
        return answered && server.count({"connections"}) == before + 1; // the control path's own
    }));
}

TEST_F(UpstashFaults, OpensOnSlownessThoughEveryAnswerIsGood) {
    server.fault("slow", -1, R"(,"ms":170)");
    EXPECT_TRUE(eventually([this] {
        std::vector<std::future<Result<Reply>>> waiting;
        for (int i = 0; i < 30; ++i)
            waiting.push_back(connected.start(Command("GET").key("k"), 0, milliseconds(200)));
        bool open = false;
        for (auto& one : waiting) {
            const auto outcome = testing::finish(std::move(one));
            open |= !outcome && outcome.error().detail == "breaker_open";
        }
        return open || !connected.client().health().ok;
    }));
    expect_heals();
}

TEST_F(UpstashFaults, ARefusedConnectionIsTriedAgainAndHeals) {
    server.kill();
    const auto lost = increment(milliseconds(400));
    ASSERT_FALSE(lost);
    EXPECT_TRUE(eventually([this] { return !connected.client().health().ok || !increment(); }));
    for (int tries = 0; tries < 5; ++tries)
        EXPECT_FALSE(increment(milliseconds(400)));
    EXPECT_TRUE(connected.client().health().reason.starts_with("it can't be reached"))
        << connected.client().health().reason;
    server.restart();
    expect_heals();
    EXPECT_EQ(increment().value().integer, 1) << "nothing of it was run";
}

TEST_F(UpstashFaults, ADatabaseThatIsGoneBehindItIsAnOutageThatHeals) {
    server.redis().kill();
    for (int tries = 0; tries < 5; ++tries)
        EXPECT_FALSE(increment());
    EXPECT_EQ(increment().error().detail, "breaker_open");
    server.redis().start();
    expect_heals();
}

TEST_F(UpstashFaults, StopEndsWhatWaits) {
    server.fault("hang");
    auto waiting = connected.start(Command("GET").key("k"));
    EXPECT_TRUE(eventually([this] { return server.count({"faults"}) > 0; }));
    connected.client().stop();
    const auto ended = testing::finish(std::move(waiting));
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code, ErrorCode::kStore);
}

TEST_F(UpstashFaults, NoErrorAndNoReasonHoldsATokenAKeyOrAValue) {
    for (const std::string mode :
         {"401", "429", "500", "503", "html502", "garbage", "quota", "half", "drop", "hang"}) {
        server.fault(mode);
        std::string said;
        for (int tries = 0; tries < 3; ++tries) {
            const auto lost = connected.ask(Command("SET").key("secret-key").arg("secret-value"), 0,
                                            milliseconds(150));
            ASSERT_FALSE(lost) << mode;
            said += lost.error().message + lost.error().detail + lost.error().field;
        }
        said += connected.client().health().reason;
        EXPECT_EQ(said.find("secret"), std::string::npos) << said;
        EXPECT_EQ(said.find(UpstashServer::token()), std::string::npos) << said;
        expect_heals();
    }
}

TEST(UpstashStart, WithoutTheServerItSaysSoAndGoesOnWhenThatIsThere) {
    UpstashServer server;
    server.kill();
    UpstashConnected connected(server.url(), UpstashServer::token(), false);
    EXPECT_TRUE(eventually([&] { return !connected.told().empty(); }));
    EXPECT_TRUE(connected.told().front().starts_with("it can't be reached"));
    EXPECT_FALSE(connected.ask(Command("PING"), 1, milliseconds(300)));
    server.restart();
    EXPECT_TRUE(eventually([&] { return connected.client().health().ok; }));
    EXPECT_EQ(connected.ask(Command("PING"), 1).value().text, "PONG");
    EXPECT_EQ(connected.told().size(), 2U);
}

TEST(UpstashStart, WithAWrongTokenItSaysSo) {
    UpstashServer server;
    UpstashConnected connected(server.url(), "another", false);
    EXPECT_TRUE(eventually([&] { return !connected.told().empty(); }));
    EXPECT_EQ(connected.told(), std::vector<std::string>{"it refuses the token"});
}

TEST(UpstashAnswers, WithoutMeasureAreGivenUp) {
    // Both threads and every probe get one.
    testing::ScriptedServer server([](testing::RawConnection& connection, int) {
        connection.read_until("[\"PING\"]");
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        const std::string piece = "100000\r\n" + std::string(1 << 20, ' ') + "\r\n";
        while (connection.send(piece)) {
        }
    });
    UpstashConnected connected("http://" + server.address(), "t", false);
    EXPECT_TRUE(eventually([&] { return !connected.told().empty(); }));
    EXPECT_EQ(connected.told().front(), "its answers are too large");
}

} // namespace
} // namespace larder::redis
