// A client of chat asks for Claude: each rule by which its request is carried over or refused.
#include "testing/carried.hpp"

#include <array>

namespace larder::convert {
namespace {

using namespace larder::testing;

constexpr Direction kOld{Dialect::kOpenAiChat, Dialect::kAnthropicMessages, "claude-sonnet-4-5"};
constexpr Direction kNew{Dialect::kOpenAiChat, Dialect::kAnthropicMessages, "claude-opus-4-8"};

/// A request with these members beside the model and one message.
std::string asking(std::string_view members) {
    return R"({"model":"claude","messages":[{"role":"user","content":"Hi"}])" +
           std::string(members) + "}";
}

std::string with_messages(std::string_view messages) {
    return R"({"model":"claude","messages":[)" + std::string(messages) + "]}";
}

std::string asked(std::string_view members, std::string_view model = kOld.model) {
    return R"({"model":")" + std::string(model) +
           R"(","messages":[{"role":"user","content":"Hi"}])" + std::string(members) + "}";
}

/// Expects the members to become `expected` (which has max_tokens where it isn't 4096).
void expect_members(std::string_view members, std::string_view expected,
                    const Direction& direction = kOld) {
    const bool has_bound = expected.find("max_tokens") != std::string_view::npos;
    expect_carried(
        direction, asking(members),
        asked(std::string(has_bound ? "" : R"(,"max_tokens":4096)") + std::string(expected),
              direction.model));
}

void expect_messages(std::string_view messages, std::string_view expected,
                     const Direction& direction = kOld) {
    expect_carried(direction, with_messages(messages),
                   R"({"model":")" + std::string(direction.model) + R"(","max_tokens":4096,)" +
                       std::string(expected) + "}");
}

TEST(ChatToMessagesRequest, CarriesPlainMembers) {
    expect_members("", "");
    expect_members(R"(,"max_tokens":9)", R"(,"max_tokens":9)");
    expect_members(R"(,"max_completion_tokens":9,"max_tokens":9)", R"(,"max_tokens":9)");
    expect_members(R"(,"temperature":1,"top_p":0.5,"top_k":3)",
                   R"(,"temperature":1,"top_p":0.5,"top_k":3)");
    expect_members(R"(,"stop":"END")", R"(,"stop_sequences":["END"])");
    expect_members(R"(,"stop":["A","B"])", R"(,"stop_sequences":["A","B"])");
    expect_members(R"(,"user":"me")", R"(,"metadata":{"user_id":"me"})");
    expect_members(R"(,"service_tier":"default")", R"(,"service_tier":"standard_only")");
    expect_members(R"(,"service_tier":"auto")", "");
    expect_members(R"(,"stream":true,"stream_options":{"include_usage":true})",
                   R"(,"stream":true)");
}

TEST(ChatToMessagesRequest, LeavesOutWhatMeansNothing) {
    expect_members(R"(,"n":1,"logprobs":false,"top_logprobs":0,"store":false,"seed":null,)"
                   R"("presence_penalty":0,"frequency_penalty":0.0,"logit_bias":{},)"
                   R"("modalities":["text"],"verbosity":"medium","metadata":{"a":"b"},)"
                   R"("prompt_cache_key":"k","audio":null,"response_format":{"type":"text"},)"
                   R"("tool_choice":"none","parallel_tool_calls":true,"stop":null)",
                   "");
}

TEST(ChatToMessagesRequest, RefusesWhatCantBeCarriedByItsName) {
    struct Case {
        std::string_view member;
        std::string_view value;
        std::string_view field;
    };
    constexpr std::array kCases = std::to_array<Case>({
        {"n", "2", "n"},
        {"logprobs", "true", "logprobs"},
        {"top_logprobs", "3", "top_logprobs"},
        {"seed", "7", "seed"},
        {"frequency_penalty", "0.1", "frequency_penalty"},
        {"presence_penalty", "-1", "presence_penalty"},
        {"logit_bias", R"({"1":2})", "logit_bias"},
        {"store", "true", "store"},
        {"temperature", "1.01", "temperature"},
        {"stop", R"("\n")", "stop"},
        {"stop", "[1]", "stop[0]"},
        {"service_tier", R"("flex")", "service_tier"},
        {"audio", R"({"voice":"a"})", "audio"},
        {"modalities", R"(["text","audio"])", "modalities[1]"},
        {"prediction", "{}", "prediction"},
        {"web_search_options", "{}", "web_search_options"},
        {"functions", "[]", "functions"},
        {"function_call", R"("auto")", "function_call"},
        {"verbosity", R"("low")", "verbosity"},
        {"response_format", R"({"type":"json_object"})", "response_format"},
        {"response_format", R"({"type":"grammar"})", "response_format.type"},
        {"reasoning_effort", R"("much")", "reasoning_effort"},
        {"stream_options", R"({"x":1})", "stream_options.x"},
        {"tools", R"([{"type":"custom","custom":{"name":"x"}}])", "tools[0].type"},
        {"tools", R"([{"type":"function","function":{"name":"x","x":1}}])", "tools[0].function.x"},
        {"tool_choice", R"({"type":"allowed_tools"})", "tool_choice.type"},
        {"grid", "1", "grid"},
    });
    for (const Case& each : kCases) {
        const std::string member =
            ",\"" + std::string(each.member) + "\":" + std::string(each.value);
        expect_refused(kOld, asking(member), each.field);
    }
    expect_refused(kOld, asking(R"(,"max_tokens":9,"max_completion_tokens":8)"),
                   "max_completion_tokens");
}

