// Between protocols: a client's request for a provider that speaks another dialect, and that
// provider's answers back, plain and streamed. By way of what both mean (conversation.hpp,
// reply.hpp), so that each dialect is read once and written once. Pure, any thread.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "http/sse.hpp"
#include "protocol/protocol.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace larder::convert {

using protocol::Dialect;

/// Whether a client of `from` can be served by a provider of `to`, where these differ: chat to
/// messages and back, chat, messages and /llm to Gemini.
bool can_convert(Dialect from, Dialect to);

/// The request in the provider's dialect. Everything that it can't carry is an Error whose `field`
/// is the client's own name for it ("messages[2].content[0].input_audio", "n"): nothing is dropped
/// in silence. The same meaning gives the same bytes, so that two client dialects share an entry.
Result<std::string> write_request(Dialect from, const json::Document& body, Dialect to,
                                  const protocol::Call& call, std::string_view model);

/// A provider's whole plain answer of status 200 in the dialect of the client.
/// kProviderUnreadable; kProviderRejected for an error that it tells.
Result<std::string> write_answer(Dialect from, std::string_view plain_body, Dialect to);

/// A stream of the provider, event by event, in the dialect of the client: whole SSE events, with
/// every upstream byte inside a JSON string, a number that was read, or raw JSON that was parsed
/// and written compact. One thread at a time.
class StreamConverter {
public:
    virtual ~StreamConverter() = default;
    /// Appends what the client gets for it. Fails as write_answer does.
    virtual Result<void> convert(const http::SseEvent& event, std::string& out) = 0;
    /// Appends what ends the client's stream, after the provider's whole answer; once.
    virtual void finish(std::string& out) = 0;
};
/// `include_usage`: whether an OpenAI client asked for the last chunk with usage.
std::unique_ptr<StreamConverter> make_stream_converter(Dialect from, Dialect to,
                                                       bool include_usage);

} // namespace larder::convert
