// Runs a workflow: steps that can run together do, each as a call through the gateway's own way.
// On one thread.
#pragma once

#include "gateway/gateway.hpp"
#include "workflow/definition.hpp"
#include "workflow/graph_state.hpp"
#include "workflow/scope.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::workflow {

struct StepReport {
    StepState state = StepState::kWaiting;
    std::string provider;
    std::string model;
    std::vector<gateway::Outcome> outcomes; // of its calls
    llm::Usage usage;
    llm::Money cost; // of its calls; what was saved is in `saved`
    llm::Money saved;
    bool priced = true;
    int calls = 0; // tries and items
    int repairs = 0;
    std::int64_t started_ms = 0; // since the workflow's start
    std::int64_t took_ms = 0;
    std::optional<Error> error;
};

/// What happens, as it does; for streams.
class Listener {
public:
    virtual ~Listener() = default;
    /// `item`: of a forEach, where only that one begins anew. A try that failed and is made again
    /// begins with `started`: what its `delta`s have said is void.
    virtual void started(const Step& step, std::optional<std::size_t> item) = 0;
    virtual void delta(const Step& step, std::optional<std::size_t> item,
                       std::string_view text) = 0;
    /// Done, or skipped: then it may not have been started.
    virtual void done(const Step& step, const StepReport& report, const StepOutput& output) = 0;
    /// Failed or cancelled: then it may not have been started.
    virtual void failed(const Step& step, const StepReport& report) = 0;
};

struct RunParts {
    gateway::Gateway& gateway;
    const Clock& clock;
    Executor executor;
    std::shared_ptr<const gateway::Settings> settings;
    Limits limits; // the configuration's, narrowed by the request
    std::string name_space;
    std::string user;
    Listener* listener = nullptr;   // null: nobody listens; then no call streams
    MemoryBudget* budget = nullptr; // what kept outputs count for; null: for nothing
};

struct RunReport {
    std::optional<std::string> output; // where it can be put together; of a skipped step: none
    std::vector<StepReport> steps;     // as in the workflow
    std::map<std::string, StepOutput, std::less<>> outputs;
    llm::Money cost;
    llm::Money saved;
    std::int64_t tokens = 0;
    bool priced = true;
    int calls = 0;
    std::int64_t took_ms = 0;
    std::optional<Error> error; // what ended it, or kept its output away; it names the step
};

class Run {
public:
    /// `workflow` and `input` outlive it.
    Run(const Workflow& workflow, const JsonText& input, RunParts parts);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    /// Once; the Run outlives it. Returns when nothing of it runs any more.
    Task<RunReport> run();
    /// Ends what runs: `run` returns soon with kCancelled.
    void cancel();

private:
    std::shared_ptr<class RunState> state_;
};

} // namespace larder::workflow
