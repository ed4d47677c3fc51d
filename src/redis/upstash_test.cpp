// The client of Upstash against tests/upstash_server.py in front of a real redis-server: what
// works. Faults are in upstash_faults_test.cpp.
#include "redis/backends.hpp"
#include "testing/certificate.hpp"
#include "testing/redis_ask.hpp"
#include "testing/upstash_connected.hpp"

#include <gtest/gtest.h>

namespace larder::redis {
namespace {

using testing::ask_redis;
using testing::UpstashConnected;
using testing::UpstashServer;

class UpstashClientTest : public ::testing::Test {
protected:
    UpstashServer server;
    UpstashConnected connected{server.url()};

    Result<Reply> ask(Command command) { return connected.ask(std::move(command)); }
};

TEST_F(UpstashClientTest, RunsCommandsAndReadsEveryKindOfReply) {
    EXPECT_EQ(ask(Command("SET").key("k").arg("a \"b\"\n😀")).value(),
              (Reply{.kind = Reply::Kind::kStatus, .text = "OK"}));
    EXPECT_EQ(ask(Command("GET").key("k")).value().text, "a \"b\"\n😀");
    EXPECT_TRUE(ask(Command("GET").key("none")).value().is_null());
    EXPECT_EQ(ask(Command("INCRBY").key("n").arg(9007199254740993)).value().integer,
              9007199254740993);
    EXPECT_EQ(ask(Command("HSET").key("h").arg("f").arg("v")).value().integer, 1);
    const Reply all = ask(Command("HGETALL").key("h")).value();
    ASSERT_EQ(all.items.size(), 2U);
    EXPECT_EQ(testing::field_of(all, "f"), "v");
    EXPECT_EQ(ask(Command("PING")).value().text, "PONG");
}

TEST_F(UpstashClientTest, ReadsAnyBytesAndRefusesToWriteThem) {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte)
        bytes += static_cast<char>(byte);
    testing::must_ask_redis(server.redis().port(), {"SET", "k", bytes});
    EXPECT_EQ(ask(Command("GET").key("k")).value().text, bytes);
    const auto refused = ask(Command("SET").key("k").arg(bytes));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, "not_utf8");
    EXPECT_TRUE(connected.client().health().ok);
}

TEST_F(UpstashClientTest, CarriesLargeValues) {
    const std::string value(3'000'000, 'x');
    ASSERT_TRUE(ask(Command("SET").key("k").arg(value)));
    EXPECT_EQ(ask(Command("GET").key("k")).value().text, value);
}

TEST_F(UpstashClientTest, ACommandThatFailsIsAnErrorThatNamesNoKey) {
    ASSERT_TRUE(ask(Command("SET").key("secret-key").arg("x")));
    const auto failed = ask(Command("LPUSH").key("secret-key").arg("secret-value"));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::kStore);
    EXPECT_EQ(failed.error().detail, "WRONGTYPE");
    EXPECT_EQ(failed.error().message.find("secret"), std::string::npos);
    EXPECT_TRUE(connected.client().health().ok) << "it is the command that was wrong";
}

TEST_F(UpstashClientTest, APipelineHasAnOutcomeForEachInOrder) {
    std::vector<Command> commands;
    commands.push_back(Command("SET").key("k").arg("text"));
    commands.push_back(Command("INCR").key("k"));
    commands.push_back(Command("SET").key("k").arg("\xff"));
    commands.push_back(Command("GET").key("k"));
    server.reset();
    const auto outcomes = connected.pipeline(std::move(commands));
    ASSERT_EQ(outcomes.size(), 4U);
    EXPECT_EQ(outcomes[0].value().text, "OK");
    EXPECT_EQ(outcomes[1].error().detail, "ERR");
    EXPECT_EQ(outcomes[2].error().detail, "not_utf8");
    EXPECT_EQ(outcomes[3].value().text, "text");
    EXPECT_EQ(server.count({"requests"}), 1);
    EXPECT_TRUE(connected.pipeline({}).empty());
}

TEST_F(UpstashClientTest, ATransactionRunsAllOrNothing) {
    std::vector<Command> commands;
    commands.push_back(Command("SET").key("k").arg("text"));
    commands.push_back(Command("INCR").key("k"));
    commands.push_back(Command("APPEND").key("k").arg("!"));
    const auto replies = connected.transaction(std::move(commands));
    ASSERT_TRUE(replies);
    ASSERT_EQ(replies->size(), 3U);
    EXPECT_TRUE((*replies)[1].is_error()) << "what fails at run time is an error in its place";
    EXPECT_EQ((*replies)[2].integer, 5);
    std::vector<Command> wrong;
    wrong.push_back(Command("SET").key("k").arg("other"));
    wrong.emplace_back("NOSUCHCOMMAND");
    const auto discarded = connected.transaction(std::move(wrong));
    ASSERT_FALSE(discarded);
    EXPECT_EQ(discarded.error().code, ErrorCode::kStore);
    EXPECT_EQ(ask(Command("GET").key("k")).value().text, "text!");
    EXPECT_TRUE(connected.transaction({}).value().empty());
}

