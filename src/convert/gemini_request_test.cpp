// Conversations as Gemini gets them.
#include "base/json.hpp"
#include "convert/conversation.hpp"
#include "convert/gemini_call_id.hpp"
#include "convert/gemini_contents.hpp"

#include <gtest/gtest.h>

namespace larder::convert {
namespace {

constexpr std::string_view kModel = "gemini-2.5-flash";

Part text_part(std::string text) {
    Part part{.kind = Part::Kind::kText};
    part.field = "messages[0].content";
    part.text = std::move(text);
    return part;
}

Part call_part(std::string id, std::string name, std::string json) {
    Part part{.kind = Part::Kind::kToolCall};
    part.field = "messages[1].tool_calls[0]";
    part.id = std::move(id);
    part.name = std::move(name);
    part.json = std::move(json);
    return part;
}

Part result_part(std::string id, std::vector<Part> parts) {
    Part part{.kind = Part::Kind::kToolResult};
    part.field = "messages[2].tool_call_id";
    part.id = std::move(id);
    part.parts = std::move(parts);
    return part;
}

Part media_part(Part::Kind kind, std::string media_type, std::string text, std::string url) {
    Part part{.kind = kind};
    part.field = "messages[0].content[1]";
    part.media_type = std::move(media_type);
    part.text = std::move(text);
    part.url = std::move(url);
    return part;
}

Turn turn(Role role, std::vector<Part> parts) {
    Turn made{.role = role};
    made.field = "messages[0]";
    made.parts = std::move(parts);
    return made;
}

Conversation asking(std::string text = "hi") {
    Conversation conversation;
    conversation.turns.push_back(turn(Role::kUser, {text_part(std::move(text))}));
    return conversation;
}

std::string written(const Conversation& conversation, std::string_view model = kModel) {
    const auto body = write_gemini(conversation, model);
    EXPECT_TRUE(body) << body.error().message;
    EXPECT_TRUE(!body || json::parse(*body)) << *body;
    return body.value_or("");
}

/// Of a conversation that says "hi": what stands after its contents.
std::string tail_of(const Conversation& conversation, std::string_view model = kModel) {
    constexpr std::string_view kHead = R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}])";
    const std::string body = written(conversation, model);
    EXPECT_TRUE(body.starts_with(kHead)) << body;
    return body.substr(std::min(kHead.size(), body.size()));
}

std::string refused_field(const Conversation& conversation) {
    const auto body = write_gemini(conversation, kModel);
    EXPECT_FALSE(body) << *body;
    if (body)
        return "none";
    EXPECT_EQ(body.error().code, ErrorCode::kInvalidRequest);
    EXPECT_TRUE(body.error().message.contains("provider") || body.error().message.contains("`") ||
                body.error().message.contains("tool call"))
        << body.error().message;
    return body.error().field;
}

TEST(GeminiRequest, OfAPromptIsItsTextAlone) {
    EXPECT_EQ(tail_of(asking()), "}");
    EXPECT_EQ(written(asking("\"é\n")),
              R"({"contents":[{"role":"user","parts":[{"text":"\"é\n"}]}]})");
}

TEST(GeminiRequest, PutsSystemMessagesFirstAndRefusesLaterOnes) {
    Conversation conversation = asking();
    conversation.turns.insert(conversation.turns.begin(), 2,
                              turn(Role::kSystem, {text_part("be brief")}));
    EXPECT_EQ(written(conversation),
              R"({"systemInstruction":{"parts":[{"text":"be brief"},{"text":"be brief"}]},)"
              R"("contents":[{"role":"user","parts":[{"text":"hi"}]}]})");
    Turn late = turn(Role::kSystem, {text_part("now")});
    late.field = "messages[2]";
    conversation.turns.push_back(late);
    EXPECT_EQ(refused_field(conversation), "messages[2]");
}

TEST(GeminiRequest, RefusesASystemMessageWithAnImage) {
    Conversation conversation = asking();
    conversation.turns.insert(
        conversation.turns.begin(),
        turn(Role::kSystem, {media_part(Part::Kind::kImage, "image/png", "AA==", "")}));
    EXPECT_EQ(refused_field(conversation), "messages[0].content[1]");
    conversation.turns.clear();
    EXPECT_EQ(refused_field(conversation), "messages");
}

