#include "http/connection.hpp"

#include "http/gather.hpp"

#include "base/time.hpp"

#include <boost/asio/dispatch.hpp>

#include <array>
#include <cstdio>
#include <exception>

namespace larder::http {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kKeptInput = 8 * 1024;   // an idle connection keeps at most this
constexpr std::size_t kPipelined = 256 * 1024; // read ahead while a request is served
constexpr std::chrono::milliseconds kLinger{1000};
constexpr std::chrono::milliseconds kHandshake{10'000};

std::span<char> read_buffer() {
    thread_local std::array<char, kReadSize> buffer;
    return buffer;
}

} // namespace

Connection::Connection(std::shared_ptr<ServerShared> shared, std::shared_ptr<ServerThread> thread,
                       net::Socket socket, net::Address peer)
    : shared_(std::move(shared)), thread_(std::move(thread)), peer_(peer),
      readable_(thread_->executor),
      read_deadline_(thread_->deadlines, [this] { stream_->close(); }),
      write_deadline_(thread_->deadlines, [this] { close_as_cut(); }) {
    if (shared_->tls) {
        auto tls = net::make_tls_stream(std::move(socket), shared_->tls, "");
        tls_ = tls.get();
        stream_ = std::move(tls);
    } else {
        stream_ = net::make_plain_stream(std::move(socket));
    }
    thread_->connections.insert(this);
}

Connection::~Connection() {
    thread_->connections.erase(this);
    thread_->active.fetch_sub(1, std::memory_order_relaxed);
    shared_->connections.fetch_sub(1);
}

Task<void> Connection::run(std::shared_ptr<Connection> self) {
    try {
        if (co_await self->set_up())
            co_await self->serve();
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "a connection ended by an exception: %s\n", exception.what());
    }
    self->on_gone_ = nullptr;
    self->stream_->close();
}

Task<bool> Connection::set_up() {
    if (tls_ == nullptr)
        co_return true;
    auto done = co_await tls_->handshake(write_deadline_, kHandshake);
    may_read_ = true; // the handshake may have read more than its own bytes
    co_return done.has_value();
}

Task<void> Connection::serve() {
    while (keep_alive_ && stream_->socket().is_open()) {
        auto ready = co_await read_head();
        if (!ready) {
            co_await refuse(ready.error());
            co_return;
        }
        if (!*ready)
            co_return;
        co_await serve_request();
    }
}

/// True when a head is there, false when the connection has ended, an Error when it can't be
/// served.
Task<Result<bool>> Connection::read_head() {
    std::size_t scanned = 0;
    bool begun = false;
    if (input_.capacity() > kKeptInput && unread().empty()) {
        input_ = std::string();
        consumed_ = 0;
    }
    while (true) {
        if (!unread().empty()) {
            auto length = parse_request_head(unread(), shared_->settings.head, head_, scanned);
            if (!length)
                co_return std::unexpected(std::move(length).error());
            if (*length > 0) {
                consume(*length);
                break;
            }
        }
        if (shared_->draining.load(std::memory_order_relaxed) && unread().empty())
            co_return false;
        const bool first = unread().empty();
        const auto within = first ? shared_->settings.idle_timeout : shared_->settings.head_timeout;
        const bool restart = first || !std::exchange(begun, true);
        if (!co_await fill(within, restart))
            co_return false;
    }
    read_deadline_.disarm();
    begin_request();
    co_return true;
}

void Connection::begin_request() {
    started_us_ = async::Deadlines::now_us();
    status_ = 0;
    bytes_sent_ = 0;
    streaming_ = false;
    continue_sent_ = false;
    gone_ = false;
    keep_alive_ = head_.keep_alive;
    body_.reset();
    if (head_.framing.kind != BodyFraming::Kind::kNone)
        body_.emplace(head_.framing);
}

