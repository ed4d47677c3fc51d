// A workflow's run as a client sees it: steps, their outputs and what they cost. Pure, any thread.
#pragma once

#include "workflow/run.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace larder::api {

struct ShownRun {
    const workflow::Workflow& workflow;
    std::span<const std::size_t> order; // the places of the steps as they were written
    const workflow::RunReport& report;
    std::string_view request_id;
};

/// `{ "id", "status", "output", "json"?, "error"?, "metadata" }`. `output`: null where there is
/// none.
void write_workflow_step(std::string& out, const workflow::Step& step,
                         const workflow::StepReport& report, const workflow::StepOutput* output);
/// `{ "output", "steps", "metadata" }` of a run that has no error.
std::string write_workflow_reply(const ShownRun& run);
/// The contract's error object of a run that has one, with `steps` and `metadata`.
std::string write_workflow_failure(const ShownRun& run);

} // namespace larder::api
