// Reading requests of OpenAI's Responses API: `input` is a string or the API's own items, and may
// be missing where the provider has it already.
#include "protocol/call_members.hpp"

namespace larder::protocol {

namespace {

std::string field_of_item(std::size_t index, std::string_view member) {
    return "input[" + std::to_string(index) + "]." + std::string(member);
}

/// Bytes of text in a string, or in parts. Media are not counted.
std::size_t bytes_of_text(Cursor content) {
    if (content.is_string())
        return content.characters().size();
    std::size_t bytes = 0;
    for (const Cursor part : content.elements()) {
        for (const Member& member : part.members()) {
            if (member.value.is_string() && (member.name == "text" || member.name == "refusal"))
                bytes += member.value.characters().size();
        }
    }
    return bytes;
}

Result<void> read_item(Cursor item, std::size_t index, Call& call) {
    if (!item.is_object())
        return wrong_type("input[" + std::to_string(index) + "]", "an object");
    for (const Member& member : item.members()) {
        const std::string_view name = member.name;
        if (member.value.is_null())
            continue;
        if ((name == "type" || name == "role") && !member.value.is_string())
            return wrong_type(field_of_item(index, name), "a string");
        if (name == "content" && !member.value.is_string() && !member.value.is_array())
            return wrong_type(field_of_item(index, name), "a string or an array");
        if (name == "content" || name == "output" || name == "summary")
            call.prompt_bytes += bytes_of_text(member.value);
        else if (name == "arguments" || name == "input" || name == "tools")
            call.prompt_bytes += member.value.raw().size();
    }
    return {};
}

Result<void> read_input(Cursor input, Call& call) {
    if (input.is_string()) {
        call.prompt_bytes += input.characters().size();
        return {};
    }
    if (!input.is_array())
        return wrong_type("input", "a string or an array");
    std::size_t index = 0;
    for (const Cursor item : input.elements())
        LARDER_CHECK(read_item(item, index++, call));
    return {};
}

Result<void> read_instructions(Cursor instructions, Call& call) {
    if (!instructions.is_string())
        return wrong_type("instructions", "a string");
    call.prompt_bytes += instructions.characters().size();
    return {};
}

/// Members that are only checked here.
Result<void> check_member(const Member& member) {
    const std::string_view name = member.name;
    const Cursor value = member.value;
    if ((name == "background" || name == "store") && !value.value().as_bool())
        return wrong_type(name, "true or false");
    if (name == "previous_response_id" && !value.is_string())
        return wrong_type(name, "a string");
    if (name == "conversation" && !value.is_string() && !value.is_object())
        return wrong_type(name, "a string or an object");
    if ((name == "prompt" || name == "stream_options" || name == "text") && !value.is_object())
        return wrong_type(name, "an object");
    return {};
}

Result<void> read_member(const Member& member, Call& call) {
    const std::string_view name = member.name;
    if (name == "model")
        return read_model(member.value, call);
    if (name == "input")
        return read_input(member.value, call);
    if (name == "instructions")
        return read_instructions(member.value, call);
    if (name == "stream")
        return read_stream(member.value, call);
    if (name == "temperature")
        return read_temperature(member.value, call);
    if (name == "max_output_tokens")
        return read_bound(name, member.value, 0, call);
    if (name == "tools")
        return read_tools(name, member.value, call);
    return check_member(member);
}

/// Whether the member gives the model something to answer: the input itself, or where the provider
/// has it.
bool gives_input(const Member& member) {
    if (member.name == "input")
        return member.value.is_string() || member.value.size() > 0;
    return member.name == "prompt" || member.name == "previous_response_id" ||
           member.name == "conversation";
}

} // namespace

Result<Call> read_responses_call(Cursor root) {
    Call call;
    bool has_input = false;
    bool has_empty_input = false;
    bool has_prompt = false; // a stored prompt may name the model
    for (const Member& member : root.members()) {
        if (member.value.is_null())
            continue;
        LARDER_CHECK(read_member(member, call));
        if (call.bypass.empty())
            call.bypass = bypass_reason(Dialect::kOpenAiResponses, member.name, member.value);
        const bool gives = gives_input(member);
        has_input = has_input || gives;
        has_prompt = has_prompt || member.name == "prompt";
        has_empty_input = has_empty_input || (member.name == "input" && !gives);
    }
    if (call.model.empty() && !has_prompt)
        return fail_field("model", "`model` is missing");
    if (!has_input)
        return fail_field("input",
                          has_empty_input ? "`input` must not be empty" : "`input` is missing");
    return call;
}

} // namespace larder::protocol
