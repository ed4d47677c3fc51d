// Reads the typed events of OpenAI's Responses API. The terminal event carries the whole response,
// which is the plain answer as it came, also where it failed; where a look-alike leaves its
// `output` empty, the items that were done before are put in.
#include "protocol/openai_responses.hpp"

#include <map>

namespace larder::protocol {

namespace {

constexpr std::size_t kMostItems = 4096;
constexpr std::size_t kMostItemBytes = 64ULL << 20;

std::unexpected<Error> unreadable(std::string_view reason) {
    return fail(ErrorCode::kProviderUnreadable,
                "the provider's stream can't be read: " + std::string(reason));
}

/// The response with this `output`.
std::string with_output(Cursor response, std::string_view output) {
    std::string out = "{";
    bool has_output = false;
    for (const Member& member : response.members()) {
        const bool is_output = member.name == "output";
        append_member(out, member.name, is_output ? output : member.value.raw());
        has_output = has_output || is_output;
    }
    if (!has_output)
        append_member(out, "output", output);
    out += '}';
    return out;
}

class ResponsesStreamReader final : public StreamReader {
public:
    Result<std::string> read(const http::SseEvent& event) override;
    void finish_at_eof() override {} // these streams always end with an event that says so
    [[nodiscard]] const Answer& answer() const override { return answer_; }
    void forget_content() override {
        forget_text(answer_);
        items_.clear();
        item_bytes_ = 0;
    }
    [[nodiscard]] std::string to_plain() const override { return plain_; }

private:
    Result<std::string> read_typed(std::string_view type, Cursor root);
    void read_begin(Cursor root);
    std::string read_text(Cursor root);
    Result<void> keep_item(Cursor root);
    [[nodiscard]] std::string joined_items() const;
    Result<std::string> end(Cursor root);

    Answer answer_;
    std::map<std::int64_t, std::string> items_; // the ones that are done, by their output_index
    std::size_t item_bytes_ = 0;
    std::string plain_;
};

Result<std::string> ResponsesStreamReader::read(const http::SseEvent& event) {
    if (answer_.ended || event.data.empty() || event.data == "[DONE]")
        return std::string();
    const auto document = json::parse(event.data);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    if (!root.is_object())
        return unreadable("an event is no JSON object");
    const auto named = root.find("type");
    const std::string type = named && named->is_string() ? named->string() : event.name;
    const auto error = root.find_set("error");
    if (type == "error" || (error && !type.starts_with("response.")))
        return provider_error(error ? *error : root);
    if (type.empty())
        return unreadable("an event has no type");
    return read_typed(type, root);
}

Result<std::string> ResponsesStreamReader::read_typed(std::string_view type, Cursor root) {
    if (type == "response.output_text.delta")
        return read_text(root);
    if (type == "response.completed" || type == "response.incomplete" ||
        type == "response.failed" || type == "response.cancelled")
        return end(root);
    if (type == "response.output_item.done")
        LARDER_CHECK(keep_item(root));
    else if (type == "response.created" || type == "response.in_progress")
        read_begin(root);
    return std::string();
}

void ResponsesStreamReader::read_begin(Cursor root) {
    const auto response = root.find_set("response");
    if (!response)
        return;
    if (const auto id = response->find("id"); id && answer_.id.empty())
        answer_.id = id->string();
    if (const auto model = response->find("model"); model && answer_.model.empty())
        answer_.model = model->string();
}

std::string ResponsesStreamReader::read_text(Cursor root) {
    const auto delta = root.find("delta");
    std::string text = delta ? delta->string() : std::string();
    answer_.text += text;
    return text;
}

Result<void> ResponsesStreamReader::keep_item(Cursor root) {
    const auto item = root.find_set("item");
    if (!item || !item->is_object())
        return unreadable("an item that is done is missing");
    const auto index = root.find_set("output_index");
    std::string& kept = items_[index ? index->count() : static_cast<std::int64_t>(items_.size())];
    item_bytes_ += item->raw().size() - kept.size();
    if (items_.size() > kMostItems || item_bytes_ > kMostItemBytes)
        return unreadable("its output is too large");
    kept = item->raw();
    return {};
}

std::string ResponsesStreamReader::joined_items() const {
    std::string out = "[";
    for (const auto& [index, item] : items_) {
        if (out.size() > 1)
            out += ',';
        out += item;
    }
    out += ']';
    return out;
}

Result<std::string> ResponsesStreamReader::end(Cursor root) {
    const auto response = root.find_set("response");
    if (!response || !response->is_object())
        return unreadable("its last event has no response");
    const auto output = response->find("output");
    const bool is_empty = !output || !output->is_array() || output->size() == 0;
    plain_ = is_empty && !items_.empty() ? with_output(*response, joined_items())
                                         : std::string(response->raw());
    const auto document = json::parse(plain_);
    if (!document)
        return unreadable(document.error().message);
    LARDER_TRY(Answer whole, read_responses_answer(Cursor(*document)));
    // Text that came in no delta is given now; text that the response lacks makes it no whole one.
    std::string rest;
    const bool has_forgotten = answer_.forgotten_bytes > 0;
    if (has_forgotten ? whole.text.size() >= answer_.forgotten_bytes + answer_.text.size()
                      : whole.text.starts_with(answer_.text))
        rest = whole.text.substr(answer_.forgotten_bytes + answer_.text.size());
    else
        whole.finish = worse_of(whole.finish, Finish::kUnknown);
    answer_ = std::move(whole);
    items_.clear();
    return rest;
}

} // namespace

std::unique_ptr<StreamReader> make_responses_stream_reader() {
    return std::make_unique<ResponsesStreamReader>();
}

} // namespace larder::protocol
