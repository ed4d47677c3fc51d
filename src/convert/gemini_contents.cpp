// Turns and their parts in Gemini's words. What Gemini has no part for is refused with its field.
#include "convert/gemini_contents.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "convert/gemini_call_id.hpp"
#include "convert/request_parts.hpp"
#include "protocol/answer.hpp"

#include <array>

namespace larder::convert {
namespace {

/// What Google's manual gives for tool calls that another model made.
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

/// Of an address whose client did not say what is there.
std::string_view guessed_media_type(std::string_view url) {
    struct Extension {
        std::string_view end;
        std::string_view media_type;
    };
    static constexpr std::array<Extension, 8> kExtensions{{{".png", "image/png"},
                                                           {".jpg", "image/jpeg"},
                                                           {".jpeg", "image/jpeg"},
                                                           {".webp", "image/webp"},
                                                           {".gif", "image/gif"},
                                                           {".heic", "image/heic"},
                                                           {".pdf", "application/pdf"},
                                                           {".txt", "text/plain"}}};
    const std::string path = text::lower(url.substr(0, url.find_first_of("?#")));
    for (const Extension& known : kExtensions) {
        if (path.ends_with(known.end))
            return known.media_type;
    }
    return {};
}

void append_inline_data(std::string& out, const Part& part) {
    out += R"({"inlineData":{)";
    append_string_member(out, "mimeType", part.media_type);
    append_string_member(out, "data", part.text);
    out += "}}";
}

void append_media(std::string& out, const Part& part) {
    if (part.url.empty())
        return append_inline_data(out, part);
    std::string_view media_type = part.media_type;
    if (media_type.empty())
        media_type = guessed_media_type(part.url);
    if (media_type.empty() && part.kind == Part::Kind::kDocument)
        media_type = "application/pdf"; // the one kind that has addresses
    out += R"({"fileData":{)";
    if (!media_type.empty())
        append_string_member(out, "mimeType", media_type);
    append_string_member(out, "fileUri", part.url);
    out += "}}";
}

class ContentsWriter {
public:
    ContentsWriter(const Conversation& conversation, std::string_view model)
        : conversation_(conversation), needs_signatures_(is_gemini_3_or_later(model)) {}

    Result<void> write(std::string& out);

private:
    Result<std::size_t> write_system(std::string& out);
    Result<void> write_part(std::string& out, const Part& part, Role role);
    Result<void> write_call(std::string& out, const Part& part);
    Result<void> write_result(std::string& out, const Part& part);
    Result<void> begin_turn(std::string& out, const Turn& turn);
    [[nodiscard]] const Part* call_of(const Part& result) const;

