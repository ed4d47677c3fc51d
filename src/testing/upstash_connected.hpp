// A client of an Upstash server of a test, on a runtime of two threads.
#pragma once

#include "redis/backends.hpp"
#include "testing/run_task.hpp"
#include "testing/upstash_server.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace larder::testing {

class UpstashConnected {
public:
    static constexpr std::chrono::microseconds kLong{10'000'000};

    /// Waits until both threads have had a first answer, unless told otherwise.
    explicit UpstashConnected(const std::string& url,
                              const std::string& token = UpstashServer::token(), bool wait = true)
        : runtime_(2) {
        auto made = redis::make_upstash_client(
            runtime_,
            {.url = url, .token = token, .on_health = [this](const redis::Health& health) {
                 const std::scoped_lock lock(mutex_);
                 told_.push_back(health.ok ? "ok" : health.reason);
             }});
        if (!made)
            std::abort();
        client_ = std::move(*made);
        if (wait && !(eventually([this] { return client_->health().ok; }) &&
                      ask(redis::Command("PING"), 0) && ask(redis::Command("PING"), 1))) {
            std::fprintf(stderr, "the Upstash server is not reached\n");
            std::abort();
        }
    }

    [[nodiscard]] redis::Client& client() { return *client_; }
    /// All that `on_health` was told.
    [[nodiscard]] std::vector<std::string> told() const {
        const std::scoped_lock lock(mutex_);
        return told_;
    }

    std::future<Result<redis::Reply>> start(redis::Command command, std::size_t thread = 0,
                                            std::chrono::microseconds within = kLong) {
        return testing::start(runtime_.context(thread), client_->run(std::move(command), within));
    }
    Result<redis::Reply> ask(redis::Command command, std::size_t thread = 0,
                             std::chrono::microseconds within = kLong) {
        return finish(start(std::move(command), thread, within));
    }
    std::vector<Result<redis::Reply>> pipeline(std::vector<redis::Command> commands,
                                               std::chrono::microseconds within = kLong) {
        return run(runtime_.context(0), client_->pipeline(std::move(commands), within));
    }
    Result<std::vector<redis::Reply>> transaction(std::vector<redis::Command> commands,
                                                  std::chrono::microseconds within = kLong) {
        return run(runtime_.context(0), client_->transaction(std::move(commands), within));
    }
    Result<redis::Reply> script(const redis::Script& script, redis::ScriptCall call,
                                std::chrono::microseconds within = kLong) {
        return run(runtime_.context(0), client_->script(script, std::move(call), within));
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> told_;
    async::Runtime runtime_;
    std::unique_ptr<redis::Client> client_; // stops before its runtime
};

} // namespace larder::testing
