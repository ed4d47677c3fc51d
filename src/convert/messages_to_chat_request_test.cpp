// A client of messages asks for a model of OpenAI's: each rule by which its request is carried over
// or refused.
#include "testing/carried.hpp"

#include <array>

namespace larder::convert {
namespace {

using namespace larder::testing;

constexpr Direction kPlain{Dialect::kAnthropicMessages, Dialect::kOpenAiChat, "gpt-4o"};
constexpr Direction kThinker{Dialect::kAnthropicMessages, Dialect::kOpenAiChat, "gpt-5.1"};
constexpr Direction kFirstFive{Dialect::kAnthropicMessages, Dialect::kOpenAiChat, "gpt-5-mini"};
constexpr Direction kAlways{Dialect::kAnthropicMessages, Dialect::kOpenAiChat, "o3"};

std::string asking(std::string_view members) {
    return R"({"model":"gpt","max_tokens":9,"messages":[{"role":"user","content":"Hi"}])" +
           std::string(members) + "}";
}

std::string with_messages(std::string_view messages) {
    return R"({"model":"gpt","max_tokens":9,"messages":[)" + std::string(messages) + "]}";
}

void expect_members(std::string_view members, std::string_view expected,
                    const Direction& direction = kPlain) {
    const bool is_plain = direction.model == kPlain.model;
    expect_carried(direction, asking(members),
                   R"({"model":")" + std::string(direction.model) +
                       R"(","messages":[{"role":"user","content":"Hi"}],)" +
                       (is_plain ? R"("max_tokens":9)" : R"("max_completion_tokens":9)") +
                       std::string(expected) + "}");
}

void expect_messages(std::string_view messages, std::string_view expected) {
    expect_carried(kPlain, with_messages(messages),
                   R"({"model":"gpt-4o","max_tokens":9,"messages":[)" + std::string(expected) +
                       "]}");
}

TEST(MessagesToChatRequest, CarriesPlainMembers) {
    expect_members("", "");
    expect_members(R"(,"temperature":0.5,"top_p":0.1)", R"(,"temperature":0.5,"top_p":0.1)");
    expect_members(R"(,"stop_sequences":["A"])", R"(,"stop":"A")");
    expect_members(R"(,"stop_sequences":["A","B"])", R"(,"stop":["A","B"])");
    expect_members(R"(,"stop_sequences":[])", "");
    expect_members(R"(,"metadata":{"user_id":"me"})", R"(,"user":"me")");
    expect_members(R"(,"service_tier":"standard_only")", R"(,"service_tier":"default")");
    expect_members(R"(,"service_tier":"auto")", "");
    expect_members(R"(,"stream":true)",
                   R"(,"stream":true,"stream_options":{"include_usage":true})");
    expect_members(R"(,"cache_control":{"type":"ephemeral"},"speed":"standard","mcp_servers":[])",
                   "");
}

TEST(MessagesToChatRequest, HashesANameThatIsTooLong) {
    const std::string name(65, 'u');
    const auto written = carried(kPlain, asking(R"(,"metadata":{"user_id":")" + name + R"("})"));
    ASSERT_TRUE(written);
    const auto document = json::parse(*written);
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root().find("user")->as_string(),
              "f20e249d15fa4b9f44ba21d154f62e1efa76ddfdce5d25139a33a4787cee5a8b");
}

