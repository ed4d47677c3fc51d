// Answers of messages, read as what they mean. A plain one is read by way of the deltas that it
// would have come in. Blocks that are neither text, thinking nor a call of the client's own tools
// are unreadable: requests that make them are never converted. Citations are left out.
#include "convert/reply.hpp"

#include "convert/reply_parts.hpp"
#include "protocol/answer.hpp"
#include "protocol/tree.hpp"

#include <optional>
#include <utility>

namespace larder::convert {
namespace {

using protocol::Cursor;
using protocol::Merge;
using protocol::Tree;

End end_of(std::string_view reason) {
    if (reason == "stop_sequence")
        return End::kStopSequence;
    if (reason == "max_tokens" || reason == "model_context_window_exceeded")
        return End::kLength;
    if (reason == "tool_use")
        return End::kToolCalls;
    if (reason == "refusal")
        return End::kRefused;
    if (reason == "pause_turn")
        return End::kPause;
    return End::kStop;
}

std::optional<PartKind> kind_of(Cursor block) {
    const auto type = block.find("type");
    if (!type)
        return std::nullopt;
    if (type->equals("text"))
        return PartKind::kText;
    if (type->equals("thinking"))
        return PartKind::kThinking;
    if (type->equals("redacted_thinking"))
        return PartKind::kRedactedThinking;
    if (type->equals("tool_use"))
        return PartKind::kToolCall;
    return std::nullopt;
}

/// The member that a block of this kind, or a delta of it, carries its text in.
std::string_view name_of_text(PartKind kind) {
    switch (kind) {
    case PartKind::kThinking:
        return "thinking";
    case PartKind::kRedactedThinking:
        return "data";
    case PartKind::kToolCall:
        return "partial_json";
    default:
        return "text";
    }
}

class MessagesReader final : public DeltaReader {
public:
    Result<void> read(const http::SseEvent& event, std::vector<Delta>& out) override;
    void finish(std::vector<Delta>& out) override;

    Result<void> start(Cursor message, std::vector<Delta>& out);
    /// `is_whole`: no deltas follow.
    Result<void> start_block(Cursor block, std::int64_t index, bool is_whole,
                             std::vector<Delta>& out);
    void end_block(std::vector<Delta>& out);
    void read_end(Cursor delta);
    void add_usage(Cursor usage);

private:
    Result<void> read_event(std::string_view type, Cursor root, std::vector<Delta>& out);
    Result<Delta> begin_part(Cursor block);
    Result<void> read_input(Cursor block, bool is_whole);
    Result<void> read_delta(Cursor root, std::vector<Delta>& out);
    void add(std::vector<Delta>& out, Delta::Kind kind, std::string text) const;