TEST(GeminiRequest, JoinsNeighbouringTurnsOfOneRole) {
    Conversation conversation = asking();
    conversation.turns.push_back(turn(Role::kUser, {text_part("there")}));
    conversation.turns.push_back(turn(Role::kAssistant, {text_part("hello"), text_part("")}));
    conversation.turns.push_back(turn(Role::kUser, {text_part("bye")}));
    EXPECT_EQ(written(conversation),
              R"({"contents":[{"role":"user","parts":[{"text":"hi"},{"text":"there"}]},)"
              R"({"role":"model","parts":[{"text":"hello"}]},)"
              R"({"role":"user","parts":[{"text":"bye"}]}]})");
}

TEST(GeminiRequest, CarriesImagesAndDocuments) {
    Conversation conversation = asking();
    conversation.turns[0].parts = {
        media_part(Part::Kind::kImage, "image/png", "AA==", ""),
        media_part(Part::Kind::kImage, "", "", "https://h/a.JPG?x=.png"),
        media_part(Part::Kind::kImage, "", "", "https://h/a"),
        media_part(Part::Kind::kDocument, "application/pdf", "JVBERi0=", "")};
    EXPECT_EQ(
        written(conversation),
        R"({"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}},)"
        R"({"fileData":{"mimeType":"image/jpeg","fileUri":"https://h/a.JPG?x=.png"}},)"
        R"({"fileData":{"fileUri":"https://h/a"}},)"
        R"({"inlineData":{"mimeType":"application/pdf","data":"JVBERi0="}}]}]})");
}

Conversation with_calls() {
    Conversation conversation = asking();
    const std::string signed_id = join_call_id({.id = "call_r_0", .signature = "AAAA"});
    conversation.turns.push_back(
        turn(Role::kAssistant,
             {call_part(signed_id, "f", R"({ "b": 1, "a": [ ] })"), call_part("own", "g", "")}));
    conversation.turns.push_back(turn(Role::kUser, {result_part(signed_id, {text_part("7")})}));
    Part failed = result_part("own", {text_part("no"), text_part("way")});
    failed.is_error = true;
    conversation.turns.push_back(turn(Role::kUser, {failed}));
    return conversation;
}

TEST(GeminiRequest, GivesCallsTheirSignaturesAndResultsTheirNames) {
    EXPECT_EQ(
        written(with_calls()),
        R"({"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[)"
        R"({"functionCall":{"id":"call_r_0","name":"f","args":{"b":1,"a":[]}},"thoughtSignature":"AAAA"},)"
        R"({"functionCall":{"id":"own","name":"g","args":{}}}]},{"role":"user","parts":[)"
        R"({"functionResponse":{"id":"call_r_0","name":"f","response":{"output":"7"}}},)"
        R"({"functionResponse":{"id":"own","name":"g","response":{"error":["no","way"]}}}]}]})");
}

TEST(GeminiRequest, MarksAnothersCallForModelsThatWantASignature) {
    Conversation conversation = asking();
    conversation.turns.push_back(
        turn(Role::kAssistant, {call_part("toolu_1", "f", "{}"), call_part("toolu_2", "f", "{}")}));
    conversation.turns.push_back(turn(Role::kUser, {text_part("go on")}));
    const std::string mark = R"("thoughtSignature":"skip_thought_signature_validator")";
    const std::string body = written(conversation, "gemini-3-pro-preview");
    EXPECT_NE(body.find(mark), std::string::npos) << body;
    EXPECT_EQ(body.find(mark), body.rfind(mark)) << body;
    EXPECT_EQ(written(conversation).find(mark), std::string::npos);
}

TEST(GeminiRequest, KnowsTheFamiliesOfModels) {
    for (const auto* model : {"gemini-3-pro", "gemini-3.5-flash", "gemini-10-x", "google/gemini-4"})
        EXPECT_TRUE(is_gemini_3_or_later(model)) << model;
    for (const auto* model : {"gemini-2.5-pro", "gemini-1.5", "gemini-flash-latest", "gemma-3", ""})
        EXPECT_FALSE(is_gemini_3_or_later(model)) << model;
}

