// An http::Server for tests, whose handler does by path what a test asks of it, and remembers what
// it saw.
#pragma once

#include "async/runtime.hpp"
#include "async/signal.hpp"
#include "http/server.hpp"
#include "testing/tcp.hpp"

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace larder::testing {

/// What the handler saw, and the gate of "/hold".
struct Probe {
    std::atomic<int> requests{0};
    std::atomic<int> holding{0};
    std::atomic<int> gone{0};
    std::atomic<int> cancelled{0};       // writes and bodies that ended with kCancelled
    std::atomic<int> timed_out{0};       // writes that ended with kTimeout
    std::atomic<std::uint64_t> taken{0}; // bytes of "/flood" that went into the kernel

    void note(const Error& error) {
        (error.code == ErrorCode::kTimeout ? timed_out : cancelled) += 1;
    }
    void expose(async::Signal* signal) {
        const std::lock_guard lock(mutex_);
        signal_ = signal;
    }
    /// Lets "/hold" answer.
    void release() {
        const std::lock_guard lock(mutex_);
        if (signal_ == nullptr)
            return;
        asio::post(signal_->executor(), [this] {
            const std::lock_guard again(mutex_);
            if (signal_ != nullptr)
                signal_->notify();
        });
    }

private:
    std::mutex mutex_;
    async::Signal* signal_ = nullptr;
};

constexpr std::size_t kProbeBodyMax = 1 << 20;

inline Task<void> probe_body(http::Exchange& exchange, Probe& probe, std::size_t max_bytes) {
    auto body = co_await exchange.read_body(max_bytes);
    http::Response response;
    if (body) {
        response.body = std::move(*body);
    } else if (body.error().code == ErrorCode::kCancelled) {
        probe.note(body.error());
        co_return exchange.abort();
    } else {
        response.status = body.error().code == ErrorCode::kTooLarge ? 413 : 400;
        response.body = body.error().message;
    }
    co_await exchange.reply(std::move(response));
}

inline Task<void> probe_stream(http::Exchange& exchange, std::string_view end) {
    co_await exchange.begin_stream(200, {{"Content-Type", "text/plain"}}, "X-Line: 1\r\n");
    co_await exchange.write("one");
    co_await exchange.write("");
    co_await exchange.write("twenty bytes of text");
    if (end == "end")
        co_await exchange.end_stream();
    else if (end == "abort")
        exchange.abort();
    else if (end == "throw")
        throw std::runtime_error("in a stream, on purpose");
}

/// A reply of seven bytes as its head says.
inline Task<void> probe_sized(http::Exchange& exchange, std::string_view end) {
    co_await exchange.begin_stream(200, {}, "", 7);
    co_await exchange.write("four");
    co_await exchange.write(end);
    if (!exchange.gone())
        co_await exchange.end_stream();
}

inline Task<void> probe_flood(http::Exchange& exchange, Probe& probe) {
    const std::string block(64 * 1024, 'x');
    co_await exchange.begin_stream(200, {}, "");
    while (true) {
        const auto written = co_await exchange.write(block);
        if (!written) {
            probe.note(written.error());
            co_return;
        }
        probe.taken += block.size();
    }
}

inline Task<void> probe_hold(http::Exchange& exchange, Probe& probe) {
    async::Signal signal(exchange.executor());
    exchange.watch_gone([&probe, &signal] {
        ++probe.gone;
        signal.notify();
    });
    probe.expose(&signal);
    ++probe.holding;
    co_await signal.wait();
    probe.expose(nullptr);
    exchange.watch_gone(nullptr);
    if (exchange.gone())
        co_return exchange.abort();
    co_await exchange.reply({.body = "held"});
}

inline Task<void> probe_handler(http::Exchange& exchange, Probe& probe) {
    ++probe.requests;
    const std::string path(exchange.head().path);
    if (path == "/echo")
        co_await probe_body(exchange, probe, kProbeBodyMax);
    else if (path == "/small")
        co_await probe_body(exchange, probe, 10);
    else if (path.starts_with("/stream/"))
        co_await probe_stream(exchange, path.substr(8));
    else if (path.starts_with("/sized/"))
        co_await probe_sized(exchange, path.substr(7));
    else if (path == "/flood")
        co_await probe_flood(exchange, probe);
    else if (path == "/hold")
        co_await probe_hold(exchange, probe);
    else if (path == "/throw")
        throw std::runtime_error("on purpose");
    else if (path == "/empty")
        co_await exchange.reply({.status = 204, .body = "must not be sent"});
    else if (path == "/raw")
        co_await exchange.reply_raw("HTTP/1.1 201 Created\r\nX-One: 1\r\n", "Content-Length: 3\r\n",
                                    "raw");
    else if (path != "/silent")
        co_await exchange.reply({.body = std::string(exchange.head().target)});
}

/// Started when made; stopped and gone when destroyed.
class ProbeServer {
public:
    explicit ProbeServer(http::ServerSettings settings = {}, std::size_t threads = 1)
        : runtime_(threads),
          server_(
              runtime_, local(std::move(settings)),
              [this](http::Exchange& exchange) { return probe_handler(exchange, probe_); },
              [](const Error& error) {
                  return http::Response{.status = error.code == ErrorCode::kInternal       ? 500
                                                  : error.code == ErrorCode::kHeadTooLarge ? 431
                                                                                           : 400,
                                        .body = error.message};
              }) {
        started_ = server_.start();
    }
    [[nodiscard]] const Result<void>& started() const { return started_; }
    [[nodiscard]] http::Server& server() { return server_; }
    [[nodiscard]] Probe& probe() { return probe_; }
    [[nodiscard]] std::string address() const { return server_.address(); }
    [[nodiscard]] std::uint16_t port() const {
        return net::parse_host_port(server_.address()).value().port;
    }
    [[nodiscard]] RawConnection connect(int receive_buffer = 0) const {
        return RawConnection::to(server_.address(), receive_buffer);
    }

private:
    static http::ServerSettings local(http::ServerSettings settings) {
        if (settings.listen == http::ServerSettings().listen)
            settings.listen = "127.0.0.1:0";
        return settings;
    }

    Probe probe_;
    async::Runtime runtime_;
    http::Server server_;
    Result<void> started_;
};

} // namespace larder::testing
