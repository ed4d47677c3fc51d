// Answers in the providers' wire form, made from a seed for what was never recorded; errors in
// their shape; and streams cut into events. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "protocol/protocol.hpp"
#include "replay/exchange_store.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::replay {

struct AnswerOptions {
    std::string model;
    std::string text;
    std::string finish; // empty: the API's ordinary one
    std::string id;
    std::size_t prompt_tokens = 1;
    std::size_t output_tokens = 1;
    bool usage = true;
};

/// The text in pieces of a word or so, as models send it.
std::vector<std::string_view> pieces_of(std::string_view text);

/// Words, the same ones for the same seed.
std::string made_up_text(std::string_view seed, std::size_t words);

/// Text, id and usage for a request body: the same ones for the same body, whatever its form.
AnswerOptions made_up_answer(protocol::Dialect dialect, json::Value body);

std::string plain_answer(protocol::Dialect dialect, const AnswerOptions& options);
/// Whole SSE bytes; OpenAI's usage chunk only where `include_usage`.
std::string stream_answer(protocol::Dialect dialect, const AnswerOptions& options,
                          bool include_usage);
/// { "error": … } in the API's shape.
std::string error_answer(protocol::Dialect dialect, int status, std::string_view message);
/// An error event within a stream.
std::string error_event(protocol::Dialect dialect, std::string_view message);

/// The body of a recorded answer in the form that is wanted now.
Result<std::string> in_form(const Recorded& recorded, bool stream, bool include_usage);

/// The bytes of a stream, event by event; joined they are `bytes` again. Lines end in LF, CRLF or
/// CR.
std::vector<std::string_view> split_events(std::string_view bytes);

} // namespace larder::replay
