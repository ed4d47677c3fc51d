// Reads OpenAI's chat completion chunks and puts the plain answer together. Members at the top and
// of a choice: the last value counts (of `id` and `model` the first), objects meet
// member by member; `delta` becomes `message` by the rules of Merge::kDelta; `logprobs` arrays are
// appended; `obfuscation` is padding and dropped.
#include "protocol/answer.hpp"
#include "protocol/repeated_event.hpp"
#include "protocol/tree.hpp"

#include <algorithm>

namespace larder::protocol {

namespace {

constexpr std::size_t kMostChoices = 1024;

struct Choice {
    std::int64_t index = 0;
    Tree message = Tree::object();
    Tree rest = Tree::object(); // what stands beside the message
    std::string finish_reason;
    Finish worst = Finish::kWhole; // of all that was said of it
    bool is_over = false;          // an earlier chunk gave the reason
};

std::unexpected<Error> unreadable(std::string_view reason) {
    return fail(ErrorCode::kProviderUnreadable,
                "the provider's stream can't be read: " + std::string(reason));
}

class OpenAiStreamReader final : public StreamReader {
public:
    Result<std::string> read(const http::SseEvent& event) override;
    void finish_at_eof() override;
    [[nodiscard]] const Answer& answer() const override { return answer_; }
    void forget_content() override;
    [[nodiscard]] std::string to_plain() const override;

private:
    Result<std::string> read_chunk(Cursor root);
    void learn(std::string_view data, Cursor root);
    void read_top(const Member& member);
    Result<void> read_choice(Cursor choice, std::int64_t position, std::string& text);
    void read_message(Choice& choice, Cursor message, bool is_whole, std::string& text);
    Choice* choice_at(std::int64_t index);
    void weigh_finish();
    void end();

