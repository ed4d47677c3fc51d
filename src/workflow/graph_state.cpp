#include "workflow/graph_state.hpp"

#include <algorithm>

namespace larder::workflow {
namespace {

bool looks_at_steps(const Step& step) {
    std::vector<const Reference*> references;
    if (step.when)
        collect(*step.when, references);
    return std::ranges::any_of(references, [](const Reference* reference) {
        return reference->kind == Reference::Kind::kOutput ||
               reference->kind == Reference::Kind::kJson;
    });
}

} // namespace

std::string_view name_of(StepState state) {
    switch (state) {
    case StepState::kWaiting:
        return "waiting";
    case StepState::kRunning:
        return "running";
    case StepState::kDone:
        return "done";
    case StepState::kSkipped:
        return "skipped";
    case StepState::kFailed:
        return "failed";
    case StepState::kCancelled:
        return "cancelled";
    }
    return {};
}

bool is_over(StepState state) {
    return state != StepState::kWaiting && state != StepState::kRunning;
}

GraphState::GraphState(std::span<const Step> steps) : nodes_(steps.size()), left_(steps.size()) {
    for (std::size_t index = 0; index < steps.size(); ++index) {
        nodes_[index].waits_for = steps[index].depends_on.size();
        nodes_[index].depends_on = steps[index].depends_on.size();
        nodes_[index].looks_at_steps = looks_at_steps(steps[index]);
        for (const std::size_t earlier : steps[index].depends_on)
            nodes_[earlier].followers.push_back(index);
    }
}

std::vector<std::size_t> GraphState::first() const {
    std::vector<std::size_t> ready;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        if (nodes_[index].depends_on == 0)
            ready.push_back(index);
    }
    return ready;
}

void GraphState::begin(std::size_t step) {
    LARDER_ASSERT(nodes_[step].state == StepState::kWaiting);
    nodes_[step].state = StepState::kRunning;
}

void GraphState::settle(std::size_t step, StepState state) {
    LARDER_ASSERT(workflow::is_over(state) && !workflow::is_over(nodes_[step].state));
    nodes_[step].state = state;
    --left_;
}

GraphState::News GraphState::end(std::size_t step, StepState state) {
    News news;
    settle(step, state);
    std::vector<std::size_t> ended{step};
    for (std::size_t at = 0; at < ended.size(); ++at) {
        const StepState how = nodes_[ended[at]].state;
        const bool cancels = how == StepState::kFailed || how == StepState::kCancelled;
        for (const std::size_t follower : nodes_[ended[at]].followers) {
            Node& node = nodes_[follower];
            --node.waits_for;
            node.skipped += how == StepState::kSkipped ? 1 : 0;
            if (node.state != StepState::kWaiting)
                continue; // decided before
            const bool is_skipped = node.skipped == node.depends_on && !node.looks_at_steps;
            if (cancels || is_skipped) {
                const StepState decided = cancels ? StepState::kCancelled : StepState::kSkipped;
                settle(follower, decided);
                news.decided.push_back({follower, decided, cancels ? step : ended[at]});
                ended.push_back(follower);
            } else if (node.waits_for == 0) {
                news.ready.push_back(follower);
            }
        }
    }
    std::ranges::sort(news.ready);
    std::ranges::sort(news.decided, {}, &Decided::step);
    return news;
}

std::vector<std::size_t> GraphState::stop() {
    std::vector<std::size_t> cancelled;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        if (nodes_[index].state != StepState::kWaiting)
            continue;
        settle(index, StepState::kCancelled);
        cancelled.push_back(index);
    }
    return cancelled;
}

} // namespace larder::workflow
