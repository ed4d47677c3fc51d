// What Sentinels and servers say of the master, in every form.
#include "redis/sentinel_replies.hpp"

#include <gtest/gtest.h>

namespace larder::redis {
namespace {

Reply text(std::string value) {
    return {.kind = Reply::Kind::kText, .text = std::move(value)};
}
Reply array(std::vector<Reply> items) {
    return {.kind = Reply::Kind::kArray, .items = std::move(items)};
}

TEST(SentinelReplies, ReadTheAddressOfTheMaster) {
    const auto master = read_master_address(array({text("10.0.0.1"), text("6380")}));
    ASSERT_TRUE(master);
    EXPECT_EQ(*master, (Endpoint{"10.0.0.1", 6380}));
    EXPECT_EQ(read_master_address(array({text("fe80::1"), text("1")}))->host, "fe80::1");
}

TEST(SentinelReplies, SayThatTheNameIsUnknown) {
    EXPECT_EQ(read_master_address(Reply()).error().code, ErrorCode::kNotFound);
}

TEST(SentinelReplies, RefuseAnAddressOfAnotherForm) {
    const Reply number{.kind = Reply::Kind::kInteger, .integer = 6379};
    for (const Reply& broken :
         {text("10.0.0.1"), array({}), array({text("a")}), array({text("a"), number}),
          array({text(""), text("1")}), array({text("a"), text("")}), array({text("a"), text("0")}),
          array({text("a"), text("65536")}), array({text("a"), text("12x")}),
          array({text("a"), text("-1")}), array({Reply(), text("1")}),
          array({text("a"), text("1"), text("b")})})
        EXPECT_EQ(read_master_address(broken).error().code, ErrorCode::kStore);
}

TEST(SentinelReplies, TellAMasterFromAReplica) {
    EXPECT_TRUE(is_master(array({text("master"), Reply(), array({})})));
    EXPECT_FALSE(is_master(array({text("slave"), text("a"), text("1")})));
    EXPECT_FALSE(is_master(array({text("sentinel"), array({})})));
    EXPECT_FALSE(is_master(array({})));
    EXPECT_FALSE(is_master(text("master")));
    EXPECT_FALSE(is_master(array({array({text("master")})})));
}

TEST(SentinelReplies, TellWhichMasterWasSwitched) {
    EXPECT_TRUE(is_switch_of("main 10.0.0.1 6379 10.0.0.2 6379", "main"));
    EXPECT_FALSE(is_switch_of("main-2 10.0.0.1 6379 10.0.0.2 6379", "main"));
    EXPECT_FALSE(is_switch_of("mai", "main"));
    EXPECT_FALSE(is_switch_of("main", "main"));
    EXPECT_FALSE(is_switch_of("", "main"));
}

} // namespace
} // namespace larder::redis
