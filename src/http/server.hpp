// An HTTP/1.1 server: one acceptor, a loop per connection, each on one thread for life. What it
// calls decides the reply.
#pragma once

#include "async/runtime.hpp"
#include "async/task.hpp"
#include "base/budget.hpp"
#include "base/result.hpp"
#include "http/codec.hpp"
#include "http/message.hpp"
#include "net/address.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::http {

/// A whole reply. `Date`, `Content-Length` and `Connection` are added by the server.
struct Response {
    int status = 200;
    OwnedFields fields;
    std::string head_lines; // more fields, as whole lines with CRLF
    std::string body;
    bool close = false; // end the connection after it
};

/// One request and its one reply. Lives in the connection's frame; used on its thread only.
class Exchange {
public:
    virtual ~Exchange() = default;
    [[nodiscard]] virtual const RequestHead& head() const = 0;
    [[nodiscard]] virtual const net::Address& peer() const = 0;
    /// When the head was complete, on the steady clock.
    [[nodiscard]] virtual std::int64_t started_us() const = 0;
    /// Reads the whole body, at most `max_bytes` (else kTooLarge; the connection is closed after
    /// the reply). Answers `Expect: 100-continue` first. `share` grows with the body; kOverloaded
    /// when it can't.
    virtual Task<Result<std::string>> read_body(std::size_t max_bytes,
                                                BudgetShare* share = nullptr) = 0;
    /// Sends a whole reply.
    virtual Task<Result<void>> reply(Response response) = 0;
    /// Sends `head` (status line and fields, each with CRLF, without Date and the blank line) and
    /// the two parts of the body as one gather write. The caller keeps all of it alive until this
    /// returns; Content-Length stands in `head` already.
    virtual Task<Result<void>> reply_raw(std::string_view constant_head,
                                         std::string_view changing_head, std::string_view body) = 0;
    /// Begins a reply that comes in pieces. Without a `length`: chunked, or until close for
    /// HTTP/1.0; with one, other than that many bytes end the connection as a cut reply.
    virtual Task<Result<void>> begin_stream(int status, OwnedFields fields,
                                            std::string_view head_lines,
                                            std::optional<std::uint64_t> length = {}) = 0;
    /// Sends more of it; returns when the bytes are with the kernel (back-pressure). kCancelled
    /// when the client has gone.
    virtual Task<Result<void>> write(std::string_view bytes) = 0;
    /// The same without waiting. False when the socket did not take everything: the rest is kept,
    /// and `flush` is to be awaited before more is written.
    [[nodiscard]] virtual bool write_now(std::string_view bytes) = 0;
    virtual Task<Result<void>> flush() = 0;
    virtual Task<Result<void>> end_stream() = 0;
    /// Ends the connection at once without finishing the reply: the client sees that it was cut.
    virtual void abort() = 0;
    /// Whether a reply has begun.
    [[nodiscard]] virtual bool replied() const = 0;
    [[nodiscard]] virtual int status() const = 0;
    [[nodiscard]] virtual std::uint64_t bytes_sent() const = 0;
    /// Whether the client has closed the connection. While set, `on_gone` is called at once when it
    /// does (on this thread); null: unset.
    [[nodiscard]] virtual bool gone() const = 0;
    virtual void watch_gone(std::function<void()> on_gone) = 0;
    [[nodiscard]] virtual Executor executor() const = 0;
};

/// Answers one request; must reply exactly once (a request without a reply ends as a 500 by the
/// server).
using Handler = std::function<Task<void>(Exchange&)>;
/// A head that could not be parsed or was too large: makes the reply (the connection is closed
/// after it).
using RefuseHandler = std::function<Response(const Error&)>;

struct ServerSettings {
    std::string listen = "127.0.0.1:8080"; // "host:port"; "[::]:port"; port 0: any free one
    HeadLimits head;
    std::uint32_t max_connections = 50'000;
    std::chrono::milliseconds head_timeout{10'000};  // from the first byte of a head to its end
    std::chrono::milliseconds body_timeout{60'000};  // for the whole body
    std::chrono::milliseconds idle_timeout{75'000};  // between requests
    std::chrono::milliseconds write_timeout{60'000}; // without progress of a write
    std::string tls_certificate;                     // both or none: PEM files
    std::string tls_key;
};

class Server {
public:
    Server(async::Runtime& runtime, ServerSettings settings, Handler handler, RefuseHandler refuse);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    /// Binds and begins to accept. kUnavailable-like kInternal error with the address when the port
    /// is taken.
    Result<void> start();
    /// "127.0.0.1:8080", with the real port.
    [[nodiscard]] std::string address() const;
    /// Blocking: takes no new connection, ends idle ones, lets running exchanges finish within
    /// `drain`, then cuts them. Called from outside the runtime's threads.
    void stop(std::chrono::milliseconds drain);
    [[nodiscard]] bool draining() const;
    [[nodiscard]] std::size_t connections() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace larder::http
