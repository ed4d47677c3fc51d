// The only table from an Error to a status and a body, in each API's own shape. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "http/server.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace larder::api {

/// Whose shape an error takes.
/// OpenAI's responses have an error event of their own.
enum class Style : std::uint8_t { kLlm, kOpenAi, kOpenAiResponses, kAnthropic };

[[nodiscard]] int status_of(const Error& error);
/// The contract's `code` for it: "invalid_request".
[[nodiscard]] std::string_view name_of(ErrorCode code);

/// kLlm: { "error", "code", "requestId", "field"?, "position"? }; kOpenAi: { "error": { "message",
/// "type", "param", "code" } }; kAnthropic: { "type": "error", "error": { "type", "message" },
/// "request_id" }.
std::string error_body(Style style, const Error& error, std::string_view request_id);
http::Response error_response(Style style, const Error& error, std::string_view request_id);

/// The refusal of a limit: the contract's body under /llm, the API's own elsewhere. The headers are
/// the limiter's.
http::Response rate_limited_response(Style style, std::string_view message,
                                     std::int64_t retry_after_s, std::string_view request_id);

/// What a provider refused, for a client of the same API: its status and body as they are; for one
/// of another API that one's shape with its message; under /llm the contract's.
http::Response provider_error_response(Style style, bool same_api, int status,
                                       std::string_view body, std::string_view content_type,
                                       std::string_view provider, std::string_view request_id);

/// The same as an event, for a stream that has begun.
std::string provider_error_event(Style style, bool same_api, int status, std::string_view body,
                                 std::string_view provider, std::string_view request_id);

/// The event that ends a stream which broke after its first byte.
std::string error_event(Style style, const Error& error, std::string_view request_id);

} // namespace larder::api
