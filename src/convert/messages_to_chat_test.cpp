// What a client of chat is shown of a provider of messages: rule by rule, live and replayed.
#include "testing/converted.hpp"

#include <gtest/gtest.h>

namespace larder::convert {
namespace {

using namespace larder::testing;

constexpr std::string_view kStart =
    R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",)"
    R"("model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":{)"
    R"("input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":20,)"
    R"("cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},)"
    R"("output_tokens":1}}})";
constexpr std::string_view kStop = R"({"type":"message_stop"})";

std::string block(std::string_view index, std::string_view content_block) {
    std::string out = R"({"type":"content_block_start","index":)";
    out.append(index).append(R"(,"content_block":)").append(content_block);
    return out + "}";
}

std::string delta(std::string_view index, std::string_view piece) {
    std::string out = R"({"type":"content_block_delta","index":)";
    out.append(index).append(R"(,"delta":)").append(piece);
    return out + "}";
}

std::string stop_block(std::string_view index) {
    return R"({"type":"content_block_stop","index":)" + std::string(index) + "}";
}

std::string message_delta(std::string_view reason, std::string_view sequence = "null") {
    std::string out = R"({"type":"message_delta","delta":{"stop_reason":")";
    out.append(reason).append(R"(","stop_sequence":)").append(sequence);
    return out + R"(},"usage":{"output_tokens":7,"output_tokens_details":{"thinking_tokens":4}}})";
}

/// Expects the same live and replayed: a completion with these members of its message and choice.
void expect_completion(std::string_view body, std::string_view message, std::string_view finish) {
    std::string expected = R"({"id":"msg_1","object":"chat.completion","created":0,"model":"c",)";
    expected.append(R"("choices":[{"index":0,"message":{"role":"assistant","refusal":null,)");
    expected.append(message).append(R"(},"logprobs":null,"finish_reason":)").append(finish);
    expected += R"(}],"usage":{"prompt_tokens":33,"completion_tokens":7,"total_tokens":40,)"
                R"("prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":3},)"
                R"("completion_tokens_details":{"reasoning_tokens":4}}})";
    EXPECT_EQ(canonical(shown_live(kMessagesToChat, body)), canonical(expected));
    EXPECT_EQ(canonical(shown_replayed(kMessagesToChat, body)), canonical(expected));
}

TEST(MessagesToChat, WritesTheChunksOfAText) {
    const std::string body =
        stream_of({kStart, block("0", R"({"type":"text","text":""})"), R"({"type":"ping"})",
                   delta("0", R"({"type":"text_delta","text":"Hi"})"), stop_block("0"),
                   message_delta("end_turn"), kStop});
    const std::string head =
        R"(data: {"id":"msg_1","object":"chat.completion.chunk","created":0,"model":"c","choices":[)";
    const std::string chunks =
        head +
        R"({"index":0,"delta":{"role":"assistant","content":null,"refusal":null},"logprobs":null,"finish_reason":null}]})"
        "\n\n" +
        head +
        R"({"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]})"
        "\n\n" +
        head + R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]})" + "\n\n";
    const std::string usage =
        head + R"(],"usage":{"prompt_tokens":33,"completion_tokens":7,"total_tokens":40,)"
               R"("prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":3},)"
               R"("completion_tokens_details":{"reasoning_tokens":4}}})"
               "\n\n";
    EXPECT_EQ(convert_stream(kMessagesToChat, body, true).value_or(""),
              chunks + usage + "data: [DONE]\n\n");
    EXPECT_EQ(convert_stream(kMessagesToChat, body, false).value_or(""),
              chunks + "data: [DONE]\n\n");
}

TEST(MessagesToChat, LeavesOutReasoningTokensOfWhichNothingIsKnown) {
    const std::string body = stream_of(
        {kStart, block("0", R"({"type":"text","text":"Hi"})"), stop_block("0"),
         R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}})",
         kStop});
    const std::string usage = R"("usage":{"prompt_tokens":33,"completion_tokens":7,)"
                              R"("total_tokens":40,"prompt_tokens_details":{"cached_tokens":20,)"
                              R"("cache_write_tokens":3}}})";
    const auto live = convert_stream(kMessagesToChat, body);
    ASSERT_TRUE(live);
    EXPECT_TRUE(live->ends_with(usage + "\n\ndata: [DONE]\n\n")) << *live;
    const auto source = accumulate(kMessagesToChat.from, body);
    ASSERT_TRUE(source);
    const auto plain = write_answer(kMessagesToChat.from, *source, kMessagesToChat.to);
    ASSERT_TRUE(plain);
    EXPECT_TRUE(plain->ends_with(usage)) << *plain;
}

TEST(MessagesToChat, JoinsTextsAndKeepsArgumentsAsTheyAreSpelled) {
    expect_completion(
        stream_of({kStart, block("0", R"({"type":"text","text":"Let "})"),
                   delta("0", R"({"type":"text_delta","text":"me see."})"), stop_block("0"),
                   block("1", R"({"type":"tool_use","id":"toolu_1","name":"f","input":{}})"),
                   delta("1", R"({"type":"input_json_delta","partial_json":""})"),
                   delta("1", R"({"type":"input_json_delta","partial_json":"{\"a\": "})"),
                   delta("1", R"({"type":"input_json_delta","partial_json":"[1,  2]}"})"),
                   stop_block("1"),
                   block("2", R"({"type":"tool_use","id":"toolu_2","name":"g","input":{}})"),
                   stop_block("2"), message_delta("tool_use"), kStop}),
        R"("content":"Let me see.","tool_calls":[{"id":"toolu_1","type":"function",)"
        R"("function":{"name":"f","arguments":"{\"a\": [1,  2]}"}},{"id":"toolu_2",)"
        R"("type":"function","function":{"name":"g","arguments":"{}"}}])",
        R"("tool_calls")");
}

