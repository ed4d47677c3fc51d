// Gemini's answers as what they mean: every recorded one plain and streamed, and made-up ones.
#include "convert/gemini_call_id.hpp"
#include "convert/reply.hpp"
#include "protocol/answer.hpp"
#include "testing/recordings.hpp"

#include <gtest/gtest.h>

namespace larder::convert {
namespace {

using larder::testing::Recording;
using protocol::Dialect;

Result<Reply> read_reply(std::string_view body) {
    const auto document = json::parse(body);
    if (!document)
        return std::unexpected(document.error());
    return read_gemini_reply(protocol::Cursor(*document));
}

/// What the deltas of a stream come to, with the rules that every writer relies on checked.
struct Streamed {
    Reply reply;
    std::vector<Delta> deltas;
};

void take(const Delta& delta, Reply& reply, bool& is_open) {
    switch (delta.kind) {
    case Delta::Kind::kStart:
        reply.id = delta.id;
        reply.model = delta.model;
        break;
    case Delta::Kind::kPartBegin: {
        EXPECT_FALSE(is_open);
        EXPECT_EQ(delta.index, reply.parts.size());
        ReplyPart part{.kind = delta.part};
        part.id = delta.id;
        part.name = delta.name;
        reply.parts.push_back(std::move(part));
        is_open = true;
        break;
    }
    case Delta::Kind::kPartText:
        EXPECT_TRUE(is_open);
        ASSERT_EQ(delta.index + 1, reply.parts.size());
        reply.parts.back().text += delta.text;
        break;
    case Delta::Kind::kPartEnd:
        EXPECT_TRUE(is_open);
        is_open = false;
        break;
    case Delta::Kind::kEnd:
        EXPECT_FALSE(is_open);
        reply.end = delta.end;
        break;
    case Delta::Kind::kUsage:
        reply.usage = delta.usage;
        break;
    case Delta::Kind::kSignature:
        ADD_FAILURE();
        break;
    }
}

Result<Streamed> read_stream(std::string_view body) {
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    LARDER_CHECK(decoder.feed(body, events));
    const auto reader = make_gemini_reader();
    Streamed streamed;
    for (const http::SseEvent& event : events)
        LARDER_CHECK(reader->read(event, streamed.deltas));
    reader->finish(streamed.deltas);
    bool is_open = false;
    for (const Delta& delta : streamed.deltas)
        take(delta, streamed.reply, is_open);
    return streamed;
}

void expect_equal(const Reply& a, const Reply& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.model, b.model);
    EXPECT_EQ(a.end, b.end);
    ASSERT_EQ(a.usage.has_value(), b.usage.has_value());
    if (a.usage)
        EXPECT_EQ(a.usage->total(), b.usage->total());
    ASSERT_EQ(a.parts.size(), b.parts.size());
    for (std::size_t i = 0; i < a.parts.size(); ++i) {
        EXPECT_EQ(a.parts[i].kind, b.parts[i].kind);
        EXPECT_EQ(a.parts[i].text, b.parts[i].text);
        EXPECT_EQ(a.parts[i].id, b.parts[i].id);
        EXPECT_EQ(a.parts[i].name, b.parts[i].name);
    }
}

/// Answers of tools that run at Google have parts that no other API has.
bool has_hosted_parts(const Recording& recording) {
    for (const auto* part : {"executableCode", "codeExecutionResult", "\"toolCall\""}) {
        if (recording.response_body.contains(part))
            return true;
    }
    return false;
}

std::string text_of(const Reply& reply) {
    std::string text;
    for (const ReplyPart& part : reply.parts)
        text += part.kind == PartKind::kText ? part.text : "";
    return text;
}

const Result<std::vector<Recording>>& recordings() {
    static const auto loaded =
        larder::testing::load_recordings(larder::testing::recordings_path(), [](const auto& one) {
            return one.status == 200 && one.api == "gemini.generate" &&
                   !one.response_body.starts_with('['); // asked for without alt=sse
        });
    return loaded;
}

TEST(GeminiReply, EveryRecordingReadsTheSamePlainAndStreamed) {
    if (!recordings())
        GTEST_SKIP() << recordings().error().message;
    std::size_t compared = 0;
    for (const Recording& recording : *recordings()) {
        SCOPED_TRACE(recording.id);
        std::string plain = recording.response_body;
        std::string stream = "data: ";
        if (recording.stream) {
            const auto merger = protocol::make_stream_reader(Dialect::kGemini);
            http::SseDecoder decoder;
            std::vector<http::SseEvent> events;
            ASSERT_TRUE(decoder.feed(recording.response_body, events));
            for (const http::SseEvent& event : events)
                ASSERT_TRUE(merger->read(event));
            plain = merger->to_plain();
            stream = recording.response_body;
        } else {
            protocol::append_compact(stream, plain);
            stream += "\n\n";
        }
        const auto reply = read_reply(plain);
        const auto streamed = read_stream(stream);
        ASSERT_EQ(reply.has_value(), !has_hosted_parts(recording));
        ASSERT_EQ(reply.has_value(), streamed.has_value());
        if (!reply)
            continue;
        expect_equal(*reply, streamed->reply);
        const auto answer = protocol::read_answer(Dialect::kGemini, plain);
        ASSERT_TRUE(answer);
        EXPECT_EQ(text_of(*reply), answer->text);
        ++compared;
    }
    EXPECT_EQ(compared, 126U);
}

TEST(GeminiReply, RecordedToolCallsKeepTheirArgumentsAndSignatures) {
    if (!recordings())
        GTEST_SKIP() << recordings().error().message;
    std::size_t signatures = 0;
    for (const Recording& recording : *recordings()) {
        if (recording.stream || has_hosted_parts(recording))
            continue;
        const auto reply = read_reply(recording.response_body);
        ASSERT_TRUE(reply);
        const auto expected = json::parse(recording.expect);
        const auto tools = expected->root().find("tools");
        std::size_t calls = 0;
        for (const ReplyPart& part : reply->parts) {
            if (part.kind != PartKind::kToolCall)
                continue;
            EXPECT_TRUE(recording.expect.contains("[\"" + part.name + "\"")) << recording.expect;
            EXPECT_TRUE(json::parse(part.text));
            const std::string signature = split_call_id(part.id).signature;
            EXPECT_TRUE(signature.empty() || recording.response_body.contains(signature));
            signatures += signature.empty() ? 0 : 1;
            ++calls;
        }
        EXPECT_EQ(calls, tools->size());
        EXPECT_EQ(reply->end == End::kToolCalls, calls > 0) << recording.id;
    }
    EXPECT_GT(signatures, 5U);
}

TEST(GeminiReply, JoinsNeighbouringTextsOfOneKind) {
    const auto reply = read_reply(
        R"({"candidates":[{"content":{"parts":[{"text":"a","thought":true},{"text":"b","thought":true},
            {"text":"c"},{"text":""},{"text":"d","thoughtSignature":"x"},
            {"functionCall":{"name":"f"}},{"functionCall":{"name":"f","id":"own","args":{ "z": 1 }}},
            {"text":"e"}]},"finishReason":"STOP"}],"responseId":"r","modelVersion":"m"})");
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->parts.size(), 5U);
    EXPECT_EQ(reply->parts[0].text, "ab");
    EXPECT_EQ(reply->parts[0].kind, PartKind::kThinking);
    EXPECT_EQ(reply->parts[1].text, "cd");
    EXPECT_EQ(reply->parts[2].id, "call_r_0");
    EXPECT_EQ(reply->parts[2].text, "{}");
    EXPECT_EQ(reply->parts[3].id, "own");
    EXPECT_EQ(reply->parts[3].text, R"({"z":1})");
    EXPECT_EQ(reply->end, End::kToolCalls);
    EXPECT_FALSE(reply->usage);
}

