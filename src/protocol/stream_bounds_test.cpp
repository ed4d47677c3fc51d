// Streams that are hostile, endless, or say more than their end: what the readers make of them.
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

Answer answer_of(Dialect dialect, const std::vector<std::string>& events) {
    const auto reader = make_stream_reader(dialect);
    for (const std::string& data : events)
        EXPECT_TRUE(reader->read({.name = {}, .data = data})) << data;
    return reader->answer();
}

std::string chat_chunk(std::string_view delta, std::string_view reason) {
    return R"({"choices":[{"index":0,"delta":)" + std::string(delta) + R"(,"finish_reason":)" +
           std::string(reason) + "}]}";
}

TEST(LateWords, MakeAChatAnswerOneThatIsNotKept) {
    const std::string done = "[DONE]";
    const std::string text = R"({"content":"a"})";
    EXPECT_EQ(answer_of(Dialect::kOpenAiChat,
                        {chat_chunk(text, "null"), chat_chunk("{}", "\"stop\""), done})
                  .finish,
              Finish::kWhole);
    EXPECT_EQ(answer_of(Dialect::kOpenAiChat, {chat_chunk(text, "\"content_filter\""),
                                               chat_chunk("{}", "\"stop\""), done})
                  .finish,
              Finish::kRefused);
    EXPECT_EQ(
        answer_of(Dialect::kOpenAiChat, {chat_chunk(text, "null"), chat_chunk(text, "\"length\""),
                                         chat_chunk("{}", "\"stop\""), done})
            .finish,
        Finish::kBounded);
    EXPECT_EQ(
        answer_of(Dialect::kOpenAiChat, {chat_chunk(text, "null"), chat_chunk("{}", "\"stop\""),
                                         chat_chunk(text, "null"), done})
            .finish,
        Finish::kUnknown);
}

TEST(LateWords, MakeAMessageOneThatIsNotKept) {
    const std::string start = R"({"type":"message_start","message":{"content":[]}})";
    const std::string block =
        R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})";
    const std::string delta =
        R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}})";
    const std::string end = R"({"type":"message_delta","delta":{"stop_reason":"end_turn"}})";
    const std::string stop = R"({"type":"message_stop"})";
    EXPECT_EQ(
        answer_of(Dialect::kAnthropicMessages, {start, block, delta, delta, end, stop}).finish,
        Finish::kWhole);
    EXPECT_EQ(answer_of(Dialect::kAnthropicMessages, {start, block, delta, delta, end, delta, stop})
                  .finish,
              Finish::kUnknown);
}

TEST(ForgottenContent, LeavesTheEndAndTheFiguresKnown) {
    for (const Dialect dialect : {Dialect::kOpenAiChat, Dialect::kAnthropicMessages}) {
        const bool is_chat = dialect == Dialect::kOpenAiChat;
        const auto reader = make_stream_reader(dialect);
        const auto read = [&](const std::string& data) {
            ASSERT_TRUE(reader->read({.name = {}, .data = data})) << data;
        };
        const std::string more =
            is_chat
                ? chat_chunk(R"({"content":"abc"})", "null")
                : R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"abc"}})";
        if (!is_chat) {
            read(R"({"type":"message_start","message":{"content":[]}})");
            read(
                R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})");
        }
        for (int i = 0; i < 3; ++i) {
            read(more);
            read(more);
            reader->forget_content();
        }
        EXPECT_EQ(reader->answer().text, "");
        EXPECT_EQ(reader->answer().forgotten_bytes, 18U);
        if (is_chat) {
            read(chat_chunk("{}", "\"stop\""));
            read("[DONE]");
        } else {
            read(
                R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}})");
            read(R"({"type":"message_stop"})");
        }
        EXPECT_TRUE(reader->answer().ended);
        EXPECT_EQ(reader->answer().finish, Finish::kWhole);
    }
}

TEST(ManyMembers, AreAllMergedAndFoundAgain) {
    std::string members;
    for (int i = 0; i < 60'000; ++i)
        members += ",\"m" + std::to_string(i) + "\":" + std::to_string(i);
    const std::string chunk =
        R"({"choices":[{"index":0,"delta":{"content":"a")" + members + "}}]" + members + "}";
    const auto reader = make_stream_reader(Dialect::kOpenAiChat);
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(reader->read({.name = {}, .data = chunk}));
    const std::string plain = reader->to_plain();
    const auto document = json::parse(plain);
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root().find("m59999")->as_int(), 59'999);
}

} // namespace
} // namespace larder::protocol
