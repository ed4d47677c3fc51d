// OpenAI's chat completions request, read as a conversation: its top-level members.
#include "convert/chat_turns.hpp"
#include "convert/request_parts.hpp"

#include <algorithm>
#include <array>

namespace larder::convert {
namespace {

using protocol::Cursor;

Result<void> read_bound(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(std::string bound, read_whole_number(value, field));
    if (!out.max_tokens.empty() && out.max_tokens != bound)
        return not_carried(field, "says another bound than `max_tokens` or "
                                  "`max_completion_tokens` beside it");
    out.max_tokens = std::move(bound);
    return {};
}

Result<void> read_stop(Cursor value, const std::string& field, Conversation& out) {
    if (value.is_string()) {
        out.stop.push_back(value.string());
        return {};
    }
    if (!value.is_array())
        return wrong_type(field, "a string or an array of strings");
    for (const Cursor sequence : value.elements()) {
        LARDER_TRY(std::string text, read_text(sequence, element_of(field, out.stop.size())));
        out.stop.push_back(std::move(text));
    }
    return {};
}

Result<void> read_tool(Cursor tool, const std::string& field, Conversation& out) {
    LARDER_TRY(const std::string type, read_needed(tool, "type", field));
    if (type != "function")
        return not_carried(field + ".type");
    LARDER_CHECK(expect_only(tool, field, {"type", "function", "cache_control"}));
    const auto function = tool.find_set("function");
    if (!function)
        return not_carried(field, "needs a `function`");
    const std::string inner = field + ".function";
    LARDER_CHECK(expect_only(*function, inner, {"name", "description", "parameters", "strict"}));
    Tool read;
    read.field = field;
    LARDER_TRY(read.name, read_needed(*function, "name", inner));
    LARDER_TRY(read.description, read_text_of(*function, "description", inner));
    if (const auto parameters = function->find_set("parameters")) {
        if (!parameters->is_object())
            return wrong_type(inner + ".parameters", "an object");
        read.parameters = parameters->raw();
    }
    LARDER_TRY(read.strict, read_flag_of(*function, "strict", inner));
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
    ToolChoice choice;
    if (value.equals("auto")) {
        choice.kind = ToolChoice::Kind::kAuto;
    } else if (value.equals("none")) {
        choice.kind = ToolChoice::Kind::kNone;
    } else if (value.equals("required") || value.equals("any")) {
        choice.kind = ToolChoice::Kind::kAny;
    } else if (value.is_object()) {
        LARDER_TRY(const std::string type, read_needed(value, "type", field));
        if (type != "function")
            return not_carried(field + ".type");
        LARDER_CHECK(expect_only(value, field, {"type", "function"}));
        const auto function = value.find_set("function");
        if (!function)
            return not_carried(field, "needs a `function`");
        LARDER_CHECK(expect_only(*function, field + ".function", {"name"}));
        choice.kind = ToolChoice::Kind::kNamed;
        LARDER_TRY(choice.name, read_needed(*function, "name", field + ".function"));
    } else {
        return wrong_type(field, "auto, none, required or a function's name");
    }
    out.tool_choice = std::move(choice);
    return {};
}

Result<void> read_parallel(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(out.parallel_tool_calls, read_flag(value, field));
    return {};
}

Result<void> read_schema(Cursor value, const std::string& field, ResponseFormat& format) {
    LARDER_CHECK(expect_only(value, field, {"name", "description", "schema", "strict"}));
    const auto schema = value.find_set("schema");
    if (!schema || !schema->is_object())
        return not_carried(field, "needs a `schema`, an object");
    format.kind = ResponseFormat::Kind::kSchema;
    format.schema = schema->raw();
    LARDER_TRY(format.name, read_text_of(value, "name", field));
    LARDER_TRY(format.description, read_text_of(value, "description", field));
    LARDER_TRY(format.strict, read_flag_of(value, "strict", field));
    return {};
}

Result<void> read_format(Cursor value, const std::string& field, Conversation& out) {
    LARDER_CHECK(expect_only(value, field, {"type", "json_schema"}));
    LARDER_TRY(const std::string type, read_needed(value, "type", field));
    const auto schema = value.find_set("json_schema");
    if (type == "json_schema" && schema)
        return read_schema(*schema, field + ".json_schema", out.format);
    if (type == "json_object")
        out.format.kind = ResponseFormat::Kind::kJson;
    else if (type != "text")
        return not_carried(field + ".type");
    return {};
}

Result<void> read_effort(Cursor value, const std::string& field, Conversation& out) {
    constexpr std::array<std::string_view, 6> kLevels = {"minimal", "low",   "medium",
                                                         "high",    "xhigh", "max"};
    LARDER_TRY(std::string effort, read_text(value, field));
    if (out.thinking.kind != Thinking::Kind::kUnset)
        return not_carried(field, "stands beside another member that says the same");
    if (effort == "none") {
        out.thinking.kind = Thinking::Kind::kOff;
        return {};
    }
    if (std::ranges::find(kLevels, effort) == kLevels.end())
        return wrong_type(field, "none, minimal, low, medium, high or xhigh");
    out.thinking.kind = Thinking::Kind::kEffort;
    out.thinking.effort = std::move(effort);
    return {};
}

Result<void> read_logprobs(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(out.logprobs, read_flag(value, field));
    return {};
}

Result<void> read_top_logprobs(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(std::string count, read_whole_number(value, field));
    if (!is_blank(value))
        out.top_logprobs = std::move(count);
    return {};
}

/// A penalty of 0 is none.
template <std::string Conversation::* kMember>
Result<void> read_penalty(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(std::string penalty, read_number(value, field));
    if (!is_blank(value))
        out.*kMember = std::move(penalty);
    return {};
}

template <std::string Conversation::* kMember>
Result<void> read_text_member(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(out.*kMember, read_text(value, field));
    return {};
}

Result<void> read_modalities(Cursor value, const std::string& field, Conversation&) {
    std::size_t index = 0;
    if (!value.is_array())
        return wrong_type(field, "an array");
    for (const Cursor modality : value.elements()) {
        if (!modality.equals("text"))
            return not_carried(element_of(field, index));
        ++index;
    }
    return {};
}

Result<void> read_verbosity(Cursor value, const std::string& field, Conversation&) {
    if (!value.equals("medium"))
        return not_carried(field);
    return {};
}

Result<void> read_stream_options(Cursor value, const std::string& field, Conversation&) {
    return expect_only(value, field, {"include_usage", "include_obfuscation"});
}

constexpr std::array kMembers = std::to_array<MemberRule>({
    {"model", "", ignore_member},
    {"messages", "", read_chat_turns},
    {"stream", "", read_stream_flag},
    {"stream_options", "", read_stream_options},
    {"max_tokens", "max_tokens", read_bound},
    {"max_completion_tokens", "max_tokens", read_bound},
    {"temperature", "temperature", read_number_member<&Conversation::temperature>},
    {"top_p", "top_p", read_number_member<&Conversation::top_p>},
    {"top_k", "top_k", read_whole_member<&Conversation::top_k>},
    {"stop", "stop", read_stop},
    {"seed", "seed", read_whole_member<&Conversation::seed>},
    {"n", "choices", read_whole_member<&Conversation::choices>},
    {"frequency_penalty", "frequency_penalty", read_penalty<&Conversation::frequency_penalty>},
    {"presence_penalty", "presence_penalty", read_penalty<&Conversation::presence_penalty>},
    {"logprobs", "logprobs", read_logprobs},
    {"top_logprobs", "top_logprobs", read_top_logprobs},
    {"tools", "", read_tools},
    {"tool_choice", "tool_choice", read_tool_choice},
    {"parallel_tool_calls", "parallel_tool_calls", read_parallel},
    {"response_format", "format", read_format},
    {"reasoning_effort", "thinking", read_effort},
    {"thinking", "thinking", read_thinking},
    {"user", "user", read_text_member<&Conversation::user>},
    {"safety_identifier", "user", read_text_member<&Conversation::user>},
    {"service_tier", "service_tier", read_text_member<&Conversation::service_tier>},
    {"metadata", "", ignore_member},
    {"prompt_cache_key", "", ignore_member},
    {"prompt_cache_retention", "", ignore_member},
    {"store", "", refuse_unless_blank},
    {"logit_bias", "", refuse_unless_blank},
    {"modalities", "", read_modalities},
    {"verbosity", "", read_verbosity},
    {"audio", "", refuse_member},
    {"prediction", "", refuse_member},
    {"web_search_options", "", refuse_member},
    {"functions", "", refuse_member},
    {"function_call", "", refuse_member},
});

} // namespace

std::span<const MemberRule> chat_members() {
    return kMembers;
}

Result<Conversation> read_chat(Cursor root) {
    Conversation conversation;
    LARDER_CHECK(read_by_rules(root, kMembers, conversation));
    return conversation;
}

} // namespace larder::convert
