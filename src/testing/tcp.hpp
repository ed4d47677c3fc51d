// Raw TCP for tests: a blocking client, a server that plays a script for each connection, a
// listener that nobody accepts from. Every wait ends after `kPatience`.
#pragma once

#include "net/stream.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace larder::testing {

constexpr std::chrono::milliseconds kPatience{15'000};

/// Looks every few milliseconds whether `condition` has come true. False when patience ended first.
inline bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

/// One end of a connection, blocking. What was read too far is kept for the next read.
class RawConnection {
public:
    enum class State : std::uint8_t { kOpen, kEnded, kReset, kSilent };
    struct Reply {
        std::string head; // with its blank line
        std::string body;
    };

    explicit RawConnection(int descriptor) : descriptor_(descriptor) {
        const timeval patience{kPatience.count() / 1000, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        const int on = 1;
        ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    RawConnection(RawConnection&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)), ahead_(std::move(other.ahead_)),
          state_(other.state_) {}
    RawConnection& operator=(RawConnection&&) = delete;
    ~RawConnection() { close(); }

    /// To "127.0.0.1:80" or "[::1]:80". `receive_buffer`: bytes, 0 for the system's own.
    static RawConnection to(const std::string& address, int receive_buffer = 0) {
        const auto where = net::parse_host_port(address).value();
        const bool v6 = where.host.contains(':');
        const int descriptor = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (receive_buffer > 0) {
            ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        }
        sockaddr_in6 six{};
        sockaddr_in four{};
        six.sin6_family = AF_INET6;
        four.sin_family = AF_INET;
        six.sin6_port = four.sin_port = htons(where.port);
        ::inet_pton(AF_INET6, where.host.c_str(), &six.sin6_addr);
        ::inet_pton(AF_INET, where.host.c_str(), &four.sin_addr);
        const int failed =
            v6 ? ::connect(descriptor, reinterpret_cast<const sockaddr*>(&six), sizeof six)
               : ::connect(descriptor, reinterpret_cast<const sockaddr*>(&four), sizeof four);
        RawConnection result(descriptor);
        if (failed != 0)
            result.state_ = State::kReset;
        return result;
    }

    /// False when the peer has closed the connection.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0)
                return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    /// What arrives next; empty at the end, see `state`.
    std::string read_some() {
        if (!ahead_.empty())
            return std::exchange(ahead_, {});
        std::string bytes(65536, '\0');
        const ssize_t n = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
        if (n == 0)
            state_ = State::kEnded;
        else if (n < 0)
            state_ = errno == EAGAIN || errno == EWOULDBLOCK ? State::kSilent : State::kReset;
        bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return bytes;
    }
    /// Everything up to and with `mark`; what there is when the connection ends before.
    std::string read_until(std::string_view mark) {
        std::string bytes;
        while (true) {
            if (const auto at = bytes.find(mark); at != std::string::npos) {
                ahead_ = bytes.substr(at + mark.size());
                bytes.resize(at + mark.size());
                return bytes;
            }
            const std::string more = read_some();
            if (more.empty())
                return bytes;
            bytes += more;
        }
    }
    std::string read_exactly(std::size_t size) {
        std::string bytes;
        while (bytes.size() < size) {
            const std::string more = read_some();
            if (more.empty())
                return bytes;
            bytes += more;
        }
        ahead_ = bytes.substr(size);
        bytes.resize(size);
        return bytes;
    }
    std::string read_to_end() {
        std::string bytes;
        for (std::string more = read_some(); !more.empty(); more = read_some())
            bytes += more;
        return bytes;
    }
    /// A head and the body that its Content-Length tells.
    Reply read_reply() {
        Reply reply{.head = read_until("\r\n\r\n")};
        const std::string_view name = "Content-Length: ";
        if (const auto at = reply.head.find(name); at != std::string::npos) {
            std::size_t length = 0;
            std::from_chars(reply.head.data() + at + name.size(),
                            reply.head.data() + reply.head.size(), length);
            reply.body = read_exactly(length);
        }
        return reply;
    }
    [[nodiscard]] State state() const { return state_; }
    void end_sending() { ::shutdown(descriptor_, SHUT_WR); }
    /// Closes with a reset instead of an end.
    void reset() {
        const linger at_once{1, 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close();
    }
    void close() {
        if (descriptor_ >= 0)
            ::close(std::exchange(descriptor_, -1));
    }
    [[nodiscard]] int descriptor() const { return descriptor_; }

private:
    int descriptor_;
    std::string ahead_;
    State state_ = State::kOpen;
};

/// A listening socket on a free loopback port.
class RawListener {
public:
    explicit RawListener(int backlog = 128)
        : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::listen(descriptor_, backlog);
        socklen_t size = sizeof address;
        ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    ~RawListener() { ::close(descriptor_); }
    RawListener(const RawListener&) = delete;
    RawListener& operator=(const RawListener&) = delete;
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    /// -1 after `interrupt`.
    [[nodiscard]] int accept() const {
        return ::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC);
    }
    void interrupt() const { ::shutdown(descriptor_, SHUT_RDWR); }

private:
    int descriptor_;
    std::uint16_t port_ = 0;
};

/// A listener whose queue is full: further connections neither succeed nor fail.
class FullListener {
public:
    FullListener() : listener_(0) {
        for (int i = 0; i < 16; ++i) {
            const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            address.sin_port = htons(listener_.port());
            ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
            queued_.emplace_back(descriptor);
            pollfd poll{.fd = descriptor, .events = POLLOUT, .revents = 0};
            if (::poll(&poll, 1, 100) == 0)
                return;
        }
    }
    [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

private:
    RawListener listener_;
    std::vector<RawConnection> queued_;
};

/// Plays `script` for each connection (with its number, from 0), each on a thread. Scripts end when
/// the peer closes, so clients are destroyed first.
class ScriptedServer {
public:
    using Script = std::function<void(RawConnection&, int)>;
    explicit ScriptedServer(Script script)
        : script_(std::move(script)), acceptor_([this] { accept_all(); }) {}
    ~ScriptedServer() {
        listener_.interrupt();
        acceptor_.join();
        for (std::thread& thread : threads_)
            thread.join();
    }
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;
    [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
    [[nodiscard]] std::string address() const { return listener_.address(); }
    [[nodiscard]] int connections() const { return connections_; }

private:
    void accept_all() {
        for (int fd = listener_.accept(); fd >= 0; fd = listener_.accept()) {
            const int number = connections_++;
            threads_.emplace_back([this, fd, number] {
                RawConnection connection(fd);
                script_(connection, number);
            });
        }
    }

    RawListener listener_;
    Script script_;
    std::atomic<int> connections_{0};
    std::vector<std::thread> threads_; // the acceptor's, until it has ended
    std::thread acceptor_;
};

} // namespace larder::testing
