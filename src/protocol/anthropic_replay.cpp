// A plain message as the events that Anthropic's API would have sent.
#include "protocol/answer.hpp"

namespace larder::protocol {

namespace {

class EventWriter {
public:
    explicit EventWriter(std::string& out) : out_(out) {}
    /// `members` is an object's text without its closing brace, begun with `{`.
    void write(std::string_view type, std::string_view members) {
        std::string data = "{\"type\":";
        json::write_string(data, type);
        if (members.size() > 1)
            data.append(",").append(members.substr(1));
        data += '}';
        http::write_sse(out_, type, data);
    }

private:
    std::string& out_;
};

/// Members that the API sends at the end: in message_delta's `delta`, or beside it.
bool is_of_delta(std::string_view name) {
    return name == "stop_reason" || name == "stop_sequence" || name == "stop_details" ||
           name == "container";
}

/// The usage as it stands at the start: everything but the tokens that are yet to come.
std::string usage_at_start(Cursor usage) {
    std::string out = "{";
    for (const Member& member : usage.members()) {
        const bool is_output = member.name == "output_tokens" && member.value.count() > 0;
        append_member(out, member.name, is_output ? "1" : member.value.raw());
    }
    out += '}';
    return out;
}

std::string message_at_start(Cursor root) {
    std::string message = "{";
    for (const Member& member : root.members()) {
        if (member.name == "content")
            append_member(message, member.name, "[]");
        else if (member.name == "stop_reason" || member.name == "stop_sequence")
            append_member(message, member.name, "null");
        else if (member.name == "usage" && member.value.is_object())
            append_member(message, member.name, usage_at_start(member.value));
        else if (!is_of_delta(member.name) && member.name != "context_management")
            append_member(message, member.name, member.value.raw());
    }
    message += '}';
    return message;
}

class BlockWriter {
public:
    BlockWriter(EventWriter& events, Cursor block, std::size_t index)
        : events_(events), block_(block), index_(std::to_string(index)) {}

    void write() {
        std::string start = "{";
        for (const Member& member : block_.members())
            append_member(start, member.name, value_at_start(member));
        start += '}';
        write_event("content_block_start", "content_block", start);
        for (const Member& member : block_.members())
            write_deltas(member);
        std::string stop = "{";
        append_member(stop, "index", index_);
        events_.write("content_block_stop", stop);
    }

private:
    enum class Part { kWhole, kText, kInput, kCitations };
    /// How a member travels: whole with the block's start, or as deltas.
    [[nodiscard]] Part part_of(const Member& member) const {
        const auto type = block_.find("type");
        if (!type)
            return Part::kWhole;
        const std::string_view name = member.name;
        if (member.value.is_non_empty_string()) {
            const bool is_text = name == "text" && type->equals("text");
            const bool is_thinking =
                type->equals("thinking") && (name == "thinking" || name == "signature");
            return is_text || is_thinking ? Part::kText : Part::kWhole;
        }
        if (name == "input" && member.value.is_object() && member.value.size() > 0)
            return Part::kInput;
        if (name == "citations" && type->equals("text") && member.value.size() > 0)
            return Part::kCitations;
        return Part::kWhole;
    }

    [[nodiscard]] std::string_view value_at_start(const Member& member) const {
        switch (part_of(member)) {
        case Part::kText:
            return "\"\"";
        case Part::kInput:
            return "{}";
        case Part::kCitations:
            return "[]";
        case Part::kWhole:
            break;
        }
        return member.value.raw();
    }

    void write_deltas(const Member& member) {
        switch (part_of(member)) {
        case Part::kText:
            return write_delta(std::string(member.name) + "_delta", member.name,
                               member.value.raw());
        case Part::kInput: {
            std::string compact;
            append_compact(compact, member.value.raw());
            std::string quoted;
            json::write_string(quoted, compact);
            return write_delta("input_json_delta", "partial_json", quoted);
        }
        case Part::kCitations:
            for (const Cursor citation : member.value.elements())
                write_delta("citations_delta", "citation", citation.raw());
            return;
        case Part::kWhole:
            return;
        }
    }

    void write_delta(std::string_view type, std::string_view name, std::string_view raw) {
        std::string delta = "{\"type\":";
        json::write_string(delta, type);
        append_member(delta, name, raw);
        delta += '}';
        write_event("content_block_delta", "delta", delta);
    }

    void write_event(std::string_view type, std::string_view name, std::string_view raw) {
        std::string members = "{";
        append_member(members, "index", index_);
        append_member(members, name, raw);
        events_.write(type, members);
    }

    EventWriter& events_;
    Cursor block_;
    std::string index_;
};

void write_message_delta(EventWriter& events, Cursor root) {
    std::string delta = "{";
    std::string members = "{";
    for (const Member& member : root.members()) {
        if (is_of_delta(member.name))
            append_member(delta, member.name, member.value.raw());
        else if (member.name == "usage" || member.name == "context_management")
            append_member(members, member.name, member.value.raw());
    }
    delta += '}';
    append_member(members, "delta", delta);
    events.write("message_delta", members);
}

} // namespace

Result<std::string> anthropic_plain_to_stream(Cursor root) {
    const auto content = root.find("content");
    if (!content || !content->is_array())
        return fail(ErrorCode::kProviderUnreadable, "the kept answer has no content");
    std::string out;
    out.reserve(root.raw().size() * 2 + 512);
    EventWriter events(out);
    std::string start = "{";
    append_member(start, "message", message_at_start(root));
    events.write("message_start", start);
    std::size_t index = 0;
    for (const Cursor block : content->elements())
        BlockWriter(events, block, index++).write();
    write_message_delta(events, root);
    events.write("message_stop", "{");
    return out;
}

} // namespace larder::protocol
