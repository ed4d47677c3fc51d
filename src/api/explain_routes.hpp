// POST /llm/cache/explain: why a request was a miss. Looks only where the caller itself would, and
// calls no provider. Shared by all threads.
#pragma once

#include "api/context.hpp"
#include "api/explain_requests.hpp"
#include "base/budget.hpp"
#include "base/time.hpp"
#include "gateway/gateway.hpp"

#include <string>

namespace larder::api {

class ExplainRoutes {
public:
    ExplainRoutes(gateway::Gateway& gateway, MemoryBudget& budget, const Clock& clock)
        : gateway_(gateway), budget_(budget), clock_(clock) {}
    Task<void> serve(Context& context);

private:
    [[nodiscard]] Task<Result<std::string>> explain(Context& context, std::string_view body);
    [[nodiscard]] Result<Explanation> prepare(const Context& context,
                                              const ExplainQuestion& question) const;

    gateway::Gateway& gateway_;
    MemoryBudget& budget_;
    const Clock& clock_;
    const gateway::ValueHasher hasher_;
};

} // namespace larder::api
