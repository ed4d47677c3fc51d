// Reads a stream of Gemini's (`alt=sse`: each event is a GenerateContentResponse with more of the
// answer) and puts the plain answer together.
//
// No event says that it is the last. The answer has ended with an event that gives every candidate
// a reason to finish and the prompt's usage, once something was said: some servers that speak
// Gemini's API begin with empty events of a premature STOP. What comes without usage ends with the
// body.
#include "protocol/answer.hpp"
#include "protocol/gemini.hpp"
#include "protocol/tree.hpp"

#include <algorithm>

namespace larder::protocol {

namespace {

constexpr std::size_t kMostCandidates = 64;

struct Candidate {
    std::int64_t index = 0;
    Tree members = Tree::object(); // all but its content
    Tree content = Tree::object(); // all but its parts
    std::vector<Tree> parts;
    std::string finish_reason;
};

std::unexpected<Error> unreadable(std::string_view reason) {
    return fail(ErrorCode::kProviderUnreadable,
                "the provider's stream can't be read: " + std::string(reason));
}

/// Whether a part has text and nothing that belongs to it alone.
bool is_plain_text(Cursor part) {
    const auto text = part.find("text");
    if (!text || !text->is_string())
        return false;
    for (const Member& member : part.members()) {
        if (member.name != "text" && member.name != "thought" && member.name != "thoughtSignature")
            return false;
    }
    return true;
}

bool is_thought(const Tree& part) {
    const Tree* thought = part.find("thought");
    return thought != nullptr && thought->text == "true";
}

class GeminiStreamReader final : public StreamReader {
public:
    Result<std::string> read(const http::SseEvent& event) override;
    void finish_at_eof() override;
    [[nodiscard]] const Answer& answer() const override { return answer_; }
    void forget_content() override;
    [[nodiscard]] std::string to_plain() const override;

private:
    Result<std::string> read_chunk(Cursor root);
    Result<std::string> read_candidates(Cursor candidates);
    Candidate* candidate_of(Cursor candidate);
    void read_parts(Cursor parts, Candidate& candidate, std::string& text);
    void judge_end(Cursor root);
    [[nodiscard]] bool is_finished() const;

