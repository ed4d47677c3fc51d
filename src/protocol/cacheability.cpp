// Which requests may be answered from a cache, and which answers may be kept. Bypassed is whatever
// depends on state at the provider or has effects: background mode, conversations, stored prompts,
// containers, tools that the provider runs.
#include "protocol/request.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {

namespace {

/// Anthropic's tools with a version in their type that the client runs by itself.
constexpr std::array<std::string_view, 4> kClientTools = {"bash_", "text_editor_", "computer_",
                                                          "memory_"};

bool is_client_tool(Dialect dialect, Cursor tool) {
    const auto type = tool.find_set("type");
    if (!type || type->equals("function") || type->equals("custom"))
        return true;
    if (dialect == Dialect::kOpenAiChat || !type->is_string())
        return false;
    return std::ranges::any_of(kClientTools, [&](std::string_view prefix) {
        return type->characters().starts_with(prefix);
    });
}

bool has_hosted_tool(Dialect dialect, Cursor tools) {
    for (const Cursor tool : tools.elements()) {
        if (!is_client_tool(dialect, tool))
            return true;
    }
    return false;
}

bool is_switched_on(Cursor value) {
    return !value.is_null() && !value.is(json::Kind::kFalse) &&
           !(value.is_array() && value.size() == 0);
}

struct Rule {
    std::string_view member;
    std::string_view reason;
};

/// Members that make a request depend on more than itself when they are set.
constexpr std::array<Rule, 11> kRules = {{
    {"background", "background"},
    {"conversation", "conversation"},
    {"previous_response_id", "previous_response"},
    {"container", "container"},
    {"mcp_servers", "mcp"},
    {"web_search_options", "web_search"},
    {"search_parameters", "web_search"},
    {"enable_search", "web_search"},
    {"web_search", "web_search"},
    {"plugins", "hosted_tool"},
    {"prompt_id", "stored_prompt"},
}};

} // namespace

std::string_view bypass_reason(Dialect dialect, std::string_view name, Cursor value) {
    if (name == "tools")
        return has_hosted_tool(dialect, value) ? "hosted_tool" : std::string_view();
    if (name == "prompt" && dialect != Dialect::kLlm)
        return value.is_object() ? "stored_prompt" : std::string_view();
    for (const Rule& rule : kRules) {
        if (name == rule.member)
            return is_switched_on(value) ? rule.reason : std::string_view();
    }
    return {};
}

std::string_view bypass_reason_of_model(std::string_view model) {
    const bool searches = model.find("search-preview") != std::string_view::npos ||
                          model.find("-search-api") != std::string_view::npos ||
                          model.ends_with(":online");
    return searches ? "web_search" : std::string_view();
}

bool may_be_kept(const Answer& answer, const Call& call) {
    if (!answer.ended || (answer.text.empty() && !answer.has_tool_call))
        return false;
    return answer.finish == Finish::kWhole ||
           (answer.finish == Finish::kBounded && call.bounds_output);
}

} // namespace larder::protocol
