// A byte stream over a socket, plain or TLS: steps that never block, and waits on the socket's
// readiness in between. Belongs to one io_context's thread.
#pragma once

#include "async/deadlines.hpp"
#include "async/task.hpp"
#include "base/result.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace larder::net {

using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

/// What one step did.
struct IoResult {
    enum class Status : std::uint8_t {
        kOk,        // `bytes` > 0 were moved
        kWantRead,  // nothing moved: wait until the socket can be read
        kWantWrite, // … until it can be written
        kEnd,       // the peer has closed its side
        kError,     // the connection is broken
    };
    Status status = Status::kError;
    std::size_t bytes = 0;
};

class Stream {
public:
    explicit Stream(Socket socket) : socket_(std::move(socket)) {}
    virtual ~Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    [[nodiscard]] virtual IoResult try_read(char* buffer, std::size_t size) = 0;
    /// Moves the front of `parts`, as much as goes.
    [[nodiscard]] virtual IoResult try_write(std::span<const iovec> parts) = 0;
    /// Whether bytes stand ready in the process, so that waiting for the socket would be wrong.
    [[nodiscard]] virtual bool has_buffered() const { return false; }
    /// Ends the sending side in order (TLS close_notify), without waiting.
    virtual void shut_down();

    [[nodiscard]] Socket& socket() { return socket_; }
    /// `wait_readable` without a coroutine's frame: gives a tuple of the error.
    [[nodiscard]] auto readable() {
        return socket_.async_wait(asio::socket_base::wait_read, asio::as_tuple(asio::deferred));
    }
    /// Both fail with kCancelled when the socket was closed or cancelled meanwhile.
    Task<Result<void>> wait_readable();
    Task<Result<void>> wait_writable();
    /// Writes everything. The deadline is armed anew with every progress; when it expires the
    /// socket is closed: kTimeout.
    Task<Result<void>> write_all(std::span<const iovec> parts, async::Deadline& deadline,
                                 std::chrono::milliseconds without_progress);
    /// Closes at once; waits under way end with kCancelled.
    void close();

protected:
    Socket socket_;
};

std::unique_ptr<Stream> make_plain_stream(Socket socket);

/// A text like "127.0.0.1:8080" or "[::1]:0" as host and port. kInvalidRequest when it is not of
/// this form.
struct HostPort {
    std::string host;
    std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(std::string_view text);

} // namespace larder::net
