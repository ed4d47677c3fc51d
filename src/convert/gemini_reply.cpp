// Answers of Gemini, plain and streamed, read as what they mean. Of its candidates the first: no
// more are asked for. The texts of neighbouring parts of one kind are one part. A plain one is read
// as the only event of a stream, so that both forms of an answer give the same.
#include "convert/gemini_call_id.hpp"
#include "convert/reply.hpp"
#include "convert/reply_parts.hpp"
#include "protocol/answer.hpp"
#include "protocol/gemini.hpp"

namespace larder::convert {
namespace {

using protocol::Cursor;
using protocol::Finish;

/// What a part of Gemini's says; nullopt: nothing.
struct Piece {
    PartKind kind = PartKind::kText;
    std::string text;
    std::string id;
    std::string name;
};

/// Names and counts the answer's tool calls.
class PieceReader {
public:
    /// `response_id`: the answer's. kProviderUnreadable for what no other API can show.
    Result<std::optional<Piece>> read(Cursor part, std::string_view response_id);
    [[nodiscard]] bool has_tool_call() const { return calls_ > 0; }

private:
    Result<Piece> read_call(Cursor call, std::string signature, std::string_view response_id);
    std::size_t calls_ = 0;
};

Result<std::optional<Piece>> PieceReader::read(Cursor part, std::string_view response_id) {
    std::string signature;
    std::optional<Cursor> text;
    std::optional<Cursor> call;
    for (const protocol::Member& member : part.members()) {
        if (member.value.is_null() || member.name == "thought")
            continue;
        if (member.name == "text")
            text = member.value;
        else if (member.name == "functionCall")
            call = member.value;
        else if (member.name == "thoughtSignature")
            signature = member.value.string();
        else if (member.name != "partMetadata")
            return unreadable("it has a part of the kind `" +
                              protocol::mask_secrets(member.name.substr(0, 64)) +
                              "`, which this API can't carry");
    }
    if (call) {
        LARDER_TRY(Piece piece, read_call(*call, std::move(signature), response_id));
        return piece;
    }
    if (!text || !text->is_non_empty_string())
        return std::nullopt;
    return Piece{.kind = protocol::is_gemini_thought(part) ? PartKind::kThinking : PartKind::kText,
                 .text = text->string(),
                 .id = {},
                 .name = {}};
}

Result<Piece> PieceReader::read_call(Cursor call, std::string signature,
                                     std::string_view response_id) {
    const auto name = call.find("name");
    if (!name || !name->is_non_empty_string())
        return unreadable("a function call has no name");
    Piece piece{.kind = PartKind::kToolCall, .text = {}, .id = {}, .name = name->string()};
    const auto args = call.find_set("args");
    if (args && !args->is_object())
        return unreadable("the arguments of a function call are no object");
    protocol::append_compact(piece.text, args ? args->raw() : "{}");
    const auto own = call.find_set("id");
    std::string id =
        own && own->is_non_empty_string() ? own->string() : make_call_id(response_id, calls_);
    piece.id = join_call_id({.id = std::move(id), .signature = std::move(signature)});
    ++calls_;
    return piece;
}

End end_of(Finish finish, bool has_tool_call) {
    switch (finish) {
    case Finish::kWhole:
        return has_tool_call ? End::kToolCalls : End::kStop;
    case Finish::kBounded:
        return End::kLength;
    default:
        return End::kRefused; // cut for a reason that isn't the model's
    }
}

std::optional<Cursor> first_candidate(Cursor root) {
    const auto candidates = root.find_set("candidates");
    if (!candidates)
        return std::nullopt;
    for (const Cursor candidate : candidates->elements()) {
        const auto index = candidate.find_set("index");
        if (!index || index->count() == 0)
            return candidate;
    }
    return std::nullopt;
}

class GeminiReader final : public DeltaReader {
public:
    Result<void> read(const http::SseEvent& event, std::vector<Delta>& out) override;
    void finish(std::vector<Delta>& out) override;