TEST(GeminiRequest, RefusesAResultWithoutItsCall) {
    Conversation conversation = asking();
    conversation.turns.push_back(turn(Role::kUser, {result_part("nobody", {text_part("7")})}));
    EXPECT_EQ(refused_field(conversation), "messages[2].tool_call_id");
}

TEST(GeminiRequest, TheLastCallOfAnIdNamesItsResult) {
    Conversation conversation = asking();
    for (const auto* name : {"first", "second"}) {
        conversation.turns.push_back(turn(Role::kAssistant, {call_part("same", name, "{}")}));
        conversation.turns.push_back(turn(Role::kUser, {result_part("same", {text_part("7")})}));
    }
    const std::string body = written(conversation);
    EXPECT_NE(body.find(R"("functionResponse":{"id":"same","name":"first")"), std::string::npos);
    EXPECT_NE(body.find(R"("functionResponse":{"id":"same","name":"second")"), std::string::npos);
}

TEST(GeminiRequest, ResultsMayHoldImagesButNoAddresses) {
    Conversation conversation = asking();
    conversation.turns.push_back(turn(Role::kAssistant, {call_part("c", "f", "{}")}));
    conversation.turns.push_back(turn(
        Role::kUser, {result_part("c", {text_part("see"), media_part(Part::Kind::kImage,
                                                                     "image/png", "AA==", "")})}));
    EXPECT_NE(
        written(conversation)
            .find(
                R"("response":{"output":"see"},"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}})"),
        std::string::npos);
    conversation.turns.back().parts[0].parts[1].url = "https://h/a.png";
    EXPECT_EQ(refused_field(conversation), "messages[0].content[1]");
}

TEST(GeminiRequest, RefusesArgumentsThatAreNoObject) {
    for (const auto* arguments : {"[1]", "3", "{", "\"x\""}) {
        Conversation conversation = asking();
        conversation.turns.push_back(turn(Role::kAssistant, {call_part("c", "f", arguments)}));
        EXPECT_EQ(refused_field(conversation), "messages[1].tool_calls[0]") << arguments;
    }
}

TEST(GeminiRequest, CarriesThoughtsButNoSealedOnes) {
    Conversation conversation = asking();
    Part thought{.kind = Part::Kind::kThinking};
    thought.text = "hm";
    thought.signature = "anothers";
    conversation.turns.push_back(turn(Role::kAssistant, {thought, text_part("yes")}));
    conversation.turns.push_back(turn(Role::kUser, {text_part("why?")}));
    EXPECT_NE(
        written(conversation)
            .find(R"({"role":"model","parts":[{"text":"hm","thought":true},{"text":"yes"}]})"),
        std::string::npos);
    Part sealed{.kind = Part::Kind::kRedactedThinking};
    sealed.field = "messages[1].content[0]";
    sealed.text = "x";
    conversation.turns[1].parts = {sealed};
    EXPECT_EQ(refused_field(conversation), "messages[1].content[0]");
}

TEST(GeminiRequest, DeclaresToolsWithTheirSchemasAsTheyAre) {
    Conversation conversation = asking();
    Tool tool;
    tool.name = "f";
    tool.description = "does \"it\"";
    tool.parameters = R"({ "type": "object", "additionalProperties": false })";
    Tool bare;
    bare.name = "g";
    conversation.tools = {tool, bare};
    conversation.parallel_tool_calls = true;
    const std::string declared =
        R"(,"tools":[{"functionDeclarations":[{"name":"f","description":"does \"it\"",)"
        R"("parametersJsonSchema":{"type":"object","additionalProperties":false}},{"name":"g"}]}])";
    EXPECT_EQ(tail_of(conversation), declared + "}");
    conversation.tool_choice = ToolChoice{.kind = ToolChoice::Kind::kAuto, .name = {}};
    EXPECT_EQ(tail_of(conversation), declared + "}");
    conversation.tools[1].strict = true;
    EXPECT_EQ(tail_of(conversation),
              declared + R"(,"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}})");
    conversation.tool_choice = ToolChoice{.kind = ToolChoice::Kind::kNone, .name = {}};
    EXPECT_EQ(tail_of(conversation),
              declared + R"(,"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}})");
    conversation.tool_choice = ToolChoice{.kind = ToolChoice::Kind::kAny, .name = {}};
    EXPECT_EQ(tail_of(conversation),
              declared + R"(,"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}})");
    conversation.tool_choice = ToolChoice{.kind = ToolChoice::Kind::kNamed, .name = "g"};
    EXPECT_EQ(
        tail_of(conversation),
        declared +
            R"(,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["g"]}}})");
}

