// What of a provider's reply comes through to clients: fields from an allow-list, and error texts
// without keys. Pure but for `read_whole`.
#pragma once

#include "base/budget.hpp"
#include "http/message.hpp"
#include "http/sse.hpp"
#include "provider/caller.hpp"

#include <string>
#include <string_view>

namespace larder::gateway {

inline constexpr std::size_t kLargestError = 1ULL << 20;

/// `request-id`, `x-request-id`, `x-should-retry`, `openai-*`, `anthropic-*`, and with an error
/// `retry-after` and `retry-after-ms`; names in lower case.
http::OwnedFields kept_fields(const http::Fields& fields, int status);

/// An error text without anything that looks like a key, and without the provider's own.
std::string masked(const provider::Provider& provider, std::string_view text);
/// The same for a body: inside JSON also where a key is escaped.
std::string masked_body(const provider::Provider& provider, std::string_view body);

/// The same for an event of a stream, written anew.
std::string masked_event(const provider::Provider& provider, const http::SseEvent& event);

/// The words of a provider's error, wherever its shape has them; empty: it says none.
std::string provider_message(std::string_view body);

bool is_json(std::string_view content_type); // also none
bool is_event_stream(std::string_view content_type);

/// Reads a whole body. kProviderUnreadable beyond `most` bytes; kOverloaded; the call's own.
Task<Result<std::string>> read_whole(provider::ProviderCall& call, BudgetShare& share,
                                     std::size_t most);

} // namespace larder::gateway
