// What is particular to Redis: the keys and their TTLs, what is left after the end, and a server
// that is gone, full or stopped.
#include "session/id.hpp"
#include "testing/session_backends.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <sstream>

namespace larder::session {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SessionBackend;
using testing::SessionHarness;

const Owner kAnn{.name_space = "default", .user_id = "ann@example.com"};

Reference to(const Session& session) {
    return {.name_space = "default", .id = session.id};
}

class RedisSessionKeys : public ::testing::Test {
protected:
    std::vector<std::string> keys() {
        std::istringstream lines(harness_.server()->cli({"KEYS", "*"}));
        std::vector<std::string> keys;
        for (std::string line; std::getline(lines, line);) {
            if (!line.empty())
                keys.push_back(line);
        }
        return keys;
    }
    std::int64_t expiry_of(const std::string& key) {
        return std::stoll(harness_.server()->cli({"PEXPIRETIME", key}));
    }
    std::string index() { return "session:{" + tag_of(kAnn) + "}:index"; }

    SessionHarness harness_{SessionBackend::kRedis};
};

TEST_F(RedisSessionKeys, AllCarryATtlAndTheIndexTheLongestOne) {
    const auto first = harness_.create(kAnn, "{}", {.ttl = 1h});
    ASSERT_TRUE(first);
    ASSERT_EQ(keys().size(), 2U);
    EXPECT_EQ(expiry_of(index()), first->expires_ms);
    const auto second = harness_.create(kAnn, "{}", {.ttl = 2h});
    ASSERT_TRUE(second);
    EXPECT_EQ(expiry_of(index()), second->expires_ms);
    const auto refreshed = harness_.read(to(*first), {.ttl = 3h});
    ASSERT_TRUE(refreshed);
    EXPECT_EQ(expiry_of(index()), refreshed->expires_ms) << "a read moves it too";
    const auto replaced = harness_.replace(to(*second), R"({"a":1})", std::nullopt, {.ttl = 4h});
    EXPECT_EQ(expiry_of(index()), replaced->expires_ms);
    const auto rotated = harness_.rotate(to(*second), std::nullopt, {.ttl = 5h});
    EXPECT_EQ(expiry_of(index()), rotated->expires_ms);

    ASSERT_EQ(keys().size(), 3U);
    for (const std::string& key : keys()) {
        const std::int64_t expires = expiry_of(key);
        EXPECT_TRUE(expires == refreshed->expires_ms || expires == rotated->expires_ms)
            << key << " " << expires;
    }
}

TEST_F(RedisSessionKeys, AreGoneWithTheSession) {
    const auto one = harness_.create(kAnn);
    const auto two = harness_.create(kAnn);
    const auto three = harness_.create(kAnn);
    ASSERT_TRUE(one && two && three);
    ASSERT_EQ(keys().size(), 4U);
    const auto rotated = harness_.rotate(to(*one));
    ASSERT_TRUE(rotated);
    EXPECT_EQ(keys().size(), 4U);
    ASSERT_TRUE(harness_.destroy(to(*rotated)));
    EXPECT_EQ(keys().size(), 3U);
    EXPECT_EQ(harness_.server()->cli({"ZCARD", index()}), "2");
    EXPECT_EQ(harness_.destroy_all(kAnn).value(), 2);
    EXPECT_EQ(harness_.server()->cli({"DBSIZE"}), "0");
}

TEST_F(RedisSessionKeys, AreGoneWithTheTime) {
    ASSERT_TRUE(harness_.create(kAnn, "{}", {.ttl = 20ms}));
    EXPECT_TRUE(testing::eventually([&] { return harness_.server()->cli({"DBSIZE"}) == "0"; }));
    const auto capped = harness_.create(kAnn, "{}", {.ttl = 1h, .max_age = 20ms});
    ASSERT_TRUE(capped);
    EXPECT_TRUE(testing::eventually([&] { return harness_.server()->cli({"DBSIZE"}) == "0"; }));
}

TEST_F(RedisSessionKeys, AreGoneWithALowerAbsoluteEnd) {
    const auto made = harness_.create(kAnn);
    ASSERT_TRUE(made);
    ASSERT_TRUE(testing::eventually(
        [&] { return !harness_.read(to(*made), {.ttl = 1h, .max_age = 1ms}); }));
    EXPECT_EQ(harness_.server()->cli({"DBSIZE"}), "0");
}

TEST_F(RedisSessionKeys, LoseWhatHasExpiredWhenTheIndexIsTouched) {
    const auto lasting = harness_.create(kAnn, "{}", {.ttl = 1h});
    ASSERT_TRUE(lasting);
    ASSERT_TRUE(harness_.create(kAnn, "{}", {.ttl = 1ms}));
    ASSERT_TRUE(testing::eventually([&] { return keys().size() == 2; }));
    ASSERT_TRUE(harness_.read(to(*lasting)));
    EXPECT_EQ(harness_.server()->cli({"ZCARD", index()}), "1");
}

TEST_F(RedisSessionKeys, NameNeitherTheIdNorTheUser) {
    const auto made = harness_.create(kAnn);
    ASSERT_TRUE(made);
    for (const std::string& key : keys()) {
        EXPECT_TRUE(key.starts_with("session:{" + tag_of(kAnn) + "}:")) << key;
        EXPECT_THAT(key, Not(HasSubstr(made->id.substr(0, kRandomLength))));
        EXPECT_THAT(key, Not(HasSubstr("ann@")));
    }
}

TEST_F(RedisSessionKeys, AreFoundAgainByTheIndexAfterItWasEvicted) {
    const auto made = harness_.create(kAnn);
    ASSERT_TRUE(made);
    ASSERT_EQ(harness_.server()->cli({"DEL", index()}), "1");
    EXPECT_TRUE(harness_.list(kAnn)->empty());
    ASSERT_TRUE(harness_.read(to(*made)));
    EXPECT_EQ(harness_.list(kAnn)->size(), 1U);
    EXPECT_EQ(expiry_of(index()), harness_.list(kAnn)->front().expires_ms);
}

TEST_F(RedisSessionKeys, OfAnEvictedSessionLeaveTheIndex) {
    const auto made = harness_.create(kAnn);
    const auto other = harness_.create(kAnn);
    ASSERT_TRUE(made && other);
    for (const std::string& key : keys()) {
        if (key != index())
            ASSERT_EQ(harness_.server()->cli({"DEL", key}), "1");
    }
    EXPECT_TRUE(harness_.list(kAnn)->empty());
    EXPECT_FALSE(harness_.read(to(*made)));
    EXPECT_EQ(harness_.server()->cli({"ZCARD", index()}), "1");
    EXPECT_EQ(harness_.destroy_all(kAnn).value(), 0);
    EXPECT_EQ(harness_.server()->cli({"DBSIZE"}), "0");
}

TEST_F(RedisSessionKeys, OfAnotherKindAreAnErrorAndNotACrash) {
    ASSERT_EQ(harness_.server()->cli({"SET", index(), "text"}), "OK");
    const auto refused = harness_.create(kAnn);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kStore);
    EXPECT_EQ(refused.error().detail, "");
    EXPECT_FALSE(harness_.list(kAnn));
    EXPECT_FALSE(harness_.destroy_all(kAnn));
}

