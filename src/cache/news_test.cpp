// Tests of the channel's messages: what is written is read, whatever else comes is no news.
#include "cache/news.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace larder::cache {
namespace {

llm::Fingerprint key_of(unsigned char first) {
    llm::Fingerprint key{};
    for (std::size_t i = 0; i < key.size(); ++i)
        key[i] = static_cast<unsigned char>(first + i * 37);
    return key;
}

std::vector<News> samples() {
    return {Purge{.scope = {}, .generation = 1'700'000'000'000},
            Purge{.scope = {PurgeKind::kNamespace, "team one"}, .generation = 7},
            Purge{.scope = {PurgeKind::kModel, "gpt-4o-mini"}, .generation = (1ULL << 53U) - 1},
            Purge{.scope = {PurgeKind::kModel, " spaces  and\nbreaks "}, .generation = 1},
            OverwriteNews{.key = key_of(3), .asked_ms = 1'700'000'000'001},
            OverwriteNews{.key = key_of(250), .asked_ms = 0},
            FlightNews{.kind = FlightNews::Kind::kWanted, .token = "0123456789abcdef.17"},
            FlightNews{.kind = FlightNews::Kind::kLeft, .token = "f.1"},
            FlightNews{.kind = FlightNews::Kind::kPieces, .token = "f.1"},
            FlightNews{.kind = FlightNews::Kind::kDone, .token = "f.1"}};
}

std::string write(const News& news) {
    return std::visit([](const auto& one) { return write_news(one); }, news);
}

TEST(News, ReadsWhatItWrites) {
    for (const News& news : samples()) {
        const auto read = read_news(write(news));
        ASSERT_TRUE(read) << write(news);
        EXPECT_EQ(*read, news) << write(news);
    }
}

TEST(News, KeepsItsFormForOtherVersions) {
    EXPECT_EQ(write_news(Purge{.scope = {PurgeKind::kNamespace, "a b"}, .generation = 12}),
              "p n 12 a b");
    EXPECT_EQ(write_news(Purge{.scope = {}, .generation = 12}), "p a 12 ");
    EXPECT_EQ(write_news(OverwriteNews{.key = {}, .asked_ms = 5}),
              "o " + std::string(43, 'A') + " 5");
    EXPECT_EQ(write_news(FlightNews{.kind = FlightNews::Kind::kWanted, .token = "ab.1"}), "w ab.1");
}

TEST(News, RefusesWhatIsNone) {
    const std::string key(43, 'A');
    const std::vector<std::string> texts{"",
                                         " ",
                                         "p",
                                         "p ",
                                         "p a",
                                         "p a ",
                                         "p a x ",
                                         "p a 0 ",
                                         "p a 12 name",
                                         "p n 12",
                                         "p n 12 ",
                                         "p x 12 name",
                                         "p nn 12 name",
                                         "p n -1 name",
                                         "p n 9007199254740993 name",
                                         "p n 99999999999999999999 name",
                                         "p n 12 " + std::string(513, 'x'),
                                         "P n 12 name",
                                         "o",
                                         "o " + key,
                                         "o " + key + " ",
                                         "o " + key + " x",
                                         "o " + key + " 1 2",
                                         "o " + key + "A 1",
                                         "o " + key.substr(1) + " 1",
                                         "o " + key + " -1",
                                         "o " + key + " 18446744073709551615",
                                         "w",
                                         "w ",
                                         "w A",
                                         "w g",
                                         "w a b",
                                         "w " + std::string(49, 'a'),
                                         "z ab",
                                         "wanted ab",
                                         "n",
                                         "d \n"};
    for (const std::string& text : texts)
        EXPECT_FALSE(read_news(text)) << text;
}

TEST(News, ReadsEveryPrefixWithinItsBounds) {
    for (const News& news : samples()) {
        const std::string text = write(news);
        for (std::size_t size = 0; size < text.size(); ++size) {
            const std::vector<char> piece(text.begin(), text.begin() + static_cast<long>(size));
            (void)read_news({piece.data(), piece.size()}); // a read beyond it is a finding of ASan
        }
    }
}

TEST(News, WritesAgainWhatItTookFromHostileTexts) {
    std::mt19937 random(7);
    for (int round = 0; round < 20'000; ++round) {
        std::string text = write(samples()[random() % samples().size()]);
        for (unsigned change = random() % 4; change > 0; --change)
            text[random() % text.size()] = static_cast<char>(random());
        if (const auto news = read_news(text)) {
            const auto again = read_news(write(*news));
            ASSERT_TRUE(again);
            ASSERT_EQ(*again, *news);
        }
    }
}

} // namespace
} // namespace larder::cache
