// Tests of what is read of a request's needs, in every dialect.
#include "protocol/needs.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

Needs needs_of(Dialect dialect, std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    if (!document)
        return {};
    const auto call = read_call(dialect, *document);
    EXPECT_TRUE(call) << body;
    return call ? read_needs(dialect, *document, *call) : Needs{};
}

Needs llm(std::string_view members) {
    return needs_of(Dialect::kLlm, "{" + std::string(members) + "}");
}
Needs chat(std::string_view content, std::string_view members = {}) {
    return needs_of(Dialect::kOpenAiChat, R"({"model":"m","messages":[{"role":"user","content":)" +
                                              std::string(content) + "}]" + std::string(members) +
                                              "}");
}
Needs responses(std::string_view input, std::string_view members = {}) {
    return needs_of(Dialect::kOpenAiResponses,
                    R"({"model":"m","input":)" + std::string(input) + std::string(members) + "}");
}
Needs anthropic(std::string_view content, std::string_view members = {}) {
    return needs_of(Dialect::kAnthropicMessages,
                    R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":)" +
                        std::string(content) + "}]" + std::string(members) + "}");
}

std::string session(Dialect dialect, std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    return document ? session_of(dialect, *document) : "(no JSON)";
}

TEST(Needs, OfPlainTextAreItsTokens) {
    const Needs needs = llm(R"("prompt":"12345678","system":"1234")");
    EXPECT_EQ(needs.input_tokens, 3);
    EXPECT_EQ(needs.max_output_tokens, 0);
    EXPECT_FALSE(needs.tools);
    EXPECT_FALSE(needs.vision);
    EXPECT_FALSE(needs.json);
}

TEST(Needs, AreToolsWhereTheRequestHasSome) {
    const char* const tools = R"(,"tools":[{"type":"function","function":{"name":"f"}}])";
    EXPECT_TRUE(llm(R"("prompt":"x")" + std::string(tools)).tools);
    EXPECT_TRUE(chat(R"("x")", tools).tools);
    EXPECT_TRUE(chat(R"("x")", R"(,"functions":[{"name":"f"}])").tools);
    EXPECT_TRUE(responses(R"("x")", R"(,"tools":[{"type":"function","name":"f"}])").tools);
    EXPECT_TRUE(anthropic(R"("x")", R"(,"tools":[{"name":"f","input_schema":{}}])").tools);
    EXPECT_FALSE(chat(R"("x")", R"(,"tools":[])").tools);
}

TEST(Needs, AreVisionForImagesAndDocumentsOfEveryApi) {
    EXPECT_TRUE(chat(R"([{"type":"image_url","image_url":{"url":"data:,"}}])").vision);
    EXPECT_TRUE(chat(R"([{"type":"file","file":{"file_id":"f"}}])").vision);
    EXPECT_TRUE(responses(R"([{"role":"user","content":[{"type":"input_image","image_url":"u"}]}])")
                    .vision);
    EXPECT_TRUE(
        responses(R"([{"role":"user","content":[{"type":"input_file","file_id":"f"}]}])").vision);
    EXPECT_TRUE(anthropic(R"([{"type":"image","source":{}}])").vision);
    EXPECT_TRUE(anthropic(R"([{"type":"document","source":{}}])").vision);
    EXPECT_TRUE(
        llm(R"("messages":[{"role":"user","content":[{"type":"image","source":{}}]}])").vision);
    EXPECT_TRUE(llm(R"("messages":[{"role":"user","content":[{"type":"image_url"}]}])").vision);
}

TEST(Needs, AreVisionForAnImageThatAToolGave) {
    EXPECT_TRUE(anthropic(R"([{"type":"tool_result","tool_use_id":"t","content":
        [{"type":"image","source":{}}]}])")
                    .vision);
    EXPECT_TRUE(responses(R"([{"type":"function_call_output","call_id":"c","output":
        [{"type":"input_image","image_url":"u"}]}])")
                    .vision);
}

TEST(Needs, AreNoVisionForTextThatSpeaksOfImages) {
    EXPECT_FALSE(chat(R"([{"type":"text","text":"{\"type\":\"image_url\"}"}])").vision);
    EXPECT_FALSE(chat(R"("image_url")").vision);
    EXPECT_FALSE(anthropic(R"([{"type":"tool_use","id":"t","name":"image",
        "input":{"type":"image"}}])")
                     .vision);
}

