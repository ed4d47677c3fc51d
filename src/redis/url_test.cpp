// Addresses of Redis servers: what they mean, and what is refused without showing a password.
#include "redis/url.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::redis {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Url parse(std::string_view text) {
    auto url = parse_url(text);
    EXPECT_TRUE(url) << text << ": " << url.error().message;
    return url ? *url : Url();
}

TEST(RedisUrl, ReadsAStandaloneServer) {
    const Url plain = parse("redis://localhost");
    EXPECT_EQ(plain.topology, Topology::kStandalone);
    EXPECT_FALSE(plain.tls);
    EXPECT_EQ(plain.endpoints, (std::vector<Endpoint>{{"localhost", 6379}}));
    EXPECT_EQ(plain.database, 0);
    EXPECT_EQ(plain.user, "");
    EXPECT_EQ(plain.password, "");

    const Url whole = parse("rediss://app:p%40ss%2Fword@redis.example:6380/7");
    EXPECT_TRUE(whole.tls);
    EXPECT_EQ(whole.user, "app");
    EXPECT_EQ(whole.password, "p@ss/word");
    EXPECT_EQ(whole.endpoints, (std::vector<Endpoint>{{"redis.example", 6380}}));
    EXPECT_EQ(whole.database, 7);
}

TEST(RedisUrl, ReadsWhatHostedServicesHandOut) {
    EXPECT_EQ(parse("redis://:secret@host:1").password, "secret");
    EXPECT_EQ(parse("redis://:secret@host:1").user, "");
    EXPECT_EQ(parse("redis://default:a:b@host").password, "a:b");
    EXPECT_EQ(parse("redis://default:a@b@host").password, "a@b");
    EXPECT_EQ(parse("REDIS://host/").database, 0);
    EXPECT_EQ(parse("redis://host?db=3").database, 3);
    EXPECT_EQ(parse("redis://[::1]:6380/2").endpoints, (std::vector<Endpoint>{{"::1", 6380}}));
    EXPECT_EQ(parse("redis://[2001:db8::1]").endpoints,
              (std::vector<Endpoint>{{"2001:db8::1", 6379}}));
}

TEST(RedisUrl, ReadsAClusterWithItsSeeds) {
    const Url url = parse("redis+cluster://:secret@a:7000,b,[::1]:7002");
    EXPECT_EQ(url.topology, Topology::kCluster);
    EXPECT_EQ(url.endpoints, (std::vector<Endpoint>{{"a", 7000}, {"b", 6379}, {"::1", 7002}}));
    EXPECT_EQ(url.password, "secret");
    EXPECT_TRUE(parse("rediss+cluster://a/0").tls);
}

TEST(RedisUrl, ReadsSentinelsWithTheNameOfTheMaster) {
    const Url url = parse("rediss+sentinel://app:secret@a,b:1000/my%20master/4"
                          "?sentinel_user=watch&sentinel_password=w%26p");
    EXPECT_EQ(url.topology, Topology::kSentinel);
    EXPECT_TRUE(url.tls);
    EXPECT_EQ(url.endpoints, (std::vector<Endpoint>{{"a", 26379}, {"b", 1000}}));
    EXPECT_EQ(url.master_name, "my master");
    EXPECT_EQ(url.database, 4);
    EXPECT_EQ(url.user, "app");
    EXPECT_EQ(url.sentinel_user, "watch");
    EXPECT_EQ(url.sentinel_password, "w&p");
}

TEST(RedisUrl, RefusesWhatItCannotMeanAndNeverShowsThePassword) {
    for (const std::string_view text : {
             "",
             "localhost:6379",
             "http://:secret@host",
             "redis+other://:secret@host",
             "redis+://:secret@host",
             "redis://",
             "redis://:secret@",
             "redis://:secret@:6379",
             "redis://:secret@host:0",
             "redis://:secret@host:65536",
             "redis://:secret@host:",
             "redis://:secret@host:port",
             "redis://:secret@host:1:2",
             "redis://:secret@[::1",
             "redis://:secret@[::1]x",
             "redis://:secret@a,b",
             "redis://:secret@a b",
             "redis://:secret@host/x",
             "redis://:secret@host/-1",
             "redis://:secret@host/1/2",
             "redis://:secret@host/9999999",
             "redis://:secret@host#fragment",
             "redis://:secret@host?unknown=secret",
             "redis://secret@host", // a user, or a password in the wrong place?
             "redis+cluster://:secret@a,,b",
             "redis+cluster://:secret@a/1",
             "redis+sentinel://:secret@a",
             "redis+sentinel://:secret@a/",
             "redis+sentinel://:secret@a/name/secret",
             "redis://u:secret%zz@a",
             "redis://u:secret%4@a",
         }) {
        const auto url = parse_url(text);
        ASSERT_FALSE(url) << text;
        EXPECT_EQ(url.error().code, ErrorCode::kInvalidRequest);
        EXPECT_THAT(url.error().message, Not(HasSubstr("secret"))) << text;
    }
}

TEST(RedisUrl, BoundsTheNumberOfHosts) {
    std::string text = "redis+cluster://a";
    for (int i = 0; i < 63; ++i)
        text += ",a";
    EXPECT_EQ(parse(text).endpoints.size(), 64U);
    EXPECT_FALSE(parse_url(text + ",a"));
}

} // namespace
} // namespace larder::redis
