// A blocking job on a pool's thread, for a coroutine that goes on with its result on its own
// executor, or without it after a while.
#pragma once

#include "async/runtime.hpp"
#include "async/task.hpp"
#include "base/result.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace larder::async {

/// The coroutine that waits. Once it has its answer nothing of its io_context is held here, so that
/// a late job may outlive that.
template <class T, class Handler> class PendingCall {
public:
    PendingCall(Handler waiting, const Executor& executor) {
        handler_.emplace(std::move(waiting));
        timer_.emplace(executor);
    }
    /// On the executor's thread. The first result counts.
    void complete(Result<T> result) {
        if (done_.exchange(true))
            return;
        timer_.reset(); // cancels
        auto waiting = *std::move(handler_);
        handler_.reset();
        std::move(waiting)(std::move(result));
    }
    [[nodiscard]] bool is_done() const { return done_; }
    static void expire(std::shared_ptr<PendingCall> self, std::chrono::milliseconds after,
                       Error error) {
        auto& timer = *self->timer_;
        timer.expires_after(after);
        timer.async_wait(
            [self = std::move(self), error = std::move(error)](boost::system::error_code) {
                self->complete(std::unexpected(error));
            });
    }

private:
    using Clock = std::chrono::steady_clock;
    std::optional<Handler> handler_;
    std::optional<asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>> timer_;
    std::atomic<bool> done_ = false;
};

/// What a call answers without its job: after `within`, and where the pool's queue is full.
struct CallErrors {
    std::chrono::milliseconds within;
    Error late;
    Error full;
};

/// `job` may run although its result comes too late; one that has not begun by then does not.
template <class T>
Task<Result<T>> call_worker(WorkerPool& workers, std::function<Result<T>()> job,
                            CallErrors errors) {
    auto start = [&workers, job = std::move(job),
                  errors = std::move(errors)](auto handler) mutable {
        const Executor executor = asio::get_associated_executor(handler);
        using Pending = PendingCall<T, decltype(handler)>;
        auto pending = std::make_shared<Pending>(std::move(handler), executor);
        Pending::expire(pending, errors.within, std::move(errors.late));
        const bool taken = workers.post([job = std::move(job), pending, executor]() mutable {
            if (pending->is_done())
                return;
            // The reference goes along: its last owner must be on the executor's thread.
            asio::post(executor, [pending = std::move(pending), result = job()]() mutable {
                pending->complete(std::move(result));
            });
        });
        if (!taken) {
            asio::post(executor, [pending, full = std::move(errors.full)]() mutable {
                pending->complete(std::unexpected(std::move(full)));
            });
        }
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Result<T>)>(
        std::move(start), asio::use_awaitable_t<Executor>());
}

} // namespace larder::async
