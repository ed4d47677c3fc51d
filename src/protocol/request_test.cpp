// Requests as providers get them.
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

Result<std::string> write(Dialect from, std::string_view body, Dialect to, std::string_view model,
                          bool ask_usage = true) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    LARDER_TRY(const Call call, read_call(from, *document));
    return write_request(from, *document, to, call, model, ask_usage);
}

std::string to_openai(std::string_view body, std::string_view model, bool ask_usage = true) {
    return write(Dialect::kLlm, body, Dialect::kOpenAiChat, model, ask_usage).value_or("(refused)");
}

std::string to_anthropic(std::string_view body, std::string_view model = "claude-x") {
    return write(Dialect::kLlm, body, Dialect::kAnthropicMessages, model).value_or("(refused)");
}

constexpr auto kOpenAi = Dialect::kOpenAiChat;
constexpr auto kAnthropic = Dialect::kAnthropicMessages;

TEST(LlmToOpenAi, MakesOneUserMessageOfThePrompt) {
    EXPECT_EQ(to_openai(R"({ "prompt" : "a\u00e9\n" })", "gpt-4o"),
              R"({"model":"gpt-4o","messages":[{"role":"user","content":"a\u00e9\n"}]})");
}

TEST(LlmToOpenAi, CarriesEveryMember) {
    EXPECT_EQ(
        to_openai(R"({"prompt":"p","model":"fast","routingMode":"single-model","provider":"openai",
                  "system":"s","temperature":0.70,"maxTokens":10,"stream":true,
                  "seed":7,"response_format":{"type": "json_object"}})",
                  "gpt-4o"),
        R"({"model":"gpt-4o","messages":[{"role":"system","content":"s"},)"
        R"({"role":"user","content":"p"}],"temperature":0.70,"max_tokens":10,"stream":true,)"
        R"("stream_options":{"include_usage":true},"seed":7,)"
        R"("response_format":{"type": "json_object"}})");
}

TEST(LlmToOpenAi, CopiesMessagesAsTheyAre) {
    EXPECT_EQ(to_openai(R"({"messages":[ {"role":"user", "content":"a"},
{"role":"assistant","content":"b"}],"system":"s"})",
                        "m"),
              R"({"model":"m","messages":[{"role":"system","content":"s"}, )"
              R"({"role":"user", "content":"a"},
{"role":"assistant","content":"b"}]})");
}

TEST(LlmToOpenAi, NamesTheBoundAsTheModelWantsIt) {
    for (const char* model : {"o1-mini", "o3", "o4-mini", "gpt-5.1", "openai/gpt-5"})
        EXPECT_NE(to_openai(R"({"prompt":"p","maxTokens":9})", model)
                      .find(R"("max_completion_tokens":9)"),
                  std::string::npos)
            << model;
    for (const char* model : {"gpt-4o", "llama3.2", "omni", "gpt-4.5"})
        EXPECT_NE(to_openai(R"({"prompt":"p","maxTokens":9})", model).find(R"("max_tokens":9)"),
                  std::string::npos)
            << model;
}

TEST(LlmToOpenAi, LeavesOutNullsOfItsOwnAndWritesStreamOptionsOnce) {
    EXPECT_EQ(to_openai(R"({"prompt":"p","system":null,"temperature":null,"stream":false,
                        "stream_options":{"include_usage":false}})",
                        "m"),
              R"({"model":"m","messages":[{"role":"user","content":"p"}]})");
    EXPECT_EQ(to_openai(R"({"prompt":"p","stream":true,"stream_options":{}})", "m", false),
              R"({"model":"m","messages":[{"role":"user","content":"p"}],"stream":true})");
}

TEST(LlmToOpenAi, EscapesTheModelsName) {
    EXPECT_EQ(to_openai(R"({"prompt":"p"})", "a\"b\\"),
              R"({"model":"a\"b\\","messages":[{"role":"user","content":"p"}]})");
}

