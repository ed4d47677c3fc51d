// Anthropic's messages: plain answers and usage figures.
#include "protocol/answer.hpp"

#include <algorithm>

namespace larder::protocol {

Finish anthropic_finish(std::string_view reason) {
    if (reason == "end_turn" || reason == "stop_sequence" || reason == "tool_use")
        return Finish::kWhole;
    if (reason == "max_tokens")
        return Finish::kBounded;
    if (reason == "refusal")
        return Finish::kRefused;
    return Finish::kUnknown;
}

std::optional<llm::Usage> anthropic_usage(Cursor usage) {
    llm::Usage read;
    bool says_something = false;
    std::int64_t written = 0;
    for (const Member& member : usage.members()) {
        if (member.value.is_null())
            continue;
        if (member.name == "input_tokens") {
            read.input = member.value.count();
            says_something = true;
        } else if (member.name == "output_tokens") {
            read.output = member.value.count();
            says_something = true;
        } else if (member.name == "cache_read_input_tokens") {
            read.cached_input = member.value.count();
        } else if (member.name == "cache_creation_input_tokens") {
            written = member.value.count();
        } else if (member.name == "cache_creation") {
            if (const auto hour = member.value.find("ephemeral_1h_input_tokens"))
                read.cache_write_1h = hour->count();
            if (const auto minutes = member.value.find("ephemeral_5m_input_tokens"))
                read.cache_write = minutes->count();
        } else if (member.name == "output_tokens_details") {
            if (const auto thinking = member.value.find("thinking_tokens"))
                read.reasoning = thinking->count();
        }
    }
    if (!says_something)
        return std::nullopt;
    // The classes are parts of the whole; what they leave over is the five-minute class.
    if (written > 0) {
        read.cache_write_1h = std::min(read.cache_write_1h, written);
        read.cache_write = written - read.cache_write_1h;
    }
    read.reasoning = std::min(read.reasoning, read.output);
    read.exact = true;
    return read;
}

namespace {

void read_block(Cursor block, Answer& answer) {
    const auto type = block.find("type");
    if (!type)
        return;
    if (type->equals("text")) {
        if (const auto text = block.find("text"))
            text->append_string(answer.text);
    } else if (type->equals("tool_use")) {
        answer.has_tool_call = true;
    }
}

} // namespace

Result<Answer> read_anthropic_answer(Cursor root) {
    Answer answer;
    std::optional<Cursor> content;
    bool is_message = false;
    for (const Member& member : root.members()) {
        if (member.name == "id")
            answer.id = member.value.string();
        else if (member.name == "model")
            answer.model = member.value.string();
        else if (member.name == "type")
            is_message = member.value.equals("message");
        else if (member.name == "stop_reason")
            answer.finish_reason = member.value.string();
        else if (member.name == "usage" && member.value.is_object())
            answer.usage = anthropic_usage(member.value);
        else if (member.name == "content" && member.value.is_array())
            content = member.value;
    }
    if (!is_message || !content)
        return fail(ErrorCode::kProviderUnreadable, "it is no message");
    for (const Cursor block : content->elements())
        read_block(block, answer);
    answer.finish = anthropic_finish(answer.finish_reason);
    answer.ended = true;
    return answer;
}

} // namespace larder::protocol
