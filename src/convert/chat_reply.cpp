// Answers of chat, read as what they mean: the first choice's. A plain one is read by way of the
// deltas that it would have come in.
//
// Parts must come one after the other, but chat lets them interleave. So a call ends as soon as its
// arguments are whole and another call waits; until then what belongs to others is held, within
// bounds. What is said after a call, and opaque reasoning, comes last. Text after a call is where
// the two forms of an answer may differ: the plain one has it before the calls.
#include "convert/reply.hpp"

#include "convert/reply_parts.hpp"
#include "protocol/answer.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace larder::convert {
namespace {

using protocol::Cursor;
using protocol::Member;

struct ToolCall {
    std::string index; // as the provider spelled it; empty: none
    std::string id;
    std::string name;
    CallArguments arguments;
    std::string pending; // arguments that did not go out yet
};

/// A piece of reasoning or text; pieces of one `key` belong together.
struct Piece {
    PartKind kind = PartKind::kText;
    std::string key;
    std::string text;
    std::string signature;
};

/// `reasoning_details` of OpenRouter's kind: text, a summary, or what only the provider can read.
std::optional<Piece> piece_of_detail(Cursor detail) {
    const auto type = detail.find("type");
    if (!type)
        return std::nullopt;
    Piece piece;
    piece.kind = PartKind::kThinking;
    if (const auto index = detail.find_set("index"))
        piece.key = index->raw();
    if (type->equals("reasoning.text")) {
        piece.text = string_of(detail, "text");
        piece.signature = string_of(detail, "signature");
        piece.key += "text";
    } else if (type->equals("reasoning.summary")) {
        piece.text = string_of(detail, "summary");
        piece.key += "summary";
    } else if (type->equals("reasoning.encrypted")) {
        piece.kind = PartKind::kRedactedThinking;
        piece.text = string_of(detail, "data");
    } else {
        return std::nullopt;
    }
    return piece;
}

/// The text of a `thinking` element of a content array: a string, or text elements.
std::string thinking_of(Cursor element) {
    std::string text;
    if (const auto thinking = element.find("thinking"))
        protocol::append_text_of(text, *thinking);
    return text;
}

class ChatReader final : public DeltaReader {
public:
    Result<void> read(const http::SseEvent& event, std::vector<Delta>& out) override;
    void finish(std::vector<Delta>& out) override;

    void read_top(const Member& member);
    Result<void> read_choice(Cursor choice, std::optional<Cursor> message, std::vector<Delta>& out);
    /// Ends a whole answer. kProviderUnreadable when a call is not whole.
    Result<void> end(std::vector<Delta>& out);

private:
    Result<void> read_chunk(Cursor root, std::vector<Delta>& out);
    Result<void> read_message(Cursor message, std::vector<Delta>& out);
    Result<void> read_reasoning(Cursor message, std::vector<Delta>& out);
    Result<void> read_content(Cursor content, std::vector<Delta>& out);
    Result<void> read_calls(Cursor calls, std::vector<Delta>& out);
    Result<void> read_call(ToolCall& call, Cursor piece, Cursor function);
    ToolCall* call_of(Cursor piece, std::size_t calls_before);
    Result<void> say(Piece piece, std::vector<Delta>& out);
    Result<void> hold(std::size_t bytes);
    void say_now(const Piece& piece, std::vector<Delta>& out);
    void pump(bool is_end, std::vector<Delta>& out);
    void start(std::vector<Delta>& out);
    void begin(Delta delta, std::string key, std::vector<Delta>& out);
    void add(Delta::Kind kind, std::string text, std::vector<Delta>& out) const;
    void end_part(std::vector<Delta>& out);
    [[nodiscard]] End end_reason() const;