TEST(ChatToMessagesRequest, PutsSystemMessagesBeforeAllOthers) {
    expect_messages(R"({"role":"system","content":"Be brief"},{"role":"user","content":"Hi"})",
                    R"("system":"Be brief","messages":[{"role":"user","content":"Hi"}])");
    expect_messages(R"({"role":"system","content":"A"},{"role":"developer","content":"B"},)"
                    R"({"role":"user","content":[{"type":"text","text":"Hi"}]})",
                    R"("system":[{"type":"text","text":"A"},{"type":"text","text":"B"}],)"
                    R"("messages":[{"role":"user","content":"Hi"}])");
    expect_messages(R"({"role":"system","content":""},{"role":"user","content":"Hi"})",
                    R"("messages":[{"role":"user","content":"Hi"}])");
    expect_refused(kOld, with_messages(R"({"role":"system","content":"A"})"), "messages");
}

TEST(ChatToMessagesRequest, CarriesALaterSystemMessageOnlyWhereItIsTaken) {
    constexpr std::string_view kMessages =
        R"({"role":"user","content":"Hi"},{"role":"system","content":"Be brief"})";
    expect_refused(kOld, with_messages(kMessages), "messages[1]");
    expect_messages(kMessages,
                    R"("messages":[{"role":"user","content":"Hi"},)"
                    R"({"role":"system","content":"Be brief"}])",
                    kNew);
    expect_refused(
        kNew,
        with_messages(R"({"role":"user","content":"Hi"},)"
                      R"({"role":"assistant","content":"Yes"},)"
                      R"({"role":"system","content":"A"},{"role":"user","content":"B"})"),
        "messages[2]");
}

TEST(ChatToMessagesRequest, CarriesImagesAndDocuments) {
    expect_messages(
        R"({"role":"user","content":[{"type":"text","text":"What?"},)"
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"auto"}},)"
        R"({"type":"image_url","image_url":{"url":"https://a.example/b.png"}},)"
        R"({"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVB"}}]})",
        R"("messages":[{"role":"user","content":[{"type":"text","text":"What?"},)"
        R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}},)"
        R"({"type":"image","source":{"type":"url","url":"https://a.example/b.png"}},)"
        R"({"type":"document","title":"a.pdf",)"
        R"("source":{"type":"base64","media_type":"application/pdf","data":"JVB"}}]}])");
}

TEST(ChatToMessagesRequest, RefusesPartsByTheirPlace) {
    const auto refuse = [](std::string_view part, std::string_view field) {
        expect_refused(kOld,
                       with_messages(R"({"role":"user","content":[{"type":"text","text":"a"},)" +
                                     std::string(part) + "]}"),
                       "messages[0].content[1]" + std::string(field));
    };
    refuse(R"({"type":"input_audio","input_audio":{"data":"a","format":"wav"}})", ".input_audio");
    refuse(R"({"type":"video_url"})", ".type");
    refuse(R"({"type":"image_url","image_url":{"url":"https://a.example","detail":"high"}})",
           ".image_url.detail");
    refuse(R"({"type":"image_url","image_url":{"url":"ftp://a.example"}})", ".image_url.url");
    refuse(R"({"type":"image_url","image_url":{"url":"data:image/png,a"}})", ".image_url.url");
    refuse(R"({"type":"file","file":{"file_id":"file-1"}})", ".file.file_id");
    refuse(R"({"type":"file","file":{"file_data":"data:text/plain;base64,YQ=="}})",
           ".file.file_data");
    refuse(R"({"type":"text","text":"a","x":1})", ".x");
    expect_refused(kOld, with_messages(R"({"role":"user","content":"a","name":"Bob"})"),
                   "messages[0].name");
    expect_refused(kOld, with_messages(R"({"role":"function","content":"a","name":"f"})"),
                   "messages[0].role");
    expect_refused(kOld,
                   with_messages(R"({"role":"user","content":"a"},)"
                                 R"({"role":"assistant","content":"b","audio":{"id":"x"}})"),
                   "messages[1].audio");
}

constexpr std::string_view kCalls =
    R"({"role":"user","content":"Hi"},{"role":"assistant","content":null,"refusal":null,)"
    R"("annotations":[],"tool_calls":[)"
    R"({"id":"a.1","type":"function","function":{"name":"f","arguments":" {\"x\": 1} "}},)"
    R"({"id":"b","type":"function","function":{"name":"g","arguments":""}}]},)";

