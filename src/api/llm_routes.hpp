// Completions: /llm/generate, /v1/chat/completions, /v1/responses, /v1/messages. Reads the request,
// asks the gateway, writes what comes.
#pragma once

#include "api/context.hpp"
#include "api/stream_writer.hpp"
#include "base/budget.hpp"
#include "base/time.hpp"
#include "gateway/gateway.hpp"
#include "gateway/plan.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace larder::api {

/// The client's fields that go to the provider, per API. What is forwarded is in the key, and what
/// isn't in the key isn't forwarded.
http::OwnedFields forwarded_fields(protocol::Dialect dialect, const http::Fields& fields);

/// Of the request's head: which route it wants, and whose requests stay together. Empty: not said.
std::string_view route_field(const http::Fields& fields);
std::string_view session_field(const http::Fields& fields);

class LlmRoutes {
public:
    LlmRoutes(gateway::Gateway& gateway, MemoryBudget& budget, const Clock& clock)
        : gateway_(gateway), budget_(budget), clock_(clock) {}
    Task<void> complete(Context& context, protocol::Dialect dialect);

private:
    /// How a request fares with one model.
    enum class Fate : std::uint8_t {
        kAnswered,
        kAgain, // it has got nothing, and may ask once more
        kNext,  // it has got nothing, and its route has another model for it
    };
    struct Following {
        gateway::ClientForm form;
        gateway::ClientForm stale_form; // of what may stand in: another provider may have said it
        gateway::Outcome outcome;
        bool is_last = true; // a failure is the client's, whatever it is
        const provider::FailurePolicy* on = nullptr;
        std::optional<std::chrono::milliseconds> first_byte_timeout;
        provider::Target target; // of a route
        std::int64_t began_ms = 0;
        bool noted = false; // in the trace
    };
    Task<void> answer(Context& context, const gateway::Inquiry& inquiry);
    Task<bool> try_to_answer(Context& context, const gateway::Inquiry& inquiry, bool is_last);
    Task<bool> ask_ways(Context& context, const gateway::Inquiry& inquiry, gateway::Plan& plan,
                        gateway::PlanLookUp looked, bool is_last);
    Task<Fate> ask_way(Context& context, StreamWriter& writer, gateway::Prepared prepared,
                       gateway::Claim claim, Following following,
                       std::optional<gateway::Found>& stale);
    Task<bool> reply_found(Context& context, gateway::Found found, gateway::ClientForm form,
                           gateway::Outcome outcome);
    Task<Fate> follow(Context& context, StreamWriter& writer, gateway::Gateway::Joined joined,
                      Following following, std::optional<gateway::Found>& stale);
    Task<void> end_following(Context& context, StreamWriter& writer, const gateway::FlightEnd& end,
                             const Following& following, std::optional<gateway::Found> stale);
    Task<void> reply_end(Context& context, const gateway::FlightEnd& end,
                         const Following& following, std::optional<gateway::Found> stale);
    void note_attempt(Context& context, Following& following, std::string result) const;

    gateway::Gateway& gateway_;
    MemoryBudget& budget_;
    const Clock& clock_;
};

} // namespace larder::api
