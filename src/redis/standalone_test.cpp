// The client of one server that is well: commands, order, transactions, scripts, logins.
#include "testing/certificate.hpp"
#include "testing/redis_fixture.hpp"
#include "testing/redis_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using testing::get;
using ::testing::HasSubstr;
using testing::increment;
using testing::kLong;
using ::testing::Not;
using testing::RedisFixture;
using testing::RedisServer;
using testing::set;

std::vector<std::string> texts_of(const std::vector<Result<Reply>>& outcomes) {
    std::vector<std::string> texts;
    for (const auto& outcome : outcomes) {
        if (!outcome)
            texts.push_back("error " + outcome.error().detail);
        else if (outcome->is_text())
            texts.push_back(outcome->text);
        else
            texts.push_back(outcome->is_null() ? "null" : std::to_string(outcome->integer));
    }
    return texts;
}

TEST(StandaloneClient, RunsCommandsAndGivesTheirAnswers) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    const auto stored = fixture.run(set("a", std::string("b\0c\r\n", 5)));
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_EQ(stored->text, "OK");
    EXPECT_EQ(fixture.run(get("a"))->text, std::string("b\0c\r\n", 5));
    EXPECT_TRUE(fixture.run(get("none"))->is_null());
    EXPECT_EQ(fixture.run(increment("n"))->integer, 1);
}

TEST(StandaloneClient, CarriesLargeValuesBothWays) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    std::string value(8'000'000, 'v');
    for (std::size_t i = 0; i < value.size(); i += 1000)
        value[i] = static_cast<char>(i / 1000);
    ASSERT_TRUE(fixture.run(set("large", value)));
    EXPECT_TRUE(fixture.run(get("large"))->text == value);
}

TEST(StandaloneClient, GivesErrorsWithTheirFirstWordAndNothingOfTheCommand) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(set("text", "secret")));
    const auto wrong = fixture.run(Command("LPUSH").key("text").arg("secret"));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, ErrorCode::kStore);
    EXPECT_EQ(wrong.error().detail, "WRONGTYPE");
    const auto unknown = fixture.run(Command("NO-SUCH-COMMAND").arg("secret"));
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().detail, "ERR");
    EXPECT_THAT(unknown.error().message, Not(HasSubstr("secret")));
}

TEST(StandaloneClient, MapsBecomeFlatArraysAndDoublesTexts) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    ASSERT_TRUE(fixture.run(Command("HSET").key("h").arg("field").arg("value")));
    ASSERT_TRUE(fixture.run(Command("ZADD").key("z").arg("1.5").arg("member")));
    const auto hash = fixture.run(Command("HGETALL").key("h"));
    ASSERT_EQ(hash->items.size(), 2U);
    EXPECT_EQ(hash->items[0].text, "field");
    EXPECT_EQ(hash->items[1].text, "value");
    EXPECT_EQ(fixture.run(Command("ZSCORE").key("z").arg("member"))->text, "1.5");
}

Task<int> ask_in_order(Client& client, std::string key, int times) {
    int wrong = 0;
    for (int i = 0; i < times; ++i) {
        const std::string value = key + "=" + std::to_string(i);
        Command echo("ECHO");
        echo.arg(value).idempotent();
        auto reply = co_await client.run(std::move(echo), kLong);
        wrong += reply && reply->text == value ? 0 : 1;
    }
    co_return wrong;
}

TEST(StandaloneClient, AThousandAtOnceEachGetTheirOwnAnswers) {
    const RedisServer server;
    RedisFixture fixture(server.url(), 2);
    std::vector<std::future<int>> all;
    for (std::size_t i = 0; i < 1000; ++i)
        all.push_back(testing::start(fixture.context(i % 2),
                                     ask_in_order(fixture.client(), std::to_string(i), 20)));
    int wrong = 0;
    for (auto& one : all)
        wrong += testing::finish(std::move(one));
    EXPECT_EQ(wrong, 0);
    // Two threads with two connections each, and the one that asks.
    const std::string clients = server.cli({"CLIENT", "LIST"});
    EXPECT_EQ(std::ranges::count(clients, '\n') + 1, 5);
    EXPECT_THAT(clients, HasSubstr("name=larder"));
}