TEST(MessagesToChat, ReadsAnInputThatComesWithItsBlock) {
    expect_completion(
        stream_of({kStart,
                   block("0", R"({"type":"tool_use","id":"t","name":"f","input":{ "a": [1, 2] }})"),
                   stop_block("0"), message_delta("tool_use"), kStop}),
        R"("content":null,"tool_calls":[{"id":"t","type":"function",)"
        R"("function":{"name":"f","arguments":"{\"a\":[1, 2]}"}}])",
        R"("tool_calls")");
}

TEST(MessagesToChat, ShowsThinkingWholeAndInParts) {
    expect_completion(
        stream_of({kStart, block("0", R"({"type":"thinking","thinking":"","signature":""})"),
                   delta("0", R"({"type":"thinking_delta","thinking":"So"})"),
                   delta("0", R"({"type":"thinking_delta","thinking":"."})"),
                   delta("0", R"({"type":"signature_delta","signature":"sig+/="})"),
                   stop_block("0"), block("1", R"({"type":"redacted_thinking","data":"xyz"})"),
                   stop_block("1"), block("2", R"({"type":"thinking","thinking":"Ah"})"),
                   stop_block("2"), block("3", R"({"type":"text","text":"Yes"})"), stop_block("3"),
                   message_delta("end_turn"), kStop}),
        R"("content":"Yes","reasoning_content":"So.Ah","reasoning_details":[)"
        R"({"type":"reasoning.text","index":0,"text":"So.","signature":"sig+/="},)"
        R"({"type":"reasoning.encrypted","index":1,"data":"xyz"},)"
        R"({"type":"reasoning.text","index":2,"text":"Ah"}])",
        R"("stop")");
}

TEST(MessagesToChat, TellsWhyItEnded) {
    const auto ends = [](std::string_view reason, std::string_view finish,
                         std::string_view sequence = "null") {
        expect_completion(stream_of({kStart, block("0", R"({"type":"text","text":"a"})"),
                                     stop_block("0"), message_delta(reason, sequence), kStop}),
                          R"("content":"a")", finish);
    };
    ends("end_turn", R"("stop")");
    ends("pause_turn", R"("stop")");
    ends("max_tokens", R"("length")");
    ends("model_context_window_exceeded", R"("length")");
    ends("refusal", R"("content_filter")");
    ends("something_new", R"("stop")");
    ends("stop_sequence", R"("stop","stop_reason":"END")", R"("END")");
}

TEST(MessagesToChat, AnswersWithoutAnythingHaveAnEmptyContent) {
    expect_completion(stream_of({kStart, message_delta("end_turn"), kStop}), R"("content":"")",
                      R"("stop")");
}

TEST(MessagesToChat, SurvivesBlocksThatAreNeverStopped) {
    expect_completion(
        stream_of({kStart, block("0", R"({"type":"text","text":"a"})"),
                   block("1", R"({"type":"text","text":"b"})"), message_delta("end_turn"), kStop}),
        R"("content":"ab")", R"("stop")");
}

TEST(MessagesToChat, SkipsEventsThatItDoesNotKnow) {
    expect_completion(stream_of({kStart, R"({"type":"something_new","text":"no"})",
                                 block("0", R"({"type":"text","text":"a","citations":[]})"),
                                 delta("0", R"({"type":"citations_delta","citation":{"x":1}})"),
                                 stop_block("0"), message_delta("end_turn"), kStop}),
                      R"("content":"a")", R"("stop")");
}

TEST(MessagesToChat, RefusesWhatBelongsToTheProvidersOwnTools) {
    const auto live = convert_stream(
        kMessagesToChat,
        stream_of(
            {kStart, block("0", R"({"type":"server_tool_use","id":"s","name":"web_search"})")}));
    ASSERT_FALSE(live);
    EXPECT_EQ(live.error().code, ErrorCode::kProviderUnreadable);
    const auto plain = write_answer(
        Dialect::kAnthropicMessages,
        R"({"type":"message","content":[{"type":"web_search_tool_result","content":[]}]})",
        Dialect::kOpenAiChat);
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().code, ErrorCode::kProviderUnreadable);
}

TEST(MessagesToChat, TellsAnErrorInTheStream) {
    const auto live = convert_stream(
        kMessagesToChat,
        stream_of(
            {kStart,
             R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})"}));
    ASSERT_FALSE(live);
    EXPECT_EQ(live.error().code, ErrorCode::kProviderRejected);
}

TEST(MessagesToChat, WhatItWritesIsReadBackAsTheSameMessage) {
    const std::string message =
        R"({"id":"msg_1","type":"message","role":"assistant","model":"c","content":[)"
        R"({"type":"thinking","thinking":"One","signature":"s1"},)"
        R"({"type":"thinking","thinking":"Two","signature":"s2"},)"
        R"({"type":"text","text":"Yes"},)"
        R"({"type":"tool_use","id":"t","name":"f","input":{"a":1}},)"
        R"({"type":"redacted_thinking","data":"xyz"}],)"
        R"("stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,)"
        R"("cache_creation_input_tokens":3,"cache_read_input_tokens":20,"output_tokens":7}})";
    const auto chat = write_answer(Dialect::kAnthropicMessages, message, Dialect::kOpenAiChat);
    ASSERT_TRUE(chat);
    const auto back = write_answer(Dialect::kOpenAiChat, *chat, Dialect::kAnthropicMessages);
    ASSERT_TRUE(back);
    EXPECT_EQ(canonical(*back), canonical(message));
}

} // namespace
} // namespace larder::convert