TEST(MessagesToChatRequest, RefusesWhatCantBeCarriedByItsName) {
    struct Case {
        std::string_view members;
        std::string_view field;
    };
    constexpr std::array kCases = std::to_array<Case>({
        {R"(,"top_k":3)", "top_k"},
        {R"(,"stop_sequences":["a","b","c","d","e"])", "stop_sequences"},
        {R"(,"container":"c")", "container"},
        {R"(,"mcp_servers":[{"type":"url"}])", "mcp_servers"},
        {R"(,"context_management":{})", "context_management"},
        {R"(,"inference_geo":"us")", "inference_geo"},
        {R"(,"speed":"fast")", "speed"},
        {R"(,"service_tier":"x")", "service_tier"},
        {R"(,"metadata":{"a":"b"})", "metadata.a"},
        {R"(,"grid":1)", "grid"},
        {R"(,"output_config":{"effort":"much"})", "output_config.effort"},
        {R"(,"output_config":{"format":{"type":"x"}})", "output_config.format.type"},
        {R"(,"tools":[{"type":"web_search_20250305","name":"w"}])", "tools[0].type"},
        {R"(,"tools":[{"name":"f"}])", "tools[0]"},
        {R"(,"tools":[{"name":"f","input_schema":{},"defer_loading":true}])",
         "tools[0].defer_loading"},
        {R"(,"tools":[{"name":"f","input_schema":{},"allowed_callers":["code_execution"]}])",
         "tools[0].allowed_callers"},
        {R"(,"tool_choice":{"type":"x"})", "tool_choice.type"},
        {R"(,"thinking":{"type":"disabled"},"output_config":{"effort":"low"})",
         "output_config.effort"},
        {R"(,"thinking":{"type":"adaptive","display":"omitted"})", "thinking.display"},
    });
    for (const Case& each : kCases)
        expect_refused(kPlain, asking(each.members), each.field);
}

TEST(MessagesToChatRequest, CarriesSystemPromptsWhereTheyStand) {
    const auto expect = [](std::string_view system, std::string_view content) {
        expect_carried(kPlain, asking(R"(,"system":)" + std::string(system)),
                       R"({"model":"gpt-4o","max_tokens":9,"messages":[)" + std::string(content) +
                           R"({"role":"user","content":"Hi"}]})");
    };
    expect(R"("Be brief")", R"({"role":"system","content":"Be brief"},)");
    expect(R"([{"type":"text","text":"A","cache_control":{"type":"ephemeral"}}])",
           R"({"role":"system","content":"A"},)");
    expect(
        R"([{"type":"text","text":"A"},{"type":"text","text":"B"}])",
        R"({"role":"system","content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]},)");
    expect(R"("")", "");
    expect("[]", "");
    expect_messages(R"({"role":"user","content":"Hi"},{"role":"system","content":"A"})",
                    R"({"role":"user","content":"Hi"},{"role":"system","content":"A"})");
}

TEST(MessagesToChatRequest, CarriesImagesAndDocuments) {
    expect_messages(
        R"({"role":"user","content":[{"type":"text","text":"What?"},{"type":"image","source":)"
        R"({"type":"base64","media_type":"image/png","data":"iVBO"}},{"type":"image","source":)"
        R"({"type":"url","url":"https://a.example/b.png"}},{"type":"document","title":"a.pdf",)"
        R"("citations":{"enabled":false},"source":{"type":"base64",)"
        R"("media_type":"application/pdf","data":"JVB"}}]})",
        R"({"role":"user","content":[{"type":"text","text":"What?"},)"
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}},)"
        R"({"type":"image_url","image_url":{"url":"https://a.example/b.png"}},{"type":"file",)"
        R"("file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVB"}}]})");
}

TEST(MessagesToChatRequest, RefusesBlocksByTheirPlace) {
    const auto refuse = [](std::string_view block, std::string_view field) {
        expect_refused(kPlain,
                       with_messages(R"({"role":"user","content":[{"type":"text","text":"a"},)" +
                                     std::string(block) + "]}"),
                       "messages[0].content[1]" + std::string(field));
    };
    refuse(R"({"type":"container_upload","file_id":"f"})", ".type");
    refuse(R"({"type":"image","source":{"type":"file","file_id":"f"}})", ".source.type");
    refuse(R"({"type":"document","source":{"type":"text","media_type":"text/plain","data":"a"}})",
           ".source.type");
    refuse(R"({"type":"document","source":{"type":"url","url":"https://a.example/a.pdf"}})",
           ".source");
    refuse(R"({"type":"document","citations":{"enabled":true},"source":{"type":"url","url":"u"}})",
           ".citations");
    refuse(R"({"type":"text","text":"a","x":1})", ".x");
    refuse(R"({"type":"tool_use","id":"a","name":"f","input":{}})", ".type");
    expect_refused(kPlain,
                   with_messages(R"({"role":"user","content":"a"},{"role":"assistant","content":[)"
                                 R"({"type":"server_tool_use","id":"a","name":"w","input":{}}]})"),
                   "messages[1].content[0].type");
}