TEST(ChatToMessagesRequest, MergesTheResultsOfToolsIntoOneTurn) {
    expect_messages(
        std::string(kCalls) +
            R"({"role":"tool","tool_call_id":"a.1","name":"f","content":"one"},)"
            R"({"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"two"}]},)"
            R"({"role":"user","content":"Go on"})",
        R"("messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[)"
        R"({"type":"tool_use","id":"a_1","name":"f","input":{"x":1}},)"
        R"({"type":"tool_use","id":"b","name":"g","input":{}}]},{"role":"user","content":[)"
        R"({"type":"tool_result","tool_use_id":"a_1","content":"one"},)"
        R"({"type":"tool_result","tool_use_id":"b","content":"two"},)"
        R"({"type":"text","text":"Go on"}]}])");
}

TEST(ChatToMessagesRequest, RefusesArgumentsThatAreNoObject) {
    for (const std::string_view arguments : {R"("[1]")", R"("{")", R"("no")"}) {
        const std::string call = R"({"id":"a","type":"function","function":{"name":"f",)"
                                 R"("arguments":)" +
                                 std::string(arguments) + "}}";
        expect_refused(kOld,
                       with_messages(R"({"role":"user","content":"Hi"},{"role":"assistant",)"
                                     R"("tool_calls":[)" +
                                     call + "]}"),
                       "messages[1].tool_calls[0].function.arguments");
    }
}

TEST(ChatToMessagesRequest, RefusesToEndWithTheAssistant) {
    expect_refused(kOld,
                   with_messages(R"({"role":"user","content":"Hi"},)"
                                 R"({"role":"assistant","content":"The answer is"})"),
                   "messages[1]");
}

TEST(ChatToMessagesRequest, GivesThinkingBackWithItsSignatureOnly) {
    const auto history = [](std::string_view members) {
        return R"({"role":"user","content":"A"},{"role":"assistant","content":"B")" +
               std::string(members) + R"(},{"role":"user","content":"C"})";
    };
    expect_messages(history(R"(,"reasoning_content":"hm","reasoning_details":[)"
                            R"({"type":"reasoning.text","index":0,"text":"hm","signature":"s"},)"
                            R"({"type":"reasoning.encrypted","index":1,"data":"d"}])"),
                    R"("messages":[{"role":"user","content":"A"},{"role":"assistant","content":[)"
                    R"({"type":"thinking","thinking":"hm","signature":"s"},)"
                    R"({"type":"redacted_thinking","data":"d"},{"type":"text","text":"B"}]},)"
                    R"({"role":"user","content":"C"}])");
    expect_refused(kOld, with_messages(history(R"(,"reasoning_content":"hm")")),
                   "messages[1].reasoning_content");
    expect_messages(history(R"(,"reasoning_content":"")"),
                    R"("messages":[{"role":"user","content":"A"},)"
                    R"({"role":"assistant","content":"B"},{"role":"user","content":"C"}])");
}

TEST(ChatToMessagesRequest, CarriesARefusalAsWhatWasSaid) {
    expect_messages(R"({"role":"user","content":"A"},)"
                    R"({"role":"assistant","content":null,"refusal":"No"},)"
                    R"({"role":"user","content":"C"})",
                    R"("messages":[{"role":"user","content":"A"},)"
                    R"({"role":"assistant","content":"No"},{"role":"user","content":"C"}])");
}

constexpr std::string_view kTool =
    R"(,"tools":[{"type":"function","function":{"name":"f","description":"d",)"
    R"("parameters":{"type":"object"},"strict":true}}])";
constexpr std::string_view kOwnTool =
    R"(,"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true}])";

