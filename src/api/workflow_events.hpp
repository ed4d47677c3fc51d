// A workflow's events on their way to a client that may be slow: what waits is bounded by the
// memory budget, and texts that wait too long are put together. On one thread.
#pragma once

#include "async/signal.hpp"
#include "base/budget.hpp"
#include "workflow/run.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::api {

class WorkflowEvents final : public workflow::Listener {
public:
    /// When so many bytes wait, further texts of a step become one event.
    static constexpr std::size_t kWaitingMost = 64UL * 1024;

    WorkflowEvents(Executor executor, MemoryBudget& budget) : signal_(executor), share_(budget) {}

    void started(const workflow::Step& step, std::optional<std::size_t> item) override;
    void delta(const workflow::Step& step, std::optional<std::size_t> item,
               std::string_view text) override;
    void done(const workflow::Step& step, const workflow::StepReport& report,
              const workflow::StepOutput& output) override;
    void failed(const workflow::Step& step, const workflow::StepReport& report) override;

    /// Notified when there is something to take.
    [[nodiscard]] async::Signal& signal() { return signal_; }
    /// All that waits, as server-sent events. What was taken before is sent by now.
    std::string take();
    [[nodiscard]] bool has_any() const { return !ready_.empty() || !held_.empty(); }
    /// The budget is used up: something was lost, and the stream can't go on.
    [[nodiscard]] bool has_lost() const { return lost_; }

private:
    struct Held {
        const workflow::Step* step = nullptr;
        std::optional<std::size_t> item;
        std::string text;
    };
    bool grow(std::size_t bytes);
    void add_event(std::string_view name, std::string_view data);
    void add_delta(const Held& held);
    void release(const workflow::Step& step);

    async::Signal signal_;
    BudgetShare share_;
    std::string ready_;
    std::vector<Held> held_;  // after what is ready
    std::size_t counted_ = 0; // bytes of `share_` for what waits
    std::size_t taken_ = 0;   // and for what is being sent
    bool lost_ = false;
};

} // namespace larder::api
