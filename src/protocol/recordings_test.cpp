// Every recorded answer of the two APIs: read, compared with an independent reading, brought into
// the other wire form and back.
#include "testing/recordings.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "protocol/cursor.hpp"
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

namespace larder::protocol {
namespace {

using larder::testing::Recording;

Dialect dialect_of(const Recording& recording) {
    return recording.api == "openai.chat" ? Dialect::kOpenAiChat : Dialect::kAnthropicMessages;
}

/// All answers of status 200 of the two APIs, read once.
const Result<std::vector<Recording>>& recordings() {
    static const auto loaded =
        larder::testing::load_recordings(larder::testing::recordings_path(), [](const auto& one) {
            return one.status == 200 &&
                   (one.api == "openai.chat" || one.api == "anthropic.messages");
        });
    return loaded;
}

#define LARDER_NEED_RECORDINGS()                                                                   \
    if (!recordings())                                                                             \
    GTEST_SKIP() << recordings().error().message

std::vector<http::SseEvent> events_of(std::string_view body) {
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    EXPECT_TRUE(decoder.feed(body, events));
    return events;
}

struct Reading {
    Answer answer;
    std::string plain; // only of an ended answer
    std::string text;  // what the single events gave
};

Result<Reading> read_stream(Dialect dialect, std::string_view body) {
    const auto reader = make_stream_reader(dialect);
    Reading reading;
    for (const http::SseEvent& event : events_of(body)) {
        LARDER_TRY(const std::string text, reader->read(event));
        reading.text += text;
    }
    reader->finish_at_eof();
    reading.answer = reader->answer();
    if (reading.answer.ended)
        reading.plain = reader->to_plain();
    return reading;
}

Result<Reading> read_either(const Recording& recording) {
    if (recording.stream)
        return read_stream(dialect_of(recording), recording.response_body);
    Reading reading;
    LARDER_TRY(reading.answer, read_answer(dialect_of(recording), recording.response_body));
    reading.text = reading.answer.text;
    reading.plain = recording.response_body;
    return reading;
}

std::string hex_of(const Sha256& digest) {
    return text::hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

void write_normal(std::string& out, Cursor value, std::string_view name);

/// Members that only one of the two forms has, and that mean nothing in the other: the `index` of a
/// tool call (some vendors' plain answers carry it too), an empty `delta` beside a message
/// (Perplexity), a null.
bool is_of_one_form(const Member& member, std::string_view parent) {
    return member.value.is_null() || (member.name == "index" && parent == "tool_calls") ||
           (member.name == "delta" && parent == "choices");
}

void write_normal(std::string& out, Cursor value, std::string_view name) {
    const std::string parent(name);
    std::string_view separator;
    if (value.is_object()) {
        out += '{';
        for (const Member& member : value.members()) {
            if (is_of_one_form(member, parent))
                continue;
            out += separator;
            separator = ",";
            json::write_string(out, member.name);
            out += ':';
            write_normal(out, member.value, member.name);
        }
        out += '}';
    } else if (value.is_array()) {
        out += '[';
        for (const Cursor element : value.elements()) {
            out += separator;
            separator = ",";
            write_normal(out, element, parent);
        }
        out += ']';
    } else {
        out += value.raw();
    }
}

/// The canonical form of an answer without what only one of the forms has.
std::string normal(std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document);
    std::string written;
    std::string out;
    if (document)
        write_normal(written, Cursor(*document), "");
    if (const auto again = json::parse(written))
        json::write_canonical(out, again->root());
    return out;
}

/// Why a recording of status 200 holds no whole answer; empty: it does.
std::string_view broken_because(const Recording& recording) {
    static const std::map<std::string_view, std::string_view> kBroken = {
        {"009fa8e7d5d9ceac", "an error event ends the stream (Groq)"},
        {"0f3a95b30e8e582f", "a chunk with an error ends the stream (OpenRouter)"},
        {"d03e5dc6435d1f9d", "the body is no JSON: an echo server answered"},
    };
    const auto found = kBroken.find(recording.id);
    return found == kBroken.end() ? std::string_view() : found->second;
}

struct Expected {
    json::Value root;
    [[nodiscard]] std::string text(std::string_view name) const {
        const auto member = root.find(name);
        return member ? member->as_string().value_or("") : "";
    }
    [[nodiscard]] std::optional<std::int64_t> count(std::string_view name) const {
        const auto usage = root.find("usage");
        const auto member = usage ? usage->find(name) : std::nullopt;
        return member ? member->as_int() : std::nullopt;
    }
};

/// Our figures beside the independent ones, where those are silent or counted otherwise by a
/// reason.
void compare_usage(const std::optional<llm::Usage>& usage, const Expected& expected,
                   Dialect dialect) {
    const auto input = expected.count("input_tokens");
    ASSERT_EQ(usage.has_value(), input.has_value());
    if (!input)
        return;
    EXPECT_TRUE(usage->exact);
    EXPECT_EQ(dialect == Dialect::kOpenAiChat ? usage->prompt() : usage->input, *input);
    // Azure reports more cached tokens than prompt tokens in six recordings: no more than all.
    const std::int64_t cached = expected.count("cached_input_tokens").value_or(0);
    EXPECT_EQ(usage->cached_input,
              dialect == Dialect::kOpenAiChat ? std::min(cached, *input) : cached);
    // The independent reading knows no cache_write_tokens of OpenAI's look-alikes.
    if (const auto written = expected.count("cache_write_tokens"))
        EXPECT_EQ(usage->cache_write + usage->cache_write_1h, *written);
    const std::int64_t output = expected.count("output_tokens").value_or(0);
    const auto reasoning = expected.count("reasoning_tokens");
    // xAI counts reasoning beside the completion: its output is the sum of both.
    const bool is_beside = reasoning && usage->output == output + *reasoning;
    EXPECT_TRUE(usage->output == output || is_beside) << usage->output << " " << output;
    // It knows no thinking_tokens of Anthropic; one vendor reports more reasoning than output.
    if (reasoning)
        EXPECT_EQ(usage->reasoning, std::min(*reasoning, usage->output));
}

TEST(RecordedAnswers, AreReadAsTheIndependentReadingSays) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        SCOPED_TRACE(recording.id + " " + recording.api + " " + recording.provider);
        const auto reading = read_either(recording);
        ASSERT_EQ(reading.has_value(), broken_because(recording).empty());
        if (!reading)
            continue;
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
        compare_usage(answer.usage, expected, dialect_of(recording));
        ++compared;
    }
    EXPECT_GT(compared, 1000U);
}

