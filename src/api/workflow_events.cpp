#include "api/workflow_events.hpp"

#include "api/workflow_reply.hpp"
#include "base/json.hpp"
#include "http/sse.hpp"

#include <algorithm>
#include <utility>

namespace larder::api {
namespace {

/// `{"id":"a"`, and `,"index":3` for an item.
std::string opened(const workflow::Step& step, std::optional<std::size_t> item) {
    std::string out = "{\"id\":";
    json::write_string(out, step.id);
    if (item)
        out += ",\"index\":" + std::to_string(*item);
    return out;
}

std::string shown(const workflow::Step& step, const workflow::StepReport& report,
                  const workflow::StepOutput* output) {
    std::string out;
    write_workflow_step(out, step, report, output);
    return out;
}

} // namespace

bool WorkflowEvents::grow(std::size_t bytes) {
    if (lost_ || !share_.grow(bytes)) {
        lost_ = true;
        signal_.notify();
        return false;
    }
    counted_ += bytes;
    return true;
}

void WorkflowEvents::add_event(std::string_view name, std::string_view data) {
    const std::size_t before = ready_.size();
    http::write_sse(ready_, name, data);
    if (grow(ready_.size() - before))
        signal_.notify();
    else
        ready_.resize(before);
}

void WorkflowEvents::add_delta(const Held& held) {
    std::string data = opened(*held.step, held.item) + ",\"text\":";
    json::write_string(data, held.text);
    add_event("step.delta", data += '}');
}

/// What was held of a step goes before what comes of it now.
void WorkflowEvents::release(const workflow::Step& step) {
    for (const Held& held : held_) {
        if (held.step == &step)
            add_delta(held);
    }
    std::erase_if(held_, [&step](const Held& held) { return held.step == &step; });
}

void WorkflowEvents::started(const workflow::Step& step, std::optional<std::size_t> item) {
    // What it said before is void.
    std::erase_if(held_, [&](const Held& held) {
        return held.step == &step && (!item || held.item == item);
    });
    add_event("step.started", opened(step, item) + "}");
}

void WorkflowEvents::delta(const workflow::Step& step, std::optional<std::size_t> item,
                           std::string_view text) {
    const auto held = std::ranges::find_if(
        held_, [&](const Held& one) { return one.step == &step && one.item == item; });
    if (held != held_.end()) {
        if (grow(text.size()))
            held->text += text;
    } else if (ready_.size() < kWaitingMost) {
        add_delta({.step = &step, .item = item, .text = std::string(text)});
    } else if (grow(text.size())) {
        held_.push_back({.step = &step, .item = item, .text = std::string(text)});
    }
}

void WorkflowEvents::done(const workflow::Step& step, const workflow::StepReport& report,
                          const workflow::StepOutput& output) {
    release(step);
    add_event("step.done", shown(step, report, &output));
}

void WorkflowEvents::failed(const workflow::Step& step, const workflow::StepReport& report) {
    release(step);
    add_event("step.failed", shown(step, report, nullptr));
}

std::string WorkflowEvents::take() {
    for (const Held& held : std::exchange(held_, {}))
        add_delta(held);
    share_.shrink(std::exchange(taken_, std::exchange(counted_, 0)));
    return std::exchange(ready_, {});
}

} // namespace larder::api
