// The event decoder at every cut, and the encoder.
#include "http/sse.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace larder::http {
namespace {

using Events = std::vector<SseEvent>;

bool same(const Events& a, const Events& b) {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i].name != b[i].name || a[i].data != b[i].data)
            return false;
    }
    return true;
}

/// Feeds a copy that ends where its heap block ends.
void feed_fresh(SseDecoder& decoder, std::string_view piece, Events& events) {
    auto block = std::make_unique<char[]>(piece.size());
    piece.copy(block.get(), piece.size());
    ASSERT_TRUE(decoder.feed({block.get(), piece.size()}, events));
}

Events decode(std::string_view text) {
    SseDecoder decoder;
    Events events;
    feed_fresh(decoder, text, events);
    return events;
}

TEST(SseDecoder, ReadsNamedAndUnnamedEvents) {
    const Events events = decode("event: ping\ndata: {}\n\ndata: a\n\n");
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].name, "ping");
    EXPECT_EQ(events[0].data, "{}");
    EXPECT_EQ(events[1].name, "");
    EXPECT_EQ(events[1].data, "a");
}

TEST(SseDecoder, JoinsDataLinesWithALineFeed) {
    const Events events = decode("data: a\ndata:  b\ndata\ndata:c\n\n");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].data, "a\n b\n\nc");
}

TEST(SseDecoder, SkipsCommentsIdsAndUnknownFields) {
    const Events events =
        decode(": OPENROUTER PROCESSING\n\n:\nid: 7\nretry: 10\nother\ndata: x\n\n");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].data, "x");
}

TEST(SseDecoder, DropsAnEventWithoutDataAndItsName) {
    const Events events = decode("event: lost\n\ndata: x\n\n");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].name, "");
}

TEST(SseDecoder, GivesAnEventWhoseDataIsEmpty) {
    const Events events = decode("data:\n\n");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].data, "");
}

TEST(SseDecoder, CallsMessageEventsByNoName) {
    const Events events = decode("event: message\ndata: x\n\n");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].name, "");
}

TEST(SseDecoder, TakesAllThreeLineEndsAndAByteOrderMark) {
    const Events expected = decode("event: e\ndata: 1\ndata: 2\n\ndata: 3\n\n");
    EXPECT_TRUE(same(decode("\xEF\xBB\xBF"
                            "event: e\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\n\r\n"),
                     expected));
    EXPECT_TRUE(same(decode("event: e\rdata: 1\rdata: 2\r\rdata: 3\r\r"), expected));
    EXPECT_TRUE(same(decode("event: e\rdata: 1\ndata: 2\r\n\ndata: 3\n\r"), expected));
}

TEST(SseDecoder, GivesTheSameEventsForEverySplitInTwo) {
    const std::string text =
        "\xEF\xBB\xBF: hello\r\nevent: delta\r\ndata: {\"t\":\"gr\xC3\xBC\xC3\x9F "
        "\xF0\x9F\x8C\x8D\"}\r\n\r\n:\ndata: a\rdata: b\r\revent: x\n\ndata\n\n";
    const Events whole = decode(text);
    ASSERT_EQ(whole.size(), 3U);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        SseDecoder decoder;
        Events events;
        feed_fresh(decoder, std::string_view(text).substr(0, cut), events);
        feed_fresh(decoder, std::string_view(text).substr(cut), events);
        EXPECT_TRUE(same(events, whole)) << "cut at " << cut;
        EXPECT_TRUE(decoder.at_boundary());
    }
}

TEST(SseDecoder, GivesTheSameEventsByteByByte) {
    const std::string text = "event: a\r\ndata: \xF0\x9F\x8C\x8D\r\n\r\ndata: 2\n\n";
    SseDecoder decoder;
    Events events;
    for (const char& byte : text)
        feed_fresh(decoder, {&byte, 1}, events);
    EXPECT_TRUE(same(events, decode(text)));
}

TEST(SseDecoder, KnowsWhetherItStandsBetweenEvents) {
    SseDecoder decoder;
    Events events;
    EXPECT_TRUE(decoder.at_boundary());
    feed_fresh(decoder, "data: x", events);
    EXPECT_FALSE(decoder.at_boundary());
    feed_fresh(decoder, "\n", events);
    EXPECT_FALSE(decoder.at_boundary());
    feed_fresh(decoder, "\n", events);
    EXPECT_TRUE(decoder.at_boundary());
    feed_fresh(decoder, "event: y\n", events);
    EXPECT_FALSE(decoder.at_boundary());
    feed_fresh(decoder, "\n: a comment that is cut", events);
    EXPECT_TRUE(decoder.at_boundary());
}

TEST(SseDecoder, RefusesAnEventOverItsBound) {
    Events events;
    SseDecoder one_line(16);
    EXPECT_EQ(one_line.feed("data: 0123456789abcdef", events).error().code, ErrorCode::kTooLarge);

    SseDecoder many_lines(16);
    ASSERT_TRUE(many_lines.feed("data: 0123456\n", events));
    EXPECT_EQ(many_lines.feed("data: 0123456\n", events).error().code, ErrorCode::kTooLarge);

    SseDecoder small_events(16);
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(small_events.feed("data: 012345\n\n", events));
    EXPECT_EQ(events.size(), 100U);
}

TEST(WriteSse, WritesWhatTheDecoderReads) {
    std::string out;
    write_sse(out, "delta", "{\"text\":\"a\"}");
    write_sse(out, "", "one\ntwo\r\nthree\rfour");
    write_sse(out, "", "");
    EXPECT_EQ(out.substr(0, out.find("\n\n") + 2), "event: delta\ndata: {\"text\":\"a\"}\n\n");
    const Events events = decode(out);
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].name, "delta");
    EXPECT_EQ(events[1].data, "one\ntwo\nthree\nfour");
    EXPECT_EQ(events[2].data, "");
}

} // namespace
} // namespace larder::http
