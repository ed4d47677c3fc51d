// Messages of Anthropic's API, block by block. What has no counterpart in a conversation is
// refused.
#include "convert/messages_turns.hpp"

#include "convert/request_parts.hpp"

namespace larder::convert {
namespace {

using protocol::Cursor;

/// An image's or a PDF's: in base64, or an address.
Result<void> read_source(Cursor block, const std::string& field, Part& out) {
    const auto source = block.find_set("source");
    if (!source)
        return not_carried(field, "needs a `source`");
    const std::string inner = field + ".source";
    LARDER_TRY(const std::string type, read_needed(*source, "type", inner));
    if (type == "base64") {
        LARDER_CHECK(expect_only(*source, inner, {"type", "media_type", "data"}));
        LARDER_TRY(out.media_type, read_needed(*source, "media_type", inner));
        LARDER_TRY(out.text, read_needed(*source, "data", inner));
        return {};
    }
    if (type != "url")
        return not_carried(inner + ".type");
    LARDER_CHECK(expect_only(*source, inner, {"type", "url"}));
    LARDER_TRY(out.url, read_needed(*source, "url", inner));
    return {};
}

Result<void> read_document(Cursor block, const std::string& field, Part& out) {
    out.kind = Part::Kind::kDocument;
    LARDER_CHECK(expect_only(block, field,
                             {"type", "source", "title", "context", "citations", "cache_control"}));
    if (const auto citations = block.find_set("citations")) {
        LARDER_CHECK(expect_only(*citations, field + ".citations", {"enabled"}));
        const auto enabled = citations->find_set("enabled");
        if (enabled && !is_blank(*enabled))
            return not_carried(field + ".citations");
    }
    if (const auto context = block.find_set("context"); context && !is_blank(*context))
        return not_carried(field + ".context");
    LARDER_TRY(out.name, read_text_of(block, "title", field));
    return read_source(block, field, out);
}

Result<void> read_tool_use(Cursor block, const std::string& field, Part& out) {
    out.kind = Part::Kind::kToolCall;
    LARDER_CHECK(
        expect_only(block, field, {"type", "id", "name", "input", "caller", "cache_control"}));
    if (const auto caller = block.find_set("caller")) {
        const auto type = caller->find_set("type");
        if (!type || !type->equals("direct"))
            return not_carried(field + ".caller");
    }
    LARDER_TRY(out.id, read_needed(block, "id", field));
    LARDER_TRY(out.name, read_needed(block, "name", field));
    const auto input = block.find_set("input");
    if (!input || !input->is_object())
        return not_carried(field, "needs an `input`, an object");
    out.json = input->raw();
    return {};
}

Result<void> read_text_block(Cursor block, const std::string& field, Part& out) {
    LARDER_CHECK(expect_only(block, field, {"type", "text", "citations", "cache_control"}));
    if (const auto citations = block.find_set("citations"); citations && !is_blank(*citations))
        return not_carried(field + ".citations");
    LARDER_TRY(out.text, read_needed(block, "text", field));
    return {};
}

Result<void> read_thinking_block(Cursor block, const std::string& field, Part& out) {
    out.kind = Part::Kind::kThinking;
    LARDER_CHECK(expect_only(block, field, {"type", "thinking", "signature"}));
    LARDER_TRY(out.text, read_needed(block, "thinking", field));
    LARDER_TRY(out.signature, read_text_of(block, "signature", field));
    return {};
}

/// A block of a message that may hold it; `is_inner` of a tool's result.
Result<Part> read_block(Cursor block, const std::string& field, Role role, bool is_inner);

Result<void> read_tool_result(Cursor block, const std::string& field, Part& out) {
    out.kind = Part::Kind::kToolResult;
    LARDER_CHECK(
        expect_only(block, field, {"type", "tool_use_id", "content", "is_error", "cache_control"}));
    LARDER_TRY(out.id, read_needed(block, "tool_use_id", field));
    LARDER_TRY(const auto is_error, read_flag_of(block, "is_error", field));
    out.is_error = is_error.value_or(false);
    const auto content = block.find_set("content");
    if (!content)
        return {};
    const std::string inner = field + ".content";
    if (content->is_string())
        return read_message_content(*content, inner, Role::kUser, out.parts);
    if (!content->is_array())
        return wrong_type(inner, "a string or an array");
    std::size_t index = 0;
    for (const Cursor piece : content->elements()) {
        LARDER_TRY(Part part, read_block(piece, element_of(inner, index++), Role::kUser, true));
        out.parts.push_back(std::move(part));
    }
    return {};
}

Result<Part> read_block(Cursor block, const std::string& field, Role role, bool is_inner) {
    LARDER_TRY(const std::string type, read_needed(block, "type", field));
    Part part;
    part.field = field;
    const bool is_users = role == Role::kUser;
    const bool is_assistants = role == Role::kAssistant;
    Result<void> read;
    if (type == "text") {
        read = read_text_block(block, field, part);
    } else if (type == "image" && is_users) {
        part.kind = Part::Kind::kImage;
        read = expect_only(block, field, {"type", "source", "cache_control"});
        if (read)
            read = read_source(block, field, part);
    } else if (type == "document" && is_users) {
        read = read_document(block, field, part);
    } else if (type == "tool_result" && is_users && !is_inner) {
        read = read_tool_result(block, field, part);
    } else if (type == "tool_use" && is_assistants) {
        read = read_tool_use(block, field, part);
    } else if (type == "thinking" && is_assistants) {
        read = read_thinking_block(block, field, part);
    } else if (type == "redacted_thinking" && is_assistants) {
        part.kind = Part::Kind::kRedactedThinking;
        LARDER_CHECK(expect_only(block, field, {"type", "data"}));
        LARDER_TRY(part.text, read_needed(block, "data", field));
    } else {
        return not_carried(field + ".type");
    }
    LARDER_CHECK(std::move(read));
    if (const auto mark = block.find_set("cache_control"))
        part.cache_control = mark->raw();
    return part;
}

Result<Role> read_role(Cursor message, const std::string& field) {
    LARDER_TRY(const std::string role, read_needed(message, "role", field));
    if (role == "user")
        return Role::kUser;
    if (role == "assistant")
        return Role::kAssistant;
    if (role == "system")
        return Role::kSystem;
    return wrong_type(field + ".role", "user, assistant or system");
}

} // namespace

Result<void> read_message_content(Cursor content, const std::string& field, Role role,
                                  std::vector<Part>& out) {
    if (content.is_string()) {
        Part part;
        part.field = field;
        part.text = content.string();
        out.push_back(std::move(part));
        return {};
    }
    if (!content.is_array())
        return wrong_type(field, "a string or an array");
    std::size_t index = 0;
    for (const Cursor block : content.elements()) {
        LARDER_TRY(Part part, read_block(block, element_of(field, index++), role, false));
        out.push_back(std::move(part));
    }
    return {};
}

Result<void> read_messages_turns(Cursor messages, const std::string& field, Conversation& out) {
    if (!messages.is_array())
        return wrong_type(field, "an array");
    std::size_t index = 0;
    for (const Cursor message : messages.elements()) {
        const std::string own = element_of(field, index++);
        LARDER_CHECK(expect_only(message, own, {"role", "content"}));
        Turn turn;
        turn.field = own;
        LARDER_TRY(turn.role, read_role(message, own));
        const auto content = message.find_set("content");
        if (!content)
            return not_carried(own, "needs a `content`");
        LARDER_CHECK(read_message_content(*content, own + ".content", turn.role, turn.parts));
        if (turn.parts.empty())
            return not_carried(own, "needs a `content`");
        out.turns.push_back(std::move(turn));
    }
    return {};
}

} // namespace larder::convert
