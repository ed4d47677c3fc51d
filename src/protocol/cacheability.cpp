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

/// Tools of the Responses API that the client runs by itself.
constexpr std::array<std::string_view, 4> kResponsesClientTools = {"function", "custom",
                                                                   "local_shell", "apply_patch"};

bool is_responses_client_tool(Cursor tool, int depth);

/// A named group of tools.
bool is_client_namespace(Cursor tool, int depth) {
    const auto tools = tool.find_set("tools");
    if (!tools)
        return true;
    for (const Cursor inner : tools->elements()) {
        if (!is_responses_client_tool(inner, depth + 1))
            return false;
    }
    return true;
}

bool is_responses_client_tool(Cursor tool, int depth) {
    constexpr int kDeepest = 4;
    const auto type = tool.find_set("type");
    if (!type)
        return true;
    if (!type->is_string() || depth > kDeepest)
        return false;
    if (type->equals("namespace"))
        return is_client_namespace(tool, depth);
    if (type->equals("shell")) {
        const auto environment = tool.find_set("environment");
        const auto where = environment ? environment->find("type") : std::nullopt;
        return where && where->equals("local");
    }
    if (type->equals("tool_search")) {
        const auto execution = tool.find("execution");
        return execution && execution->equals("client");
    }
    return std::ranges::find(kResponsesClientTools, type->characters()) !=
           kResponsesClientTools.end();
}

bool has_hosted_tool(Dialect dialect, Cursor tools) {
    for (const Cursor tool : tools.elements()) {
        const bool is_client = dialect == Dialect::kOpenAiResponses
                                   ? is_responses_client_tool(tool, 0)
                                   : is_client_tool(dialect, tool);
        if (!is_client)
            return true;
    }
    return false;
}

/// Whether a content, an output, or one of its parts is a file that the provider keeps.
bool has_file_id(std::optional<Cursor> content) {
    if (!content)
        return false;
    if (content->find_set("file_id"))
        return true;
    for (const Cursor part : content->elements()) {
        if (part.find_set("file_id"))
            return true;
    }
    return false;
}

/// What an item of a Responses request depends on beside itself.
std::string_view bypass_reason_of_item(Cursor item) {
    const auto type = item.find_set("type");
    // A reference may leave its type out.
    const bool is_bare = !type && !item.find_set("role") && item.find_set("id");
    if (is_bare || (type && type->equals("item_reference")))
        return "item_reference";
    if (has_file_id(item.find("content")) || has_file_id(item.find("output")))
        return "file_id";
    const auto tools = item.find("tools");
    return tools && has_hosted_tool(Dialect::kOpenAiResponses, *tools) ? "hosted_tool"
                                                                       : std::string_view();
}

std::string_view bypass_reason_of_input(Cursor input) {
    for (const Cursor item : input.elements()) {
        if (const auto reason = bypass_reason_of_item(item); !reason.empty())
            return reason;
    }
    return {};
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
    if (name == "input" && dialect == Dialect::kOpenAiResponses)
        return bypass_reason_of_input(value);
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
    const bool is_silent = answer.text.empty() && answer.forgotten_bytes == 0;
    if (!answer.ended || (is_silent && !answer.has_tool_call))
        return false;
    return answer.finish == Finish::kWhole ||
           (answer.finish == Finish::kBounded && call.bounds_output);
}

} // namespace larder::protocol