TEST(GeminiReply, SaysWhyItEnded) {
    const auto end_of = [](const std::string& finish) {
        const auto reply =
            read_reply(R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":")" +
                       finish + "\"}]}");
        return reply ? reply->end : End::kPause;
    };
    EXPECT_EQ(end_of("STOP"), End::kStop);
    EXPECT_EQ(end_of("MAX_TOKENS"), End::kLength);
    EXPECT_EQ(end_of("SAFETY"), End::kRefused);
    EXPECT_EQ(end_of("MALFORMED_FUNCTION_CALL"), End::kRefused);
    const auto blocked = read_reply(R"({"promptFeedback":{"blockReason":"SAFETY"}})");
    ASSERT_TRUE(blocked);
    EXPECT_EQ(blocked->end, End::kRefused);
    EXPECT_TRUE(blocked->parts.empty());
    const auto cut = read_reply(R"({"promptFeedback":{"blockReason":"SAFETY"},"candidates":[)"
                                R"({"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]})");
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->end, End::kRefused);
}

TEST(GeminiReply, RefusesWhatNoOtherApiCanShow) {
    for (const auto* part :
         {R"({"inlineData":{"mimeType":"image/png","data":"AA=="}})",
          R"({"executableCode":{"language":"PYTHON","code":"1"}})", R"({"functionCall":{}})",
          R"({"functionCall":{"name":"f","args":[1]}})"}) {
        const std::string body = R"({"candidates":[{"content":{"parts":[)" + std::string(part) +
                                 R"(]},"finishReason":"STOP"}]})";
        const auto reply = read_reply(body);
        ASSERT_FALSE(reply) << part;
        EXPECT_EQ(reply.error().code, ErrorCode::kProviderUnreadable);
        EXPECT_FALSE(read_stream("data: " + body + "\n\n")) << part;
    }
    EXPECT_FALSE(read_reply("{}"));
    EXPECT_FALSE(read_stream("data: []\n\n"));
    EXPECT_FALSE(read_stream("data: {\n\n"));
}

TEST(GeminiReply, TellsAnErrorInTheStream) {
    for (const std::string body :
         {R"({"error":{"message":"busy"}})", R"([{"error":{"message":"busy"}}])"}) {
        const auto streamed = read_stream("data: " + body + "\n\n");
        ASSERT_FALSE(streamed) << body;
        EXPECT_EQ(streamed.error().code, ErrorCode::kProviderRejected);
        EXPECT_TRUE(streamed.error().message.ends_with("busy")) << streamed.error().message;
    }
}

TEST(GeminiReply, AStreamStartsOnceAndEndsWithItsUsage) {
    const auto streamed = read_stream(
        "data: "
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"responseId\":\"r\"}\n\n"
        "data: "
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"finishReason\":\"STOP\"}],"
        "\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2}}\n\n");
    ASSERT_TRUE(streamed);
    std::vector<Delta::Kind> kinds;
    for (const Delta& delta : streamed->deltas)
        kinds.push_back(delta.kind);
    using enum Delta::Kind;
    EXPECT_EQ(kinds,
              (std::vector{kStart, kPartBegin, kPartText, kPartText, kPartEnd, kEnd, kUsage}));
    EXPECT_EQ(streamed->reply.id, "r");
    EXPECT_EQ(streamed->reply.usage->total(), 5);
}

} // namespace
} // namespace larder::convert
