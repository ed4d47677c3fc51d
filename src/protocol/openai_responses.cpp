// OpenAI's responses: plain answers and usage figures.
#include "protocol/openai_responses.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {

namespace {

/// Items that ask the client to run something.
constexpr std::array<std::string_view, 6> kCalls = {"function_call",    "custom_tool_call",
                                                    "local_shell_call", "shell_call",
                                                    "apply_patch_call", "computer_call"};

Finish finish_of(std::string_view status, std::string_view incomplete_reason) {
    if (status == "completed")
        return Finish::kWhole;
    if (status != "incomplete")
        return Finish::kUnknown; // failed, cancelled, in_progress, queued
    if (incomplete_reason == "max_output_tokens" || incomplete_reason == "max_tokens")
        return Finish::kBounded;
    return incomplete_reason == "content_filter" ? Finish::kRefused : Finish::kUnknown;
}

std::int64_t count_in(Cursor object, std::string_view group, std::string_view name) {
    const auto details = object.find_set(group);
    const auto member = details ? details->find(name) : std::nullopt;
    return member ? member->count() : 0;
}

/// Appends the text of a message; true when it refuses.
bool read_message(Cursor message, std::string& text) {
    bool refuses = false;
    const auto content = message.find_set("content");
    if (!content)
        return false;
    for (const Cursor part : content->elements()) {
        const auto type = part.find("type");
        if (!type)
            continue;
        if (type->equals("output_text")) {
            if (const auto piece = part.find("text"))
                piece->append_string(text);
        } else if (type->equals("refusal")) {
            const auto refusal = part.find("refusal");
            refuses = refuses || (refusal && refusal->is_non_empty_string());
        }
    }
    return refuses;
}

void read_output(Cursor output, Answer& answer) {
    for (const Cursor item : output.elements()) {
        const auto type = item.find("type");
        if (!type || !type->is_string())
            continue;
        if (type->equals("message")) {
            if (read_message(item, answer.text))
                answer.finish = Finish::kRefused;
        } else if (std::ranges::find(kCalls, type->characters()) != kCalls.end()) {
            answer.has_tool_call = true;
        }
    }
}

} // namespace

std::optional<llm::Usage> responses_usage(Cursor usage) {
    const auto input_tokens = usage.find_set("input_tokens");
    const auto output_tokens = usage.find_set("output_tokens");
    if (!input_tokens && !output_tokens)
        return std::nullopt;
    const std::int64_t input = input_tokens ? input_tokens->count() : 0;
    const std::int64_t written = count_in(usage, "input_tokens_details", "cache_write_tokens");
    llm::Usage read;
    read.cached_input = std::min(count_in(usage, "input_tokens_details", "cached_tokens"), input);
    // A vendor counts tokens both as read and as written: what doesn't fit was not written.
    read.cache_write = written <= input - read.cached_input ? written : 0;
    read.input = input - read.cached_input - read.cache_write;
    read.output = output_tokens ? output_tokens->count() : 0;
    read.reasoning =
        std::min(count_in(usage, "output_tokens_details", "reasoning_tokens"), read.output);
    read.exact = true;
    return read;
}

bool is_response(Cursor root) {
    const auto object = root.find("object");
    return object && object->equals("response");
}

Result<Answer> read_responses_answer(Cursor root) {
    Answer answer;
    std::string status;
    std::string incomplete_reason;
    std::optional<Cursor> output;
    for (const Member& member : root.members()) {
        if (member.name == "id") {
            answer.id = member.value.string();
        } else if (member.name == "model") {
            answer.model = member.value.string();
        } else if (member.name == "status") {
            status = member.value.string();
        } else if (member.name == "usage" && member.value.is_object()) {
            answer.usage = responses_usage(member.value);
        } else if (member.name == "output" && member.value.is_array()) {
            output = member.value;
        } else if (member.name == "incomplete_details") {
            if (const auto reason = member.value.find("reason"))
                incomplete_reason = reason->string();
        }
    }
    if (!output && !is_response(root))
        return fail(ErrorCode::kProviderUnreadable, "it has no output");
    answer.finish = finish_of(status, incomplete_reason);
    const bool tells_why = status == "incomplete" && !incomplete_reason.empty();
    answer.finish_reason = tells_why ? std::move(incomplete_reason) : std::move(status);
    if (output)
        read_output(*output, answer);
    if (root.find_set("error")) // whatever its status says
        answer.finish = worse_of(answer.finish, Finish::kUnknown);
    answer.ended = true;
    return answer;
}

} // namespace larder::protocol
