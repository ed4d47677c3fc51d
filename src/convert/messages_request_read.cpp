// Anthropic's messages request, read as a conversation: its top-level members.
#include "convert/messages_turns.hpp"
#include "convert/request_parts.hpp"

#include <algorithm>
#include <array>

namespace larder::convert {
namespace {

using protocol::Cursor;

Result<void> read_system(Cursor value, const std::string& field, Conversation& out) {
    Turn turn{.role = Role::kSystem, .field = field, .parts = {}};
    LARDER_CHECK(read_message_content(value, field, Role::kSystem, turn.parts));
    if (!turn.parts.empty())
        out.turns.insert(out.turns.begin(), std::move(turn));
    return {};
}

Result<void> read_stop(Cursor value, const std::string& field, Conversation& out) {
    if (!value.is_array())
        return wrong_type(field, "an array of strings");
    for (const Cursor sequence : value.elements()) {
        LARDER_TRY(std::string text, read_text(sequence, element_of(field, out.stop.size())));
        out.stop.push_back(std::move(text));
    }
    return {};
}

/// A tool that others than the model may call, that only a search finds, or that comes with
/// examples is another tool elsewhere.
Result<void> check_tool_extras(Cursor tool, const std::string& field) {
    for (const std::string_view name : {"defer_loading", "input_examples"}) {
        const auto member = tool.find_set(name);
        if (member && !is_blank(*member))
            return not_carried(member_of(field, name));
    }
    const auto callers = tool.find_set("allowed_callers");
    if (!callers)
        return {};
    if (!callers->is_array())
        return wrong_type(field + ".allowed_callers", "an array");
    for (const Cursor caller : callers->elements()) {
        if (!caller.equals("direct"))
            return not_carried(field + ".allowed_callers");
    }
    return {};
}

Result<void> read_tool(Cursor tool, const std::string& field, Conversation& out) {
    if (const auto type = tool.find_set("type"); type && !type->equals("custom"))
        return not_carried(field + ".type");
    LARDER_CHECK(expect_only(tool, field,
                             {"type", "name", "description", "input_schema", "strict",
                              "cache_control", "eager_input_streaming", "defer_loading",
                              "input_examples", "allowed_callers"}));
    LARDER_CHECK(check_tool_extras(tool, field));
    Tool read;
    read.field = field;
    LARDER_TRY(read.name, read_needed(tool, "name", field));
    LARDER_TRY(read.description, read_text_of(tool, "description", field));
    const auto schema = tool.find_set("input_schema");
    if (!schema || !schema->is_object())
        return not_carried(field, "needs an `input_schema`, an object");
    read.parameters = schema->raw();
    LARDER_TRY(read.strict, read_flag_of(tool, "strict", field));
    if (const auto mark = tool.find_set("cache_control"))
        read.cache_control = mark->raw();
    out.tools.push_back(std::move(read));
    return {};
}

Result<void> read_tools(Cursor value, const std::string& field, Conversation& out) {
    if (!value.is_array())
        return wrong_type(field, "an array");
    for (const Cursor tool : value.elements())
        LARDER_CHECK(read_tool(tool, element_of(field, out.tools.size()), out));
    return {};
}

Result<void> read_tool_choice(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(const std::string type, read_needed(value, "type", field));
    LARDER_CHECK(expect_only(value, field, {"type", "name", "disable_parallel_tool_use"}));
    ToolChoice choice;
    if (type == "auto") {
        choice.kind = ToolChoice::Kind::kAuto;
    } else if (type == "any") {
        choice.kind = ToolChoice::Kind::kAny;
    } else if (type == "none") {
        choice.kind = ToolChoice::Kind::kNone;
    } else if (type == "tool") {
        choice.kind = ToolChoice::Kind::kNamed;
        LARDER_TRY(choice.name, read_needed(value, "name", field));
    } else {
        return not_carried(field + ".type");
    }
    out.tool_choice = std::move(choice);
    const std::string name = field + ".disable_parallel_tool_use";
    if (const auto disable = value.find_set("disable_parallel_tool_use")) {
        LARDER_TRY(const bool is_disabled, read_flag(*disable, name));
        out.parallel_tool_calls = !is_disabled;
        out.fields.emplace_back("parallel_tool_calls", name);
    }
    return {};
}

Result<void> read_format(Cursor value, const std::string& field, Conversation& out) {
    LARDER_CHECK(expect_only(value, field, {"type", "schema", "name"}));
    LARDER_TRY(const std::string type, read_needed(value, "type", field));
    if (type != "json_schema")
        return not_carried(field + ".type");
    if (out.format.kind != ResponseFormat::Kind::kText)
        return not_carried(field, "stands beside another member that says the same");
    const auto schema = value.find_set("schema");
    if (!schema || !schema->is_object())
        return not_carried(field, "needs a `schema`, an object");
    out.format.kind = ResponseFormat::Kind::kSchema;
    out.format.schema = schema->raw();
    out.format.strict = true;
    LARDER_TRY(out.format.name, read_text_of(value, "name", field));
    out.fields.emplace_back("format", field);
    return {};
}

Result<void> read_output_config(Cursor value, const std::string& field, Conversation& out) {
    constexpr std::array<std::string_view, 5> kLevels = {"low", "medium", "high", "xhigh", "max"};
    LARDER_CHECK(expect_only(value, field, {"effort", "format"}));
    if (const auto effort = value.find_set("effort")) {
        const std::string name = field + ".effort";
        LARDER_TRY(out.thinking.effort, read_text(*effort, name));
        if (std::ranges::find(kLevels, out.thinking.effort) == kLevels.end())
            return wrong_type(name, "low, medium, high, xhigh or max");
        out.fields.emplace_back("effort", name);
    }
    if (const auto format = value.find_set("format"))
        return read_format(*format, field + ".format", out);
    return {};
}

Result<void> read_metadata(Cursor value, const std::string& field, Conversation& out) {
    LARDER_CHECK(expect_only(value, field, {"user_id"}));
    LARDER_TRY(out.user, read_text_of(value, "user_id", field));
    return {};
}

Result<void> read_service_tier(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(out.service_tier, read_text(value, field));
    return {};
}

Result<void> read_speed(Cursor value, const std::string& field, Conversation&) {
    if (!value.equals("standard"))
        return not_carried(field);
    return {};
}

constexpr std::array kMembers = std::to_array<MemberRule>({
    {"model", "", ignore_member},
    {"messages", "", read_messages_turns},
    {"system", "", read_system},
    {"stream", "", read_stream_flag},
    {"max_tokens", "max_tokens", read_whole_member<&Conversation::max_tokens>},
    {"temperature", "temperature", read_number_member<&Conversation::temperature>},
    {"top_p", "top_p", read_number_member<&Conversation::top_p>},
    {"top_k", "top_k", read_whole_member<&Conversation::top_k>},
    {"stop_sequences", "stop", read_stop},
    {"tools", "", read_tools},
    {"tool_choice", "tool_choice", read_tool_choice},
    {"thinking", "thinking", read_thinking},
    {"output_config", "", read_output_config},
    {"output_format", "", read_format},
    {"metadata", "", read_metadata},
    {"service_tier", "service_tier", read_service_tier},
    {"cache_control", "", ignore_member},
    {"speed", "", read_speed},
    {"container", "", refuse_member},
    {"context_management", "", refuse_member},
    {"inference_geo", "", refuse_member},
    {"mcp_servers", "", refuse_unless_blank},
});

} // namespace

std::span<const MemberRule> messages_members() {
    return kMembers;
}

Result<Conversation> read_messages(Cursor root) {
    Conversation conversation;
    LARDER_CHECK(read_by_rules(root, kMembers, conversation));
    Thinking& thinking = conversation.thinking;
    if (thinking.effort.empty())
        return conversation;
    if (thinking.kind == Thinking::Kind::kOff)
        return not_carried(client_name_of(conversation, "effort"),
                           "can't be carried over beside disabled `thinking`: this model's "
                           "provider speaks another API, where it is the effort of thinking");
    if (thinking.kind == Thinking::Kind::kUnset) {
        thinking.kind = Thinking::Kind::kEffort;
        conversation.fields.emplace_back("thinking", client_name_of(conversation, "effort"));
    }
    return conversation;
}

} // namespace larder::convert
