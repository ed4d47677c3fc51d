// Tests of the memory tier: bounds in bytes, resistance to scans, replacing, growing, threads.
#include "cache/memory_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

namespace larder::cache {
namespace {

constexpr std::size_t kMebibyte = 1 << 20;

/// Spread over all bytes, as SHA-256 is.
llm::Fingerprint key_of(std::uint64_t number) {
    llm::Fingerprint key{};
    std::mt19937_64 random(number);
    for (auto& byte : key)
        byte = static_cast<unsigned char>(random());
    return key;
}

EntryPtr entry_of(std::size_t body_bytes, std::int64_t mark = 0) {
    auto entry = std::make_shared<Entry>();
    entry->created_ms = mark;
    entry->body = std::string(body_bytes, 'x');
    return entry;
}

TEST(MemoryStore, GivesBackWhatWasPut) {
    MemoryStore store(kMebibyte);
    const auto entry = entry_of(100);
    store.put(key_of(1), entry);
    EXPECT_EQ(store.get(key_of(1)), entry);
    EXPECT_EQ(store.get(key_of(2)), nullptr);
    EXPECT_EQ(store.stats().entries, 1U);
    EXPECT_GE(store.stats().bytes, entry->bytes());
}

TEST(MemoryStore, KeepsKeysApartThatDifferInOneByte) {
    MemoryStore store(kMebibyte);
    for (std::size_t at = 0; at < 32; ++at) {
        auto key = key_of(1);
        key[at] ^= 1;
        store.put(key, entry_of(10, static_cast<std::int64_t>(at)));
    }
    EXPECT_EQ(store.get(key_of(1)), nullptr);
    for (std::size_t at = 0; at < 32; ++at) {
        auto key = key_of(1);
        key[at] ^= 1;
        ASSERT_NE(store.get(key), nullptr);
        EXPECT_EQ(store.get(key)->created_ms, static_cast<std::int64_t>(at));
    }
}

TEST(MemoryStore, KeepsNothingWithoutCapacity) {
    MemoryStore store(0);
    store.put(key_of(1), entry_of(1));
    EXPECT_EQ(store.get(key_of(1)), nullptr);
    EXPECT_EQ(store.stats().entries, 0U);
}

TEST(MemoryStore, TakesAnEntryOfOneMebibyteWithASmallCapacity) {
    MemoryStore store(8 * kMebibyte, 16);
    for (std::uint64_t number = 0; number < 50; ++number) {
        store.put(key_of(number), entry_of(kMebibyte));
        EXPECT_NE(store.get(key_of(number)), nullptr);
    }
}

TEST(MemoryStore, ReplacesAnEntry) {
    MemoryStore store(kMebibyte);
    store.put(key_of(1), entry_of(1000));
    const auto before = store.stats().bytes;
    const auto newer = entry_of(3000);
    store.put(key_of(1), newer);
    EXPECT_EQ(store.get(key_of(1)), newer);
    EXPECT_EQ(store.stats().entries, 1U);
    EXPECT_NEAR(static_cast<double>(store.stats().bytes - before), 2000, 32);
}

TEST(MemoryStore, DropsTheOldEntryWhenItsSuccessorIsTooLarge) {
    MemoryStore store(kMebibyte);
    store.put(key_of(1), entry_of(10));
    store.put(key_of(1), entry_of(2 * kMebibyte));
    EXPECT_EQ(store.get(key_of(1)), nullptr);
    EXPECT_EQ(store.stats().bytes, 0U);
}

TEST(MemoryStore, ErasesOneAndClearsAll) {
    MemoryStore store(kMebibyte);
    for (std::uint64_t number = 0; number < 300; ++number)
        store.put(key_of(number), entry_of(10));
    store.erase(key_of(7));
    store.erase(key_of(1000));
    EXPECT_EQ(store.get(key_of(7)), nullptr);
    EXPECT_NE(store.get(key_of(8)), nullptr);
    EXPECT_EQ(store.stats().entries, 299U);
    store.clear();
    EXPECT_EQ(store.stats().entries, 0U);
    EXPECT_EQ(store.stats().bytes, 0U);
    EXPECT_EQ(store.get(key_of(8)), nullptr);
    store.put(key_of(8), entry_of(10));
    EXPECT_NE(store.get(key_of(8)), nullptr);
}

TEST(MemoryStore, ReleasesWhatItEvicts) {
    MemoryStore store(kMebibyte, 1);
    std::weak_ptr<const Entry> first;
    {
        const auto entry = entry_of(kMebibyte / 2);
        first = entry;
        store.put(key_of(1), entry);
    }
    EXPECT_FALSE(first.expired());
    store.put(key_of(2), entry_of(kMebibyte / 4 * 3));
    EXPECT_TRUE(first.expired());
    EXPECT_EQ(store.stats().evictions, 1U);
}

class HotSet : public testing::Test {
protected:
    static constexpr std::size_t kCapacity = 16 * kMebibyte;
    static constexpr std::size_t kBody = 2048;
    static constexpr std::uint64_t kHot = 1500; // about a fifth of the capacity

