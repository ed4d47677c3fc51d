// Refusals, scalars and member tables of requests.
#include "convert/request_parts.hpp"

#include "base/json.hpp"

#include <algorithm>
#include <cmath>

namespace larder::convert {

using protocol::Cursor;
using protocol::Member;

std::unexpected<Error> not_carried(std::string field, std::string_view why) {
    std::string message = "`" + field + "` " + std::string(why);
    return fail_field(std::move(field), std::move(message));
}

std::unexpected<Error> not_carried(std::string field) {
    return not_carried(std::move(field),
                       "can't be carried over: this model's provider speaks another API");
}

std::unexpected<Error> wrong_type(std::string field, std::string_view expected) {
    return not_carried(std::move(field), "must be " + std::string(expected));
}

std::string element_of(std::string_view field, std::size_t index) {
    return std::string(field) + "[" + std::to_string(index) + "]";
}

std::string member_of(std::string_view field, std::string_view name) {
    std::string out(field);
    out += out.empty() ? "" : ".";
    return out.append(name);
}

Result<std::string> read_text(Cursor value, const std::string& field) {
    if (!value.is_string())
        return wrong_type(field, "a string");
    return value.string();
}

Result<bool> read_flag(Cursor value, const std::string& field) {
    const auto flag = value.value().as_bool();
    if (!flag)
        return wrong_type(field, "true or false");
    return *flag;
}

Result<std::string> read_number(Cursor value, const std::string& field) {
    const auto number = value.value().as_double();
    if (!value.is(json::Kind::kNumber) || !number || !std::isfinite(*number))
        return wrong_type(field, "a number");
    return std::string(value.raw());
}

Result<std::string> read_whole_number(Cursor value, const std::string& field) {
    if (!value.is(json::Kind::kNumber) || !value.value().as_int())
        return wrong_type(field, "a whole number");
    return std::string(value.raw());
}

Result<std::string> read_text_of(Cursor object, std::string_view name, const std::string& field) {
    const auto value = object.find_set(name);
    return value ? read_text(*value, member_of(field, name)) : std::string();
}

Result<std::optional<bool>> read_flag_of(Cursor object, std::string_view name,
                                         const std::string& field) {
    const auto value = object.find_set(name);
    if (!value)
        return std::optional<bool>();
    LARDER_TRY(const bool flag, read_flag(*value, member_of(field, name)));
    return std::optional(flag);
}

Result<std::string> read_needed(Cursor object, std::string_view name, const std::string& field) {
    const auto value = object.find_set(name);
    if (!value)
        return not_carried(field, "needs a `" + std::string(name) + "`");
    return read_text(*value, member_of(field, name));
}

Result<void> expect_only(Cursor object, const std::string& field,
                         std::initializer_list<std::string_view> known) {
    if (!object.is_object())
        return wrong_type(field, "an object");
    for (const Member& member : object.members()) {
        if (!member.value.is_null() && std::ranges::find(known, member.name) == known.end())
            return not_carried(member_of(field, member.name));
    }
    return {};
}

bool is_blank(Cursor value) {
    switch (value.kind()) {
    case json::Kind::kNull:
    case json::Kind::kFalse:
        return true;
    case json::Kind::kTrue:
        return false;
    case json::Kind::kNumber:
        return value.value().as_double() == 0.0;
    case json::Kind::kString:
        return value.characters().empty();
    case json::Kind::kArray:
    case json::Kind::kObject:
        return value.size() == 0;
    }
    return false;
}

Result<void> read_by_rules(Cursor root, std::span<const MemberRule> rules, Conversation& out) {
    if (!root.is_object())
        return fail(ErrorCode::kInvalidRequest, "the body must be a JSON object");
    for (const Member& member : root.members()) {
        if (member.value.is_null())
            continue;
        const std::string name(member.name);
        const auto rule = std::ranges::find(rules, member.name, &MemberRule::name);
        if (rule == rules.end())
            return not_carried(name);
        if (!rule->target.empty())
            out.fields.emplace_back(rule->target, name);
        LARDER_CHECK(rule->read(member.value, name, out));
    }
    if (out.turns.empty())
        return fail_field("messages", "`messages` must not be empty");
    return {};
}

Result<void> ignore_member(Cursor, const std::string&, Conversation&) {
    return {};
}

Result<void> refuse_member(Cursor, const std::string& field, Conversation&) {
    return not_carried(field);
}

Result<void> refuse_unless_blank(Cursor value, const std::string& field, Conversation&) {
    if (!is_blank(value))
        return not_carried(field);
    return {};
}

Result<void> read_stream_flag(Cursor value, const std::string& field, Conversation& out) {
    LARDER_TRY(out.stream, read_flag(value, field));
    return {};
}

Result<void> read_thinking(Cursor value, const std::string& field, Conversation& out) {
    LARDER_CHECK(expect_only(value, field, {"type", "budget_tokens", "display"}));
    if (out.thinking.kind != Thinking::Kind::kUnset)
        return not_carried(field, "stands beside another member that says the same");
    LARDER_TRY(const std::string type, read_needed(value, "type", field));
    if (const auto display = value.find_set("display"); display && !display->equals("summarized"))
        return not_carried(field + ".display");
    const auto budget = value.find_set("budget_tokens");
    if (type == "enabled") {
        const auto tokens = budget ? budget->value().as_int() : std::nullopt;
        if (!tokens)
            return not_carried(field, "needs `budget_tokens`, a whole number");
        constexpr std::int64_t kLeastBudget = 1024;
        constexpr std::int64_t kMostBudget = 1'000'000'000;
        if (*tokens < kLeastBudget || *tokens > kMostBudget)
            return not_carried(field + ".budget_tokens", "must be between 1024 and 1000000000");
        out.thinking.kind = Thinking::Kind::kBudget;
        out.thinking.budget_tokens = *tokens;
        return {};
    }
    if (budget)
        return not_carried(field + ".budget_tokens", "goes with the type `enabled` only");
    if (type != "disabled" && type != "adaptive")
        return wrong_type(field + ".type", "enabled, adaptive or disabled");
    out.thinking.kind = type == "disabled" ? Thinking::Kind::kOff : Thinking::Kind::kAdaptive;
    return {};
}

std::string client_name_of(const Conversation& conversation, std::string_view target) {
    for (const auto& [name, field] : conversation.fields) {
        if (name == target)
            return field;
    }
    return std::string(target);
}

std::unexpected<Error> refused(const Conversation& conversation, std::string_view target) {
    return not_carried(client_name_of(conversation, target));
}

Result<void> check_last_turn(const Conversation& conversation) {
    const Turn& last = conversation.turns.back();
    if (last.role != Role::kAssistant)
        return {};
    return not_carried(last.field, "is the last message and the assistant's: this model's "
                                   "provider speaks another API, which treats it otherwise");
}

void append_string_member(std::string& out, std::string_view name, std::string_view text) {
    if (!out.ends_with('{'))
        out += ',';
    json::write_string(out, name);
    out += ':';
    json::write_string(out, text);
}

bool is_plain_text(std::span<const Part* const> parts) {
    return parts.size() == 1 && parts.front()->kind == Part::Kind::kText &&
           parts.front()->cache_control.empty();
}

std::string quoted(std::string_view text) {
    std::string out;
    json::write_string(out, text);
    return out;
}

std::string array_of(std::span<const std::string> texts) {
    std::string out = "[";
    for (const std::string& text : texts)
        out.append(out.size() > 1 ? "," : "").append(quoted(text));
    return out + "]";
}

std::string described_schema(const ResponseFormat& format) {
    const auto schema = json::parse(format.schema);
    if (format.description.empty() || !schema || !schema->root().is(json::Kind::kObject) ||
        schema->root().find("description"))
        return format.schema;
    json::Patch patch;
    patch.add_member(schema->root(), "description", quoted(format.description));
    return patch.apply(format.schema);
}

} // namespace larder::convert
