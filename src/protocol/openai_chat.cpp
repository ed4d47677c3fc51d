// OpenAI's chat completions: plain answers and usage figures.
#include "protocol/answer.hpp"

#include <algorithm>

namespace larder::protocol {

namespace {

std::int64_t count_of(Cursor object, std::string_view name) {
    const auto member = object.find(name);
    return member ? member->count() : 0;
}

struct PromptParts {
    std::int64_t cached = 0;
    std::int64_t written = 0;
};

/// Prompt-cache figures, which vendors put in different places.
PromptParts prompt_parts(Cursor usage) {
    PromptParts parts;
    if (const auto details = usage.find_set("prompt_tokens_details")) {
        parts.cached = count_of(*details, "cached_tokens");
        parts.written = count_of(*details, "cache_write_tokens");
    }
    if (parts.cached == 0)
        parts.cached = count_of(usage, "prompt_cache_hit_tokens");
    if (parts.cached == 0)
        parts.cached = count_of(usage, "cache_read_input_tokens");
    if (parts.written == 0)
        parts.written = count_of(usage, "cache_creation_input_tokens");
    return parts;
}

} // namespace

Finish openai_finish(std::string_view reason) {
    if (reason == "stop" || reason == "tool_calls" || reason == "function_call")
        return Finish::kWhole;
    if (reason == "end_turn" || reason == "stop_sequence" || reason == "tool_use")
        return Finish::kWhole;
    if (reason == "length" || reason == "max_tokens")
        return Finish::kBounded;
    if (reason == "content_filter" || reason == "refusal")
        return Finish::kRefused;
    return Finish::kUnknown;
}

std::optional<llm::Usage> openai_usage(Cursor usage) {
    const auto prompt_tokens = usage.find_set("prompt_tokens");
    const auto completion_tokens = usage.find_set("completion_tokens");
    if (!prompt_tokens && !completion_tokens)
        return std::nullopt;
    const std::int64_t prompt = prompt_tokens ? prompt_tokens->count() : 0;
    const PromptParts parts = prompt_parts(usage);
    llm::Usage read;
    read.cached_input = std::min(parts.cached, prompt);
    // A vendor counts tokens both as read and as written: what doesn't fit was not written.
    read.cache_write = parts.written <= prompt - read.cached_input ? parts.written : 0;
    read.input = prompt - read.cached_input - read.cache_write;
    read.output = completion_tokens ? completion_tokens->count() : 0;
    if (const auto details = usage.find_set("completion_tokens_details"))
        read.reasoning = count_of(*details, "reasoning_tokens");
    // xAI counts reasoning beside the completion, not in it; the total tells.
    const std::int64_t total = count_of(usage, "total_tokens");
    if (read.reasoning > 0 && total == prompt + read.output + read.reasoning)
        read.output += read.reasoning;
    read.reasoning = std::min(read.reasoning, read.output);
    read.exact = true;
    return read;
}

bool calls_tool(Cursor message) {
    const auto calls = message.find("tool_calls");
    if (calls && calls->is_array() && calls->size() > 0)
        return true;
    const auto function = message.find("function_call");
    return function && function->is_object();
}

namespace {

Result<void> read_choice(Cursor choice, bool is_first, Answer& answer) {
    std::string reason;
    std::optional<Cursor> message;
    for (const Member& member : choice.members()) {
        if (member.name == "message")
            message = member.value;
        else if (member.name == "finish_reason")
            reason = member.value.string();
    }
    if (!message || !message->is_object())
        return fail(ErrorCode::kProviderUnreadable, "a choice has no message");
    Finish finish = openai_finish(reason);
    for (const Member& member : message->members()) {
        if (member.name == "content" && is_first)
            append_text_of(answer.text, member.value);
        else if (member.name == "refusal" && member.value.is_non_empty_string())
            finish = Finish::kRefused;
    }
    answer.has_tool_call = answer.has_tool_call || calls_tool(*message);
    answer.finish = is_first ? finish : worse_of(answer.finish, finish);
    if (is_first)
        answer.finish_reason = std::move(reason);
    return {};
}

} // namespace

Result<Answer> read_openai_answer(Cursor root) {
    Answer answer;
    std::optional<Cursor> choices;
    for (const Member& member : root.members()) {
        if (member.name == "id")
            answer.id = member.value.string();
        else if (member.name == "model")
            answer.model = member.value.string();
        else if (member.name == "usage" && member.value.is_object())
            answer.usage = openai_usage(member.value);
        else if (member.name == "choices" && member.value.is_array())
            choices = member.value;
    }
    if (!choices || choices->size() == 0)
        return fail(ErrorCode::kProviderUnreadable, "it has no choices");
    bool is_first = true;
    for (const Cursor choice : choices->elements()) {
        LARDER_CHECK(read_choice(choice, is_first, answer));
        is_first = false;
    }
    answer.ended = true;
    return answer;
}

} // namespace larder::protocol
