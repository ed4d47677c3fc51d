#include "net/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace larder::net {
namespace {

using Status = IoResult::Status;

SSL_CTX* context_of(TlsContext::Native* native) {
    return reinterpret_cast<SSL_CTX*>(native);
}

std::string last_reason() {
    std::array<char, 256> text{};
    ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
    ERR_clear_error();
    return text.data();
}

bool is_address(const std::string& host) {
    boost::system::error_code error;
    asio::ip::make_address(host, error);
    return !error;
}

class OpenSslStream final : public TlsStream {
public:
    OpenSslStream(Socket socket, std::shared_ptr<TlsContext> context, const std::string& host)
        : TlsStream(std::move(socket)), context_(std::move(context)),
          ssl_(SSL_new(context_of(context_->native()))) {
        LARDER_ASSERT(ssl_ != nullptr);
        SSL_set_fd(ssl_, socket_.native_handle());
        SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
        if (host.empty()) {
            SSL_set_accept_state(ssl_);
            return;
        }
        SSL_set_connect_state(ssl_);
        if (is_address(host)) {
            can_verify_ = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str()) == 1;
        } else {
            SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
            can_verify_ = SSL_set_tlsext_host_name(ssl_, host.c_str()) == 1 &&
                          SSL_set1_host(ssl_, host.c_str()) == 1;
        }
    }
    ~OpenSslStream() override { SSL_free(ssl_); }

    IoResult try_read(char* buffer, std::size_t size) override {
        // OpenSSL keeps the descriptor's number: once closed, it may be another connection's.
        if (!socket_.is_open())
            return {Status::kError, 0};
        std::size_t bytes = 0;
        ERR_clear_error();
        const int done = SSL_read_ex(ssl_, buffer, size, &bytes);
        return done == 1 ? IoResult{Status::kOk, bytes} : outcome(done);
    }

    IoResult try_write(std::span<const iovec> parts) override {
        if (!socket_.is_open())
            return {Status::kError, 0};
        // One record for small replies: the parts are joined, up to a record's size.
        constexpr std::size_t kRecord = 16 * 1024;
        std::array<char, kRecord> joined; // NOLINT: written before it is read
        std::size_t size = 0;
        for (const iovec& part : parts) {
            if (part.iov_len == 0)
                continue; // its base may be null
            const std::size_t taken = std::min(part.iov_len, kRecord - size);
            std::memcpy(joined.data() + size, part.iov_base, taken);
            size += taken;
            if (size == kRecord)
                break;
        }
        if (size == 0)
            return {Status::kOk, 0};
        std::size_t bytes = 0;
        ERR_clear_error();
        const int done = SSL_write_ex(ssl_, joined.data(), size, &bytes);
        return done == 1 ? IoResult{Status::kOk, bytes} : outcome(done);
    }

    [[nodiscard]] bool has_buffered() const override { return SSL_has_pending(ssl_) == 1; }

    void shut_down() override {
        if (socket_.is_open() && SSL_is_init_finished(ssl_) == 1) {
            ERR_clear_error();
            SSL_shutdown(ssl_);
        }
        Stream::shut_down();
    }

    Task<Result<void>> handshake(async::Deadline& deadline,
                                 std::chrono::milliseconds within) override {
        if (!can_verify_)
            co_return fail(ErrorCode::kProviderUnavailable, "TLS can't verify such a host name");
        deadline.arm(within);
        while (socket_.is_open()) {
            ERR_clear_error();
            const int done = SSL_do_handshake(ssl_);
            if (done == 1) {
                deadline.disarm();
                co_return Result<void>();
            }
            const IoResult step = outcome(done);
            if (step.status != Status::kWantRead && step.status != Status::kWantWrite)
                co_return fail(ErrorCode::kProviderUnavailable, "TLS handshake failed: " + why());
            const auto waited = step.status == Status::kWantRead ? co_await wait_readable()
                                                                 : co_await wait_writable();
            if (!waited)
                break;
        }
        co_return fail(ErrorCode::kTimeout, "TLS handshake did not end in time");
    }

private:
    IoResult outcome(int done) {
        switch (SSL_get_error(ssl_, done)) {
        case SSL_ERROR_WANT_READ:
            return {Status::kWantRead, 0};
        case SSL_ERROR_WANT_WRITE:
            return {Status::kWantWrite, 0};
        case SSL_ERROR_ZERO_RETURN:
            return {Status::kEnd, 0};
        default:
            return {Status::kError, 0};
        }
    }

    std::string why() const {
        const long verified = SSL_get_verify_result(ssl_);
        if (verified != X509_V_OK)
            return X509_verify_cert_error_string(verified);
        return last_reason();
    }

    std::shared_ptr<TlsContext> context_;
    SSL* ssl_;
    bool can_verify_ = true; // a host that OpenSSL won't take must not pass unverified
};

} // namespace

TlsContext::~TlsContext() {
    SSL_CTX_free(context_of(native_));
}

Result<std::shared_ptr<TlsContext>> TlsContext::make_server(const std::string& certificate,
                                                            const std::string& key) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    LARDER_ASSERT(context != nullptr);
    std::shared_ptr<TlsContext> result(new TlsContext(reinterpret_cast<Native*>(context)));
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
        return fail(ErrorCode::kInvalidRequest,
                    "server.tls.certificate: can't use " + certificate + ": " + last_reason());
    }
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        return fail(ErrorCode::kInvalidRequest,
                    "server.tls.key: can't use " + key + ": " + last_reason());
    if (SSL_CTX_check_private_key(context) != 1)
        return fail(ErrorCode::kInvalidRequest,
                    "server.tls.key is not the key of server.tls.certificate");
    return result;
}

Result<std::shared_ptr<TlsContext>> TlsContext::make_client() {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    LARDER_ASSERT(context != nullptr);
    std::shared_ptr<TlsContext> result(new TlsContext(reinterpret_cast<Native*>(context)));
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_set_default_verify_paths(context) != 1)
        return fail(ErrorCode::kInternal,
                    "the system's certificate authorities can't be read: " + last_reason());
    return result;
}

std::unique_ptr<TlsStream> make_tls_stream(Socket socket, std::shared_ptr<TlsContext> context,
                                           const std::string& host) {
    return std::make_unique<OpenSslStream>(std::move(socket), std::move(context), host);
}

} // namespace larder::net
