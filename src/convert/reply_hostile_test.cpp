// Answers that no provider should send: each is refused or brought within bounds, never a crash.
#include "testing/converted.hpp"

#include "convert/reply_parts.hpp"

#include <gtest/gtest.h>

namespace larder::convert {
namespace {

using namespace larder::testing;

constexpr std::string_view kMessageStart =
    R"({"type":"message_start","message":{"id":"m","model":"c","content":[]}})";

std::string repeated(std::string_view text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i)
        out += text;
    return out;
}

/// Expects that the stream is refused as unreadable.
void expect_unreadable(Edge edge, std::string_view body) {
    const auto live = convert_stream(edge, body);
    ASSERT_FALSE(live) << body.substr(0, 200);
    EXPECT_EQ(live.error().code, ErrorCode::kProviderUnreadable);
}

std::string call_chunk(std::string_view index, std::string_view arguments) {
    std::string delta = R"({"tool_calls":[{"index":)";
    delta.append(index).append(R"(,"id":"c","function":{"name":"f","arguments":)");
    json::write_string(delta, arguments);
    return chunk(delta + "}}]}");
}

TEST(HostileReplies, WrongTypesAreRefusedOrMeanNothing) {
    for (const std::string_view value :
         {"null", "true", "-1", "1e999", "\"x\"", "[]", "{}", "[[]]", "[{}]", "[null]", "[1]"}) {
        const std::string text(value);
        for (const std::string_view member :
             {"id", "model", "created", "usage", "choices", "x_groq", "object"}) {
            const std::string body = "{\"" + std::string(member) + "\":" + text + "}";
            (void)shown_live(kChatToMessages, stream_of({body, "[DONE]"}));
            (void)write_answer(Dialect::kOpenAiChat, body, Dialect::kAnthropicMessages);
        }
        for (const std::string_view member :
             {"content", "reasoning", "reasoning_content", "reasoning_details", "refusal", "audio",
              "tool_calls", "function_call"}) {
            const std::string delta = "{\"" + std::string(member) + "\":" + text + "}";
            const std::string body = stream_of({chunk(delta), "[DONE]"});
            const auto live = convert_stream(kChatToMessages, body);
            if (live)
                EXPECT_EQ(canonical(shown_live(kChatToMessages, body)),
                          canonical(shown_replayed(kChatToMessages, body)))
                    << delta;
        }
        for (const std::string_view member : {"type", "index", "content_block", "delta", "usage"}) {
            std::string event = R"({"type":"content_block_start","index":0,"content_block":{}})";
            const std::string name = "\"" + std::string(member) + "\":";
            if (const std::size_t at = event.find(name); at != std::string::npos)
                event.replace(at, event.find_first_of(",}", at) - at, name + text);
            (void)shown_live(kMessagesToChat, stream_of({kMessageStart, event}));
        }
    }
}

TEST(HostileReplies, AStreamOfNothingEndsInWholeEvents) {
    for (const Edge edge : {kChatToMessages, kMessagesToChat}) {
        const auto live = convert_stream(edge, "");
        ASSERT_TRUE(live);
        for (const http::SseEvent& event : events_of(*live))
            EXPECT_TRUE(event.data == "[DONE]" || json::parse(event.data)) << event.data;
    }
}

TEST(HostileReplies, BlocksOfMessagesMustBeWhole) {
    for (
        const std::string_view event :
        {R"({"type":"content_block_start","index":0})",
         R"({"type":"content_block_start","content_block":{"type":"text","text":""}})",
         R"({"type":"content_block_start","index":0,"content_block":[]})",
         R"({"type":"content_block_start","index":0,"content_block":{"type":7}})",
         R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t"}})",
         R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f","input":[1]}})",
         R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}})",
         R"({"type":"message_start","message":{}})", R"({"type":7})", R"({})", "[]", "x", "\"x\""})
        expect_unreadable(kMessagesToChat, stream_of({kMessageStart, event}));
    expect_unreadable(kMessagesToChat, stream_of({R"({"type":"message_stop"})"}));
    expect_unreadable(kMessagesToChat, stream_of({R"({"type":"message_start","message":1})"}));
}

TEST(HostileReplies, DeltasOfAClosedBlockAreRefused) {
    expect_unreadable(
        kMessagesToChat,
        stream_of(
            {kMessageStart,
             R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})",
             R"({"type":"content_block_stop","index":0})",
             R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}})"}));
    expect_unreadable(
        kMessagesToChat,
        stream_of(
            {kMessageStart,
             R"({"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}})",
             R"({"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}})"}));
}