TEST(LlmToAnthropic, SetsMaxTokensAndSystem) {
    EXPECT_EQ(to_anthropic(R"({"prompt":"p","system":"s","temperature":1,"stream":true})"),
              R"({"model":"claude-x","system":"s","messages":[{"role":"user","content":"p"}],)"
              R"("max_tokens":4096,"temperature":1,"stream":true})");
    EXPECT_EQ(to_anthropic(R"({"prompt":"p","maxTokens":5,"top_k":3})"),
              R"({"model":"claude-x","messages":[{"role":"user","content":"p"}],)"
              R"("max_tokens":5,"top_k":3})");
    EXPECT_EQ(to_anthropic(R"({"prompt":"p","max_tokens":6})"),
              R"({"model":"claude-x","messages":[{"role":"user","content":"p"}],"max_tokens":6})");
}

TEST(LlmToAnthropic, MovesTheSystemMessagesAtTheHead) {
    EXPECT_EQ(to_anthropic(R"({"messages":[{"role":"system","content":"a"},
              {"role":"user","content":"b"}]})"),
              R"({"model":"claude-x","system":"a","messages":[{"role":"user","content":"b"}],)"
              R"("max_tokens":4096})");
    EXPECT_EQ(to_anthropic(R"({"system":"s","messages":[{"role":"system","content":"a"},
              {"role":"developer","content":[{"type":"text","text":"c"}]},
              {"role":"user","content":"b"}]})"),
              R"({"model":"claude-x","system":[{"type":"text","text":"s"},)"
              R"({"type":"text","text":"a"},{"type":"text","text":"c"}],)"
              R"("messages":[{"role":"user","content":"b"}],"max_tokens":4096})");
}

TEST(LlmToAnthropic, RefusesWhatHasNoPlaceThere) {
    const auto refused = [](std::string_view body) {
        const auto request = write(Dialect::kLlm, body, kAnthropic, "claude");
        return !request && request.error().field == "messages";
    };
    EXPECT_TRUE(refused(R"({"messages":[{"role":"system","content":"a"}]})"));
    EXPECT_TRUE(refused(R"({"messages":[{"role":"user","content":"a"},
                        {"role":"system","content":"b"}]})"));
    EXPECT_TRUE(refused(R"({"messages":[{"role":"user","content":"a"},
                        {"role":"tool","content":"b"}]})"));
}

TEST(SameDialect, GivesTheClientsBytes) {
    const std::string body = "{ \"model\" : \"m\",\n \"messages\": [{\"role\":\"user\","
                             "\"content\":\"\\u00e9\"}], \"temperature\": 1.50 }";
    EXPECT_EQ(write(kOpenAi, body, kOpenAi, "m").value(), body);
}

TEST(SameDialect, PatchesTheModelOnly) {
    EXPECT_EQ(write(kOpenAi, R"({"messages":[{"role":"user","content":"a"}], "model":"fast" })",
                    kOpenAi, "gpt-4o")
                  .value(),
              R"({"messages":[{"role":"user","content":"a"}], "model":"gpt-4o" })");
    EXPECT_EQ(write(kAnthropic,
                    R"({"model":"x","max_tokens":1,"messages":[{"role":"user","content":"a"}]})",
                    kAnthropic, "claude")
                  .value(),
              R"({"model":"claude","max_tokens":1,"messages":[{"role":"user","content":"a"}]})");
}

TEST(SameDialect, AsksForTheUsageOfAStream) {
    const auto asked = [](std::string_view options, bool ask = true) {
        const std::string body = R"({"model":"m","messages":[{"role":"user","content":"a"}],)"
                                 R"("stream":true)" +
                                 std::string(options) + "}";
        const auto request = write(kOpenAi, body, kOpenAi, "m", ask).value();
        const auto document = json::parse(request);
        EXPECT_TRUE(document) << request;
        const auto found = document->root().find("stream_options");
        return found ? std::string(found->raw()) : std::string();
    };
    EXPECT_EQ(asked(""), R"({"include_usage":true})");
    EXPECT_EQ(asked("", false), "");
    EXPECT_EQ(asked(R"(,"stream_options":null)"), R"({"include_usage":true})");
    EXPECT_EQ(asked(R"(,"stream_options":{})"), R"({"include_usage":true})");
    EXPECT_EQ(asked(R"(,"stream_options":{"include_usage":false})"), R"({"include_usage":true})");
    EXPECT_EQ(asked(R"(,"stream_options":{"include_usage": true})"), R"({"include_usage": true})");
    EXPECT_EQ(asked(R"(,"stream_options":{"include_obfuscation":false})"),
              R"({"include_obfuscation":false,"include_usage":true})");
}

