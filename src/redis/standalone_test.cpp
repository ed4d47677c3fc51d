// The client of one server, with real servers that are well, stopped, killed, full or wary.
#include "redis/backends.hpp"
#include "testing/redis_server.hpp"
#include "testing/run_task.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace larder::redis {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::RedisServer;

constexpr auto kLong = std::chrono::microseconds(5s);

Command get(std::string_view key) {
    return Command("GET").key(key).idempotent();
}
Command set(std::string_view key, std::string_view value) {
    return Command("SET").key(key).arg(value).idempotent();
}
Command increment(std::string_view key) {
    return Command("INCR").key(key);
}

class Fixture {
public:
    explicit Fixture(const std::string& url, std::size_t threads = 1) : runtime_(threads) {
        auto parsed = parse_url(url);
        EXPECT_TRUE(parsed) << parsed.error().message;
        auto made = make_redis_client(
            runtime_, {.url = *std::move(parsed), .on_health = [this](const Health& health) {
                           const std::lock_guard lock(mutex_);
                           changes_.push_back(health);
                       }});
        EXPECT_TRUE(made) << made.error().message;
        client_ = *std::move(made);
    }
    ~Fixture() {
        if (client_)
            client_->stop();
    }
    Client& client() { return *client_; }
    asio::io_context& context(std::size_t index = 0) { return runtime_.context(index); }
    Result<Reply> run(Command command, std::chrono::microseconds within = kLong) {
        return testing::run(context(), client_->run(std::move(command), within));
    }
    std::vector<Health> changes() {
        const std::lock_guard lock(mutex_);
        return changes_;
    }
    /// Waits until the health is as wanted.
    bool becomes(bool ok) {
        return testing::eventually([&] { return client_->health().ok == ok; });
    }

private:
    std::mutex mutex_;
    std::vector<Health> changes_;
    async::Runtime runtime_;
    std::unique_ptr<Client> client_;
};

TEST(StandaloneClient, RunsCommandsAndGivesTheirAnswers) {
    const RedisServer server;
    Fixture fixture(server.url());
    const auto stored = fixture.run(set("a", std::string("b\0c", 3)));
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_EQ(stored->text, "OK");
    EXPECT_EQ(fixture.run(get("a"))->text, std::string("b\0c", 3));
    EXPECT_TRUE(fixture.run(get("none"))->is_null());
    EXPECT_EQ(fixture.run(increment("n"))->integer, 1);
}

} // namespace
} // namespace larder::redis