TEST_F(RedisSessionKeys, WithFieldsOfAnotherFormAreAnErrorAndNotACrash) {
    const auto made = harness_.create(kAnn);
    ASSERT_TRUE(made);
    for (const std::string& key : keys()) {
        if (key != index())
            (void)harness_.server()->cli({"HSET", key, "version", "many"});
    }
    EXPECT_EQ(harness_.read(to(*made)).error().code, ErrorCode::kStore);
    EXPECT_EQ(harness_.replace(to(*made), "{}").error().code, ErrorCode::kStore);
}

TEST_F(RedisSessionKeys, StayAsTheyAreOnAFullServerAndCanBeReadAndTakenAway) {
    const auto made = harness_.create(kAnn, R"({"a":1})");
    ASSERT_TRUE(made);
    ASSERT_EQ(harness_.server()->cli({"CONFIG", "SET", "maxmemory", "1"}), "OK");
    for (const auto& refused :
         {harness_.create(kAnn), harness_.replace(to(*made), "{}"), harness_.rotate(to(*made))}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kStore);
    }
    EXPECT_EQ(keys().size(), 2U);
    const auto read = harness_.read(to(*made), {.ttl = 1h});
    ASSERT_TRUE(read) << "reading goes on";
    EXPECT_EQ(read->data, R"({"a":1})");
    EXPECT_EQ(read->version, 1);
    EXPECT_EQ(expiry_of(index()), read->expires_ms);
    EXPECT_EQ(harness_.list(kAnn)->size(), 1U);
    EXPECT_TRUE(harness_.destroy(to(*made)));
    EXPECT_EQ(harness_.server()->cli({"DBSIZE"}), "0");
}

TEST(UpstashSessionKeys, AllCarryATtlAndAreGoneAtTheEnd) {
    SessionHarness harness(SessionBackend::kUpstash);
    const auto made = harness.create(kAnn, R"({"é":1})", {.ttl = 1h});
    ASSERT_TRUE(made) << made.error().message;
    const auto rotated = harness.rotate(to(*made), std::nullopt, {.ttl = 2h});
    ASSERT_TRUE(rotated) << rotated.error().message;
    std::istringstream lines(harness.server()->cli({"KEYS", "session:*"}));
    int keys = 0;
    for (std::string key; std::getline(lines, key); ++keys)
        EXPECT_EQ(harness.server()->cli({"PEXPIRETIME", key}), std::to_string(rotated->expires_ms));
    EXPECT_EQ(keys, 2);
    ASSERT_TRUE(harness.destroy(to(*rotated)));
    EXPECT_EQ(harness.server()->cli({"KEYS", "session:*"}), "");
}

TEST(RedisSessionsDown, AnswerWithinTheBudgetAndHealByThemselves) {
    SessionHarness harness(SessionBackend::kRedis);
    const auto made = harness.create(kAnn);
    ASSERT_TRUE(made);
    harness.server()->pause();
    harness.set_budget(50ms);
    const auto stopped = harness.read(to(*made));
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::kStore);
    EXPECT_FALSE(harness.list(kAnn));
    EXPECT_FALSE(harness.destroy_all(kAnn));
    EXPECT_FALSE(harness.create(kAnn));
    harness.server()->resume();
    harness.set_budget(5s);
    EXPECT_TRUE(testing::eventually([&] { return harness.read(to(*made)).has_value(); }));
    harness.server()->kill();
    EXPECT_EQ(harness.replace(to(*made), "{}").error().code, ErrorCode::kStore);
    harness.server()->start();
    ASSERT_TRUE(testing::eventually([&] { return harness.create(kAnn).has_value(); }));
    EXPECT_EQ(harness.read(to(*made)).error().code, ErrorCode::kNotFound) << "it came back empty";
}

TEST(RedisSessionsDown, AskNothingWhenNoTimeIsLeft) {
    SessionHarness harness(SessionBackend::kRedis);
    harness.set_budget(0us);
    EXPECT_EQ(harness.create(kAnn).error().code, ErrorCode::kStore);
    EXPECT_EQ(harness.list(kAnn).error().code, ErrorCode::kStore);
    EXPECT_EQ(harness.server()->cli({"DBSIZE"}), "0");
}

} // namespace
} // namespace larder::session
