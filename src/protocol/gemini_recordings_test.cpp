// Every recorded answer of Gemini: read, compared with an independent reading, and its streams put
// together.
#include "testing/recordings.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

using larder::testing::Recording;

const Result<std::vector<Recording>>& recordings() {
    static const auto loaded =
        larder::testing::load_recordings(larder::testing::recordings_path(), [](const auto& one) {
            return one.status == 200 && one.api == "gemini.generate";
        });
    return loaded;
}

/// Recorded without `alt=sse`: a JSON array of events, which nobody asks for here.
bool is_array(const Recording& recording) {
    return recording.response_body.starts_with('[');
}

struct Reading {
    Answer answer;
    std::string plain;
    std::string text;
    bool ended_before_eof = false;
};

Result<Reading> read_events(const std::vector<http::SseEvent>& events) {
    const auto reader = make_stream_reader(Dialect::kGemini);
    Reading reading;
    for (const http::SseEvent& event : events) {
        EXPECT_FALSE(reader->answer().ended) << "something follows the end";
        LARDER_TRY(const std::string text, reader->read(event));
        reading.text += text;
    }
    reading.ended_before_eof = reader->answer().ended;
    reader->finish_at_eof();
    reading.answer = reader->answer();
    reading.plain = reader->to_plain();
    return reading;
}

Result<Reading> read_stream(std::string_view body) {
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    LARDER_CHECK(decoder.feed(body, events));
    return read_events(events);
}

Result<Reading> read_either(const Recording& recording) {
    if (recording.stream)
        return read_stream(recording.response_body);
    Reading reading;
    LARDER_TRY(reading.answer, read_answer(Dialect::kGemini, recording.response_body));
    reading.text = reading.answer.text;
    reading.plain = recording.response_body;
    return reading;
}

struct Expected {
    json::Value root;
    [[nodiscard]] std::string text(std::string_view name) const {
        const auto member = root.find(name);
        if (!member || member->is(json::Kind::kNull))
            return {};
        return member->as_string().value_or(std::string(member->raw()));
    }
    [[nodiscard]] std::optional<std::int64_t> count(std::string_view name) const {
        const auto usage = root.find("usage");
        const auto member = usage ? usage->find(name) : std::nullopt;
        return member ? member->as_int() : std::nullopt;
    }
};

std::string hex_of(const Sha256& digest) {
    return text::hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

#define LARDER_NEED_RECORDINGS()                                                                   \
    if (!recordings())                                                                             \
    GTEST_SKIP() << recordings().error().message

TEST(RecordedGemini, IsReadAsTheIndependentReadingSays) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (is_array(recording))
            continue;
        SCOPED_TRACE(recording.id + " " + recording.provider);
        const auto reading = read_either(recording);
        ASSERT_TRUE(reading) << reading.error().message;
        const auto document = json::parse(recording.expect);
        ASSERT_TRUE(document);
        const Expected expected{document->root()};
        const Answer& answer = reading->answer;
        EXPECT_TRUE(answer.ended);
        EXPECT_EQ(answer.id, expected.text("id"));
        EXPECT_EQ(answer.model, expected.text("model"));
        EXPECT_EQ(answer.finish_reason, expected.text("finish"));
        EXPECT_EQ(answer.text, reading->text);
        EXPECT_EQ(hex_of(sha256(answer.text)), expected.text("text_sha256"));
        EXPECT_EQ(answer.has_tool_call, expected.root.find("tools")->size() > 0);
        ASSERT_TRUE(answer.usage);
        EXPECT_TRUE(answer.usage->exact);
        const std::int64_t reasoning = expected.count("reasoning_tokens").value_or(0);
        EXPECT_EQ(answer.usage->output, expected.count("output_tokens").value_or(0) + reasoning);
        EXPECT_EQ(answer.usage->reasoning, reasoning);
        EXPECT_EQ(answer.usage->cached_input, expected.count("cached_input_tokens").value_or(0));
        EXPECT_GE(answer.usage->prompt(), expected.count("input_tokens").value_or(0));
        ++compared;
    }
    EXPECT_EQ(compared, 130U);
}

TEST(RecordedGemini, CountsWhatToolsReadAsPartOfThePrompt) {
    LARDER_NEED_RECORDINGS();
    std::size_t beside = 0;
    for (const Recording& recording : *recordings()) {
        const auto reading = read_either(recording);
        if (!reading || is_array(recording))
            continue;
        const auto plain = json::parse(reading->plain);
        ASSERT_TRUE(plain);
        const auto told = plain->root().find("usageMetadata")->find("totalTokenCount");
        const auto document = json::parse(recording.expect);
        const Expected expected{document->root()};
        beside += reading->answer.usage->prompt() != expected.count("input_tokens") ? 1 : 0;
        if (told->as_int()) // one recorded total is null
            EXPECT_EQ(reading->answer.usage->total(), *told->as_int()) << recording.id;
    }
    EXPECT_EQ(beside, 8U);
}

TEST(RecordedGemini, StreamsGiveAPlainAnswerThatReadsTheSame) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || is_array(recording))
            continue;
        SCOPED_TRACE(recording.id + " " + recording.provider);
        const auto reading = read_stream(recording.response_body);
        ASSERT_TRUE(reading);
        EXPECT_TRUE(reading->ended_before_eof);
        const auto plain = read_answer(Dialect::kGemini, reading->plain);
        ASSERT_TRUE(plain) << plain.error().message;
        EXPECT_EQ(plain->id, reading->answer.id);
        EXPECT_EQ(plain->model, reading->answer.model);
        EXPECT_EQ(plain->text, reading->answer.text);
        EXPECT_EQ(plain->finish, reading->answer.finish);
        EXPECT_EQ(plain->finish_reason, reading->answer.finish_reason);
        EXPECT_EQ(plain->has_tool_call, reading->answer.has_tool_call);
        ASSERT_TRUE(plain->usage);
        EXPECT_EQ(plain->usage->total(), reading->answer.usage->total());
        const auto again = read_stream("data: " + reading->plain + "\n\n");
        ASSERT_TRUE(again);
        EXPECT_EQ(again->plain, reading->plain);
        ++compared;
    }
    EXPECT_EQ(compared, 73U);
}

TEST(RecordedGemini, IsReadTheSameAtEverySplit) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || is_array(recording) || recording.response_body.size() > 4000)
            continue;
        const auto whole = read_stream(recording.response_body);
        ASSERT_TRUE(whole);
        for (std::size_t cut = 1; cut < recording.response_body.size(); cut += 7) {
            http::SseDecoder decoder;
            std::vector<http::SseEvent> events;
            for (const std::string& piece :
                 {recording.response_body.substr(0, cut), recording.response_body.substr(cut)})
                ASSERT_TRUE(decoder.feed(piece, events));
            const auto reading = read_events(events);
            ASSERT_TRUE(reading);
            ASSERT_EQ(reading->plain, whole->plain) << recording.id << " at " << cut;
        }
        ++compared;
    }
    EXPECT_GT(compared, 20U);
}

TEST(RecordedGemini, AnArrayOfEventsIsNoAnswer) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (!is_array(recording))
            continue;
        EXPECT_FALSE(read_answer(Dialect::kGemini, recording.response_body)) << recording.id;
        ++compared;
    }
    EXPECT_EQ(compared, 8U);
}

} // namespace
} // namespace larder::protocol
