// The budget of bytes in flight: what is given, what is refused, and that everything comes back.
#include "base/budget.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

namespace larder {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

TEST(MemoryBudget, GivesLargeSharesUpToHalfOfIt) {
    MemoryBudget budget(10 * kMiB);
    EXPECT_TRUE(budget.try_take(5 * kMiB));
    EXPECT_FALSE(budget.try_take(MemoryBudget::kSmall + 1));
    EXPECT_EQ(budget.used(), 5 * kMiB);
}

TEST(MemoryBudget, GivesSmallSharesUpToTheWholeOfIt) {
    MemoryBudget budget(4 * MemoryBudget::kSmall);
    for (int i = 0; i < 4; ++i)
        EXPECT_TRUE(budget.try_take(MemoryBudget::kSmall)) << i;
    EXPECT_FALSE(budget.try_take(1));
    budget.give_back(1);
    EXPECT_TRUE(budget.try_take(1));
}

TEST(MemoryBudget, ARefusalTakesNothing) {
    MemoryBudget budget(kMiB);
    EXPECT_FALSE(budget.try_take(2 * kMiB));
    EXPECT_EQ(budget.used(), 0U);
}

TEST(MemoryBudget, AnAbsurdSizeDoesNotWrapAround) {
    MemoryBudget budget(kMiB);
    ASSERT_TRUE(budget.try_take(10));
    EXPECT_FALSE(budget.try_take(std::numeric_limits<std::size_t>::max()));
    EXPECT_FALSE(budget.try_take(std::numeric_limits<std::size_t>::max() - 5));
    EXPECT_EQ(budget.used(), 10U);
}

TEST(BudgetShare, GivesBackWhatItHasAtItsEnd) {
    MemoryBudget budget(kMiB);
    {
        BudgetShare share(budget);
        EXPECT_TRUE(share.grow(1000));
        EXPECT_TRUE(share.grow(500));
        share.shrink(300);
        EXPECT_EQ(budget.used(), 1200U);
        EXPECT_FALSE(share.grow(kMiB));
        EXPECT_EQ(budget.used(), 1200U);
    }
    EXPECT_EQ(budget.used(), 0U);
}

TEST(MemoryBudget, ManyThreadsNeverHoldMoreThanTheLimit) {
    constexpr std::size_t kLimit = 64;
    MemoryBudget budget(kLimit);
    std::atomic<std::size_t> held{0};
    std::atomic<bool> exceeded{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 20'000; ++round) {
                if (!budget.try_take(24))
                    continue;
                if (held.fetch_add(24) + 24 > kLimit)
                    exceeded = true;
                held.fetch_sub(24);
                budget.give_back(24);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_FALSE(exceeded);
    EXPECT_EQ(budget.used(), 0U);
}

} // namespace
} // namespace larder
