// Requests of OpenAI's Responses API: what is read and refused, what bypasses the cache, and what
// of them is in the key.
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

namespace larder::protocol {
namespace {

constexpr Dialect kDialect = Dialect::kOpenAiResponses;

Result<Call> read(std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    if (!document)
        return std::unexpected(document.error());
    return read_call(kDialect, *document);
}

/// A request with these members beside a model and an input.
Result<Call> read_with(std::string_view members) {
    return read(R"({"model":"m","input":"a",)" + std::string(members) + "}");
}

std::string refused_field(std::string_view body) {
    const auto call = read(body);
    EXPECT_FALSE(call) << body;
    if (call)
        return "(accepted)";
    EXPECT_EQ(call.error().code, ErrorCode::kInvalidRequest);
    EXPECT_FALSE(call.error().message.empty());
    return call.error().field;
}

std::string bypass(std::string_view members) {
    const auto call = read_with(members);
    EXPECT_TRUE(call) << members;
    return call ? call->bypass : "(refused)";
}

std::string bypass_of_items(std::string_view items) {
    const auto call = read(R"({"model":"m","input":[)" + std::string(items) + "]}");
    EXPECT_TRUE(call) << items;
    return call ? call->bypass : "(refused)";
}

std::string key_of(std::string_view members, Dialect dialect = kDialect) {
    const std::string body = R"({"model":"m",)" + std::string(members) + "}";
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    llm::FingerprintBuilder key;
    add_to_fingerprint(key, dialect, document->root());
    const auto digest = key.finish();
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

TEST(ReadResponsesCall, ReadsEveryMember) {
    const auto call = read(R"({"model":"gpt-x","input":"Hello","instructions":"Be terse",
        "stream":true,"temperature":0.25,"max_output_tokens":100,"store":true,
        "text":{"format":{"type":"text"}},"stream_options":{"include_obfuscation":false}})");
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_EQ(call->model, "gpt-x");
    EXPECT_TRUE(call->stream);
    EXPECT_TRUE(call->has_temperature);
    EXPECT_DOUBLE_EQ(call->temperature, 0.25);
    EXPECT_TRUE(call->bounds_output);
    EXPECT_FALSE(call->has_tools);
    EXPECT_EQ(call->prompt_bytes, 13U);
    EXPECT_EQ(call->bypass, "");
}

TEST(ReadResponsesCall, TakesNullForAnAbsentMember) {
    const auto call = read_with(
        R"("instructions":null,"stream":null,"temperature":null,"max_output_tokens":null,
           "tools":null,"store":null,"background":null,"prompt":null,"conversation":null,
           "previous_response_id":null,"text":null)");
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_FALSE(call->bounds_output);
    EXPECT_FALSE(call->has_temperature);
    EXPECT_EQ(call->bypass, "");
}

TEST(ReadResponsesCall, CountsTheTextOfEveryItem) {
    const auto call = read(R"({"model":"m","input":[
        {"role":"user","content":"12345"},
        {"type":"message","role":"user","content":[{"type":"input_text","text":"678"},
            {"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"9"},
        {"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"0"}]},
        {"type":"reasoning","summary":[{"type":"summary_text","text":"ab"}],"content":null}]})");
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_EQ(call->prompt_bytes, 5U + 3U + 4U + 1U + 1U + 2U);
}

TEST(ReadResponsesCall, CountsTools) {
    const auto call = read_with(R"("tools":[{"type":"function","name":"f"}])");
    ASSERT_TRUE(call);
    EXPECT_TRUE(call->has_tools);
    EXPECT_EQ(call->prompt_bytes, 1U + std::string(R"([{"type":"function","name":"f"}])").size());
}

TEST(ReadResponsesCall, NeedsAModelAndAnInput) {
    EXPECT_EQ(refused_field(R"({"input":"a"})"), "model");
    EXPECT_EQ(refused_field(R"({"input":"a","model":" "})"), "model");
    EXPECT_EQ(refused_field(R"({"model":"m"})"), "input");
    EXPECT_EQ(refused_field(R"({"model":"m","input":null})"), "input");
    EXPECT_EQ(refused_field(R"({"model":"m","input":[]})"), "input");
}

TEST(ReadResponsesCall, NeedsNoInputThatTheProviderHas) {
    for (const char* member : {R"("prompt":{"id":"p"})", R"("previous_response_id":"r")",
                               R"("conversation":"c")", R"("conversation":{"id":"c"})"}) {
        EXPECT_TRUE(read(R"({"model":"m",)" + std::string(member) + "}")) << member;
        EXPECT_TRUE(read(R"({"model":"m","input":[],)" + std::string(member) + "}")) << member;
    }
    const auto stored = read(R"({"prompt":{"id":"p"}})");
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->model, "");
    EXPECT_EQ(refused_field(R"({"previous_response_id":"r"})"), "model");
}

TEST(ReadResponsesCall, NamesTheMemberOfAWrongType) {
    const std::pair<const char*, const char*> cases[] = {
        {R"("stream":"yes")", "stream"},
        {R"("temperature":"warm")", "temperature"},
        {R"("temperature":-1)", "temperature"},
        {R"("max_output_tokens":1.5)", "max_output_tokens"},
        {R"("max_output_tokens":-1)", "max_output_tokens"},
        {R"("tools":{})", "tools"},
        {R"("instructions":[])", "instructions"},
        {R"("store":"true")", "store"},
        {R"("background":1)", "background"},
        {R"("previous_response_id":3)", "previous_response_id"},
        {R"("conversation":[])", "conversation"},
        {R"("prompt":"p")", "prompt"},
        {R"("text":"json")", "text"},
        {R"("stream_options":true)", "stream_options"},
    };
    for (const auto& [member, field] : cases)
        EXPECT_EQ(refused_field(R"({"model":"m","input":"a",)" + std::string(member) + "}"), field);
    EXPECT_EQ(refused_field("[]"), "");
    EXPECT_EQ(refused_field(R"({"model":3,"input":"a"})"), "model");
    EXPECT_EQ(refused_field(R"({"model":"m","input":{}})"), "input");
}

TEST(ReadResponsesCall, NamesTheItemAtFault) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"role":"user","content":"a"},"b")", "input[1]"},
        {R"({"role":7,"content":"a"})", "input[0].role"},
        {R"({"type":{},"content":"a"})", "input[0].type"},
        {R"({"role":"user","content":4})", "input[0].content"},
        {R"({"role":"user","content":{}})", "input[0].content"},
    };
    for (const auto& [items, field] : cases)
        EXPECT_EQ(refused_field(R"({"model":"m","input":[)" + std::string(items) + "]}"), field);
}

