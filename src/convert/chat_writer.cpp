// Answers written for clients of chat. Thinking goes as `reasoning_content`, whole, and as
// `reasoning_details`, part by part, with signatures and what is opaque; a stop sequence as the
// choice's `stop_reason`. `created` is 0, for no provider behind this says when: the time of day
// would differ between an answer and its replay.
#include "convert/reply.hpp"

#include "convert/request_parts.hpp"
#include "protocol/answer.hpp"

#include <optional>
#include <utility>

namespace larder::convert {
namespace {

void append_count(std::string& out, std::string_view name, std::int64_t count) {
    protocol::append_member(out, name, std::to_string(count));
}

std::string_view finish_reason(End end) {
    switch (end) {
    case End::kLength:
        return "length";
    case End::kToolCalls:
        return "tool_calls";
    case End::kRefused:
        return "content_filter";
    case End::kStop:
    case End::kStopSequence:
    case End::kPause:
        break;
    }
    return "stop";
}

void append_finish(std::string& choice, End end, std::string_view stop_sequence) {
    append_string_member(choice, "finish_reason", finish_reason(end));
    if (end == End::kStopSequence && !stop_sequence.empty())
        append_string_member(choice, "stop_reason", stop_sequence);
}

std::string usage_object(const llm::Usage& usage) {
    std::string prompt = "{";
    append_count(prompt, "cached_tokens", usage.cached_input);
    if (usage.cache_write + usage.cache_write_1h > 0)
        append_count(prompt, "cache_write_tokens", usage.cache_write + usage.cache_write_1h);
    std::string out = "{";
    append_count(out, "prompt_tokens", usage.prompt());
    append_count(out, "completion_tokens", usage.output);
    append_count(out, "total_tokens", usage.total());
    protocol::append_member(out, "prompt_tokens_details", prompt + "}");
    if (usage.reasoning > 0) // of 0 it isn't known whether the provider counts it
        protocol::append_member(out, "completion_tokens_details",
                                R"({"reasoning_tokens":)" + std::to_string(usage.reasoning) + "}");
    return out + "}";
}

/// The members that a plain answer and every chunk begin with.
std::string head_of(std::string_view id, std::string_view model, std::string_view object) {
    std::string out = "{";
    append_string_member(out, "id", id);
    append_string_member(out, "object", object);
    append_count(out, "created", 0);
    append_string_member(out, "model", model);
    return out;
}

/// One element of `reasoning_details`, without its closing brace.
std::string detail_of(PartKind kind, std::size_t index, std::string_view text) {
    const bool is_opaque = kind == PartKind::kRedactedThinking;
    std::string out = "{";
    append_string_member(out, "type", is_opaque ? "reasoning.encrypted" : "reasoning.text");
    append_count(out, "index", static_cast<std::int64_t>(index));
    append_string_member(out, is_opaque ? "data" : "text", text);
    return out;
}

/// A plain message, part by part.
class MessageWriter {
public:
    void add(const ReplyPart& part) {
        switch (part.kind) {
        case PartKind::kText:
            content_ += part.text;
            return;
        case PartKind::kRefusal:
            refusal_ += part.text;
            return;
        case PartKind::kThinking:
            reasoning_ = reasoning_.value_or(std::string()) + part.text;
            return add_detail(part);
        case PartKind::kRedactedThinking:
            return add_detail(part);
        case PartKind::kToolCall:
            return add_call(part);
        }
    }

    [[nodiscard]] std::string write() const {
        std::string out = "{\"role\":\"assistant\"";
        append_nullable(out, "content", content_, calls_.empty());
        append_nullable(out, "refusal", refusal_, false);
        if (reasoning_)
            append_string_member(out, "reasoning_content", *reasoning_);
        if (!details_.empty())
            out.append(",\"reasoning_details\":[").append(details_).append("]");
        if (!calls_.empty())
            out.append(",\"tool_calls\":[").append(calls_).append("]");
        return out + "}";
    }

private:
    static void append_nullable(std::string& out, std::string_view name, std::string_view text,
                                bool may_be_empty) {
        if (text.empty() && !may_be_empty)
            protocol::append_member(out, name, "null");
        else
            append_string_member(out, name, text);
    }

    void add_detail(const ReplyPart& part) {
        if (part.kind == PartKind::kRedactedThinking && part.text.empty())
            return;
        std::string detail = detail_of(part.kind, detail_count_++, part.text);
        if (part.kind == PartKind::kThinking && !part.signature.empty())
            append_string_member(detail, "signature", part.signature);
        details_.append(details_.empty() ? "" : ",").append(detail).append("}");
    }

    void add_call(const ReplyPart& part) {
        std::string call = "{";
        append_string_member(call, "id", part.id);
        append_string_member(call, "type", "function");
        std::string function = "{";
        append_string_member(function, "name", part.name);
        append_string_member(function, "arguments", part.text);
        call.append(",\"function\":").append(function).append("}}");
        calls_.append(calls_.empty() ? "" : ",").append(call);
    }

    std::string content_;
    std::string refusal_;
    std::optional<std::string> reasoning_;
    std::string details_;
    std::size_t detail_count_ = 0;
    std::string calls_;
};

class ChatWriter final : public DeltaWriter {
public:
    explicit ChatWriter(bool include_usage) : include_usage_(include_usage) {}

