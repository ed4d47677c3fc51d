// TLS 1.2 and 1.3 over a socket: contexts, handshakes, SNI, verification of hosts. The only home of
// OpenSSL's TLS.
#pragma once

#include "net/stream.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace larder::net {

/// Certificates and settings that many connections share. Immutable once made; any thread.
class TlsContext {
public:
    struct Native;
    /// For a server, from PEM files. The Error names the file that can't be used.
    static Result<std::shared_ptr<TlsContext>> make_server(const std::string& certificate,
                                                           const std::string& key);
    /// For clients: the system's certificate authorities (or SSL_CERT_FILE), hosts verified.
    static Result<std::shared_ptr<TlsContext>> make_client();
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;
    [[nodiscard]] Native* native() const { return native_; }

private:
    explicit TlsContext(Native* native) : native_(native) {}
    Native* native_;
};

/// A TLS stream before its handshake. A server's when `host` is empty; a client's sends `host` as
/// SNI and verifies it.
class TlsStream : public Stream {
public:
    using Stream::Stream;
    /// The deadline is armed for `within`; when it expires its owner closes the socket and this
    /// fails.
    virtual Task<Result<void>> handshake(async::Deadline& deadline,
                                         std::chrono::milliseconds within) = 0;
};
std::unique_ptr<TlsStream> make_tls_stream(Socket socket, std::shared_ptr<TlsContext> context,
                                           const std::string& host);

} // namespace larder::net
