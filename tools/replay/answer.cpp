// Made-up answers: valid in every field that an SDK reads, and the same for the same request.
#include "replay/answer.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "http/sse.hpp"
#include "replay/made_responses.hpp"

#include <array>
#include <cstring>
#include <utility>

namespace larder::replay {
namespace {

using protocol::Dialect;

constexpr std::array<std::string_view, 32> kWords{
    "shelf",  "jar",    "oats",   "salt",  "honey", "apple",   "flour", "lentil",
    "barley", "plum",   "rye",    "onion", "thyme", "butter",  "bread", "cheese",
    "walnut", "raisin", "bean",   "corn",  "rice",  "pepper",  "sage",  "cocoa",
    "ginger", "fig",    "almond", "maize", "mint",  "vinegar", "prune", "millet"};
constexpr std::int64_t kCreated = 1'700'000'000;

std::string quoted(std::string_view text) {
    std::string out;
    json::write_string(out, text);
    return out;
}

std::string number(std::size_t value) {
    return std::to_string(value);
}

bool is_openai(Dialect dialect) {
    return dialect != Dialect::kAnthropicMessages;
}

std::string finish_of(Dialect dialect, const AnswerOptions& options) {
    if (!options.finish.empty())
        return options.finish;
    return is_openai(dialect) ? "stop" : "end_turn";
}

std::string usage_of(Dialect dialect, const AnswerOptions& options) {
    const std::string in = number(options.prompt_tokens);
    const std::string out = number(options.output_tokens);
    if (is_openai(dialect))
        return R"({"prompt_tokens":)" + in + R"(,"completion_tokens":)" + out +
               R"(,"total_tokens":)" + number(options.prompt_tokens + options.output_tokens) +
               R"(,"prompt_tokens_details":{"cached_tokens":0},)"
               R"("completion_tokens_details":{"reasoning_tokens":0}})";
    return R"({"input_tokens":)" + in +
           R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":)" +
           out + "}";
}

std::string openai_chunk(const AnswerOptions& options, std::string_view choices,
                         std::string_view usage) {
    std::string data = R"({"id":)" + quoted(options.id) +
                       R"(,"object":"chat.completion.chunk","created":)" +
                       std::to_string(kCreated) + R"(,"model":)" + quoted(options.model) +
                       R"(,"choices":[)" + std::string(choices) + "]";
    if (!usage.empty())
        data += R"(,"usage":)" + std::string(usage);
    data += "}";
    std::string event;
    http::write_sse(event, "", data);
    return event;
}

std::string openai_stream(const AnswerOptions& options, bool include_usage) {
    const std::string_view no_usage = include_usage ? "null" : "";
    std::string out = openai_chunk(
        options, R"({"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null})",
        no_usage);
    for (std::string_view piece : pieces_of(options.text))
        out += openai_chunk(options,
                            R"({"index":0,"delta":{"content":)" + quoted(piece) +
                                R"(},"finish_reason":null})",
                            no_usage);
    out += openai_chunk(options,
                        R"({"index":0,"delta":{},"finish_reason":)" +
                            quoted(finish_of(Dialect::kOpenAiChat, options)) + "}",
                        no_usage);
    if (include_usage && options.usage)
        out += openai_chunk(options, "", usage_of(Dialect::kOpenAiChat, options));
    http::write_sse(out, "", "[DONE]");
    return out;
}

std::string anthropic_stream(const AnswerOptions& options) {
    AnswerOptions start = options;
    start.output_tokens = 1;
    std::string out;
    std::string usage =
        options.usage ? R"(,"usage":)" + usage_of(Dialect::kAnthropicMessages, start) : "";
    http::write_sse(out, "message_start",
                    R"({"type":"message_start","message":{"id":)" + quoted(options.id) +
                        R"(,"type":"message","role":"assistant","model":)" + quoted(options.model) +
                        R"(,"content":[],"stop_reason":null,"stop_sequence":null)" + usage + "}}");
    http::write_sse(out, "content_block_start",
                    R"({"type":"content_block_start","index":0,)"
                    R"("content_block":{"type":"text","text":""}})");
    http::write_sse(out, "ping", R"({"type":"ping"})");
    for (std::string_view piece : pieces_of(options.text))
        http::write_sse(out, "content_block_delta",
                        R"({"type":"content_block_delta","index":0,)"
                        R"("delta":{"type":"text_delta","text":)" +
                            quoted(piece) + "}}");
    http::write_sse(out, "content_block_stop", R"({"type":"content_block_stop","index":0})");
    usage =
        options.usage ? R"(,"usage":{"output_tokens":)" + number(options.output_tokens) + "}" : "";
    http::write_sse(out, "message_delta",
                    R"({"type":"message_delta","delta":{"stop_reason":)" +
                        quoted(finish_of(Dialect::kAnthropicMessages, options)) +
                        R"(,"stop_sequence":null})" + usage + "}");
    http::write_sse(out, "message_stop", R"({"type":"message_stop"})");
    return out;
}

