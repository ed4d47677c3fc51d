// Gemini's answers in the cases that nobody recorded.
#include "protocol/gemini.hpp"

#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

Result<Answer> read(std::string_view body) {
    return read_answer(Dialect::kGemini, body);
}

std::unique_ptr<StreamReader> fed(std::initializer_list<std::string_view> events) {
    auto reader = make_stream_reader(Dialect::kGemini);
    for (const std::string_view event : events)
        EXPECT_TRUE(reader->read({.data = std::string(event)}));
    return reader;
}

constexpr std::string_view kUsage =
    R"("usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2})";

std::string chunk(std::string_view parts, std::string_view finish = {}) {
    std::string out = R"({"candidates":[{"content":{"parts":[)" + std::string(parts) +
                      R"(],"role":"model"},"index":0)";
    if (!finish.empty())
        out.append(R"(,"finishReason":")").append(finish).append("\"");
    return out.append("}],").append(kUsage).append(R"(,"responseId":"r","modelVersion":"m"})");
}

TEST(Gemini, TheTextOfAThoughtIsNotTheAnswers) {
    const auto answer =
        read(chunk(R"({"text":"hm","thought":true},{"text":"yes"},{"text":"!"})", "STOP"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->text, "yes!");
    EXPECT_EQ(answer->finish, Finish::kWhole);
}

TEST(Gemini, ReasonsToFinishAreSorted) {
    for (const auto* reason : {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})
        EXPECT_EQ(gemini_finish(reason), Finish::kRefused) << reason;
    for (const auto* reason : {"OTHER", "MALFORMED_FUNCTION_CALL", "", "5", "stop"})
        EXPECT_EQ(gemini_finish(reason), Finish::kUnknown) << reason;
    EXPECT_EQ(gemini_finish("MAX_TOKENS"), Finish::kBounded);
    EXPECT_EQ(gemini_finish("1"), Finish::kWhole);
}

TEST(Gemini, TheWorstCandidateCounts) {
    const auto answer = read(
        R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},
            {"content":{"parts":[{"text":"b"}]},"finishReason":"SAFETY"}]})");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->text, "a");
    EXPECT_EQ(answer->finish_reason, "STOP");
    EXPECT_EQ(answer->finish, Finish::kRefused);
    EXPECT_FALSE(answer->usage);
}

TEST(Gemini, ARefusedPromptIsARefusal) {
    const std::string body =
        R"({"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":4}})";
    const auto plain = read(body);
    ASSERT_TRUE(plain);
    EXPECT_TRUE(plain->ended);
    EXPECT_EQ(plain->finish, Finish::kRefused);
    EXPECT_EQ(plain->finish_reason, "PROHIBITED_CONTENT");
    const auto reader = fed({body});
    EXPECT_TRUE(reader->answer().ended);
    EXPECT_EQ(reader->answer().finish, Finish::kRefused);
    EXPECT_EQ(reader->to_plain(), body);
}

TEST(Gemini, WhatHasNoCandidatesIsNoAnswer) {
    for (const auto* body : {"{}", R"({"choices":[]})", R"({"candidates":3})", "[]", "7"}) {
        const auto answer = read(body);
        ASSERT_FALSE(answer) << body;
        EXPECT_EQ(answer.error().code, ErrorCode::kProviderUnreadable) << body;
    }
}

TEST(Gemini, CountsEachTokenOnce) {
    const auto document = json::parse(
        R"({"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":5,
            "candidatesTokenCount":7,"thoughtsTokenCount":11,"totalTokenCount":123})");
    const auto usage = gemini_usage(Cursor(*document));
    ASSERT_TRUE(usage);
    EXPECT_EQ(usage->input, 45);
    EXPECT_EQ(usage->cached_input, 60);
    EXPECT_EQ(usage->output, 18);
    EXPECT_EQ(usage->reasoning, 11);
    EXPECT_EQ(usage->total(), 123);
}

TEST(Gemini, UsageThatSaysNothingIsNone) {
    const auto document = json::parse(R"({"trafficType":"ON_DEMAND","candidatesTokenCount":7})");
    EXPECT_FALSE(gemini_usage(Cursor(*document)));
    const auto absurd = json::parse(
        R"({"promptTokenCount":3,"cachedContentTokenCount":99,"thoughtsTokenCount":-4})");
    const auto usage = gemini_usage(Cursor(*absurd));
    ASSERT_TRUE(usage);
    EXPECT_EQ(usage->prompt(), 3);
    EXPECT_EQ(usage->output, 0);
}

std::string key_of(std::string_view body) {
    const auto document = json::parse(body);
    llm::FingerprintBuilder key;
    add_to_fingerprint(key, Dialect::kGemini, document->root());
    const auto digest = key.finish();
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

TEST(Gemini, OrderCountsInItsSchemasAndArgumentsAlone) {
    EXPECT_EQ(key_of(R"({"contents":[],"generationConfig":{"topP":1,"topK":2}})"),
              key_of(R"({"generationConfig":{"topK":2,"topP":1},"contents":[]})"));
    for (const std::string name :
         {"args", "parametersJsonSchema", "responseJsonSchema", "parameters"})
        EXPECT_NE(key_of("{\"" + name + R"(":{"a":{},"b":{}}})"),
                  key_of("{\"" + name + R"(":{"b":{},"a":{}}})"))
            << name;
}

