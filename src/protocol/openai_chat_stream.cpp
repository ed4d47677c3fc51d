// Reads OpenAI's chat completion chunks and puts the plain answer together. Members at the top and
// of a choice: the last value counts (of `id`, `model` and `created` the first), objects meet
// member by member; `delta` becomes `message` by the rules of Merge::kDelta; `logprobs` arrays are
// appended; `obfuscation` is padding and dropped.
#include "protocol/answer.hpp"
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
    bool refused = false;
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
    [[nodiscard]] std::string to_plain() const override;

private:
    Result<std::string> read_chunk(Cursor root);
    void read_top(const Member& member);
    Result<void> read_choice(Cursor choice, std::int64_t position, std::string& text);
    void read_message(Choice& choice, Cursor message, bool is_whole, std::string& text);
    Choice* choice_at(std::int64_t index);
    void weigh_finish();
    void end();

    Answer answer_;
    Tree top_ = Tree::object(); // `choices` and `usage` hold their places
    std::vector<Choice> choices_;
};

Result<std::string> OpenAiStreamReader::read(const http::SseEvent& event) {
    if (answer_.ended || event.data.empty())
        return std::string();
    if (event.data == "[DONE]") {
        end();
        return std::string();
    }
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    if (const auto error = root.find_set("error"))
        return provider_error(*error);
    if (event.name == "error")
        return provider_error(root);
    return read_chunk(root);
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
    const bool is_name = name == "id" || name == "model" || name == "created";
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
            if (member.name == "finish_reason" && member.value.is_non_empty_string())
                kept->finish_reason = member.value.string();
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
    choice.refused = choice.refused || (refusal && refusal->is_non_empty_string());
    const auto content = message.find("content");
    if (content && choice.index == 0 && !(is_whole && !answer_.text.empty()))
        append_text_of(text, *content);
}

void OpenAiStreamReader::weigh_finish() {
    Finish finish = Finish::kWhole;
    for (const Choice& choice : choices_) {
        finish = worse_of(finish,
                          choice.refused ? Finish::kRefused : openai_finish(choice.finish_reason));
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
