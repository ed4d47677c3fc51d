// The small tables: aliases of equal bytes, purge generations, and flights by key.
#include "gateway/alias_table.hpp"
#include "gateway/flight_table.hpp"
#include "gateway/purge_table.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace larder::gateway {
namespace {

Sha256 digest(std::string_view text) {
    return sha256(text);
}

TEST(AliasTable, KnowsWhatWasPutAndNothingElse) {
    AliasTable table;
    EXPECT_EQ(table.find(digest("a")), nullptr);
    EXPECT_EQ(table.find(Sha256{}), nullptr);
    table.put(digest("a"), digest("key"), ClientForm::kNativeStream);
    const Alias* found = table.find(digest("a"));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->key, digest("key"));
    EXPECT_EQ(found->form, ClientForm::kNativeStream);
    EXPECT_EQ(table.find(digest("b")), nullptr);
    EXPECT_EQ(table.find(Sha256{}), nullptr) << "an unused slot is no alias of zeros";
}

TEST(AliasTable, ANewerAliasTakesTheSlotOfAnOlderOne) {
    AliasTable table;
    Sha256 older{};
    Sha256 newer{};
    older[31] = 1; // the slot comes from the first bytes
    newer[31] = 2;
    table.put(older, digest("old"), ClientForm::kLlmPlain);
    table.put(newer, digest("new"), ClientForm::kLlmPlain);
    EXPECT_EQ(table.find(older), nullptr);
    ASSERT_NE(table.find(newer), nullptr);
    EXPECT_EQ(table.find(newer)->key, digest("new"));
}

constexpr std::int64_t kNow = 1'700'000'000'000;
const cache::PurgeScope kWeb{cache::PurgeKind::kNamespace, "web"};
const cache::PurgeScope kModelO3{cache::PurgeKind::kModel, "o3"};

TEST(PurgeTable, RaisesOnlyTheScopeThatIsPurged) {
    PurgeTable table;
    const auto before = table.of("web", "gpt-4o");
    EXPECT_EQ(before, cache::Generations{});
    table.raise(kWeb, kNow);
    EXPECT_NE(table.of("web", "gpt-4o"), before);
    EXPECT_EQ(table.of("app", "gpt-4o"), before);
    table.raise(kModelO3, kNow);
    EXPECT_NE(table.of("app", "o3"), before);
    EXPECT_EQ(table.of("app", "gpt-4o"), before);
    table.raise({}, kNow);
    EXPECT_NE(table.of("app", "gpt-4o"), before);
}

TEST(PurgeTable, ANameIsANamespaceOrAModelNeverBoth) {
    PurgeTable table;
    table.raise({cache::PurgeKind::kNamespace, "same"}, kNow);
    EXPECT_EQ(table.of("other", "same"), cache::Generations{});
}

TEST(PurgeTable, NumbersRiseWithTheTimeAndAlsoWithoutIt) {
    PurgeTable table;
    constexpr std::uint64_t kFirst = kNow;
    EXPECT_EQ(table.raise(kWeb, kNow).generation, kFirst);
    EXPECT_EQ(table.raise(kWeb, kNow).generation, kFirst + 1);
    EXPECT_EQ(table.raise(kModelO3, kNow - 5000).generation, kFirst + 2);
    EXPECT_EQ(table.raise(kWeb, kNow + 5000).generation, kFirst + 5000);
}

TEST(PurgeTable, MergingKeepsTheLargerNumber) {
    PurgeTable table;
    table.merge(kWeb, 7);
    table.merge(kWeb, 5);
    EXPECT_EQ(table.of("web", "o3").name_space, 7U);
    EXPECT_EQ(table.raise(kModelO3, 3).generation, 8U) << "above all that are known";
    table.merge(std::vector<cache::Purge>{{kModelO3, 20}, {kWeb, 1}});
    EXPECT_EQ(table.of("web", "o3"), (cache::Generations{.all = 0, .name_space = 7, .model = 20}));
}

TEST(PurgeTable, BeyondItsBoundAPurgeIsOneOfEverything) {
    PurgeTable table;
    for (int i = 0; i < 10'000; ++i)
        table.raise({cache::PurgeKind::kModel, "model-" + std::to_string(i)}, kNow);
    table.raise({cache::PurgeKind::kModel, "model-1"}, kNow);
    EXPECT_EQ(table.of("web", "quiet").all, 0U);
    const auto purge = table.raise({cache::PurgeKind::kNamespace, "one-more"}, kNow);
    EXPECT_EQ(purge.scope, cache::PurgeScope{}) << "the store is told the same";
    EXPECT_EQ(table.of("web", "quiet").all, purge.generation) << "the purge is not lost";
}

struct FlightTableTest : testing::Test {
    asio::io_context context{1};
    Executor executor = context.get_executor();
    MemoryBudget budget{1 << 20};
    FlightTable table;
    std::shared_ptr<Flight> fresh(std::size_t joinable = 1000) {
        return std::make_shared<Flight>(executor, budget, joinable, false,
                                        protocol::Dialect::kOpenAiChat);
    }
};

TEST_F(FlightTableTest, TheFirstLeadsAndOthersJoin) {
    EXPECT_EQ(table.join(digest("k"), executor).flight, nullptr);
    const auto first = fresh();
    EXPECT_EQ(table.join_or_put(digest("k"), first, executor, false).flight, first);
    const auto second = table.join_or_put(digest("k"), fresh(), executor, false);
    EXPECT_EQ(second.flight, first);
    EXPECT_NE(second.follower, nullptr);
    EXPECT_EQ(table.join(digest("k"), executor).flight, first);
    EXPECT_EQ(table.join(digest("other"), executor).flight, nullptr);
    EXPECT_EQ(table.size(), 1U);
}

TEST_F(FlightTableTest, ARefreshTakesTheOlderFlightsPlace) {
    const auto older = fresh();
    const auto newer = fresh();
    table.join_or_put(digest("k"), older, executor, false);
    EXPECT_EQ(table.join_or_put(digest("k"), newer, executor, true).flight, newer);
    table.erase(digest("k"), older.get());
    EXPECT_EQ(table.join(digest("k"), executor).flight, newer) << "the older one has no say";
    table.erase(digest("k"), newer.get());
    EXPECT_EQ(table.size(), 0U);
    table.erase(digest("k"), newer.get());
}

TEST_F(FlightTableTest, AFlightThatCantBeJoinedIsReplaced) {
    const auto abandoned = fresh();
    const auto led = table.join_or_put(digest("k"), abandoned, executor, false);
    abandoned->leave(led.follower);
    EXPECT_EQ(table.join(digest("k"), executor).flight, nullptr);
    const auto newer = fresh();
    EXPECT_EQ(table.join_or_put(digest("k"), newer, executor, false).flight, newer);

    const auto large = fresh(10);
    table.join_or_put(digest("l"), large, executor, false);
    ASSERT_TRUE(large->append({.raw = std::string(20, 'x'), .text = {}}));
    EXPECT_EQ(table.join(digest("l"), executor).flight, nullptr);
}

} // namespace
} // namespace larder::gateway