TEST(StandaloneClient, APipelineHasAnOutcomeForEachInOrder) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    std::vector<Command> commands;
    commands.push_back(set("a", "1"));
    commands.push_back(increment("a"));
    commands.push_back(Command("LPUSH").key("a").arg("x"));
    commands.push_back(get("none"));
    commands.push_back(get("a"));
    const auto outcomes =
        testing::run(fixture.context(), fixture.client().pipeline(std::move(commands), kLong));
    EXPECT_THAT(texts_of(outcomes),
                ::testing::ElementsAre("OK", "2", "error WRONGTYPE", "null", "2"));
    EXPECT_TRUE(testing::run(fixture.context(), fixture.client().pipeline({}, kLong)).empty());
}

TEST(StandaloneClient, ATransactionRunsWholeOrNotAtAll) {
    const RedisServer server;
    RedisFixture fixture(server.url());
    std::vector<Command> commands;
    commands.push_back(set("t", "1"));
    commands.push_back(Command("LPUSH").key("t").arg("x")); // fails while it runs
    commands.push_back(increment("t"));
    auto done = testing::run(fixture.context(), fixture.client().transaction(commands, kLong));
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_EQ(done->size(), 3U);
    EXPECT_EQ((*done)[0].text, "OK");
    EXPECT_TRUE((*done)[1].is_error());
    EXPECT_EQ((*done)[2].integer, 2);

    commands.push_back(Command("INCR")); // can't even be queued
    const auto refused =
        testing::run(fixture.context(), fixture.client().transaction(commands, kLong));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, "ERR");
    EXPECT_EQ(server.cli({"GET", "t"}), "2");
}

TEST(StandaloneClient, AScriptIsSentWholeOnlyToAServerThatDoesNotKnowIt) {
    RedisServer server;
    RedisFixture fixture(server.url());
    const Script script("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}");
    const auto run = [&] {
        return testing::run(fixture.context(),
                            fixture.client().script(script, {.keys = {"k"}, .args = {"v"}}, kLong));
    };
    for (int times = 1; times <= 2; ++times) {
        const auto reply = run();
        ASSERT_TRUE(reply) << reply.error().message;
        ASSERT_EQ(reply->items.size(), 3U);
        EXPECT_EQ(reply->items[0].text, "k");
        EXPECT_EQ(reply->items[1].text, "v");
        EXPECT_EQ(reply->items[2].integer, times);
    }
    EXPECT_THAT(server.cli({"INFO", "commandstats"}), HasSubstr("cmdstat_eval:calls=1"));
    EXPECT_EQ(server.cli({"SCRIPT", "FLUSH"}), "OK");
    EXPECT_TRUE(run());
}

TEST(StandaloneClient, LogsInAsTheDefaultUserOrAsAnother) {
    RedisServer server({"--requirepass", "se'cret/1"});
    server.log_in_as("", "se'cret/1");
    server.cli({"ACL", "SETUSER", "app", "on", ">p@ss", "~*", "+@all"});
    const std::string where = "127.0.0.1:" + std::to_string(server.port());
    RedisFixture as_default("redis://:se%27cret%2F1@" + where);
    EXPECT_EQ(as_default.run(Command("ACL").arg("WHOAMI"))->text, "default");
    RedisFixture as_app("redis://app:p%40ss@" + where);
    EXPECT_EQ(as_app.run(Command("ACL").arg("WHOAMI"))->text, "app");
}

TEST(StandaloneClient, SaysThatTheLoginIsRefused) {
    RedisServer server({"--requirepass", "secret"});
    const std::string where = "127.0.0.1:" + std::to_string(server.port());
    for (const std::string login : {":guessed@", "nobody:guessed@", ""}) {
        RedisFixture fixture("redis://" + login + where);
        ASSERT_TRUE(testing::eventually([&] { return !fixture.changes().empty(); })) << login;
        const Health health = fixture.client().health();
        EXPECT_FALSE(health.ok);
        EXPECT_EQ(health.reason, login.empty() ? "it wants a login" : "it refuses the login");
        const auto reply = fixture.run(get("a"), 50ms);
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().detail, "breaker_open");
        EXPECT_THAT(reply.error().message, Not(HasSubstr("guessed")));
    }
    server.log_in_as("", "secret");
    RedisFixture healing("redis://:new@" + where);
    ASSERT_TRUE(testing::eventually([&] { return !healing.changes().empty(); }));
    server.cli({"CONFIG", "SET", "requirepass", "new"});
    EXPECT_TRUE(healing.becomes(true));
    EXPECT_TRUE(healing.run(set("a", "b")));
}