    std::string id_;
    bool started_ = false;
    bool ended_ = false;
    std::size_t parts_ = 0;
    std::size_t calls_ = 0;
    std::int64_t block_ = 0; // index of the open one, as the provider counts
    std::optional<PartKind> open_;
    std::string input_at_start_; // of the open call, until pieces of it come
    CallArguments arguments_;    // of the open call
    End end_ = End::kStop;
    std::string stop_sequence_;
    Tree usage_ = Tree::object();
};

Result<void> MessagesReader::read(const http::SseEvent& event, std::vector<Delta>& out) {
    if (ended_ || event.data.empty() || event.data == "[DONE]")
        return {};
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    const auto error = root.find_set("error");
    if (error || event.name == "error")
        return protocol::provider_error(error.value_or(root));
    const auto type = root.find("type");
    if (!type || !type->is_string())
        return unreadable("an event has no type");
    return read_event(type->string(), root, out);
}

Result<void> MessagesReader::read_event(std::string_view type, Cursor root,
                                        std::vector<Delta>& out) {
    if (type == "message_start") {
        const auto message = root.find("message");
        if (!message || started_)
            return unreadable("message_start has no message, or comes twice");
        return start(*message, out);
    }
    if (type == "ping")
        return {};
    if (!started_)
        return unreadable("it does not begin with message_start");
    if (type == "content_block_start") {
        const auto index = root.find("index");
        const auto block = root.find("content_block");
        if (!index || !index->is(json::Kind::kNumber) || !block)
            return unreadable("content_block_start has no block or no index");
        return start_block(*block, index->count(), false, out);
    }
    if (type == "content_block_delta")
        return read_delta(root, out);
    if (type == "content_block_stop") {
        end_block(out);
    } else if (type == "message_delta") {
        if (const auto usage = root.find_set("usage"))
            add_usage(*usage);
        if (const auto delta = root.find_set("delta"))
            read_end(*delta);
    } else if (type == "message_stop") {
        finish(out);
    }
    return {};
}

Result<void> MessagesReader::start(Cursor message, std::vector<Delta>& out) {
    if (!message.is_object())
        return unreadable("it is no message");
    started_ = true;
    id_ = string_of(message, "id");
    if (const auto usage = message.find_set("usage"))
        add_usage(*usage);
    read_end(message);
    Delta delta;
    delta.kind = Delta::Kind::kStart;
    delta.id = id_;
    delta.model = string_of(message, "model");
    out.push_back(std::move(delta));
    return {};
}

void MessagesReader::read_end(Cursor delta) {
    if (const auto reason = delta.find("stop_reason"); reason && reason->is_non_empty_string())
        end_ = end_of(reason->string());
    if (const auto sequence = delta.find("stop_sequence"))
        stop_sequence_ = sequence->is_string() ? sequence->string() : stop_sequence_;
}

void MessagesReader::add_usage(Cursor usage) {
    usage_.merge(usage, Merge::kLast);
}

void MessagesReader::add(std::vector<Delta>& out, Delta::Kind kind, std::string text) const {
    Delta delta;
    delta.kind = kind;
    delta.index = parts_ - 1;
    delta.part = *open_;
    delta.text = std::move(text);
    out.push_back(std::move(delta));
}

Result<Delta> MessagesReader::begin_part(Cursor block) {
    Delta begin;
    begin.kind = Delta::Kind::kPartBegin;
    begin.index = parts_ - 1;
    begin.part = *open_;
    if (*open_ != PartKind::kToolCall)
        return begin;
    begin.id = string_of(block, "id");
    begin.name = string_of(block, "name");
    if (begin.name.empty())
        return unreadable("a tool call has no name");
    if (calls_ == kMostCalls)
        return unreadable("it has too many tool calls");
    if (begin.id.empty())
        begin.id = call_id(id_, calls_);
    ++calls_;
    return begin;
}

/// An input that comes with the block's start is spelled as the plain answer spells it.
Result<void> MessagesReader::read_input(Cursor block, bool is_whole) {
    arguments_ = CallArguments();
    input_at_start_ = "{}";
    const auto input = block.find_set("input");
    if (!input)
        return {};
    if (!input->is_object())
        return unreadable("the input of a tool call is no object");
    if (is_whole) {
        input_at_start_ = input->raw();
        return {};
    }
    Tree members = Tree::object();
    members.merge(block, Merge::kDelta);
    input_at_start_.clear();
    members.at("input").write(input_at_start_);
    return {};
}

Result<void> MessagesReader::start_block(Cursor block, std::int64_t index, bool is_whole,
                                         std::vector<Delta>& out) {
    const auto kind = kind_of(block);
    if (!kind)
        return unreadable("it has a block of a kind that can't be carried over");
    if (parts_ > 0 && index <= block_)
        return unreadable("its blocks are out of order");
    end_block(out);
    block_ = index;
    open_ = kind;
    ++parts_;
    LARDER_TRY(Delta begin, begin_part(block));
    out.push_back(std::move(begin));
    if (*kind == PartKind::kToolCall)
        return read_input(block, is_whole);
    std::string text = string_of(block, name_of_text(*kind));
    if (!text.empty())
        add(out, Delta::Kind::kPartText, std::move(text));
    std::string signature = string_of(block, "signature");
    if (*kind == PartKind::kThinking && !signature.empty())
        add(out, Delta::Kind::kSignature, std::move(signature));
    return {};
}

Result<void> MessagesReader::read_delta(Cursor root, std::vector<Delta>& out) {
    const auto index = root.find("index");
    const auto delta = root.find("delta");
    if (!open_ || !index || !index->is(json::Kind::kNumber) || index->count() != block_ || !delta ||
        !delta->is_object())
        return unreadable("content_block_delta belongs to no open block");
    std::string text = string_of(*delta, name_of_text(*open_));
    if (*open_ == PartKind::kToolCall && !text.empty()) {
        input_at_start_.clear();
        LARDER_TRY(const std::string_view own, arguments_.add(text));
        text = std::string(own);
    }
    if (!text.empty())
        add(out, Delta::Kind::kPartText, std::move(text));
    std::string signature = string_of(*delta, "signature");
    if (*open_ == PartKind::kThinking && !signature.empty())
        add(out, Delta::Kind::kSignature, std::move(signature));
    return {};
}

void MessagesReader::end_block(std::vector<Delta>& out) {
    if (!open_)
        return;
    if (*open_ == PartKind::kToolCall && !input_at_start_.empty())
        add(out, Delta::Kind::kPartText, std::exchange(input_at_start_, {}));
    add(out, Delta::Kind::kPartEnd, {});
    open_.reset();
}

void MessagesReader::finish(std::vector<Delta>& out) {
    if (ended_)
        return;
    ended_ = true;
    end_block(out);
    Delta end;
    end.kind = Delta::Kind::kEnd;
    end.end = end_;
    end.stop_sequence = stop_sequence_;
    out.push_back(std::move(end));
    std::string written;
    usage_.write(written);
    const auto document = json::parse(written);
    if (!document)
        return;
    Delta usage;
    usage.kind = Delta::Kind::kUsage;
    usage.usage = protocol::anthropic_usage(Cursor(*document));
    if (usage.usage)
        out.push_back(std::move(usage));
}

} // namespace

Result<Reply> read_messages_reply(protocol::Cursor root) {
    const auto type = root.find("type");
    const auto content = root.find("content");
    if (!type || !type->equals("message") || !content || !content->is_array())
        return unreadable("it is no message");
    MessagesReader reader;
    std::vector<Delta> deltas;
    LARDER_CHECK(reader.start(root, deltas));
    std::int64_t index = 0;
    for (const Cursor block : content->elements()) {
        LARDER_CHECK(reader.start_block(block, index++, true, deltas));
        reader.end_block(deltas);
    }
    reader.finish(deltas);
    return gather(deltas);
}

std::unique_ptr<DeltaReader> make_messages_reader() {
    return std::make_unique<MessagesReader>();
}

} // namespace larder::convert
