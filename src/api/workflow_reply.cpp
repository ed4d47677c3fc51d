#include "api/workflow_reply.hpp"

#include "api/errors.hpp"
#include "base/json.hpp"

#include <algorithm>

namespace larder::api {
namespace {

using workflow::RunReport;
using workflow::Step;
using workflow::StepOutput;
using workflow::StepReport;
using workflow::StepState;

void add_text(std::string& out, std::string_view before, std::string_view value) {
    out += before;
    json::write_string(out, value);
}

void add_number(std::string& out, std::string_view before, std::int64_t value) {
    (out += before) += std::to_string(value);
}

void add_money(std::string& out, std::string_view before, llm::Money money) {
    out += before;
    json::write_double(out, money.dollars());
}

void add_flag(std::string& out, std::string_view before, bool value) {
    (out += before) += value ? "true" : "false";
}

bool is_saved(gateway::Outcome outcome) {
    return outcome == gateway::Outcome::kHit || outcome == gateway::Outcome::kStale ||
           outcome == gateway::Outcome::kCoalesced;
}

void add_error(std::string& out, const Error& error) {
    add_text(out, R"(,"error":{"error":)", error.message);
    add_text(out, R"(,"code":)",
             error.detail.empty() ? name_of(error.code) : std::string_view(error.detail));
    out += '}';
}

void add_metadata(std::string& out, const StepReport& report) {
    add_text(out, R"(,"metadata":{"model":)", report.model);
    add_text(out, R"(,"provider":)", report.provider);
    add_flag(out, R"(,"cached":)",
             !report.outcomes.empty() && std::ranges::all_of(report.outcomes, is_saved));
    add_number(out, R"(,"estimatedTokens":)", report.usage.total());
    add_money(out, R"(,"estimatedCost":)", report.cost);
    add_money(out, R"(,"savedCost":)", report.saved);
    add_flag(out, R"(,"priced":)", report.priced);
    add_number(out, R"(,"calls":)", report.calls);
    add_number(out, R"(,"repairs":)", report.repairs);
    add_number(out, R"(,"startedMs":)", report.started_ms);
    add_number(out, R"(,"tookMs":)", report.took_ms);
    out += R"(,"cache":[)";
    for (const gateway::Outcome& outcome : report.outcomes)
        add_text(out, &outcome == report.outcomes.data() ? "" : ",", gateway::name_of(outcome));
    out += "]}";
}

void add_steps(std::string& out, const ShownRun& run) {
    out += R"(,"steps":[)";
    for (const std::size_t index : run.order) {
        const Step& step = run.workflow.steps[index];
        const auto output = run.report.outputs.find(step.id);
        out += index == run.order.front() ? "" : ",";
        write_workflow_step(out, step, run.report.steps[index],
                            output == run.report.outputs.end() ? nullptr : &output->second);
    }
    out += ']';
}

std::string_view status_of_run(const RunReport& report) {
    if (report.error)
        return "failed";
    const bool is_partial = std::ranges::any_of(report.steps, [](const StepReport& step) {
        return step.state == StepState::kFailed || step.state == StepState::kCancelled;
    });
    return is_partial ? "partial" : "done";
}

void add_run_metadata(std::string& out, const ShownRun& run) {
    const RunReport& report = run.report;
    add_text(out, R"(,"metadata":{"status":)", status_of_run(report));
    add_number(out, R"(,"estimatedTokens":)", report.tokens);
    add_money(out, R"(,"estimatedCost":)", report.cost);
    add_money(out, R"(,"savedCost":)", report.saved);
    add_flag(out, R"(,"priced":)", report.priced);
    add_number(out, R"(,"calls":)", report.calls);
    add_number(out, R"(,"tookMs":)", report.took_ms);
    add_text(out, R"(,"requestId":)", run.request_id);
    out += '}';
}

} // namespace

void write_workflow_step(std::string& out, const Step& step, const StepReport& report,
                         const StepOutput* output) {
    const bool is_done = report.state == StepState::kDone && output != nullptr;
    add_text(out, R"({"id":)", step.id);
    add_text(out, R"(,"status":)", name_of(report.state));
    if (is_done)
        add_text(out, R"(,"output":)", output->text);
    else
        out += R"(,"output":null)";
    if (is_done && step.output_schema)
        (out += R"(,"json":)") += output->text;
    if (report.error)
        add_error(out, *report.error);
    add_metadata(out, report);
    out += '}';
}

std::string write_workflow_reply(const ShownRun& run) {
    std::string out;
    if (run.report.output)
        add_text(out, R"({"output":)", *run.report.output);
    else
        out = R"({"output":null)";
    add_steps(out, run);
    add_run_metadata(out, run);
    return out += '}';
}

std::string write_workflow_failure(const ShownRun& run) {
    std::string out = error_body(Style::kLlm, *run.report.error, run.request_id);
    out.pop_back();
    add_steps(out, run);
    add_run_metadata(out, run);
    return out += '}';
}

} // namespace larder::api
