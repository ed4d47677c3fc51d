#include "http/server.hpp"

#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <thread>

namespace larder::http {
namespace {

using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

constexpr std::chrono::milliseconds kOutOfDescriptors{100};

net::Address address_of(const sockaddr_storage& storage) {
    net::Address address;
    if (storage.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
        address.v4 = true;
        std::memcpy(address.bytes.data(), &v4.sin_addr, 4);
        return address;
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        address.v4 = true;
        std::memcpy(address.bytes.data(), v6.sin6_addr.s6_addr + 12, 4);
        return address;
    }
    std::memcpy(address.bytes.data(), &v6.sin6_addr, 16);
    return address;
}

} // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
    State(async::Runtime& runtime_in, ServerSettings settings, Handler handler,
          RefuseHandler refuse)
        : runtime(runtime_in), shared(std::make_shared<ServerShared>()) {
        shared->settings = std::move(settings);
        shared->handler = std::move(handler);
        shared->refuse = std::move(refuse);
        for (std::size_t i = 0; i < runtime.size(); ++i) {
            threads.push_back(std::make_shared<ServerThread>(runtime.context(i)));
        }
    }

    Result<void> listen() {
        LARDER_TRY(auto where, net::parse_host_port(shared->settings.listen));
        boost::system::error_code error;
        const std::string host = where.host == "localhost" ? "127.0.0.1" : where.host;
        const auto ip = asio::ip::make_address(host, error);
        if (error)
            return fail(ErrorCode::kInvalidRequest,
                        "listen: \"" + where.host + "\" is no IP address");
        const asio::ip::tcp::endpoint endpoint(ip, where.port);
        acceptor.emplace(runtime.context(0).get_executor());
        acceptor->open(endpoint.protocol(), error);
        if (!error)
            acceptor->set_option(asio::socket_base::reuse_address(true), error);
        if (!error && ip.is_v6())
            acceptor->set_option(asio::ip::v6_only(false), error);
        if (!error)
            acceptor->bind(endpoint, error);
        if (!error)
            acceptor->listen(4096, error);
        if (!error)
            acceptor->non_blocking(true, error);
        if (error)
            return fail(ErrorCode::kInternal,
                        "can't listen on " + shared->settings.listen + ": " + error.message());
        return {};
    }

    Task<void> accept_loop() {
        auto self = shared_from_this();
        Timer pause(acceptor->get_executor());
        while (!shared->draining) {
            auto [error] = co_await acceptor->async_wait(
                asio::socket_base::wait_read, asio::as_tuple(asio::use_awaitable_t<Executor>()));
            if (error)
                break;
            if (!accept_ready()) {
                pause.expires_after(kOutOfDescriptors);
                co_await pause.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
            }
        }
    }

    /// Takes all connections that wait. False when there is no descriptor left for one.
    bool accept_ready() {
        while (true) {
            if (shared->connections.load() >= shared->settings.max_connections)
                return false; // they wait in the kernel's queue
            sockaddr_storage peer{};
            socklen_t size = sizeof peer;
            const int fd = ::accept4(acceptor->native_handle(), reinterpret_cast<sockaddr*>(&peer),
                                     &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0)
                return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ||
                       errno == ECONNABORTED;
            const int on = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            give_away(fd, peer);
        }
    }

    void give_away(int fd, const sockaddr_storage& peer) {
        auto thread = *std::ranges::min_element(threads, {}, [](const auto& one) {
            return one->active.load(std::memory_order_relaxed);
        });
        thread->active.fetch_add(1, std::memory_order_relaxed);
        shared->connections.fetch_add(1);
        const auto protocol = peer.ss_family == AF_INET ? asio::ip::tcp::v4() : asio::ip::tcp::v6();
        asio::dispatch(thread->executor, [self = shared_from_this(), thread, fd, protocol,
                                          address = address_of(peer)] {
            net::Socket socket(thread->executor);
            boost::system::error_code ignored;
            socket.assign(protocol, fd, ignored); // NOLINT: a fresh descriptor
            auto connection =
                std::make_shared<Connection>(self->shared, thread, std::move(socket), address);
            async::spawn("connection", thread->executor, Connection::run(std::move(connection)));
        });
    }

    void for_each_connection(void (Connection::*what)()) {
        for (const auto& thread : threads) {
            asio::post(thread->executor, [thread, what] {
                const std::vector<Connection*> all(thread->connections.begin(),
                                                   thread->connections.end());
                for (Connection* connection : all) {
                    if (thread->connections.contains(connection)) {
                        auto keep = connection->shared_from_this();
                        (connection->*what)();
                    }
                }
            });
        }
    }

    bool wait_for_end(std::chrono::milliseconds within) const {
        const auto end = std::chrono::steady_clock::now() + within;
        while (shared->connections.load() != 0 && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return shared->connections.load() == 0;
    }

    async::Runtime& runtime;
    std::shared_ptr<ServerShared> shared;
    std::vector<std::shared_ptr<ServerThread>> threads;
    std::optional<Acceptor> acceptor;
};

Server::Server(async::Runtime& runtime, ServerSettings settings, Handler handler,
               RefuseHandler refuse)
    : state_(std::make_shared<State>(runtime, std::move(settings), std::move(handler),
                                     std::move(refuse))) {}

Server::~Server() {
    stop(std::chrono::milliseconds(0));
}

Result<void> Server::start() {
    std::signal(SIGPIPE, SIG_IGN); // NOLINT: OpenSSL writes without MSG_NOSIGNAL
    const ServerSettings& settings = state_->shared->settings;
    if (!settings.tls_certificate.empty()) {
        LARDER_TRY(state_->shared->tls,
                   net::TlsContext::make_server(settings.tls_certificate, settings.tls_key));
    }
    LARDER_CHECK(state_->listen());
    async::spawn("accept", state_->runtime.context(0).get_executor(), state_->accept_loop());
    return {};
}

std::string Server::address() const {
    boost::system::error_code error;
    const auto endpoint = state_->acceptor->local_endpoint(error);
    const std::string host = endpoint.address().to_string();
    return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
           std::to_string(endpoint.port());
}

void Server::stop(std::chrono::milliseconds drain) {
    if (!state_->acceptor || state_->shared->draining.exchange(true))
        return;
    asio::post(state_->runtime.context(0), [state = state_] {
        boost::system::error_code ignored;
        state->acceptor->close(
            ignored); // NOLINT(bugprone-unused-return-value): the error is in `ignored`
    });
    state_->for_each_connection(&Connection::drain);
    if (!state_->wait_for_end(drain)) {
        state_->for_each_connection(&Connection::cut);
        state_->wait_for_end(std::chrono::milliseconds(2000));
    }
}

bool Server::draining() const {
    return state_->shared->draining;
}

std::size_t Server::connections() const {
    return state_->shared->connections;
}

} // namespace larder::http
