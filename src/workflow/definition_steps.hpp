// Reading one step of a workflow, and walking the references of one. Pure.
#pragma once

#include "workflow/definition.hpp"
#include "workflow/members.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::workflow {

/// A step as it was written, before it is known what the others are called.
struct WrittenStep {
    Step step;
    std::vector<std::string> depends_on; // as named
};

/// `place`: "steps[3]". Everything of a step but what takes the other steps to check.
Result<WrittenStep> read_step(json::Value value, const std::string& place, const Limits& limits);

/// Where a reference stands in a step.
enum class Use : std::uint8_t { kText, kForEach, kWhen };
using ReferenceVisitor =
    std::function<Result<void>(const Reference& reference, Use use, std::string_view member)>;
/// Calls `visit` for each reference, until it fails. `member`: "prompt", "messages[1].content", ….
Result<void> visit_references(const Step& step, const ReferenceVisitor& visit);
Result<void> visit_references(const Template& text, Use use, std::string_view member,
                              const ReferenceVisitor& visit);

/// "stop" and "continue" of a member `onError`.
Result<std::optional<OnError>> read_on_error(const Members& members);

} // namespace larder::workflow
