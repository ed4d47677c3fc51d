// Tests of hiding keys in the errors of a stream that passes through, and of leaving all else.
#include "gateway/pass_events.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kKey = "secret-of-the-provider";

class PassEventsTest : public testing::Test {
protected:
    PassEventsTest() { provider_.api_key = kKey; }

    /// What is sent when the stream comes in pieces of `size` bytes.
    std::string sent(std::string_view stream, std::size_t size,
                     std::size_t most_held = PassEvents::kMostHeld) {
        PassEvents events(provider_, most_held);
        std::string all;
        for (; !stream.empty(); stream.remove_prefix(std::min(size, stream.size()))) {
            std::string piece(stream.substr(0, size));
            events.feed(piece);
            all += piece;
        }
        return all + events.finish();
    }

    provider::Provider provider_;
};

TEST_F(PassEventsTest, HidesTheKeyInEveryFormOfAnError) {
    const std::string key = kKey;
    for (const std::string& event :
         {R"(data: {"error":{"message":"no )" + key + "\"}}\n\n",
          "event: error\ndata: no " + key + "\n\n", "event: error\r\ndata: no " + key + "\r\n\r\n",
          R"(data: {"\u0065rror":"secr\u0065t-of-the-provider"})" + std::string("\n\n"),
          R"(data: {"type":"error","message":")" + key + "\"}\n\n",
          "event: response.failed\ndata: {\"response\":{\"error\":{\"message\":\"" + key +
              "\"}}}\n\n",
          R"(data: {"status":"failed","last_error":{"message":")" + key + "\"}}\n\n",
          "data: {\"error\":\ndata: \"" + key + "\"}\n\n", R"(data: {"error":")" + key + "\"}"}) {
        for (const std::size_t size : {1UL, 3UL, 1000UL}) {
            const std::string out = sent(
                "data: one\n\n" + event + (event.ends_with('\n') ? "data: two\n\n" : ""), size);
            EXPECT_THAT(out, Not(HasSubstr(key))) << event;
            EXPECT_THAT(out, Not(HasSubstr("secr\\u0065t"))) << event;
            EXPECT_THAT(out, HasSubstr("***")) << event;
            EXPECT_TRUE(out.starts_with("data: one\n\n")) << out;
            EXPECT_EQ(out.ends_with("\n\ndata: two\n\n"), event.ends_with('\n')) << out;
        }
    }
}

TEST_F(PassEventsTest, LeavesAllElseByteForByte) {
    const std::string stream = ": comment\n\n\n\xEF\xBB\xBF"
                               "data:one\r\n\r\nid: 7\rdata: two\r\r"
                               "data: {\"error\":null,\"text\":\"secret-of-the-provider\"}\n\n"
                               "id: 3\ndata:{\"error\":{\"message\":\"no key in it\"}}\n\n"
                               "data: errors and \\u0061\n\nretry: 5\n\ndata: cut";
    for (const std::size_t size : {1UL, 2UL, 5UL, 1000UL})
        EXPECT_EQ(sent(stream, size), stream) << size;
}

TEST_F(PassEventsTest, GivesAnEventWithItsBlankLine) {
    PassEvents events(provider_);
    std::string bytes = "data: one\n\ndata: tw";
    events.feed(bytes);
    EXPECT_EQ(bytes, "data: one\n\n");
    EXPECT_EQ(events.held(), "data: tw");
    bytes = "o\n\n";
    events.feed(bytes);
    EXPECT_EQ(bytes, "data: two\n\n");
    EXPECT_EQ(events.held(), "");
}

TEST_F(PassEventsTest, PassesALargeEventAndHidesAgainBehindIt) {
    const std::string large = "data: " + std::string(500, 'x') + "\ndata: more\n\n";
    const std::string error = R"(data: {"error":"secret-of-the-provider"})"
                              "\n\n";
    for (const std::size_t size : {1UL, 7UL, 100UL, 2000UL}) {
        EXPECT_EQ(sent(large + error, size, 64), large + "data: {\"error\":\"***\"}\n\n") << size;
    }
    PassEvents events(provider_, 64);
    std::string bytes = large.substr(0, 400);
    events.feed(bytes);
    EXPECT_EQ(bytes.size(), 399);
}

} // namespace
} // namespace larder::gateway