constexpr std::string_view kUse =
    R"({"role":"user","content":"Hi"},{"role":"assistant","content":[)"
    R"({"type":"text","text":"Let me see"},)"
    R"({"type":"tool_use","id":"a","name":"f","input":{ "x": "\"" },"caller":{"type":"direct"}},)"
    R"({"type":"tool_use","id":"b","name":"g","input":{}}]})";
constexpr std::string_view kCalls =
    R"({"role":"user","content":"Hi"},{"role":"assistant","content":"Let me see","tool_calls":[)"
    R"({"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":\"\\\"\"}"}},)"
    R"({"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]})";

TEST(MessagesToChatRequest, GivesEachResultOfAToolItsOwnMessage) {
    expect_messages(
        std::string(kUse) +
            R"(,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"one"},)"
            R"({"type":"tool_result","tool_use_id":"b","is_error":true,"content":[)"
            R"({"type":"text","text":"two"},{"type":"text","text":"three"}]},)"
            R"({"type":"text","text":"Go on"}]})",
        std::string(kCalls) +
            R"(,{"role":"tool","tool_call_id":"a","content":"one"},)"
            R"({"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"Error: two"},)"
            R"({"type":"text","text":"three"}]},{"role":"user","content":"Go on"})");
    expect_messages(std::string(kUse) + R"(,{"role":"user","content":[)"
                                        R"({"type":"tool_result","tool_use_id":"a"},)"
                                        R"({"type":"tool_result","tool_use_id":"b"}]})",
                    std::string(kCalls) + R"(,{"role":"tool","tool_call_id":"a","content":""},)"
                                          R"({"role":"tool","tool_call_id":"b","content":""})");
}

TEST(MessagesToChatRequest, RefusesAnImageThatAToolGaveBack) {
    expect_refused(
        kPlain,
        with_messages(std::string(kUse) +
                      R"(,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a",)"
                      R"("content":[{"type":"text","text":"x"},{"type":"image","source":)"
                      R"({"type":"url","url":"https://a.example/a.png"}}]}]})"),
        "messages[2].content[0].content[1]");
}

TEST(MessagesToChatRequest, CarriesThinkingAsReasoning) {
    const auto history = [](std::string_view blocks) {
        return R"({"role":"user","content":"A"},{"role":"assistant","content":[)" +
               std::string(blocks) +
               R"({"type":"text","text":"B"}]},{"role":"user","content":"C"})";
    };
    expect_messages(history(R"({"type":"thinking","thinking":"hm","signature":""},)"),
                    R"({"role":"user","content":"A"},)"
                    R"({"role":"assistant","content":"B","reasoning_content":"hm"},)"
                    R"({"role":"user","content":"C"})");
    expect_messages(history(R"({"type":"thinking","thinking":"hm","signature":"s"},)"
                            R"({"type":"redacted_thinking","data":"d"},)"),
                    R"({"role":"user","content":"A"},{"role":"assistant","content":"B",)"
                    R"("reasoning_content":"hm","reasoning_details":[)"
                    R"({"type":"reasoning.text","text":"hm","signature":"s"},)"
                    R"({"type":"reasoning.encrypted","data":"d"}]},{"role":"user","content":"C"})");
}