    void warm() {
        for (std::uint64_t number = 0; number < kHot; ++number)
            store_.put(key_of(number), entry_of(kBody));
        for (std::uint64_t number = 0; number < kHot; ++number)
            ASSERT_NE(store_.get(key_of(number)), nullptr);
    }
    std::size_t alive() {
        std::size_t count = 0;
        for (std::uint64_t number = 0; number < kHot; ++number)
            count += store_.get(key_of(number)) != nullptr;
        return count;
    }
    void scan(std::size_t bytes) {
        for (std::size_t i = 0; i < bytes / kBody; ++i)
            store_.put(key_of(1'000'000 + scanned_++), entry_of(kBody));
    }

    MemoryStore store_{kCapacity, 16};
    std::uint64_t scanned_ = 0;
};

TEST_F(HotSet, SurvivesAScanOfTenTimesTheCapacity) {
    warm();
    scan(10 * kCapacity);
    EXPECT_EQ(alive(), kHot);
    EXPECT_GT(store_.stats().evictions, 50'000U);
}

TEST_F(HotSet, GivesWayToAnother) {
    warm();
    // A new set of the whole capacity, used again and again, pushes the old one out.
    const std::uint64_t count = kCapacity / kBody;
    for (int round = 0; round < 12; ++round)
        for (std::uint64_t number = 0; number < count; ++number)
            if (store_.get(key_of(5'000'000 + number)) == nullptr)
                store_.put(key_of(5'000'000 + number), entry_of(kBody));
    std::size_t hits = 0;
    for (std::uint64_t number = 0; number < count; ++number)
        hits += store_.get(key_of(5'000'000 + number)) != nullptr;
    EXPECT_GT(hits, count / 2);
    EXPECT_LT(alive(), kHot / 2);
}

TEST(MemoryStore, RemembersAKeyThatLeftLately) {
    MemoryStore store(4 * kMebibyte, 1);
    std::uint64_t other = 1000;
    const auto fill = [&](std::size_t bytes) {
        for (std::size_t i = 0; i < bytes / 2048; ++i)
            store.put(key_of(other++), entry_of(2048));
    };
    store.put(key_of(1), entry_of(2048));
    while (store.get(key_of(2)) == nullptr && store.stats().evictions == 0)
        fill(2048); // until the first key, never used, has left
    ASSERT_EQ(store.get(key_of(1)), nullptr);
    store.put(key_of(1), entry_of(2048)); // known to the ghost: straight to the main queue
    fill(40 * kMebibyte);
    EXPECT_NE(store.get(key_of(1)), nullptr);
}

TEST(MemoryStore, CountsWireForms) {
    MemoryStore store(kMebibyte, 1);
    const auto entry = entry_of(1000);
    store.put(key_of(1), entry);
    const auto before = store.stats().bytes;
    const auto* form =
        entry->set_wire_form(0, std::make_unique<WireForm>("head", std::string(5000, 'b')));
    store.grew(key_of(1), Entry::bytes_of(*form));
    EXPECT_EQ(store.stats().bytes, before + Entry::bytes_of(*form));

    store.put(key_of(1), entry); // put again with its forms: counted once
    EXPECT_EQ(store.stats().bytes, before + Entry::bytes_of(*form));
    store.erase(key_of(1));
    EXPECT_EQ(store.stats().bytes, 0U);
}

TEST(MemoryStore, EvictsWhenAnEntryGrows) {
    MemoryStore store(kMebibyte, 1);
    for (std::uint64_t number = 0; number < 200; ++number)
        store.put(key_of(number), entry_of(4000));
    store.grew(key_of(150), kMebibyte / 2);
    EXPECT_LE(store.stats().bytes, kMebibyte);
    EXPECT_GT(store.stats().evictions, 50U);
    store.grew(key_of(199), SIZE_MAX);
    EXPECT_EQ(store.get(key_of(199)), nullptr);
    store.grew(key_of(999), 10); // unknown: nothing happens
}

TEST(MemoryStore, NeverHoldsMoreBytesThanItMay) {
    for (const unsigned seed : {1U, 2U, 3U}) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        constexpr std::size_t kCapacity = 3 * kMebibyte;
        MemoryStore store(kCapacity, 1);
        std::unordered_map<std::uint64_t, EntryPtr> last;
        for (int step = 0; step < 20'000; ++step) {
            const std::uint64_t number = random() % 2000;
            switch (random() % 8) {
            case 0:
                store.erase(key_of(number));
                last.erase(number);
                break;
            case 1:
                store.grew(key_of(number), random() % 5000);
                break;
            case 2:
            case 3:
            case 4:
                if (const auto found = store.get(key_of(number)))
                    EXPECT_EQ(found, last[number]);
                break;
            default: {
                const auto size =
                    random() % 100 == 0 ? random() % (4 * kMebibyte) : random() % 8000;
                last[number] = entry_of(size);
                store.put(key_of(number), last[number]);
            }
            }
            ASSERT_LE(store.stats().bytes, kCapacity);
        }
        // What the store says that it holds is what it holds.
        std::size_t found = 0;
        std::size_t bytes = 0;
        for (std::uint64_t number = 0; number < 2000; ++number)
            if (const auto entry = store.get(key_of(number))) {
                ++found;
                bytes += entry->bytes();
            }
        EXPECT_EQ(store.stats().entries, found);
        EXPECT_GE(store.stats().bytes, bytes);
    }
}

TEST(MemoryStore, StaysWholeUnderManyThreads) {
    constexpr std::size_t kCapacity = 8 * kMebibyte;
    MemoryStore store(kCapacity, 2);
    {
        std::vector<std::jthread> threads;
        for (unsigned seed = 0; seed < 4; ++seed)
            threads.emplace_back([&store, seed] {
                std::mt19937 random(seed);
                for (int step = 0; step < 4000; ++step) {
                    const std::uint64_t number = random() % 3000;
                    const auto key = key_of(number);
                    if (const auto found = store.get(key)) {
                        EXPECT_EQ(found->created_ms, static_cast<std::int64_t>(number));
                        if (found->wire_form(0) == nullptr) {
                            const auto* form = found->set_wire_form(
                                0, std::make_unique<WireForm>("head", std::string(500, 'b')));
                            store.grew(key, Entry::bytes_of(*form));
                        }
                    } else {
                        store.put(key,
                                  entry_of(random() % 8000, static_cast<std::int64_t>(number)));
                    }
                    if (step % 500 == 0)
                        store.erase(key);
                    if (step == 2000 && seed == 0)
                        store.clear();
                }
            });
    }
    const auto stats = store.stats();
    EXPECT_LE(stats.bytes, kCapacity);
    EXPECT_GT(stats.entries, 0U);
}

} // namespace
} // namespace larder::cache
