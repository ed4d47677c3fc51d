// The messages of a chat request as turns. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "convert/conversation.hpp"
#include "protocol/cursor.hpp"

#include <string>

namespace larder::convert {

/// One turn a message; a tool's result is a turn of the user's.
Result<void> read_chat_turns(protocol::Cursor messages, const std::string& field,
                             Conversation& out);

} // namespace larder::convert