    const Conversation& conversation_;
    bool needs_signatures_;
    std::vector<const Part*> calls_; // so far
    std::optional<Role> role_;       // of the open content
    bool has_call_ = false;          // the open content has one
};

Result<void> ContentsWriter::write(std::string& out) {
    LARDER_TRY(const std::size_t begin, write_system(out));
    out += "\"contents\":[";
    for (std::size_t i = begin; i < conversation_.turns.size(); ++i) {
        const Turn& turn = conversation_.turns[i];
        if (turn.role == Role::kSystem)
            return fail_field(turn.field, "this model's provider takes system messages only "
                                          "before all others");
        LARDER_CHECK(begin_turn(out, turn));
        for (const Part& part : turn.parts) {
            const bool says_nothing =
                part.text.empty() && (part.kind == Part::Kind::kThinking ||
                                      (part.kind == Part::Kind::kText && turn.parts.size() > 1));
            if (says_nothing)
                continue;
            if (!out.ends_with('['))
                out += ',';
            LARDER_CHECK(write_part(out, part, turn.role));
        }
    }
    if (!role_)
        return fail_field("messages", "`messages` needs at least one user message");
    LARDER_CHECK(check_last_turn(conversation_));
    out += "]}]";
    return {};
}

/// The turns at the head; gives the number of the first other one.
Result<std::size_t> ContentsWriter::write_system(std::string& out) {
    std::size_t next = 0;
    std::string parts;
    for (; next < conversation_.turns.size(); ++next) {
        const Turn& turn = conversation_.turns[next];
        if (turn.role != Role::kSystem)
            break;
        for (const Part& part : turn.parts) {
            if (part.kind != Part::Kind::kText)
                return fail_field(part.field, "a system message for this model's provider holds "
                                              "text only");
            parts += parts.empty() ? "{" : ",{";
            append_string_member(parts, "text", part.text);
            parts += '}';
        }
    }
    if (!parts.empty())
        out.append(R"("systemInstruction":{"parts":[)").append(parts).append("]},");
    return next;
}

Result<void> ContentsWriter::begin_turn(std::string& out, const Turn& turn) {
    if (role_ == turn.role)
        return {};
    if (role_)
        out += "]},";
    role_ = turn.role;
    has_call_ = false;
    out += turn.role == Role::kAssistant ? R"({"role":"model","parts":[)"
                                         : R"({"role":"user","parts":[)";
    return {};
}

Result<void> ContentsWriter::write_part(std::string& out, const Part& part, Role role) {
    switch (part.kind) {
    case Part::Kind::kText:
        out += '{';
        append_string_member(out, "text", part.text);
        out += '}';
        return {};
    case Part::Kind::kThinking:
        out += '{';
        append_string_member(out, "text", part.text);
        out += R"(,"thought":true})";
        return {};
    case Part::Kind::kImage:
    case Part::Kind::kDocument:
        append_media(out, part);
        return {};
    case Part::Kind::kToolCall:
        if (role == Role::kAssistant)
            return write_call(out, part);
        break;
    case Part::Kind::kToolResult:
        if (role == Role::kUser)
            return write_result(out, part);
        break;
    case Part::Kind::kRedactedThinking:
        break;
    }
    return not_carried(part.field);
}

Result<void> ContentsWriter::write_call(std::string& out, const Part& part) {
    const std::string_view json = part.json.empty() ? std::string_view("{}") : part.json;
    const auto arguments = json::parse(json);
    if (!arguments || !arguments->root().is(json::Kind::kObject))
        return fail_field(part.field, "the arguments of a tool call must be a JSON object for "
                                      "this model's provider");
    const GeminiCallId id = split_call_id(part.id);
    out += R"({"functionCall":{)";
    if (!id.id.empty())
        append_string_member(out, "id", id.id);
    append_string_member(out, "name", part.name);
    protocol::append_member(out, "args", json);
    out += '}';
    if (!id.signature.empty())
        append_string_member(out, "thoughtSignature", id.signature);
    else if (needs_signatures_ && !has_call_)
        append_string_member(out, "thoughtSignature", kNoSignature);
    out += '}';
    has_call_ = true;
    calls_.push_back(&part);
    return {};
}

/// The last call of that id: ids of other origin may come again.
const Part* ContentsWriter::call_of(const Part& result) const {
    for (auto call = calls_.rbegin(); call != calls_.rend(); ++call) {
        if ((*call)->id == result.id)
            return *call;
    }
    return nullptr;
}

/// Its text stands under `output`, or `error`; images beside it.
Result<void> ContentsWriter::write_result(std::string& out, const Part& part) {
    const Part* call = call_of(part);
    if (call == nullptr)
        return fail_field(part.field, "there is no earlier tool call with the id of this result");
    std::vector<std::string_view> texts;
    std::string media;
    for (const Part& piece : part.parts) {
        const bool is_media =
            piece.kind == Part::Kind::kImage || piece.kind == Part::Kind::kDocument;
        if (piece.kind == Part::Kind::kText) {
            texts.emplace_back(piece.text);
        } else if (is_media && piece.url.empty()) {
            media += media.empty() ? "" : ",";
            append_inline_data(media, piece);
        } else {
            return not_carried(piece.field);
        }
    }
    if (texts.empty() && !part.text.empty())
        texts.emplace_back(part.text);
    out += R"({"functionResponse":{)";
    const std::string id = split_call_id(part.id).id;
    if (!id.empty())
        append_string_member(out, "id", id);
    append_string_member(out, "name", call->name);
    out += part.is_error ? R"(,"response":{"error":)" : R"(,"response":{"output":)";
    if (texts.size() <= 1) {
        json::write_string(out, texts.empty() ? std::string_view() : texts.front());
    } else {
        out += '[';
        for (const std::string_view text : texts) {
            out += out.ends_with('[') ? "" : ",";
            json::write_string(out, text);
        }
        out += ']';
    }
    out += '}';
    if (!media.empty())
        out.append(R"(,"parts":[)").append(media).append("]");
    out += "}}";
    return {};
}

} // namespace

Result<void> append_gemini_turns(std::string& out, const Conversation& conversation,
                                 std::string_view model) {
    return ContentsWriter(conversation, model).write(out);
}

bool is_gemini_3_or_later(std::string_view model) {
    constexpr std::string_view kFamily = "gemini-";
    const std::size_t at = model.rfind(kFamily);
    if (at == std::string_view::npos)
        return false;
    const std::string_view version = model.substr(at + kFamily.size());
    std::size_t digits = 0;
    while (digits < version.size() && version[digits] >= '0' && version[digits] <= '9')
        ++digits;
    return digits > 1 || (digits == 1 && version.front() >= '3');
}

} // namespace larder::convert
