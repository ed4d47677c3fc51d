// Recorded traffic across protocols with Gemini at the provider's end: its answers for clients of
// chat and messages, and their requests in its words.
#include "convert/conversation.hpp"
#include "convert/convert.hpp"
#include "protocol/protocol.hpp"
#include "testing/recordings.hpp"

#include <gtest/gtest.h>

namespace larder::convert {
namespace {

using larder::testing::Recording;
using protocol::Answer;

constexpr Dialect kClients[] = {Dialect::kOpenAiChat, Dialect::kAnthropicMessages};

const Result<std::vector<Recording>>& recordings() {
    static const auto loaded =
        larder::testing::load_recordings(larder::testing::recordings_path(), [](const auto& one) {
            return one.api == "gemini.generate" || one.api == "openai.chat" ||
                   one.api == "anthropic.messages";
        });
    return loaded;
}

#define LARDER_NEED_RECORDINGS()                                                                   \
    if (!recordings())                                                                             \
    GTEST_SKIP() << recordings().error().message

/// Less JSON arrays (streams without alt=sse) and the parts of tools that run at Google.
bool is_convertible(const Recording& recording) {
    if (recording.api != "gemini.generate" || recording.status != 200 ||
        recording.response_body.starts_with('['))
        return false;
    for (const auto* part : {"executableCode", "codeExecutionResult", "\"toolCall\""}) {
        if (recording.response_body.contains(part))
            return false;
    }
    return true;
}

std::vector<http::SseEvent> events_of(std::string_view body) {
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    EXPECT_TRUE(decoder.feed(body, events));
    return events;
}

struct Whole {
    Answer answer;
    std::string plain;
};

Result<Whole> read_stream(Dialect dialect, std::string_view body) {
    const auto reader = protocol::make_stream_reader(dialect);
    Whole whole;
    for (const http::SseEvent& event : events_of(body))
        LARDER_CHECK(reader->read(event));
    whole.answer = reader->answer();
    whole.plain = reader->to_plain();
    return whole;
}

std::string converted_stream(std::string_view body, Dialect to) {
    const auto converter = make_stream_converter(Dialect::kGemini, to, true);
    std::string out;
    for (const http::SseEvent& event : events_of(body))
        EXPECT_TRUE(converter->convert(event, out));
    converter->finish(out);
    return out;
}

void expect_same(const Answer& shown, const Answer& told) {
    EXPECT_EQ(shown.text, told.text);
    EXPECT_EQ(shown.has_tool_call, told.has_tool_call);
    EXPECT_EQ(shown.finish, told.finish);
    ASSERT_EQ(shown.usage.has_value(), told.usage.has_value());
    if (!told.usage)
        return;
    EXPECT_EQ(shown.usage->prompt(), told.usage->prompt());
    EXPECT_EQ(shown.usage->cached_input, told.usage->cached_input);
    EXPECT_EQ(shown.usage->output, told.usage->output);
}

TEST(GeminiRecorded, AnswersReachClientsOfBothApis) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (!is_convertible(recording))
            continue;
        std::string plain = recording.response_body;
        if (recording.stream) {
            const auto whole = read_stream(Dialect::kGemini, plain);
            ASSERT_TRUE(whole);
            plain = whole->plain;
        }
        const auto told = protocol::read_answer(Dialect::kGemini, plain);
        ASSERT_TRUE(told);
        for (const Dialect client : kClients) {
            SCOPED_TRACE(recording.id + " for " + std::string(protocol::name_of(client)));
            const auto shown = write_answer(Dialect::kGemini, plain, client);
            ASSERT_TRUE(shown) << shown.error().message;
            const auto answer = protocol::read_answer(client, *shown);
            ASSERT_TRUE(answer) << answer.error().message;
            expect_same(*answer, *told);
            ++compared;
        }
    }
    EXPECT_EQ(compared, 252U);
}

TEST(GeminiRecorded, StreamsReachClientsOfBothApisAsTheirPlainFormDoes) {
    LARDER_NEED_RECORDINGS();
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        if (!recording.stream || !is_convertible(recording))
            continue;
        const auto told = read_stream(Dialect::kGemini, recording.response_body);
        ASSERT_TRUE(told);
        for (const Dialect client : kClients) {
            SCOPED_TRACE(recording.id + " for " + std::string(protocol::name_of(client)));
            const std::string stream = converted_stream(recording.response_body, client);
            const auto shown = read_stream(client, stream);
            ASSERT_TRUE(shown) << shown.error().message << stream;
            EXPECT_TRUE(shown->answer.ended);
            expect_same(shown->answer, told->answer);
            const auto plain = write_answer(Dialect::kGemini, told->plain, client);
            ASSERT_TRUE(plain);
            const auto answer = protocol::read_answer(client, *plain);
            ASSERT_TRUE(answer);
            EXPECT_EQ(answer->id, shown->answer.id);
            EXPECT_EQ(answer->model, shown->answer.model);
            EXPECT_EQ(answer->finish_reason, shown->answer.finish_reason);
            ++compared;
        }
    }
    EXPECT_GT(compared, 130U);
}

TEST(GeminiRecorded, RequestsOfBothApisAreCarriedOrRefusedByAName) {
    LARDER_NEED_RECORDINGS();
    std::size_t carried = 0;
    for (const Recording& recording : *recordings()) {
        const auto document = json::parse(recording.request_body);
        if (recording.api == "gemini.generate" || !document ||
            !document->root().is(json::Kind::kObject))
            continue;
        const Dialect client =
            recording.api == "openai.chat" ? Dialect::kOpenAiChat : Dialect::kAnthropicMessages;
        const auto call = protocol::read_call(client, *document);
        if (!call)
            continue;
        const auto body =
            write_request(client, *document, Dialect::kGemini, *call, "gemini-2.5-flash");
        if (!body) {
            EXPECT_EQ(body.error().code, ErrorCode::kInvalidRequest) << recording.id;
            EXPECT_FALSE(body.error().field.empty()) << recording.id << body.error().message;
            continue;
        }
        const auto written = json::parse(*body);
        ASSERT_TRUE(written) << recording.id << *body;
        ASSERT_TRUE(written->root().find("contents")) << recording.id;
        ++carried;
    }
    EXPECT_GT(carried, 900U);
}

} // namespace
} // namespace larder::convert