    Result<void> read_chunk(Cursor root, std::vector<Delta>& out);
    /// Whether there was neither a candidate, nor usage, nor a reason for that.
    [[nodiscard]] bool is_empty() const { return !has_candidate_ && !is_blocked_ && !usage_; }

private:
    void start(Cursor root, std::vector<Delta>& out);
    void write(Piece piece, std::vector<Delta>& out);
    void end_part(std::vector<Delta>& out);

    PieceReader pieces_;
    std::string response_id_;
    std::optional<PartKind> open_;
    std::size_t index_ = 0; // of the open part, or of the next one
    Finish finish_ = Finish::kUnknown;
    std::optional<llm::Usage> usage_;
    bool started_ = false;
    bool has_candidate_ = false;
    bool is_blocked_ = false;
};

Result<void> GeminiReader::read(const http::SseEvent& event, std::vector<Delta>& out) {
    if (event.data.empty() || event.data == "[DONE]")
        return {};
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    if (const auto error = protocol::gemini_error(root))
        return protocol::provider_error(*error);
    if (!root.is_object())
        return unreadable("an event is no answer");
    return read_chunk(root, out);
}

Result<void> GeminiReader::read_chunk(Cursor root, std::vector<Delta>& out) {
    if (const auto figures = root.find_set("usageMetadata")) {
        if (const auto usage = protocol::gemini_usage(*figures))
            usage_ = usage;
    }
    if (!std::exchange(started_, true))
        start(root, out);
    is_blocked_ = is_blocked_ || !protocol::gemini_block_reason(root).empty();
    const auto candidate = first_candidate(root);
    if (!candidate)
        return {};
    has_candidate_ = true;
    if (const auto parts = protocol::gemini_parts(*candidate)) {
        for (const Cursor part : parts->elements()) {
            LARDER_TRY(auto piece, pieces_.read(part, response_id_));
            if (piece)
                write(*std::move(piece), out);
        }
    }
    const std::string reason = protocol::gemini_finish_reason(*candidate);
    if (!reason.empty())
        finish_ = protocol::gemini_finish(reason);
    return {};
}

void GeminiReader::start(Cursor root, std::vector<Delta>& out) {
    Delta delta{.kind = Delta::Kind::kStart};
    response_id_ = string_of(root, "responseId");
    delta.id = response_id_;
    delta.model = string_of(root, "modelVersion");
    delta.usage = usage_;
    out.push_back(std::move(delta));
}

void GeminiReader::write(Piece piece, std::vector<Delta>& out) {
    const bool is_call = piece.kind == PartKind::kToolCall;
    if (open_ != piece.kind || is_call) {
        end_part(out);
        open_ = piece.kind;
        Delta begin{.kind = Delta::Kind::kPartBegin, .index = index_, .part = piece.kind};
        begin.id = std::move(piece.id);
        begin.name = std::move(piece.name);
        out.push_back(std::move(begin));
    }
    Delta more{.kind = Delta::Kind::kPartText, .index = index_, .part = piece.kind};
    more.text = std::move(piece.text);
    out.push_back(std::move(more));
    if (is_call)
        end_part(out);
}

void GeminiReader::end_part(std::vector<Delta>& out) {
    if (!open_)
        return;
    out.push_back({.kind = Delta::Kind::kPartEnd, .index = index_, .part = *open_});
    open_.reset();
    ++index_;
}

void GeminiReader::finish(std::vector<Delta>& out) {
    end_part(out);
    Delta end{.kind = Delta::Kind::kEnd};
    end.end = end_of(is_blocked_ ? Finish::kRefused : finish_, pieces_.has_tool_call());
    out.push_back(std::move(end));
    if (!usage_)
        return;
    Delta usage{.kind = Delta::Kind::kUsage};
    usage.usage = usage_;
    out.push_back(std::move(usage));
}

} // namespace

Result<Reply> read_gemini_reply(Cursor root) {
    GeminiReader reader;
    std::vector<Delta> deltas;
    LARDER_CHECK(reader.read_chunk(root, deltas));
    if (reader.is_empty())
        return unreadable("it has no candidates");
    reader.finish(deltas);
    return gather(deltas);
}

std::unique_ptr<DeltaReader> make_gemini_reader() {
    return std::make_unique<GeminiReader>();
}

} // namespace larder::convert
