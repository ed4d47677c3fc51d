// Tests of the form in which entries stand in a shared store.
#include "cache/envelope.hpp"

#include "base/text.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace larder::cache {
namespace {

constexpr std::int64_t kAsked = 1'700'000'000'123;

std::shared_ptr<Entry> entry_of(std::string_view body) {
    auto entry = std::make_shared<Entry>();
    entry->asked_ms = kAsked;
    entry->created_ms = kAsked + 5;
    entry->fresh_until_ms = kAsked + 1000;
    entry->stale_until_ms = kAsked + 2000;
    entry->name_space = "default";
    entry->model = "gpt-4o-mini";
    entry->content_type = "application/json";
    entry->body = body;
    return entry;
}

std::string repetitive(std::size_t size) {
    std::string text;
    while (text.size() < size)
        text += "data: {\"choices\":[{\"delta\":{\"content\":\"again\"}}]}\n\n";
    text.resize(size);
    return text;
}

std::string random_text(std::size_t size) {
    std::mt19937 random(11);
    std::string text(size, '\0');
    for (char& c : text)
        c = static_cast<char>(random());
    return text;
}

/// Reads from a block of exactly that size, so that a read beyond it is a finding of ASan.
Result<EntryPtr> read_alone(std::string_view bytes, std::size_t bytes_max = 1 << 20) {
    const std::vector<char> block(bytes.begin(), bytes.end());
    return read_envelope({block.data(), block.size()}, bytes_max);
}

void expect_round_trip(const Entry& entry, EnvelopeBytes kind) {
    const auto read = read_alone(write_envelope(entry, kind));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(encode_entry(**read), encode_entry(entry));
    EXPECT_EQ((*read)->asked_ms, entry.asked_ms);
}

TEST(Envelope, ReadsWhatItWrites) {
    for (const std::size_t size : {0, 1, 100, 4095, 4096, 5000, 100'000}) {
        for (const auto& body : {repetitive(size), random_text(size)}) {
            expect_round_trip(*entry_of(body), EnvelopeBytes::kBinary);
            expect_round_trip(*entry_of(body), EnvelopeBytes::kText);
        }
    }
}

TEST(Envelope, CompressesWhereItPays) {
    const auto small = write_envelope(*entry_of(repetitive(1000)), EnvelopeBytes::kBinary);
    EXPECT_EQ(small[0], 1);
    const auto large = write_envelope(*entry_of(repetitive(50'000)), EnvelopeBytes::kBinary);
    EXPECT_EQ(large[0], 2);
    EXPECT_LT(large.size(), 5'000U);
    const auto random = write_envelope(*entry_of(random_text(50'000)), EnvelopeBytes::kBinary);
    EXPECT_EQ(random[0], 1);
}

TEST(Envelope, IsTextWhereOnlyTextGoesThrough) {
    for (const auto& body : {repetitive(50'000), random_text(50'000)}) {
        const auto text = write_envelope(*entry_of(body), EnvelopeBytes::kText);
        EXPECT_EQ(text[0], 'B');
        for (const char c : text)
            ASSERT_TRUE(c >= ' ' && c < 0x7F);
    }
    EXPECT_LT(write_envelope(*entry_of(repetitive(50'000)), EnvelopeBytes::kText).size(), 6'000U);
}

TEST(Envelope, SaysWhenItWasAskedForInDigitsOfOneLength) {
    EXPECT_EQ(asked_digits(0), "000000000000000");
    EXPECT_EQ(asked_digits(42), "000000000000042");
    EXPECT_EQ(asked_digits(kAsked), "001700000000123");
    EXPECT_EQ(asked_digits(-1), "000000000000000");
    EXPECT_EQ(asked_digits(INT64_MAX), "999999999999999");
    for (const auto kind : {EnvelopeBytes::kBinary, EnvelopeBytes::kText}) {
        const auto bytes = write_envelope(*entry_of("body"), kind);
        EXPECT_EQ(bytes.substr(kAskedAt, kAskedDigits), asked_digits(kAsked));
    }
}

TEST(Envelope, StaysReadableForLaterVersions) {
    // Format 1 by hand: its bytes must not change, for other versions share the store.
    const auto entry = entry_of("body");
    const std::string bytes = "\x01" + std::string("001700000000123") + encode_entry(*entry);
    EXPECT_EQ(write_envelope(*entry, EnvelopeBytes::kBinary), bytes);
    const std::string text = "B001700000000123" + text::base64("\x01" + encode_entry(*entry));
    EXPECT_EQ(write_envelope(*entry, EnvelopeBytes::kText), text);
}

TEST(Envelope, RefusesEveryPrefixOfItself) {
    for (const auto& body : {std::string("short"), repetitive(6'000)}) {
        for (const auto kind : {EnvelopeBytes::kBinary, EnvelopeBytes::kText}) {
            const auto bytes = write_envelope(*entry_of(body), kind);
            for (std::size_t size = 0; size < bytes.size(); ++size)
                ASSERT_FALSE(read_alone(std::string_view(bytes).substr(0, size))) << size;
        }
    }
}

TEST(Envelope, RefusesUnknownFormatsAndRests) {
    const auto bytes = write_envelope(*entry_of("body"), EnvelopeBytes::kBinary);
    for (int format = 0; format < 256; ++format) {
        std::string other = bytes;
        other[0] = static_cast<char>(format);
        EXPECT_EQ(read_alone(other).has_value(), format == 1) << format;
    }
    EXPECT_FALSE(read_alone(bytes + "x"));
    EXPECT_FALSE(read_alone(write_envelope(*entry_of("b"), EnvelopeBytes::kText) + "AAAA"));
    std::string asked = bytes;
    asked[3] = 'x';
    EXPECT_FALSE(read_alone(asked));
    EXPECT_FALSE(read_alone("B001700000000123"));
    EXPECT_FALSE(read_alone("B001700000000123AQ=="));
}

TEST(Envelope, NeverTakesMoreThanItsBound) {
    const auto large = entry_of(repetitive(50'000));
    for (const auto kind : {EnvelopeBytes::kBinary, EnvelopeBytes::kText}) {
        EXPECT_TRUE(read_alone(write_envelope(*large, kind), 60'000));
        EXPECT_FALSE(read_alone(write_envelope(*large, kind), 40'000));
        EXPECT_FALSE(read_alone(write_envelope(*entry_of(random_text(50'000)), kind), 40'000));
    }
    // A promise of 4 GiB in front of a small frame.
    auto bytes = write_envelope(*large, EnvelopeBytes::kBinary);
    for (std::size_t i = 0; i < 4; ++i)
        bytes[1 + kAskedDigits + i] = '\xFF';
    EXPECT_FALSE(read_alone(bytes, std::size_t{1} << 40U));
}

TEST(Envelope, SurvivesHostileBytes) {
    std::mt19937 random(5);
    std::vector<std::string> valid;
    for (const auto kind : {EnvelopeBytes::kBinary, EnvelopeBytes::kText}) {
        valid.push_back(write_envelope(*entry_of("short"), kind));
        valid.push_back(write_envelope(*entry_of(repetitive(6'000)), kind));
    }
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes = valid[random() % valid.size()];
        for (unsigned change = 1 + random() % 4; change > 0; --change)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        if (const auto read = read_alone(bytes))
            ASSERT_LE((*read)->body.size(), std::size_t{1} << 20U);
    }
}

} // namespace
} // namespace larder::cache
