// A StandaloneClient of a test on threads of its own, and what became of its health.
#pragma once

#include "redis/backends.hpp"
#include "testing/run_task.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace larder::testing {

/// Long enough for anything that is to succeed.
constexpr std::chrono::microseconds kLong{5'000'000};

inline redis::Command get(std::string_view key) {
    return redis::Command("GET").key(key).idempotent();
}
inline redis::Command set(std::string_view key, std::string_view value) {
    return redis::Command("SET").key(key).arg(value).idempotent();
}
inline redis::Command increment(std::string_view key) {
    return redis::Command("INCR").key(key);
}

class RedisFixture {
public:
    explicit RedisFixture(const std::string& url, std::size_t threads = 1,
                          std::size_t connections = 2)
        : runtime_(threads) {
        auto parsed = redis::parse_url(url);
        EXPECT_TRUE(parsed) << parsed.error().message;
        redis::RedisSettings settings;
        settings.url = *std::move(parsed);
        settings.connections = connections;
        settings.on_health = [this](const redis::Health& health) {
            const std::lock_guard lock(mutex_);
            changes_.push_back(health);
        };
        auto made = redis::make_redis_client(runtime_, std::move(settings));
        EXPECT_TRUE(made) << made.error().message;
        client_ = *std::move(made);
    }
    ~RedisFixture() { client_->stop(); }
    RedisFixture(const RedisFixture&) = delete;
    RedisFixture& operator=(const RedisFixture&) = delete;

    [[nodiscard]] redis::Client& client() { return *client_; }
    [[nodiscard]] asio::io_context& context(std::size_t index = 0) {
        return runtime_.context(index);
    }
    Result<redis::Reply> run(redis::Command command, std::chrono::microseconds within = kLong) {
        return testing::run(context(), client_->run(std::move(command), within));
    }
    /// What the health has been so far, each change once.
    [[nodiscard]] std::vector<redis::Health> changes() {
        const std::lock_guard lock(mutex_);
        return changes_;
    }
    [[nodiscard]] bool becomes(bool ok) {
        return eventually([&] { return client_->health().ok == ok; });
    }

private:
    std::mutex mutex_;
    std::vector<redis::Health> changes_;
    async::Runtime runtime_;
    std::unique_ptr<redis::Client> client_;
};

} // namespace larder::testing
