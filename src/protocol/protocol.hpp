// What is spoken: the /llm dialect, OpenAI's chat completions and responses, Anthropic's messages,
// Gemini's generateContent, as pure code without I/O. A dialect reads requests, writes them for a
// provider, and reads and writes answers, plain and streamed. Any thread.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "http/sse.hpp"
#include "llm/fingerprint.hpp"
#include "llm/usage.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::protocol {

/// The numbers are in kept entries: they never change.
enum class Dialect : std::uint8_t {
    kLlm = 0,
    kOpenAiChat = 1,
    kAnthropicMessages = 2,
    kOpenAiResponses = 3,
    kOpenAiEmbeddings = 4, // see embeddings.hpp; of what is here it has names and paths only
    kGemini = 5,           // providers only: no client speaks it to us
};

/// In which dialect a provider gets what a client said in `client`; `spoken` is the one that stands
/// for its API. OpenAI's also speak responses and embeddings.
Dialect upstream_dialect(Dialect client, Dialect spoken);
/// "anthropic.messages": in keys, and in what explains them.
std::string_view name_of(Dialect dialect);
/// Below the provider's base URL: "/chat/completions", "/models/gemini-2.5-pro:generateContent".
std::string path_of(Dialect upstream, std::string_view model, bool stream);

/// What the pipeline needs to know of a request.
struct Call {
    std::string
        provider;      // as the client named it; empty: to be found (only the /llm dialect has it)
    std::string model; // as the client wrote it; empty: the default
    std::string routing_mode; // likewise: fallback, load-balance, fastest or cheapest; else empty
    bool stream = false;
    bool has_temperature = false;
    double temperature = 1.0;
    bool has_tools = false;
    bool bounds_output =
        false; // the request itself set max_tokens or the like: a finish of `length` is whole then
    bool include_usage = false; // an OpenAI client asked for stream_options.include_usage
    std::string
        bypass; // why the answer may not be kept ("background", "hosted_tool", …); empty: it may
    std::size_t prompt_bytes = 0; // bytes of text that the model reads, for the estimate
};

/// Why answers of this model may not be kept (it searches the web, say); empty: they may.
std::string_view bypass_reason_of_model(std::string_view model);

/// Checks a request and reads its fields. Refuses, with `field` set: no object, a wrong type of a
/// member that the dialect knows, an empty prompt, prompt beside messages (kLlm), no model (native
/// dialects: they need one, but for a stored prompt of Responses), no messages, no input, no
/// max_tokens (Anthropic), NaN-like numbers, a negative temperature or maxTokens.
Result<Call> read_call(Dialect dialect, const json::Document& body);

/// The request as the provider gets it. Same dialect: the client's bytes, patched where `model`
/// differs from what the client wrote, and `stream_options.include_usage` is set for an OpenAI
/// stream that lacks it. From kLlm: built new (prompt → one user message; system; temperature;
/// maxTokens → max_tokens / max_completion_tokens; unknown members are carried over as they are, in
/// the provider's own names). `ask_usage`: whether this provider takes stream_options. Anthropic
/// needs max_tokens: 4096 where the client set none. Between two native dialects: see the room
/// convert.
Result<std::string> write_request(Dialect from, const json::Document& body, Dialect to,
                                  const Call& call, std::string_view model, bool ask_usage);

/// Adds the effective request to a key: the canonical body less `stream`, `stream_options`, `user`,
/// `metadata`, and `store` where it is false. Order is free in the API's own objects and kept
/// inside JSON Schemas, tool parameters and tool inputs.
void add_to_fingerprint(llm::FingerprintBuilder& key, Dialect dialect, json::Value effective_body);

/// Why an answer ended, in the terms of the cache's rule.
enum class Finish : std::uint8_t {
    kWhole,   // stop, end_turn, stop_sequence, tool_calls, tool_use, function_call
    kBounded, // length, max_tokens
    kRefused, // content_filter, refusal
    kUnknown, // anything else, or none
};

