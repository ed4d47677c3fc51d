// Asks a model for a workflow, holds its answer to the format, and gives it the errors back, twice
// at most. On one thread.
#pragma once

#include "gateway/gateway.hpp"
#include "workflow/definition.hpp"
#include "workflow/estimate.hpp"
#include "workflow/scope.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace larder::workflow {

struct GenerationWish {
    std::string description;
    std::string model;                      // of the model that writes it; empty: the default
    std::string provider;                   // empty: to be found
    std::shared_ptr<const JsonText> sample; // an input that it must take; may be null
};

struct GenerationParts {
    gateway::Gateway& gateway;
    const Clock& clock;
    Executor executor;
    std::shared_ptr<const gateway::Settings> settings;
    Limits limits; // of the workflow that is written; its time bounds the writing, too
    std::function<Result<void>(const Step&)> check_model;
    std::string name_space;
    std::string user;
};

struct Generated {
    std::string text; // of the workflow, in JSON
    Estimate estimate;
    std::string provider;
    std::string model;
    int attempts = 0;
    std::int64_t tokens = 0;
    llm::Money cost;
    bool priced = true;
};

class Generation {
public:
    Generation(GenerationWish wish, GenerationParts parts);
    ~Generation();
    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;
    /// Once. kUnprocessable with `detail` "workflow_impossible" and the model's reason, or
    /// "workflow_invalid" and what was wrong with its last answer; kTimeout; a provider's error;
    /// kCancelled after `cancel`.
    Task<Result<Generated>> run();
    void cancel();

private:
    struct State;
    std::shared_ptr<State> state_;
};

/// What the model is held to: the schema of `{ "workflow": … }` or `{ "impossible": "…" }`.
/// kInternal: the published schema is no object.
Result<std::string> answer_schema();

/// What a model's answer is.
struct WrittenWorkflow {
    std::string text;       // the workflow; empty: it is impossible, or wrong
    std::string impossible; // the model's reason
    std::string errors;     // for the model
    Workflow workflow;
};
Result<WrittenWorkflow> read_written_workflow(std::string answer, const Surroundings& surroundings,
                                              const JsonText* sample);

} // namespace larder::workflow