TEST(StandaloneClient, AUserWhoMayDoLittleStillGetsIn) {
    RedisServer server;
    server.cli({"ACL", "SETUSER", "little", "on", ">pass", "~*", "-@all", "+get"});
    RedisFixture fixture("redis://little:pass@127.0.0.1:" + std::to_string(server.port()));
    const auto read = fixture.run(get("a"));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(read->is_null());
    EXPECT_EQ(fixture.run(set("a", "b")).error().detail, "NOPERM");
}

TEST(StandaloneClient, UsesTheDatabaseOfItsAddress) {
    const RedisServer server;
    RedisFixture fixture(server.url() + "/7");
    ASSERT_TRUE(fixture.run(set("a", "seven")));
    EXPECT_EQ(server.cli({"GET", "a"}), "");
    EXPECT_EQ(server.cli({"-n", "7", "GET", "a"}), "seven");
    RedisFixture none(server.url() + "/99");
    ASSERT_TRUE(testing::eventually([&] { return !none.changes().empty(); }));
    EXPECT_EQ(none.client().health().reason, "it refuses the database");
}

TEST(StandaloneClient, SpeaksTheOlderProtocolWithAServerWithoutHello) {
    RedisServer server({"--rename-command", "HELLO", "", "--requirepass", "secret"});
    server.log_in_as("", "secret");
    server.cli({"ACL", "SETUSER", "app", "on", ">pass", "~*", "+@all"});
    const std::string where = "127.0.0.1:" + std::to_string(server.port());
    for (const std::string login : {":secret@", "app:pass@"}) {
        RedisFixture fixture("redis://" + login + where + "/3");
        ASSERT_TRUE(fixture.run(Command("HSET").key("h").arg("field").arg("value")));
        EXPECT_EQ(fixture.run(Command("HGETALL").key("h"))->items.size(), 2U);
        EXPECT_TRUE(fixture.run(get("none"))->is_null());
        EXPECT_EQ(server.cli({"-n", "3", "HGET", "h", "field"}), "value");
    }
    RedisFixture wrong("redis://:guessed@" + where);
    ASSERT_TRUE(testing::eventually([&] { return !wrong.changes().empty(); }));
    EXPECT_EQ(wrong.client().health().reason, "it refuses the login");
}

TEST(StandaloneClient, SpeaksTlsAndVerifiesTheHost) {
    const testing::TestCertificate certificate;
    const std::uint16_t tls_port = testing::free_port();
    const RedisServer server({"--tls-port", std::to_string(tls_port), "--tls-cert-file",
                              certificate.certificate(), "--tls-key-file", certificate.key(),
                              "--tls-ca-cert-file", certificate.certificate(), "--tls-auth-clients",
                              "no"});
    const std::string port = std::to_string(tls_port);
    for (const std::string host : {"localhost", "127.0.0.1"}) {
        RedisFixture fixture("rediss://" + host + ":" + port);
        const std::string value(3'000'000, 'v');
        const auto stored = fixture.run(set("a", value));
        ASSERT_TRUE(stored) << stored.error().message;
        EXPECT_TRUE(fixture.run(get("a"))->text == value);
        EXPECT_EQ(testing::run(fixture.context(), ask_in_order(fixture.client(), "x", 100)), 0);
    }
    RedisFixture other("rediss://127.0.0.2:" + port); // not in the certificate, nor listened to
    EXPECT_FALSE(other.run(get("a"), 300ms));
    const testing::TestCertificate unknown;
    RedisFixture wary("rediss://localhost:" + port);
    ASSERT_TRUE(testing::eventually([&] { return !wary.changes().empty(); }));
    EXPECT_EQ(wary.client().health().reason, "TLS with it fails");
}

TEST(StandaloneClient, TheConnectionsAreSharedByWhatAThreadAsksAtOnce) {
    const RedisServer server;
    RedisFixture fixture(server.url(), 1, 1);
    ASSERT_TRUE(fixture.run(set("a", "b")));
    std::vector<std::future<Result<Reply>>> all;
    std::promise<bool> may_begin;
    asio::post(fixture.context(), [&] { may_begin.get_future().wait(); });
    for (int i = 0; i < 100; ++i)
        all.push_back(testing::start(fixture.context(), fixture.client().run(get("a"), kLong)));
    may_begin.set_value(true);
    for (auto& one : all)
        EXPECT_EQ(testing::finish(std::move(one))->text, "b");
    // All in one turn: the server has read them with few reads.
    const std::string stats = server.cli({"INFO", "stats"});
    const std::string name = "total_reads_processed:";
    const int reads = std::stoi(stats.substr(stats.find(name) + name.size()));
    EXPECT_LT(reads, 30);
}

} // namespace
} // namespace larder::redis
