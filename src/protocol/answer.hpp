// What the files that read and write answers share. Pure, any thread.
#pragma once

#include "protocol/cursor.hpp"
#include "protocol/protocol.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace larder::protocol {

Finish openai_finish(std::string_view reason);
Finish anthropic_finish(std::string_view reason);
/// The one that is further from a whole answer.
Finish worse_of(Finish a, Finish b);

/// An OpenAI `usage` object; nullopt where it says nothing.
std::optional<llm::Usage> openai_usage(Cursor usage);
/// An Anthropic `usage` object; nullopt where it says nothing.
std::optional<llm::Usage> anthropic_usage(Cursor usage);

/// Lets go of the text, and counts it.
void forget_text(Answer& answer);
/// Appends the text of a content: a string, or the text parts of an array.
void append_text_of(std::string& out, Cursor content);
/// Whether a message, or a delta of one, calls a tool or the older function.
bool calls_tool(Cursor message);

/// The failure that an `error` member or an error event tells, its message masked.
std::unexpected<Error> provider_error(Cursor error);

Result<Answer> read_openai_answer(Cursor root);
Result<Answer> read_anthropic_answer(Cursor root);
Result<Answer> read_responses_answer(Cursor root);
Result<Answer> read_gemini_answer(Cursor root);
Result<std::string> openai_plain_to_stream(Cursor root, bool include_usage);
Result<std::string> responses_plain_to_stream(Cursor root);
Result<std::string> anthropic_plain_to_stream(Cursor root);
std::unique_ptr<StreamReader> make_openai_stream_reader();
std::unique_ptr<StreamReader> make_anthropic_stream_reader();
std::unique_ptr<StreamReader> make_responses_stream_reader();
std::unique_ptr<StreamReader> make_gemini_stream_reader();

/// Appends JSON without the white space between its tokens: it must stand on one line of a stream.
void append_compact(std::string& out, std::string_view raw);
/// Appends `,"name":value`, compact, without the comma after an opening brace.
void append_member(std::string& out, std::string_view name, std::string_view raw);

} // namespace larder::protocol