    Answer answer_;
    Tree top_ = Tree::object(); // `choices` and `usage` hold their places
    std::vector<Choice> choices_;
    RepeatedEvent repeated_; // a chunk that only adds to the content of ...
    std::size_t repeated_choice_ = 0;
};

/// The one member of a chunk that may differ from chunk to chunk: a delta's content, where nothing
/// else in the chunk means anything the second time.
std::optional<Cursor> only_content_of(Cursor choice) {
    std::optional<Cursor> content;
    for (const Member& member : choice.members()) {
        if (member.name == "delta") {
            for (const Member& piece : member.value.members()) {
                if (piece.name == "content" && piece.value.is_string())
                    content = piece.value;
                else if (piece.name != "role" && !piece.value.is_null())
                    return std::nullopt;
            }
        } else if (member.name != "index" && !member.value.is_null()) {
            return std::nullopt;
        }
    }
    return content;
}

Result<std::string> OpenAiStreamReader::read(const http::SseEvent& event) {
    if (answer_.ended || event.data.empty())
        return std::string();
    if (event.data == "[DONE]") {
        end();
        return std::string();
    }
    if (const auto piece = event.name.empty() ? repeated_.match(event.data) : std::nullopt) {
        Choice& choice = choices_[repeated_choice_];
        choice.message.at("content").text += *piece;
        if (choice.index != 0)
            return std::string();
        answer_.text += *piece;
        return std::string(*piece);
    }
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    if (const auto error = root.find_set("error"))
        return provider_error(*error);
    if (event.name == "error")
        return provider_error(root);
    auto text = read_chunk(root);
    if (text)
        learn(event.data, root);
    return text;
}

void OpenAiStreamReader::learn(std::string_view data, Cursor root) {
    repeated_.forget();
    const auto choices = root.find("choices");
    if (!choices || !choices->is_array() || choices->size() != 1)
        return;
    const Cursor choice = *choices->elements().begin();
    const auto content = only_content_of(choice);
    const auto index = choice.find_set("index");
    const auto kept = std::ranges::find(choices_, index ? index->count() : 0, &Choice::index);
    if (!content || kept == choices_.end() || !kept->finish_reason.empty())
        return;
    const Tree* whole = kept->message.find("content");
    if (whole == nullptr || whole->kind != Tree::Kind::kText)
        return;
    repeated_choice_ = static_cast<std::size_t>(kept - choices_.begin());
    const auto padding = root.find("obfuscation");
    repeated_.learn(data, content->characters(),
                    padding && padding->is_string() ? padding->characters() : std::string_view());
}

Result<std::string> OpenAiStreamReader::read_chunk(Cursor root) {
    std::string text;
    bool is_chunk = false;
    for (const Member& member : root.members()) {
        if (member.name == "choices") {
            is_chunk = true;
            top_.at("choices");
            std::int64_t position = 0;
            for (const Cursor choice : member.value.elements())
                LARDER_CHECK(read_choice(choice, position++, text));
        } else {
            is_chunk = is_chunk || member.name == "usage" || member.name == "object";
            read_top(member);
        }
    }
    if (!is_chunk)
        return unreadable("an event is no chunk of a chat completion");
    answer_.text += text;
    return text;
}

void OpenAiStreamReader::read_top(const Member& member) {
    const std::string_view name = member.name;
    if (name == "obfuscation")
        return;
    if (name == "usage") {
        if (member.value.is_object()) { // the last report is the whole
            answer_.usage = openai_usage(member.value);
            top_.at(name) = Tree::raw(member.value.raw());
        }
        return;
    }
    Tree& kept = top_.at(name);
    const bool is_name = name == "id" || name == "model";
    const bool is_set = !kept.is_null() && kept.text != "\"\"";
    if (is_set && (is_name || (member.value.is_string() && !member.value.is_non_empty_string())))
        return; // the first name stays; Azure's first chunk has empty ones
    kept.merge(member.value, Merge::kLast);
    if (name == "id" && answer_.id.empty()) {
        answer_.id = member.value.string();
    } else if (name == "model" && answer_.model.empty()) {
        answer_.model = member.value.string();
    } else if (name == "x_groq" && !answer_.usage) {
        if (const auto usage = member.value.find_set("usage"))
            answer_.usage = openai_usage(*usage);
    }
}

Choice* OpenAiStreamReader::choice_at(std::int64_t index) {
    for (Choice& choice : choices_) {
        if (choice.index == index)
            return &choice;
    }
    if (choices_.size() == kMostChoices)
        return nullptr;
    choices_.emplace_back().index = index;
    return &choices_.back();
}

Result<void> OpenAiStreamReader::read_choice(Cursor choice, std::int64_t position,
                                             std::string& text) {
    if (!choice.is_object())
        return unreadable("a choice is no object");
    const auto index = choice.find_set("index");
    Choice* kept = choice_at(index ? index->count() : position);
    if (kept == nullptr)
        return unreadable("it has too many choices");
    const auto delta = choice.find_set("delta");
    kept->is_over = !kept->finish_reason.empty();
    for (const Member& member : choice.members()) {
        if (member.name == "index")
            continue;
        if (member.name == "delta") {
            read_message(*kept, member.value, false, text);
        } else if (member.name == "message") {
            // Beside a delta it repeats what has come so far.
            if (!delta)
                read_message(*kept, member.value, true, text);
        } else {
            kept->rest.at(member.name)
                .merge(member.value, member.name == "logprobs" ? Merge::kAppend : Merge::kLast);
            if (member.name == "finish_reason" && member.value.is_non_empty_string()) {
                repeated_.forget();
                kept->finish_reason = member.value.string();
                kept->worst = worse_of(kept->worst, openai_finish(kept->finish_reason));
            }
        }
    }
    weigh_finish();
    return {};
}

void OpenAiStreamReader::read_message(Choice& choice, Cursor message, bool is_whole,
                                      std::string& text) {
    choice.message.merge(message, is_whole ? Merge::kLast : Merge::kDelta);
    answer_.has_tool_call = answer_.has_tool_call || calls_tool(message);
    const auto refusal = message.find("refusal");
    if (refusal && refusal->is_non_empty_string())
        choice.worst = Finish::kRefused;
    const auto content = message.find("content");
    // A vendor gives the reason after each tool call; text behind it is nobody's.
    if (content && content->is_non_empty_string() && !is_whole && choice.is_over)
        choice.worst = worse_of(choice.worst, Finish::kUnknown); // behind its own end
    if (content && choice.index == 0 && !(is_whole && !answer_.text.empty()))
        append_text_of(text, *content);
}

void OpenAiStreamReader::weigh_finish() {
    Finish finish = Finish::kWhole;
    for (const Choice& choice : choices_) {
        finish = worse_of(finish, choice.finish_reason.empty() && choice.worst == Finish::kWhole
                                      ? Finish::kUnknown
                                      : choice.worst);
        if (choice.index == 0)
            answer_.finish_reason = choice.finish_reason;
    }
    answer_.finish = choices_.empty() ? Finish::kUnknown : finish;
}

void OpenAiStreamReader::finish_at_eof() {
    const bool all_finished = std::ranges::none_of(
        choices_, [](const Choice& choice) { return choice.finish_reason.empty(); });
    if (!answer_.ended && !choices_.empty() && all_finished)
        end();
}

void OpenAiStreamReader::forget_content() {
    repeated_.forget();
    forget_text(answer_);
    for (Choice& choice : choices_) {
        choice.message = Tree::object();
        choice.rest.erase("logprobs");
    }
}

void OpenAiStreamReader::end() {
    answer_.ended = true;
    std::ranges::sort(choices_, {}, &Choice::index);
    for (Choice& choice : choices_) {
        if (choice.message.find("role") == nullptr)
            choice.message.at("role") = Tree::raw("\"assistant\"");
        choice.message.at("content");
        choice.rest.at("finish_reason");
        if (Tree* calls = choice.message.find("tool_calls")) {
            for (Tree& call : calls->elements)
                call.erase("index"); // it belongs to the stream's form only
        }
    }
    top_.at("object") = Tree::raw("\"chat.completion\"");
    top_.at("choices");
    const Tree* groq = top_.find("x_groq");
    const Tree* groq_usage = groq == nullptr ? nullptr : groq->find("usage");
    if (groq_usage != nullptr && top_.find("usage") == nullptr) {
        Tree usage = *groq_usage;
        top_.at("usage") = std::move(usage);
    }
}

std::string OpenAiStreamReader::to_plain() const {
    std::string out = "{";
    for (const TreeMember& member : top_.members) {
        if (out.size() > 1)
            out += ',';
        json::write_string(out, member.name);
        out += ':';
        if (member.name != "choices") {
            member.value.write(out);
            continue;
        }
        out += '[';
        for (const Choice& choice : choices_) {
            if (&choice != choices_.data())
                out += ',';
            out.append("{\"index\":").append(std::to_string(choice.index)).append(",\"message\":");
            choice.message.write(out);
            for (const TreeMember& other : choice.rest.members) {
                out += ',';
                json::write_string(out, other.name);
                out += ':';
                other.value.write(out);
            }
            out += '}';
        }
        out += ']';
    }
    out += '}';
    return out;
}

} // namespace

std::unique_ptr<StreamReader> make_openai_stream_reader() {
    return std::make_unique<OpenAiStreamReader>();
}

} // namespace larder::protocol
