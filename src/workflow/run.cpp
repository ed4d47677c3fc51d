#include "workflow/run.hpp"

#include "workflow/run_state.hpp"

#include <algorithm>
#include <utility>

namespace larder::workflow {
namespace {

constexpr std::size_t kListOutputs = 4; // a forEach's list: so many times one output's bound

std::string in_words(std::chrono::milliseconds time) {
    if (time.count() % 1000 == 0)
        return std::to_string(time.count() / 1000) + " s";
    return std::to_string(time.count()) + " ms";
}

/// Of an output and of its JSON, also where that will only be read when somebody looks at it.
std::size_t bytes_of(const StepOutput& output) {
    const std::string& text = output.text;
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool may_be_json =
        first != std::string::npos && (text[first] == '{' || text[first] == '[');
    if (!output.json && !may_be_json)
        return text.size();
    const auto values = 2 * static_cast<std::size_t>(std::ranges::count_if(text, [](char c) {
                            return c == ',' || c == ':' || c == '[' || c == '{';
                        }));
    return 2 * text.size() + std::min<std::size_t>(values, kMostJsonValues) * sizeof(json::Node);
}

} // namespace

Run::Run(const Workflow& workflow, const JsonText& input, RunParts parts)
    : state_(std::make_shared<RunState>(workflow, input, std::move(parts))) {}

Run::~Run() {
    cancel();
}

Task<RunReport> Run::run() {
    const auto state = state_;
    state->begin();
    co_await state->over().wait();
    co_return state->take_report();
}

void Run::cancel() {
    if (!state_->is_over())
        state_->stop({.code = ErrorCode::kCancelled, .message = "the workflow was cancelled"});
}

RunState::RunState(const Workflow& workflow, const JsonText& input, RunParts parts)
    : workflow_(workflow), input_(input), parts_(std::move(parts)), cost_max_(parts_.limits.cost),
      graph_(workflow.steps), works_(workflow.steps.size()), over_(parts_.executor) {
    if (workflow.cost && workflow.cost->picodollars < cost_max_.picodollars)
        cost_max_ = *workflow.cost;
    if (parts_.budget != nullptr)
        share_.emplace(*parts_.budget);
    report_.steps.resize(workflow.steps.size());
}

void RunState::begin() {
    began_us_ = parts_.clock.steady_us();
    if (!is_stopped_) {
        const auto time = std::min(parts_.limits.time, workflow_.time.value_or(parts_.limits.time));
        timer_.emplace(parts_.executor, time);
        timer_->async_wait([weak = weak_from_this(), time](boost::system::error_code cancelled) {
            const auto self = weak.lock();
            if (!cancelled && self && !self->is_over())
                self->stop(
                    {.code = ErrorCode::kTimeout,
                     .message = "the workflow took longer than its bound of " + in_words(time)});
        });
        is_pumping_ = true; // none begins before all are there
        for (const std::size_t index : graph_.first())
            ready(index);
        is_pumping_ = false;
        pump();
    }
    finish_if_over();
}

RunReport RunState::take_report() {
    timer_.reset();
    report_.took_ms = elapsed_ms();
    if (!report_.error)
        make_workflow_output();
    return std::move(report_);
}

void RunState::stop(Error error) {
    if (std::exchange(is_stopped_, true))
        return;
    report_.error = error;
    open_.clear();
    for (const std::size_t index : graph_.stop())
        report_decided(index, StepState::kCancelled, error);
    for (std::size_t index = 0; index < works_.size(); ++index) {
        if (graph_.state(index) != StepState::kRunning)
            continue;
        works_[index].is_stopped = !works_[index].failure;
        give_up_step(index, error);
    }
    finish_if_over();
}

void RunState::finish_if_over() {
    if (!is_over())
        return;
    if (timer_)
        timer_->cancel();
    over_.notify();
}

Scope RunState::scope(const Item* item) {
    return {.input = &input_, .outputs = &report_.outputs, .item = item};
}

std::int64_t RunState::elapsed_ms() const {
    return (parts_.clock.steady_us() - began_us_) / 1000;
}

/// A step that all it depends on is over for: skipped, or in the queue.
void RunState::ready(std::size_t index) {
    if (is_stopped_)
        return;
    const Step& step = workflow_.steps[index];
    if (step.when) {
        auto is_to_run = holds(*step.when, scope(), looks_left_);
        if (!is_to_run) {
            begin_step(index);
            give_up_step(index, std::move(is_to_run).error());
            return;
        }
        if (!*is_to_run) {
            settle_step(index, StepState::kSkipped);
            return;
        }
    }
    Work& work = works_[index];
    work.count = 1;
    if (step.for_each) {
        if (auto found = find_items(step, work); !found) {
            begin_step(index);
            give_up_step(index, std::move(found).error());
            return;
        }
        if (work.count == 0) {
            begin_step(index);
            step_over(index);
            return;
        }
    }
    work.results.resize(work.count);
    work.units.reserve(work.count);
    open_.insert(std::ranges::upper_bound(open_, index), index);
    pump();
}

Result<void> RunState::find_items(const Step& step, Work& work) {
    const ForEach& for_each = *step.for_each;
    const std::size_t most = for_each.items_max > 0
                                 ? std::min(for_each.items_max, parts_.limits.items)
                                 : parts_.limits.items;
    const auto list = find(for_each.in, scope());
    if (!list || !list->is(json::Kind::kArray))
        return fail(ErrorCode::kUnprocessable,
                    "its forEach needs a list, and `" + for_each.in.text() + "` is none");
    if (list->size() > most)
        return fail(ErrorCode::kUnprocessable, "its list has " + std::to_string(list->size()) +
                                                   " items, and at most " + std::to_string(most) +
                                                   " are taken");
    work.count = list->size();
    work.items.reserve(work.count);
    list->for_each_element([&work](json::Value item) {
        work.items.push_back(item.raw());
        return true;
    });
    return {};
}

bool RunState::may_begin(std::size_t index) const {
    const Work& work = works_[index];
    const auto& for_each = workflow_.steps[index].for_each;
    const std::size_t under_way = work.next - work.finished;
    return !for_each || under_way < std::max<std::size_t>(for_each->parallel, 1);
}

/// Begins the calls that may begin. A call that ends at once leads back here: then the outer one
/// goes on.
void RunState::pump() {
    if (std::exchange(is_pumping_, true))
        return;
    while (!is_stopped_ && running_ < std::max<std::size_t>(parts_.limits.parallel, 1)) {
        const auto next =
            std::ranges::find_if(open_, [this](std::size_t index) { return may_begin(index); });
        if (next == open_.end())
            break;
        begin_unit(*next);
    }
    is_pumping_ = false;
}

void RunState::begin_step(std::size_t index) {
    const Step& step = workflow_.steps[index];
    graph_.begin(index);
    report_.steps[index].state = StepState::kRunning;
    report_.steps[index].started_ms = elapsed_ms();
    if (parts_.listener != nullptr)
        parts_.listener->started(step, std::nullopt);
    if (!step.timeout)
        return;
    Timer& timer = works_[index].timer.emplace(parts_.executor, *step.timeout);
    timer.async_wait([weak = weak_from_this(), index,
                      time = *step.timeout](boost::system::error_code cancelled) {
        const auto self = weak.lock();
        if (!cancelled && self)
            self->give_up_step(index,
                               {.code = ErrorCode::kTimeout,
                                .message = "it took longer than its timeout of " + in_words(time)});
    });
}

void RunState::begin_unit(std::size_t index) {
    Work& work = works_[index];
    if (work.next == 0)
        begin_step(index);
    auto unit = std::make_shared<Unit>();
    unit->step = index;
    if (workflow_.steps[index].for_each)
        unit->item = work.next;
    ++work.next;
    ++running_;
    if (work.next == work.count)
        std::erase(open_, index);
    work.units.push_back(unit);
    async::spawn("workflow step", parts_.executor, run_unit(shared_from_this(), std::move(unit)));
}

void RunState::unit_over(const std::shared_ptr<Unit>& unit, Result<StepOutput> result) {
    const std::size_t index = unit->step;
    Work& work = works_[index];
    --running_;
    ++work.finished;
    std::erase(work.units, unit);
    if (!result) {
        fail_step(index, std::move(result).error());
    } else if (!work.failure) {
        if (unit->item && !workflow_.steps[index].output_schema) { // as it stands in the list
            std::string written;
            json::write_string(written, result->text);
            result->text = std::move(written);
        }
        work.result_bytes += result->text.size() + 1;
        StepOutput& kept = work.results[unit->item.value_or(0)];
        kept = *std::move(result);
        if (unit->item)
            kept.json.reset(); // the list has its own
        if (work.result_bytes > kListOutputs * parts_.limits.output_bytes)
            fail_step(index, {.code = ErrorCode::kUnprocessable,
                              .message = "its items' outputs are larger than " +
                                         std::to_string(kListOutputs * parts_.limits.output_bytes) +
                                         " bytes"});
    }
    const std::size_t expected = work.failure ? work.next : work.count;
    if (work.finished == expected)
        step_over(index);
    pump();
    finish_if_over();
}

/// The step is to fail, and its calls are given up; it is over when they are.
void RunState::fail_step(std::size_t index, Error error) {
    Work& work = works_[index];
    if (work.failure)
        return;
    work.failure = std::move(error);
    std::erase(open_, index);
    const auto units = work.units; // which may end meanwhile
    for (const auto& unit : units) {
        unit->is_cancelled = true;
        if (unit->completion)
            unit->completion->cancel();
        if (unit->delay)
            unit->delay->cancel();
    }
}

/// The same from outside its calls: there may be none under way.
void RunState::give_up_step(std::size_t index, Error error) {
    const Work& work = works_[index];
    if (graph_.state(index) != StepState::kRunning)
        return;
    fail_step(index, std::move(error));
    if (graph_.state(index) == StepState::kRunning && work.next == work.finished)
        step_over(index);
    pump();
    finish_if_over();
}

void RunState::step_over(std::size_t index) {
    Work& work = works_[index];
    StepReport& report = report_.steps[index];
    work.timer.reset();
    report.took_ms = elapsed_ms() - report.started_ms;
    if (!work.failure) {
        auto output = make_output(index);
        if (output)
            report_.outputs.insert_or_assign(workflow_.steps[index].id, *std::move(output));
        else
            work.failure = std::move(output).error();
    }
    work.results = {};
    if (!work.failure) {
        settle_step(index, StepState::kDone);
        return;
    }
    report.error = *std::move(work.failure);
    settle_step(index, work.is_stopped ? StepState::kCancelled : StepState::kFailed);
}

/// What a step whose calls went well has said.
Result<StepOutput> RunState::make_output(std::size_t index) {
    const Step& step = workflow_.steps[index];
    Work& work = works_[index];
    StepOutput output;
    if (!step.for_each) {
        output = std::move(work.results.front());
    } else {
        output.text.reserve(work.result_bytes + 1);
        output.text = "[";
        for (const StepOutput& result : work.results) {
            output.text += &result == work.results.data() ? "" : ",";
            output.text += result.text;
        }
        output.text += ']';
    }
    if (share_ && !share_->grow(bytes_of(output)))
        return fail(ErrorCode::kOverloaded, "too much is under way; try again");
    return output;
}

/// A step is over, and so is what its end decides for others.
void RunState::settle_step(std::size_t index, StepState state) {
    const Step& step = workflow_.steps[index];
    const GraphState::News news = graph_.end(index, state);
    report_decided(index, state, std::nullopt);
    for (const GraphState::Decided& decided : news.decided) {
        std::optional<Error> error;
        works_[decided.step].because = decided.because;
        if (decided.state == StepState::kCancelled)
            error = Error{.code = ErrorCode::kCancelled,
                          .message = "step \"" + workflow_.steps[decided.because].id +
                                     "\", which it needs, has not succeeded"};
        report_decided(decided.step, decided.state, std::move(error));
    }
    if (state == StepState::kFailed &&
        step.on_error.value_or(workflow_.on_error) == OnError::kStop) {
        stop(named(*report_.steps[index].error, step));
        return;
    }
    for (const std::size_t next : news.ready)
        ready(next);
}

void RunState::report_decided(std::size_t index, StepState state, std::optional<Error> error) {
    const Step& step = workflow_.steps[index];
    StepReport& report = report_.steps[index];
    report.state = state;
    if (error) {
        report.error = std::move(error);
        report.started_ms = elapsed_ms();
    }
    if (state == StepState::kSkipped) {
        report_.outputs.try_emplace(step.id).first->second.json_known = true;
        report.started_ms = elapsed_ms();
    }
    if (parts_.listener == nullptr)
        return;
    if (state == StepState::kDone || state == StepState::kSkipped)
        parts_.listener->done(step, report, report_.outputs.find(step.id)->second);
    else
        parts_.listener->failed(step, report);
}

/// Why the output of the whole can't be put together: what has failed of the first step that it
/// needs and that has not succeeded.
std::optional<Error> RunState::missing_for_output() const {
    const auto failure_of = [this](std::size_t index) -> std::optional<Error> {
        const StepState state = report_.steps[index].state;
        if (state != StepState::kFailed && state != StepState::kCancelled)
            return std::nullopt;
        const std::size_t cause = works_[index].because.value_or(index);
        return named(*report_.steps[cause].error, workflow_.steps[cause]);
    };
    if (!workflow_.output)
        return failure_of(workflow_.last_step);
    for (const auto& piece : workflow_.output->pieces) {
        const auto* const reference = std::get_if<Reference>(&piece);
        if (reference == nullptr)
            continue;
        for (std::size_t index = 0; index < workflow_.steps.size(); ++index) {
            if (workflow_.steps[index].id != reference->name ||
                (reference->kind != Reference::Kind::kOutput &&
                 reference->kind != Reference::Kind::kJson))
                continue;
            if (auto failure = failure_of(index))
                return failure;
        }
    }
    return std::nullopt;
}

void RunState::make_workflow_output() {
    report_.error = missing_for_output();
    if (report_.error)
        return;
    if (!workflow_.output) {
        const std::size_t last = workflow_.last_step;
        if (report_.steps[last].state == StepState::kDone)
            report_.output = report_.outputs.find(workflow_.steps[last].id)->second.text;
        return;
    }
    auto rendered = render(*workflow_.output, scope(), kListOutputs * parts_.limits.output_bytes);
    if (rendered)
        report_.output = *std::move(rendered);
    else
        report_.error = Error{.code = ErrorCode::kUnprocessable,
                              .message = "the workflow's output: " + rendered.error().message};
}

} // namespace larder::workflow
