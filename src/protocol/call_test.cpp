// What is read from requests, and what is refused.
#include "protocol/protocol.hpp"
#include "testing/recordings.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

Result<Call> read(Dialect dialect, std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    if (!document)
        return std::unexpected(document.error());
    return read_call(dialect, *document);
}

std::string refused_field(Dialect dialect, std::string_view body) {
    const auto call = read(dialect, body);
    EXPECT_FALSE(call) << body;
    if (call)
        return "(accepted)";
    EXPECT_EQ(call.error().code, ErrorCode::kInvalidRequest);
    EXPECT_FALSE(call.error().message.empty());
    return call.error().field;
}

std::string llm_field(std::string_view body) {
    return refused_field(Dialect::kLlm, body);
}

TEST(ReadLlmCall, NeedsOnlyAPrompt) {
    const auto call = read(Dialect::kLlm, R"({"prompt":"Hello"})");
    ASSERT_TRUE(call);
    EXPECT_EQ(call->model, "");
    EXPECT_EQ(call->provider, "");
    EXPECT_FALSE(call->stream);
    EXPECT_FALSE(call->has_temperature);
    EXPECT_FALSE(call->bounds_output);
    EXPECT_EQ(call->bypass, "");
    EXPECT_EQ(call->prompt_bytes, 5U);
}

TEST(ReadLlmCall, ReadsEveryMember) {
    const auto call = read(Dialect::kLlm, R"({"prompt":"Hello","model":"gpt-4o","provider":"openai",
        "routingMode":"single-model","system":"Be terse","temperature":0.25,"maxTokens":1e3,
        "stream":true,"tools":[{"type":"function"}]})");
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_EQ(call->model, "gpt-4o");
    EXPECT_EQ(call->provider, "openai");
    EXPECT_TRUE(call->stream);
    EXPECT_TRUE(call->has_temperature);
    EXPECT_DOUBLE_EQ(call->temperature, 0.25);
    EXPECT_TRUE(call->bounds_output);
    EXPECT_TRUE(call->has_tools);
    EXPECT_GT(call->prompt_bytes, 13U);
}

TEST(ReadLlmCall, TakesNullForAnAbsentMember) {
    const auto call = read(Dialect::kLlm, R"({"prompt":"x","model":null,"provider":null,
        "system":null,"temperature":null,"maxTokens":null,"stream":null,"messages":null,
        "routingMode":null,"tools":null,"max_tokens":null})");
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_FALSE(call->bounds_output);
    EXPECT_EQ(llm_field(R"({"prompt":null})"), "prompt");
}

TEST(ReadLlmCall, RefusesAMissingOrEmptyPrompt) {
    EXPECT_EQ(llm_field("{}"), "prompt");
    EXPECT_EQ(llm_field(R"({"prompt":""})"), "prompt");
    EXPECT_EQ(llm_field(R"({"prompt":"   "})"), "prompt");
    EXPECT_EQ(llm_field(R"({"prompt":" \n\t\u0020 "})"), "prompt");
    EXPECT_TRUE(read(Dialect::kLlm, R"({"prompt":"\n\u0061"})"));
    EXPECT_EQ(llm_field(R"({"prompt":7})"), "prompt");
    EXPECT_EQ(llm_field(R"({"prompt":["a"]})"), "prompt");
}

TEST(ReadLlmCall, RefusesPromptBesideMessages) {
    EXPECT_EQ(llm_field(R"({"prompt":"a","messages":[{"role":"user","content":"a"}]})"),
              "messages");
}

