// The backends that the contract of the sessions is tested on, and calls of a store that wait for
// their answer.
#pragma once

#include "redis/backends.hpp"
#include "session/backends.hpp"
#include "testing/redis_server.hpp"
#include "testing/run_task.hpp"
#include "testing/upstash_server.hpp"

#include <chrono>
#include <deque>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace larder::testing {

enum class SessionBackend : std::uint8_t { kMemory, kSqlite, kRedis, kUpstash };

inline void PrintTo(SessionBackend backend, std::ostream* out) {
    constexpr const char* kNames[] = {"Memory", "Sqlite", "Redis", "Upstash"};
    *out << kNames[static_cast<std::size_t>(backend)];
}

/// A store with what it stands on. Calls come from the threads of a runtime.
class SessionHarness {
public:
    static constexpr std::size_t kThreads = 2;

    explicit SessionHarness(SessionBackend backend, std::size_t per_user_max = 1000)
        : runtime_(kThreads) {
        if (backend == SessionBackend::kRedis)
            use_redis(per_user_max);
        else if (backend == SessionBackend::kUpstash)
            use_upstash(per_user_max);
        else
            use_sqlite(backend == SessionBackend::kSqlite, per_user_max);
    }
    ~SessionHarness() {
        store_->stop();
        if (client_)
            client_->stop();
        runtime_.stop();
        if (!directory_.empty())
            std::filesystem::remove_all(directory_);
    }
    SessionHarness(const SessionHarness&) = delete;
    SessionHarness& operator=(const SessionHarness&) = delete;

    [[nodiscard]] session::Store& store() { return *store_; }
    /// Null unless it stands on Redis, or on an Upstash in front of one.
    [[nodiscard]] RedisServer* server() { return upstash_ ? &upstash_->redis() : server_.get(); }
    [[nodiscard]] redis::Client& client() { return *client_; }

    /// Calls `call(store, budget)` on the runtime's thread of that number and goes on.
    template <class Call> auto start(std::size_t thread, Call call) {
        async::TimeBudget& budget = budgets_.emplace_back(budget_);
        return testing::start(runtime_.context(thread % kThreads), call(*store_, budget));
    }
    template <class Call> auto run(Call call) { return finish(start(0, std::move(call))); }
    /// What each call from now on may wait.
    void set_budget(std::chrono::microseconds budget) { budget_ = budget; }

    Result<session::Session> create(session::Owner owner, std::string data = "{}",
                                    session::Lifetime lifetime = {}) {
        return run([&](session::Store& store, async::TimeBudget& budget) {
            return store.create(owner, data, lifetime, budget);
        });
    }
    Result<session::Session> read(session::Reference reference, session::Lifetime lifetime = {}) {
        return run([&](session::Store& store, async::TimeBudget& budget) {
            return store.read_and_refresh(reference, lifetime, budget);
        });
    }
    Result<session::Session> replace(session::Reference reference, std::string data,
                                     session::Store::Expected expected = std::nullopt,
                                     session::Lifetime lifetime = {}) {
        return run([&](session::Store& store, async::TimeBudget& budget) {
            return store.replace(reference, data, expected, lifetime, budget);
        });
    }
    Result<session::Session> rotate(session::Reference reference,
                                    session::Store::Expected expected = std::nullopt,
                                    session::Lifetime lifetime = {}) {
        return run([&](session::Store& store, async::TimeBudget& budget) {
            return store.rotate(reference, expected, lifetime, budget);
        });
    }
    Result<void> destroy(session::Reference reference,
                         session::Store::Expected expected = std::nullopt) {
        return run([&](session::Store& store, async::TimeBudget& budget) {
            return store.destroy(reference, expected, budget);
        });
    }
    Result<std::vector<session::Session>> list(session::Owner owner) {
        return run([&](session::Store& store, async::TimeBudget& budget) {
            return store.list(owner, budget);
        });
    }
    Result<std::int64_t> destroy_all(session::Owner owner) {
        return run([&](session::Store& store, async::TimeBudget& budget) {
            return store.destroy_all(owner, budget);
        });
    }

private:
    void use_redis(std::size_t per_user_max) {
        server_ = std::make_unique<RedisServer>();
        auto client =
            redis::make_redis_client(runtime_, {.url = *redis::parse_url(server_->url())});
        if (!client)
            std::abort();
        client_ = *std::move(client);
        store_ = session::make_redis_sessions(*client_, {.per_user_max = per_user_max});
    }
    void use_upstash(std::size_t per_user_max) {
        upstash_ = std::make_unique<UpstashServer>();
        auto client = redis::make_upstash_client(
            runtime_, {.url = upstash_->url(), .token = UpstashServer::token()});
        if (!client)
            std::abort();
        client_ = *std::move(client);
        store_ = session::make_redis_sessions(*client_, {.per_user_max = per_user_max});
    }
    void use_sqlite(bool on_disk, std::size_t per_user_max) {
        session::SqlSessionSettings settings{.path = ":memory:",
                                             .clock = &clock_,
                                             .per_user_max = per_user_max,
                                             .deadline = std::chrono::seconds(20)};
        if (on_disk) {
            std::string directory =
                (std::filesystem::temp_directory_path() / "sessions-XXXXXX").string();
            if (::mkdtemp(directory.data()) == nullptr)
                std::abort();
            directory_ = directory;
            settings.path = directory_ + "/larder.db";
        }
        store_ = session::make_sql_sessions(std::move(settings));
    }

    SystemClock clock_;
    std::chrono::microseconds budget_ = std::chrono::seconds(20);
    std::deque<async::TimeBudget> budgets_; // as long as any call
    std::string directory_;
    std::unique_ptr<RedisServer> server_;
    std::unique_ptr<UpstashServer> upstash_;
    async::Runtime runtime_;
    std::unique_ptr<redis::Client> client_;
    std::unique_ptr<session::Store> store_;
};

} // namespace larder::testing
