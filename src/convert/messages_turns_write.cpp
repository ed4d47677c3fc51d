// Turns as Anthropic's `system` and `messages`. The results of parallel calls come together in one
// user's turn, with what the user says after them, as Anthropic wants it.
#include "convert/gemini_call_id.hpp"
#include "convert/messages_turns.hpp"
#include "convert/model_rules.hpp"
#include "convert/request_parts.hpp"
#include "protocol/answer.hpp"

#include <algorithm>

namespace larder::convert {
namespace {

using protocol::append_member;
using Parts = std::vector<const Part*>;

/// Anthropic takes letters, digits, '-' and '_' only; a call and its result get the same id.
std::string call_id_of(const Part& part) {
    std::string id = split_call_id(part.id).id;
    std::ranges::replace_if(
        id,
        [](char c) {
            const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            return !is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_';
        },
        '_');
    return id;
}

void append_source(std::string& out, const Part& part) {
    std::string source = "{";
    append_string_member(source, "type", part.url.empty() ? "base64" : "url");
    if (part.url.empty()) {
        append_string_member(source, "media_type", part.media_type);
        append_string_member(source, "data", part.text);
    } else {
        append_string_member(source, "url", part.url);
    }
    append_member(out, "source", source + "}");
}

Result<void> append_content(std::string& out, const Parts& parts);

Result<void> append_tool_result(std::string& out, const Part& part) {
    append_string_member(out, "type", "tool_result");
    append_string_member(out, "tool_use_id", call_id_of(part));
    Parts parts;
    for (const Part& piece : part.parts)
        parts.push_back(&piece);
    if (!parts.empty())
        LARDER_CHECK(append_content(out, parts));
    if (part.is_error)
        append_member(out, "is_error", "true");
    return {};
}

Result<void> append_thinking(std::string& out, const Part& part) {
    if (part.signature.empty())
        return not_carried(part.field, "can't be carried over without its signature: this model's "
                                       "provider speaks another API; send the answer's "
                                       "`reasoning_details` too, or leave it out");
    append_string_member(out, "type", "thinking");
    append_string_member(out, "thinking", part.text);
    append_string_member(out, "signature", part.signature);
    return {};
}

Result<void> append_block(std::string& out, const Part& part) {
    out += out.ends_with('[') ? "{" : ",{";
    switch (part.kind) {
    case Part::Kind::kText:
        append_string_member(out, "type", "text");
        append_string_member(out, "text", part.text);
        break;
    case Part::Kind::kImage:
        append_string_member(out, "type", "image");
        append_source(out, part);
        break;
    case Part::Kind::kDocument:
        append_string_member(out, "type", "document");
        append_source(out, part);
        if (!part.name.empty())
            append_string_member(out, "title", part.name);
        break;
    case Part::Kind::kThinking:
        LARDER_CHECK(append_thinking(out, part));
        break;
    case Part::Kind::kRedactedThinking:
        append_string_member(out, "type", "redacted_thinking");
        append_string_member(out, "data", part.text);
        break;
    case Part::Kind::kToolCall:
        append_string_member(out, "type", "tool_use");
        append_string_member(out, "id", call_id_of(part));
        append_string_member(out, "name", part.name);
        append_member(out, "input", part.json);
        break;
    case Part::Kind::kToolResult:
        LARDER_CHECK(append_tool_result(out, part));
        break;
    }
    if (!part.cache_control.empty())
        append_member(out, "cache_control", part.cache_control);
    out += '}';
    return {};
}

Result<void> append_content(std::string& out, const Parts& parts) {
    if (is_plain_text(parts)) {
        append_string_member(out, "content", parts.front()->text);
        return {};
    }
    std::string content = "[";
    for (const Part* part : parts)
        LARDER_CHECK(append_block(content, *part));
    out.append(R"(,"content":)").append(content).append("]");
    return {};
}

bool says_nothing(const Part& part) {
    return part.kind == Part::Kind::kText && part.text.empty();
}

/// The parts of a turn, less empty texts beside others: Anthropic refuses these.
void add_parts(Parts& parts, const Turn& turn) {
    const std::size_t before = parts.size();
    for (const Part& part : turn.parts) {
        if (!says_nothing(part))
            parts.push_back(&part);
    }
    if (parts.size() == before)
        parts.push_back(&turn.parts.front());
}

class TurnsWriter {
public:
    TurnsWriter(const Conversation& conversation, std::string_view model)
        : conversation_(conversation), takes_later_system_(takes_later_system(model)) {}

    Result<void> write(std::string& out) {
        LARDER_TRY(std::size_t next, write_system(out));
        std::string messages = "[";
        while (next < conversation_.turns.size())
            LARDER_CHECK(write_message(messages, next));
        if (messages.size() == 1)
            return fail_field("messages", "`messages` needs at least one user message");
        out.append(R"(,"messages":)").append(messages).append("]");
        return {};
    }

private:
    /// The turns at the head; gives the number of the first other one.
    Result<std::size_t> write_system(std::string& out) {
        Parts parts;
        std::size_t next = 0;
        for (; next < conversation_.turns.size(); ++next) {
            const Turn& turn = conversation_.turns[next];
            if (turn.role != Role::kSystem)
                break;
            for (const Part& part : turn.parts) {
                if (!says_nothing(part))
                    parts.push_back(&part);
            }
        }
        if (parts.empty())
            return next;
        if (is_plain_text(parts)) {
            append_string_member(out, "system", parts.front()->text);
            return next;
        }
        std::string system = "[";
        for (const Part* part : parts)
            LARDER_CHECK(append_block(system, *part));
        out.append(R"(,"system":)").append(system).append("]");
        return next;
    }

    /// Writes the turn `next` and those that belong to it, and moves on behind them.
    Result<void> write_message(std::string& out, std::size_t& next) {
        const Turn& turn = conversation_.turns[next++];
        const bool follows_user = next >= 2 && conversation_.turns[next - 2].role == Role::kUser;
        if (turn.role == Role::kSystem && !(takes_later_system_ && follows_user))
            return not_carried(turn.field, "can't be carried over: this model's provider speaks "
                                           "another API, which takes system messages only before "
                                           "all others");
        Parts parts;
        add_parts(parts, turn);
        if (!parts.empty() && parts.back()->kind == Part::Kind::kToolResult) {
            for (; next < conversation_.turns.size(); ++next) {
                const Turn& following = conversation_.turns[next];
                if (following.role != Role::kUser)
                    break;
                add_parts(parts, following);
            }
        }
        out += out.ends_with('[') ? "{" : ",{";
        append_string_member(out, "role",
                             turn.role == Role::kSystem      ? "system"
                             : turn.role == Role::kAssistant ? "assistant"
                                                             : "user");
        LARDER_CHECK(append_content(out, parts));
        out += '}';
        return {};
    }

    const Conversation& conversation_;
    bool takes_later_system_;
};

} // namespace

Result<void> append_messages_turns(std::string& out, const Conversation& conversation,
                                   std::string_view model) {
    return TurnsWriter(conversation, model).write(out);
}

} // namespace larder::convert