TEST(ReadLlmCall, RefusesWrongTypes) {
    EXPECT_EQ(llm_field(R"({"prompt":"a","model":4})"), "model");
    EXPECT_EQ(llm_field(R"({"prompt":"a","model":" "})"), "model");
    EXPECT_EQ(llm_field(R"({"prompt":"a","provider":true})"), "provider");
    EXPECT_EQ(llm_field(R"({"prompt":"a","system":["b"]})"), "system");
    EXPECT_EQ(llm_field(R"({"prompt":"a","temperature":"0.5"})"), "temperature");
    EXPECT_EQ(llm_field(R"({"prompt":"a","temperature":-0.1})"), "temperature");
    EXPECT_EQ(llm_field(R"({"prompt":"a","maxTokens":1.5})"), "maxTokens");
    EXPECT_EQ(llm_field(R"({"prompt":"a","maxTokens":-1})"), "maxTokens");
    EXPECT_EQ(llm_field(R"({"prompt":"a","maxTokens":0})"), "maxTokens");
    EXPECT_EQ(llm_field(R"({"prompt":"a","maxTokens":"9"})"), "maxTokens");
    EXPECT_EQ(llm_field(R"({"prompt":"a","stream":"yes"})"), "stream");
    EXPECT_EQ(llm_field(R"({"prompt":"a","tools":{}})"), "tools");
}

TEST(ReadLlmCall, RefusesTwoBoundsOfTheOutput) {
    EXPECT_EQ(llm_field(R"({"prompt":"a","maxTokens":5,"max_tokens":5})"), "max_tokens");
    EXPECT_EQ(llm_field(R"({"max_completion_tokens":5,"prompt":"a","maxTokens":5})"),
              "max_completion_tokens");
    const auto call = read(Dialect::kLlm, R"({"prompt":"a","max_tokens":5})");
    ASSERT_TRUE(call);
    EXPECT_TRUE(call->bounds_output);
}

TEST(ReadLlmCall, KnowsTheRoutingModes) {
    for (const std::string mode : {"fallback", "load-balance", "fastest", "cheapest"}) {
        const auto call = read(Dialect::kLlm, R"({"prompt":"a","routingMode":")" + mode + "\"}");
        ASSERT_TRUE(call);
        EXPECT_EQ(call->routing_mode, mode);
    }
    const auto single = read(Dialect::kLlm, R"({"prompt":"a","routingMode":"single-model"})");
    ASSERT_TRUE(single);
    EXPECT_EQ(single->routing_mode, "");
    const auto unknown = read(Dialect::kLlm, R"({"prompt":"a","routingMode":"best"})");
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().message.find("load-balance"), std::string::npos);
}

TEST(ReadLlmCall, ChecksMessages) {
    EXPECT_EQ(llm_field(R"({"messages":{}})"), "messages");
    EXPECT_EQ(llm_field(R"({"messages":[]})"), "messages");
    EXPECT_EQ(llm_field(R"({"messages":["hi"]})"), "messages[0]");
    EXPECT_EQ(llm_field(R"({"messages":[{"role":"user","content":"a"},{"content":"b"}]})"),
              "messages[1].role");
    EXPECT_EQ(llm_field(R"({"messages":[{"role":"robot","content":"a"}]})"), "messages[0].role");
    EXPECT_EQ(llm_field(R"({"messages":[{"role":3,"content":"a"}]})"), "messages[0].role");
    EXPECT_EQ(llm_field(R"({"messages":[{"role":"user"}]})"), "messages[0].content");
    EXPECT_EQ(llm_field(R"({"messages":[{"role":"user","content":5}]})"), "messages[0].content");
    EXPECT_EQ(llm_field(R"({"messages":[{"role":"assistant","content":null}]})"),
              "messages[0].content");
    const auto call = read(Dialect::kLlm, R"({"messages":[
        {"role":"system","content":"abc"},
        {"role":"user","content":[{"type":"text","text":"de"},
            {"type":"image_url","image_url":{"url":"https://example.org/a-long-address"}}]},
        {"role":"assistant","content":null,"tool_calls":[]},
        {"role":"tool","content":"f"}]})");
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_EQ(call->prompt_bytes, 3U + 4U + 2U + 1U);
}

TEST(ReadCall, RefusesWhatIsNoObject) {
    for (const auto dialect : {Dialect::kLlm, Dialect::kOpenAiChat, Dialect::kAnthropicMessages}) {
        for (const char* body : {"[]", "1", "null", "\"prompt\""})
            EXPECT_FALSE(read(dialect, body));
    }
}

