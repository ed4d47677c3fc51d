// What a request asks of a model. The parts of all APIs are known in every dialect, for the /llm
// dialect carries them over, and no name means two things.
#include "protocol/needs.hpp"

#include "llm/usage.hpp"
#include "protocol/cursor.hpp"

#include <algorithm>
#include <array>

namespace larder::protocol {
namespace {

constexpr std::int64_t kTokensAnAttachment = 1000;
/// A session's longer name is told apart by its beginning.
constexpr std::size_t kLongestSession = 512;

struct Attachments {
    std::int64_t seen = 0;  // images and documents
    std::int64_t heard = 0; // audio
};

template <std::size_t kSize>
bool is_one_of(Cursor type, const std::array<std::string_view, kSize>& names) {
    return std::ranges::any_of(names, [type](std::string_view name) { return type.equals(name); });
}

/// Counts what hangs on a message, a part, or a list of them; results of tools may have parts, too.
void count_attachments(Cursor value, Attachments& out, int depth = 0) {
    constexpr int kDeepest = 8;
    constexpr std::array<std::string_view, 4> kImages{"image_url", "image", "input_image",
                                                      "computer_screenshot"};
    constexpr std::array<std::string_view, 3> kDocuments{"file", "input_file", "document"};
    if (depth == kDeepest)
        return;
    for (const Cursor element : value.elements())
        count_attachments(element, out, depth + 1);
    for (const Member& member : value.members()) {
        if (member.name == "type") {
            out.seen += is_one_of(member.value, kImages) || is_one_of(member.value, kDocuments);
            out.heard += member.value.equals("input_audio");
        } else if (member.name == "content" || member.name == "output") {
            count_attachments(member.value, out, depth + 1);
        }
    }
}

/// Whether `format` is one of JSON: of an object with a type that isn't plain text.
bool is_json_format(Cursor format) {
    const auto type = format.find_set("type");
    return type && !type->equals("text");
}

bool asks_json(const Member& member) {
    if (member.name == "response_format" || member.name == "output_format")
        return is_json_format(member.value);
    if (member.name != "text" && member.name != "output_config")
        return false;
    const auto format = member.value.find_set("format");
    return format && is_json_format(*format);
}

bool is_output_bound(std::string_view name) {
    return name == "maxTokens" || name == "max_tokens" || name == "max_completion_tokens" ||
           name == "max_output_tokens";
}

} // namespace

Needs read_needs(Dialect dialect, const json::Document& body, const Call& call) {
    const std::string_view list = dialect == Dialect::kOpenAiResponses ? "input" : "messages";
    Needs needs;
    needs.tools = call.has_tools;
    Attachments attached;
    for (const Member& member : Cursor(body).members()) {
        if (member.name == list)
            count_attachments(member.value, attached);
        else if (is_output_bound(member.name))
            needs.max_output_tokens = std::max(needs.max_output_tokens, member.value.count());
        else
            needs.json = needs.json || asks_json(member);
    }
    needs.vision = attached.seen > 0;
    needs.input_tokens = llm::estimate_tokens(call.prompt_bytes) +
                         (attached.seen + attached.heard) * kTokensAnAttachment;
    return needs;
}

std::string session_of(Dialect dialect, const json::Document& body) {
    const Cursor root(body);
    const auto text = [](std::optional<Cursor> value) {
        std::string name = value ? value->string() : std::string();
        name.resize(std::min(name.size(), kLongestSession));
        return name;
    };
    for (const std::string_view member : {"prompt_cache_key", "user"})
        if (std::string name = text(root.find(member)); !name.empty())
            return name;
    const bool is_anthropic = dialect == Dialect::kAnthropicMessages || dialect == Dialect::kLlm;
    if (const auto metadata = root.find("metadata"); is_anthropic && metadata)
        if (std::string name = text(metadata->find("user_id")); !name.empty())
            return name;
    const auto conversation = root.find("conversation");
    if (!conversation)
        return {};
    return text(conversation->is_object() ? conversation->find("id") : conversation);
}

} // namespace larder::protocol
