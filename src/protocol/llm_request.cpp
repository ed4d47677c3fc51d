// Requests of the /llm dialect in a provider's own terms. What needs no change is copied as it was
// written, escapes included; members that the dialect does not know go along in their order.
#include "protocol/request.hpp"

#include <array>
#include <vector>

namespace larder::protocol {

namespace {

/// Room for the members' names beside the client's own bytes.
constexpr std::size_t kRoom = 192;

/// o1*, o3*, o4* and gpt-5* take `max_completion_tokens` only; a vendor may stand before a slash.
bool takes_completion_bound(std::string_view model) {
    constexpr std::array<std::string_view, 4> kFamilies = {"o1", "o3", "o4", "gpt-5"};
    model.remove_prefix(model.rfind('/') + 1); // npos + 1 is 0
    for (const std::string_view family : kFamilies) {
        if (model.starts_with(family))
            return true;
    }
    return false;
}

void append_member(std::string& out, std::string_view name, std::string_view raw) {
    out.append(",\"").append(name).append("\":").append(raw);
}

/// Members that the dialect does not know, less what is written anew.
void append_foreign(std::string& out, Cursor root, LlmMembers& members) {
    for (const Member& member : root.members()) {
        if (members.slot(member.name) != nullptr || member.name == "stream_options")
            continue;
        out += ',';
        json::write_string(out, member.name);
        out.append(":").append(member.value.raw());
    }
}

std::string_view without_brackets(Cursor array) {
    return array.raw().substr(1, array.raw().size() - 2);
}

void append_openai_messages(std::string& out, const LlmMembers& members) {
    out += ",\"messages\":[";
    if (members.system) {
        out.append(R"({"role":"system","content":)").append(members.system->raw()).append("},");
    }
    if (members.messages)
        out.append(without_brackets(*members.messages));
    else
        out.append(R"({"role":"user","content":)").append(members.prompt->raw()).append("}");
    out += ']';
}

/// Where `system` comes from: the member itself, then the messages at the head.
struct AnthropicTurns {
    std::vector<Cursor> system;   // strings, or arrays of parts
    std::vector<Cursor> messages; // what is left
};

Result<AnthropicTurns> split_turns(const LlmMembers& members) {
    AnthropicTurns turns;
    if (members.system)
        turns.system.push_back(*members.system);
    if (!members.messages)
        return turns;
    for (const Cursor message : members.messages->elements()) {
        const auto role = message.find("role");
        const auto content = message.find("content");
        const bool is_instruction = role->equals("system") || role->equals("developer");
        if (is_instruction && !turns.messages.empty())
            return fail_field("messages", "this model's provider takes system messages only before "
                                          "all others");
        if (role->equals("tool") || message.find_set("tool_calls"))
            return fail_field("messages", "tool calls in `messages` are not carried over to this "
                                          "model's provider: use /v1/messages");
        if (is_instruction && content)
            turns.system.push_back(*content);
        else
            turns.messages.push_back(message);
    }
    if (turns.messages.empty())
        return fail_field("messages", "`messages` needs at least one user message");
    return turns;
}

void append_anthropic_system(std::string& out, const std::vector<Cursor>& system) {
    if (system.empty())
        return;
    if (system.size() == 1)
        return append_member(out, "system", system.front().raw());
    out += ",\"system\":[";
    bool is_first = true;
    for (const Cursor content : system) {
        if (content.is_array() && content.size() == 0)
            continue;
        out += is_first ? "" : ",";
        is_first = false;
        if (content.is_array())
            out.append(without_brackets(content));
        else
            out.append(R"({"type":"text","text":)").append(content.raw()).append("}");
    }
    out += ']';
}

void append_anthropic_messages(std::string& out, const LlmMembers& members,
                               const AnthropicTurns& turns) {
    out += ",\"messages\":[";
    if (members.prompt)
        out.append(R"({"role":"user","content":)").append(members.prompt->raw()).append("}");
    for (const Cursor& message : turns.messages) {
        if (&message != turns.messages.data())
            out += ',';
        out.append(message.raw());
    }
    out += ']';
}

} // namespace

Result<std::string> write_openai_from_llm(Cursor root, const Call& call, std::string_view model,
                                          bool ask_usage) {
    LlmMembers members = LlmMembers::read(root);
    std::string out;
    out.reserve(root.raw().size() + kRoom);
    out += "{\"model\":";
    json::write_string(out, model);
    append_openai_messages(out, members);
    if (members.temperature)
        append_member(out, "temperature", members.temperature->raw());
    if (members.max_tokens)
        append_member(out, takes_completion_bound(model) ? "max_completion_tokens" : "max_tokens",
                      members.max_tokens->raw());
    if (call.stream) {
        append_member(out, "stream", "true");
        if (ask_usage)
            append_member(out, "stream_options", R"({"include_usage":true})");
    }
    append_foreign(out, root, members);
    out += '}';
    return out;
}

Result<std::string> write_anthropic_from_llm(Cursor root, const Call& call,
                                             std::string_view model) {
    LlmMembers members = LlmMembers::read(root);
    LARDER_TRY(const AnthropicTurns turns, split_turns(members));
    std::string out;
    out.reserve(root.raw().size() + kRoom);
    out += "{\"model\":";
    json::write_string(out, model);
    append_anthropic_system(out, turns.system);
    append_anthropic_messages(out, members, turns);
    if (members.max_tokens)
        append_member(out, "max_tokens", members.max_tokens->raw());
    else if (!root.find("max_tokens"))
        append_member(out, "max_tokens", "4096");
    if (members.temperature)
        append_member(out, "temperature", members.temperature->raw());
    if (call.stream)
        append_member(out, "stream", "true");
    append_foreign(out, root, members);
    out += '}';
    return out;
}

} // namespace larder::protocol
