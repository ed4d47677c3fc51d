// Requests to Upstash of one runtime thread: HTTP over its own pool of connections, each answer
// awaited up to a deadline. On its io_context's thread.
#pragma once

#include "async/task.hpp"
#include "http/client.hpp"
#include "redis/upstash_guard.hpp"
#include "redis/upstash_wire.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace larder::redis::upstash {

/// Counts tasks that are under way, so that their end can be awaited. Any thread.
class Tasks {
public:
    void begin();
    void end();
    /// False when some were still there after `patience`.
    bool wait_for_end(std::chrono::milliseconds patience);

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    std::size_t count_ = 0;
};

/// What all lanes have in common. Outlives their requests.
struct Shared {
    explicit Shared(std::function<void(const Health&)> on_health) : guard(std::move(on_health)) {}
    http::BaseUrl base;
    std::string head_lines; // of every request; with the token
    http::ProxySettings proxy;
    Guard guard;
    Tasks tasks;
};

/// One HTTP request.
struct Post {
    std::string path; // "/", "/pipeline", "/multi-exec"
    std::string body;
    Shape shape = Shape::kOne;
    std::size_t count = 1;
    bool repeatable = false; // by the HTTP client, on a pooled connection that turns out closed
    std::chrono::steady_clock::time_point deadline;
};

class Lane : public std::enable_shared_from_this<Lane> {
public:
    Lane(asio::io_context& context, std::shared_ptr<Shared> shared);

    /// Sends it once. After the deadline an exchange goes on for a moment without its caller, so
    /// that a late answer leaves its connection behind; one that was not sent yet is not any more.
    Task<Verdict> send(Post post);
    /// Ends what is under way, and everything that comes later at once.
    void stop();
    [[nodiscard]] asio::io_context& context() { return context_; }

private:
    struct Exchange;
    Verdict give_up(Exchange& exchange);
    /// Makes a connection for those who come, when it takes longer than a request has.
    void warm_up();
    static Task<void> perform(std::shared_ptr<Lane> self, std::shared_ptr<Exchange> exchange);
    static Task<Result<Answer>> exchange_bytes(Shared& shared, http::ClientCall& call,
                                               Exchange& exchange);

    asio::io_context& context_;
    std::shared_ptr<Shared> shared_;
    http::Client client_;
    std::set<http::ClientCall*> under_way_;
    bool warming_ = false;
    bool stopped_ = false;
};

} // namespace larder::redis::upstash