TEST(RecordedAnswers, XaisReasoningIsPartOfTheOutput) {
    LARDER_NEED_RECORDINGS();
    std::size_t beside = 0;
    for (const Recording& recording : *recordings()) {
        const auto reading = read_either(recording);
        const auto document = json::parse(recording.expect);
        const Expected expected{document->root()};
        if (reading && reading->answer.usage &&
            reading->answer.usage->output != expected.count("output_tokens").value_or(0)) {
            EXPECT_EQ(recording.provider, "xai") << recording.id;
            ++beside;
        }
    }
    EXPECT_EQ(beside, 4U);
}

TEST(RecordedAnswers, SurviveTheWayIntoAStreamAndBack) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (recording.stream || !broken_because(recording).empty())
            continue;
        SCOPED_TRACE(recording.id + " " + recording.api + " " + recording.provider);
        const Dialect dialect = dialect_of(recording);
        const auto stream = plain_to_stream(dialect, recording.response_body, true);
        ASSERT_TRUE(stream);
        const auto back = read_stream(dialect, *stream);
        ASSERT_TRUE(back) << back.error().message;
        ASSERT_TRUE(back->answer.ended);
        EXPECT_EQ(normal(back->plain), normal(recording.response_body));
        ++compared;
    }
    EXPECT_GT(compared, 600U);
}

TEST(RecordedAnswers, BecomeStreamsWithoutLineBreaksInTheirData) {
    LARDER_NEED_RECORDINGS();
    for (const Recording& recording : *recordings()) {
        if (recording.stream || !broken_because(recording).empty())
            continue;
        const auto stream = plain_to_stream(dialect_of(recording), recording.response_body, true);
        ASSERT_TRUE(stream);
        for (const http::SseEvent& event : events_of(*stream))
            EXPECT_EQ(event.data.find('\n'), std::string::npos) << recording.id;
    }
}

TEST(RecordedStreams, GiveAPlainAnswerThatReadsTheSame) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || !broken_because(recording).empty())
            continue;
        SCOPED_TRACE(recording.id + " " + recording.api + " " + recording.provider);
        const Dialect dialect = dialect_of(recording);
        const auto reading = read_stream(dialect, recording.response_body);
        ASSERT_TRUE(reading);
        ASSERT_TRUE(reading->answer.ended);
        const auto plain = read_answer(dialect, reading->plain);
        ASSERT_TRUE(plain) << plain.error().message;
        EXPECT_EQ(plain->id, reading->answer.id);
        EXPECT_EQ(plain->model, reading->answer.model);
        EXPECT_EQ(plain->text, reading->answer.text);
        EXPECT_EQ(plain->finish, reading->answer.finish);
        EXPECT_EQ(plain->finish_reason, reading->answer.finish_reason);
        EXPECT_EQ(plain->has_tool_call, reading->answer.has_tool_call);
        EXPECT_EQ(plain->usage.has_value(), reading->answer.usage.has_value());
        ++compared;
    }
    EXPECT_GT(compared, 350U);
}

TEST(RecordedStreams, SurviveTheWayIntoAPlainAnswerAndBack) {
    LARDER_NEED_RECORDINGS();
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || !broken_because(recording).empty())
            continue;
        SCOPED_TRACE(recording.id + " " + recording.api + " " + recording.provider);
        const Dialect dialect = dialect_of(recording);
        const auto reading = read_stream(dialect, recording.response_body);
        ASSERT_TRUE(reading);
        const auto stream = plain_to_stream(dialect, reading->plain, true);
        ASSERT_TRUE(stream);
        const auto back = read_stream(dialect, *stream);
        ASSERT_TRUE(back);
        EXPECT_EQ(normal(back->plain), normal(reading->plain));
    }
}

