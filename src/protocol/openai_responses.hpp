// What the files that read and write OpenAI's responses share. Pure, any thread.
#pragma once

#include "protocol/answer.hpp"

#include <optional>

namespace larder::protocol {

/// A `usage` object of the Responses API; nullopt where it says nothing.
std::optional<llm::Usage> responses_usage(Cursor usage);
/// Whether this says that it is a response. Such a one may carry the `error` that it failed of, and
/// is an answer all the same.
bool is_response(Cursor root);

} // namespace larder::protocol
