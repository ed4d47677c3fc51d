// What the files that read and write requests share. Pure, any thread.
#pragma once

#include "protocol/cursor.hpp"
#include "protocol/protocol.hpp"

#include <optional>
#include <string_view>

namespace larder::protocol {

/// The members of the /llm dialect where they are set (a null counts as absent).
struct LlmMembers {
    std::optional<Cursor> prompt;
    std::optional<Cursor> messages;
    std::optional<Cursor> model;
    std::optional<Cursor> routing_mode;
    std::optional<Cursor> provider;
    std::optional<Cursor> system;
    std::optional<Cursor> temperature;
    std::optional<Cursor> max_tokens;
    std::optional<Cursor> stream;

    /// Where a member of that name belongs; nullptr for one that the dialect does not know.
    std::optional<Cursor>* slot(std::string_view name);
    static LlmMembers read(Cursor root);
};

/// Why a request with this member must not be answered from a cache; empty: no reason.
std::string_view bypass_reason(Dialect dialect, std::string_view name, Cursor value);
/// A request of the /llm dialect in the terms of OpenAI's chat completions.
Result<std::string> write_openai_from_llm(Cursor root, const Call& call, std::string_view model,
                                          bool ask_usage);
/// A request of the /llm dialect in the terms of Anthropic's messages.
Result<std::string> write_anthropic_from_llm(Cursor root, const Call& call, std::string_view model);

} // namespace larder::protocol