/// Reads a body in pieces, each in a heap block of its own.
Result<Reading> read_in_pieces(Dialect dialect, std::string_view body,
                               const std::vector<std::size_t>& cuts) {
    http::SseDecoder decoder;
    const auto reader = make_stream_reader(dialect);
    Reading reading;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const std::size_t end = i < cuts.size() ? cuts[i] : body.size();
        const auto block = std::make_unique<char[]>(end - begin);
        body.copy(block.get(), end - begin, begin);
        std::vector<http::SseEvent> events;
        LARDER_CHECK(decoder.feed({block.get(), end - begin}, events));
        for (const http::SseEvent& event : events) {
            LARDER_TRY(const std::string text, reader->read(event));
            reading.text += text;
        }
        begin = end;
    }
    if (decoder.at_boundary())
        reader->finish_at_eof();
    reading.answer = reader->answer();
    if (reading.answer.ended)
        reading.plain = reader->to_plain();
    return reading;
}

TEST(RecordedStreams, ReadTheSameAtEverySplit) {
    LARDER_NEED_RECORDINGS();
    // Some short ones of each kind; every byte of each is a cut once.
    constexpr std::size_t kBytesMax = 2500;
    std::map<std::string, int> taken;
    for (const Recording& recording : *recordings()) {
        const std::string& body = recording.response_body;
        if (!recording.stream || body.size() > kBytesMax || !broken_because(recording).empty())
            continue;
        std::string kind = recording.api;
        for (const char* tag : {"crlf", "utf8_stream", "tool_call", "reasoning"})
            kind += recording.has_tag(tag) ? tag : "";
        if (taken[kind]++ > 0)
            continue;
        SCOPED_TRACE(recording.id + " " + kind);
        const Dialect dialect = dialect_of(recording);
        const auto whole = read_stream(dialect, body);
        ASSERT_TRUE(whole);
        for (std::size_t cut = 0; cut <= body.size(); ++cut) {
            const auto split = read_in_pieces(dialect, body, {cut});
            ASSERT_TRUE(split);
            ASSERT_EQ(split->plain, whole->plain) << "cut at " << cut;
            ASSERT_EQ(split->text, whole->text) << "cut at " << cut;
        }
    }
    EXPECT_GE(taken.size(), 4U);
}

TEST(RecordedStreams, ReadTheSameByteByByte) {
    LARDER_NEED_RECORDINGS();
    std::size_t read = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || ++read % 16 != 0 || !broken_because(recording).empty())
            continue;
        const std::string& body = recording.response_body;
        std::vector<std::size_t> cuts;
        for (std::size_t cut = 1; cut < body.size(); ++cut)
            cuts.push_back(cut);
        const auto whole = read_stream(dialect_of(recording), body);
        const auto split = read_in_pieces(dialect_of(recording), body, cuts);
        ASSERT_TRUE(whole && split);
        EXPECT_EQ(split->plain, whole->plain) << recording.id;
    }
}

TEST(RecordedStreams, NeverEndWhenTheyAreCut) {
    LARDER_NEED_RECORDINGS();
    std::size_t read = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || ++read % 8 != 0 || !broken_because(recording).empty())
            continue;
        const std::string& body = recording.response_body;
        const Dialect dialect = dialect_of(recording);
        // Cut before the finish: neither a terminal event nor every finish reason was seen.
        const std::string_view half = std::string_view(body).substr(0, body.size() / 3);
        const auto reading = read_in_pieces(dialect, half, {});
        ASSERT_TRUE(reading);
        EXPECT_FALSE(reading->answer.ended && reading->answer.finish == Finish::kUnknown)
            << recording.id;
        if (dialect == Dialect::kAnthropicMessages)
            EXPECT_FALSE(reading->answer.ended) << recording.id;
    }
}

TEST(RecordedStreams, HideOnlyTheUsageFromAClientThatDidNotAskForIt) {
    LARDER_NEED_RECORDINGS();
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || !broken_because(recording).empty())
            continue;
        SCOPED_TRACE(recording.id);
        const Dialect dialect = dialect_of(recording);
        const std::string& body = recording.response_body;
        EXPECT_EQ(stream_for_client(dialect, body, true), body);
        const std::string hidden = stream_for_client(dialect, body, false);
        std::vector<http::SseEvent> expected;
        for (http::SseEvent& event : events_of(body)) {
            if (is_for_client(dialect, event, false))
                expected.push_back(std::move(event));
        }
        const auto events = events_of(hidden);
        ASSERT_EQ(events.size(), expected.size());
        for (std::size_t i = 0; i < events.size(); ++i)
            EXPECT_EQ(events[i].data, expected[i].data);
        const auto before = read_stream(dialect, body);
        const auto after = read_stream(dialect, hidden);
        ASSERT_TRUE(before && after);
        EXPECT_EQ(after->answer.text, before->answer.text);
        EXPECT_TRUE(after->answer.ended);
    }
}

} // namespace
} // namespace larder::protocol
