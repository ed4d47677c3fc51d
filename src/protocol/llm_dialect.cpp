// Replies of the /llm dialect: the object, and the events of its stream.
#include "protocol/protocol.hpp"

#include <charconv>

namespace larder::protocol {

namespace {

/// Room for the members' names and figures beside the text.
constexpr std::size_t kRoom = 512;

void append_int(std::string& out, std::string_view before, std::int64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(before).append(digits, end);
}

void append_flag(std::string& out, std::string_view before, bool value) {
    out.append(before).append(value ? "true" : "false");
}

void append_usage(std::string& out, const llm::Usage& usage) {
    append_int(out, R"(,"usage":{"inputTokens":)", usage.prompt());
    append_int(out, R"(,"outputTokens":)", usage.output);
    append_int(out, R"(,"cachedInputTokens":)", usage.cached_input);
    append_int(out, R"(,"cacheWriteTokens":)", usage.cache_write + usage.cache_write_1h);
    append_int(out, R"(,"reasoningTokens":)", usage.reasoning);
    append_int(out, R"(,"totalTokens":)", usage.total());
    append_flag(out, R"(,"exact":)", usage.exact);
    out += '}';
}

} // namespace

std::string write_llm_reply(std::string_view text, const ReplyMetadata& metadata) {
    const bool may_have_code =
        text.find("```") != std::string_view::npos || text.find("~~~") != std::string_view::npos;
    std::string out;
    out.reserve(2 * text.size() + text.size() / 8 + kRoom);
    out += R"({"code":)";
    const std::size_t code_begin = out.size();
    if (may_have_code)
        json::write_string(out, extract_code(text));
    else
        json::write_string(out, text);
    const std::size_t code_end = out.size();
    out += R"(,"text":)";
    if (may_have_code)
        json::write_string(out, text);
    else
        out.append(out, code_begin, code_end - code_begin); // the same, escaped already
    out += R"(,"metadata":{"model":)";
    json::write_string(out, metadata.model);
    out += R"(,"provider":)";
    json::write_string(out, metadata.provider);
    append_flag(out, R"(,"cached":)", metadata.cached);
    append_int(out, R"(,"estimatedTokens":)", metadata.usage.total());
    out += R"(,"estimatedCost":)";
    json::write_double(out, metadata.cost.dollars());
    append_flag(out, R"(,"priced":)", metadata.priced);
    out += R"(,"finishReason":)";
    json::write_string(out, metadata.finish_reason);
    append_usage(out, metadata.usage);
    if (!metadata.request_id.empty()) {
        out += R"(,"requestId":)";
        json::write_string(out, metadata.request_id);
    }
    out += "}}";
    return out;
}

void write_llm_delta(std::string& out, std::string_view text) {
    out += "event: delta\ndata: {\"text\":";
    json::write_string(out, text);
    out += "}\n\n";
}

void write_llm_done(std::string& out, std::string_view reply) {
    http::write_sse(out, "done", reply);
}

} // namespace larder::protocol