TEST(GeminiRequest, CarriesTheNumbersAsTheyWereWritten) {
    Conversation conversation = asking();
    conversation.max_tokens = "100";
    conversation.temperature = "0.70";
    conversation.top_p = "1e-1";
    conversation.top_k = "40";
    conversation.seed = "7";
    conversation.presence_penalty = "-0.5";
    conversation.frequency_penalty = "0";
    conversation.stop = {"END", "\n"};
    conversation.choices = "1";
    conversation.user = "somebody";
    conversation.service_tier = "auto";
    EXPECT_EQ(
        tail_of(conversation),
        R"(,"generationConfig":{"maxOutputTokens":100,"temperature":0.70,"topP":1e-1,"topK":40,"seed":7,)"
        R"("presencePenalty":-0.5,"frequencyPenalty":0,"stopSequences":["END","\n"]}})");
}

TEST(GeminiRequest, AsksForJsonAndForASchema) {
    Conversation conversation = asking();
    conversation.format.kind = ResponseFormat::Kind::kJson;
    EXPECT_EQ(tail_of(conversation),
              R"(,"generationConfig":{"responseMimeType":"application/json"}})");
    conversation.format.kind = ResponseFormat::Kind::kSchema;
    conversation.format.name = "answer";
    conversation.format.strict = true;
    conversation.format.schema = R"({"type":"object"})";
    EXPECT_EQ(
        tail_of(conversation),
        R"(,"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object"}}})");
    conversation.format.description = "the \"answer\"";
    EXPECT_NE(tail_of(conversation)
                  .find(R"("responseJsonSchema":{"type":"object","description":"the \"answer\""})"),
              std::string::npos);
}

std::string thinking_of(Thinking thinking, std::string_view model = kModel) {
    Conversation conversation = asking();
    conversation.thinking = std::move(thinking);
    return tail_of(conversation, model);
}

TEST(GeminiRequest, ThinksAsItIsAsked) {
    using enum Thinking::Kind;
    const auto config = [](std::string_view inside) {
        return R"(,"generationConfig":{"thinkingConfig":{)" + std::string(inside) + "}}}";
    };
    EXPECT_EQ(thinking_of({.kind = kOff, .effort = {}}), config(R"("thinkingBudget":0)"));
    EXPECT_EQ(thinking_of({.kind = kBudget, .budget_tokens = 2048, .effort = {}}),
              config(R"("thinkingBudget":2048,"includeThoughts":true)"));
    EXPECT_EQ(thinking_of({.kind = kAdaptive, .effort = {}}), config(R"("includeThoughts":true)"));
    EXPECT_EQ(thinking_of({.kind = kEffort, .effort = "medium"}),
              config(R"("thinkingBudget":8192)"));
    EXPECT_EQ(thinking_of({.kind = kEffort, .effort = "high"}, "gemini-3-pro"),
              config(R"("thinkingLevel":"high")"));
    EXPECT_EQ(thinking_of({.kind = kAdaptive, .effort = "low"}, "gemini-3-pro"),
              config(R"("thinkingLevel":"low","includeThoughts":true)"));
}