Task<void> Connection::serve_request() {
    serving_ = true;
    try {
        co_await shared_->handler(*this);
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "a request ended by an exception: %s\n", exception.what());
        keep_alive_ = false;
    }
    on_gone_ = nullptr;
    if (!replied())
        co_await reply(
            shared_->refuse(Error{.code = ErrorCode::kInternal, .message = "internal error"}));
    if (streaming_)
        abort(); // a stream that was begun and not ended: the client must see that
    serving_ = false;
    if (gone_)
        keep_alive_ = false;
    if (keep_alive_)
        co_await finish_body();
    if (!keep_alive_)
        co_await linger();
}

Task<void> Connection::refuse(const Error& error) {
    head_.method = Method::kOther;
    keep_alive_ = false;
    status_ = 0;
    co_await reply(shared_->refuse(error));
    co_await linger();
}

/// Reads what there is, waiting for it. False at the end of input or when the time is over.
Task<bool> Connection::fill(std::chrono::milliseconds within, bool restart_deadline) {
    if (restart_deadline)
        read_deadline_.arm(within);
    while (true) {
        if (ended_)
            co_return false;
        if (!may_read_ && !stream_->has_buffered()) {
            arm_wait();
            co_await readable_.wait();
            if (!stream_->socket().is_open())
                co_return false;
        }
        const auto buffer = read_buffer();
        const net::IoResult step = stream_->try_read(buffer.data(), buffer.size());
        switch (step.status) {
        case net::IoResult::Status::kOk:
            may_read_ = step.bytes == buffer.size() || tls_ != nullptr;
            input_.append(buffer.data(), step.bytes);
            co_return true;
        case net::IoResult::Status::kWantRead:
            may_read_ = false;
            break;
        case net::IoResult::Status::kWantWrite:
            if (!co_await stream_->wait_writable())
                co_return false;
            break;
        case net::IoResult::Status::kEnd:
        case net::IoResult::Status::kError:
            ended_ = true;
            co_return false;
        }
    }
}

void Connection::arm_wait() {
    if (std::exchange(wait_armed_, true))
        return;
    stream_->socket().async_wait(asio::socket_base::wait_read,
                                 [self = shared_from_this()](boost::system::error_code error) {
                                     self->wait_armed_ = false;
                                     self->on_readable(static_cast<bool>(error));
                                 });
}

void Connection::on_readable(bool failed) {
    may_read_ = true;
    if (readable_.waiting()) {
        readable_.resume();
        return;
    }
    if (failed)
        client_has_gone();
    else if (on_gone_)
        absorb();
}

/// While a request is served: keeps what the client sends ahead, and sees when it closes.
void Connection::absorb() {
    while (unread().size() < kPipelined) {
        const auto buffer = read_buffer();
        const net::IoResult step = stream_->try_read(buffer.data(), buffer.size());
        if (step.status == net::IoResult::Status::kOk) {
            input_.append(buffer.data(), step.bytes);
            continue;
        }
        if (step.status == net::IoResult::Status::kWantRead) {
            may_read_ = false;
            arm_wait();
        } else {
            ended_ = true;
            client_has_gone();
        }
        return;
    }
}

void Connection::client_has_gone() {
    if (std::exchange(gone_, true))
        return;
    keep_alive_ = false;
    if (auto on_gone = std::exchange(on_gone_, nullptr))
        on_gone();
}

void Connection::watch_gone(std::function<void()> on_gone) {
    on_gone_ = std::move(on_gone);
    if (!on_gone_)
        return;
    if (ended_ || gone_) {
        gone_ = false;
        client_has_gone();
    } else if (may_read_) {
        absorb();
    } else {
        arm_wait();
    }
}

void Connection::consume(std::size_t bytes) {
    consumed_ += bytes;
    if (consumed_ == input_.size()) {
        input_.clear();
        consumed_ = 0;
    } else if (consumed_ > kReadSize) {
        input_.erase(0, consumed_);
        consumed_ = 0;
    }
}

