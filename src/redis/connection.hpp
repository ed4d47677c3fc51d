// One pipelined connection: what is asked in one turn of the loop leaves with one write, answers
// come back in order. A command that has timed out keeps its place in the queue, so that its late
// answer is swallowed. On its io_context's thread.
#pragma once

#include "async/signal.hpp"
#include "async/task.hpp"
#include "redis/dial.hpp"
#include "redis/resp.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace larder::redis {

/// Commands that are sent together, and whoever waits for their answers. Lives in the waiting
/// coroutine's frame; `complete` is called once, from the loop, when `outcome` is known.
struct Exchange {
    enum class Outcome : std::uint8_t { kWaiting, kDone, kTimedOut, kBroken, kNotSent };
    std::span<Reply> replies; // one for each command
    std::int64_t deadline_us = 0;
    std::int64_t answered_us = 0; // of kDone
    std::size_t answered = 0;     // how many of `replies` have come, whatever the outcome
    Outcome outcome = Outcome::kWaiting;
    std::move_only_function<void()> complete;

    std::uint64_t begins_at = 0;   // in all bytes of the connection
    Exchange* next_done = nullptr; // in the list of those to be completed
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
    enum class State : std::uint8_t { kOpening, kReady, kBroken };
    /// `broken` is called once when the connection ends, before what waits on it is completed.
    Connection(asio::io_context& context, const NodeSettings& settings,
               std::function<void(Connection&)> broken);

    /// Makes the connection. What was submitted meanwhile is sent then, or has kNotSent.
    Task<Result<std::chrono::microseconds>> open();
    /// Returns once it is broken. At most one waiter.
    Task<void> ended();

    /// Queues the commands; false when there is no room, or it is broken.
    [[nodiscard]] bool submit(Exchange& exchange, std::span<const Command> commands);
    /// Completes what is overdue.
    void expire(std::int64_t now_us);
    /// Breaks it: what waits has kBroken or kNotSent.
    void close();

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] bool has_been_ready() const { return stream_ != nullptr; }
    [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
    /// Whether `expire` has to be called every few milliseconds.
    [[nodiscard]] bool has_deadlines() const { return earliest_us_ != 0; }
    /// When it last heard something, or began to wait for an answer.
    [[nodiscard]] std::int64_t heard_us() const { return heard_us_; }

private:
    struct Waiting {
        Exchange* exchange = nullptr; // null: nobody waits any more
        std::uint32_t left = 0;       // answers to come
    };

    void schedule_flush();
    void flush();
    void wait_writable();
    void arm_read();
    void read_soon();
    void on_bytes(std::size_t bytes);
    void on_readable();
    bool take(std::string_view input);
    void finish(Exchange& exchange, Exchange::Outcome outcome, std::size_t unanswered);
    Exchange* next_done();
    void complete_done();

    asio::io_context& context_;
    std::shared_ptr<Dial> dial_; // while it opens
    std::function<void(Connection&)> broken_;
    async::Signal ended_;
    std::unique_ptr<net::Stream> stream_;
    std::vector<char> buffer_;
    ReplyParser parser_;
    Reply unwanted_;
    std::deque<Waiting> waiting_;
    std::string output_;
    std::size_t written_ = 0;      // of `output_`
    std::uint64_t appended_ = 0;   // bytes ever put into `output_`
    std::int64_t earliest_us_ = 0; // no deadline before; 0: none
    std::int64_t heard_us_ = 0;
    Exchange* first_done_ = nullptr;
    Exchange** last_done_ = &first_done_;
    State state_ = State::kOpening;
    bool plain_ = false;
    bool flush_scheduled_ = false;
    bool blocked_ = false; // waits until it can write
    bool completing_ = false;
};

} // namespace larder::redis
