// A workflow as it was written, checked: its steps, what each waits for, and its limits. Immutable.
#pragma once

#include "base/result.hpp"
#include "schema/schema.hpp"
#include "workflow/condition.hpp"
#include "workflow/limits.hpp"
#include "workflow/template.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::workflow {

enum class OnError : std::uint8_t { kStop, kContinue };

struct Message {
    std::string role;
    Template content;
};

/// Runs the step once for each element of a list; its output is the list of their outputs.
struct ForEach {
    Reference in;
    std::size_t parallel = 4;
    std::size_t items_max = 0; // 0: the configuration's
};

struct Retry {
    int attempts = 1;                     // all in all, 1 to 10
    std::chrono::milliseconds delay{250}; // doubled each time
};

struct Step {
    std::string id;
    std::optional<Template> system;
    std::vector<Message> messages; // a `prompt` is one of the user's
    bool is_prompt = false;        // written as `prompt`
    std::string model;             // as a client names it; empty: the default
    std::string provider;
    std::string routing_mode;
    std::optional<double> temperature;
    std::optional<std::int64_t> max_tokens;
    std::vector<std::size_t> depends_on; // indexes of steps, named or inferred, each once
    std::optional<Condition> when;
    std::optional<ForEach> for_each;
    std::optional<std::string> output_schema_text; // as it was written
    std::shared_ptr<const schema::Schema> output_schema;
    Retry retry;
    std::optional<std::chrono::milliseconds> timeout; // of all its tries
    bool uses_cache = false;
    std::optional<OnError> on_error; // else the workflow's
    int depth = 1;                   // of the longest chain that ends here
};

struct Workflow {
    std::string name;
    std::string description;
    std::vector<Step> steps;         // in an order in which each stands after what it depends on
    std::vector<std::string> inputs; // that are needed whatever they are, sorted; see check_input
    std::optional<Template> output;  // else the last step that was written
    std::size_t last_step = 0;       // that one's place in `steps`
    OnError on_error = OnError::kStop;
    std::optional<std::chrono::milliseconds> time;
    std::optional<llm::Money> cost;
};

/// What a workflow, or a request beside it, allows itself.
struct NarrowerLimits {
    std::optional<std::chrono::milliseconds> time;
    std::optional<llm::Money> cost;
};
/// { "time"?, "cost"? } and nothing else; kInvalidRequest with `field` ("limits.cost") for what is
/// wider than `limits`.
Result<NarrowerLimits> read_narrower_limits(json::Value value, const Limits& limits);

/// What a workflow is checked against beside itself.
struct Surroundings {
    Limits limits;
    /// Whether a step's model can be called: kModelNotFound, kInvalidRequest, … from the catalog.
    /// Null: not checked.
    std::function<Result<void>(const Step&)> check_model;
};

/// Reads a workflow and checks it whole: known members and types only, 1 to 64 steps, ids of
/// letters, digits, `_` and `-`, no step twice, no unknown step or cycle (the message names its
/// steps), chains up to 32, templates that can be read, references only to steps, schemas that can
/// be compiled, `item` and `index` only in the texts of a forEach step (its `when` is of the step
/// as a whole), limits no wider than the configuration's. kInvalidRequest with `field`
/// ("steps[3].prompt"), kTooLarge for what is over a limit.
Result<Workflow> read_workflow(json::Value workflow, const Surroundings& surroundings);
/// Whether `input` (an object) has all that the workflow's texts and lists read from it:
/// kInvalidRequest with `field` "input.name". What a step's own `when` looks at may be absent where
/// that keeps the step from running, and so may what no text reads.
Result<void> check_input(const Workflow& workflow, const JsonText& input);

/// The published JSON Schema (`GET /llm/workflow/schema`).
std::string_view published_schema();

} // namespace larder::workflow
