// What a client of messages is shown of a provider of chat: rule by rule, live and replayed.
#include "testing/converted.hpp"

#include <gtest/gtest.h>

namespace larder::convert {
namespace {

using namespace larder::testing;

constexpr std::string_view kUsage =
    R"({"id":"chatcmpl-1","model":"m","created":7,"choices":[],"usage":{"prompt_tokens":100,)"
    R"("completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":60},)"
    R"("completion_tokens_details":{"reasoning_tokens":5}}})";

std::string stop(std::string_view reason) {
    return chunk("{}", R"(,"finish_reason":")" + std::string(reason) + "\"");
}

std::string call(std::string_view index, std::string_view id, std::string_view name,
                 std::string_view arguments) {
    std::string delta = R"({"tool_calls":[{"index":)";
    delta.append(index);
    if (!id.empty())
        delta.append(R"(,"id":")").append(id).append("\"");
    delta.append(R"(,"type":"function","function":{)");
    if (!name.empty())
        delta.append(R"("name":")").append(name).append("\",");
    delta.append("\"arguments\":");
    json::write_string(delta, arguments);
    return chunk(delta + "}}]}");
}

/// Expects the same live and replayed: a message with this content, and ends so.
void expect_message(std::string_view body, std::string_view content, std::string_view stop_reason,
                    std::string_view stop_sequence = "null") {
    std::string expected = R"({"id":"chatcmpl-1","type":"message","role":"assistant","model":"m",)";
    expected.append("\"content\":").append(content);
    expected.append(",\"stop_reason\":\"").append(stop_reason).append("\",\"stop_sequence\":");
    expected.append(stop_sequence);
    expected += R"(,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,)"
                R"("cache_read_input_tokens":0,"output_tokens":0}})";
    EXPECT_EQ(canonical(shown_live(kChatToMessages, body)), canonical(expected));
    EXPECT_EQ(canonical(shown_replayed(kChatToMessages, body)), canonical(expected));
}

std::vector<std::string> types_of(std::string_view stream) {
    std::vector<std::string> types;
    for (const http::SseEvent& event : events_of(stream))
        types.push_back(event.name);
    return types;
}

TEST(ChatToMessages, WritesTheEventsOfAText) {
    const auto live = convert_stream(
        kChatToMessages,
        stream_of({chunk(R"({"role":"assistant","content":""})"), chunk(R"({"content":"Hel"})"),
                   chunk(R"({"content":"lo"})"), stop("stop"), kUsage, "[DONE]"}));
    ASSERT_TRUE(live);
    EXPECT_EQ(
        *live,
        "event: message_start\n"
        R"(data: {"type":"message_start","message":{"id":"chatcmpl-1","type":"message",)"
        R"("role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,)"
        R"("usage":{"input_tokens":0,"cache_creation_input_tokens":0,)"
        R"("cache_read_input_tokens":0,"output_tokens":0}}})"
        "\n\nevent: content_block_start\n"
        R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"
        "\n\nevent: content_block_delta\n"
        R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}})"
        "\n\nevent: content_block_delta\n"
        R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}})"
        "\n\nevent: content_block_stop\n"
        R"(data: {"type":"content_block_stop","index":0})"
        "\n\nevent: message_delta\n"
        R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},)"
        R"("usage":{"input_tokens":40,"cache_creation_input_tokens":0,)"
        R"("cache_read_input_tokens":60,"output_tokens":20,)"
        R"("output_tokens_details":{"thinking_tokens":5}}})"
        "\n\nevent: message_stop\n"
        R"(data: {"type":"message_stop"})"
        "\n\n");
}

TEST(ChatToMessages, SendsEachPieceAsItComes) {
    const auto converter =
        make_stream_converter(Dialect::kOpenAiChat, Dialect::kAnthropicMessages, false);
    std::string out;
    ASSERT_TRUE(converter->convert({.name = {}, .data = chunk(R"({"role":"assistant"})")}, out));
    EXPECT_EQ(types_of(out), (std::vector<std::string>{"message_start"}));
    out.clear();
    ASSERT_TRUE(converter->convert({.name = {}, .data = call("0", "c1", "f", "{\"a\":")}, out));
    EXPECT_EQ(types_of(out),
              (std::vector<std::string>{"content_block_start", "content_block_delta"}));
    out.clear();
    ASSERT_TRUE(converter->convert({.name = {}, .data = call("0", "", "", "1}")}, out));
    EXPECT_EQ(types_of(out), (std::vector<std::string>{"content_block_delta"}));
    out.clear();
    ASSERT_TRUE(converter->convert({.name = {}, .data = call("1", "c2", "g", "{")}, out));
    EXPECT_EQ(types_of(out), (std::vector<std::string>{"content_block_stop", "content_block_start",
                                                       "content_block_delta"}));
}

