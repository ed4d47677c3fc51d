// What the ledger gives its store: whole batches, the same one again while its fate is unknown, and
// nothing while nothing was counted.
#include "ledger/ledger.hpp"
#include "testing/tcp.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace larder::ledger {
namespace {

using namespace std::chrono_literals;
using testing::eventually;

/// What came to the store, and what it does next; outlives the ledger that owns the store.
struct Script {
    std::mutex mutex;
    std::vector<Batch> batches;
    std::vector<std::chrono::milliseconds> within;
    int reads = 0;
    bool fails = false; // with an Error
    bool counts = true; // whether a batch that fails is counted all the same
    std::map<std::uint64_t, Sums> counted;

    Sums sums() {
        Sums all{};
        for (const auto& [sequence, delta] : counted) {
            for (std::size_t i = 0; i < kFields; ++i)
                all[i] += delta[i];
        }
        return all;
    }
    std::size_t batch_count() {
        const std::lock_guard lock(mutex);
        return batches.size();
    }
    void set_fails(bool value) {
        const std::lock_guard lock(mutex);
        fails = value;
    }
};

class ScriptedStore final : public TotalsStore {
public:
    explicit ScriptedStore(Script& script) : script_(script) {}
    Result<Sums> add(const Batch& batch, std::chrono::milliseconds within) override {
        const std::lock_guard lock(script_.mutex);
        script_.batches.push_back(batch);
        script_.within.push_back(within);
        if (!script_.fails || script_.counts)
            script_.counted.try_emplace(batch.sequence, batch.delta);
        return answer();
    }
    Result<Sums> read(std::chrono::milliseconds within) override {
        const std::lock_guard lock(script_.mutex);
        script_.within.push_back(within);
        ++script_.reads;
        return answer();
    }
    [[nodiscard]] Pace pace() const override { return {.batch = 1ms, .read = 1h}; }

private:
    Result<Sums> answer() {
        if (script_.fails)
            return fail(ErrorCode::kTimeout, "no answer");
        return script_.sums();
    }
    Script& script_;
};

constexpr Record kHit{.outcome = Outcome::kHit, .saved_picodollars = 7};

TEST(LedgerBatches, ReadsOnceAndThenOnlyWritesWhatIsCounted) {
    Script script;
    Ledger ledger(std::make_unique<ScriptedStore>(script));
    for (std::size_t i = 1; i <= 20; ++i) {
        ledger.record(kHit);
        ASSERT_TRUE(eventually([&] { return script.batch_count() == i; }));
    }
    ledger.stop();
    EXPECT_EQ(script.batches.size(), 20U);
    EXPECT_LE(script.reads, 1); // none where the first hit came before the first look
    for (std::size_t i = 0; i < script.batches.size(); ++i) {
        EXPECT_EQ(script.batches[i].sequence, i + 1);
        EXPECT_EQ(script.batches[i].delta[0], 1);
    }
    EXPECT_EQ(ledger.totals().hits, 20);
    EXPECT_EQ(ledger.totals().saved_picodollars, 140);
}

/// Whether the batch of the lost answer was counted or not, the sums come out right.
void expect_right_sums_after_lost_answers(bool counted) {
    Script script;
    script.fails = true;
    script.counts = counted;
    Ledger ledger(std::make_unique<ScriptedStore>(script));
    ledger.record(kHit);
    ASSERT_TRUE(eventually([&] { return script.batch_count() >= 2; }));
    ledger.record(kHit);
    ledger.record(kHit);
    const std::size_t so_far = script.batch_count();
    ASSERT_TRUE(eventually([&] { return script.batch_count() >= so_far + 2; }));
    EXPECT_EQ(ledger.totals().hits, 3);
    EXPECT_EQ(ledger.health().reason, "no answer");
    script.set_fails(false);
    ASSERT_TRUE(eventually([&] { return ledger.health().ok; }));
    ledger.stop();
    EXPECT_EQ(ledger.totals().hits, 3);
    EXPECT_EQ(script.sums()[0], 3);
    ASSERT_GE(script.batches.size(), 4U);
    for (std::size_t i = 0; i + 1 < script.batches.size(); ++i) { // the last one is the new one
        EXPECT_EQ(script.batches[i].sequence, 1U);
        EXPECT_EQ(script.batches[i].delta, script.batches[0].delta);
    }
    EXPECT_EQ(script.batches.back().sequence, 2U);
    EXPECT_EQ(script.batches.back().delta[0], 2);
}

TEST(LedgerBatches, SendsTheSameBatchAgainThatWasCountedUnheard) {
    expect_right_sums_after_lost_answers(true);
}

TEST(LedgerBatches, SendsTheSameBatchAgainThatWasNotCounted) {
    expect_right_sums_after_lost_answers(false);
}

TEST(LedgerBatches, SettlesTheDoubtfulBatchAndTheRestWhenItStops) {
    Script script;
    script.fails = true;
    Ledger ledger(std::make_unique<ScriptedStore>(script),
                  {.pace = Pace{.batch = 1h, .read = 1h}, .on_health = {}});
    ASSERT_TRUE(eventually([&] { return !ledger.health().ok; })); // the first look has failed
    ledger.record(kHit);
    script.set_fails(false);
    ledger.stop();
    EXPECT_EQ(script.sums()[0], 1);
    EXPECT_EQ(ledger.totals().hits, 1);
    EXPECT_TRUE(ledger.health().ok);
}

TEST(LedgerBatches, GivesUpInTheEndWhenItStops) {
    Script script;
    script.fails = true;
    Ledger ledger(std::make_unique<ScriptedStore>(script),
                  {.pace = Pace{.batch = 1h, .read = 1h}, .on_health = {}});
    ledger.record(kHit);
    ledger.stop();
    EXPECT_EQ(ledger.totals().hits, 1);
    EXPECT_GE(script.batches.size(), 1U);
    EXPECT_LE(script.batches.size(), 6U);
    for (const auto within : script.within) {
        EXPECT_GT(within, 0ms);
        EXPECT_LE(within, 1s);
    }
    ledger.stop(); // again, and after it
    ledger.record(kHit);
    EXPECT_EQ(ledger.totals().hits, 2);
}

TEST(LedgerBatches, TakesOverSumsThatBeganAnewAndSubtractsNothing) {
    Script script;
    Ledger ledger(std::make_unique<ScriptedStore>(script));
    for (int i = 0; i < 5; ++i)
        ledger.record(kHit);
    ASSERT_TRUE(eventually([&] {
        const std::lock_guard lock(script.mutex);
        return script.sums()[0] == 5;
    }));
    {
        const std::lock_guard lock(script.mutex);
        script.counted.clear();
    }
    ledger.record(kHit);
    ASSERT_TRUE(eventually([&] { return ledger.totals().hits == 1; }));
    ledger.stop();
    EXPECT_EQ(ledger.totals().hits, 1);
    EXPECT_EQ(script.sums()[0], 1);
}

} // namespace
} // namespace larder::ledger
