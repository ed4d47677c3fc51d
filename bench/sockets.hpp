// bench/sockets.hpp: what the benchmark's own programs need of sockets and clocks. Loopback only.
#pragma once

#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace larder::bench {

inline std::int64_t monotonic_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

/// As many open files as the system lets this program have.
inline void raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

inline void send_at_once(int socket) {
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// A listening socket, or -1 with errno.
inline int listen_on_loopback(std::uint16_t port) {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    const bool listens =
        bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        listen(listener, 4096) == 0;
    return listens ? listener : -1;
}

/// The next connection that waits, or -1.
inline int accept_next(int listener) {
    const int accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0)
        send_at_once(accepted);
    return accepted;
}

/// A connection under way, or -1 with errno.
inline int connect_to_loopback(std::uint16_t port) {
    const int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return -1;
    send_at_once(made);
    const sockaddr_in address = loopback(port);
    const int outcome = connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (outcome == 0 || errno == EINPROGRESS)
        return made;
    close(made);
    return -1;
}

/// Sends what the socket takes of `out`; false when the connection is broken.
inline bool send_pending(int socket, std::string& out) {
    while (!out.empty()) {
        const ssize_t sent = send(socket, out.data(), out.size(), MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        out.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
}

} // namespace larder::bench