TEST(ChatToMessages, ReadsCallsWithIdsAndArguments) {
    expect_message(stream_of({chunk(R"({"role":"assistant","content":"Let me see."})"),
                              call("0", "c1", "weather", ""), call("0", "", "", "{\"city\":"),
                              call("0", "", "", " \"Pa\\nris\"}"), call("1", "c2", "time", "{}"),
                              stop("tool_calls"), "[DONE]"}),
                   R"([{"type":"text","text":"Let me see."},)"
                   R"({"type":"tool_use","id":"c1","name":"weather","input":{"city":"Pa\nris"}},)"
                   R"({"type":"tool_use","id":"c2","name":"time","input":{}}])",
                   "tool_use");
}

TEST(ChatToMessages, PutsInterleavedCallsOneAfterTheOther) {
    expect_message(
        stream_of({call("0", "c1", "f", "{\"a\":"), call("1", "c2", "g", "{\"b\":"),
                   call("0", "", "", "1}"), call("1", "", "", "2}"), stop("tool_calls"), "[DONE]"}),
        R"([{"type":"tool_use","id":"c1","name":"f","input":{"a":1}},)"
        R"({"type":"tool_use","id":"c2","name":"g","input":{"b":2}}])",
        "tool_use");
}

TEST(ChatToMessages, ReadsCallsWithoutIndex) {
    expect_message(
        stream_of(
            {chunk(R"({"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}]})"),
             chunk(R"({"tool_calls":[{"function":{"arguments":"1}"}}]})"),
             chunk(R"({"tool_calls":[{"id":"c2","function":{"name":"g","arguments":"{}"}}]})"),
             stop("tool_calls"), "[DONE]"}),
        R"([{"type":"tool_use","id":"c1","name":"f","input":{"a":1}},)"
        R"({"type":"tool_use","id":"c2","name":"g","input":{}}])",
        "tool_use");
}

TEST(ChatToMessages, MakesUpTheIdOfACallThatHasNone) {
    const std::string content =
        R"([{"type":"tool_use","id":"call_chatcmpl-1_0","name":"f","input":{"a":1}}])";
    expect_message(stream_of({call("0", "", "f", "{\"a\":1}"), stop("tool_calls"), "[DONE]"}),
                   content, "tool_use");
    expect_message(stream_of({chunk(R"({"function_call":{"name":"f","arguments":"{\"a\":"}})"),
                              chunk(R"({"function_call":{"arguments":"1}"}})"),
                              stop("function_call"), "[DONE]"}),
                   content, "tool_use");
}

TEST(ChatToMessages, SaysToolUseOfACallThatEndsWithStop) {
    expect_message(stream_of({call("0", "c1", "f", "{}"), stop("stop"), "[DONE]"}),
                   R"([{"type":"tool_use","id":"c1","name":"f","input":{}}])", "tool_use");
}

TEST(ChatToMessages, ShowsACallThatWasCutWithAnEmptyInput) {
    expect_message(stream_of({call("0", "c1", "f", "{\"a\":\"lo"), stop("length"), "[DONE]"}),
                   R"([{"type":"tool_use","id":"c1","name":"f","input":{}}])", "max_tokens");
}

TEST(ChatToMessages, RefusesArgumentsThatAreNoObject) {
    for (const std::string_view arguments :
         {"[1]", "x", "{\"a\":1}}", "{\"a\":1,\"a\":2}", "{a:1}", "{\"a\":1"}) {
        const std::string body =
            stream_of({call("0", "c1", "f", arguments), stop("tool_calls"), "[DONE]"});
        const auto live = convert_stream(kChatToMessages, body);
        ASSERT_FALSE(live) << arguments;
        EXPECT_EQ(live.error().code, ErrorCode::kProviderUnreadable);
        const auto source = accumulate(Dialect::kOpenAiChat, body);
        ASSERT_TRUE(source);
        const auto plain = write_answer(Dialect::kOpenAiChat, *source, Dialect::kAnthropicMessages);
        ASSERT_FALSE(plain) << arguments;
        EXPECT_EQ(plain.error().message, live.error().message);
    }
}

TEST(ChatToMessages, ReadsReasoningUnderItsNames) {
    const std::string content = R"([{"type":"thinking","thinking":"Hmm, so.","signature":""},)"
                                R"({"type":"text","text":"Yes"}])";
    for (const std::string name : {"reasoning_content", "reasoning"})
        expect_message(
            stream_of({chunk("{\"" + name + "\":\"Hmm,\"}"), chunk("{\"" + name + "\":\" so.\"}"),
                       chunk(R"({"content":"Yes"})"), stop("stop"), "[DONE]"}),
            content, "end_turn");
    expect_message(
        stream_of(
            {chunk(
                 R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hmm,"}]}]})"),
             chunk(
                 R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":" so."}]}]})"),
             chunk(R"({"content":[{"type":"text","text":"Yes"}]})"), stop("stop"), "[DONE]"}),
        content, "end_turn");
}

