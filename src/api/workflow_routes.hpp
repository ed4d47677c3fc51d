// /llm/execute-workflow, /llm/workflow/generate and /llm/workflow/schema.
#pragma once

#include "api/context.hpp"
#include "api/workflow_requests.hpp"
#include "base/budget.hpp"
#include "base/time.hpp"
#include "gateway/gateway.hpp"

#include <memory>

namespace larder::api {

class WorkflowRoutes {
public:
    WorkflowRoutes(gateway::Gateway& gateway, MemoryBudget& budget, const Clock& clock)
        : gateway_(gateway), budget_(budget), clock_(clock) {}
    Task<void> serve(Context& context);

private:
    struct Running;
    Task<void> execute(Context& context);
    Task<void> generate(Context& context);
    Task<void> reply_at_the_end(Context& context, std::shared_ptr<Running> running);
    Task<void> stream(Context& context, std::shared_ptr<Running> running);
    static Task<void> run_to_the_end(std::shared_ptr<Running> running);

    gateway::Gateway& gateway_;
    MemoryBudget& budget_;
    const Clock& clock_;
};

} // namespace larder::api
