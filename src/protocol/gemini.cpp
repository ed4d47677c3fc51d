// Gemini's plain answers (GenerateContentResponse), and what their figures and reasons mean.
#include "protocol/gemini.hpp"

#include "protocol/answer.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {

std::string gemini_finish_reason(Cursor candidate) {
    const auto reason = candidate.find_set("finishReason");
    if (!reason)
        return {};
    std::string written = reason->is_string() ? reason->string() : std::string(reason->raw());
    return written == "FINISH_REASON_UNSPECIFIED" || written == "0" ? std::string() : written;
}

Finish gemini_finish(std::string_view reason) {
    constexpr std::array<std::string_view, 14> kRefusals{"SAFETY",
                                                         "RECITATION",
                                                         "BLOCKLIST",
                                                         "PROHIBITED_CONTENT",
                                                         "SPII",
                                                         "IMAGE_SAFETY",
                                                         "IMAGE_RECITATION",
                                                         "IMAGE_PROHIBITED_CONTENT",
                                                         "MODEL_ARMOR",
                                                         "3",
                                                         "4",
                                                         "6",
                                                         "7",
                                                         "8"};
    if (reason == "STOP" || reason == "1")
        return Finish::kWhole;
    if (reason == "MAX_TOKENS" || reason == "2")
        return Finish::kBounded;
    return std::ranges::find(kRefusals, reason) != kRefusals.end() ? Finish::kRefused
                                                                   : Finish::kUnknown;
}

std::optional<llm::Usage> gemini_usage(Cursor usage) {
    std::int64_t prompt = 0;
    std::int64_t tools = 0;
    std::int64_t text = 0;
    llm::Usage read;
    bool says_something = false;
    for (const Member& member : usage.members()) {
        if (member.name == "promptTokenCount") {
            prompt = member.value.count();
            says_something = !member.value.is_null();
        } else if (member.name == "cachedContentTokenCount") {
            read.cached_input = member.value.count();
        } else if (member.name == "toolUsePromptTokenCount") {
            tools = member.value.count();
        } else if (member.name == "candidatesTokenCount") {
            text = member.value.count();
        } else if (member.name == "thoughtsTokenCount") {
            read.reasoning = member.value.count();
        }
    }
    if (!says_something)
        return std::nullopt;
    read.cached_input = std::min(read.cached_input, prompt);
    read.input = prompt - read.cached_input + tools;
    read.output = text + read.reasoning;
    read.exact = true;
    return read;
}

std::string gemini_block_reason(Cursor root) {
    const auto feedback = root.find_set("promptFeedback");
    const auto reason = feedback ? feedback->find_set("blockReason") : std::nullopt;
    if (!reason)
        return {};
    return reason->is_string() ? reason->string() : std::string(reason->raw());
}

bool is_gemini_thought(Cursor part) {
    const auto thought = part.find("thought");
    return thought && thought->is(json::Kind::kTrue);
}

std::optional<Cursor> gemini_parts(Cursor candidate) {
    const auto content = candidate.find_set("content");
    const auto parts = content ? content->find("parts") : std::nullopt;
    return parts && parts->is_array() ? parts : std::nullopt;
}

std::optional<Cursor> gemini_error(Cursor root) {
    if (!root.is_array())
        return root.find_set("error");
    for (const Cursor element : root.elements()) {
        if (const auto error = element.find_set("error"))
            return error;
    }
    return std::nullopt;
}

namespace {

void read_candidate(Cursor candidate, bool is_first, Answer& answer) {
    const std::string reason = gemini_finish_reason(candidate);
    const Finish finish = gemini_finish(reason);
    answer.finish = is_first ? finish : worse_of(answer.finish, finish);
    if (is_first)
        answer.finish_reason = reason;
    const auto parts = gemini_parts(candidate);
    if (!parts)
        return;
    for (const Cursor part : parts->elements()) {
        answer.has_tool_call = answer.has_tool_call || part.find_set("functionCall").has_value();
        const auto text = part.find("text");
        if (is_first && text && !is_gemini_thought(part))
            text->append_string(answer.text);
    }
}

} // namespace

Result<Answer> read_gemini_answer(Cursor root) {
    Answer answer;
    std::optional<Cursor> candidates;
    for (const Member& member : root.members()) {
        if (member.name == "responseId")
            answer.id = member.value.string();
        else if (member.name == "modelVersion")
            answer.model = member.value.string();
        else if (member.name == "usageMetadata")
            answer.usage = gemini_usage(member.value);
        else if (member.name == "candidates" && member.value.is_array())
            candidates = member.value;
    }
    const std::string blocked = gemini_block_reason(root);
    if (!candidates && blocked.empty() && !answer.usage)
        return fail(ErrorCode::kProviderUnreadable, "it has no candidates");
    answer.ended = true;
    if (candidates) {
        bool is_first = true;
        for (const Cursor candidate : candidates->elements())
            read_candidate(candidate, std::exchange(is_first, false), answer);
    }
    if (!blocked.empty()) {
        answer.finish = Finish::kRefused;
        answer.finish_reason = blocked;
    }
    return answer;
}

} // namespace larder::protocol
