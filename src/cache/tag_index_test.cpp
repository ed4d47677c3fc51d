// Tests of the tag index: a set like any other, tight, and "may have" until it knows.
#include "cache/tag_index.hpp"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <unordered_set>

namespace larder::cache {
namespace {

llm::Fingerprint key_of(std::uint64_t number) {
    llm::Fingerprint key{};
    std::mt19937_64 random(number);
    for (auto& byte : key)
        byte = static_cast<unsigned char>(random());
    return key;
}

TEST(TagSet, IsASet) {
    for (const unsigned seed : {1U, 2U, 3U}) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random(seed);
        TagSet set;
        std::unordered_set<std::uint64_t> model;
        // Few homes, so that runs of neighbours and the wrap at the end are met often.
        const auto tag = [&] { return ~std::uint64_t{0} - (random() % 64 << 55) - random() % 8; };
        for (int step = 0; step < 20'000; ++step) {
            const auto value = tag();
            if (random() % 2 == 0) {
                set.add(value);
                model.insert(value);
            } else {
                set.erase(value);
                model.erase(value);
            }
            const auto asked = tag();
            ASSERT_EQ(set.has(asked), model.contains(asked));
            ASSERT_EQ(set.size(), model.size());
        }
    }
}

TEST(TagSet, TakesZero) {
    TagSet set;
    EXPECT_FALSE(set.has(0));
    set.add(0);
    EXPECT_TRUE(set.has(0));
    set.erase(0);
    EXPECT_FALSE(set.has(0));
}

TEST(TagSet, TakesAboutElevenBytesATag) {
    TagSet set;
    std::mt19937_64 random(1);
    for (int i = 0; i < 100'000; ++i)
        set.add(random());
    EXPECT_LE(set.capacity() * sizeof(std::uint64_t), 100'000U * 15);
}

TEST(TagIndex, MayHaveEveryKeyUntilItKnows) {
    TagIndex index;
    EXPECT_TRUE(index.may_have(key_of(1)));
    index.replace({TagIndex::tag_of(key_of(2))});
    EXPECT_FALSE(index.may_have(key_of(1)));
    EXPECT_TRUE(index.may_have(key_of(2)));
    index.add(key_of(1));
    EXPECT_TRUE(index.may_have(key_of(1)));
    index.erase(key_of(2));
    EXPECT_FALSE(index.may_have(key_of(2)));
    index.replace({});
    EXPECT_EQ(index.size(), 0U);
}

TEST(TagIndex, TakesManyThreads) {
    TagIndex index;
    index.replace({});
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t thread = 0; thread < 4; ++thread)
            threads.emplace_back([&index, thread] {
                for (std::uint64_t i = 0; i < 2000; ++i) {
                    index.add(key_of(thread * 10'000 + i));
                    if (i % 2 == 1)
                        index.erase(key_of(thread * 10'000 + i));
                    EXPECT_TRUE(index.may_have(key_of(thread * 10'000)));
                }
            });
    }
    EXPECT_EQ(index.size(), 4000U);
}

} // namespace
} // namespace larder::cache
