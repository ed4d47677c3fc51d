// Where each step of a running workflow stands: which ones may begin, and what the end of one means
// for those that wait for it. Pure.
#pragma once

#include "workflow/definition.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace larder::workflow {

enum class StepState : std::uint8_t {
    kWaiting,
    kRunning,
    kDone,
    kSkipped, // its condition was false, or all that it depends on was skipped
    kFailed,
    kCancelled, // something that it depends on failed, or the workflow stopped
};
std::string_view name_of(StepState state);
/// Whether nothing will happen to it any more.
bool is_over(StepState state);

class GraphState {
public:
    /// A step, and what was decided for it without its running; `because` is the step that did it.
    struct Decided {
        std::size_t step = 0;
        StepState state = StepState::kSkipped;
        std::size_t because = 0;
    };
    /// What the end of a step brings with it, in the order of the steps.
    struct News {
        std::vector<std::size_t> ready;
        std::vector<Decided> decided;
    };

    explicit GraphState(std::span<const Step> steps);

    /// The steps that wait for nothing. Once, before all else.
    [[nodiscard]] std::vector<std::size_t> first() const;
    void begin(std::size_t step);
    /// A step that was waiting or running is over. Those that waited for it alone are ready, or are
    /// decided: cancelled where one that they depend on has failed or was cancelled, skipped where
    /// all of them were skipped and no condition of their own looks at one of these.
    News end(std::size_t step, StepState state);
    /// All that has not begun is cancelled; these are they.
    std::vector<std::size_t> stop();

    [[nodiscard]] StepState state(std::size_t step) const { return nodes_[step].state; }
    [[nodiscard]] bool is_over() const { return left_ == 0; }

private:
    struct Node {
        StepState state = StepState::kWaiting;
        std::size_t waits_for = 0; // steps that are not over
        std::size_t skipped = 0;   // of those that it depends on
        std::size_t depends_on = 0;
        bool looks_at_steps = false; // by its condition
        std::vector<std::size_t> followers;
    };
    void settle(std::size_t step, StepState state);

    std::vector<Node> nodes_;
    std::size_t left_ = 0;
};

} // namespace larder::workflow
