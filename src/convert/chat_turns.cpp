// Messages of chat, part by part. What has no counterpart in a conversation is refused.
#include "convert/chat_turns.hpp"

#include "base/json.hpp"
#include "convert/reply_parts.hpp"
#include "convert/request_parts.hpp"

#include <optional>

namespace larder::convert {
namespace {

using protocol::Cursor;

struct DataUrl {
    std::string_view media_type;
    std::string_view data;
};

/// Of "data:image/png;base64,iVBOR…"; nullopt for any other address.
std::optional<DataUrl> read_data_url(std::string_view url) {
    constexpr std::string_view kScheme = "data:";
    constexpr std::string_view kCoding = ";base64";
    if (!url.starts_with(kScheme))
        return std::nullopt;
    url.remove_prefix(kScheme.size());
    const std::size_t comma = url.find(',');
    if (comma == std::string_view::npos || !url.substr(0, comma).ends_with(kCoding))
        return std::nullopt;
    return DataUrl{url.substr(0, comma - kCoding.size()), url.substr(comma + 1)};
}

Part part_at(const std::string& field, Part::Kind kind) {
    Part part;
    part.kind = kind;
    part.field = field;
    return part;
}

Result<Part> read_image(Cursor part, const std::string& field) {
    const auto image = part.find_set("image_url");
    if (!image)
        return not_carried(field, "needs an `image_url`");
    const std::string inner = field + ".image_url";
    LARDER_CHECK(expect_only(*image, inner, {"url", "detail"}));
    if (const auto detail = image->find_set("detail"); detail && !detail->equals("auto"))
        return not_carried(inner + ".detail");
    LARDER_TRY(const std::string url, read_needed(*image, "url", inner));
    Part read = part_at(field, Part::Kind::kImage);
    if (const auto data = read_data_url(url)) {
        read.media_type = data->media_type;
        read.text = data->data;
    } else if (url.starts_with("https://") || url.starts_with("http://")) {
        read.url = url;
    } else {
        return not_carried(inner + ".url", "must be an address or a data: URL in base64");
    }
    return read;
}

Result<Part> read_file(Cursor part, const std::string& field) {
    const auto file = part.find_set("file");
    if (!file)
        return not_carried(field, "needs a `file`");
    const std::string inner = field + ".file";
    LARDER_CHECK(expect_only(*file, inner, {"file_data", "filename"}));
    LARDER_TRY(const std::string url, read_needed(*file, "file_data", inner));
    const auto data = read_data_url(url);
    if (!data || data->media_type != "application/pdf")
        return not_carried(inner + ".file_data", "must be a PDF as data: URL in base64, for this "
                                                 "model's provider speaks another API");
    Part read = part_at(field, Part::Kind::kDocument);
    read.media_type = data->media_type;
    read.text = data->data;
    LARDER_TRY(read.name, read_text_of(*file, "filename", inner));
    return read;
}

/// The content part of `field`; a refusal is text that the assistant said.
Result<Part> read_part(Cursor part, const std::string& field, Role role) {
    LARDER_TRY(const std::string type, read_needed(part, "type", field));
    const bool is_refusal = type == "refusal" && role == Role::kAssistant;
    Part read = part_at(field, Part::Kind::kText);
    if (type == "text" || is_refusal) {
        LARDER_CHECK(expect_only(part, field, {"type", type, "cache_control"}));
        LARDER_TRY(read.text, read_needed(part, type, field));
    } else if (type == "image_url" && role == Role::kUser) {
        LARDER_CHECK(expect_only(part, field, {"type", "image_url", "cache_control"}));
        LARDER_TRY(read, read_image(part, field));
    } else if (type == "file" && role == Role::kUser) {
        LARDER_CHECK(expect_only(part, field, {"type", "file", "cache_control"}));
        LARDER_TRY(read, read_file(part, field));
    } else {
        return not_carried(field + (part.find(type) ? "." + type : ".type"));
    }
    if (const auto mark = part.find_set("cache_control"))
        read.cache_control = mark->raw();
    return read;
}

Result<void> read_content(Cursor message, const std::string& field, Role role,
                          std::vector<Part>& out) {
    const auto content = message.find_set("content");
    if (!content)
        return {};
    const std::string inner = field + ".content";
    if (content->is_string()) {
        out.push_back(part_at(inner, Part::Kind::kText));
        out.back().text = content->string();
        return {};
    }
    if (!content->is_array())
        return wrong_type(inner, "a string or an array");
    std::size_t index = 0;
    for (const Cursor part : content->elements()) {
        LARDER_TRY(Part read, read_part(part, element_of(inner, index++), role));
        out.push_back(std::move(read));
    }
    return {};
}

Result<Part> read_detail(Cursor detail, const std::string& field) {
    LARDER_TRY(const std::string type, read_needed(detail, "type", field));
    LARDER_CHECK(
        expect_only(detail, field, {"type", "text", "data", "signature", "index", "format", "id"}));
    if (type == "reasoning.encrypted") {
        Part read = part_at(field, Part::Kind::kRedactedThinking);
        LARDER_TRY(read.text, read_needed(detail, "data", field));
        return read;
    }
    if (type != "reasoning.text")
        return not_carried(field + ".type");
    Part read = part_at(field, Part::Kind::kThinking);
    LARDER_TRY(read.text, read_text_of(detail, "text", field));
    LARDER_TRY(read.signature, read_text_of(detail, "signature", field));
    return read;
}

/// `reasoning_details` hold all that the two text members beside them say.
Result<void> read_reasoning(Cursor message, const std::string& field, std::vector<Part>& out) {
    if (const auto details = message.find_set("reasoning_details")) {
        if (!details->is_array())
            return wrong_type(field + ".reasoning_details", "an array");
        std::size_t index = 0;
        for (const Cursor detail : details->elements()) {
            LARDER_TRY(Part read,
                       read_detail(detail, element_of(field + ".reasoning_details", index++)));
            out.push_back(std::move(read));
        }
        if (index > 0)
            return {};
    }
    for (const std::string_view name : {"reasoning_content", "reasoning"}) {
        const auto member = message.find_set(name);
        if (!member || is_blank(*member))
            continue;
        Part read = part_at(member_of(field, name), Part::Kind::kThinking);
        LARDER_TRY(read.text, read_text(*member, read.field));
        if (out.empty())
            out.push_back(std::move(read));
        else if (out.front().text != read.text)
            return not_carried(read.field, "says something else than `reasoning_content`");
    }
    return {};
}

Result<Part> read_call(Cursor call, const std::string& field) {
    LARDER_CHECK(expect_only(call, field, {"id", "type", "function", "index"}));
    if (const auto type = call.find_set("type"); type && !type->equals("function"))
        return not_carried(field + ".type");
    const auto function = call.find_set("function");
    if (!function)
        return not_carried(field, "needs a `function`");
    const std::string inner = field + ".function";
    LARDER_CHECK(expect_only(*function, inner, {"name", "arguments"}));
    Part read = part_at(field, Part::Kind::kToolCall);
    LARDER_TRY(read.id, read_needed(call, "id", field));
    LARDER_TRY(read.name, read_needed(*function, "name", inner));
    LARDER_TRY(read.json, read_text_of(*function, "arguments", inner));
    if (read.json.find_first_not_of(" \t\r\n") == std::string::npos)
        read.json = "{}";
    const auto parsed = json::parse(read.json, {.depth = kMostArgumentDepth});
    if (!parsed || !parsed->root().is(json::Kind::kObject))
        return not_carried(inner + ".arguments", "must be a JSON object as text, for this model's "
                                                 "provider speaks another API");
    read.json = std::string(parsed->root().raw()); // less white space around it
    return read;
}

Result<void> read_calls(Cursor message, const std::string& field, std::vector<Part>& out) {
    const auto calls = message.find_set("tool_calls");
    if (!calls)
        return {};
    const std::string inner = field + ".tool_calls";
    if (!calls->is_array())
        return wrong_type(inner, "an array");
    std::size_t index = 0;
    for (const Cursor call : calls->elements()) {
        LARDER_TRY(Part read, read_call(call, element_of(inner, index++)));
        out.push_back(std::move(read));
    }
    return {};
}

/// What an SDK's answer holds that is empty in most of them, and is refused when it isn't.
Result<void> expect_blank(Cursor message, const std::string& field,
                          std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        const auto member = message.find_set(name);
        if (member && !is_blank(*member))
            return not_carried(member_of(field, name));
    }
    return {};
}

Result<Turn> read_assistant(Cursor message, const std::string& field) {
    LARDER_CHECK(expect_only(message, field,
                             {"role", "content", "refusal", "tool_calls", "reasoning_content",
                              "reasoning", "reasoning_details", "name", "audio", "annotations",
                              "function_call", "cache_control"}));
    LARDER_CHECK(expect_blank(message, field, {"name", "audio", "annotations", "function_call"}));
    Turn turn{.role = Role::kAssistant, .field = field, .parts = {}};
    LARDER_CHECK(read_reasoning(message, field, turn.parts));
    LARDER_CHECK(read_content(message, field, Role::kAssistant, turn.parts));
    if (const auto refusal = message.find_set("refusal"); refusal && !is_blank(*refusal)) {
        Part said = part_at(field + ".refusal", Part::Kind::kText);
        LARDER_TRY(said.text, read_text(*refusal, said.field));
        turn.parts.push_back(std::move(said));
    }
    LARDER_CHECK(read_calls(message, field, turn.parts));
    if (turn.parts.empty())
        return not_carried(field, "needs a `content` or `tool_calls`");
    return turn;
}

/// Its `name` is the tool's, which the call's id says already.
Result<Turn> read_tool_result(Cursor message, const std::string& field) {
    LARDER_CHECK(
        expect_only(message, field, {"role", "content", "tool_call_id", "name", "cache_control"}));
    Part result = part_at(field, Part::Kind::kToolResult);
    LARDER_TRY(result.id, read_needed(message, "tool_call_id", field));
    LARDER_CHECK(read_content(message, field, Role::kSystem, result.parts));
    Turn turn{.role = Role::kUser, .field = field, .parts = {}};
    turn.parts.push_back(std::move(result));
    return turn;
}

Result<Turn> read_plain(Cursor message, const std::string& field, Role role) {
    LARDER_CHECK(expect_only(message, field, {"role", "content", "name", "cache_control"}));
    LARDER_CHECK(expect_blank(message, field, {"name"}));
    Turn turn{.role = role, .field = field, .parts = {}};
    LARDER_CHECK(read_content(message, field, role, turn.parts));
    if (turn.parts.empty())
        return not_carried(field, "needs a `content`");
    return turn;
}

Result<Turn> read_message(Cursor message, const std::string& field) {
    LARDER_TRY(const std::string role, read_needed(message, "role", field));
    if (role == "user")
        return read_plain(message, field, Role::kUser);
    if (role == "system" || role == "developer")
        return read_plain(message, field, Role::kSystem);
    if (role == "assistant")
        return read_assistant(message, field);
    if (role == "tool")
        return read_tool_result(message, field);
    return not_carried(field + ".role");
}

} // namespace

Result<void> read_chat_turns(Cursor messages, const std::string& field, Conversation& out) {
    if (!messages.is_array())
        return wrong_type(field, "an array");
    std::size_t index = 0;
    for (const Cursor message : messages.elements()) {
        const std::string own = element_of(field, index++);
        if (!message.is_object())
            return wrong_type(own, "an object");
        LARDER_TRY(Turn turn, read_message(message, own));
        // A mark of the whole message, as some clients write it, is one of its last part.
        if (const auto mark = message.find_set("cache_control"))
            turn.parts.back().cache_control = mark->raw();
        out.turns.push_back(std::move(turn));
    }
    return {};
}

} // namespace larder::convert