TEST(HostileReplies, DeepNestingIsRefused) {
    const std::string deep = repeated("[", 1000) + repeated("]", 1000);
    expect_unreadable(kChatToMessages, stream_of({chunk("{\"content\":" + deep + "}")}));
    expect_unreadable(kMessagesToChat, stream_of({deep}));
    EXPECT_FALSE(write_answer(Dialect::kOpenAiChat, deep, Dialect::kAnthropicMessages));
    const std::string arguments = "{\"a\":" + deep + "}";
    expect_unreadable(kChatToMessages, stream_of({call_chunk("0", arguments), "[DONE]"}));
    // As deep as it may be: the plain answer around it can be read again.
    const std::string allowed = "{\"a\":" + repeated("[", kMostArgumentDepth - 1) +
                                repeated("]", kMostArgumentDepth - 1) + "}";
    const std::string body = stream_of(
        {call_chunk("0", allowed), chunk("{}", R"(,"finish_reason":"tool_calls")"), "[DONE]"});
    const std::string plain = shown_replayed(kChatToMessages, body);
    EXPECT_NE(plain.find(repeated("[", kMostArgumentDepth - 1)), std::string::npos);
    EXPECT_TRUE(protocol::plain_to_stream(Dialect::kAnthropicMessages, plain, true));
    EXPECT_EQ(canonical(shown_live(kChatToMessages, body)), canonical(plain));
}

TEST(HostileReplies, ThousandsOfCallsAreRefused) {
    std::string body;
    for (std::size_t i = 0; i <= kMostCalls; ++i)
        http::write_sse(body, {}, call_chunk(std::to_string(i), "{}"));
    expect_unreadable(kChatToMessages, body);

    std::string events = stream_of({kMessageStart});
    for (std::size_t i = 0; i <= kMostCalls; ++i)
        http::write_sse(events, {},
                        R"({"type":"content_block_start","index":)" + std::to_string(i) +
                            R"(,"content_block":{"type":"tool_use","id":"t","name":"f"}})");
    expect_unreadable(kMessagesToChat, events);
}

TEST(HostileReplies, HugeIndexesAreNamesLikeAnyOther) {
    const std::string body =
        stream_of({call_chunk("99999999999999999999", "{\"a\":"), call_chunk("-5", "{}"),
                   call_chunk("99999999999999999999", "1}"),
                   chunk("{}", R"(,"finish_reason":"tool_calls")"), "[DONE]"});
    EXPECT_EQ(canonical(shown_live(kChatToMessages, body)),
              canonical(shown_replayed(kChatToMessages, body)));
}

TEST(HostileReplies, HeldArgumentsAreBounded) {
    const auto converter =
        make_stream_converter(Dialect::kOpenAiChat, Dialect::kAnthropicMessages, false);
    std::string out;
    ASSERT_TRUE(converter->convert({.name = {}, .data = call_chunk("0", "{")}, out));
    ASSERT_TRUE(converter->convert({.name = {}, .data = call_chunk("1", "{\"a\":\"")}, out));
    const std::string piece = call_chunk("1", std::string(1U << 20, 'a'));
    int taken = 0;
    while (taken < 100 && converter->convert({.name = {}, .data = piece}, out))
        ++taken;
    EXPECT_GE(taken, 4);
    EXPECT_LE(taken, 17);
}

TEST(HostileReplies, OpaqueReasoningIsBounded) {
    const auto converter =
        make_stream_converter(Dialect::kOpenAiChat, Dialect::kAnthropicMessages, false);
    std::string out;
    const std::string piece =
        chunk(R"({"reasoning_details":[{"type":"reasoning.encrypted","data":")" +
              std::string(1U << 20, 'a') + "\"}]}");
    int taken = 0;
    while (taken < 100 && converter->convert({.name = {}, .data = piece}, out))
        ++taken;
    EXPECT_GE(taken, 4);
    EXPECT_LE(taken, 17);
}

TEST(CallArguments, AreTakenAtEverySplit) {
    const std::string text = "  {\"a\\\"}\": [1, {\"b\": \"\\\\\"}], \"c\": \"}]\"}\n ";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        CallArguments arguments;
        std::string joined;
        for (const std::string_view piece :
             {std::string_view(text).substr(0, cut), std::string_view(text).substr(cut)}) {
            const auto own = arguments.add(piece);
            ASSERT_TRUE(own) << cut;
            joined += *own;
        }
        EXPECT_TRUE(arguments.is_complete());
        EXPECT_EQ(joined, text.substr(2, text.size() - 4));
        EXPECT_EQ(arguments.held_bytes(), 0U);
    }
}

TEST(CallArguments, AreOverAFewMegabytesRefused) {
    CallArguments arguments;
    ASSERT_TRUE(arguments.add("{\"a\":\""));
    const std::string piece(1U << 20, 'a');
    int taken = 0;
    while (taken < 100 && arguments.add(piece))
        ++taken;
    EXPECT_EQ(taken, 15);
}

TEST(CallIds, AreTheSameForTheSameCallAndSafeInAnyId) {
    EXPECT_EQ(call_id("chatcmpl-1", 0), "call_chatcmpl-1_0");
    EXPECT_EQ(call_id("a/b\"\n", 12), "call_a_b___12");
    EXPECT_EQ(call_id(std::string(1000, 'x'), 1).size(), 71U);
}

} // namespace
} // namespace larder::convert
