// Tests of the relay over Redis: pieces come in order on the other node, none twice and none
// missing, and who waits is woken.
#include "cache/redis_relay.hpp"

#include "testing/cache_node.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace larder::cache {
namespace {

using testing::cache_entry;
using testing::cache_key;
using testing::CacheNode;
using testing::eventually;

constexpr Milliseconds kLong{15'000};
constexpr Milliseconds kNow{1};

redis::Reply text_reply(std::string text) {
    return {.kind = redis::Reply::Kind::kText, .text = std::move(text)};
}

redis::Reply item_of(std::string id, std::string field, std::string text) {
    redis::Reply fields{.kind = redis::Reply::Kind::kArray};
    fields.items = {text_reply(std::move(field)), text_reply(std::move(text))};
    redis::Reply item{.kind = redis::Reply::Kind::kArray};
    item.items = {text_reply(std::move(id)), std::move(fields)};
    return item;
}

redis::Reply range_of(std::vector<redis::Reply> items) {
    redis::Reply range{.kind = redis::Reply::Kind::kArray};
    range.items = std::move(items);
    return range;
}

TEST(ReadRelay, GivesPiecesInOrderAndMovesTheCursor) {
    std::string cursor;
    auto news = read_relay(range_of({item_of("1-1", "p", "a"), item_of("1-2", "p", "b")}), cursor);
    ASSERT_TRUE(news);
    EXPECT_EQ(news->pieces, (std::vector<std::string>{"a", "b"}));
    EXPECT_FALSE(news->end);
    EXPECT_EQ(cursor, "2");
    news = read_relay(range_of({}), cursor);
    ASSERT_TRUE(news);
    EXPECT_EQ(cursor, "2");
    news = read_relay(range_of({item_of("1-3", "e", "over")}), cursor);
    ASSERT_TRUE(news);
    EXPECT_TRUE(news->pieces.empty());
    EXPECT_EQ(news->end, "over");
    EXPECT_EQ(cursor, "3");
}

TEST(ReadRelay, NoticesAMissingPiece) {
    std::string cursor;
    EXPECT_FALSE(read_relay(range_of({item_of("1-2", "p", "b")}), cursor));
    EXPECT_FALSE(
        read_relay(range_of({item_of("1-1", "p", "a"), item_of("1-3", "p", "c")}), cursor));
    EXPECT_EQ(cursor, "");
    cursor = "5";
    EXPECT_FALSE(read_relay(range_of({item_of("1-7", "p", "g")}), cursor));
    EXPECT_FALSE(read_relay(range_of({item_of("1-5", "p", "again")}), cursor));
}

TEST(ReadRelay, RefusesHostileItems) {
    std::string cursor;
    EXPECT_FALSE(read_relay(range_of({text_reply("1-1")}), cursor));
    EXPECT_FALSE(read_relay(range_of({item_of("1-1", "x", "a")}), cursor));
    EXPECT_FALSE(
        read_relay(range_of({item_of("1-1", "e", "over"), item_of("1-2", "p", "a")}), cursor));
    redis::Reply empty_fields = item_of("1-1", "p", "a");
    empty_fields.items[1].items.clear();
    EXPECT_FALSE(read_relay(range_of({empty_fields}), cursor));
    EXPECT_EQ(cursor, "");
}

class RedisRelayTest : public ::testing::Test {
protected:
    void open() {
        ASSERT_TRUE(fleet_.open());
        const auto found = one().look_up(key_);
        ASSERT_TRUE(found);
        lease_ = found->lease;
        ASSERT_FALSE(lease_.empty());
    }
    [[nodiscard]] CacheNode& one() { return *fleet_.one; }
    [[nodiscard]] CacheNode& two() { return *fleet_.two; }
    void offer() {
        one().store().relay()->offer(lease_, {.wanted = [this] { ++wanted_; }, .left = {}});
    }
    /// All pieces until the end, which comes last; "error" when there is one.
    std::vector<std::string> read_to_the_end(CacheNode& node) {
        std::vector<std::string> all;
        std::string cursor;
        while (true) {
            const auto news = node.relay_read(key_, lease_, cursor, kLong);
            if (!news)
                return {"error"};
            all.insert(all.end(), news->pieces.begin(), news->pieces.end());
            if (news->end) {
                all.push_back(*news->end);
                return all;
            }
        }
    }

    testing::CacheFleet fleet_;
    const llm::Fingerprint key_ = cache_key(1);
    std::string lease_;
    std::atomic<int> wanted_ = 0;
};

TEST_F(RedisRelayTest, BringsPiecesInOrderAndTheEnd) {
    open();
    offer();
    std::vector<std::string> all;
    for (int i = 0; i < 1200; ++i) { // more than one reading brings
        std::vector<std::string> pieces;
        for (int piece = 0; piece < i % 4; ++piece)
            pieces.push_back("piece " + std::to_string(i) + "\r\n" + std::string(piece, '\0'));
        all.insert(all.end(), pieces.begin(), pieces.end());
        ASSERT_TRUE(one().relay_write(key_, lease_, pieces));
    }
    ASSERT_TRUE(one().relay_write(key_, lease_, {"last"}, "over"));
    all.insert(all.end(), {"last", "over"});
    EXPECT_EQ(read_to_the_end(two()), all);
    EXPECT_EQ(read_to_the_end(one()), all); // any node, any time
    const auto left_ms = std::stoi(fleet_.server.cli({"PTTL", fleet_.keys.relay(key_, lease_)}));
    EXPECT_GT(left_ms, 0);
    EXPECT_LE(left_ms, 60'000);
}

TEST_F(RedisRelayTest, WakesWhoWaitsWhenAPieceComes) {
    open();
    offer();
    std::string cursor;
    auto waiting = two().start_relay_read(key_, lease_, cursor, kLong);
    ASSERT_TRUE(eventually([&] { return wanted_ >= 1; }));
    ASSERT_TRUE(one().relay_write(key_, lease_, {"first"}));
    auto news = testing::finish(std::move(waiting));
    ASSERT_TRUE(news);
    EXPECT_EQ(news->pieces, std::vector<std::string>{"first"});
    waiting = two().start_relay_read(key_, lease_, cursor, kLong);
    ASSERT_TRUE(one().relay_write(key_, lease_, {}, "over"));
    news = testing::finish(std::move(waiting));
    ASSERT_TRUE(news);
    EXPECT_TRUE(news->pieces.empty());
    EXPECT_EQ(news->end, "over");
    EXPECT_GE(wanted_, 1);
}

TEST_F(RedisRelayTest, TellsTheHolderThatOffersLate) {
    open();
    std::string cursor;
    auto waiting = two().start_relay_read(key_, lease_, cursor, kLong);
    // The holder's node knows of the wish once its channel had this behind it.
    ASSERT_TRUE(eventually([&] {
        two().store().purged({PurgeKind::kModel, "m"}, 1000);
        return one().purge_of({PurgeKind::kModel, "m"}) > 0;
    }));
    offer();
    EXPECT_TRUE(eventually([&] { return wanted_ >= 1; }));
    ASSERT_TRUE(one().relay_write(key_, lease_, {"first"}));
    EXPECT_EQ(testing::finish(std::move(waiting))->pieces, std::vector<std::string>{"first"});
}

TEST_F(RedisRelayTest, CallsNobodyAfterTheWithdrawal) {
    open();
    offer();
    one().store().relay()->withdraw(lease_);
    std::string cursor;
    const auto news = two().relay_read(key_, lease_, cursor, Milliseconds(300));
    ASSERT_TRUE(news);
    EXPECT_TRUE(news->pieces.empty() && !news->end);
    EXPECT_EQ(wanted_, 0);
    EXPECT_FALSE(one().relay_write(key_, lease_, {"too late"}));
}

TEST_F(RedisRelayTest, WakesAllWhoWaitWhenTheLeaseIsReleased) {
    open();
    offer();
    std::vector<std::string> cursors(20);
    std::vector<std::future<Result<RelayNews>>> waiting;
    for (std::size_t i = 0; i < cursors.size(); ++i)
        waiting.push_back(two().start_relay_read(key_, lease_, cursors[i], kLong, i));
    ASSERT_TRUE(eventually([&] { return wanted_ >= 1; }));
    const auto began = std::chrono::steady_clock::now();
    one().store().release(key_, lease_);
    for (auto& one : waiting) {
        const auto news = testing::finish(std::move(one));
        ASSERT_TRUE(news);
        EXPECT_TRUE(news->pieces.empty() && !news->end);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - began, kLong / 2);
}

TEST_F(RedisRelayTest, WakesWhoWaitsWhenTheAnswerIsPut) {
    open();
    offer();
    std::string cursor;
    auto waiting = two().start_relay_read(key_, lease_, cursor, kLong);
    ASSERT_TRUE(eventually([&] { return wanted_ >= 1; }));
    const auto began = std::chrono::steady_clock::now();
    one().store().put_leased(key_, cache_entry("answer"), lease_);
    ASSERT_TRUE(testing::finish(std::move(waiting)));
    EXPECT_LT(std::chrono::steady_clock::now() - began, kLong / 2);
    EXPECT_EQ(two().body(key_), "answer");
}

TEST_F(RedisRelayTest, SendsWhoComesTooLateToLookAgain) {
    open();
    one().store().release(key_, lease_);
    ASSERT_TRUE(
        eventually([&] { return fleet_.server.cli({"EXISTS", fleet_.keys.lease(key_)}) == "0"; }));
    std::string cursor;
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(two().relay_read(key_, lease_, cursor, kLong));
    EXPECT_LT(std::chrono::steady_clock::now() - began, kLong / 2);
}

TEST_F(RedisRelayTest, ComesBackWithNothingWhenTheTimeIsUp) {
    open();
    std::string cursor;
    for (const auto within : {kNow, Milliseconds(150)}) {
        const auto began = std::chrono::steady_clock::now();
        const auto news = two().relay_read(key_, "abcd.1", cursor, within);
        ASSERT_TRUE(news);
        EXPECT_TRUE(news->pieces.empty() && !news->end && cursor.empty());
        EXPECT_GE(std::chrono::steady_clock::now() - began, within);
    }
}

TEST_F(RedisRelayTest, FindsPiecesThoughTheMessagesAreLost) {
    open();
    offer();
    std::string cursor;
    auto waiting = two().start_relay_read(key_, lease_, cursor, kLong);
    ASSERT_TRUE(eventually([&] { return wanted_ >= 1; }));
    // Written without telling anybody.
    fleet_.server.cli({"XADD", fleet_.keys.relay(key_, lease_), "1-1", "p", "piece"});
    const auto news = testing::finish(std::move(waiting));
    ASSERT_TRUE(news);
    EXPECT_EQ(news->pieces, std::vector<std::string>{"piece"});
}

TEST_F(RedisRelayTest, HoldsNoMoreThanItsBound) {
    open();
    offer();
    const std::string piece(8 << 20, 'x');
    for (int i = 0; i < 8; ++i)
        ASSERT_TRUE(one().relay_write(key_, lease_, {piece}));
    const auto full = one().relay_write(key_, lease_, {"one more"});
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().detail, "relay_full");
    EXPECT_TRUE(one().relay_write(key_, lease_, {}, "cut"));
    std::string cursor = "8";
    EXPECT_EQ(two().relay_read(key_, lease_, cursor, kLong)->end, "cut");
}

TEST_F(RedisRelayTest, SaysThatAPieceIsMissingAfterAnOutage) {
    open();
    offer();
    ASSERT_TRUE(one().relay_write(key_, lease_, {"first"}));
    fleet_.server.restart(); // empty
    ASSERT_TRUE(eventually([&] { return one().relay_write(key_, lease_, {"more"}).has_value(); }));
    ASSERT_TRUE(eventually([&] {
        std::string cursor = "1";
        return !two().relay_read(key_, lease_, cursor, kNow) || cursor != "1";
    }));
    std::string cursor;
    EXPECT_FALSE(two().relay_read(key_, lease_, cursor, kNow));
}

} // namespace
} // namespace larder::cache