    void write(const Delta& delta, std::string& out) override {
        if (delta.usage)
            usage_ = delta.usage;
        switch (delta.kind) {
        case Delta::Kind::kStart:
            head_ = head_of(delta.id, delta.model, "chat.completion.chunk");
            return write_choice(R"({"role":"assistant","content":null,"refusal":null})", out);
        case Delta::Kind::kPartBegin:
            return begin_part(delta, out);
        case Delta::Kind::kPartText:
            return add_text(delta, out);
        case Delta::Kind::kSignature:
            return add_signature(delta.text, out);
        case Delta::Kind::kEnd:
            return end(delta, out);
        case Delta::Kind::kPartEnd:
            return end_part(out);
        case Delta::Kind::kUsage:
            return;
        }
    }

    void finish(std::string& out) override {
        if (include_usage_ && usage_) {
            std::string chunk = head_ + ",\"choices\":[]";
            protocol::append_member(chunk, "usage", usage_object(*usage_));
            http::write_sse(out, {}, chunk + "}");
        }
        http::write_sse(out, {}, "[DONE]");
    }

private:
    void begin_part(const Delta& delta, std::string& out) {
        part_ = delta.part;
        if (part_ == PartKind::kThinking) {
            std::string members = R"({"reasoning_content":"","reasoning_details":[)";
            members += detail_of(part_, detail_count_++, {});
            write_choice(members + "}]}", out);
        } else if (part_ == PartKind::kToolCall) {
            ++call_count_;
            said_something_ = true;
            std::string function = "{";
            append_string_member(function, "name", delta.name);
            append_string_member(function, "arguments", {});
            std::string call = call_at_index();
            append_string_member(call, "id", delta.id);
            append_string_member(call, "type", "function");
            protocol::append_member(call, "function", function + "}");
            write_choice("{\"tool_calls\":[" + call + "}]}", out);
        }
    }

    void add_text(const Delta& delta, std::string& out) {
        if (delta.text.empty())
            return;
        std::string members = "{";
        switch (part_) {
        case PartKind::kText:
            said_something_ = true;
            append_string_member(members, "content", delta.text);
            break;
        case PartKind::kRefusal:
            append_string_member(members, "refusal", delta.text);
            break;
        case PartKind::kThinking: {
            append_string_member(members, "reasoning_content", delta.text);
            const std::string detail = detail_of(part_, detail_count_ - 1, delta.text);
            members.append(",\"reasoning_details\":[").append(detail).append("}]");
            break;
        }
        case PartKind::kRedactedThinking:
            opaque_ += delta.text;
            return;
        case PartKind::kToolCall: {
            std::string function = "{";
            append_string_member(function, "arguments", delta.text);
            std::string call = call_at_index();
            protocol::append_member(call, "function", function + "}");
            members.append("\"tool_calls\":[").append(call).append("}]");
            break;
        }
        }
        write_choice(members + "}", out);
    }

    void end_part(std::string& out) {
        if (opaque_.empty())
            return;
        const std::string detail =
            detail_of(PartKind::kRedactedThinking, detail_count_++, std::exchange(opaque_, {}));
        write_choice("{\"reasoning_details\":[" + detail + "}]}", out);
    }

    void add_signature(std::string_view text, std::string& out) {
        if (detail_count_ == 0 || text.empty())
            return;
        std::string detail = "{";
        append_string_member(detail, "type", "reasoning.text");
        append_count(detail, "index", static_cast<std::int64_t>(detail_count_ - 1));
        append_string_member(detail, "signature", text);
        write_choice("{\"reasoning_details\":[" + detail + "}]}", out);
    }

    void end(const Delta& delta, std::string& out) {
        std::string choice = "{\"index\":0,\"delta\":";
        choice += said_something_ ? "{}" : R"({"content":""})";
        choice += ",\"logprobs\":null";
        append_finish(choice, delta.end, delta.stop_sequence);
        write_chunk(choice + "}", out);
    }

    /// An element of `tool_calls`, begun.
    [[nodiscard]] std::string call_at_index() const {
        std::string call = "{";
        append_count(call, "index", static_cast<std::int64_t>(call_count_) - 1);
        return call;
    }

    void write_choice(std::string_view delta, std::string& out) {
        std::string choice = "{\"index\":0,\"delta\":";
        choice += delta;
        write_chunk(choice + R"(,"logprobs":null,"finish_reason":null})", out);
    }

    void write_chunk(std::string_view choice, std::string& out) {
        std::string chunk = head_ + ",\"choices\":[";
        chunk.append(choice).append("]}");
        http::write_sse(out, {}, chunk);
    }

    bool include_usage_;
    std::string head_ = head_of({}, {}, "chat.completion.chunk");
    PartKind part_ = PartKind::kText;
    std::size_t call_count_ = 0;
    std::size_t detail_count_ = 0;
    std::string opaque_;          // of the open part
    bool said_something_ = false; // text, or a call
    std::optional<llm::Usage> usage_;
};

} // namespace

std::string write_chat_reply(const Reply& reply) {
    MessageWriter message;
    for (const ReplyPart& part : reply.parts)
        message.add(part);
    std::string choice = "{\"index\":0,\"message\":";
    choice += message.write();
    choice += R"(,"logprobs":null)";
    append_finish(choice, reply.end, reply.stop_sequence);
    std::string out = head_of(reply.id, reply.model, "chat.completion");
    out.append(",\"choices\":[").append(choice).append("}]");
    if (reply.usage)
        protocol::append_member(out, "usage", usage_object(*reply.usage));
    return out + "}";
}

std::unique_ptr<DeltaWriter> make_chat_writer(bool include_usage) {
    return std::make_unique<ChatWriter>(include_usage);
}

} // namespace larder::convert
