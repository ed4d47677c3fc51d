// What is recognised without a parse, and that this changes no answer.
#include "protocol/repeated_event.hpp"

#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

std::string_view between(std::string_view data, std::string_view before, std::string_view after) {
    const std::size_t begin = data.find(before) + before.size();
    return data.substr(begin, data.find(after, begin) - begin);
}

TEST(RepeatedEvent, IsKnownByAllBytesButThePiece) {
    const std::string data = R"({"a":1,"t":"hello","z":null})";
    RepeatedEvent repeated;
    EXPECT_FALSE(repeated.match(data));
    repeated.learn(data, between(data, "\"t\":\"", "\""), {});
    EXPECT_EQ(repeated.match(data), "hello");
    EXPECT_EQ(repeated.match(R"({"a":1,"t":"","z":null})"), "");
    EXPECT_EQ(repeated.match("{\"a\":1,\"t\":\"gr\xc3\xbc\xc3\x9f\",\"z\":null}"),
              "gr\xc3\xbc\xc3\x9f");
    for (const char* other :
         {R"({"a":2,"t":"hello","z":null})", R"({"a":1,"t":"hello","z":1})", R"({"a":1,"t":"hello)",
          R"({"a":1,"t":"a\n","z":null})", R"({"a":1,"t":"hello","z":null} )", "",
          R"({"a":1,"t":"x","y":"x","z":null})", "{\"a\":1,\"t\":\"\x01\",\"z\":null}",
          "{\"a\":1,\"t\":\"\xff\",\"z\":null}", "{\"a\":1,\"t\":\"\xc3\",\"z\":null}"})
        EXPECT_FALSE(repeated.match(other)) << other;
    repeated.forget();
    EXPECT_FALSE(repeated.match(data));
}

TEST(RepeatedEvent, MayHavePaddingOfAnyLengthBehindThePiece) {
    const std::string data = R"({"t":"hello","o":"xyz"})";
    RepeatedEvent repeated;
    repeated.learn(data, between(data, "\"t\":\"", "\""), between(data, "\"o\":\"", "\""));
    EXPECT_EQ(repeated.match(R"({"t":"b","o":"longer than before"})"), "b");
    EXPECT_FALSE(repeated.match(R"({"t":"b","o":"x","p":1})"));
    EXPECT_FALSE(repeated.match(R"({"t":"b","q":"x"})"));
}

/// What a reader puts together of events, and the texts that it gave.
std::string read_all(Dialect dialect, const std::vector<std::string>& events, bool each_differs) {
    const auto reader = make_stream_reader(dialect);
    std::string texts;
    int number = 0;
    for (std::string data : events) {
        if (each_differs) // white space that no two events share: nothing repeats
            data.insert(1, std::string(static_cast<std::size_t>(++number), ' '));
        auto text = reader->read({.name = {}, .data = data});
        EXPECT_TRUE(text) << data;
        texts += text ? *text + "|" : "";
    }
    reader->finish_at_eof();
    return texts + reader->to_plain() + reader->answer().text;
}

TEST(RepeatedEvent, ChangesNothingInWhatAChatReaderPutsTogether) {
    const auto chunk = [](std::string_view index, std::string_view delta) {
        return R"({"id":"c","choices":[{"index":)" + std::string(index) + R"(,"delta":)" +
               std::string(delta) +
               R"(,"logprobs":null,"finish_reason":null}],"obfuscation":"abc"})";
    };
    const std::vector<std::string> events = {
        chunk("0", R"({"role":"assistant","content":""})"),
        chunk("0", R"({"content":"Hel"})"),
        chunk("0", R"({"content":"lo"})"),
        chunk("0", R"({"content":"\n"})"),
        chunk("0", R"({"content":"w"})"),
        chunk("1", R"({"content":"second"})"),
        chunk("1", R"({"content":" choice"})"),
        chunk("0", R"({"content":"orld"})"),
        chunk("0",
              R"({"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]})"),
        chunk("0", R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]})"),
        R"({"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})",
        R"({"id":"c","choices":[{"index":1,"delta":{},"finish_reason":"stop"}]})",
    };
    const std::string read = read_all(Dialect::kOpenAiChat, events, false);
    EXPECT_EQ(read, read_all(Dialect::kOpenAiChat, events, true));
    EXPECT_NE(read.find("\"second choice\""), std::string::npos) << read;
    EXPECT_NE(read.find(R"("Hello\nworld")"), std::string::npos) << read;
}

TEST(RepeatedEvent, ChangesNothingInWhatAMessagesReaderPutsTogether) {
    const auto delta = [](std::string_view index, std::string_view type, std::string_view member,
                          std::string_view text) {
        return R"({"type":"content_block_delta","index":)" + std::string(index) +
               R"(,"delta":{"type":")" + std::string(type) + R"(",")" + std::string(member) +
               R"(":")" + std::string(text) + R"("}})";
    };
    const auto start = [](std::string_view index, std::string_view block) {
        return R"({"type":"content_block_start","index":)" + std::string(index) +
               R"(,"content_block":)" + std::string(block) + "}";
    };
    const std::vector<std::string> events = {
        R"({"type":"message_start","message":{"id":"m","role":"assistant","content":[]}})",
        start("0", R"({"type":"thinking","thinking":"","signature":""})"),
        delta("0", "thinking_delta", "thinking", "Let me"),
        delta("0", "thinking_delta", "thinking", " think"),
        delta("0", "signature_delta", "signature", "c2ln"),
        start("1", R"({"type":"text","text":""})"),
        delta("1", "text_delta", "text", "Hel"),
        delta("1", "text_delta", "text", "lo"),
        delta("1", "text_delta", "text", "\\n"),
        start("2", R"({"type":"tool_use","id":"t","name":"f","input":{}})"),
        delta("2", "input_json_delta", "partial_json", ""),
        delta("2", "input_json_delta", "partial_json", "{"),
        delta("2", "input_json_delta", "partial_json", "}"),
        R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}})",
        R"({"type":"message_stop"})",
    };
    const std::string read = read_all(Dialect::kAnthropicMessages, events, false);
    EXPECT_EQ(read, read_all(Dialect::kAnthropicMessages, events, true));
    EXPECT_NE(read.find("\"Let me think\""), std::string::npos) << read;
    EXPECT_NE(read.find(R"("Hello\n")"), std::string::npos) << read;
}

} // namespace
} // namespace larder::protocol
