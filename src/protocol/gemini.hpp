// What Gemini's answers say in figures and reasons, for all who read them. Pure, any thread.
#pragma once

#include "llm/usage.hpp"
#include "protocol/cursor.hpp"
#include "protocol/protocol.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace larder::protocol {

/// A candidate's finishReason as it is written; also as the number that
/// `$alt=json;enum-encoding=int` gives. Empty: none yet.
std::string gemini_finish_reason(Cursor candidate);
Finish gemini_finish(std::string_view reason);
/// `usageMetadata`: thoughts and the prompts of tools stand beside the counts that they belong to.
/// nullopt where it says nothing of the prompt.
std::optional<llm::Usage> gemini_usage(Cursor usage);
/// Why the prompt was refused (promptFeedback.blockReason); empty: it was not.
std::string gemini_block_reason(Cursor root);
/// Whether the part is of the model's thoughts.
bool is_gemini_thought(Cursor part);
/// The parts of a candidate's content; nullopt: none.
std::optional<Cursor> gemini_parts(Cursor candidate);
/// The failure that a body or an event tells: {"error": …}, also in an array. nullopt: none.
std::optional<Cursor> gemini_error(Cursor root);

} // namespace larder::protocol
