// The slot map as nodes tell it, and where their errors send a command.
#include "redis/slot_map.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace larder::redis {
namespace {

const Endpoint kAsked{.host = "10.0.0.1", .port = 7000};

Reply integer(std::int64_t value) {
    return {.kind = Reply::Kind::kInteger, .integer = value};
}
Reply text(std::string value) {
    return {.kind = Reply::Kind::kText, .text = std::move(value)};
}
Reply array(std::vector<Reply> items) {
    return {.kind = Reply::Kind::kArray, .items = std::move(items)};
}
Reply node(std::string host, std::int64_t port) {
    return array({text(std::move(host)), integer(port), text("id"), array({})});
}
Reply info(const std::string& state, const std::string& epoch) {
    return text("cluster_state:" + state + "\r\ncluster_slots_assigned:16384\r\n" +
                "cluster_current_epoch:" + epoch + "\r\ncluster_my_epoch:2\r\n");
}
Reply three_masters() {
    return array({
        array({integer(0), integer(5460), node("10.0.0.1", 7000), node("10.0.0.4", 7003)}),
        array({integer(5461), integer(10'922), node("10.0.0.2", 7001), node("10.0.0.5", 7004)}),
        array({integer(10'923), integer(16'383), node("10.0.0.3", 7002)}),
    });
}

TEST(SlotMap, KnowsTheOwnerOfTheFirstAndTheLastSlotOfARange) {
    const auto map = read_slot_map(three_masters(), info("ok", "7"), kAsked).value();
    EXPECT_EQ(*map.owner(0), (Endpoint{"10.0.0.1", 7000}));
    EXPECT_EQ(*map.owner(5460), (Endpoint{"10.0.0.1", 7000}));
    EXPECT_EQ(*map.owner(5461), (Endpoint{"10.0.0.2", 7001}));
    EXPECT_EQ(*map.owner(16'383), (Endpoint{"10.0.0.3", 7002}));
    EXPECT_TRUE(map.is_whole());
    EXPECT_TRUE(map.state_ok);
    EXPECT_EQ(map.epoch, 7);
    EXPECT_EQ(map.masters.size(), 3U);
    EXPECT_EQ(map.replicas.size(), 2U);
    EXPECT_TRUE(map.has({"10.0.0.5", 7004}));
    EXPECT_FALSE(map.has({"10.0.0.5", 7005}));
}

TEST(SlotMap, SaysThatItIsNotWholeWhenASlotIsServedByNobody) {
    const Reply slots = array({
        array({integer(0), integer(99), node("10.0.0.1", 7000)}),
        array({integer(101), integer(16'383), node("10.0.0.2", 7001)}),
    });
    const auto map = read_slot_map(slots, info("fail", "1"), kAsked).value();
    EXPECT_FALSE(map.is_whole());
    EXPECT_FALSE(map.state_ok);
    EXPECT_EQ(map.owner(100), nullptr);
    EXPECT_EQ(map.owner(kSlots), nullptr);
    EXPECT_EQ(*map.owner(101), (Endpoint{"10.0.0.2", 7001}));
    EXPECT_FALSE(SlotMap().is_whole());
    EXPECT_EQ(SlotMap().owner(0), nullptr);
}

TEST(SlotMap, TakesTheAskedHostForAnAddressWithoutOne) {
    Reply unknown = node("", 7001);
    unknown.items[0] = Reply();
    const Reply slots = array({
        array({integer(0), integer(1), node("", 7005)}),
        array({integer(2), integer(3), node("?", 7006)}),
        array({integer(4), integer(5), unknown}),
        array({integer(6), integer(7), node("redis-4.example", 6379)}),
    });
    const auto map = read_slot_map(slots, info("ok", "1"), kAsked).value();
    EXPECT_EQ(*map.owner(0), (Endpoint{"10.0.0.1", 7005}));
    EXPECT_EQ(*map.owner(2), (Endpoint{"10.0.0.1", 7006}));
    EXPECT_EQ(*map.owner(4), (Endpoint{"10.0.0.1", 7001}));
    EXPECT_EQ(*map.owner(6), (Endpoint{"redis-4.example", 6379}));
}

TEST(SlotMap, CountsAMasterOfSeveralRangesOnce) {
    const Reply slots = array({
        array({integer(0), integer(1), node("a", 1)}),
        array({integer(2), integer(3), node("b", 1)}),
        array({integer(4), integer(5), node("a", 1)}),
    });
    const auto map = read_slot_map(slots, info("ok", "1"), kAsked).value();
    EXPECT_EQ(map.masters.size(), 2U);
    EXPECT_EQ(*map.owner(5), (Endpoint{"a", 1}));
}

TEST(SlotMap, RefusesRepliesOfAnotherForm) {
    const std::vector<Reply> broken = {
        Reply(),
        text("no"),
        {.kind = Reply::Kind::kError, .text = "ERR This instance has cluster support disabled"},
        array({integer(1)}),
        array({array({integer(0), integer(1)})}),
        array({array({integer(0), text("1"), node("a", 1)})}),
        array({array({integer(-1), integer(1), node("a", 1)})}),
        array({array({integer(2), integer(1), node("a", 1)})}),
        array({array({integer(0), integer(kSlots), node("a", 1)})}),
        array({array({integer(0), integer(1), node("a", 0)})}),
        array({array({integer(0), integer(1), node("a", 65'536)})}),
        array({array({integer(0), integer(1), array({text("a")})})}),
        array({array({integer(0), integer(1), node("a", 1), integer(3)})}),
    };
    for (const Reply& slots : broken)
        EXPECT_EQ(read_slot_map(slots, info("ok", "1"), kAsked).error().code, ErrorCode::kStore);
    EXPECT_FALSE(read_slot_map(three_masters(), Reply(), kAsked));
    EXPECT_FALSE(read_slot_map(array(std::vector<Reply>(kSlots + 1)), info("ok", "1"), kAsked));
}

TEST(SlotMap, RefusesMoreNodesThanAClusterHas) {
    std::vector<Reply> ranges;
    for (std::int64_t i = 0; i <= static_cast<std::int64_t>(kMaxClusterNodes); ++i)
        ranges.push_back(array({integer(i), integer(i), node("a", i + 1)}));
    EXPECT_FALSE(read_slot_map(array(ranges), info("ok", "1"), kAsked));
    ranges.pop_back();
    const auto map = read_slot_map(array(ranges), info("ok", "1"), kAsked).value();
    EXPECT_EQ(map.with_owner(0, {"new", 1}).owner(0)->host, "a");
}

TEST(SlotMap, GivesASlotAnotherOwnerAndLeavesTheOthers) {
    const auto map = read_slot_map(three_masters(), info("ok", "7"), kAsked).value();
    const SlotMap moved = map.with_owner(5, {"10.0.0.2", 7001});
    EXPECT_EQ(*moved.owner(5), (Endpoint{"10.0.0.2", 7001}));
    EXPECT_EQ(*moved.owner(4), (Endpoint{"10.0.0.1", 7000}));
    EXPECT_EQ(moved.masters.size(), 3U);
    const SlotMap fresh = SlotMap().with_owner(9, {"new", 1});
    EXPECT_EQ(*fresh.owner(9), (Endpoint{"new", 1}));
    EXPECT_EQ(fresh.owner(8), nullptr);
}

TEST(SlotMap, ReadsStateAndEpochWhereverTheyStand) {
    const auto bare = read_slot_map(three_masters(), text("cluster_state:ok"), kAsked).value();
    EXPECT_TRUE(bare.state_ok);
    EXPECT_EQ(bare.epoch, 0);
    const auto odd =
        read_slot_map(three_masters(), text("x\n\ncluster_current_epoch:9x\ncluster_state2:ok\n"),
                      kAsked)
            .value();
    EXPECT_FALSE(odd.state_ok);
    EXPECT_EQ(odd.epoch, 0);
}

TEST(Redirection, ReadsWhereASlotHasMoved) {
    const auto moved = read_redirection("MOVED 3999 127.0.0.1:6381", kAsked).value();
    EXPECT_EQ(moved.kind, Redirection::Kind::kMoved);
    EXPECT_EQ(moved.slot, 3999);
    EXPECT_EQ(moved.to, (Endpoint{"127.0.0.1", 6381}));
    const auto ask = read_redirection("ASK 0 redis.example:1", kAsked).value();
    EXPECT_EQ(ask.kind, Redirection::Kind::kAsk);
    EXPECT_EQ(ask.to, (Endpoint{"redis.example", 1}));
    EXPECT_EQ(read_redirection("ASK 0 2001:db8::1:7000", kAsked)->to,
              (Endpoint{"2001:db8::1", 7000}));
}

TEST(Redirection, TakesTheAskedHostForAnAddressWithoutOne) {
    EXPECT_EQ(read_redirection("MOVED 1 :6381", kAsked)->to, (Endpoint{"10.0.0.1", 6381}));
    EXPECT_EQ(read_redirection("MOVED 1 ?:6381", kAsked)->to, (Endpoint{"10.0.0.1", 6381}));
}

TEST(Redirection, WaitsWhileKeysAreOnTheMoveOrTheClusterIsDown) {
    EXPECT_EQ(read_redirection("TRYAGAIN Multiple keys request during rehashing", kAsked)->kind,
              Redirection::Kind::kAgain);
    EXPECT_EQ(read_redirection("CLUSTERDOWN The cluster is down", kAsked)->kind,
              Redirection::Kind::kAgain);
    EXPECT_EQ(read_redirection("CLUSTERDOWN Hash slot not served", kAsked)->kind,
              Redirection::Kind::kAgain);
}

TEST(Redirection, LeavesTheCommandsOwnErrorsAlone) {
    for (const std::string_view own :
         {"", "ERR unknown command", "MOVED", "MOVED ", "MOVED 1", "MOVED 1 ", "MOVED 1 host",
          "MOVED 1 host:", "MOVED 1 host:0", "MOVED 1 host:65536", "MOVED 1 host:12a",
          "MOVED 16384 host:1", "MOVED -1 host:1", "MOVED x host:1", "MOVED 1:2", "MOVEDX 1 host:1",
          "ASKING 1 host:1", "moved 1 host:1", "TRYAGAINST"}) {
        // A heap block of its own, so that a look past its end is seen.
        const auto copy = std::make_unique<char[]>(own.size());
        own.copy(copy.get(), own.size());
        EXPECT_FALSE(read_redirection({copy.get(), own.size()}, kAsked)) << own;
    }
}

} // namespace
} // namespace larder::redis