TEST(SameDialect, AsksNothingWithoutAStream) {
    const std::string body =
        R"({"model":"m","messages":[{"role":"user","content":"a"}],"stream":false})";
    EXPECT_EQ(write(kOpenAi, body, kOpenAi, "m").value(), body);
}

std::string key_of(std::string_view body, Dialect dialect = kOpenAi) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    llm::FingerprintBuilder key;
    add_to_fingerprint(key, dialect, document->root());
    const auto digest = key.finish();
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

TEST(Fingerprint, IgnoresOrderSpacingEscapesAndNumberSpelling) {
    EXPECT_EQ(key_of(R"({"model":"m","temperature":1,"messages":[{"role":"user","content":"é"}]})"),
              key_of(R"({ "messages":[{"content":"\u00e9","role":"user"}],
                     "temperature":1.0e0, "model":"m" })"));
}

TEST(Fingerprint, SkipsWhatCannotChangeTheAnswer) {
    const std::string plain = key_of(R"({"model":"m"})");
    EXPECT_EQ(key_of(R"({"model":"m","stream":true,"stream_options":{"include_usage":true},
                     "user":"u","metadata":{"a":"b"},"store":false})"),
              plain);
    EXPECT_NE(key_of(R"({"model":"m","store":true})"), plain);
    EXPECT_NE(key_of(R"({"model":"m","nested":{"user":"u"}})"), plain);
}

TEST(Fingerprint, CountsEverythingElse) {
    const std::string plain = key_of(R"({"model":"m"})");
    for (const char* member :
         {R"("n":2)", R"("seed":1)", R"("top_p":0.5)", R"("unheard_of":null)", R"("tools":[])"})
        EXPECT_NE(key_of(R"({"model":"m",)" + std::string(member) + "}"), plain) << member;
    EXPECT_NE(key_of(R"({"model":"m"})", kAnthropic), plain);
}

TEST(Fingerprint, KeepsTheOrderInsideSchemasAndInputs) {
    const auto with_tool = [](std::string_view tool) {
        return key_of(R"({"tools":[)" + std::string(tool) + "]}");
    };
    EXPECT_EQ(
        with_tool(R"({"type":"function","function":{"name":"f","parameters":{"a":1,"b":2}}})"),
        with_tool(R"({"function":{"parameters":{"a":1,"b":2},"name":"f"},"type":"function"})"));
    EXPECT_NE(with_tool(R"({"function":{"parameters":{"a":1,"b":2}}})"),
              with_tool(R"({"function":{"parameters":{"b":2,"a":1}}})"));
    EXPECT_NE(with_tool(R"({"input_schema":{"properties":{"a":{},"b":{}}}})"),
              with_tool(R"({"input_schema":{"properties":{"b":{},"a":{}}}})"));
    const auto with_format = [](std::string_view format) {
        return key_of(R"({"response_format":{"type":"json_schema","json_schema":)" +
                      std::string(format) + "}}");
    };
    EXPECT_EQ(with_format(R"({"name":"n","schema":{"a":1,"b":2}})"),
              with_format(R"({"schema":{"a":1,"b":2},"name":"n"})"));
    EXPECT_NE(with_format(R"({"schema":{"a":1,"b":2}})"),
              with_format(R"({"schema":{"b":2,"a":1}})"));
    EXPECT_NE(key_of(R"({"messages":[{"content":[{"type":"tool_use","input":{"a":1,"b":2}}]}]})"),
              key_of(R"({"messages":[{"content":[{"type":"tool_use","input":{"b":2,"a":1}}]}]})"));
}

} // namespace
} // namespace larder::protocol
