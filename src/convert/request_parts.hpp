// What the readers and writers of requests share: refusals that name the client's own field,
// checked scalars, and tables of an API's top-level members; and JSON text, for writers of answers
// too. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "convert/conversation.hpp"
#include "protocol/cursor.hpp"

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace larder::convert {

std::unexpected<Error> not_carried(std::string field);
/// `why` goes on from the field's name: "`stop` ".
std::unexpected<Error> not_carried(std::string field, std::string_view why);
std::unexpected<Error> wrong_type(std::string field, std::string_view expected);

/// "messages[3]", "tools[1].type".
std::string element_of(std::string_view field, std::size_t index);
std::string member_of(std::string_view field, std::string_view name);

Result<std::string> read_text(protocol::Cursor value, const std::string& field);
Result<bool> read_flag(protocol::Cursor value, const std::string& field);
/// The number as it is spelled.
Result<std::string> read_number(protocol::Cursor value, const std::string& field);
Result<std::string> read_whole_number(protocol::Cursor value, const std::string& field);
/// Of a member that may be absent.
Result<std::string> read_text_of(protocol::Cursor object, std::string_view name,
                                 const std::string& field);
Result<std::optional<bool>> read_flag_of(protocol::Cursor object, std::string_view name,
                                         const std::string& field);
/// The text of a member that must be there.
Result<std::string> read_needed(protocol::Cursor object, std::string_view name,
                                const std::string& field);
/// Refuses what is no object, and the first member that is set and isn't `known`.
Result<void> expect_only(protocol::Cursor object, const std::string& field,
                         std::initializer_list<std::string_view> known);
/// Whether the value means nothing: false, 0, "", [], {}.
bool is_blank(protocol::Cursor value);

/// A top-level member of an API.
struct MemberRule {
    std::string_view name;
    /// The member of Conversation that a writer may have to refuse; empty: none.
    std::string_view target;
    Result<void> (*read)(protocol::Cursor value, const std::string& field, Conversation& out);
};
std::span<const MemberRule> chat_members();
std::span<const MemberRule> messages_members();

/// Reads each member that is set by its rule; one without a rule is refused.
Result<void> read_by_rules(protocol::Cursor root, std::span<const MemberRule> rules,
                           Conversation& out);

/// Rules that many members share.
Result<void> ignore_member(protocol::Cursor value, const std::string& field, Conversation& out);
Result<void> refuse_member(protocol::Cursor value, const std::string& field, Conversation& out);
/// Refused unless it is false, 0 or empty.
Result<void> refuse_unless_blank(protocol::Cursor value, const std::string& field,
                                 Conversation& out);
template <std::string Conversation::* kMember>
Result<void> read_number_member(protocol::Cursor value, const std::string& field,
                                Conversation& out) {
    LARDER_TRY(out.*kMember, read_number(value, field));
    return {};
}
template <std::string Conversation::* kMember>
Result<void> read_whole_member(protocol::Cursor value, const std::string& field,
                               Conversation& out) {
    LARDER_TRY(out.*kMember, read_whole_number(value, field));
    return {};
}
Result<void> read_stream_flag(protocol::Cursor value, const std::string& field, Conversation& out);
/// Anthropic's `thinking`, which chat clients of Claude send too.
Result<void> read_thinking(protocol::Cursor value, const std::string& field, Conversation& out);

/// The client's own name of a member of Conversation.
std::string client_name_of(const Conversation& conversation, std::string_view target);
std::unexpected<Error> refused(const Conversation& conversation, std::string_view target);
/// Refuses the conversation's last turn when it is an assistant's: one API goes on with its text,
/// the other answers it.
Result<void> check_last_turn(const Conversation& conversation);

/// Appends `,"name":"text"`, without the comma after an opening brace.
void append_string_member(std::string& out, std::string_view name, std::string_view text);
/// Whether the parts are one text that can stand as a plain string.
bool is_plain_text(std::span<const Part* const> parts);
/// The text as JSON string.
std::string quoted(std::string_view text);
/// The texts as JSON array of strings.
std::string array_of(std::span<const std::string> texts);
/// The schema with the format's description in it, for an API that has no other place for that.
std::string described_schema(const ResponseFormat& format);

} // namespace larder::convert
