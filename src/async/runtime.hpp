// The threads: one io_context each, a pool of workers for blocking calls, and an ordered stop.
#pragma once

#include "async/task.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace larder::async {

/// N io_contexts on N threads. Everything started on one stays on it.
class Runtime {
public:
    explicit Runtime(std::size_t threads);
    ~Runtime(); // stops and joins
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] asio::io_context& context(std::size_t index);
    /// The index of the runtime thread that calls, or a number above any size from outside.
    [[nodiscard]] static std::size_t current();
    /// Stops all loops and joins their threads.
    void stop();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Starts a task that nobody waits for; what it throws is logged to stderr under its name and ends
/// only it.
void spawn(std::string_view name, Executor executor, Task<void> task);

/// A bounded pool of threads for blocking calls.
class WorkerPool {
public:
    WorkerPool(std::size_t threads, std::size_t max_queue);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    /// False when the queue is full: the job was not taken.
    bool post(std::function<void()> job);
    /// Runs what is queued, then joins.
    void stop();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace larder::async
