// Answers written for clients of messages. Of chat the usage is known only at the end:
// message_start says zeros, and message_delta, held back until then, says all. A refusal is text.
// Thinking that came without a signature has an empty one.
#include "convert/reply.hpp"

#include "convert/reply_parts.hpp"
#include "convert/request_parts.hpp"
#include "protocol/answer.hpp"

namespace larder::convert {
namespace {

std::string_view stop_reason(End end) {
    switch (end) {
    case End::kStopSequence:
        return "stop_sequence";
    case End::kLength:
        return "max_tokens";
    case End::kToolCalls:
        return "tool_use";
    case End::kRefused:
        return "refusal";
    case End::kPause:
        return "pause_turn";
    case End::kStop:
        break;
    }
    return "end_turn";
}

void append_stop(std::string& out, End end, std::string_view stop_sequence) {
    append_string_member(out, "stop_reason", stop_reason(end));
    if (end == End::kStopSequence && !stop_sequence.empty())
        append_string_member(out, "stop_sequence", stop_sequence);
    else
        protocol::append_member(out, "stop_sequence", "null");
}

std::string usage_object(const llm::Usage& usage) {
    std::string out = "{";
    const auto append = [&out](std::string_view name, std::int64_t count) {
        protocol::append_member(out, name, std::to_string(count));
    };
    append("input_tokens", usage.input);
    append("cache_creation_input_tokens", usage.cache_write + usage.cache_write_1h);
    append("cache_read_input_tokens", usage.cached_input);
    append("output_tokens", usage.output);
    if (usage.reasoning > 0) {
        out += R"(,"output_tokens_details":{)";
        append("thinking_tokens", usage.reasoning);
        out += '}';
    }
    return out + "}";
}

/// The members of a message up to its model.
std::string head_of(std::string_view id, std::string_view model) {
    std::string out = "{";
    append_string_member(out, "id", id);
    out += R"(,"type":"message","role":"assistant")";
    append_string_member(out, "model", model);
    return out;
}

/// Whether a part shows anything.
bool is_block(const ReplyPart& part) {
    if (part.kind == PartKind::kThinking)
        return !part.text.empty() || !part.signature.empty();
    return part.kind == PartKind::kToolCall || !part.text.empty();
}

/// A whole block, but for its closing brace.
std::string block_of(const ReplyPart& part) {
    std::string out = "{";
    switch (part.kind) {
    case PartKind::kText:
    case PartKind::kRefusal:
        append_string_member(out, "type", "text");
        append_string_member(out, "text", part.text);
        break;
    case PartKind::kThinking:
        append_string_member(out, "type", "thinking");
        append_string_member(out, "thinking", part.text);
        append_string_member(out, "signature", part.signature);
        break;
    case PartKind::kRedactedThinking:
        append_string_member(out, "type", "redacted_thinking");
        append_string_member(out, "data", part.text);
        break;
    case PartKind::kToolCall:
        append_string_member(out, "type", "tool_use");
        append_string_member(out, "id", part.id);
        append_string_member(out, "name", part.name);
        out += ",\"input\":";
        append_input(out, part.text);
        break;
    }
    return out;
}

class MessagesWriter final : public DeltaWriter {
public:
    void write(const Delta& delta, std::string& out) override {
        if (delta.usage)
            usage_ = *delta.usage;
        switch (delta.kind) {
        case Delta::Kind::kStart:
            return start(delta, out);
        case Delta::Kind::kPartBegin:
            part_ = {.kind = delta.part,
                     .text = {},
                     .signature = {},
                     .id = delta.id,
                     .name = delta.name};
            is_open_ = false;
            if (part_.kind == PartKind::kToolCall)
                open(out);
            return;
        case Delta::Kind::kPartText:
            return add_text(delta.text, out);
        case Delta::Kind::kSignature:
            return write_delta("signature_delta", "signature", delta.text, out);
        case Delta::Kind::kPartEnd:
            return end_part(out);
        case Delta::Kind::kEnd:
            end_ = delta.end;
            stop_sequence_ = delta.stop_sequence;
            return;
        case Delta::Kind::kUsage:
            return;
        }
    }

    void finish(std::string& out) override {
        std::string delta = "{";
        append_stop(delta, end_, stop_sequence_);
        std::string members = "{\"type\":\"message_delta\"";
        protocol::append_member(members, "delta", delta + "}");
        protocol::append_member(members, "usage", usage_object(usage_));
        http::write_sse(out, "message_delta", members + "}");
        http::write_sse(out, "message_stop", R"({"type":"message_stop"})");
    }

private:
    void start(const Delta& delta, std::string& out) {
        std::string message = head_of(delta.id, delta.model);
        message += R"(,"content":[],"stop_reason":null,"stop_sequence":null)";
        protocol::append_member(message, "usage", usage_object(usage_));
        http::write_sse(out, "message_start",
                        R"({"type":"message_start","message":)" + message + "}}");
    }

    void open(std::string& out) {
        is_open_ = true;
        write_event("content_block_start", "content_block", block_of(part_) + "}", out);
    }

    void add_text(std::string_view text, std::string& out) {
        if (text.empty())
            return;
        switch (part_.kind) {
        case PartKind::kText:
        case PartKind::kRefusal:
            return write_delta("text_delta", "text", text, out);
        case PartKind::kThinking:
            return write_delta("thinking_delta", "thinking", text, out);
        case PartKind::kToolCall:
            return write_delta("input_json_delta", "partial_json", text, out);
        case PartKind::kRedactedThinking:
            part_.text += text; // no delta carries it: it goes with the block's start
            return;
        }
    }

    void end_part(std::string& out) {
        if (!is_open_ && part_.kind == PartKind::kRedactedThinking && is_block(part_))
            open(out);
        if (!is_open_)
            return;
        std::string members = "{\"type\":\"content_block_stop\"";
        protocol::append_member(members, "index", std::to_string(index_));
        http::write_sse(out, "content_block_stop", members + "}");
        is_open_ = false;
        ++index_;
    }

    void write_delta(std::string_view type, std::string_view name, std::string_view text,
                     std::string& out) {
        if (text.empty())
            return;
        if (!is_open_)
            open(out);
        std::string delta = "{";
        append_string_member(delta, "type", type);
        append_string_member(delta, name, text);
        write_event("content_block_delta", "delta", delta + "}", out);
    }

    void write_event(std::string_view type, std::string_view name, std::string_view value,
                     std::string& out) {
        std::string members = "{";
        append_string_member(members, "type", type);
        protocol::append_member(members, "index", std::to_string(index_));
        members += ",\"";
        members.append(name).append("\":").append(value).append("}");
        http::write_sse(out, type, members);
    }

    ReplyPart part_; // without the text that went out already
    bool is_open_ = false;
    std::size_t index_ = 0; // of the block
    End end_ = End::kStop;
    std::string stop_sequence_;
    llm::Usage usage_;
};

} // namespace

std::string write_messages_reply(const Reply& reply) {
    std::string out = head_of(reply.id, reply.model) + ",\"content\":[";
    std::string_view separator;
    for (const ReplyPart& part : reply.parts) {
        if (!is_block(part))
            continue;
        out.append(separator).append(block_of(part)).append("}");
        separator = ",";
    }
    out += ']';
    append_stop(out, reply.end, reply.stop_sequence);
    protocol::append_member(out, "usage", usage_object(reply.usage.value_or(llm::Usage())));
    return out + "}";
}

std::unique_ptr<DeltaWriter> make_messages_writer() {
    return std::make_unique<MessagesWriter>();
}

} // namespace larder::convert
