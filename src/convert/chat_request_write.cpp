// A conversation as a request of OpenAI's chat completions. The simplest form of each meaning: one
// text is a plain string, a default is left out.
#include "base/hash.hpp"
#include "base/text.hpp"
#include "convert/gemini_call_id.hpp"
#include "convert/model_rules.hpp"
#include "convert/request_parts.hpp"
#include "protocol/answer.hpp"

namespace larder::convert {
namespace {

using protocol::append_member;
using Parts = std::vector<const Part*>;

constexpr std::size_t kMostStopSequences = 4;
/// OpenAI's bound on the end user's name.
constexpr std::size_t kMostUserBytes = 64;
/// What stands before the text of a tool's failure, for which chat has no member.
constexpr std::string_view kErrorPrefix = "Error: ";

std::string data_url(const Part& part) {
    return "data:" + part.media_type + ";base64," + part.text;
}

Result<void> append_document(std::string& out, const Part& part) {
    if (!part.url.empty())
        return not_carried(part.field + ".source",
                           "must be in base64: this model's provider "
                           "speaks another API, without addresses of files");
    if (part.media_type != "application/pdf")
        return not_carried(part.field + ".source.media_type",
                           "must be application/pdf for this model's provider");
    std::string file = "{";
    append_string_member(file, "filename", part.name.empty() ? "document.pdf" : part.name);
    append_string_member(file, "file_data", data_url(part));
    out += R"({"type":"file")";
    append_member(out, "file", file + "}");
    out += '}';
    return {};
}

Result<void> append_part(std::string& out, const Part& part, std::string_view prefix) {
    if (!out.ends_with('['))
        out += ',';
    switch (part.kind) {
    case Part::Kind::kText:
        out += R"({"type":"text")";
        append_string_member(out, "text", std::string(prefix) + part.text);
        out += '}';
        return {};
    case Part::Kind::kImage: {
        std::string image = "{";
        append_string_member(image, "url", part.url.empty() ? data_url(part) : part.url);
        out += R"({"type":"image_url","image_url":)" + image + "}}";
        return {};
    }
    case Part::Kind::kDocument:
        return append_document(out, part);
    default:
        return not_carried(part.field);
    }
}

Result<void> append_content(std::string& out, const Parts& parts, std::string_view prefix = {}) {
    if (parts.empty() || (parts.size() == 1 && parts.front()->kind == Part::Kind::kText)) {
        append_string_member(out, "content",
                             std::string(prefix) + (parts.empty() ? "" : parts.front()->text));
        return {};
    }
    std::string content = "[";
    for (const Part* part : parts) {
        LARDER_CHECK(append_part(content, *part, prefix));
        prefix = {};
    }
    out.append(R"(,"content":)").append(content).append("]");
    return {};
}

void begin_message(std::string& out, std::string_view role) {
    out += out.ends_with('[') ? "{" : ",{";
    append_string_member(out, "role", role);
}

Result<void> append_result(std::string& out, const Part& result) {
    Parts texts;
    for (const Part& part : result.parts) {
        if (part.kind != Part::Kind::kText)
            return not_carried(part.field, "can't be carried over: this model's provider speaks "
                                           "another API, where a tool gives back text only");
        texts.push_back(&part);
    }
    begin_message(out, "tool");
    append_string_member(out, "tool_call_id", split_call_id(result.id).id);
    LARDER_CHECK(append_content(out, texts, result.is_error ? kErrorPrefix : ""));
    out += '}';
    return {};
}

/// The results of tools are messages of their own; what stands between them is another.
Result<void> append_user(std::string& out, const Turn& turn) {
    Parts parts;
    const auto flush = [&]() -> Result<void> {
        if (parts.empty())
            return {};
        begin_message(out, "user");
        LARDER_CHECK(append_content(out, parts));
        out += '}';
        parts.clear();
        return {};
    };
    for (const Part& part : turn.parts) {
        if (part.kind != Part::Kind::kToolResult) {
            parts.push_back(&part);
            continue;
        }
        LARDER_CHECK(flush());
        LARDER_CHECK(append_result(out, part));
    }
    return flush();
}

void append_call(std::string& out, const Part& part) {
    std::string arguments;
    protocol::append_compact(arguments, part.json);
    std::string function = "{";
    append_string_member(function, "name", part.name);
    append_string_member(function, "arguments", arguments);
    out += out.ends_with('[') ? "{" : ",{";
    append_string_member(out, "id", split_call_id(part.id).id);
    out += R"(,"type":"function","function":)" + function + "}}";
}

/// Thinking in the words that answers have for it: as one text, and, where a provider signed or
/// sealed it, part by part.
class Thoughts {
public:
    void add(const Part& part) {
        const bool is_sealed = part.kind == Part::Kind::kRedactedThinking;
        is_signed_ = is_signed_ || is_sealed || !part.signature.empty();
        details_ += details_.empty() ? "{" : ",{";
        append_string_member(details_, "type",
                             is_sealed ? "reasoning.encrypted" : "reasoning.text");
        append_string_member(details_, is_sealed ? "data" : "text", part.text);
        if (!part.signature.empty())
            append_string_member(details_, "signature", part.signature);
        details_ += '}';
        if (!is_sealed)
            text_ += part.text;
    }

