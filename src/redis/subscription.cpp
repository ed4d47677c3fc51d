#include "redis/subscription.hpp"

#include "async/deadlines.hpp"
#include "async/runtime.hpp"
#include "base/hash.hpp"
#include "redis/breaker.hpp"
#include "redis/dial.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <mutex>
#include <utility>

namespace larder::redis {
namespace {

using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;
using Status = net::IoResult::Status;
using std::chrono::milliseconds;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr milliseconds kPingAfter{700}; // of silence
constexpr milliseconds kPongWithin{800};
constexpr milliseconds kWriteWithin{1000};
constexpr std::size_t kReadSize = 16UL * 1024;
constexpr int kReadsInARow = 8; // then others have their turn
constexpr ReplyLimits kLimits{.depth = 4, .items = 64, .bytes = 4UL * 1024 * 1024};

/// The task behind a subscription. Its members belong to the loop's thread, but `ended_` and the
/// callbacks, which are called under the lock: it is recursive, for a callback may end all this.
class Follower : public std::enable_shared_from_this<Follower> {
public:
    Follower(asio::io_context& context, SubscriptionSettings settings)
        : context_(context), settings_(std::move(settings)), pause_(context.get_executor()) {}

    void start() {
        async::spawn("redis subscription", context_.get_executor(), follow(shared_from_this()));
    }

    /// Any thread. No callback is called once it has returned.
    void end() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        asio::post(context_, [self = shared_from_this()] {
            self->pause_.cancel();
            if (self->dial_)
                self->dial_->cancel();
            if (self->stream_)
                self->stream_->close();
        });
    }

private:
    static Task<void> follow(std::shared_ptr<Follower> self);
    Task<void> listen(NodeSettings where);
    Task<bool> receive();
    /// False: this connection is of no use any more.
    bool take(const Reply& reply);
    bool take_all(std::string_view input, ReplyParser& parser);
    void on_silence();
    void set_up(bool up);
    [[nodiscard]] bool is_ended() const {
        const std::lock_guard lock(mutex_);
        return ended_;
    }

    asio::io_context& context_;
    SubscriptionSettings settings_;
    Timer pause_;
    std::shared_ptr<Dial> dial_;          // while it connects
    std::unique_ptr<net::Stream> stream_; // while it listens
    async::Deadline* silence_ = nullptr;  // while it listens
    std::string input_;
    int reads_in_a_row_ = 0;
    bool pinged_ = false;
    bool up_ = false;
    bool was_up_ = false; // on this connection
    mutable std::recursive_mutex mutex_;
    bool ended_ = false;
};

Task<void> Follower::follow(std::shared_ptr<Follower> self) {
    Backoff backoff(milliseconds(20), milliseconds(1000));
    while (true) {
        std::optional<Task<Result<NodeSettings>>> locating;
        {
            const std::lock_guard lock(self->mutex_);
            if (self->ended_)
                co_return;
            locating.emplace(self->settings_.locate());
        }
        auto where = co_await *std::move(locating);
        if (where && !self->is_ended())
            co_await self->listen(*std::move(where));
        if (std::exchange(self->was_up_, false))
            backoff.reset();
        if (self->is_ended())
            co_return;
        self->pause_.expires_after(backoff.next(random_u64()));
        co_await self->pause_.async_wait(kToken);
    }
}

Task<void> Follower::listen(NodeSettings where) {
    dial_ = std::make_shared<Dial>(context_, std::move(where));
    const auto dial = dial_;
    auto dialed = co_await dial->open();
    dial_.reset();
    if (!dialed || is_ended())
        co_return;
    stream_ = std::move(dialed->stream);
    async::Deadline silence(async::Deadlines::of(context_), [this] { on_silence(); });
    silence_ = &silence;
    pinged_ = false;

    Command subscribe(settings_.sharded ? "SSUBSCRIBE" : "SUBSCRIBE");
    subscribe.arg(settings_.channel);
    std::string text;
    append_command(text, subscribe);
    const std::array parts{iovec{text.data(), text.size()}};
    pinged_ = true; // the confirmation is as good as an answer to a PING
    bool usable = (co_await stream_->write_all(parts, silence, kWriteWithin)).has_value();
    silence.arm(kPongWithin);
    ReplyParser parser(kLimits);
    while (usable && !is_ended())
        usable = co_await receive() && take_all(input_, parser);
    silence_ = nullptr;
    stream_.reset();
    set_up(false);
}

/// The next bytes, into `input_`. False when there will be none.
Task<bool> Follower::receive() {
    if (reads_in_a_row_ == kReadsInARow) {
        reads_in_a_row_ = 0;
        co_await asio::post(context_, kToken);
        if (!stream_->socket().is_open())
            co_return false;
    }
    input_.resize(kReadSize);
    while (true) {
        const net::IoResult step = stream_->try_read(input_.data(), input_.size());
        if (step.status == Status::kOk) {
            input_.resize(step.bytes);
            pinged_ = false;
            silence_->arm(kPingAfter);
            ++reads_in_a_row_;
            co_return true;
        }
        if (step.status != Status::kWantRead && step.status != Status::kWantWrite)
            co_return false;
        reads_in_a_row_ = 0;
        const auto ready = step.status == Status::kWantRead ? co_await stream_->wait_readable()
                                                            : co_await stream_->wait_writable();
        if (!ready)
            co_return false;
    }
}

bool Follower::take_all(std::string_view input, ReplyParser& parser) {
    while (true) {
        Reply reply;
        const auto whole = parser.feed(input, reply);
        if (!whole)
            return false;
        if (!*whole)
            return true;
        if (!take(reply))
            return false;
    }
}

bool Follower::take(const Reply& reply) {
    if (reply.is_error())
        return false;
    if (reply.kind != Reply::Kind::kArray || reply.items.empty())
        return true; // PONG
    const std::string_view what = reply.items.front().text;
    if ((what == "message" || what == "smessage") && reply.items.size() == 3) {
        const std::lock_guard lock(mutex_);
        if (!ended_ && settings_.events.on_message)
            settings_.events.on_message(reply.items[2].text);
    } else if (what == "subscribe" || what == "ssubscribe") {
        set_up(true);
    }
    return what != "unsubscribe" && what != "sunsubscribe"; // the slot has moved
}

void Follower::on_silence() {
    static constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
    if (!std::exchange(pinged_, true)) {
        const std::array parts{iovec{const_cast<char*>(kPing.data()), kPing.size()}};
        const net::IoResult step = stream_->try_write(parts);
        if (step.status == Status::kOk && step.bytes == kPing.size()) {
            silence_->arm(kPongWithin);
            return;
        }
    }
    stream_->close();
}

void Follower::set_up(bool up) {
    if (up_ == up)
        return;
    const std::lock_guard lock(mutex_);
    up_ = up;
    was_up_ = was_up_ || up;
    if (!ended_ && settings_.events.on_state)
        settings_.events.on_state(up);
}

class FollowedSubscription final : public Subscription {
public:
    explicit FollowedSubscription(std::shared_ptr<Follower> follower)
        : follower_(std::move(follower)) {}
    ~FollowedSubscription() override { follower_->end(); }

private:
    std::shared_ptr<Follower> follower_;
};

} // namespace

std::unique_ptr<Subscription> make_subscription(asio::io_context& context,
                                                SubscriptionSettings settings) {
    auto follower = std::make_shared<Follower>(context, std::move(settings));
    follower->start();
    return std::make_unique<FollowedSubscription>(std::move(follower));
}

} // namespace larder::redis
