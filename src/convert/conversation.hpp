// What a request means, whatever dialect it was said in: filled by one reader, written by one
// writer. It owns all that it holds. Pure.
#pragma once

#include "base/result.hpp"
#include "protocol/cursor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::convert {

/// One piece of a turn. `field` is where the client wrote it, for refusals.
struct Part {
    enum class Kind : std::uint8_t {
        kText,
        kImage,            // `media_type` and base64 in `text`, or an address in `url`
        kDocument,         // likewise (PDF); `name` is its file name or title
        kThinking,         // `text` with its `signature`
        kRedactedThinking, // `text` is opaque
        kToolCall,         // `id`, `name`, `json` is the arguments object
        kToolResult,       // `id` of the call, `parts`, `is_error`
    };
    Kind kind = Kind::kText;
    std::string field;
    std::string text;
    std::string media_type;
    std::string url;
    std::string signature;
    std::string id;
    std::string name;
    std::string json;
    std::string cache_control; // Anthropic's, raw JSON; empty: none
    std::vector<Part> parts;
    bool is_error = false;
};

enum class Role : std::uint8_t { kSystem, kUser, kAssistant };

struct Turn {
    Role role = Role::kUser;
    std::string field;
    std::vector<Part> parts;
};

struct Tool {
    std::string field;
    std::string name;
    std::string description;
    std::string parameters; // JSON Schema, raw as it came; empty: none
    std::string cache_control;
    std::optional<bool> strict;
};

struct ToolChoice {
    enum class Kind : std::uint8_t { kAuto, kNone, kAny, kNamed };
    Kind kind = Kind::kAuto;
    std::string name;
};

/// What the answer's text must be.
struct ResponseFormat {
    enum class Kind : std::uint8_t { kText, kJson, kSchema };
    Kind kind = Kind::kText;
    std::string name;
    std::string description;
    std::string schema; // raw JSON
    std::optional<bool> strict;
};

struct Thinking {
    enum class Kind : std::uint8_t { kUnset, kOff, kBudget, kEffort, kAdaptive };
    Kind kind = Kind::kUnset;
    std::int64_t budget_tokens = 0;
    std::string effort; // minimal, low, medium, high, …
};

/// A number is kept as the client spelled it.
struct Conversation {
    std::vector<Turn> turns;
    std::vector<Tool> tools;
    std::optional<ToolChoice> tool_choice;
    std::optional<bool> parallel_tool_calls;
    ResponseFormat format;
    Thinking thinking;
    std::vector<std::string> stop;
    std::string max_tokens; // empty: unset; likewise below
    std::string temperature;
    std::string top_p;
    std::string top_k;
    std::string seed;
    std::string frequency_penalty;
    std::string presence_penalty;
    std::string user; // who the end user is: `user`, metadata.user_id
    std::string service_tier;
    bool stream = false;
    bool logprobs = false;
    std::string top_logprobs;
    std::string choices; // OpenAI's n
    /// Where the client wrote each of the members above that a writer may have to refuse: name of
    /// the member here, the client's own name.
    std::vector<std::pair<std::string_view, std::string>> fields;
};

/// A member that the reader doesn't know, or that means nothing outside its own API, is refused by
/// the reader: kInvalidRequest with its name as `field`.
Result<Conversation> read_chat(protocol::Cursor root);
Result<Conversation> read_messages(protocol::Cursor root);
/// The /llm dialect: what a client adds to its own members is read by chat's names.
Result<Conversation> read_llm(protocol::Cursor root);

Result<std::string> write_chat(const Conversation& conversation, std::string_view model);
Result<std::string> write_messages(const Conversation& conversation, std::string_view model);
Result<std::string> write_gemini(const Conversation& conversation, std::string_view model);

} // namespace larder::convert
