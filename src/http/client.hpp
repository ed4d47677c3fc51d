// An HTTP/1.1 client: pooled keep-alive connections per origin, deadlines for every phase,
// cancellation. One per thread.
#pragma once

#include "async/task.hpp"
#include "base/result.hpp"
#include "http/message.hpp"
#include "net/tls.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace larder::http {

/// Where requests go: one pool of connections each.
struct Origin {
    bool tls = false;
    std::string host;
    std::uint16_t port = 80;
    auto operator<=>(const Origin&) const = default;
};

/// "https://api.openai.com/v1" as an origin and a path without a slash at its end.
struct BaseUrl {
    Origin origin;
    std::string path;
};
Result<BaseUrl> parse_base_url(std::string_view url);

struct ClientRequest {
    std::string_view method = "POST";
    std::string target;     // path and query
    OwnedFields fields;     // without Host and Content-Length
    std::string head_lines; // more fields, as whole lines with CRLF
    std::string_view body;  // kept alive by the caller until the head of the answer is there
    /// False: never sent twice, for a server may do what was asked and then close a pooled
    /// connection without an answer.
    bool resend = true;
};

struct ClientTimeouts {
    std::chrono::milliseconds connect{2000}; // name look-up, connection and TLS handshake
    std::chrono::milliseconds first_byte{60'000};
    std::chrono::milliseconds idle{60'000}; // between two reads of the answer
    std::chrono::milliseconds total{600'000};
};

/// One request under way, on the thread that made it.
class ClientCall {
public:
    virtual ~ClientCall() = default; // an answer that was not read to its end closes its connection
    /// Sends the request and reads the head of its answer (1xx ones are skipped). A pooled
    /// connection that turns out to be closed is replaced once, if the request says so.
    /// kProviderUnavailable: no connection, or it broke; kTimeout; kCancelled; kProviderUnreadable:
    /// no HTTP.
    virtual Task<Result<void>> send(ClientRequest request) = 0;
    [[nodiscard]] virtual const ResponseHead& head() const = 0;
    /// Appends more of the body to `out`. False at its end. kProviderUnavailable when it is cut.
    virtual Task<Result<bool>> read(std::string& out) = 0;
    /// From now on the whole call has only so much time left.
    virtual void hurry(std::chrono::milliseconds left) = 0;
    /// Closes the connection: what is waiting ends with kCancelled. On the call's thread.
    virtual void cancel() = 0;
    /// Whether any byte of an answer had arrived.
    [[nodiscard]] virtual bool answered() const = 0;
    /// How often `send` sent its request: twice where a pooled connection turned out to be closed.
    [[nodiscard]] virtual int sends() const = 0;
};

/// Proxies from the environment (HTTPS_PROXY, NO_PROXY): "http://host:port", and names that go
/// directly.
struct ProxySettings {
    std::string https_proxy;
    std::string no_proxy;
    /// Whether requests to `host` go through the proxy. NO_PROXY: "*", or names and suffixes,
    /// separated by commas.
    [[nodiscard]] bool applies_to(std::string_view host) const;
};

class Client {
public:
    Client(asio::io_context& context, ProxySettings proxy);
    ~Client(); // all calls have ended
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    /// `parse_base_url`, remembered.
    Result<const BaseUrl*> base_url(const std::string& url);
    std::unique_ptr<ClientCall> call(const Origin& origin, const ClientTimeouts& timeouts);
    /// Connections that wait for their next request.
    [[nodiscard]] std::size_t idle_connections() const;
    void close_idle();

private:
    friend class Call;
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace larder::http