TEST(ReadOpenAiCall, NeedsAModelAndMessages) {
    const auto field = [](std::string_view body) {
        return refused_field(Dialect::kOpenAiChat, body);
    };
    EXPECT_EQ(field(R"({"messages":[{"role":"user","content":"a"}]})"), "model");
    EXPECT_EQ(field(R"({"model":"gpt-4o"})"), "messages");
    EXPECT_EQ(field(R"({"model":"gpt-4o","messages":null})"), "messages");
    EXPECT_EQ(field(R"({"model":"gpt-4o","messages":[]})"), "messages");
    EXPECT_EQ(field(R"({"model":"m","messages":[{"role":"user"}],"stream_options":1})"),
              "stream_options");
    EXPECT_EQ(field(R"({"model":"m","messages":[{"role":"user"}],"max_tokens":-3})"), "max_tokens");
}

TEST(ReadOpenAiCall, ReadsWhatThePipelineNeeds) {
    const auto call = read(Dialect::kOpenAiChat, R"({"model":"gpt-4o","stream":true,
        "stream_options":{"include_usage":true},"max_completion_tokens":5,"temperature":0,
        "functions":[{"name":"f"}],"messages":[{"role":"user","content":"a\nb"}]})");
    ASSERT_TRUE(call);
    EXPECT_TRUE(call->stream);
    EXPECT_TRUE(call->include_usage);
    EXPECT_TRUE(call->bounds_output);
    EXPECT_TRUE(call->has_temperature);
    EXPECT_EQ(call->temperature, 0.0);
    EXPECT_TRUE(call->has_tools);
}

TEST(ReadAnthropicCall, NeedsMaxTokens) {
    EXPECT_EQ(refused_field(Dialect::kAnthropicMessages,
                            R"({"model":"claude","messages":[{"role":"user","content":"a"}]})"),
              "max_tokens");
    EXPECT_EQ(refused_field(Dialect::kAnthropicMessages,
                            R"({"model":"claude","max_tokens":1,"system":5,
                            "messages":[{"role":"user","content":"a"}]})"),
              "system");
    const auto call = read(Dialect::kAnthropicMessages, R"({"model":"claude","max_tokens":9,
        "system":[{"type":"text","text":"abc"}],
        "messages":[{"role":"user","content":[{"type":"tool_result","content":
        [{"type":"text","text":"de"}]}]}]})");
    ASSERT_TRUE(call);
    EXPECT_TRUE(call->bounds_output);
    EXPECT_EQ(call->prompt_bytes, 5U + 4U);
}

TEST(RecordedRequests, AreAcceptedAndLeaveAsTheyCame) {
    const auto recordings = larder::testing::load_recordings();
    if (!recordings)
        GTEST_SKIP() << recordings.error().message;
    std::size_t read_requests = 0;
    for (const auto& recording : *recordings) {
        const bool is_openai = recording.api == "openai.chat";
        if (recording.status != 200 || (!is_openai && recording.api != "anthropic.messages"))
            continue;
        const Dialect dialect = is_openai ? Dialect::kOpenAiChat : Dialect::kAnthropicMessages;
        const auto document = json::parse(recording.request_body);
        ASSERT_TRUE(document);
        if (!document->root().find("model"))
            continue; // Azure names the deployment in the path
        const auto call = read_call(dialect, *document);
        ASSERT_TRUE(call) << recording.id << " " << call.error().message;
        EXPECT_EQ(call->stream, recording.stream) << recording.id;
        const auto same = write_request(dialect, *document, dialect, *call, call->model, false);
        ASSERT_TRUE(same);
        EXPECT_EQ(*same, recording.request_body) << recording.id;
        ++read_requests;
    }
    EXPECT_GT(read_requests, 1000U);
}

} // namespace
} // namespace larder::protocol