    void append_to(std::string& message) const {
        if (!text_.empty())
            append_string_member(message, "reasoning_content", text_);
        if (is_signed_)
            message.append(R"(,"reasoning_details":[)").append(details_).append("]");
    }

private:
    std::string text_;
    std::string details_;
    bool is_signed_ = false;
};

Result<void> append_assistant(std::string& out, const Turn& turn) {
    Parts texts;
    std::string calls = "[";
    Thoughts thoughts;
    for (const Part& part : turn.parts) {
        switch (part.kind) {
        case Part::Kind::kText:
            if (!part.text.empty() || turn.parts.size() == 1)
                texts.push_back(&part);
            break;
        case Part::Kind::kToolCall:
            append_call(calls, part);
            break;
        case Part::Kind::kThinking:
        case Part::Kind::kRedactedThinking:
            thoughts.add(part);
            break;
        default:
            return not_carried(part.field);
        }
    }
    const bool has_calls = calls.size() > 1;
    begin_message(out, "assistant");
    if (!texts.empty() || !has_calls)
        LARDER_CHECK(append_content(out, texts));
    thoughts.append_to(out);
    if (has_calls)
        out.append(R"(,"tool_calls":)").append(calls).append("]");
    out += '}';
    return {};
}

Result<void> append_turns(std::string& out, const Conversation& conversation) {
    std::string messages = "[";
    for (const Turn& turn : conversation.turns) {
        if (turn.role == Role::kUser) {
            LARDER_CHECK(append_user(messages, turn));
            continue;
        }
        if (turn.role == Role::kAssistant) {
            LARDER_CHECK(append_assistant(messages, turn));
            continue;
        }
        Parts parts;
        for (const Part& part : turn.parts)
            parts.push_back(&part);
        if (parts.size() == 1 && parts.front()->text.empty())
            continue; // an empty system prompt says nothing
        begin_message(messages, "system");
        LARDER_CHECK(append_content(messages, parts));
        messages += '}';
    }
    out.append(R"(,"messages":)").append(messages).append("]");
    return {};
}

void append_tools(std::string& out, const Conversation& conversation) {
    if (conversation.tools.empty())
        return;
    std::string tools = "[";
    for (const Tool& tool : conversation.tools) {
        std::string function = "{";
        append_string_member(function, "name", tool.name);
        if (!tool.description.empty())
            append_string_member(function, "description", tool.description);
        if (!tool.parameters.empty())
            append_member(function, "parameters", tool.parameters);
        if (tool.strict == true)
            append_member(function, "strict", "true");
        tools.append(tools.size() > 1 ? "," : "")
            .append(R"({"type":"function","function":)")
            .append(function)
            .append("}}");
    }
    out.append(R"(,"tools":)").append(tools).append("]");
    if (conversation.parallel_tool_calls == false)
        append_member(out, "parallel_tool_calls", "false");
    const ToolChoice choice = conversation.tool_choice.value_or(ToolChoice{});
    switch (choice.kind) {
    case ToolChoice::Kind::kAuto:
        return;
    case ToolChoice::Kind::kNone:
        return append_string_member(out, "tool_choice", "none");
    case ToolChoice::Kind::kAny:
        return append_string_member(out, "tool_choice", "required");
    case ToolChoice::Kind::kNamed:
        return append_member(out, "tool_choice",
                             R"({"type":"function","function":{"name":)" + quoted(choice.name) +
                                 "}}");
    }
}

void append_format(std::string& out, const ResponseFormat& format) {
    if (format.kind == ResponseFormat::Kind::kText)
        return;
    if (format.kind == ResponseFormat::Kind::kJson)
        return append_member(out, "response_format", R"({"type":"json_object"})");
    std::string schema = "{";
    append_string_member(schema, "name", format.name.empty() ? "response" : format.name);
    if (!format.description.empty())
        append_string_member(schema, "description", format.description);
    append_member(schema, "schema", format.schema);
    if (format.strict == true)
        append_member(schema, "strict", "true");
    append_member(out, "response_format",
                  R"({"type":"json_schema","json_schema":)" + schema + "}}");
}

/// The highest level whose own budget on the way to Claude is no more than this one. `minimal` is
/// not taken by every model.
std::string_view effort_of(std::int64_t budget_tokens) {
    constexpr std::int64_t kMedium = 8192;
    constexpr std::int64_t kHigh = 16384;
    if (budget_tokens < kMedium)
        return "low";
    return budget_tokens < kHigh ? "medium" : "high";
}

Result<void> append_thinking(std::string& out, const Conversation& conversation,
                             std::string_view model) {
    const Thinking& thinking = conversation.thinking;
    const bool is_budget = thinking.kind == Thinking::Kind::kBudget;
    if ((is_budget || !thinking.effort.empty()) && never_reasons(model))
        return not_carried(client_name_of(conversation, is_budget ? "thinking" : "effort"),
                           "can't be carried over: this model does not reason");
    std::string_view effort =
        thinking.effort == "max" ? "xhigh" : std::string_view(thinking.effort);
    if (is_budget && effort.empty())
        effort = effort_of(thinking.budget_tokens);
    if (thinking.kind == Thinking::Kind::kOff) {
        const NoThinking way = no_thinking_of(model);
        if (way == NoThinking::kCannot)
            return not_carried(client_name_of(conversation, "thinking"),
                               "can't be off: this model always thinks");
        effort = way == NoThinking::kNone ? "none" : way == NoThinking::kMinimal ? "minimal" : "";
    }
    if (!effort.empty())
        append_string_member(out, "reasoning_effort", effort);
    return {};
}

Result<void> append_service_tier(std::string& out, const Conversation& conversation) {
    const std::string& tier = conversation.service_tier;
    if (tier.empty() || tier == "auto")
        return {};
    if (tier != "standard_only" && tier != "default")
        return refused(conversation, "service_tier");
    append_string_member(out, "service_tier", "default");
    return {};
}

Result<void> append_sampling(std::string& out, const Conversation& conversation) {
    if (!conversation.top_k.empty())
        return refused(conversation, "top_k");
    if (conversation.stop.size() > kMostStopSequences)
        return not_carried(client_name_of(conversation, "stop"),
                           "may hold up to 4 sequences for this model's provider");
    const auto append = [&out](std::string_view name, const std::string& number) {
        if (!number.empty())
            append_member(out, name, number);
    };
    append("temperature", conversation.temperature);
    append("top_p", conversation.top_p);
    append("seed", conversation.seed);
    append("frequency_penalty", conversation.frequency_penalty);
    append("presence_penalty", conversation.presence_penalty);
    if (conversation.choices != "1")
        append("n", conversation.choices);
    if (conversation.logprobs)
        append("logprobs", "true");
    append("top_logprobs", conversation.top_logprobs);
    if (conversation.stop.size() == 1)
        append_string_member(out, "stop", conversation.stop.front());
    if (conversation.stop.size() < 2)
        return {};
    append("stop", array_of(conversation.stop));
    return {};
}

/// The end user's name; a longer one than OpenAI takes as its hash. It changes no answer.
std::string user_name(const std::string& user) {
    if (user.size() <= kMostUserBytes)
        return user;
    const Sha256 digest = sha256(user);
    return text::hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

} // namespace

Result<std::string> write_chat(const Conversation& conversation, std::string_view model) {
    LARDER_CHECK(check_last_turn(conversation));
    std::string out = "{";
    append_string_member(out, "model", model);
    LARDER_CHECK(append_turns(out, conversation));
    if (!conversation.max_tokens.empty())
        append_member(out, takes_completion_bound(model) ? "max_completion_tokens" : "max_tokens",
                      conversation.max_tokens);
    LARDER_CHECK(append_sampling(out, conversation));
    append_tools(out, conversation);
    append_format(out, conversation.format);
    LARDER_CHECK(append_thinking(out, conversation, model));
    LARDER_CHECK(append_service_tier(out, conversation));
    if (!conversation.user.empty())
        append_string_member(out, "user", user_name(conversation.user));
    if (conversation.stream)
        append_member(out, "stream", R"(true,"stream_options":{"include_usage":true})");
    out += '}';
    return out;
}

} // namespace larder::convert