TEST(GeminiRequest, RefusesWhatItCantCarryByTheClientsName) {
    const auto refuse = [](auto&& change) {
        Conversation conversation = asking();
        conversation.fields = {{"choices", "n"},
                               {"parallel_tool_calls", "tool_choice.disable_parallel_tool_use"},
                               {"thinking", "reasoning_effort"},
                               {"stop", "stop_sequences"}};
        change(conversation);
        return refused_field(conversation);
    };
    EXPECT_EQ(refuse([](Conversation& c) { c.choices = "2"; }), "n");
    EXPECT_EQ(refuse([](Conversation& c) { c.logprobs = true; }), "logprobs");
    EXPECT_EQ(refuse([](Conversation& c) { c.top_logprobs = "3"; }), "top_logprobs");
    EXPECT_EQ(refuse([](Conversation& c) { c.parallel_tool_calls = false; }),
              "tool_choice.disable_parallel_tool_use");
    EXPECT_EQ(refuse([](Conversation& c) { c.service_tier = "flex"; }), "service_tier");
    EXPECT_EQ(refuse([](Conversation& c) { c.stop.assign(6, "x"); }), "stop_sequences");
    EXPECT_EQ(refuse([](Conversation& c) {
                  c.thinking = {.kind = Thinking::Kind::kEffort, .effort = "endless"};
              }),
              "reasoning_effort");
}

TEST(GeminiRequest, RefusesAnAnswerThatTheClientBegan) {
    Conversation conversation = asking();
    conversation.turns.push_back(turn(Role::kAssistant, {text_part("Once")}));
    conversation.turns.back().field = "messages[1]";
    EXPECT_EQ(refused_field(conversation), "messages[1]");
}

TEST(GeminiRequest, RefusesAnEffortBesideABudget) {
    Conversation conversation = asking();
    conversation.thinking = {
        .kind = Thinking::Kind::kBudget, .budget_tokens = 2048, .effort = "high"};
    conversation.fields = {{"effort", "output_config.effort"}};
    EXPECT_EQ(refused_field(conversation), "output_config.effort");
}

Result<std::string> from_llm(std::string_view body, std::string_view model = kModel) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    LARDER_TRY(const Conversation conversation, read_llm(protocol::Cursor(*document)));
    return write_gemini(conversation, model);
}

TEST(GeminiLlmRequest, IsWrittenAsTheSameRequestOfChatWouldBe) {
    const auto llm = from_llm(
        R"({"prompt":"h\u0069","system":"brief","temperature":0.5,"maxTokens":9,"model":"m",
            "provider":"gemini","routingMode":"single-model","stream":true})");
    ASSERT_TRUE(llm) << llm.error().message;
    EXPECT_EQ(*llm, R"({"systemInstruction":{"parts":[{"text":"brief"}]},)"
                    R"("contents":[{"role":"user","parts":[{"text":"hi"}]}],)"
                    R"("generationConfig":{"maxOutputTokens":9,"temperature":0.5}})");
    const auto messages = from_llm(
        R"({"messages":[{"role":"system","content":"brief"},{"role":"user","content":"hi"}],
            "max_tokens":9,"temperature":0.5})");
    ASSERT_TRUE(messages) << messages.error().message;
    EXPECT_EQ(*messages, *llm);
}

TEST(GeminiLlmRequest, TakesWhatAClientAddsInOpenAisNames) {
    const auto body = from_llm(
        R"({"prompt":"hi","top_p":0.1,"stop":"END","response_format":{"type":"json_object"},
            "tools":[{"type":"function","function":{"name":"f"}}],"stream_options":{"a":1}})");
    ASSERT_TRUE(body) << body.error().message;
    EXPECT_EQ(*body, R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}],)"
                     R"("tools":[{"functionDeclarations":[{"name":"f"}]}],)"
                     R"("generationConfig":{"topP":0.1,"stopSequences":["END"],)"
                     R"("responseMimeType":"application/json"}})");
}

TEST(GeminiLlmRequest, RefusesByTheClientsName) {
    const auto field_of = [](std::string_view body) {
        const auto written = from_llm(body);
        return written ? "none: " + *written : written.error().field;
    };
    EXPECT_EQ(field_of(R"({"prompt":"hi","n":3})"), "n");
    EXPECT_EQ(field_of(R"({"prompt":"hi","unheard_of":3})"), "unheard_of");
    EXPECT_EQ(field_of(R"({"prompt":"hi","maxTokens":3,"max_tokens":3})"), "max_tokens");
    EXPECT_EQ(
        field_of(
            R"({"messages":[{"role":"user","content":[{"type":"input_audio"}]}],"system":"s"})"),
        "messages[0].content[0].type");
}

} // namespace
} // namespace larder::convert
