// Tests of the write queue: bounds, the last value wins, and what is written stays readable until
// then.
#include "cache/write_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace larder::cache {
namespace {

llm::Fingerprint key_of(unsigned char number) {
    llm::Fingerprint key{};
    key[0] = number;
    return key;
}

EntryPtr entry_of(std::size_t body_bytes = 10) {
    auto entry = std::make_shared<Entry>();
    entry->body = std::string(body_bytes, 'x');
    return entry;
}

constexpr WriteQueue::Limits kLimits{
    .entries = 4, .bytes = 1 << 20, .batch_entries = 3, .batch_bytes = 64 << 10};

TEST(WriteQueue, GivesBatchesInOrderAndStaysReadable) {
    WriteQueue queue(kLimits);
    const auto entry = entry_of();
    for (unsigned char number = 0; number < 4; ++number)
        EXPECT_TRUE(queue.push(key_of(number), entry));
    EXPECT_TRUE(queue.has_batch());
    const auto batch = queue.take_batch();
    ASSERT_EQ(batch.size(), 3U);
    EXPECT_EQ(batch[0].key, key_of(0));
    EXPECT_EQ(batch[2].key, key_of(2));
    EXPECT_EQ(queue.find(key_of(0)), entry);
    queue.done(batch);
    EXPECT_FALSE(queue.find(key_of(0)));
    EXPECT_EQ(queue.find(key_of(3)), entry);
    EXPECT_FALSE(queue.empty());
    queue.done(queue.take_batch());
    EXPECT_TRUE(queue.empty());
    EXPECT_TRUE(queue.take_batch().empty());
}

TEST(WriteQueue, RefusesMoreThanItsCount) {
    WriteQueue queue(kLimits);
    for (unsigned char number = 0; number < 4; ++number)
        EXPECT_TRUE(queue.push(key_of(number), entry_of()));
    EXPECT_FALSE(queue.push(key_of(9), entry_of()));
    EXPECT_TRUE(queue.push(key_of(1), entry_of())); // replaces
    EXPECT_FALSE(queue.find(key_of(9)));
    queue.done(queue.take_batch());
    EXPECT_TRUE(queue.push(key_of(9), entry_of()));
}

TEST(WriteQueue, RefusesMoreThanItsBytes) {
    WriteQueue queue(kLimits);
    EXPECT_TRUE(queue.push(key_of(1), entry_of(600 << 10)));
    EXPECT_FALSE(queue.push(key_of(2), entry_of(600 << 10)));
    EXPECT_TRUE(queue.push(key_of(1), entry_of(900 << 10)));
    EXPECT_FALSE(queue.push(key_of(2), entry_of(600 << 10)));
    queue.done(queue.take_batch());
    EXPECT_TRUE(queue.push(key_of(2), entry_of(900 << 10))); // all was given back
}

TEST(WriteQueue, EndsABatchAtItsBytesButNeverTakesNothing) {
    WriteQueue queue(kLimits);
    EXPECT_TRUE(queue.push(key_of(1), entry_of(100 << 10)));
    EXPECT_TRUE(queue.push(key_of(2), entry_of()));
    EXPECT_EQ(queue.take_batch().size(), 1U);
    EXPECT_EQ(queue.take_batch().size(), 1U);
}

TEST(WriteQueue, WritesOnlyTheLastValueOfAKey) {
    WriteQueue queue(kLimits);
    queue.push(key_of(1), entry_of());
    const auto last = entry_of();
    queue.push(key_of(1), last);
    const auto batch = queue.take_batch();
    ASSERT_EQ(batch.size(), 1U);
    EXPECT_EQ(batch[0].entry, last);
}

TEST(WriteQueue, QueuesAgainWhatIsPutWhileItIsWritten) {
    WriteQueue queue(kLimits);
    queue.push(key_of(1), entry_of());
    const auto batch = queue.take_batch();
    const auto newer = entry_of();
    queue.push(key_of(1), newer);
    queue.done(batch);
    EXPECT_EQ(queue.find(key_of(1)), newer);
    const auto second = queue.take_batch();
    ASSERT_EQ(second.size(), 1U);
    EXPECT_EQ(second[0].entry, newer);
    queue.done(second);
    EXPECT_TRUE(queue.empty());
}

TEST(WriteQueue, TakesABatchBackInItsOrder) {
    WriteQueue queue(kLimits);
    for (unsigned char number = 0; number < 4; ++number)
        queue.push(key_of(number), entry_of());
    const auto batch = queue.take_batch();
    const auto newer = entry_of();
    queue.push(key_of(1), newer);
    queue.put_back(batch);
    const auto again = queue.take_batch();
    ASSERT_EQ(again.size(), 3U);
    EXPECT_EQ(again[0].key, key_of(0));
    EXPECT_EQ(again[1].key, key_of(2));
    EXPECT_EQ(again[2].key, key_of(3));
    const auto rest = queue.take_batch();
    ASSERT_EQ(rest.size(), 1U);
    EXPECT_EQ(rest[0].entry, newer);
}

TEST(WriteQueue, TellsAnErasureFromAnAbsentKey) {
    WriteQueue queue(kLimits);
    queue.push(key_of(1), nullptr);
    ASSERT_TRUE(queue.find(key_of(1)));
    EXPECT_EQ(*queue.find(key_of(1)), nullptr);
    EXPECT_FALSE(queue.find(key_of(2)));
    EXPECT_EQ(queue.keys().size(), 1U);
}

TEST(WriteQueue, WakesItsWriterForAWholeBatch) {
    WriteQueue queue(kLimits);
    std::jthread producer([&] {
        for (unsigned char number = 0; number < 3; ++number)
            queue.push(key_of(number), entry_of());
    });
    queue.wait(std::chrono::hours(1)); // would not end otherwise
    EXPECT_TRUE(queue.has_batch());
    queue.wake();
    queue.wait(std::chrono::hours(1));
}

TEST(WriteQueue, LosesNothingBetweenThreads) {
    WriteQueue queue({.entries = 64, .bytes = 1 << 20, .batch_entries = 8, .batch_bytes = 4096});
    std::atomic<int> producers = 4;
    std::atomic<int> taken = 0;
    int written = 0;
    {
        std::vector<std::jthread> threads;
        for (unsigned char thread = 0; thread < 4; ++thread)
            threads.emplace_back([&, thread] {
                for (int i = 0; i < 2000; ++i)
                    taken += queue.push(key_of(static_cast<unsigned char>(thread * 8 + i % 8)),
                                        entry_of());
                --producers;
            });
        while (producers > 0 || !queue.empty()) {
            const auto batch = queue.take_batch();
            written += static_cast<int>(batch.size());
            if (written % 3 == 0)
                queue.put_back(batch);
            else
                queue.done(batch);
        }
    }
    EXPECT_GT(written, 0);
    EXPECT_EQ(taken, 8000); // 32 keys never fill it
}

} // namespace
} // namespace larder::cache