    std::string id_;
    std::string model_;
    bool started_ = false;
    bool ended_ = false;
    std::size_t parts_ = 0;
    std::optional<PartKind> open_;
    std::string open_key_;
    std::vector<ToolCall> calls_;
    std::size_t calls_done_ = 0;
    std::vector<Piece> late_; // what comes last
    std::size_t held_bytes_ = 0;
    bool refused_ = false;
    std::string reason_;
    std::string stop_sequence_;
    std::optional<llm::Usage> usage_;
    bool has_own_usage_ = false; // not Groq's
};

Result<void> ChatReader::read(const http::SseEvent& event, std::vector<Delta>& out) {
    if (ended_ || event.data.empty())
        return {};
    if (event.data == "[DONE]")
        return end(out);
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    if (const auto error = root.find_set("error"))
        return protocol::provider_error(*error);
    if (event.name == "error")
        return protocol::provider_error(root);
    if (!root.is_object())
        return unreadable("an event is no chunk of a chat completion");
    return read_chunk(root, out);
}

Result<void> ChatReader::read_chunk(Cursor root, std::vector<Delta>& out) {
    std::optional<Cursor> choices;
    for (const Member& member : root.members()) {
        if (member.name == "choices")
            choices = member.value;
        else
            read_top(member);
    }
    if (!started_ && !id_.empty() && !model_.empty())
        start(out);
    if (!choices)
        return {};
    std::int64_t position = 0;
    for (const Cursor choice : choices->elements()) {
        if (!choice.is_object())
            return unreadable("a choice is no object");
        const auto index = choice.find_set("index");
        if ((index ? index->count() : position++) != 0)
            continue;
        const auto delta = choice.find_set("delta");
        const auto message = choice.find_set("message");
        // A message after deltas repeats what has come so far.
        const bool is_repeated = delta || parts_ > 0;
        LARDER_CHECK(read_choice(choice, is_repeated ? delta : message, out));
    }
    return {};
}

void ChatReader::read_top(const Member& member) {
    if (member.name == "id" && id_.empty()) {
        id_ = member.value.string();
    } else if (member.name == "model" && model_.empty()) {
        model_ = member.value.string();
    } else if (member.name == "usage" && member.value.is_object()) {
        usage_ = protocol::openai_usage(member.value);
        has_own_usage_ = true;
    } else if (member.name == "x_groq" && !has_own_usage_) {
        if (const auto usage = member.value.find_set("usage"))
            usage_ = protocol::openai_usage(*usage);
    }
}

Result<void> ChatReader::read_choice(Cursor choice, std::optional<Cursor> message,
                                     std::vector<Delta>& out) {
    if (message)
        LARDER_CHECK(read_message(*message, out));
    if (const auto reason = choice.find("finish_reason"); reason && reason->is_non_empty_string())
        reason_ = reason->string();
    if (const auto sequence = choice.find("stop_reason");
        sequence && sequence->is_non_empty_string())
        stop_sequence_ = sequence->string();
    return {};
}

Result<void> ChatReader::read_message(Cursor message, std::vector<Delta>& out) {
    LARDER_CHECK(read_reasoning(message, out));
    if (const auto content = message.find_set("content"))
        LARDER_CHECK(read_content(*content, out));
    if (const auto refusal = message.find("refusal"); refusal && refusal->is_non_empty_string()) {
        refused_ = true;
        LARDER_CHECK(
            say({.kind = PartKind::kRefusal, .key = {}, .text = refusal->string(), .signature = {}},
                out));
    }
    if (message.find_set("audio"))
        return unreadable("it has audio, which can't be carried over");
    if (const auto calls = message.find_set("tool_calls"))
        LARDER_CHECK(read_calls(*calls, out));
    if (const auto function = message.find_set("function_call")) {
        constexpr std::string_view kFunctionIndex = "function";
        if (calls_.empty() || calls_.back().index != kFunctionIndex) {
            calls_.emplace_back().index = kFunctionIndex;
            calls_.back().id = call_id(id_, 0);
        }
        LARDER_CHECK(read_call(calls_.back(), message, *function));
    }
    pump(false, out);
    return {};
}

/// Details with text stand for the plain members, which repeat it.
Result<void> ChatReader::read_reasoning(Cursor message, std::vector<Delta>& out) {
    bool has_text = false;
    if (const auto details = message.find_set("reasoning_details")) {
        for (const Cursor detail : details->elements()) {
            auto piece = piece_of_detail(detail);
            if (!piece)
                continue;
            has_text = has_text || (piece->kind == PartKind::kThinking && !piece->text.empty());
            LARDER_CHECK(say(*std::move(piece), out));
        }
    }
    if (has_text)
        return {};
    std::string text = string_of(message, "reasoning_content");
    if (text.empty())
        text = string_of(message, "reasoning");
    return say(
        {.kind = PartKind::kThinking, .key = open_key_, .text = std::move(text), .signature = {}},
        out);
}

Result<void> ChatReader::read_content(Cursor content, std::vector<Delta>& out) {
    const auto say_text = [&](PartKind kind, std::string text) {
        return say({.kind = kind, .key = {}, .text = std::move(text), .signature = {}}, out);
    };
    if (content.is_string())
        return say_text(PartKind::kText, content.string());
    for (const Cursor element : content.elements()) {
        const auto type = element.find("type");
        if (type && type->equals("text"))
            LARDER_CHECK(say_text(PartKind::kText, string_of(element, "text")));
        else if (type && type->equals("thinking"))
            LARDER_CHECK(say_text(PartKind::kThinking, thinking_of(element)));
        else if (type && type->equals("refusal"))
            LARDER_CHECK(say_text(PartKind::kRefusal, string_of(element, "refusal")));
    }
    return {};
}

Result<void> ChatReader::read_calls(Cursor calls, std::vector<Delta>& out) {
    const std::size_t calls_before = calls_.size();
    for (const Cursor piece : calls.elements()) {
        ToolCall* call = call_of(piece, calls_before);
        if (call == nullptr)
            return unreadable("it has too many tool calls");
        if (piece.find_set("custom"))
            return unreadable("a tool call has no JSON arguments, and can't be carried over");
        LARDER_CHECK(read_call(*call, piece, piece.find_set("function").value_or(piece)));
        pump(false, out);
    }
    return {};
}

/// The call that a piece belongs to, added when it is a new one.
ToolCall* ChatReader::call_of(Cursor piece, std::size_t calls_before) {
    const auto index = piece.find_set("index");
    if (index) {
        for (std::size_t i = calls_before; i > 0; --i) { // most often the last
            if (calls_[i - 1].index == index->raw())
                return &calls_[i - 1];
        }
    } else if (calls_before > 0) {
        const auto function = piece.find_set("function");
        if (string_of(piece, "id").empty() && (!function || string_of(*function, "name").empty()))
            return &calls_[calls_before - 1];
    }
    if (calls_.size() == kMostCalls)
        return nullptr;
    ToolCall& call = calls_.emplace_back();
    if (index)
        call.index = index->raw();
    return &call;
}

Result<void> ChatReader::read_call(ToolCall& call, Cursor piece, Cursor function) {
    if (call.id.empty())
        call.id = string_of(piece, "id");
    if (call.name.empty())
        call.name = string_of(function, "name");
    const auto arguments = function.find_set("arguments");
    if (!arguments)
        return {};
    // Some providers send the object itself.
    const std::string text =
        arguments->is_object() ? std::string(arguments->raw()) : arguments->string();
    const std::size_t held_before = call.arguments.held_bytes();
    LARDER_TRY(const std::string_view own, call.arguments.add(text));
    call.pending += own;
    held_bytes_ -= std::min(held_bytes_, held_before);
    return hold(call.arguments.held_bytes() + own.size());
}

Result<void> ChatReader::hold(std::size_t bytes) {
    held_bytes_ += bytes;
    if (held_bytes_ > kMostHeldBytes)
        return unreadable("too much of it is out of order");
    return {};
}

Result<void> ChatReader::say(Piece piece, std::vector<Delta>& out) {
    if (piece.text.empty() && piece.signature.empty())
        return {};
    if (piece.kind != PartKind::kRedactedThinking && calls_.empty()) {
        say_now(piece, out);
        return {};
    }
    LARDER_CHECK(hold(piece.text.size() + piece.signature.size() + sizeof(Piece)));
    const bool is_opaque = piece.kind == PartKind::kRedactedThinking;
    for (std::size_t i = late_.size(); i > 0; --i) {
        Piece& last = late_[i - 1];
        if (last.kind != piece.kind || last.key != piece.key || (is_opaque && piece.key.empty()))
            break;
        last.text += piece.text;
        if (!piece.signature.empty())
            last.signature = std::move(piece.signature);
        return {};
    }
    late_.push_back(std::move(piece));
    return {};
}

void ChatReader::say_now(const Piece& piece, std::vector<Delta>& out) {
    if (open_ != piece.kind || open_key_ != piece.key) {
        Delta delta;
        delta.part = piece.kind;
        begin(std::move(delta), piece.key, out);
    }
    if (!piece.text.empty())
        add(Delta::Kind::kPartText, piece.text, out);
    if (!piece.signature.empty())
        add(Delta::Kind::kSignature, piece.signature, out);
}

/// Sends what may go now of the calls; at the end everything.
void ChatReader::pump(bool is_end, std::vector<Delta>& out) {
    while (calls_done_ < calls_.size()) {
        ToolCall& call = calls_[calls_done_];
        const bool is_over =
            is_end || (call.arguments.is_complete() && calls_done_ + 1 < calls_.size());
        const bool has_begun = open_ == PartKind::kToolCall;
        if (!has_begun) {
            if (call.name.empty() || (call.id.empty() && !is_over))
                return;
            Delta delta;
            delta.part = PartKind::kToolCall;
            delta.id = call.id.empty() ? call_id(id_, calls_done_) : call.id;
            delta.name = call.name;
            begin(std::move(delta), {}, out);
        }
        if (!call.pending.empty()) {
            held_bytes_ -= std::min(held_bytes_, call.pending.size());
            add(Delta::Kind::kPartText, std::exchange(call.pending, {}), out);
        }
        if (!is_over)
            return;
        end_part(out);
        ++calls_done_;
    }
}

void ChatReader::start(std::vector<Delta>& out) {
    started_ = true;
    Delta delta;
    delta.kind = Delta::Kind::kStart;
    delta.id = id_;
    delta.model = model_;
    out.push_back(std::move(delta));
}

void ChatReader::begin(Delta delta, std::string key, std::vector<Delta>& out) {
    if (!started_)
        start(out);
    end_part(out);
    delta.kind = Delta::Kind::kPartBegin;
    delta.index = parts_++;
    open_ = delta.part;
    open_key_ = std::move(key);
    out.push_back(std::move(delta));
}

void ChatReader::add(Delta::Kind kind, std::string text, std::vector<Delta>& out) const {
    Delta delta;
    delta.kind = kind;
    delta.index = parts_ - 1;
    delta.part = *open_;
    delta.text = std::move(text);
    out.push_back(std::move(delta));
}

void ChatReader::end_part(std::vector<Delta>& out) {
    if (open_)
        add(Delta::Kind::kPartEnd, {}, out);
    open_.reset();
    open_key_.clear();
}

End ChatReader::end_reason() const {
    if (refused_ || reason_ == "content_filter" || reason_ == "refusal")
        return End::kRefused;
    if (reason_ == "length" || reason_ == "max_tokens")
        return End::kLength;
    if (!calls_.empty()) // of a call that was demanded OpenAI says "stop"
        return End::kToolCalls;
    return stop_sequence_.empty() ? End::kStop : End::kStopSequence;
}

Result<void> ChatReader::end(std::vector<Delta>& out) {
    const End reason = end_reason();
    const bool was_cut = reason == End::kLength || reason == End::kRefused;
    for (const ToolCall& call : calls_) {
        if (call.name.empty())
            return unreadable("a tool call has no name");
        if (!was_cut && !call.arguments.is_complete() && !call.arguments.is_empty())
            return unreadable("the arguments of a tool call are cut");
    }
    finish(out);
    return {};
}

void ChatReader::finish(std::vector<Delta>& out) {
    if (ended_)
        return;
    ended_ = true;
    if (!started_)
        start(out);
    pump(true, out);
    for (const bool is_opaque : {false, true}) {
        for (const Piece& piece : late_) {
            if ((piece.kind == PartKind::kRedactedThinking) != is_opaque)
                continue;
            end_part(out);
            say_now(piece, out);
        }
    }
    end_part(out);
    Delta end;
    end.kind = Delta::Kind::kEnd;
    end.end = end_reason();
    end.stop_sequence = stop_sequence_;
    out.push_back(std::move(end));
    if (!usage_)
        return;
    Delta usage;
    usage.kind = Delta::Kind::kUsage;
    usage.usage = usage_;
    out.push_back(std::move(usage));
}

} // namespace

Result<Reply> read_chat_reply(protocol::Cursor root) {
    ChatReader reader;
    std::vector<Delta> deltas;
    std::optional<Cursor> choices;
    for (const Member& member : root.members()) {
        if (member.name == "choices")
            choices = member.value;
        else
            reader.read_top(member);
    }
    if (!choices || !choices->is_array() || choices->size() == 0)
        return unreadable("it has no choices");
    const Cursor choice = *choices->elements().begin();
    const auto message = choice.find("message");
    if (!message || !message->is_object())
        return unreadable("a choice has no message");
    LARDER_CHECK(reader.read_choice(choice, *message, deltas));
    LARDER_CHECK(reader.end(deltas));
    return gather(deltas);
}

std::unique_ptr<DeltaReader> make_chat_reader() {
    return std::make_unique<ChatReader>();
}

} // namespace larder::convert
