// What a request about workflows says, checked whole before any model is called. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "provider/catalog.hpp"
#include "workflow/definition.hpp"
#include "workflow/scope.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace larder::api {

struct WorkflowExecution {
    workflow::Workflow workflow;
    std::vector<std::size_t> order; // the places of its steps in the order they were written
    std::shared_ptr<const workflow::JsonText> input;
    workflow::Limits limits; // the configuration's, or less
    bool stream = false;
};
/// { "workflow": {…}, "input"?: {…}, "stream"?: bool, "limits"?: { "time"?, "cost"? } } and nothing
/// else; no limit is wider than `limits`. kInvalidRequest with `field` or `position`, kTooLarge,
/// kModelNotFound, kProviderUnconfigured for a step's model.
Result<WorkflowExecution> read_workflow_execution(std::string_view body,
                                                  const workflow::Limits& limits,
                                                  const provider::Catalog& catalog);

/// A workflow that is wished for.
struct WorkflowWish {
    std::string description;
    std::string model;
    std::string provider;
    std::shared_ptr<const workflow::JsonText> input; // a sample; may be null
};
/// { "description": "…", "model"?, "provider"?, "input"?: {…} } and nothing else.
Result<WorkflowWish> read_workflow_wish(std::string_view body);

/// Whether a step's model can be called: kModelNotFound, kInvalidRequest, kProviderUnconfigured.
Result<void> check_step_model(const provider::Catalog& catalog, const workflow::Step& step);

} // namespace larder::api