Task<Result<std::string>> Connection::read_body(std::size_t max_bytes, BudgetShare* share) {
    std::string body;
    if (!body_)
        co_return body;
    const auto too_large = [&] {
        read_deadline_.disarm();
        keep_alive_ = false;
        return fail(ErrorCode::kTooLarge,
                    "the body is larger than " + std::to_string(max_bytes) + " bytes");
    };
    std::size_t counted = 0; // of the share
    const auto count = [&](std::size_t bytes) {
        if (share == nullptr || bytes <= counted)
            return true;
        return share->grow(bytes - std::exchange(counted, bytes));
    };
    const auto overloaded = [&] {
        read_deadline_.disarm();
        return fail(ErrorCode::kOverloaded, "too many bytes are in flight, try again in a moment");
    };
    if (head_.framing.kind == BodyFraming::Kind::kLength) {
        if (head_.framing.length > max_bytes)
            co_return too_large();
        // What can't fit now is refused at once; what is counted is what has come.
        if (share != nullptr && !share->grow(head_.framing.length))
            co_return overloaded();
        if (share != nullptr)
            share->shrink(head_.framing.length);
        body.reserve(std::min<std::size_t>(head_.framing.length, 1ULL << 20));
    }
    if (head_.expect_continue && unread().empty() && !std::exchange(continue_sent_, true)) {
        const std::array parts{part_of("HTTP/1.1 100 Continue\r\n\r\n")};
        if (auto sent = co_await send(parts); !sent)
            co_return std::unexpected(std::move(sent).error());
    }
    bool first = true;
    while (true) {
        auto used = body_->feed(unread(), body);
        if (!used) {
            read_deadline_.disarm();
            keep_alive_ = false;
            co_return std::unexpected(std::move(used).error());
        }
        consume(*used);
        if (body.size() > max_bytes)
            co_return too_large();
        if (!count(body.size()))
            co_return overloaded();
        if (body_->done())
            break;
        if (!co_await fill(shared_->settings.body_timeout, std::exchange(first, false))) {
            client_has_gone();
            co_return fail(ErrorCode::kCancelled, "the body did not arrive");
        }
    }
    read_deadline_.disarm();
    body_.reset();
    co_return body;
}

/// Reads away what the handler left of the body, so that the next request can follow; a large rest
/// ends the connection.
Task<void> Connection::finish_body() {
    if (!body_)
        co_return;
    std::string ignored;
    std::size_t read = 0;
    bool first = true;
    while (true) {
        ignored.clear();
        auto used = body_->feed(unread(), ignored);
        if (!used) {
            keep_alive_ = false;
            co_return;
        }
        consume(*used);
        read += *used;
        if (body_->done())
            break;
        if (read > kDrainedBody || !co_await fill(kLinger, std::exchange(first, false))) {
            keep_alive_ = false;
            co_return;
        }
    }
    read_deadline_.disarm();
    body_.reset();
}

/// Ends our side and reads on for a moment: closing with unread bytes would make the kernel destroy
/// the reply.
Task<void> Connection::linger() {
    if (gone_ || ended_ || !stream_->socket().is_open())
        co_return;
    stream_->shut_down();
    std::size_t read = 0;
    bool first = true;
    while (read < 4 * kDrainedBody && co_await fill(kLinger, std::exchange(first, false))) {
        read += unread().size();
        consume(unread().size());
    }
}

void Connection::abort() {
    keep_alive_ = false;
    gone_ = true;
    close_as_cut();
    streaming_ = false;
}

/// Closes at once. Where only the end of the connection ends the body, a plain close would look
/// like that end: the client gets a reset.
void Connection::close_as_cut() {
    if (streaming_ && !chunked_) {
        boost::system::error_code ignored;
        stream_->socket().set_option(
            asio::socket_base::linger(true, 0),
            ignored); // NOLINT(bugprone-unused-return-value): the error is in `ignored`
    }
    stream_->close();
}

void Connection::drain() {
    if (!serving_)
        stream_->close();
}

void Connection::cut() {
    close_as_cut();
    client_has_gone(); // no wait may be armed that would tell the handler
}

} // namespace larder::http