TEST(ResponsesCacheability, TakesOrdinaryRequests) {
    EXPECT_EQ(bypass(R"("store":true)"), "");
    EXPECT_EQ(bypass(R"("store":false,"include":["reasoning.encrypted_content"])"), "");
    EXPECT_EQ(bypass(R"("background":false)"), "");
    EXPECT_EQ(bypass_of_items(R"({"role":"user","content":[{"type":"input_image","file_id":null,
                                  "image_url":"data:,"}]},
        {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},
        {"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text",
         "text":"t","annotations":[{"type":"file_citation","file_id":"f"}]}]})"),
              "");
}

TEST(ResponsesCacheability, BypassesStateAtTheProvider) {
    EXPECT_EQ(bypass(R"("previous_response_id":"r")"), "previous_response");
    EXPECT_EQ(bypass(R"("conversation":{"id":"c"})"), "conversation");
    EXPECT_EQ(bypass(R"("background":true)"), "background");
    EXPECT_EQ(bypass(R"("prompt":{"id":"p"})"), "stored_prompt");
    EXPECT_EQ(bypass(R"("container":"c")"), "container");
    EXPECT_EQ(bypass_of_items(R"({"type":"item_reference","id":"i"})"), "item_reference");
    EXPECT_EQ(bypass_of_items(R"({"role":"user","content":"a"},{"id":"i"})"), "item_reference");
    EXPECT_EQ(bypass_of_items(
                  R"({"role":"user","content":[{"type":"input_text","text":"a"},
                     {"type":"input_file","file_id":"f"}]})"),
              "file_id");
    EXPECT_EQ(bypass_of_items(R"({"type":"function_call_output","call_id":"c","output":
                                 [{"type":"input_image","file_id":"f"}]})"),
              "file_id");
    EXPECT_EQ(bypass_of_items(R"({"type":"computer_call_output","call_id":"c","output":
                                 {"type":"computer_screenshot","file_id":"f"}})"),
              "file_id");
}

TEST(ResponsesCacheability, TakesToolsThatRunAtTheClient) {
    for (const char* tool :
         {R"({"type":"function","name":"f"})", R"({"type":"custom","name":"f"})",
          R"({"type":"local_shell"})", R"({"type":"apply_patch"})", R"({"name":"f"})",
          R"({"type":"shell","environment":{"type":"local"}})",
          R"({"type":"tool_search","execution":"client"})",
          R"({"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]})"}) {
        EXPECT_EQ(bypass(R"("tools":[)" + std::string(tool) + "]"), "") << tool;
    }
}

TEST(ResponsesCacheability, BypassesToolsThatTheProviderRuns) {
    for (const char* tool :
         {R"({"type":"web_search"})", R"({"type":"web_search_preview_2025_03_11"})",
          R"({"type":"file_search","vector_store_ids":["v"]})",
          R"({"type":"code_interpreter","container":{"type":"auto"}})",
          R"({"type":"computer_use_preview"})", R"({"type":"image_generation"})",
          R"({"type":"mcp","server_label":"l"})", R"({"type":"shell"})",
          R"({"type":"shell","environment":{"type":"container_auto"}})",
          R"({"type":"tool_search"})", R"({"type":"bash_20250124"})", R"({"type":"unheard_of"})",
          R"({"type":5})", R"({"type":"namespace","tools":[{"type":"mcp"}]})"}) {
        EXPECT_EQ(bypass(R"("tools":[{"type":"function","name":"f"},)" + std::string(tool) + "]"),
                  "hosted_tool")
            << tool;
        EXPECT_EQ(bypass_of_items(R"({"type":"additional_tools","role":"developer","tools":[)" +
                                  std::string(tool) + "]}"),
                  "hosted_tool")
            << tool;
    }
}

