// Which requests bypass the cache, and which answers may be kept.
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

std::string bypass(Dialect dialect, std::string_view members, std::string_view model = "m") {
    const std::string prompt = dialect == Dialect::kLlm
                                   ? R"("prompt":"a")"
                                   : R"("max_tokens":9,"messages":[{"role":"user","content":"a"}])";
    const std::string body = R"({"model":")" + std::string(model) + "\"," + prompt +
                             (members.empty() ? "" : ",") + std::string(members) + "}";
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    const auto call = read_call(dialect, *document);
    EXPECT_TRUE(call) << body;
    return call ? call->bypass : "(refused)";
}

TEST(Cacheability, TakesOrdinaryRequests) {
    for (const auto dialect : {Dialect::kLlm, Dialect::kOpenAiChat, Dialect::kAnthropicMessages}) {
        EXPECT_EQ(bypass(dialect, ""), "");
        EXPECT_EQ(bypass(dialect, R"("tools":[{"name":"f"},{"type":"function"},
                                  {"type":"custom","name":"g"}],"seed":1,"n":2)"),
                  "");
        EXPECT_EQ(bypass(dialect, R"("background":false,"conversation":null,"mcp_servers":[])"),
                  "");
    }
    EXPECT_EQ(bypass(Dialect::kOpenAiChat, R"("store":true,"modalities":["text","audio"])"), "");
}

TEST(Cacheability, TakesToolsThatRunAtTheClient) {
    for (const char* type :
         {"bash_20250124", "text_editor_20250728", "computer_20250124", "memory_20250818"})
        EXPECT_EQ(bypass(Dialect::kAnthropicMessages,
                         R"("tools":[{"type":")" + std::string(type) + R"(","name":"t"}])"),
                  "");
}

TEST(Cacheability, BypassesToolsThatTheProviderRuns) {
    for (const char* type : {"web_search_20250305", "web_fetch_20250910", "code_execution_20250522",
                             "mcp_toolset", "tool_search_tool_bm25_20251119", "unheard_of"})
        EXPECT_EQ(bypass(Dialect::kAnthropicMessages,
                         R"("tools":[{"name":"f"},{"type":")" + std::string(type) + R"("}])"),
                  "hosted_tool")
            << type;
    for (const char* type : {"web_search_preview", "file_search", "code_interpreter",
                             "computer_use_preview", "mcp", "openrouter:web_search"})
        EXPECT_EQ(
            bypass(Dialect::kOpenAiChat, R"("tools":[{"type":")" + std::string(type) + R"("}])"),
            "hosted_tool")
            << type;
    EXPECT_EQ(bypass(Dialect::kLlm, R"("tools":[{"type":"web_search_20250305"}])"), "hosted_tool");
    EXPECT_EQ(bypass(Dialect::kOpenAiChat, R"("plugins":[{"id":"web"}])"), "hosted_tool");
}

TEST(Cacheability, BypassesWhatDependsOnStateAtTheProvider) {
    for (const auto dialect : {Dialect::kLlm, Dialect::kOpenAiChat, Dialect::kAnthropicMessages}) {
        EXPECT_EQ(bypass(dialect, R"("background":true)"), "background");
        EXPECT_EQ(bypass(dialect, R"("conversation":"conv_1")"), "conversation");
        EXPECT_EQ(bypass(dialect, R"("previous_response_id":"resp_1")"), "previous_response");
        EXPECT_EQ(bypass(dialect, R"("container":"c")"), "container");
        EXPECT_EQ(bypass(dialect, R"("mcp_servers":[{"url":"https://example.org"}])"), "mcp");
        EXPECT_EQ(bypass(dialect, R"("web_search_options":{})"), "web_search");
    }
    EXPECT_EQ(bypass(Dialect::kOpenAiChat, R"("prompt":{"id":"pmpt_1"})"), "stored_prompt");
}

TEST(Cacheability, BypassesModelsThatSearch) {
    EXPECT_EQ(bypass(Dialect::kOpenAiChat, "", "gpt-4o-search-preview"), "web_search");
    EXPECT_EQ(bypass(Dialect::kLlm, "", "gpt-4o-mini-search-preview-2025-03-11"), "web_search");
    EXPECT_EQ(bypass(Dialect::kOpenAiChat, "", "gpt-5-search-api"), "web_search");
}

Answer whole_answer() {
    Answer answer;
    answer.text = "hello";
    answer.finish = Finish::kWhole;
    answer.ended = true;
    return answer;
}

TEST(MayBeKept, WantsAWholeFinishedAnswer) {
    EXPECT_TRUE(may_be_kept(whole_answer(), {}));
    Answer cut = whole_answer();
    cut.ended = false;
    EXPECT_FALSE(may_be_kept(cut, {}));
    Answer empty = whole_answer();
    empty.text.clear();
    EXPECT_FALSE(may_be_kept(empty, {}));
    empty.has_tool_call = true;
    EXPECT_TRUE(may_be_kept(empty, {}));
    for (const Finish finish : {Finish::kRefused, Finish::kUnknown, Finish::kBounded}) {
        Answer other = whole_answer();
        other.finish = finish;
        EXPECT_FALSE(may_be_kept(other, {}));
    }
}

TEST(MayBeKept, TakesABoundThatTheRequestSet) {
    Answer bounded = whole_answer();
    bounded.finish = Finish::kBounded;
    EXPECT_TRUE(may_be_kept(bounded, Call{.bounds_output = true}));
    bounded.finish = Finish::kRefused;
    EXPECT_FALSE(may_be_kept(bounded, Call{.bounds_output = true}));
}

} // namespace
} // namespace larder::protocol