std::string_view openai_error_type(int status) {
    if (status == 429)
        return "rate_limit_error";
    return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string_view anthropic_error_type(int status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 504:
        return "timeout_error";
    case 529:
        return "overloaded_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

std::string_view id_prefix(Dialect dialect) {
    if (dialect == Dialect::kOpenAiResponses)
        return "resp_";
    return is_openai(dialect) ? "chatcmpl-" : "msg_";
}

} // namespace

std::vector<std::string_view> pieces_of(std::string_view text) {
    std::vector<std::string_view> pieces;
    while (!text.empty()) {
        auto end = text.find(' ', 1);
        if (end == std::string_view::npos)
            end = text.size();
        pieces.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return pieces;
}

std::string made_up_text(std::string_view seed, std::size_t words) {
    std::string text;
    Sha256 digest = sha256(seed);
    for (std::size_t i = 0; i < words; ++i) {
        const std::size_t at = i % digest.size();
        if (i != 0 && at == 0)
            digest = sha256(
                std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
        if (i != 0)
            text.push_back(' ');
        text += kWords[digest[at] % kWords.size()];
    }
    return text;
}

AnswerOptions made_up_answer(Dialect dialect, json::Value body) {
    constexpr std::array<std::string_view, 2> kForm{"stream", "stream_options"};
    std::string canonical;
    json::write_canonical(canonical, body, {.skip_top = kForm});
    const Sha256 digest = sha256(canonical);
    const std::string name =
        text::hex(std::string_view(reinterpret_cast<const char*>(digest.data()), 8));
    AnswerOptions options;
    if (auto model = body.find("model"))
        options.model = model->as_string().value_or("");
    const std::size_t words = 24 + digest[0] % 24U;
    options.text = "Answer " + name + ": " + made_up_text(canonical, words) + ".";
    options.id = std::string(id_prefix(dialect)) + name;
    options.prompt_tokens = 1 + canonical.size() / 4;
    options.output_tokens = words + 3;
    return options;
}

std::string plain_answer(Dialect dialect, const AnswerOptions& options) {
    if (dialect == Dialect::kOpenAiResponses)
        return plain_responses_answer(options);
    const std::string usage =
        options.usage ? R"(,"usage":)" + usage_of(dialect, options) : std::string();
    const std::string finish = quoted(finish_of(dialect, options));
    if (is_openai(dialect))
        return R"({"id":)" + quoted(options.id) + R"(,"object":"chat.completion","created":)" +
               std::to_string(kCreated) + R"(,"model":)" + quoted(options.model) +
               R"(,"choices":[{"index":0,"message":{"role":"assistant","content":)" +
               quoted(options.text) + R"(,"refusal":null},"logprobs":null,"finish_reason":)" +
               finish + "}]" + usage + "}";
    return R"({"id":)" + quoted(options.id) + R"(,"type":"message","role":"assistant","model":)" +
           quoted(options.model) + R"(,"content":[{"type":"text","text":)" + quoted(options.text) +
           R"(}],"stop_reason":)" + finish + R"(,"stop_sequence":null)" + usage + "}";
}

std::string stream_answer(Dialect dialect, const AnswerOptions& options, bool include_usage) {
    if (dialect == Dialect::kOpenAiResponses)
        return stream_responses_answer(options);
    return is_openai(dialect) ? openai_stream(options, include_usage) : anthropic_stream(options);
}

std::string error_answer(Dialect dialect, int status, std::string_view message) {
    if (is_openai(dialect))
        return R"({"error":{"message":)" + quoted(message) + R"(,"type":)" +
               quoted(openai_error_type(status)) + R"(,"param":null,"code":null}})";
    return R"({"type":"error","error":{"type":)" + quoted(anthropic_error_type(status)) +
           R"(,"message":)" + quoted(message) + "}}";
}

std::string error_event(Dialect dialect, std::string_view message) {
    std::string out;
    if (dialect == Dialect::kOpenAiResponses) {
        http::write_sse(out, "error",
                        R"({"type":"error","sequence_number":9,"code":"server_error","message":)" +
                            quoted(message) + R"(,"param":null})");
        return out;
    }
    const std::string data = error_answer(dialect, 500, message);
    http::write_sse(out, is_openai(dialect) ? "" : "error", data);
    return out;
}

Result<std::string> in_form(const Recorded& recorded, bool stream, bool include_usage) {
    if (recorded.stream == stream || recorded.status != 200)
        return recorded.body;
    if (stream)
        return protocol::plain_to_stream(recorded.dialect, recorded.body, include_usage);
    auto reader = protocol::make_stream_reader(recorded.dialect);
    http::SseDecoder decoder;
    std::vector<http::SseEvent> events;
    LARDER_CHECK(decoder.feed(recorded.body, events));
    for (const http::SseEvent& event : events)
        LARDER_CHECK(reader->read(event));
    return reader->to_plain();
}

std::vector<std::string_view> split_events(std::string_view bytes) {
    std::vector<std::string_view> events;
    std::size_t begin = 0;
    std::size_t line = 0; // where the current line begins
    for (std::size_t i = 0; i < bytes.size();) {
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            ++i;
            continue;
        }
        const bool empty_line = i == line;
        i += bytes.substr(i, 2) == "\r\n" ? 2 : 1;
        line = i;
        if (empty_line) {
            events.push_back(bytes.substr(begin, i - begin));
            begin = i;
        }
    }
    if (begin < bytes.size())
        events.push_back(bytes.substr(begin));
    return events;
}

} // namespace larder::replay
