// What only passes through: any path under /v1 that has no row of its own, and the counting of
// tokens. The provider's reply is sent on as it comes, no faster than the client reads.
#pragma once

#include "api/context.hpp"
#include "async/runtime.hpp"
#include "base/budget.hpp"
#include "gateway/pass_through.hpp"
#include "http/client.hpp"
#include "ledger/ledger.hpp"
#include "provider/breaker.hpp"
#include "provider/caller.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace larder::api {

class PassRoutes {
public:
    struct Parts {
        async::Runtime& runtime;
        provider::Breakers& breakers;
        ledger::Ledger& ledger;
        MemoryBudget& budget;
        http::ProxySettings proxy;
    };
    explicit PassRoutes(Parts parts);
    Task<void> serve(Context& context);

private:
    /// A request that was read, up to the head of its reply.
    struct Sending {
        explicit Sending(MemoryBudget& budget) : share(budget) {}
        BudgetShare share;
        std::string body;
        gateway::PassPlan plan;
    };
    Task<void> pass(Context& context, std::unique_ptr<Sending> sending);
    Task<Result<void>> forward(Context& context, provider::ProviderCall& call,
                               std::unique_ptr<Sending> sending);
    Task<Result<void>> relay(Context& context, provider::ProviderCall& call,
                             const provider::Provider& provider);
    Task<Result<void>> relay_events(Context& context, provider::ProviderCall& call,
                                    const provider::Provider& provider, bool is_measured);
    Task<Result<void>> relay_error(Context& context, provider::ProviderCall& call,
                                   const provider::Provider& provider);
    void record(const provider::ProviderCall& call, bool answered) const;

    Parts parts_;
    std::vector<std::unique_ptr<http::Client>> clients_; // one a thread
};

} // namespace larder::api