TEST(Needs, CountAThousandTokensAnAttachment) {
    EXPECT_EQ(
        chat(R"([{"type":"text","text":"ab"},{"type":"image_url"},{"type":"file"}])").input_tokens,
        2001);
    const Needs audio = chat(R"([{"type":"input_audio","input_audio":{"data":"AAAA"}}])");
    EXPECT_EQ(audio.input_tokens, 1000);
    EXPECT_FALSE(audio.vision);
}

TEST(Needs, LookNoDeeperThanTheyAreBound) {
    std::string content = R"([{"type":"image"}])";
    for (int i = 0; i < 40; ++i)
        content = R"([{"type":"tool_result","content":)" + content + "}]";
    EXPECT_FALSE(anthropic(content).vision);
}

TEST(Needs, AreJsonWhereAFormatIsAskedFor) {
    const char* const schema = R"({"type":"json_schema","json_schema":{"name":"n"}})";
    EXPECT_TRUE(chat(R"("x")", R"(,"response_format":)" + std::string(schema)).json);
    EXPECT_TRUE(chat(R"("x")", R"(,"response_format":{"type":"json_object"})").json);
    EXPECT_TRUE(llm(R"("prompt":"x","response_format":{"type":"json_object"})").json);
    EXPECT_TRUE(responses(R"("x")", R"(,"text":{"format":{"type":"json_object"}})").json);
    EXPECT_TRUE(anthropic(R"("x")", R"(,"output_format":{"type":"json_schema"})").json);
    EXPECT_TRUE(anthropic(R"("x")", R"(,"output_config":{"format":{"type":"json_schema"}})").json);
}

TEST(Needs, AreNoJsonForPlainTextAndEfforts) {
    EXPECT_FALSE(chat(R"("x")", R"(,"response_format":{"type":"text"})").json);
    EXPECT_FALSE(chat(R"("x")", R"(,"response_format":null)").json);
    EXPECT_FALSE(responses(R"("x")", R"(,"text":{"format":{"type":"text"}})").json);
    EXPECT_FALSE(responses(R"("x")", R"(,"text":{"verbosity":"low"})").json);
    EXPECT_FALSE(anthropic(R"("x")", R"(,"output_config":{"effort":"low"})").json);
}

TEST(Needs, TakeTheOutputsBoundByAnyOfItsNames) {
    EXPECT_EQ(llm(R"("prompt":"x","maxTokens":5)").max_output_tokens, 5);
    EXPECT_EQ(llm(R"("prompt":"x","max_tokens":6)").max_output_tokens, 6);
    EXPECT_EQ(chat(R"("x")", R"(,"max_completion_tokens":7)").max_output_tokens, 7);
    EXPECT_EQ(responses(R"("x")", R"(,"max_output_tokens":8)").max_output_tokens, 8);
    EXPECT_EQ(anthropic(R"("x")").max_output_tokens, 9);
    EXPECT_EQ(chat(R"("x")", R"(,"max_tokens":3,"max_completion_tokens":7)").max_output_tokens, 7);
    EXPECT_EQ(chat(R"("x")", R"(,"max_tokens":null)").max_output_tokens, 0);
}

TEST(SessionOf, TakesTheFirstNameThatIsThere) {
    const Dialect openai = Dialect::kOpenAiResponses;
    EXPECT_EQ(session(openai, R"({"conversation":"c","user":"u","prompt_cache_key":"k"})"), "k");
    EXPECT_EQ(session(openai, R"({"conversation":"c","user":"u"})"), "u");
    EXPECT_EQ(session(openai, R"({"conversation":"c","user":""})"), "c");
    EXPECT_EQ(session(openai, R"({"conversation":{"id":"conv_1"}})"), "conv_1");
    EXPECT_EQ(session(openai, R"({"model":"m"})"), "");
    EXPECT_EQ(session(openai, R"({"user":7,"conversation":null})"), "");
}

TEST(SessionOf, KnowsAnthropicsUser) {
    const char* const body = R"({"metadata":{"user_id":"u-1"}})";
    EXPECT_EQ(session(Dialect::kAnthropicMessages, body), "u-1");
    EXPECT_EQ(session(Dialect::kLlm, body), "u-1");
    EXPECT_EQ(session(Dialect::kOpenAiChat, body), "") << "OpenAI's metadata is free";
}

TEST(SessionOf, IsBounded) {
    EXPECT_EQ(session(Dialect::kLlm, R"({"user":")" + std::string(100'000, 'u') + "\"}").size(),
              512U);
}

} // namespace
} // namespace larder::protocol
