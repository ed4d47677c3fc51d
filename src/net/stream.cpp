#include "net/stream.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <vector>

namespace larder::net {
namespace {

using Status = IoResult::Status;

class PlainStream final : public Stream {
public:
    using Stream::Stream;

    IoResult try_read(char* buffer, std::size_t size) override {
        ssize_t n = 0;
        do {
            n = ::recv(socket_.native_handle(), buffer, size, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n > 0)
            return {Status::kOk, static_cast<std::size_t>(n)};
        if (n == 0)
            return {Status::kEnd, 0};
        return {errno == EAGAIN || errno == EWOULDBLOCK ? Status::kWantRead : Status::kError, 0};
    }

    IoResult try_write(std::span<const iovec> parts) override {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(parts.data()); // sendmsg does not write to it
        message.msg_iovlen = parts.size();
        ssize_t n = 0;
        do {
            n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n >= 0)
            return {Status::kOk, static_cast<std::size_t>(n)};
        return {errno == EAGAIN || errno == EWOULDBLOCK ? Status::kWantWrite : Status::kError, 0};
    }
};

/// Drops `bytes` from the front of `parts`.
void advance(std::span<iovec>& parts, std::size_t bytes) {
    while (!parts.empty() && bytes >= parts.front().iov_len) {
        bytes -= parts.front().iov_len;
        parts = parts.subspan(1);
    }
    if (!parts.empty()) {
        parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + bytes;
        parts.front().iov_len -= bytes;
    }
}

std::unexpected<Error> broken() {
    return fail(ErrorCode::kCancelled, "the connection was closed");
}

} // namespace

void Stream::shut_down() {
    boost::system::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored); // NOLINT: a closed one is fine
}

void Stream::close() {
    boost::system::error_code ignored;
    socket_.close(ignored); // NOLINT: nothing can be done about it
}

Task<Result<void>> Stream::wait_readable() {
    auto [error] = co_await readable();
    if (error)
        co_return broken();
    co_return Result<void>();
}

Task<Result<void>> Stream::wait_writable() {
    auto [error] =
        co_await socket_.async_wait(asio::socket_base::wait_write, asio::as_tuple(asio::deferred));
    if (error)
        co_return broken();
    co_return Result<void>();
}

Task<Result<void>> Stream::write_all(std::span<const iovec> parts, async::Deadline& deadline,
                                     std::chrono::milliseconds without_progress) {
    std::vector<iovec> rest; // copied only when a write falls short
    std::span<iovec> left;
    bool armed = false;
    while (true) {
        const IoResult step = try_write(rest.empty() ? parts : std::span<const iovec>(left));
        if (step.status == Status::kEnd || step.status == Status::kError)
            co_return broken();
        if (rest.empty()) {
            rest.assign(parts.begin(), parts.end());
            left = rest;
        }
        if (step.status == Status::kOk)
            advance(left, step.bytes);
        while (!left.empty() && left.front().iov_len == 0)
            left = left.subspan(1);
        if (left.empty())
            break;
        if (step.status == Status::kOk && armed)
            deadline.arm(without_progress);
        if (step.status == Status::kOk)
            continue;
        if (!std::exchange(armed, true))
            deadline.arm(without_progress);
        const auto waited =
            step.status == Status::kWantRead ? co_await wait_readable() : co_await wait_writable();
        if (!waited) {
            co_return deadline.has_expired()
                ? Result<void>(fail(ErrorCode::kTimeout, "the peer does not read"))
                : Result<void>(broken());
        }
    }
    if (armed)
        deadline.disarm();
    co_return Result<void>();
}

std::unique_ptr<Stream> make_plain_stream(Socket socket) {
    return std::make_unique<PlainStream>(std::move(socket));
}

Result<HostPort> parse_host_port(std::string_view text) {
    const auto wrong = [text] {
        return fail(ErrorCode::kInvalidRequest,
                    "\"" + std::string(text) + "\" is not of the form host:port");
    };
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return wrong();
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    else if (host.contains(':'))
        return wrong();
    HostPort result{.host = std::string(host)};
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
    if (error != std::errc() || end != port.data() + port.size() || host.empty())
        return wrong();
    return result;
}

} // namespace larder::net