TEST(ResponsesCacheability, EndsInNestedNamespaces) {
    std::string tool = R"({"type":"function"})";
    for (int i = 0; i < 50; ++i)
        tool = R"({"type":"namespace","tools":[)" + tool + "]}";
    EXPECT_EQ(bypass(R"("tools":[)" + tool + "]"), "hosted_tool");
}

TEST(ResponsesRequest, GoesUpAsItCame) {
    const std::string body =
        R"({ "input" : "a", "model":"alias" , "stream":true, "unheard_of":[1, 2] })";
    const auto document = json::parse(body);
    const auto call = read_call(kDialect, *document);
    ASSERT_TRUE(call);
    EXPECT_EQ(write_request(kDialect, *document, kDialect, *call, "alias", true).value(), body);
    EXPECT_EQ(write_request(kDialect, *document, kDialect, *call, "gpt-x", true).value(),
              R"({ "input" : "a", "model":"gpt-x" , "stream":true, "unheard_of":[1, 2] })");
}

TEST(ResponsesRequest, LeavesAStoredPromptItsOwnModel) {
    const std::string body = R"({"prompt":{"id":"p"}})";
    const auto document = json::parse(body);
    const auto call = read_call(kDialect, *document);
    ASSERT_TRUE(call);
    EXPECT_EQ(write_request(kDialect, *document, kDialect, *call, "gpt-x", true).value(), body);
}

TEST(ResponsesFingerprint, SkipsWhatCannotChangeTheAnswer) {
    const std::string plain = key_of(R"("input":"a")");
    EXPECT_EQ(key_of(R"("input":"a","stream":true,"stream_options":{"include_obfuscation":false},
                        "user":"u","metadata":{"a":"b"},"store":true)"),
              plain);
    for (const char* member :
         {R"("store":false)", R"("prompt_cache_key":"k")", R"("safety_identifier":"s")",
          R"("instructions":"i")", R"("include":["reasoning.encrypted_content"])",
          R"("max_output_tokens":5)", R"("service_tier":"flex")"})
        EXPECT_NE(key_of(R"("input":"a",)" + std::string(member)), plain) << member;
    EXPECT_NE(key_of(R"("input":[{"role":"user","content":"a"}])"), plain);
}

TEST(ResponsesFingerprint, OrderIsFreeInItemsAndKeptInTheirOrder) {
    EXPECT_EQ(key_of(R"("input":[{"role":"user","content":[{"type":"input_text","text":"a"}]}])"),
              key_of(R"("input":[{"content":[{"text":"a","type":"input_text"}],"role":"user"}])"));
    EXPECT_NE(key_of(R"("input":[{"role":"user","content":"a"},{"role":"user","content":"b"}])"),
              key_of(R"("input":[{"role":"user","content":"b"},{"role":"user","content":"a"}])"));
    // A tool's input in another dialect is the model's own.
    EXPECT_NE(key_of(R"("messages":[{"content":[{"input":{"a":1,"b":2}}]}])",
                     Dialect::kAnthropicMessages),
              key_of(R"("messages":[{"content":[{"input":{"b":2,"a":1}}]}])",
                     Dialect::kAnthropicMessages));
}

TEST(ResponsesFingerprint, KeepsTheOrderInsideSchemasAndArguments) {
    EXPECT_NE(key_of(R"("tools":[{"type":"function","parameters":{"a":1,"b":2}}])"),
              key_of(R"("tools":[{"type":"function","parameters":{"b":2,"a":1}}])"));
    EXPECT_EQ(key_of(R"("tools":[{"type":"function","name":"f"}])"),
              key_of(R"("tools":[{"name":"f","type":"function"}])"));
    EXPECT_NE(key_of(R"("text":{"format":{"schema":{"a":1,"b":2}}})"),
              key_of(R"("text":{"format":{"schema":{"b":2,"a":1}}})"));
    EXPECT_EQ(key_of(R"("text":{"format":{"name":"n","strict":true}})"),
              key_of(R"("text":{"format":{"strict":true,"name":"n"}})"));
    EXPECT_NE(key_of(R"("input":[{"type":"tool_search_call","arguments":{"a":1,"b":2}}])"),
              key_of(R"("input":[{"type":"tool_search_call","arguments":{"b":2,"a":1}}])"));
}

} // namespace
} // namespace larder::protocol