TEST(GeminiStream, JoinsTextOfOneKindAndKeepsTheRest) {
    const auto reader =
        fed({chunk(R"({"text":"h","thought":true})"), chunk(R"({"text":"m","thought":true})"),
             chunk(R"({"text":"y\u00e9"})"), chunk(R"({"text":"s"})"),
             chunk(R"({"functionCall":{"name":"f","args":{"b":1,"a":2}},"thoughtSignature":"x"})"),
             chunk(R"({"text":""})", "STOP")});
    EXPECT_TRUE(reader->answer().ended);
    EXPECT_TRUE(reader->answer().has_tool_call);
    EXPECT_EQ(reader->answer().text, "yés");
    EXPECT_EQ(
        reader->to_plain(),
        R"({"candidates":[{"index":0,"finishReason":"STOP","content":{"role":"model","parts":[)"
        R"({"text":"hm","thought":true},{"text":"y\u00e9s"},)"
        R"({"functionCall":{"name":"f","args":{"b":1,"a":2}},"thoughtSignature":"x"}]}}],)"
        R"("usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2},)"
        R"("responseId":"r","modelVersion":"m"})");
}

TEST(GeminiStream, ASignatureEndsItsPart) {
    const auto reader =
        fed({chunk(R"({"text":"a"})"), chunk(R"({"text":"","thoughtSignature":"s"})"),
             chunk(R"({"text":"b"})", "STOP")});
    EXPECT_NE(
        reader->to_plain().find(R"("parts":[{"text":"a","thoughtSignature":"s"},{"text":"b"}])"),
        std::string::npos)
        << reader->to_plain();
}

TEST(GeminiStream, APrematureStopOfNothingIsNoEnd) {
    const auto reader = fed({chunk("", "STOP"), chunk(R"({"text":"a"})"), chunk("", "STOP")});
    EXPECT_TRUE(reader->answer().ended);
    EXPECT_EQ(reader->answer().text, "a");
}

TEST(GeminiStream, EndsWithItsBodyWhereNoUsageCame) {
    const auto reader = fed({R"({"candidates":[{"content":{"parts":[{"text":"a"}]}}]})",
                             R"({"candidates":[{"finishReason":"STOP"}]})"});
    EXPECT_FALSE(reader->answer().ended);
    reader->finish_at_eof();
    EXPECT_TRUE(reader->answer().ended);
    const auto cut = fed({chunk(R"({"text":"a"})")});
    cut->finish_at_eof();
    EXPECT_FALSE(cut->answer().ended);
}

TEST(GeminiStream, WaitsForEveryCandidate) {
    const std::string usage(kUsage);
    const auto reader = fed(
        {R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"index":0},{"content":{"parts":[{"text":"b"}]},"index":1}]})",
         R"({"candidates":[{"finishReason":"STOP","index":0}],)" + usage + "}"});
    EXPECT_FALSE(reader->answer().ended);
    ASSERT_TRUE(reader->read(
        {.data = R"({"candidates":[{"finishReason":"MAX_TOKENS","index":1}],)" + usage + "}"}));
    EXPECT_TRUE(reader->answer().ended);
    EXPECT_EQ(reader->answer().text, "a");
    EXPECT_EQ(reader->answer().finish, Finish::kBounded);
}

TEST(GeminiStream, AnErrorInItIsTheProvidersAndMasked) {
    for (
        const auto* data :
        {R"({"error":{"code":503,"message":"key=AIzaSyA1234567890abcdefghijklmnopqrstuv overloaded","status":"UNAVAILABLE"}})",
         R"([{"error":{"code":503,"message":"key=AIzaSyA1234567890abcdefghijklmnopqrstuv overloaded"}}])"}) {
        const auto reader = make_stream_reader(Dialect::kGemini);
        const auto outcome = reader->read({.data = data});
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code, ErrorCode::kProviderRejected);
        EXPECT_NE(outcome.error().message.find("overloaded"), std::string::npos);
        EXPECT_EQ(outcome.error().message.find("AIza"), std::string::npos);
    }
}

TEST(GeminiStream, RefusesWhatIsNoEventOfIts) {
    for (const auto* data : {"[]", "3", "{", R"({"candidates":[1]})"}) {
        const auto outcome = make_stream_reader(Dialect::kGemini)->read({.data = data});
        ASSERT_FALSE(outcome) << data;
        EXPECT_EQ(outcome.error().code, ErrorCode::kProviderUnreadable) << data;
    }
    const auto reader = make_stream_reader(Dialect::kGemini);
    bool refused = false;
    for (int i = 0; i < 100 && !refused; ++i)
        refused =
            !reader->read({.data = R"({"candidates":[{"index":)" + std::to_string(i) + "}]}"});
    EXPECT_TRUE(refused);
}

} // namespace
} // namespace larder::protocol