TEST_F(UpstashClientTest, ScriptsGoByHashAndByTheFlaggedTextWhereThatIsUnknown) {
    const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    server.reset();
    EXPECT_EQ(connected.script(script, {.keys = {"n"}, .args = {"2"}}).value().integer, 2);
    EXPECT_EQ(connected.script(script, {.keys = {"n"}, .args = {"3"}}).value().integer, 5);
    EXPECT_EQ(server.count({"by_command", "evalsha"}), 2);
    EXPECT_EQ(server.count({"by_command", "eval"}), 1);
    testing::must_ask_redis(server.redis().port(), {"SCRIPT", "FLUSH"});
    EXPECT_EQ(connected.script(script, {.keys = {"n"}, .args = {"4"}}).value().integer, 9);
    EXPECT_EQ(server.count({"by_command", "eval"}), 2);
}

TEST_F(UpstashClientTest, AScriptMayTouchOnlyItsKeys) {
    const Script stranger("return redis.call('GET', ARGV[1])");
    const auto refused = connected.script(stranger, {.keys = {"n"}, .args = {"other"}});
    ASSERT_FALSE(refused) << "the flag was not sent";
    EXPECT_EQ(refused.error().detail, "ERR");
}

TEST_F(UpstashClientTest, SendsTheNewestSyncTokenBackFromEveryThread) {
    // The answers to what both threads asked at the start come first.
    for (std::size_t round = 0; round < 30; ++round) {
        if (round == 20)
            server.reset();
        ASSERT_TRUE(connected.ask(Command("INCR").key("n"), round % 2));
    }
    EXPECT_EQ(server.count({"sync", "newest"}), 10);
    EXPECT_EQ(server.count({"requests"}), 10);
}

TEST_F(UpstashClientTest, KeepsItsConnections) {
    server.reset();
    for (int round = 0; round < 20; ++round)
        ASSERT_TRUE(ask(Command("PING")));
    EXPECT_EQ(server.count({"connections"}), 1) << "the one that asked for this";
}

TEST_F(UpstashClientTest, ManyAtOnceFromAllThreadsAreCountedOnceEach) {
    std::vector<std::future<Result<Reply>>> waiting;
    for (std::size_t i = 0; i < 200; ++i)
        waiting.push_back(connected.start(Command("INCR").key("n"), i % 2));
    for (auto& one : waiting)
        EXPECT_TRUE(testing::finish(std::move(one)));
    EXPECT_EQ(ask_redis(server.redis().port(), {"GET", "n"}).text, "200");
}

TEST_F(UpstashClientTest, HasNoPushAndNoBinary) {
    EXPECT_EQ(connected.client().traits().kind, "upstash");
    EXPECT_FALSE(connected.client().traits().push);
    EXPECT_FALSE(connected.client().traits().binary);
    EXPECT_EQ(connected.client().subscribe("c", {}), nullptr);
    EXPECT_EQ(ask(connected.client().publish_command("c", "m")).value().integer, 0);
}

TEST_F(UpstashClientTest, AsksNothingWhenThereIsNoTimeLeft) {
    server.reset();
    for (const int within : {0, -5}) {
        const auto late =
            connected.ask(Command("INCR").key("n"), 0, std::chrono::milliseconds(within));
        ASSERT_FALSE(late);
        EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
    }
    EXPECT_EQ(server.count({"requests"}), 0);
}

TEST_F(UpstashClientTest, FailsAtOnceAfterItWasStopped) {
    connected.client().stop();
    connected.client().stop();
    const auto late = ask(Command("PING"));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, ErrorCode::kStore);
}

TEST(UpstashTls, SpeaksTlsAndVerifiesTheHost) {
    const testing::TestCertificate certificate;
    const UpstashServer server(
        {"--tls-cert", certificate.certificate(), "--tls-key", certificate.key()});
    ASSERT_TRUE(server.url().starts_with("https://"));
    {
        UpstashConnected connected(server.url());
        EXPECT_EQ(connected.ask(Command("PING")).value().text, "PONG");
    }
    ::setenv("SSL_CERT_FILE", "/nonexistent", 1);
    UpstashConnected stranger(server.url(), UpstashServer::token(), false);
    EXPECT_FALSE(stranger.ask(Command("PING"), 0, std::chrono::milliseconds(500)));
    EXPECT_TRUE(testing::eventually([&] {
        return stranger.client().health().reason.starts_with("it can't be reached");
    })) << stranger.client().health().reason;
}

TEST(UpstashSettings, RefusesUrlsAndTokensThatAreNone) {
    async::Runtime runtime(1);
    for (const auto& [url, token] :
         std::vector<std::pair<std::string, std::string>>{{"", "t"},
                                                          {"redis://h", "t"},
                                                          {"https://", "t"},
                                                          {"https://user:secret@h", "t"},
                                                          {"https://h", ""},
                                                          {"https://h", "secret\r\nX: y"},
                                                          {"https://h", "sec ret"}}) {
        const auto client = make_upstash_client(runtime, {.url = url, .token = token});
        ASSERT_FALSE(client) << url;
        EXPECT_EQ(client.error().code, ErrorCode::kInvalidRequest);
        EXPECT_EQ(client.error().message.find("sec"), std::string::npos);
    }
}

} // namespace
} // namespace larder::redis
