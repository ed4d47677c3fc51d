// A workflow that runs: its steps' calls, what they may use, and what comes of them. Decides in
// plain functions; only a call's coroutine (step_run.cpp) waits. On one thread.
#pragma once

#include "async/signal.hpp"
#include "gateway/completion.hpp"
#include "workflow/graph_state.hpp"
#include "workflow/models_of.hpp"
#include "workflow/run.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::workflow {

using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;

/// One call of a step, or of an item of it, with its tries and its repair.
struct Unit {
    std::size_t step = 0;
    std::optional<std::size_t> item;
    std::string body;   // of the next try; empty where the last one has it
    bool keeps = false; // the body is needed after the call
    int failures = 0;   // of its tries
    bool is_repaired = false;
    bool is_cancelled = false;
    llm::Usage at_most;               // of the try that is under way, without an unbounded answer
    llm::Money reserved;              // of the try that is under way
    std::optional<BudgetShare> share; // of its body and its copies
    std::unique_ptr<gateway::Completion> completion;
    std::optional<Timer> delay;
};

/// What comes after a try.
struct AfterTry {
    std::optional<Result<StepOutput>> end; // its output, or why there is none
    std::chrono::milliseconds delay{0};    // before the next try
};

class RunState : public std::enable_shared_from_this<RunState> {
public:
    RunState(const Workflow& workflow, const JsonText& input, RunParts parts);

    void begin();
    [[nodiscard]] async::Signal& over() { return over_; }
    /// The report; once, when it is over.
    RunReport take_report();
    /// Ends everything with this error, unless it was stopped before.
    void stop(Error error);
    [[nodiscard]] bool is_over() const { return graph_.is_over() && running_ == 0; }

    // For the coroutine of a call.
    [[nodiscard]] const RunParts& parts() const { return parts_; }
    Result<void> prepare(Unit& unit);
    /// Takes a call and its cost from what the workflow may have. kUnprocessable: there is not so
    /// much left.
    Result<void> take_call(Unit& unit);
    gateway::CompletionRequest make_request(Unit& unit) const;
    std::function<void(std::string_view)> make_text_listener(const Unit& unit) const;
    AfterTry settle(Unit& unit, gateway::CompletionReply reply);
    void unit_over(const std::shared_ptr<Unit>& unit, Result<StepOutput> result);

private:
    /// A step while it runs.
    struct Work {
        std::vector<std::string_view> items; // JSON; the outputs of earlier steps hold the bytes
        std::vector<StepOutput> results;     // of the items, or the one
        std::vector<std::shared_ptr<Unit>> units;
        std::size_t count = 0; // of units, all in all
        std::size_t next = 0;  // the first that has not begun
        std::size_t finished = 0;
        std::size_t result_bytes = 0;
        std::optional<Error> failure;
        bool is_stopped = false;            // with the workflow: the failure is none of its own
        std::optional<std::size_t> because; // the step that ended this one before it began
        std::vector<Candidate> models;      // that may answer; found on first need
        std::optional<Timer> timer;
    };

    void ready(std::size_t index);
    Result<void> find_items(const Step& step, Work& work);
    void pump();
    [[nodiscard]] bool may_begin(std::size_t index) const;
    void begin_step(std::size_t index);
    void begin_unit(std::size_t index);
    void fail_step(std::size_t index, Error error);
    void give_up_step(std::size_t index, Error error);
    void step_over(std::size_t index);
    Result<StepOutput> make_output(std::size_t index);
    void settle_step(std::size_t index, StepState state);
    void report_decided(std::size_t index, StepState state, std::optional<Error> error);
    void finish_if_over();
    [[nodiscard]] Scope scope(const Item* item = nullptr);
    Result<void> count_body(Unit& unit);
    /// Of the try that is under way, by estimate.
    [[nodiscard]] llm::Money cost_of_the_longest(const Unit& unit);
    [[nodiscard]] const std::vector<Candidate>& models_of_step(std::size_t index);
    [[nodiscard]] std::int64_t elapsed_ms() const;
    [[nodiscard]] std::optional<Error> missing_for_output() const;
    void make_workflow_output();

    const Workflow& workflow_;
    const JsonText& input_;
    RunParts parts_;
    llm::Money cost_max_;
    GraphState graph_;
    std::vector<Work> works_;
    std::vector<std::size_t> open_; // ready or running, with units that have not begun
    std::optional<BudgetShare> share_;
    std::size_t looks_left_ = kMostLookedAt; // of all conditions
    std::size_t running_ = 0;                // calls under way
    llm::Money reserved_;                    // what they are estimated to cost
    bool is_pumping_ = false;
    bool is_stopped_ = false;
    std::int64_t began_us_ = 0;
    RunReport report_;
    std::optional<Timer> timer_;
    async::Signal over_;
};

/// The coroutine of one call.
Task<void> run_unit(std::shared_ptr<RunState> run, std::shared_ptr<Unit> unit);

/// `error` with the step's name before its message.
Error named(Error error, const Step& step);

} // namespace larder::workflow