    Answer answer_;
    Tree root_ = Tree::object(); // all but the candidates
    std::vector<Candidate> candidates_;
    bool said_something_ = false;
};

Result<std::string> GeminiStreamReader::read(const http::SseEvent& event) {
    if (answer_.ended || event.data.empty() || event.data == "[DONE]")
        return std::string();
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    const auto error = gemini_error(root);
    if (error || event.name == "error")
        return provider_error(error.value_or(root));
    if (!root.is_object())
        return unreadable("an event is no JSON object");
    return read_chunk(root);
}

Result<std::string> GeminiStreamReader::read_chunk(Cursor root) {
    std::string text;
    for (const Member& member : root.members()) {
        if (member.name == "candidates") {
            LARDER_TRY(text, read_candidates(member.value));
            continue;
        }
        if (member.name == "usageMetadata") {
            if (const auto usage = gemini_usage(member.value))
                answer_.usage = usage;
            else if (answer_.usage)
                continue; // the figures stay
            root_.at(member.name) = Tree::raw(member.value.raw());
            continue;
        }
        root_.at(member.name).merge(member.value, Merge::kLast);
        if (member.name == "responseId" && member.value.is_string())
            answer_.id = member.value.string();
        else if (member.name == "modelVersion" && member.value.is_string())
            answer_.model = member.value.string();
    }
    judge_end(root);
    return text;
}

void GeminiStreamReader::forget_content() {
    forget_text(answer_);
    for (Candidate& candidate : candidates_)
        candidate.parts.clear();
}

Result<std::string> GeminiStreamReader::read_candidates(Cursor candidates) {
    std::string text;
    for (const Cursor element : candidates.elements()) {
        Candidate* candidate = element.is_object() ? candidate_of(element) : nullptr;
        if (candidate == nullptr)
            return unreadable("it has too many candidates, or one that is no object");
        for (const Member& member : element.members()) {
            if (member.name != "content")
                candidate->members.at(member.name).merge(member.value, Merge::kLast);
        }
        if (const auto content = element.find_set("content")) {
            for (const Member& member : content->members()) {
                if (member.name == "parts")
                    read_parts(member.value, *candidate, text);
                else
                    candidate->content.at(member.name).merge(member.value, Merge::kLast);
            }
        }
        std::string reason = gemini_finish_reason(element);
        if (!reason.empty())
            candidate->finish_reason = std::move(reason);
    }
    answer_.text += text;
    return text;
}

Candidate* GeminiStreamReader::candidate_of(Cursor candidate) {
    const auto member = candidate.find_set("index");
    const std::int64_t index = member ? member->count() : 0;
    const auto found = std::ranges::find(candidates_, index, &Candidate::index);
    if (found != candidates_.end())
        return &*found;
    if (candidates_.size() >= kMostCandidates)
        return nullptr;
    candidates_.emplace_back().index = index;
    return &candidates_.back();
}

void GeminiStreamReader::read_parts(Cursor parts, Candidate& candidate, std::string& text) {
    for (const Cursor part : parts.elements()) {
        const bool is_text = is_plain_text(part);
        const bool has_signature = part.find_set("thoughtSignature").has_value();
        const auto piece = part.find("text");
        if (is_text && !has_signature && !piece->is_non_empty_string())
            continue; // beside a finishReason
        said_something_ = true;
        if (part.find_set("functionCall"))
            answer_.has_tool_call = true;
        if (piece && !is_gemini_thought(part) && &candidate == candidates_.data())
            piece->append_string(text);
        Tree* last = candidate.parts.empty() ? nullptr : &candidate.parts.back();
        const Tree* last_text = last != nullptr ? last->find("text") : nullptr;
        if (is_text && last_text != nullptr && last_text->kind == Tree::Kind::kText &&
            last->find("thoughtSignature") == nullptr &&
            is_thought(*last) == is_gemini_thought(part)) {
            last->merge(part, Merge::kDelta);
        } else if (is_text) {
            candidate.parts.push_back(Tree::object());
            candidate.parts.back().merge(part, Merge::kDelta);
        } else {
            candidate.parts.push_back(Tree::raw(part.raw()));
        }
    }
}

bool GeminiStreamReader::is_finished() const {
    return !candidates_.empty() && std::ranges::all_of(candidates_, [](const Candidate& one) {
        return !one.finish_reason.empty();
    });
}

void GeminiStreamReader::judge_end(Cursor root) {
    const std::string blocked = gemini_block_reason(root);
    if (!blocked.empty()) {
        answer_.finish_reason = blocked;
        answer_.finish = Finish::kRefused;
        answer_.ended = true;
        return;
    }
    for (const Candidate& candidate : candidates_) {
        const bool is_first = &candidate == candidates_.data();
        const Finish finish = gemini_finish(candidate.finish_reason);
        answer_.finish = is_first ? finish : worse_of(answer_.finish, finish);
        if (is_first)
            answer_.finish_reason = candidate.finish_reason;
    }
    const auto usage = root.find_set("usageMetadata");
    answer_.ended = is_finished() && usage && gemini_usage(*usage) &&
                    (said_something_ || answer_.finish != Finish::kWhole);
}

void GeminiStreamReader::finish_at_eof() {
    answer_.ended = answer_.ended || is_finished();
}

std::string GeminiStreamReader::to_plain() const {
    std::string out = "{";
    if (!candidates_.empty())
        out += "\"candidates\":[";
    for (const Candidate& candidate : candidates_) {
        if (&candidate != candidates_.data())
            out += ',';
        Tree content = candidate.content;
        if (!candidate.parts.empty()) {
            Tree& parts = content.at("parts");
            parts = Tree{.kind = Tree::Kind::kArray, .text = {}, .elements = candidate.parts};
        }
        Tree whole = candidate.members;
        whole.at("content") = std::move(content);
        whole.write(out);
    }
    if (!candidates_.empty())
        out += ']';
    for (const TreeMember& member : root_.members) {
        out += out.size() > 1 ? "," : "";
        json::write_string(out, member.name);
        out += ':';
        member.value.write(out);
    }
    out += '}';
    return out;
}

} // namespace

std::unique_ptr<StreamReader> make_gemini_stream_reader() {
    return std::make_unique<GeminiStreamReader>();
}

} // namespace larder::protocol
