// Tests of how targets' health is judged, by times that the tests give.
#include "provider/health.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

namespace larder::provider {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kNow = 100 * kSecond;

TEST(TargetHealth, CostsNothingWhileNothingIsKnown) {
    const TargetHealth health;
    EXPECT_EQ(health.cost(false, kNow), 0);
    EXPECT_EQ(health.cost(true, kNow), 0);
    EXPECT_FALSE(health.is_cooling(kNow));
}

TEST(TargetHealth, CostsMoreThanAnyKnownOneWhileItsFirstCallIsUnderWay) {
    TargetHealth health;
    health.began();
    EXPECT_GE(health.cost(false, kNow), 60.0 * kSecond);
    EXPECT_GE(health.cost(true, kNow), 60.0 * kSecond);
    health.ended();
    EXPECT_EQ(health.cost(false, kNow), 0) << "nothing came of it; the next one finds out";
}

TEST(TargetHealth, TakesASlowerSampleAtOnce) {
    TargetHealth health;
    health.observe(false, 10 * kMs, kNow);
    health.observe(false, 500 * kMs, kNow + 1);
    EXPECT_NEAR(health.cost(false, kNow + 1), 500 * kMs, 1);
}

TEST(TargetHealth, CostsAtLeastTheTimeAfterWhichACallWasGivenUp) {
    TargetHealth health;
    health.gave_up(false, 200 * kMs, kNow);
    EXPECT_NEAR(health.cost(false, kNow), 200 * kMs, 1);
    EXPECT_EQ(health.cost(true, kNow), 0);
    health.gave_up(false, 500 * kMs, kNow);
    EXPECT_NEAR(health.cost(false, kNow), 500 * kMs, 1);
    health.gave_up(false, 1 * kMs, kNow + 1);
    EXPECT_NEAR(health.cost(false, kNow + 1), 500 * kMs, 1) << "who leaves early knows nothing";
}

TEST(TargetHealth, ForgetsHalfOfASlowOneInTwoSeconds) {
    TargetHealth health;
    health.observe(false, 500 * kMs, kNow);
    health.observe(false, 100 * kMs, kNow + 2 * kSecond);
    EXPECT_NEAR(health.cost(false, kNow + 2 * kSecond), 300 * kMs, 1);
    health.observe(false, 100 * kMs, kNow + 2 * kSecond); // no time has gone by
    EXPECT_NEAR(health.cost(false, kNow + 2 * kSecond), 300 * kMs, 1);
}

TEST(TargetHealth, CostsLessAndLessWhileItIsIdle) {
    TargetHealth health;
    health.observe(false, 400 * kMs, kNow);
    EXPECT_NEAR(health.cost(false, kNow + 2 * kSecond), 200 * kMs, 1);
    EXPECT_NEAR(health.cost(false, kNow + 4 * kSecond), 100 * kMs, 1);
    EXPECT_LT(health.cost(false, kNow + 60 * kSecond), 1);
    EXPECT_GE(health.cost(false, kNow + 3600 * kSecond), 0);
}

TEST(TargetHealth, CostsTheWholeAverageForEachCallUnderWayAndTheNext) {
    TargetHealth health;
    health.observe(false, 100 * kMs, kNow);
    health.began();
    EXPECT_NEAR(health.cost(false, kNow), 200 * kMs, 1);
    health.began();
    EXPECT_NEAR(health.cost(false, kNow + 60 * kSecond), 300 * kMs, 1)
        << "one that hangs does not become cheap";
    health.ended();
    health.ended();
    EXPECT_NEAR(health.cost(false, kNow), 100 * kMs, 1);
}

TEST(TargetHealth, MeasuresStreamsApart) {
    TargetHealth health;
    health.observe(true, 20 * kMs, kNow);
    health.observe(false, 900 * kMs, kNow);
    EXPECT_NEAR(health.cost(true, kNow), 20 * kMs, 1);
    EXPECT_NEAR(health.cost(false, kNow), 900 * kMs, 1);
}

TEST(TargetHealth, LetsTheOtherKindStandInWhileCallsAreUnderWay) {
    TargetHealth health;
    health.observe(false, 900 * kMs, kNow);
    EXPECT_EQ(health.cost(true, kNow), 0) << "tried soon";
    health.began();
    EXPECT_NEAR(health.cost(true, kNow), 900 * kMs, 1);
}

TEST(TargetHealth, TakesASampleAtTheBeginningOfTime) {
    TargetHealth health;
    health.observe(false, 50 * kMs, 0);
    EXPECT_NEAR(health.cost(false, 0), 50 * kMs, 1);
}

TEST(TargetHealth, IsNotUpsetByAClockThatStandsBehind) {
    TargetHealth health;
    health.observe(false, 50 * kMs, kNow);
    health.observe(false, 10 * kMs, kNow - kSecond);
    EXPECT_NEAR(health.cost(false, kNow - kSecond), 50 * kMs, 1);
    health.observe(false, -5, kNow + 60 * kSecond);
    EXPECT_GE(health.cost(false, kNow + 60 * kSecond), 0);
}

TEST(TargetHealth, IsLeftAloneUntilTheLatestTimeThatWasSaid) {
    TargetHealth health;
    health.cool(kNow + 2 * kSecond);
    health.cool(kNow + kSecond);
    EXPECT_TRUE(health.is_cooling(kNow));
    EXPECT_TRUE(health.is_cooling(kNow + 2 * kSecond - 1));
    EXPECT_FALSE(health.is_cooling(kNow + 2 * kSecond));
}

TEST(HealthTable, HasOneForEachModelAtEachProvider) {
    HealthTable table;
    const auto first = table.of("openai", "gpt-4o");
    EXPECT_EQ(first, table.of("openai", "gpt-4o"));
    EXPECT_NE(first, table.of("openai", "gpt-4o-mini"));
    EXPECT_NE(first, table.of("azure", "gpt-4o"));
    EXPECT_NE(table.of("a", "bc"), table.of("ab", "c"));
}

void fill(HealthTable& table, std::int64_t now_us) {
    for (int i = 0; i < 5000; ++i)
        table.of("p", "made up " + std::to_string(i), now_us);
}

TEST(HealthTable, LosesNothingThatIsInUseToManyMadeUpNames) {
    HealthTable table;
    table.of("p", "resting", kNow)->cool(kNow + 3600 * kSecond);
    const std::shared_ptr<TargetHealth> held = table.of("p", "held", kNow);
    table.of("p", "known", kNow)->observe(false, 400 * kMs, kNow);
    fill(table, kNow);
    const std::int64_t later = kNow + 59 * kSecond;
    table.of("p", "known", later)->observe(false, 400 * kMs, later);
    fill(table, later);
    EXPECT_GT(table.of("p", "known", later)->cost(false, later), 0);
    fill(table, kNow + 100 * kSecond);
    EXPECT_TRUE(table.of("p", "resting", kNow + 101 * kSecond)->is_cooling(kNow + 101 * kSecond));
    EXPECT_EQ(table.of("p", "held", kNow + 101 * kSecond), held);
    EXPECT_GT(table.of("p", "known", later)->cost(false, later), 0);
}

TEST(HealthTable, KeepsNoNewOnesBeyondItsBoundUntilOthersAreForgotten) {
    HealthTable table;
    const auto first = table.of("p", "first", kNow);
    fill(table, kNow);
    EXPECT_NE(table.of("p", "new", kNow), table.of("p", "new", kNow));
    const std::int64_t later = kNow + 60 * kSecond;
    EXPECT_EQ(table.of("p", "new", later), table.of("p", "new", later));
    EXPECT_EQ(table.of("p", "first", later), first);
}

TEST(HealthTable, KeepsNothingUnderAnEndlessName) {
    HealthTable table;
    const std::string model(600, 'm');
    EXPECT_NE(table.of("p", model), table.of("p", model));
}

TEST(TargetHealth, IsLeftAloneAfterSilencesInARowUntilAFirstByteComes) {
    TargetHealth health;
    health.timed_out(3, 1000);
    health.timed_out(3, 1000);
    EXPECT_FALSE(health.is_cooling(0));
    health.answered();
    health.timed_out(3, 1000);
    health.timed_out(3, 1000);
    EXPECT_FALSE(health.is_cooling(0));
    health.timed_out(3, 1000);
    EXPECT_TRUE(health.is_cooling(999));
    EXPECT_FALSE(health.is_cooling(1000));
    health.timed_out(3, 2000); // the one that was let through
    EXPECT_TRUE(health.is_cooling(1999));
}

} // namespace
} // namespace larder::provider
