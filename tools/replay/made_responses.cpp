// Made-up answers of OpenAI's responses, plain and as its typed events.
#include "replay/made_responses.hpp"

#include "http/sse.hpp"

namespace larder::replay {
namespace {

constexpr std::string_view kCreated = "1700000000";

std::string quoted(std::string_view text) {
    std::string out;
    json::write_string(out, text);
    return out;
}

std::string item_id(const AnswerOptions& options) {
    return quoted("msg_" + options.id);
}

std::string part_of(std::string_view text) {
    return R"({"type":"output_text","annotations":[],"logprobs":[],"text":)" + quoted(text) + "}";
}

std::string item_of(const AnswerOptions& options, std::string_view status,
                    std::string_view content) {
    return R"({"id":)" + item_id(options) + R"(,"type":"message","status":)" + quoted(status) +
           R"(,"content":[)" + std::string(content) + R"(],"role":"assistant"})";
}

std::string usage_of(const AnswerOptions& options) {
    return R"({"input_tokens":)" + std::to_string(options.prompt_tokens) +
           R"(,"input_tokens_details":{"cached_tokens":0},"output_tokens":)" +
           std::to_string(options.output_tokens) +
           R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)" +
           std::to_string(options.prompt_tokens + options.output_tokens) + "}";
}

std::string response_of(const AnswerOptions& options, bool is_ended) {
    const bool is_whole = options.finish.empty();
    const std::string status = !is_ended ? "in_progress" : is_whole ? "completed" : "incomplete";
    const std::string incomplete =
        is_ended && !is_whole ? R"({"reason":)" + quoted(options.finish) + "}" : "null";
    std::string output;
    if (is_ended)
        output = item_of(options, status, part_of(options.text));
    return R"({"id":)" + quoted(options.id) + R"(,"object":"response","created_at":)" +
           std::string(kCreated) + R"(,"status":)" + quoted(status) +
           R"(,"error":null,"incomplete_details":)" + incomplete +
           R"(,"instructions":null,"model":)" + quoted(options.model) + R"(,"output":[)" + output +
           R"(],"parallel_tool_calls":true,"previous_response_id":null,"store":true,)"
           R"("temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":)" +
           (is_ended && options.usage ? usage_of(options) : "null") + R"(,"metadata":{}})";
}

/// Numbers the events as the API does.
class Events {
public:
    void add(std::string_view type, const std::string& members) {
        http::write_sse(out, type,
                        R"({"type":)" + quoted(type) + R"(,"sequence_number":)" +
                            std::to_string(number_++) + members + "}");
    }
    std::string out;

private:
    std::size_t number_ = 0;
};

} // namespace

std::string plain_responses_answer(const AnswerOptions& options) {
    return response_of(options, true);
}

std::string stream_responses_answer(const AnswerOptions& options) {
    const std::string begun = R"(,"response":)" + response_of(options, false);
    const std::string at_item = R"(,"output_index":0)";
    const std::string at_part =
        R"(,"item_id":)" + item_id(options) + R"(,"output_index":0,"content_index":0)";
    const std::string status = options.finish.empty() ? "completed" : "incomplete";
    Events events;
    events.add("response.created", begun);
    events.add("response.in_progress", begun);
    events.add("response.output_item.added",
               at_item + R"(,"item":)" + item_of(options, "in_progress", ""));
    events.add("response.content_part.added", at_part + R"(,"part":)" + part_of(""));
    for (const std::string_view piece : pieces_of(options.text))
        events.add("response.output_text.delta",
                   at_part + R"(,"delta":)" + quoted(piece) + R"(,"logprobs":[])");
    events.add("response.output_text.done",
               at_part + R"(,"text":)" + quoted(options.text) + R"(,"logprobs":[])");
    events.add("response.content_part.done", at_part + R"(,"part":)" + part_of(options.text));
    events.add("response.output_item.done",
               at_item + R"(,"item":)" + item_of(options, status, part_of(options.text)));
    events.add("response." + status, R"(,"response":)" + response_of(options, true));
    return events.out;
}

} // namespace larder::replay
