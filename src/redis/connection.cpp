#include "redis/connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <utility>

namespace larder::redis {
namespace {

using Status = net::IoResult::Status;
using Outcome = Exchange::Outcome;

constexpr std::size_t kReadSize = 32UL * 1024;
constexpr std::size_t kWaitingMax = 16UL * 1024;       // exchanges, also those given up
constexpr std::size_t kOutputMax = 64UL * 1024 * 1024; // not written yet
constexpr std::size_t kOutputKept = 256UL * 1024;      // capacity of an empty buffer
constexpr std::size_t kSparePrefix = 1024UL * 1024;    // written bytes that may stand
constexpr int kReadsInARow = 8;                        // then others have their turn

} // namespace

Connection::Connection(asio::io_context& context, const NodeSettings& settings,
                       std::function<void(Connection&)> broken)
    : context_(context), dial_(std::make_shared<Dial>(context, settings)),
      broken_(std::move(broken)), ended_(context.get_executor()), plain_(settings.tls == nullptr) {}

Task<Result<std::chrono::microseconds>> Connection::open() {
    const auto self = shared_from_this();
    const auto dial = dial_;
    auto dialed = co_await dial->open();
    if (!dialed) {
        close();
        co_return std::unexpected(std::move(dialed).error());
    }
    if (state_ == State::kBroken)
        co_return fail(ErrorCode::kStore, "it was closed");
    dial_.reset();
    stream_ = std::move(dialed->stream);
    state_ = State::kReady;
    heard_us_ = async::Deadlines::now_us();
    buffer_.resize(kReadSize);
    if (plain_)
        arm_read();
    else
        read_soon();
    flush();
    co_return dialed->round_trip;
}

Task<void> Connection::ended() {
    const auto self = shared_from_this();
    if (state_ != State::kBroken)
        co_await ended_.wait();
}

bool Connection::submit(Exchange& exchange, std::span<const Command> commands) {
    LARDER_ASSERT(exchange.replies.size() == commands.size() && !commands.empty());
    std::size_t bytes = output_.size() - written_;
    for (const Command& command : commands)
        bytes += command.bytes() + command.size() * 16;
    if (state_ == State::kBroken || waiting_.size() >= kWaitingMax || bytes > kOutputMax)
        return false;
    exchange.begins_at = appended_;
    const std::size_t before = output_.size();
    for (const Command& command : commands)
        append_command(output_, command);
    appended_ += output_.size() - before;
    if (waiting_.empty())
        heard_us_ = async::Deadlines::now_us();
    waiting_.push_back({&exchange, static_cast<std::uint32_t>(commands.size())});
    if (earliest_us_ == 0 || exchange.deadline_us < earliest_us_)
        earliest_us_ = exchange.deadline_us;
    if (state_ == State::kReady)
        schedule_flush();
    return true;
}

void Connection::schedule_flush() {
    if (flush_scheduled_ || blocked_)
        return;
    flush_scheduled_ = true;
    asio::post(context_, [self = shared_from_this()] {
        self->flush_scheduled_ = false;
        self->flush();
    });
}

void Connection::flush() {
    while (state_ == State::kReady && !blocked_ && written_ < output_.size()) {
        const std::array parts{iovec{output_.data() + written_, output_.size() - written_}};
        const net::IoResult step = stream_->try_write(parts);
        if (step.status == Status::kOk) {
            written_ += step.bytes;
        } else if (step.status == Status::kWantWrite || step.status == Status::kWantRead) {
            wait_writable();
        } else {
            close();
            return;
        }
    }
    if (written_ == output_.size()) {
        output_.clear();
        written_ = 0;
        if (output_.capacity() > kOutputKept)
            output_.shrink_to_fit();
    } else if (written_ > kSparePrefix) {
        output_.erase(0, written_);
        written_ = 0;
    }
}

void Connection::wait_writable() {
    blocked_ = true;
    stream_->socket().async_wait(asio::socket_base::wait_write,
                                 [self = shared_from_this()](boost::system::error_code error) {
                                     self->blocked_ = false;
                                     if (!error)
                                         self->flush();
                                 });
}

/// Without TLS the read itself waits, which saves arming the poller anew each time.
void Connection::arm_read() {
    if (state_ != State::kReady)
        return;
    if (plain_) {
        stream_->socket().async_receive(
            asio::buffer(buffer_),
            [self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
                if (error)
                    self->close();
                else
                    self->on_bytes(bytes);
            });
        return;
    }
    stream_->socket().async_wait(asio::socket_base::wait_read,
                                 [self = shared_from_this()](boost::system::error_code error) {
                                     if (error)
                                         self->close();
                                     else
                                         self->on_readable();
                                 });
}

void Connection::read_soon() {
    asio::post(context_, [self = shared_from_this()] { self->on_readable(); });
}

void Connection::on_bytes(std::size_t bytes) {
    if (state_ != State::kReady)
        return;
    if (take({buffer_.data(), bytes}))
        arm_read();
}

void Connection::on_readable() {
    for (int i = 0; state_ == State::kReady; ++i) {
        if (i == kReadsInARow) {
            read_soon(); // TLS may hold what the socket no longer has
            return;
        }
        const net::IoResult step = stream_->try_read(buffer_.data(), buffer_.size());
        if (step.status == Status::kOk) {
            if (!take({buffer_.data(), step.bytes}))
                return;
            continue;
        }
        if (step.status == Status::kEnd || step.status == Status::kError) {
            close();
            return;
        }
        break;
    }
    arm_read();
}

/// Deals out the answers in `input`. False when the connection has ended by it.
bool Connection::take(std::string_view input) {
    heard_us_ = async::Deadlines::now_us();
    while (true) {
        Exchange* const exchange = waiting_.empty() ? nullptr : waiting_.front().exchange;
        Reply* into = &unwanted_;
        if (exchange != nullptr)
            into = &exchange->replies[exchange->replies.size() - waiting_.front().left];
        auto whole = parser_.feed(input, *into);
        if (whole && !*whole)
            break;
        if (whole && parser_.was_push()) {
            *into = Reply();
            continue;
        }
        if (!whole || waiting_.empty()) { // no RESP, or answers to nothing
            close();
            return false;
        }
        if (--waiting_.front().left > 0)
            continue;
        waiting_.pop_front();
        if (exchange != nullptr) {
            exchange->answered_us = heard_us_;
            finish(*exchange, Outcome::kDone, 0);
        }
    }
    unwanted_ = {};
    if (waiting_.empty())
        earliest_us_ = 0;
    complete_done();
    return state_ == State::kReady;
}

void Connection::expire(std::int64_t now_us) {
    if (earliest_us_ == 0 || now_us < earliest_us_)
        return;
    earliest_us_ = 0;
    for (Waiting& waiting : waiting_) {
        if (waiting.exchange == nullptr)
            continue;
        const std::int64_t deadline = waiting.exchange->deadline_us;
        if (deadline <= now_us)
            finish(*std::exchange(waiting.exchange, nullptr), Outcome::kTimedOut, waiting.left);
        else if (earliest_us_ == 0 || deadline < earliest_us_)
            earliest_us_ = deadline;
    }
    complete_done();
}

void Connection::close() {
    if (state_ == State::kBroken)
        return;
    const auto self = shared_from_this();
    state_ = State::kBroken;
    if (dial_)
        dial_->cancel();
    if (stream_)
        stream_->close();
    const std::uint64_t sent = stream_ ? appended_ - (output_.size() - written_) : 0;
    for (const Waiting& waiting : std::exchange(waiting_, {})) {
        if (waiting.exchange == nullptr)
            continue;
        const bool untouched = sent <= waiting.exchange->begins_at;
        finish(*waiting.exchange, untouched ? Outcome::kNotSent : Outcome::kBroken, waiting.left);
    }
    output_ = {};
    written_ = 0;
    if (const auto broken = std::exchange(broken_, nullptr))
        broken(*this);
    ended_.notify();
    if (completing_)
        return; // goes on with what was added
    // Posted, for the caller may be anybody, and the loop may have ended for good.
    while (Exchange* const exchange = next_done())
        asio::post(context_, std::move(exchange->complete));
}

void Connection::finish(Exchange& exchange, Outcome outcome, std::size_t unanswered) {
    exchange.answered = exchange.replies.size() - unanswered;
    exchange.outcome = outcome;
    exchange.next_done = nullptr;
    *last_done_ = &exchange;
    last_done_ = &exchange.next_done;
}

Exchange* Connection::next_done() {
    Exchange* const exchange = first_done_;
    if (exchange != nullptr)
        first_done_ = exchange->next_done;
    if (first_done_ == nullptr)
        last_done_ = &first_done_;
    return exchange;
}

/// What is resumed here may submit to this connection, and close it.
void Connection::complete_done() {
    const auto self = shared_from_this();
    completing_ = true;
    while (Exchange* const exchange = next_done()) {
        auto complete = std::move(exchange->complete);
        complete(); // `exchange` is gone
    }
    completing_ = false;
}

} // namespace larder::redis
