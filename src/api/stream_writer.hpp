// A flight's stream as one client gets it: begun with the first block or comment, each block in the
// client's form, and what ends it. Lives in the frame of the follower's coroutine.
#pragma once

#include "api/context.hpp"
#include "convert/convert.hpp"
#include "gateway/gateway.hpp"
#include "http/sse.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace larder::api {

class StreamWriter {
public:
    explicit StreamWriter(Context& context) : context_(context) {}

    /// Whose stream comes, and in which form the client gets it: before it has told anything.
    void aim(gateway::ClientForm form, protocol::Dialect upstream) {
        form_ = form;
        upstream_ = upstream;
    }

    /// Sends the head, once. `fields`: the provider's.
    Task<void> begin(gateway::Outcome outcome, http::OwnedFields fields);
    /// Sends blocks; where it gives false, the exchange's `flush` is to be awaited. An Error is one
    /// of the conversion: the stream can't go on.
    Result<bool> write(std::span<const std::shared_ptr<const gateway::Block>> blocks);
    /// A comment while nothing else comes.
    Task<void> keep_alive();
    /// Sends what ends a whole answer; of one that has shown nothing, all of it.
    Task<void> finish(const gateway::FlightEnd& end, bool saved);
    /// Sends an error event of the client's API.
    Task<void> fail_with(const Error& error);

    [[nodiscard]] bool has_begun() const { return begun_; }
    /// Whether the client has got anything but comments.
    [[nodiscard]] bool has_told() const { return told_; }
    /// Whether the client has got the provider's own error event.
    [[nodiscard]] bool has_failed() const { return failed_; }

private:
    void note(const gateway::Block& block);
    [[nodiscard]] bool goes_as_it_is(const gateway::Block& block) const;
    Result<void> render(const gateway::Block& block, std::string& out);
    Result<void> convert(const gateway::Block& block, std::string& out);
    [[nodiscard]] std::string with_route(std::string reply) const;
    Task<void> write_whole(const gateway::FlightEnd& end, bool saved);

    Context& context_;
    gateway::ClientForm form_ = gateway::ClientForm::kLlmPlain;
    protocol::Dialect upstream_ = protocol::Dialect::kLlm;
    std::unique_ptr<convert::StreamConverter> converter_;
    http::SseDecoder decoder_;
    std::vector<http::SseEvent> events_;
    bool begun_ = false;
    bool told_ = false; // anything but comments
    bool failed_ = false;
    std::string text_; // of the /llm dialect: its last event repeats it
};

/// Adds what a provider's reply said in its head. An id of its own takes the place of ours, which
/// goes as x-larder-request-id then; under /llm it goes beside it.
void add_provider_lines(std::string& lines, const http::OwnedFields& fields, Style style);
void add_cache_lines(std::string& lines, gateway::Outcome outcome, std::int64_t age_s);
/// The same in the fields of the gateways that the settings are compatible with, too.
void add_cache_lines(const Context& context, std::string& lines, gateway::Outcome outcome,
                     std::int64_t age_s);

} // namespace larder::api
