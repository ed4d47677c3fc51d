// One server as one thread sees it: a few pipelined connections that are made anew with back-off,
// and a breaker that opens on errors and on slowness. On its io_context's thread.
#pragma once

#include "async/task.hpp"
#include "base/result.hpp"
#include "net/tls.hpp"
#include "redis/client.hpp"
#include "redis/url.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace larder::redis {

struct NodeSettings {
    Endpoint endpoint;
    std::shared_ptr<net::TlsContext> tls; // null: plain
    std::string user;
    std::string password;
    int database = 0;
    std::size_t connections = 2;
    std::chrono::milliseconds connect_timeout{1000};
    std::chrono::milliseconds request_timeout{0}; // as in RedisSettings
    /// Called on the node's thread when `health()` has changed.
    std::function<void()> on_health;
};

/// Unlike Client, an answer of the server that is an error comes back as an error Reply: a Cluster
/// has to read MOVED and ASK. An Error is kTimeout or kStore; with detail "not_sent" or
/// "breaker_open" nothing of the command has left this program, so that it may be sent elsewhere.
class Node {
public:
    /// Any thread. Connects with the first command, or when it is started.
    Node(asio::io_context& context, NodeSettings settings);
    ~Node(); // as close(); on its thread, or when that no longer runs
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Connects in the background from now on. Any thread.
    void start();

    Task<Result<Reply>> run(Command command, std::chrono::microseconds within);
    /// As Client gives it: an error of the server is an Error, read by `error_of`.
    Task<Result<Reply>> run_checked(Command command, std::chrono::microseconds within);
    Task<std::vector<Result<Reply>>> pipeline(std::vector<Command> commands,
                                              std::chrono::microseconds within);
    /// The replies of EXEC; a discarded transaction is an Error with the server's text read by
    /// `error_of`, but MOVED, ASK and TRYAGAIN: those come back as the only Reply.
    Task<Result<std::vector<Reply>>> transaction(std::vector<Command> commands,
                                                 std::chrono::microseconds within);
    /// ASKING directly before the command, on the same connection.
    Task<Result<Reply>> run_asking(Command command, std::chrono::microseconds within);

    [[nodiscard]] const Endpoint& endpoint() const;
    [[nodiscard]] Health health() const; // its thread only
    /// Drops the connections (the server is not what it was); the next command makes new ones.
    void reconnect();
    /// Fails what waits; later commands fail. On its thread, or when that no longer runs.
    void close();

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace larder::redis
