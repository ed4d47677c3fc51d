// Sessions in SQLite: one thread has the file, and the threads of the runtime wait for it without
// being blocked.
#pragma once

#include "async/runtime.hpp"
#include "session/backends.hpp"
#include "session/session_table.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace larder::session {

class SqlSessions final : public Store {
public:
    explicit SqlSessions(SqlSessionSettings settings);
    ~SqlSessions() override;

    Task<Result<Session>> create(Owner owner, std::string data, Lifetime lifetime,
                                 async::TimeBudget& budget) override;
    Task<Result<Session>> read_and_refresh(Reference reference, Lifetime lifetime,
                                           async::TimeBudget& budget) override;
    Task<Result<Session>> replace(Reference reference, std::string data, Expected expected,
                                  Lifetime lifetime, async::TimeBudget& budget) override;
    Task<Result<Session>> rotate(Reference reference, Expected expected, Lifetime lifetime,
                                 async::TimeBudget& budget) override;
    Task<Result<void>> destroy(Reference reference, Expected expected,
                               async::TimeBudget& budget) override;
    Task<Result<std::vector<Session>>> list(Owner owner, async::TimeBudget& budget) override;
    Task<Result<std::int64_t>> destroy_all(Owner owner, async::TimeBudget& budget) override;
    [[nodiscard]] StoreHealth health() const override;
    void stop() override;

private:
    template <class T> using Job = std::function<Result<T>(SessionTable&, std::int64_t now_ms)>;
    using Steady = std::chrono::steady_clock;

    /// Runs `job` on the file's thread; resumes on the caller's executor.
    template <class T> Task<Result<T>> on_table(Job<T> job);

    // On the file's thread.
    template <class T> Result<T> work(const Job<T>& job);
    Result<void> open();
    void look();
    void sweep(std::int64_t now_ms);
    Error note_failure(const Error& error);
    void set_health(bool ok, std::string_view reason);

    const SqlSessionSettings settings_;
    mutable std::mutex mutex_; // health_
    StoreHealth health_;

    // The file's thread's own.
    std::unique_ptr<SessionTable> table_;
    Steady::time_point retry_at_;
    Steady::time_point swept_at_;

    const std::function<void()> look_;
    mutable std::atomic<bool> looking_ = false;
    mutable async::WorkerPool worker_; // last: it uses all of the above
};

} // namespace larder::session
