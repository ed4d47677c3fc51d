// The turns of a conversation as Gemini's `systemInstruction` and `contents`. Pure, any thread.
#pragma once

#include "convert/conversation.hpp"

#include <string>
#include <string_view>

namespace larder::convert {

/// Appends both members, `contents` last, each with a comma after it where another member follows.
/// Neighbouring turns of one role are one content, as Gemini wants the results of parallel calls.
Result<void> append_gemini_turns(std::string& out, const Conversation& conversation,
                                 std::string_view model);

/// Whether it is gemini-3 or a later one: these are steered by a level of thinking, and refuse a
/// tool call of the current turn without a signature.
bool is_gemini_3_or_later(std::string_view model);

} // namespace larder::convert
