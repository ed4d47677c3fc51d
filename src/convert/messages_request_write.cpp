// A conversation as a request of Anthropic's messages. The simplest form of each meaning: one text
// is a plain string, a default is left out.
#include "base/json.hpp"
#include "convert/messages_turns.hpp"
#include "convert/model_rules.hpp"
#include "convert/request_parts.hpp"
#include "protocol/answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace larder::convert {
namespace {

using protocol::append_member;

constexpr std::int64_t kUsualMaxTokens = 4096;
constexpr std::int64_t kLeastBudget = 1024;

struct Effort {
    std::string_view name;
    std::string_view level;     // of Claude 4.6 and later
    std::int64_t budget_tokens; // of earlier ones
};
constexpr std::array<Effort, 6> kEfforts{{{"minimal", "low", 1024},
                                          {"low", "low", 2048},
                                          {"medium", "medium", 8192},
                                          {"high", "high", 16384},
                                          {"xhigh", "xhigh", 32768},
                                          {"max", "max", 32768}}};

/// What Anthropic has no member for, unless its value is what Anthropic does anyway.
Result<void> check(const Conversation& conversation) {
    if (!conversation.choices.empty() && conversation.choices != "1")
        return refused(conversation, "choices");
    if (conversation.logprobs)
        return refused(conversation, "logprobs");
    if (conversation.format.kind == ResponseFormat::Kind::kJson)
        return not_carried(client_name_of(conversation, "format"),
                           "can't be json_object: this model's provider speaks another API, which "
                           "takes json_schema only");
    for (const auto& [name, value] : {std::pair{"top_logprobs", &conversation.top_logprobs},
                                      {"seed", &conversation.seed},
                                      {"frequency_penalty", &conversation.frequency_penalty},
                                      {"presence_penalty", &conversation.presence_penalty}}) {
        if (!value->empty())
            return refused(conversation, name);
    }
    double temperature = 0;
    const std::string& spelled = conversation.temperature;
    std::from_chars(spelled.data(), spelled.data() + spelled.size(), temperature);
    if (temperature < 0 || temperature > 1)
        return not_carried(client_name_of(conversation, "temperature"),
                           "must be between 0 and 1 for this model's provider");
    return check_last_turn(conversation);
}

void append_tools(std::string& out, const Conversation& conversation) {
    if (conversation.tools.empty())
        return;
    std::string tools = "[";
    for (const Tool& tool : conversation.tools) {
        tools += tools.size() > 1 ? ",{" : "{";
        append_string_member(tools, "name", tool.name);
        if (!tool.description.empty())
            append_string_member(tools, "description", tool.description);
        append_member(tools, "input_schema",
                      tool.parameters.empty() ? R"({"type":"object","properties":{}})"
                                              : std::string_view(tool.parameters));
        if (tool.strict == true)
            append_member(tools, "strict", "true");
        if (!tool.cache_control.empty())
            append_member(tools, "cache_control", tool.cache_control);
        tools += '}';
    }
    out.append(R"(,"tools":)").append(tools).append("]");
    const ToolChoice choice = conversation.tool_choice.value_or(ToolChoice{});
    const bool is_single =
        conversation.parallel_tool_calls == false && choice.kind != ToolChoice::Kind::kNone;
    if (choice.kind == ToolChoice::Kind::kAuto && !is_single)
        return;
    constexpr std::array<std::string_view, 4> kTypes = {"auto", "none", "any", "tool"};
    std::string chosen = "{";
    append_string_member(chosen, "type", kTypes[static_cast<std::size_t>(choice.kind)]);
    if (choice.kind == ToolChoice::Kind::kNamed)
        append_string_member(chosen, "name", choice.name);
    if (is_single)
        append_member(chosen, "disable_parallel_tool_use", "true");
    append_member(out, "tool_choice", chosen + "}");
}

Result<void> append_sampling(std::string& out, const Conversation& conversation) {
    const auto append = [&out](std::string_view name, const std::string& number) {
        if (!number.empty())
            append_member(out, name, number);
    };
    append("temperature", conversation.temperature);
    append("top_p", conversation.top_p);
    append("top_k", conversation.top_k);
    if (conversation.stop.empty())
        return {};
    for (const std::string& sequence : conversation.stop) {
        if (sequence.find_first_not_of(" \t\r\n") == std::string::npos)
            return not_carried(client_name_of(conversation, "stop"),
                               "must hold more than white space for this model's provider");
    }
    append("stop_sequences", array_of(conversation.stop));
    return {};
}

std::int64_t number_of(const std::string& digits) {
    const auto document = json::parse(digits);
    return document ? document->root().as_int().value_or(0) : 0;
}

/// What Anthropic is told about thinking, with the bound that it needs.
struct ThinkingPlan {
    std::string thinking; // raw JSON; empty: nothing
    std::string_view level;
    std::string max_tokens;
};

ThinkingPlan plan_budget(const Conversation& conversation, std::int64_t budget) {
    ThinkingPlan plan;
    if (conversation.max_tokens.empty()) {
        plan.max_tokens = std::to_string(kUsualMaxTokens + budget);
    } else {
        // The client's bound holds thinking too: a fifth of it is left for the answer, and it grows
        // only where the least budget doesn't fit.
        const std::int64_t bound = std::max<std::int64_t>(number_of(conversation.max_tokens), 1);
        budget = std::clamp(bound - bound / 5, kLeastBudget, budget);
        plan.max_tokens = budget < bound ? conversation.max_tokens : std::to_string(bound + budget);
    }
    plan.thinking = R"({"type":"enabled","budget_tokens":)" + std::to_string(budget) + "}";
    return plan;
}

ThinkingPlan plan_effort(const Conversation& conversation, std::string_view model) {
    const auto* const effort =
        std::ranges::find(kEfforts, conversation.thinking.effort, &Effort::name);
    LARDER_ASSERT(effort != kEfforts.end()); // the readers let no other one in
    if (!takes_effort(model))
        return plan_budget(conversation, effort->budget_tokens);
    const bool is_too_new = effort->level == "xhigh" && !takes_extra_high_effort(model);
    ThinkingPlan plan;
    plan.thinking = R"({"type":"adaptive"})";
    plan.level = is_too_new ? "high" : effort->level;
    if (conversation.max_tokens.empty()) // thinking takes of it
        plan.max_tokens = std::to_string(kUsualMaxTokens + effort->budget_tokens);
    return plan;
}

Result<ThinkingPlan> plan_thinking(const Conversation& conversation, std::string_view model) {
    const Thinking& thinking = conversation.thinking;
    ThinkingPlan plan;
    switch (thinking.kind) {
    case Thinking::Kind::kUnset:
        break;
    case Thinking::Kind::kOff:
        if (takes_effort(model)) // earlier ones think only when they are told to
            plan.thinking = R"({"type":"disabled"})";
        break;
    case Thinking::Kind::kAdaptive:
        plan.thinking = R"({"type":"adaptive"})";
        break;
    case Thinking::Kind::kBudget:
        if (!conversation.max_tokens.empty() &&
            number_of(conversation.max_tokens) <= thinking.budget_tokens)
            return not_carried(client_name_of(conversation, "thinking"),
                               "must have a budget below the bound on output tokens");
        plan.thinking =
            R"({"type":"enabled","budget_tokens":)" + std::to_string(thinking.budget_tokens) + "}";
        if (conversation.max_tokens.empty())
            plan.max_tokens = std::to_string(kUsualMaxTokens + thinking.budget_tokens);
        break;
    case Thinking::Kind::kEffort:
        plan = plan_effort(conversation, model);
        break;
    }
    if (!conversation.max_tokens.empty() && plan.max_tokens.empty())
        plan.max_tokens = conversation.max_tokens;
    if (plan.max_tokens.empty())
        plan.max_tokens = std::to_string(kUsualMaxTokens);
    return plan;
}

void append_output_config(std::string& out, const Conversation& conversation,
                          std::string_view level) {
    std::string config = "{";
    if (!level.empty())
        append_string_member(config, "effort", level);
    if (conversation.format.kind == ResponseFormat::Kind::kSchema)
        append_member(config, "format",
                      R"({"type":"json_schema","schema":)" + described_schema(conversation.format) +
                          "}");
    if (config.size() > 1)
        append_member(out, "output_config", config + "}");
}

Result<void> append_service_tier(std::string& out, const Conversation& conversation) {
    const std::string& tier = conversation.service_tier;
    if (tier.empty() || tier == "auto")
        return {};
    if (tier != "standard_only" && tier != "default")
        return refused(conversation, "service_tier");
    append_string_member(out, "service_tier", "standard_only");
    return {};
}

} // namespace

Result<std::string> write_messages(const Conversation& conversation, std::string_view model) {
    LARDER_CHECK(check(conversation));
    LARDER_TRY(const ThinkingPlan plan, plan_thinking(conversation, model));
    std::string out = "{";
    append_string_member(out, "model", model);
    append_member(out, "max_tokens", plan.max_tokens);
    LARDER_CHECK(append_messages_turns(out, conversation, model));
    LARDER_CHECK(append_sampling(out, conversation));
    append_tools(out, conversation);
    if (!plan.thinking.empty())
        append_member(out, "thinking", plan.thinking);
    append_output_config(out, conversation, plan.level);
    LARDER_CHECK(append_service_tier(out, conversation));
    if (!conversation.user.empty())
        append_member(out, "metadata", R"({"user_id":)" + quoted(conversation.user) + "}");
    if (conversation.stream)
        append_member(out, "stream", "true");
    out += '}';
    return out;
}

} // namespace larder::convert
