// Reading requests: each dialect's members are checked and noted in one pass over the body.
#include "protocol/call_members.hpp"
#include "protocol/request.hpp"

#include <array>

namespace larder::protocol {

namespace {

std::string field_of_message(std::size_t index, std::string_view member) {
    return "messages[" + std::to_string(index) + "]." + std::string(member);
}

/// Bytes of text in a content: a string, or parts. Media are not counted.
std::size_t bytes_of_content(Cursor content, int depth = 0) {
    constexpr int kDeepest = 4;
    if (content.is_string())
        return content.characters().size();
    std::size_t bytes = 0;
    for (const Cursor part : content.elements()) {
        for (const Member& member : part.members()) {
            if (member.name == "text" || member.name == "thinking" || member.name == "input")
                bytes += member.value.raw().size();
            else if (member.name == "content" && depth < kDeepest)
                bytes += bytes_of_content(member.value, depth + 1);
        }
    }
    return bytes;
}

bool is_llm_role(Cursor role) {
    return role.equals("user") || role.equals("assistant") || role.equals("system") ||
           role.equals("developer") || role.equals("tool");
}

Result<void> read_message(Dialect dialect, Cursor message, std::size_t index, Call& call) {
    if (!message.is_object())
        return wrong_type("messages[" + std::to_string(index) + "]", "an object");
    bool has_role = false;
    bool has_content = false;
    bool has_tool_calls = false;
    for (const Member& member : message.members()) {
        if (member.name == "role") {
            if (!member.value.is_string())
                return wrong_type(field_of_message(index, "role"), "a string");
            if (dialect == Dialect::kLlm && !is_llm_role(member.value))
                return wrong_type(field_of_message(index, "role"),
                                  "one of system, user, assistant, developer, tool");
            has_role = true;
        } else if (member.name == "content") {
            has_content = member.value.is_string() || member.value.is_array();
            if (!has_content && !member.value.is_null() && !member.value.is_object())
                return wrong_type(field_of_message(index, "content"), "a string or an array");
            call.prompt_bytes += bytes_of_content(member.value);
        } else if (member.name == "tool_calls") {
            has_tool_calls = member.value.is_array();
            call.prompt_bytes += member.value.raw().size();
        }
    }
    if (!has_role)
        return fail_field(field_of_message(index, "role"), "a message needs a `role`");
    if (dialect == Dialect::kLlm && !has_content && !has_tool_calls)
        return fail_field(field_of_message(index, "content"),
                          "a message needs a `content`: a string or an array");
    return {};
}

Result<void> read_messages(Dialect dialect, Cursor messages, Call& call) {
    if (!messages.is_array())
        return wrong_type("messages", "an array");
    if (messages.size() == 0)
        return fail_field("messages", "`messages` must not be empty");
    std::size_t index = 0;
    for (const Cursor message : messages.elements())
        LARDER_CHECK(read_message(dialect, message, index++, call));
    return {};
}

Result<void> read_routing_mode(Cursor mode, Call& call) {
    constexpr std::array<std::string_view, 4> kModes = {"fallback", "load-balance", "fastest",
                                                        "cheapest"};
    if (!mode.is_string())
        return wrong_type("routingMode", "a string");
    if (mode.equals("single-model"))
        return {};
    for (const std::string_view known : kModes) {
        if (mode.equals(known)) {
            call.routing_mode = known;
            return {};
        }
    }
    return wrong_type("routingMode",
                      "one of single-model, fallback, load-balance, fastest, cheapest");
}

/// Whether a string has nothing but white space in it; it is unescaped only where it begins with an
/// escape.
bool is_blank(Cursor string) {
    const std::string_view characters = string.characters();
    const std::size_t first = characters.find_first_not_of(' ');
    if (first == std::string_view::npos)
        return true;
    if (characters[first] != '\\')
        return false;
    return string.string().find_first_not_of(" \t\r\n\f\v") == std::string::npos;
}

Result<void> read_prompt(const LlmMembers& members, Call& call) {
    if (members.prompt && members.messages)
        return fail_field("messages", "give either `prompt` or `messages`, not both");
    if (members.messages)
        return read_messages(Dialect::kLlm, *members.messages, call);
    if (!members.prompt)
        return fail_field("prompt", "`prompt` is missing: give it, or `messages`");
    if (!members.prompt->is_string())
        return wrong_type("prompt", "a string");
    if (is_blank(*members.prompt))
        return fail_field("prompt", "`prompt` must not be empty");
    call.prompt_bytes += members.prompt->characters().size();
    return {};
}

/// Members in the provider's own names that a client of the /llm dialect may add.
Result<void> read_foreign_member(const Member& member, const LlmMembers& members, Call& call) {
    if (call.bypass.empty())
        call.bypass = bypass_reason(Dialect::kLlm, member.name, member.value);
    if (member.value.is_null())
        return {};
    if (member.name == "tools")
        return read_tools("tools", member.value, call);
    if (member.name == "max_tokens" || member.name == "max_completion_tokens") {
        if (members.max_tokens)
            return fail_field(std::string(member.name), "give either `maxTokens` or `" +
                                                            std::string(member.name) +
                                                            "`, not both");
        return read_bound(member.name, member.value, 1, call);
    }
    return {};
}

Result<Call> read_llm_call(Cursor root) {
    Call call;
    LlmMembers members = LlmMembers::read(root);
    if (members.model)
        LARDER_CHECK(read_model(*members.model, call));
    LARDER_CHECK(read_prompt(members, call));
    if (members.routing_mode)
        LARDER_CHECK(read_routing_mode(*members.routing_mode, call));
    if (members.provider) {
        if (!members.provider->is_string())
            return wrong_type("provider", "a string");
        call.provider = members.provider->string();
    }
    if (members.system) {
        if (!members.system->is_string())
            return wrong_type("system", "a string");
        call.prompt_bytes += members.system->characters().size();
    }
    if (members.temperature)
        LARDER_CHECK(read_temperature(*members.temperature, call));
    if (members.max_tokens)
        LARDER_CHECK(read_bound("maxTokens", *members.max_tokens, 1, call));
    if (members.stream)
        LARDER_CHECK(read_stream(*members.stream, call));
    for (const Member& member : root.members()) {
        if (members.slot(member.name) == nullptr)
            LARDER_CHECK(read_foreign_member(member, members, call));
    }
    return call;
}

Result<void> read_stream_options(Cursor options, Call& call) {
    if (!options.is_object())
        return wrong_type("stream_options", "an object");
    const auto include = options.find_set("include_usage");
    if (!include)
        return {};
    const auto on = include->value().as_bool();
    if (!on)
        return wrong_type("stream_options.include_usage", "true or false");
    call.include_usage = *on;
    return {};
}

Result<void> read_native_member(Dialect dialect, const Member& member, Call& call) {
    const std::string_view name = member.name;
    if (member.value.is_null())
        return {};
    if (name == "model")
        return read_model(member.value, call);
    if (name == "messages")
        return read_messages(dialect, member.value, call);
    if (name == "stream")
        return read_stream(member.value, call);
    if (name == "temperature")
        return read_temperature(member.value, call);
    if (name == "max_tokens")
        return read_bound(name, member.value, 0, call);
    if (name == "tools")
        return read_tools(name, member.value, call);
    if (dialect == Dialect::kAnthropicMessages) {
        if (name != "system")
            return {};
        if (!member.value.is_string() && !member.value.is_array())
            return wrong_type("system", "a string or an array");
        call.prompt_bytes += bytes_of_content(member.value);
        return {};
    }
    if (name == "max_completion_tokens")
        return read_bound(name, member.value, 0, call);
    if (name == "stream_options")
        return read_stream_options(member.value, call);
    if (name == "functions")
        return read_tools(name, member.value, call);
    return {};
}

Result<Call> read_native_call(Dialect dialect, Cursor root) {
    Call call;
    bool has_messages = false;
    for (const Member& member : root.members()) {
        LARDER_CHECK(read_native_member(dialect, member, call));
        if (call.bypass.empty())
            call.bypass = bypass_reason(dialect, member.name, member.value);
        has_messages = has_messages || (member.name == "messages" && !member.value.is_null());
    }
    if (call.model.empty())
        return fail_field("model", "`model` is missing");
    if (!has_messages)
        return fail_field("messages", "`messages` is missing");
    if (dialect == Dialect::kAnthropicMessages && !call.bounds_output)
        return fail_field("max_tokens", "`max_tokens` is missing");
    return call;
}

} // namespace

std::optional<Cursor>* LlmMembers::slot(std::string_view name) {
    if (name == "prompt")
        return &prompt;
    if (name == "model")
        return &model;
    if (name == "messages")
        return &messages;
    if (name == "system")
        return &system;
    if (name == "temperature")
        return &temperature;
    if (name == "maxTokens")
        return &max_tokens;
    if (name == "stream")
        return &stream;
    if (name == "provider")
        return &provider;
    if (name == "routingMode")
        return &routing_mode;
    return nullptr;
}

LlmMembers LlmMembers::read(Cursor root) {
    LlmMembers members;
    for (const Member& member : root.members()) {
        if (auto* slot = members.slot(member.name); slot != nullptr && !member.value.is_null())
            *slot = member.value;
    }
    return members;
}

Result<Call> read_call(Dialect dialect, const json::Document& body) {
    const Cursor root(body);
    if (!root.is_object())
        return fail(ErrorCode::kInvalidRequest, "the body must be a JSON object");
    if (dialect == Dialect::kLlm)
        return read_llm_call(root);
    return dialect == Dialect::kOpenAiResponses ? read_responses_call(root)
                                                : read_native_call(dialect, root);
}

} // namespace larder::protocol
