// Answers of any dialect: the entry points, and what both dialects share.
#include "protocol/answer.hpp"
#include "protocol/openai_responses.hpp"

#include <algorithm>

namespace larder::protocol {

namespace {

std::unexpected<Error> unreadable(std::string_view reason) {
    return fail(ErrorCode::kProviderUnreadable,
                "the provider's answer can't be read: " + std::string(reason));
}

int rank(Finish finish) {
    switch (finish) {
    case Finish::kWhole:
        return 0;
    case Finish::kBounded:
        return 1;
    case Finish::kUnknown:
        return 2;
    case Finish::kRefused:
        return 3;
    }
    return 2;
}

Result<Answer> read_answer_of(Dialect dialect, Cursor root) {
    switch (dialect) {
    case Dialect::kAnthropicMessages:
        return read_anthropic_answer(root);
    case Dialect::kOpenAiResponses:
        return read_responses_answer(root);
    case Dialect::kGemini:
        return read_gemini_answer(root);
    default:
        return read_openai_answer(root);
    }
}

} // namespace

void forget_text(Answer& answer) {
    answer.forgotten_bytes += answer.text.size();
    answer.text = {};
}

Finish worse_of(Finish a, Finish b) {
    return rank(a) < rank(b) ? b : a;
}

void append_text_of(std::string& out, Cursor content) {
    content.append_string(out);
    for (const Cursor part : content.elements()) {
        const auto type = part.find("type");
        if (!type || !type->equals("text"))
            continue;
        if (const auto text = part.find("text"))
            text->append_string(out);
    }
}

std::unexpected<Error> provider_error(Cursor error) {
    std::string message = "the provider reports an error";
    const auto told = error.is_object() ? error.find("message") : std::optional(error);
    if (told && told->is_non_empty_string())
        message += ": " + mask_secrets(told->string());
    return fail(ErrorCode::kProviderRejected, std::move(message));
}

void append_member(std::string& out, std::string_view name, std::string_view raw) {
    if (!out.ends_with('{'))
        out += ',';
    json::write_string(out, name);
    out += ':';
    append_compact(out, raw);
}

void append_compact(std::string& out, std::string_view raw) {
    if (raw.empty() || (raw.front() != '{' && raw.front() != '[')) {
        out.append(raw); // a scalar has no white space between tokens
        return;
    }
    std::size_t begin = 0; // of what is not copied yet
    std::size_t at = 0;
    while (at < raw.size()) {
        const char c = raw[at];
        if (c == '"') {
            for (++at; at < raw.size() && raw[at] != '"'; ++at)
                at += raw[at] == '\\' ? 1 : 0;
        } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            out.append(raw.substr(begin, at - begin));
            begin = at + 1;
        }
        ++at;
    }
    out.append(raw.substr(std::min(begin, raw.size())));
}

Result<Answer> read_answer(Dialect dialect, std::string_view body) {
    const auto document = json::parse(body);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    if (!root.is_object())
        return unreadable("it is no JSON object");
    const bool may_fail = dialect == Dialect::kOpenAiResponses && is_response(root);
    if (const auto error = root.find_set("error"); error && !may_fail)
        return provider_error(*error);
    auto answer = read_answer_of(dialect, root);
    if (!answer)
        return unreadable(answer.error().message);
    return answer;
}

Result<std::string> plain_to_stream(Dialect dialect, std::string_view plain_body,
                                    bool include_usage) {
    const auto document = json::parse(plain_body);
    if (!document)
        return unreadable(document.error().message);
    const Cursor root(*document);
    switch (dialect) {
    case Dialect::kAnthropicMessages:
        return anthropic_plain_to_stream(root);
    case Dialect::kOpenAiResponses:
        return responses_plain_to_stream(root);
    default: // no client speaks Gemini's
        return openai_plain_to_stream(root, include_usage);
    }
}

bool tells_failure(Dialect dialect, const http::SseEvent& event) {
    constexpr std::string_view kName = "\"error\"";
    const std::string_view data = event.data;
    if (dialect != Dialect::kOpenAiResponses || !data.contains("\"response.") ||
        !data.contains("\"status\""))
        return false;
    for (std::size_t at = data.find(kName); at != data.npos; at = data.find(kName, at + 1)) {
        const std::size_t value = data.find_first_not_of(" \t\r\n:", at + kName.size());
        if (value != data.npos && data[value] == '{')
            return true;
    }
    return false;
}

std::unique_ptr<StreamReader> make_stream_reader(Dialect dialect) {
    LARDER_ASSERT(dialect != Dialect::kLlm);
    switch (dialect) {
    case Dialect::kAnthropicMessages:
        return make_anthropic_stream_reader();
    case Dialect::kOpenAiResponses:
        return make_responses_stream_reader();
    case Dialect::kGemini:
        return make_gemini_stream_reader();
    default:
        return make_openai_stream_reader();
    }
}

} // namespace larder::protocol
