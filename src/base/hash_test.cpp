// Tests of SHA-256 against FIPS 180-4's examples, and of the random sources.
#include "base/hash.hpp"

#include "base/text.hpp"

#include <gtest/gtest.h>
#include <set>
#include <thread>
#include <unordered_set>
#include <vector>

namespace larder {
namespace {

std::string hex_of(const Sha256& digest) {
    return text::hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

constexpr std::string_view kOfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, GivesTheStandardsExamples) {
    EXPECT_EQ(hex_of(sha256("abc")), kOfAbc);
    EXPECT_EQ(hex_of(sha256("")),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hex_of(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hex_of(sha256(std::string(1'000'000, 'a'))),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha1Hex, GivesTheStandardsExamples) {
    EXPECT_EQ(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(sha1_hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(Sha256, TakesPartsAsOneText) {
    const std::vector<std::string_view> parts = {"", "a", "", "bc", ""};
    EXPECT_EQ(hex_of(sha256(parts)), kOfAbc);
    EXPECT_EQ(sha256(std::span<const std::string_view>()), sha256(""));
}

TEST(Sha256, KeepsNothingOfTheTextBefore) {
    const Sha256 first = sha256("first");
    EXPECT_EQ(hex_of(sha256("abc")), kOfAbc);
    EXPECT_EQ(sha256("first"), first);
}

TEST(Sha256, GivesTheSameOnEveryThread) {
    std::vector<std::string> digests(8);
    {
        std::vector<std::jthread> threads;
        for (std::string& digest : digests)
            threads.emplace_back([&digest] {
                for (int round = 0; round < 200; ++round)
                    digest = hex_of(sha256("abc"));
            });
    }
    for (const std::string& digest : digests)
        EXPECT_EQ(digest, kOfAbc);
}

TEST(Sha256, IsAKeyOfTables) {
    std::unordered_set<Sha256, Sha256Hash> table;
    EXPECT_TRUE(table.insert(sha256("a")).second);
    EXPECT_TRUE(table.insert(sha256("b")).second);
    EXPECT_FALSE(table.insert(sha256("a")).second);
}

TEST(RandomBytes, FillsTheWholeSpanWithSomethingElseEachTime) {
    std::vector<unsigned char> first(4096);
    std::vector<unsigned char> second(4096);
    random_bytes(first);
    random_bytes(second);
    EXPECT_NE(first, second);
    const std::set<unsigned char> in_tail(first.end() - 1024, first.end());
    EXPECT_GT(in_tail.size(), 200U); // of 256; fewer has a chance below 10^-9
    random_bytes({});
}

TEST(RandomU64, DiffersBetweenCallsAndThreads) {
    std::set<std::uint64_t> seen;
    for (int round = 0; round < 1000; ++round)
        EXPECT_TRUE(seen.insert(random_u64()).second);
    std::uint64_t elsewhere = 0;
    std::jthread([&elsewhere] { elsewhere = random_u64(); }).join();
    EXPECT_TRUE(seen.insert(elsewhere).second);
}

} // namespace
} // namespace larder
