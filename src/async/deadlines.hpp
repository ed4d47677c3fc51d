// Deadlines of sockets and waits: a list per io_context that one timer looks through every 100 ms,
// because arming a timer for each would cost more than the wait itself. Used on the io_context's
// thread only.
#pragma once

#include "async/task.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace larder::async {

class Deadlines;

/// One deadline: calls `expired` (once an arming) up to 100 ms late. Disarmed by its destructor.
class Deadline {
public:
    Deadline(Deadlines& list, std::function<void()> expired);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;
    void arm(std::chrono::microseconds after);
    void disarm() { at_us_ = 0; }
    [[nodiscard]] bool has_expired() const { return expired_; }

private:
    friend class Deadlines;
    Deadlines& list_;
    std::function<void()> on_expired_;
    std::int64_t at_us_ = 0; // steady; 0: disarmed
    bool expired_ = false;
    Deadline* previous_ = nullptr;
    Deadline* next_ = nullptr;
};

/// All deadlines of one io_context.
class Deadlines final : public asio::execution_context::service {
public:
    using key_type = Deadlines;
    static asio::execution_context::id id; // NOLINT: the name Asio looks for

    explicit Deadlines(asio::execution_context& context);
    ~Deadlines() override;
    static Deadlines& of(asio::io_context& context);

    /// Steady time as of the last look at the clock by `now_us`.
    [[nodiscard]] static std::int64_t now_us();

private:
    friend class Deadline;
    void shutdown() override;
    void add(Deadline& deadline);
    void remove(Deadline& deadline);
    void start_ticking();
    void tick();

    struct Timer;
    asio::io_context& context_;
    std::unique_ptr<Timer> timer_;
    Deadline* first_ = nullptr;
    Deadline* cursor_ = nullptr; // the next one of a running tick
    bool ticking_ = false;
};

} // namespace larder::async