TEST(MessagesToChatRequest, RefusesToGoOnWithTheAssistantsText) {
    expect_refused(kPlain,
                   with_messages(R"({"role":"user","content":"Hi"},)"
                                 R"({"role":"assistant","content":"{"})"),
                   "messages[1]");
}

TEST(MessagesToChatRequest, CarriesToolsAndTheirChoice) {
    const auto expect = [](std::string_view members, std::string_view expected) {
        expect_members(R"(,"tools":[{"type":"custom","name":"f","description":"d","strict":true,)"
                       R"("input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"},)"
                       R"("eager_input_streaming":true,"defer_loading":false}])" +
                           std::string(members),
                       R"(,"tools":[{"type":"function","function":{"name":"f","description":"d",)"
                       R"("parameters":{"type":"object"},"strict":true}}])" +
                           std::string(expected));
    };
    expect("", "");
    expect(R"(,"tool_choice":{"type":"auto","disable_parallel_tool_use":false})", "");
    expect(R"(,"tool_choice":{"type":"auto","disable_parallel_tool_use":true})",
           R"(,"parallel_tool_calls":false)");
    expect(R"(,"tool_choice":{"type":"any"})", R"(,"tool_choice":"required")");
    expect(R"(,"tool_choice":{"type":"none"})", R"(,"tool_choice":"none")");
    expect(R"(,"tool_choice":{"type":"tool","name":"f"})",
           R"(,"tool_choice":{"type":"function","function":{"name":"f"}})");
}

TEST(MessagesToChatRequest, CarriesASchemaInBothItsForms) {
    constexpr std::string_view kExpected =
        R"(,"response_format":{"type":"json_schema","json_schema":{"name":"response",)"
        R"("schema":{"type":"object"},"strict":true}})";
    constexpr std::string_view kFormat = R"({"type":"json_schema","schema":{"type":"object"}})";
    const std::string newer = R"(,"output_config":{"format":)" + std::string(kFormat) + "}";
    const std::string older = R"(,"output_format":)" + std::string(kFormat);
    expect_members(newer, kExpected);
    expect_members(older, kExpected);
    expect_refused(kPlain, asking(newer + older), "output_format");
}

TEST(MessagesToChatRequest, TurnsABudgetIntoAnEffort) {
    const auto expect = [](std::string_view tokens, std::string_view effort) {
        expect_members(R"(,"thinking":{"type":"enabled","budget_tokens":)" + std::string(tokens) +
                           "}",
                       R"(,"reasoning_effort":")" + std::string(effort) + "\"", kThinker);
    };
    expect("1024", "low");
    expect("8191", "low");
    expect("8192", "medium");
    expect("16383", "medium");
    expect("16384", "high");
    expect("100000", "high");
}

TEST(MessagesToChatRequest, CarriesAnEffortAndLeavesAnAdaptiveOneToTheModel) {
    expect_members(R"(,"output_config":{"effort":"medium"})", R"(,"reasoning_effort":"medium")",
                   kThinker);
    expect_members(R"(,"thinking":{"type":"adaptive"},"output_config":{"effort":"max"})",
                   R"(,"reasoning_effort":"xhigh")", kThinker);
    expect_members(R"(,"thinking":{"type":"adaptive"})", "", kThinker);
}

TEST(MessagesToChatRequest, RefusesThinkingOfAModelThatDoesNotReason) {
    constexpr std::string_view kBudget = R"(,"thinking":{"type":"enabled","budget_tokens":1024})";
    constexpr std::string_view kEffort = R"(,"output_config":{"effort":"low"})";
    const std::string both = std::string(kBudget) + std::string(kEffort);
    const auto refusal = carried(kPlain, asking(kBudget));
    ASSERT_FALSE(refusal);
    EXPECT_EQ(refusal.error().message,
              "`thinking` can't be carried over: this model does not reason");
    expect_refused(kPlain, asking(kBudget), "thinking");
    expect_refused(kPlain, asking(both), "thinking");
    expect_refused(kPlain, asking(kEffort), "output_config.effort");
    expect_refused(kPlain, asking(R"(,"thinking":{"type":"adaptive"})" + std::string(kEffort)),
                   "output_config.effort");
    expect_members(R"(,"thinking":{"type":"adaptive"})", "");
    constexpr Direction kUnknown{Dialect::kAnthropicMessages, Dialect::kOpenAiChat, "my-model"};
    const auto carried_over = carried(kUnknown, asking(kBudget));
    ASSERT_TRUE(carried_over);
    EXPECT_TRUE(carried_over->contains(R"("reasoning_effort":"low")")) << *carried_over;
}

TEST(MessagesToChatRequest, TurnsThinkingOffAsEachModelIsTold) {
    constexpr std::string_view kOff = R"(,"thinking":{"type":"disabled"})";
    expect_members(kOff, "", kPlain);
    expect_members(kOff, R"(,"reasoning_effort":"none")", kThinker);
    expect_members(kOff, R"(,"reasoning_effort":"minimal")", kFirstFive);
    expect_refused(kAlways, asking(kOff), "thinking");
}

} // namespace
} // namespace larder::convert