TEST(ChatToMessages, ReadsSignaturesAndOpaqueReasoningFromDetails) {
    expect_message(
        stream_of(
            {chunk(
                 R"({"reasoning":"One","reasoning_details":[{"type":"reasoning.text","index":0,"text":"One"}]})"),
             chunk(
                 R"({"reasoning_details":[{"type":"reasoning.text","index":0,"signature":"s1"}]})"),
             chunk(
                 R"({"reasoning":"Two","reasoning_details":[{"type":"reasoning.text","index":1,"text":"Two","signature":"s2"}]})"),
             chunk(
                 R"({"reasoning_details":[{"type":"reasoning.encrypted","index":2,"data":"abc"}]})"),
             chunk(R"({"content":"Yes"})"), stop("stop"), "[DONE]"}),
        R"([{"type":"thinking","thinking":"One","signature":"s1"},)"
        R"({"type":"thinking","thinking":"Two","signature":"s2"},)"
        R"({"type":"text","text":"Yes"},{"type":"redacted_thinking","data":"abc"}])",
        "end_turn");
}

TEST(ChatToMessages, MakesARefusalTextThatEndsWithRefusal) {
    expect_message(stream_of({chunk(R"({"refusal":"I "})"), chunk(R"({"refusal":"won't."})"),
                              stop("stop"), "[DONE]"}),
                   R"([{"type":"text","text":"I won't."}])", "refusal");
}

TEST(ChatToMessages, TellsWhyItEnded) {
    const std::string text = R"([{"type":"text","text":"a"}])";
    const auto ends = [&text](std::string_view reason, std::string_view expected) {
        expect_message(stream_of({chunk(R"({"content":"a"})"), stop(reason), "[DONE]"}), text,
                       expected);
    };
    ends("stop", "end_turn");
    ends("length", "max_tokens");
    ends("content_filter", "refusal");
    ends("tool_calls", "end_turn"); // without any call
    ends("eos", "end_turn");
    expect_message(
        stream_of({chunk(R"({"content":"a"})", R"(,"finish_reason":"stop","stop_reason":"END")"),
                   "[DONE]"}),
        text, "stop_sequence", "\"END\"");
}

TEST(ChatToMessages, TakesTheLastUsageAndTheFirstNames) {
    const std::string body = stream_of(
        {R"({"id":"","model":"","choices":[],"prompt_filter_results":[]})",
         R"({"id":"a","model":"m1","choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}})",
         R"({"id":"b","model":"m2","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}})",
         "[DONE]"});
    const std::string expected =
        R"({"id":"a","type":"message","role":"assistant","model":"m1","content":[)"
        R"({"type":"text","text":"x"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{)"
        R"("input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,)"
        R"("output_tokens":2}})";
    EXPECT_EQ(canonical(shown_live(kChatToMessages, body)), canonical(expected));
    EXPECT_EQ(canonical(shown_replayed(kChatToMessages, body)), canonical(expected));
}

TEST(ChatToMessages, ShowsTheFirstChoiceOnly) {
    expect_message(
        stream_of(
            {R"({"id":"chatcmpl-1","model":"m","choices":[{"index":1,"delta":{"content":"no"}}]})",
             chunk(R"({"content":"yes"})"), stop("stop"), "[DONE]"}),
        R"([{"type":"text","text":"yes"}])", "end_turn");
}

TEST(ChatToMessages, EndsAStreamWithoutDone) {
    expect_message(stream_of({chunk(R"({"content":"a"})"), stop("stop")}),
                   R"([{"type":"text","text":"a"}])", "end_turn");
}

TEST(ChatToMessages, HoldsTextAfterACallUntilTheEnd) {
    const std::string body =
        stream_of({call("0", "c1", "f", "{\"a\":"), chunk(R"({"content":"late"})"),
                   call("0", "", "", "1}"), stop("tool_calls"), "[DONE]"});
    const std::string live = shown_live(kChatToMessages, body);
    EXPECT_NE(live.find(R"("input":{"a":1}},{"type":"text","text":"late"}])"), std::string::npos)
        << live;
}

TEST(ChatToMessages, AnswersWithoutAnythingHaveNoContent) {
    expect_message(
        stream_of({chunk(R"({"role":"assistant","content":""})"), stop("stop"), "[DONE]"}), "[]",
        "end_turn");
}

} // namespace
} // namespace larder::convert
