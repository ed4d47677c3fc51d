#include "async/runtime.hpp"

#include "base/result.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace larder::async {
namespace {

constexpr std::size_t kOutside = ~std::size_t{0};
thread_local std::size_t current_thread = kOutside;

} // namespace

struct Runtime::State {
    // One thread runs each context; the hint lets Asio skip waking others.
    struct Loop {
        asio::io_context context{1};
        std::optional<asio::executor_work_guard<Executor>> work;
        std::thread thread;
    };
    std::vector<std::unique_ptr<Loop>> loops;
};

Runtime::Runtime(std::size_t threads) : state_(std::make_unique<State>()) {
    LARDER_ASSERT(threads > 0);
    for (std::size_t i = 0; i < threads; ++i) {
        state_->loops.push_back(std::make_unique<State::Loop>());
        auto& loop = *state_->loops.back();
        loop.work.emplace(loop.context.get_executor());
    }
    for (std::size_t i = 0; i < threads; ++i) {
        auto& loop = *state_->loops[i];
        loop.thread = std::thread([&loop, i] {
            current_thread = i;
            loop.context.run();
        });
    }
}

Runtime::~Runtime() {
    stop();
}

std::size_t Runtime::size() const {
    return state_->loops.size();
}

asio::io_context& Runtime::context(std::size_t index) {
    return state_->loops[index]->context;
}

std::size_t Runtime::current() {
    return current_thread;
}

void Runtime::stop() {
    for (auto& loop : state_->loops) {
        loop->work.reset();
        loop->context.stop();
    }
    for (auto& loop : state_->loops) {
        if (loop->thread.joinable())
            loop->thread.join();
    }
}

void spawn(std::string_view name, Executor executor, Task<void> task) {
    asio::co_spawn(executor, std::move(task),
                   [name = std::string(name)](std::exception_ptr thrown) {
                       if (!thrown)
                           return;
                       try {
                           std::rethrow_exception(thrown);
                       } catch (const std::exception& exception) {
                           std::fprintf(stderr, "task %s ended by an exception: %s\n", name.c_str(),
                                        exception.what());
                       }
                   });
}

struct WorkerPool::State {
    std::mutex mutex;
    std::condition_variable ready;
    std::deque<std::function<void()>> queue;
    std::size_t max_queue = 0;
    bool stopping = false;
    std::vector<std::thread> threads;

    void run() {
        std::unique_lock lock(mutex);
        while (true) {
            ready.wait(lock, [this] { return stopping || !queue.empty(); });
            if (queue.empty())
                return;
            auto job = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            job();
            lock.lock();
        }
    }
};

WorkerPool::WorkerPool(std::size_t threads, std::size_t max_queue)
    : state_(std::make_unique<State>()) {
    state_->max_queue = max_queue;
    for (std::size_t i = 0; i < threads; ++i)
        state_->threads.emplace_back([state = state_.get()] { state->run(); });
}

WorkerPool::~WorkerPool() {
    stop();
}

bool WorkerPool::post(std::function<void()> job) {
    {
        std::lock_guard lock(state_->mutex);
        if (state_->stopping || state_->queue.size() >= state_->max_queue)
            return false;
        state_->queue.push_back(std::move(job));
    }
    state_->ready.notify_one();
    return true;
}

void WorkerPool::stop() {
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->ready.notify_all();
    for (auto& thread : state_->threads) {
        if (thread.joinable())
            thread.join();
    }
}

} // namespace larder::async
