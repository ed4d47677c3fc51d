// Tests of the fingerprint: names, values, order and boundaries all count.
#include "llm/fingerprint.hpp"

#include "base/text.hpp"

#include <gtest/gtest.h>
#include <set>

namespace larder::llm {
namespace {

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

Fingerprint fingerprint_of(const Pairs& pairs) {
    FingerprintBuilder builder;
    for (const auto& [name, value] : pairs)
        builder.add(name, value);
    return builder.finish();
}

TEST(Fingerprint, IsTheSameForTheSamePairs) {
    EXPECT_EQ(fingerprint_of({{"model", "gpt-4o"}, {"body", "{}"}}),
              fingerprint_of({{"model", "gpt-4o"}, {"body", "{}"}}));
}

TEST(Fingerprint, StaysWhatItIsAcrossReleases) {
    const Fingerprint fingerprint = fingerprint_of({{"model", "gpt-4o"}});
    EXPECT_EQ(text::hex({reinterpret_cast<const char*>(fingerprint.data()), fingerprint.size()}),
              "d5d85a717f63c22f56279a854e066adbecaffbae35f8b459d147ecf1e1b9af2e");
}

TEST(Fingerprint, DiffersForEveryOtherSequenceOfPairs) {
    const std::vector<Pairs> sequences = {
        {},
        {{"", ""}},
        {{"", ""}, {"", ""}},
        {{"a", "bc"}},
        {{"ab", "c"}},
        {{"abc", ""}},
        {{"", "abc"}},
        {{"a", "b"}, {"c", ""}},
        {{"a", "b"}, {"", "c"}},
        {{"c", ""}, {"a", "b"}},
        {{"a", std::string_view("bc\0", 3)}},
        {{"a", std::string_view("\1\0\0\0\0\0\0\0b", 9)}},
        {{"a", std::string_view("b\1\0\0\0\0\0\0\0c\0\0\0\0\0\0\0\0", 18)}},
    };
    std::set<Fingerprint> seen;
    for (const Pairs& pairs : sequences)
        EXPECT_TRUE(seen.insert(fingerprint_of(pairs)).second);
}

TEST(Fingerprint, CanBeTakenInBetween) {
    FingerprintBuilder builder;
    builder.add("a", "1");
    const Fingerprint first = builder.finish();
    EXPECT_EQ(builder.finish(), first);
    EXPECT_NE(builder.add("b", "2").finish(), first);
}

TEST(FingerprintBuilder, GivesBackWhatWasAdded) {
    using Parts = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(FingerprintBuilder().parts(), Parts());
    const std::string large(300, 'x');
    EXPECT_EQ(FingerprintBuilder().add("a", "").add("", large).add("a", "b").parts(),
              (Parts{{"a", ""}, {"", large}, {"a", "b"}}));
}

} // namespace
} // namespace larder::llm
