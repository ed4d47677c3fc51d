// POST /v1/embeddings. Reads the batch, asks the gateway for what is missing, writes it in order.
#pragma once

#include "api/context.hpp"
#include "base/budget.hpp"
#include "base/time.hpp"
#include "gateway/embeddings.hpp"
#include "gateway/gateway.hpp"
#include "gateway/plan.hpp"

namespace larder::api {

class EmbeddingRoutes {
public:
    EmbeddingRoutes(gateway::Gateway& gateway, MemoryBudget& budget, const Clock& clock)
        : gateway_(gateway), budget_(budget), clock_(clock) {}
    Task<void> embed(Context& context);

private:
    /// How a request fares with one model.
    enum class Fate : std::uint8_t {
        kAnswered,
        kAgain, // it has got nothing, and may ask once more
        kNext,  // it has got nothing, and its route has another model for it
    };
    Task<bool> reply_kept(Context& context, const gateway::Inquiry& inquiry,
                          gateway::EmbeddingsBatch& first, const gateway::RouteChoice& choice);
    Task<Fate> ask(Context& context, gateway::EmbeddingsBatch& batch,
                   const gateway::RouteCandidate* candidate, bool may_ask_again);
    static void set_names(Context& context, const gateway::EmbeddingsBatch& batch);
    Task<void> reply_end(Context& context, gateway::EmbeddingsBatch& batch,
                         const gateway::FlightEnd& end, gateway::Outcome outcome);
    Task<void> reply_asked(Context& context, gateway::EmbeddingsBatch& batch,
                           const gateway::FlightEnd& end, gateway::Outcome outcome);
    /// How an answer came to be, for its fields and the sums.
    struct Account {
        gateway::Outcome outcome;
        std::size_t hits = 0; // of the inputs
        llm::Money saved;
    };
    Task<void> reply_whole(Context& context, const gateway::EmbeddingsBatch& batch,
                           const gateway::FlightEnd& end, Account account);
    Task<void> reply_found(Context& context, const gateway::EmbeddingsBatch& batch,
                           Account account);
    void add_lines(Context& context, const gateway::EmbeddingsBatch& batch, const Account& account,
                   std::int64_t made_ms) const;

    gateway::Gateway& gateway_;
    MemoryBudget& budget_;
    const Clock& clock_;
};

} // namespace larder::api
