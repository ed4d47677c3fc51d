// The messages of an Anthropic request, read as turns and written. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "convert/conversation.hpp"
#include "protocol/cursor.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace larder::convert {

/// One turn a message.
Result<void> read_messages_turns(protocol::Cursor messages, const std::string& field,
                                 Conversation& out);
/// A content: a string, or blocks that a message of `role` may hold.
Result<void> read_message_content(protocol::Cursor content, const std::string& field, Role role,
                                  std::vector<Part>& out);

/// Appends `system` and `messages`. A system message that comes later than the first other one goes
/// to models that take it, after a user's turn; else it is refused.
Result<void> append_messages_turns(std::string& out, const Conversation& conversation,
                                   std::string_view model);

} // namespace larder::convert
