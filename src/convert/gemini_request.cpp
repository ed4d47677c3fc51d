// A conversation as Gemini's generateContent; and requests of the /llm dialect as a conversation.
#include "base/json.hpp"
#include "convert/conversation.hpp"
#include "convert/gemini_contents.hpp"
#include "convert/request_parts.hpp"
#include "protocol/answer.hpp"
#include "protocol/request.hpp"

#include <algorithm>
#include <array>

namespace larder::convert {
namespace {

using protocol::append_member;

constexpr std::size_t kMostStopSequences = 5;

/// What has no counterpart, unless its value is what Gemini does anyway. The end user's name and
/// marks for a prompt cache change no answer and are left out.
Result<void> check(const Conversation& conversation) {
    if (!conversation.choices.empty() && conversation.choices != "1")
        return refused(conversation, "choices");
    if (conversation.logprobs)
        return refused(conversation, "logprobs");
    if (!conversation.top_logprobs.empty())
        return refused(conversation, "top_logprobs");
    if (conversation.parallel_tool_calls == false)
        return refused(conversation, "parallel_tool_calls");
    constexpr std::array<std::string_view, 4> kUsualTiers{"", "auto", "default", "standard_only"};
    if (std::ranges::find(kUsualTiers, conversation.service_tier) == kUsualTiers.end())
        return refused(conversation, "service_tier");
    if (conversation.stop.size() > kMostStopSequences)
        return not_carried(client_name_of(conversation, "stop"),
                           "may hold up to 5 sequences for this model's provider");
    return {};
}

void append_tools(std::string& out, const Conversation& conversation) {
    if (conversation.tools.empty())
        return;
    out += R"(,"tools":[{"functionDeclarations":[)";
    for (const Tool& tool : conversation.tools) {
        out += &tool == conversation.tools.data() ? "{" : ",{";
        append_member(out, "name", quoted(tool.name));
        if (!tool.description.empty())
            append_member(out, "description", quoted(tool.description));
        if (!tool.parameters.empty())
            append_member(out, "parametersJsonSchema", tool.parameters);
        out += '}';
    }
    out += "]}]";
}

/// Of any mode but AUTO, Gemini keeps to the schemas: VALIDATED is AUTO that does.
void append_tool_choice(std::string& out, const Conversation& conversation) {
    const bool is_strict = std::ranges::any_of(
        conversation.tools, [](const Tool& tool) { return tool.strict.value_or(false); });
    const ToolChoice choice = conversation.tool_choice.value_or(ToolChoice{});
    std::string config = "{";
    switch (choice.kind) {
    case ToolChoice::Kind::kAuto:
        if (!is_strict)
            return;
        append_member(config, "mode", "\"VALIDATED\"");
        break;
    case ToolChoice::Kind::kNone:
        if (conversation.tools.empty())
            return;
        append_member(config, "mode", "\"NONE\"");
        break;
    case ToolChoice::Kind::kAny:
        append_member(config, "mode", "\"ANY\"");
        break;
    case ToolChoice::Kind::kNamed:
        append_member(config, "mode", "\"ANY\"");
        append_member(config, "allowedFunctionNames", "[" + quoted(choice.name) + "]");
        break;
    }
    out.append(R"(,"toolConfig":{"functionCallingConfig":)").append(config).append("}}");
}

void append_format(std::string& config, const ResponseFormat& format) {
    if (format.kind == ResponseFormat::Kind::kText)
        return;
    append_member(config, "responseMimeType", "\"application/json\"");
    if (format.kind == ResponseFormat::Kind::kSchema)
        append_member(config, "responseJsonSchema", described_schema(format));
}

struct Effort {
    std::string_view name;
    std::string_view level; // of gemini-3 and later
    std::string_view budget;
};
/// As Google's own OpenAI endpoint reads `reasoning_effort`.
constexpr std::array<Effort, 6> kEfforts{{{"minimal", "\"minimal\"", "1024"},
                                          {"low", "\"low\"", "1024"},
                                          {"medium", "\"medium\"", "8192"},
                                          {"high", "\"high\"", "24576"},
                                          {"xhigh", "\"high\"", "24576"},
                                          {"max", "\"high\"", "24576"}}};

/// A budget, and the model's own way, show their thoughts, as they do in Anthropic's API.
Result<void> append_thinking(std::string& config, const Conversation& conversation,
                             std::string_view model) {
    const Thinking& thinking = conversation.thinking;
    const bool has_effort =
        thinking.kind == Thinking::Kind::kEffort ||
        (thinking.kind == Thinking::Kind::kAdaptive && !thinking.effort.empty());
    if (thinking.kind == Thinking::Kind::kBudget && !thinking.effort.empty())
        return not_carried(client_name_of(conversation, "effort"),
                           "can't stand beside a budget of thinking: this model's provider takes "
                           "one of them");
    std::string out = "{";
    if (has_effort) {
        const auto effort = std::ranges::find(kEfforts, thinking.effort, &Effort::name);
        if (effort == kEfforts.end())
            return refused(conversation, "thinking");
        if (is_gemini_3_or_later(model))
            append_member(out, "thinkingLevel", effort->level);
        else
            append_member(out, "thinkingBudget", effort->budget);
    }
    switch (thinking.kind) {
    case Thinking::Kind::kUnset:
        return {};
    case Thinking::Kind::kOff:
        append_member(out, "thinkingBudget", "0");
        break;
    case Thinking::Kind::kBudget:
        append_member(out, "thinkingBudget", std::to_string(thinking.budget_tokens));
        append_member(out, "includeThoughts", "true");
        break;
    case Thinking::Kind::kAdaptive:
        append_member(out, "includeThoughts", "true");
        break;
    case Thinking::Kind::kEffort:
        break;
    }
    append_member(config, "thinkingConfig", out + "}");
    return {};
}

Result<void> append_config(std::string& out, const Conversation& conversation,
                           std::string_view model) {
    std::string config = "{";
    const auto append = [&config](std::string_view name, const std::string& number) {
        if (!number.empty())
            append_member(config, name, number);
    };
    append("maxOutputTokens", conversation.max_tokens);
    append("temperature", conversation.temperature);
    append("topP", conversation.top_p);
    append("topK", conversation.top_k);
    append("seed", conversation.seed);
    append("presencePenalty", conversation.presence_penalty);
    append("frequencyPenalty", conversation.frequency_penalty);
    if (!conversation.stop.empty())
        append("stopSequences", array_of(conversation.stop));
    append_format(config, conversation.format);
    LARDER_CHECK(append_thinking(config, conversation, model));
    if (config.size() > 1)
        out.append(R"(,"generationConfig":)").append(config).append("}");
    return {};
}

} // namespace

Result<std::string> write_gemini(const Conversation& conversation, std::string_view model) {
    LARDER_CHECK(check(conversation));
    std::string out = "{";
    LARDER_CHECK(append_gemini_turns(out, conversation, model));
    append_tools(out, conversation);
    append_tool_choice(out, conversation);
    LARDER_CHECK(append_config(out, conversation, model));
    out += '}';
    return out;
}

namespace {

constexpr std::string_view kPromptField = "prompt";

/// The request less `system`, in the words of chat: what a client adds has OpenAI's names.
std::string chat_of(protocol::Cursor root, protocol::LlmMembers& members) {
    std::string out = "{";
    append_member(out, "model", "\"any\"");
    if (members.messages)
        append_member(out, "messages", members.messages->raw());
    else if (members.prompt)
        append_member(out, "messages",
                      R"([{"role":"user","content":)" + std::string(members.prompt->raw()) + "}]");
    if (members.temperature)
        append_member(out, "temperature", members.temperature->raw());
    if (members.max_tokens)
        append_member(out, "max_tokens", members.max_tokens->raw());
    for (const protocol::Member& member : root.members()) {
        if (members.slot(member.name) == nullptr && member.name != "stream_options")
            append_member(out, member.name, member.value.raw());
    }
    out += '}';
    return out;
}

/// `messages[0].content` is what this dialect calls `prompt`; its `max_tokens` is `maxTokens`.
void rename_fields(Conversation& conversation, const protocol::LlmMembers& members) {
    if (members.prompt) {
        for (Turn& turn : conversation.turns) {
            turn.field = kPromptField;
            for (Part& part : turn.parts)
                part.field = kPromptField;
        }
    }
    for (auto& [name, field] : conversation.fields) {
        if (name == "max_tokens" && members.max_tokens)
            field = "maxTokens";
    }
}

} // namespace

Result<Conversation> read_llm(protocol::Cursor root) {
    protocol::LlmMembers members = protocol::LlmMembers::read(root);
    const std::string chat = chat_of(root, members);
    const auto document = json::parse(chat);
    if (!document) // a foreign member that is also one of ours in chat's words
        return fail_field(document.error().field, document.error().message);
    LARDER_TRY(Conversation conversation, read_chat(protocol::Cursor(*document)));
    rename_fields(conversation, members);
    if (members.system) {
        Part part{.kind = Part::Kind::kText};
        part.field = "system";
        part.text = members.system->string();
        Turn system{.role = Role::kSystem};
        system.field = "system";
        system.parts.push_back(std::move(part));
        conversation.turns.insert(conversation.turns.begin(), std::move(system));
    }
    return conversation;
}

} // namespace larder::convert
