// Runs a task on an io_context's thread and waits for what it gives.
#pragma once

#include "async/runtime.hpp"
#include "testing/tcp.hpp"

#include <boost/asio/post.hpp>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <utility>

namespace larder::testing {

template <class T> Task<void> deliver(Task<T> task, std::shared_ptr<std::promise<T>> promise) {
    promise->set_value(co_await std::move(task));
}

/// Starts `task` and goes on.
template <class T> std::future<T> start(asio::io_context& context, Task<T> task) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    async::spawn("test", context.get_executor(), deliver(std::move(task), std::move(promise)));
    return future;
}

/// The result, or the end of the test program when patience ends.
template <class T> T finish(std::future<T> future) {
    if (future.wait_for(kPatience * 2) != std::future_status::ready) {
        std::fprintf(stderr, "a task of the test hangs\n");
        std::abort();
    }
    return future.get();
}

template <class T> T run(asio::io_context& context, Task<T> task) {
    return finish(start(context, std::move(task)));
}

/// Calls `function` on the context's thread and waits until it has returned.
template <class Function> void run_there(asio::io_context& context, Function function) {
    std::promise<bool> done;
    asio::post(context, [&] {
        function();
        done.set_value(true);
    });
    finish(done.get_future());
}

} // namespace larder::testing
