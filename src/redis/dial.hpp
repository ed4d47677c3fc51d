// Opens one connection to a server, ready for commands: name, socket, TLS, login. On its
// io_context's thread.
#pragma once

#include "async/deadlines.hpp"
#include "async/task.hpp"
#include "base/result.hpp"
#include "net/stream.hpp"
#include "redis/node.hpp"
#include "redis/resp.hpp"

#include <boost/asio/ip/basic_resolver.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace larder::redis {

struct Dialed {
    std::unique_ptr<net::Stream> stream;
    std::chrono::microseconds round_trip{0}; // of the login
};

/// One attempt. It is kept alive by whoever awaits it.
class Dial {
public:
    Dial(asio::io_context& context, NodeSettings settings);

    /// All of it within `connect_timeout` (and 100 ms). The Error is kStore; its message is a
    /// reason for Health, its detail "unreachable" or the first word of what the server answered.
    /// At most once.
    Task<Result<Dialed>> open();
    void cancel();

private:
    Task<Result<net::Socket>> connect();
    Task<Result<void>> secure(net::Socket socket);
    Task<Result<void>> log_in();
    Task<Result<void>> log_in_as_of_old();
    Task<Result<std::vector<Reply>>> ask(std::vector<Command> commands);
    Task<Result<void>> receive();
    [[nodiscard]] Result<void> judge(std::span<const Reply> replies) const;
    void append_last_steps(std::vector<Command>& commands) const;

    asio::io_context& context_;
    NodeSettings settings_;
    async::Deadline deadline_;
    std::optional<asio::ip::basic_resolver<asio::ip::tcp, Executor>> resolver_;
    net::Socket* connecting_ = nullptr;
    std::unique_ptr<net::Stream> stream_;
    ReplyParser parser_;
    std::string input_;
    std::chrono::microseconds round_trip_{0};
    bool cancelled_ = false;
};

} // namespace larder::redis
