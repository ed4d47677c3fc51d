// A lane for each thread, used on that thread only; what all share is counted under a mutex.
#include "cache/task_queue.hpp"

#include "base/result.hpp"

#include <boost/asio/post.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace larder::cache {

struct TaskQueue::State {
    struct Job {
        Start start;
        std::size_t bytes = 0;
    };
    struct Lane {
        std::deque<Job> waiting;
        std::size_t running = 0;
    };

    State(async::Runtime& its_runtime, Limits its_limits)
        : runtime(its_runtime), limits(its_limits), lanes(its_runtime.size()) {}

    bool take(std::size_t job_bytes, bool is_bounded) {
        const std::lock_guard lock(mutex);
        if (closed)
            return false;
        if (is_bounded &&
            (tasks >= limits.tasks || job_bytes > limits.bytes || bytes > limits.bytes - job_bytes))
            return false;
        ++tasks;
        bytes += job_bytes;
        return true;
    }
    void give_back(std::size_t job_bytes) {
        const std::lock_guard lock(mutex);
        --tasks;
        bytes -= job_bytes;
        if (tasks == 0)
            idle.notify_all();
    }

    async::Runtime& runtime;
    const Limits limits;
    std::vector<Lane> lanes;
    std::mutex mutex;
    std::condition_variable idle;
    std::size_t tasks = 0;
    std::size_t bytes = 0;
    bool closed = false;
};

TaskQueue::TaskQueue(async::Runtime& runtime, Limits limits)
    : state_(std::make_shared<State>(runtime, limits)) {
    LARDER_ASSERT(limits.at_once > 0);
}

TaskQueue::~TaskQueue() = default;

bool TaskQueue::push(std::size_t bytes, Start start) {
    if (!state_->take(bytes, true))
        return false;
    enqueue(state_, bytes, std::move(start));
    return true;
}

bool TaskQueue::push_beyond(Start start) {
    if (!state_->take(0, false))
        return false;
    enqueue(state_, 0, std::move(start));
    return true;
}

void TaskQueue::enqueue(const std::shared_ptr<State>& state, std::size_t bytes, Start start) {
    const std::size_t current = async::Runtime::current();
    if (current >= state->lanes.size()) {
        asio::post(state->runtime.context(0), [state, bytes, start = std::move(start)]() mutable {
            enqueue(state, bytes, std::move(start));
        });
        return;
    }
    State::Lane& lane = state->lanes[current];
    lane.waiting.push_back({.start = std::move(start), .bytes = bytes});
    if (lane.running == state->limits.at_once)
        return;
    ++lane.running;
    async::spawn("cache writes", state->runtime.context(current).get_executor(),
                 work(state, current));
}

Task<void> TaskQueue::work(std::shared_ptr<State> state, std::size_t lane) {
    State::Lane& mine = state->lanes[lane];
    while (!mine.waiting.empty()) {
        State::Job job = std::move(mine.waiting.front());
        mine.waiting.pop_front();
        co_await job.start();
        job.start = nullptr; // what it held is free before the queue says so
        state->give_back(job.bytes);
    }
    --mine.running;
}

bool TaskQueue::close(std::chrono::milliseconds patience) {
    std::unique_lock lock(state_->mutex);
    state_->closed = true;
    return state_->idle.wait_for(lock, patience, [this] { return state_->tasks == 0; });
}

} // namespace larder::cache
