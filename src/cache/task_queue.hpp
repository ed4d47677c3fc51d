// Tasks that nobody waits for: a few at once on each runtime thread, the others in a queue that is
// bounded by their number and their bytes. Any thread.
#pragma once

#include "async/runtime.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace larder::cache {

class TaskQueue {
public:
    struct Limits {
        std::size_t tasks = 0; // waiting or running
        std::size_t bytes = 0;
        std::size_t at_once = 8; // on each thread
    };
    /// Makes the task on the thread where it runs, and lives until that has ended.
    using Start = std::move_only_function<Task<void>()>;

    TaskQueue(async::Runtime& runtime, Limits limits);
    ~TaskQueue();
    TaskQueue(const TaskQueue&) = delete;
    TaskQueue& operator=(const TaskQueue&) = delete;

    /// Runs the task on the calling runtime thread, from outside on the first. False when the queue
    /// is full or closed: it was not taken.
    bool push(std::size_t bytes, Start start);
    /// The same for what is small and bounded otherwise: it is taken though the queue is full.
    bool push_beyond(Start start);
    /// Takes nothing more, and waits for what it has. False when `patience` has ended. From outside
    /// the runtime, which must still run.
    bool close(std::chrono::milliseconds patience);

private:
    struct State;
    static Task<void> work(std::shared_ptr<State> state, std::size_t lane);
    static void enqueue(const std::shared_ptr<State>& state, std::size_t bytes, Start start);
    std::shared_ptr<State> state_;
};

} // namespace larder::cache
