// Completions: /llm/generate, /v1/chat/completions, /v1/responses, /v1/messages. Reads the request,
// asks the gateway, writes what comes.
#pragma once

#include "api/context.hpp"
#include "api/stream_writer.hpp"
#include "base/budget.hpp"
#include "base/time.hpp"
#include "gateway/gateway.hpp"

namespace larder::api {

/// The client's fields that go to the provider, per API. What is forwarded is in the key, and what
/// isn't in the key isn't forwarded.
http::OwnedFields forwarded_fields(protocol::Dialect dialect, const http::Fields& fields);

class LlmRoutes {
public:
    LlmRoutes(gateway::Gateway& gateway, MemoryBudget& budget, const Clock& clock)
        : gateway_(gateway), budget_(budget), clock_(clock) {}
    Task<void> complete(Context& context, protocol::Dialect dialect);

private:
    Task<void> answer(Context& context, const gateway::Inquiry& inquiry);
    Task<bool> try_to_answer(Context& context, const gateway::Inquiry& inquiry, bool is_last);
    Task<bool> reply_found(Context& context, gateway::Found found, gateway::ClientForm form,
                           gateway::Outcome outcome);
    struct Following {
        gateway::ClientForm form;
        gateway::Outcome outcome;
        bool is_last = true; // a failure is the client's, whatever it is
    };
    Task<bool> follow(Context& context, gateway::Gateway::Joined joined, Following following,
                      std::optional<gateway::Found> stale);
    Task<void> end_following(Context& context, StreamWriter& writer, const gateway::FlightEnd& end,
                             Following following, std::optional<gateway::Found> stale);
    Task<void> reply_end(Context& context, const gateway::FlightEnd& end, gateway::ClientForm form,
                         gateway::Outcome outcome, std::optional<gateway::Found> stale);

    gateway::Gateway& gateway_;
    MemoryBudget& budget_;
    const Clock& clock_;
};

} // namespace larder::api