/// An answer, read from either of its forms.
struct Answer {
    std::string id;
    std::string model;                // as the provider says it
    std::string text;                 // all text of the first choice
    std::size_t forgotten_bytes = 0;  // of text that the reader was told to forget
    std::string finish_reason;        // as the provider says it
    Finish finish = Finish::kUnknown; // the worst over all choices
    bool has_tool_call = false;
    bool ended = false; // plain: it parsed as an answer; stream: the terminal event was seen
    std::optional<llm::Usage> usage; // where the provider sent it
};

/// Whether the contract lets this answer be kept: ended, some text or a tool call, a whole finish
/// (or a bounded one that the request asked for).
bool may_be_kept(const Answer& answer, const Call& call);

/// Reads a provider's plain answer of status 200. kProviderUnreadable when it is no answer of this
/// dialect; kProviderRejected for an error object under that status (its message masked).
Result<Answer> read_answer(Dialect dialect, std::string_view body);

/// Reads a provider's stream, event by event, and puts the plain answer together.
class StreamReader {
public:
    virtual ~StreamReader() = default;
    /// Takes one event; gives the text that it adds to the first choice (often empty).
    /// kProviderUnreadable for data that is not of this dialect; kProviderRejected for an error
    /// event (its message masked).
    virtual Result<std::string> read(const http::SseEvent& event) = 0;
    /// To be called when the connection's body ended cleanly between two events: some of OpenAI's
    /// look-alikes send no `[DONE]`, and their answer has `ended` when every choice has a finish
    /// reason. Changes nothing for Anthropic, whose streams always end with message_stop.
    virtual void finish_at_eof() = 0;
    /// What is known so far; `ended` once the terminal event was seen.
    [[nodiscard]] virtual const Answer& answer() const = 0;
    /// Lets go of what the answer says, but not of how it ends: its stream is too large to be kept.
    /// It has no plain form then.
    virtual void forget_content() = 0;
    /// The plain JSON answer with every field that the stream showed, also unknown ones. Only after
    /// the end.
    [[nodiscard]] virtual std::string to_plain() const = 0;
};
/// Whether an event of the stream tells a failure in a form that is the client's to see: its texts
/// may have keys in them.
bool tells_failure(Dialect dialect, const http::SseEvent& event);
/// For every dialect that a provider streams.
std::unique_ptr<StreamReader> make_stream_reader(Dialect dialect);

/// A plain answer as the stream that its API would have sent (whole SSE bytes with the terminal
/// event). `include_usage`: OpenAI's last chunk with usage.
Result<std::string> plain_to_stream(Dialect dialect, std::string_view plain_body,
                                    bool include_usage);
/// OpenAI only: the kept SSE bytes without the usage chunk, for a client that did not ask for it.
/// Others: the bytes as they are.
std::string stream_for_client(Dialect dialect, std::string_view sse_bytes, bool include_usage);
/// The same for one event on its way through: false when it must be kept from this client.
bool is_for_client(Dialect dialect, const http::SseEvent& event, bool include_usage);

/// `code` of the contract: the one fenced block, several joined by a blank line, or the whole text.
std::string extract_code(std::string_view text);

/// The figures of a reply in the /llm dialect.
struct ReplyMetadata {
    std::string_view model;
    std::string_view provider;
    bool cached = false;
    llm::Usage usage; // exact or an estimate
    llm::Money cost;
    bool priced = true; // false: no known price, and the cost is 0
    std::string_view finish_reason;
    std::string_view request_id; // empty: left out (a kept reply is the same for everybody)
};
/// { "code", "text", "metadata": { "model", "provider", "cached", "estimatedTokens",
/// "estimatedCost", "priced", "finishReason",
///   "usage": { "inputTokens", "outputTokens", "cachedInputTokens", "cacheWriteTokens",
///   "reasoningTokens", "totalTokens", "exact" } } }
/// with "requestId" in metadata when given.
std::string write_llm_reply(std::string_view text, const ReplyMetadata& metadata);
/// `event: delta` with {"text": …}
void write_llm_delta(std::string& out, std::string_view text);
/// `event: done` with a write_llm_reply.
void write_llm_done(std::string& out, std::string_view reply);

/// Keys and tokens in a provider's error text, replaced by "***": sk-…, Bearer …, key=…, xai-,
/// gsk_, AIza…, JWTs, and the like.
std::string mask_secrets(std::string_view text);

} // namespace larder::protocol