TEST(ChatToMessagesRequest, CarriesToolsAndTheirChoice) {
    const auto expect = [](std::string_view members, std::string_view expected) {
        expect_members(std::string(kTool) + std::string(members),
                       std::string(kOwnTool) + std::string(expected));
    };
    expect("", "");
    expect(R"(,"tool_choice":"auto")", "");
    expect(R"(,"tool_choice":"none")", R"(,"tool_choice":{"type":"none"})");
    expect(R"(,"tool_choice":"required")", R"(,"tool_choice":{"type":"any"})");
    expect(R"(,"tool_choice":{"type":"function","function":{"name":"f"}})",
           R"(,"tool_choice":{"type":"tool","name":"f"})");
    expect(R"(,"parallel_tool_calls":true)", "");
    expect(R"(,"parallel_tool_calls":false)",
           R"(,"tool_choice":{"type":"auto","disable_parallel_tool_use":true})");
    expect(R"(,"parallel_tool_calls":false,"tool_choice":"required")",
           R"(,"tool_choice":{"type":"any","disable_parallel_tool_use":true})");
    expect(R"(,"parallel_tool_calls":false,"tool_choice":"none")",
           R"(,"tool_choice":{"type":"none"})");
    expect_members(
        R"(,"tools":[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}])",
        R"(,"tools":[{"name":"f","input_schema":{"type":"object","properties":{}},)"
        R"("cache_control":{"type":"ephemeral"}}])");
}

TEST(ChatToMessagesRequest, CarriesASchema) {
    expect_members(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n",)"
                   R"("description":"d","strict":true,"schema":{"type":"object"}}})",
                   R"(,"output_config":{"format":{"type":"json_schema",)"
                   R"("schema":{"type":"object","description":"d"}}})");
}

TEST(ChatToMessagesRequest, GivesOlderModelsABudgetForAnEffort) {
    const auto budget = [](std::string_view tokens) {
        return R"(,"thinking":{"type":"enabled","budget_tokens":)" + std::string(tokens) + "}";
    };
    expect_members(R"(,"reasoning_effort":"minimal")", budget("1024") + R"(,"max_tokens":5120)");
    expect_members(R"(,"reasoning_effort":"low")", budget("2048") + R"(,"max_tokens":6144)");
    expect_members(R"(,"reasoning_effort":"medium")", budget("8192") + R"(,"max_tokens":12288)");
    expect_members(R"(,"reasoning_effort":"high")", budget("16384") + R"(,"max_tokens":20480)");
    expect_members(R"(,"reasoning_effort":"none")", "");
    // The client's own bound holds, and leaves a fifth for the answer.
    expect_members(R"(,"reasoning_effort":"high","max_tokens":5000)",
                   budget("4000") + R"(,"max_tokens":5000)");
    expect_members(R"(,"reasoning_effort":"high","max_tokens":1025)",
                   budget("1024") + R"(,"max_tokens":1025)");
    expect_members(R"(,"reasoning_effort":"low","max_tokens":1000)",
                   budget("1024") + R"(,"max_tokens":2024)");
}

TEST(ChatToMessagesRequest, GivesNewerModelsALevel) {
    const auto level = [](std::string_view name, std::string_view max_tokens) {
        return R"(,"thinking":{"type":"adaptive"},"output_config":{"effort":")" +
               std::string(name) + R"("},"max_tokens":)" + std::string(max_tokens);
    };
    expect_members(R"(,"reasoning_effort":"minimal")", level("low", "5120"), kNew);
    expect_members(R"(,"reasoning_effort":"high")", level("high", "20480"), kNew);
    expect_members(R"(,"reasoning_effort":"xhigh")", level("xhigh", "36864"), kNew);
    expect_members(R"(,"reasoning_effort":"high","max_tokens":9)", level("high", "9"), kNew);
    expect_members(R"(,"reasoning_effort":"none")", R"(,"thinking":{"type":"disabled"})", kNew);
    constexpr Direction kBetween{Dialect::kOpenAiChat, Dialect::kAnthropicMessages,
                                 "claude-opus-4-6"};
    expect_members(R"(,"reasoning_effort":"xhigh")", level("high", "36864"), kBetween);
}

TEST(ChatToMessagesRequest, TakesAnthropicsOwnThinking) {
    expect_members(R"(,"thinking":{"type":"enabled","budget_tokens":2000})",
                   R"(,"thinking":{"type":"enabled","budget_tokens":2000},"max_tokens":6096)");
    expect_refused(kOld, asking(R"(,"thinking":{"type":"enabled"})"), "thinking");
    expect_refused(kOld, asking(R"(,"thinking":{"type":"enabled","budget_tokens":10})"),
                   "thinking.budget_tokens");
    expect_refused(
        kOld, asking(R"(,"thinking":{"type":"enabled","budget_tokens":2000},"max_tokens":2000)"),
        "thinking");
    expect_refused(kOld, asking(R"(,"thinking":{"type":"adaptive"},"reasoning_effort":"low")"),
                   "reasoning_effort");
}

TEST(ChatToMessagesRequest, KeepsMarksForThePromptCache) {
    expect_messages(R"({"role":"user","cache_control":{"type":"ephemeral"},"content":"Hi"})",
                    R"("messages":[{"role":"user","content":[{"type":"text","text":"Hi",)"
                    R"("cache_control":{"type":"ephemeral"}}]}])");
}

} // namespace
} // namespace larder::convert
