// The relay over Redis: a stream for each flight that somebody waits for, and messages that say
// when to look at it. Pieces are numbered from 1 in the ids of the stream, so that none is written
// twice and none goes missing unseen. Runtime threads.
#pragma once

#include "async/signal.hpp"
#include "cache/held_leases.hpp"
#include "cache/news.hpp"
#include "cache/redis_keys.hpp"
#include "cache/relay.hpp"
#include "redis/client.hpp"

#include <map>
#include <memory>
#include <mutex>

namespace larder::cache {

/// Who waits for news of a flight, on which thread. Any thread.
class RelayWaiters {
public:
    /// Used on its executor's thread only.
    struct Waiter {
        explicit Waiter(Executor executor) : signal(executor) {}
        async::Signal signal;
        bool is_done = false; // the lease has ended
    };
    using WaiterPtr = std::shared_ptr<Waiter>;

    explicit RelayWaiters(std::size_t waiters_max) : waiters_max_(waiters_max) {}
    /// Null when there are too many.
    WaiterPtr enter(const std::string& token, Executor executor);
    void leave(const std::string& token, const WaiterPtr& waiter);
    /// Wakes all that wait for it, each on its own thread.
    void tell(const FlightNews& news);

private:
    const std::size_t waiters_max_;
    std::mutex mutex_;
    std::multimap<std::string, WaiterPtr, std::less<>> waiters_;
};

class RedisRelay final : public Relay {
public:
    /// All outlive it. `within` bounds each step.
    RedisRelay(redis::Client& client, const RedisKeys& keys, HeldLeases& leases,
               std::chrono::microseconds within);

    void offer(const std::string& lease, RelayCallbacks callbacks) override;
    void withdraw(const std::string& lease) override;
    /// One at a time for a flight. An Error is the end of its relay, for a piece may be missing:
    /// readers notice. With detail "relay_full" nothing was written, and an end alone still goes.
    Task<Result<void>> write(llm::Fingerprint key, std::string lease,
                             std::vector<std::string> pieces,
                             std::optional<std::string> end) override;
    /// The cursor is the number of the last piece. kStore when one is missing.
    Task<Result<RelayNews>> read(llm::Fingerprint key, std::string holder, std::string& cursor,
                                 std::chrono::milliseconds within) override;
    Task<void> want(std::string holder) override;
    Task<void> leave(std::string holder) override;

    /// A message came.
    void heard(const FlightNews& news) { waiters_.tell(news); }

private:
    Task<Result<RelayNews>> fetch(llm::Fingerprint key, std::string holder, std::string& cursor,
                                  bool asks);
    Task<Result<RelayNews>> wait_for_news(llm::Fingerprint key, std::string holder,
                                          std::string& cursor, std::chrono::milliseconds within,
                                          RelayWaiters::WaiterPtr waiter);

    redis::Client& client_;
    const RedisKeys& keys_;
    HeldLeases& leases_;
    const std::chrono::microseconds within_;
    RelayWaiters waiters_;
};

/// What an answer of XRANGE holds; moves the cursor on. Pure.
Result<RelayNews> read_relay(const redis::Reply& range, std::string& cursor);

} // namespace larder::cache
