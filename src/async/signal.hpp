// A place where one coroutine waits for news. Everything happens on its io_context's thread, but
// `notify` of a SharedSignal.
#pragma once

#include "async/task.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <utility>

namespace larder::async {

/// Remembers one notification. At most one waiter. Must outlive its waiter.
class Signal {
public:
    explicit Signal(Executor executor) : executor_(executor) {}
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    /// Returns once notified (at once if that has happened since the last wait).
    Task<void> wait() {
        if (!std::exchange(set_, false)) {
            constexpr asio::deferred_t kWithoutAFrame;
            co_await asio::async_initiate<const asio::deferred_t, void()>(
                [this](auto handler) {
                    waiter_ = [handler = std::move(handler)]() mutable { std::move(handler)(); };
                },
                kWithoutAFrame);
        }
    }

    /// Resumes the waiter from the loop, never inside this call.
    void notify() {
        if (!waiter_) {
            set_ = true;
            return;
        }
        asio::post(executor_, std::exchange(waiter_, nullptr));
    }

    /// Resumes the waiter inside this call. Only from a callback of the loop, with nothing used
    /// afterwards that the waiter may end.
    void resume() {
        if (!waiter_) {
            set_ = true;
            return;
        }
        std::exchange(waiter_, nullptr)();
    }

    [[nodiscard]] bool waiting() const { return static_cast<bool>(waiter_); }
    void clear() { set_ = false; }
    [[nodiscard]] Executor executor() const { return executor_; }

private:
    Executor executor_;
    std::move_only_function<void()> waiter_;
    bool set_ = false;
};

} // namespace larder::async
