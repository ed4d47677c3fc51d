#include "http/client.hpp"

#include "http/gather.hpp"

#include "async/deadlines.hpp"
#include "base/text.hpp"
#include "http/codec.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <vector>

namespace larder::http {
namespace {

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;
using Endpoints = std::vector<asio::ip::tcp::endpoint>;
using std::chrono::milliseconds;

constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kIdlePerOrigin = 256;
constexpr std::size_t kInterimMax = 32; // 1xx heads before an answer
constexpr std::int64_t kIdleForUs = 30'000'000;
constexpr auto kToken = asio::as_tuple(asio::use_awaitable_t<Executor>());

std::span<char> read_buffer() {
    thread_local std::array<char, kReadSize> buffer;
    return buffer;
}

/// Whether a pooled connection can still be used: nothing to read, not even its end.
bool is_alive(net::Stream& stream) {
    if (stream.has_buffered())
        return false;
    char byte = 0;
    const ssize_t n = ::recv(stream.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

std::string host_field(const Origin& origin) {
    std::string host = origin.host.contains(':') ? "[" + origin.host + "]" : origin.host;
    if (origin.port != (origin.tls ? 443 : 80))
        host += ":" + std::to_string(origin.port);
    return host;
}

} // namespace

Result<BaseUrl> parse_base_url(std::string_view url) {
    BaseUrl result;
    const std::string_view whole = url;
    const auto wrong = [whole](std::string_view why) {
        return fail(ErrorCode::kInvalidRequest,
                    "\"" + std::string(whole) + "\": " + std::string(why));
    };
    if (url.starts_with("https://")) {
        result.origin.tls = true;
        url.remove_prefix(8);
    } else if (url.starts_with("http://")) {
        url.remove_prefix(7);
    } else {
        return wrong("a base URL begins with http:// or https://");
    }
    if (url.find_first_of("?#@ ") != std::string_view::npos)
        return wrong("a base URL has no query, fragment or user");
    const std::size_t slash = std::min(url.find('/'), url.size());
    std::string_view authority = url.substr(0, slash);
    result.path = url.substr(slash);
    while (result.path.ends_with('/'))
        result.path.pop_back();
    result.origin.port = result.origin.tls ? 443 : 80;
    const std::size_t bracket = authority.rfind(']');
    const std::size_t colon = authority.rfind(':');
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        auto parsed = net::parse_host_port(authority);
        if (!parsed || parsed->port == 0)
            return wrong("its host and port can't be read");
        result.origin.host = std::move(parsed->host);
        result.origin.port = parsed->port;
    } else {
        if (authority.starts_with('[') && authority.ends_with(']'))
            authority = authority.substr(1, authority.size() - 2);
        result.origin.host = authority;
    }
    if (result.origin.host.empty())
        return wrong("it has no host");
    return result;
}

bool ProxySettings::applies_to(std::string_view host) const {
    if (https_proxy.empty())
        return false;
    for (std::string_view name : text::split(no_proxy, ',')) {
        if (name == "*")
            return false;
        if (name.starts_with('.'))
            name.remove_prefix(1);
        if (name.empty() || host.size() < name.size())
            continue;
        const bool same_end =
            text::equals_ignoring_case(host.substr(host.size() - name.size()), name);
        if (same_end && (host.size() == name.size() || host[host.size() - name.size() - 1] == '.'))
            return false;
    }
    return true;
}

struct Client::State {
    struct Idle {
        std::unique_ptr<net::Stream> stream;
        std::int64_t since_us = 0;
    };

    State(asio::io_context& context_in, ProxySettings proxy_in)
        : context(context_in), deadlines(async::Deadlines::of(context_in)),
          proxy(std::move(proxy_in)) {}

    std::unique_ptr<net::Stream> take(const Origin& origin) {
        const auto found = idle.find(origin);
        if (found == idle.end())
            return nullptr;
        auto& streams = found->second;
        const std::int64_t now = async::Deadlines::now_us();
        while (!streams.empty()) {
            Idle last = std::move(streams.back());
            streams.pop_back();
            if (now - last.since_us < kIdleForUs && is_alive(*last.stream))
                return std::move(last.stream);
        }
        return nullptr;
    }

    void give_back(const Origin& origin, std::unique_ptr<net::Stream> stream) {
        auto& streams = idle[origin]; // the oldest first
        const std::int64_t now = async::Deadlines::now_us();
        if (!streams.empty() && now - streams.front().since_us >= kIdleForUs) {
            std::erase_if(streams,
                          [now](const Idle& one) { return now - one.since_us >= kIdleForUs; });
        }
        if (streams.size() < kIdlePerOrigin)
            streams.push_back({std::move(stream), now});
    }

    Result<std::shared_ptr<net::TlsContext>> tls_context() {
        if (!tls) {
            LARDER_TRY(tls, net::TlsContext::make_client());
        }
        return tls;
    }

    std::map<std::string, BaseUrl> base_urls; // as many as the configurations so far had
    asio::io_context& context;
    async::Deadlines& deadlines;
    ProxySettings proxy;
    std::shared_ptr<net::TlsContext>
        tls; // made when it is first needed: reading all authorities takes time
    std::map<Origin, std::vector<Idle>> idle;
};

class Call final : public ClientCall {
public:
    Call(std::shared_ptr<Client::State> state, Origin origin, const ClientTimeouts& timeouts)
        : state_(std::move(state)), origin_(std::move(origin)), timeouts_(timeouts),
          phase_(state_->deadlines, [this] { expire(); }),
          total_(state_->deadlines, [this] { expire(); }) {
        total_.arm(timeouts_.total);
    }

    ~Call() override {
        if (stream_ && reusable_)
            state_->give_back(origin_, std::move(stream_));
    }

    Task<Result<void>> send(ClientRequest request) override {
        if (cancelled_ || timed_out_)
            co_return broken("the call");
        stream_ = state_->take(origin_);
        bool pooled = stream_ != nullptr;
        while (true) {
            if (!stream_) {
                if (auto connected = co_await connect(); !connected)
                    co_return std::unexpected(std::move(connected).error());
            }
            ++sends_;
            auto done = co_await attempt(request);
            if (done || !pooled || !request.resend || answered_ || cancelled_ || timed_out_)
                co_return done;
            pooled = false; // the server had closed it while it was idle
            stream_.reset();
        }
    }

    [[nodiscard]] const ResponseHead& head() const override { return head_; }

    Task<Result<bool>> read(std::string& out) override {
        while (true) {
            if (body_->done() && input_.size() == used_)
                co_return finish();
            const std::size_t before = out.size();
            auto used = body_->feed(std::string_view(input_).substr(used_), out);
            if (!used)
                co_return fail(ErrorCode::kProviderUnreadable,
                               "the answer's body is broken: " + used.error().message);
            used_ += *used;
            if (used_ == input_.size() || body_->done()) {
                surplus_ = used_ != input_.size();
                input_.clear();
                used_ = 0;
            }
            if (body_->done()) {
                if (out.size() > before)
                    co_return true;
                co_return finish();
            }
            if (out.size() > before)
                co_return true;
            phase_.arm(timeouts_.idle);
            // In the frame of this coroutine where it can be: a stream's every event passes here.
            Result<bool> more = false;
            net::IoResult::Status status{};
            if (stream_->has_buffered()) {
                more = co_await receive();
            } else if (const auto [error] = co_await stream_->readable(); error) {
                more = broken("waiting for the answer");
            } else if (auto taken = take_in(status)) {
                more = *std::move(taken);
            } else {
                more = co_await receive();
            }
            phase_.disarm(); // a reader that takes its time is not the provider's fault
            if (!more)
                co_return std::unexpected(std::move(more).error());
            if (!*more) {
                if (auto ended = body_->end_of_input(); !ended)
                    co_return fail(ErrorCode::kProviderUnavailable, "the answer was cut");
                co_return false;
            }
        }
    }

    void cancel() override {
        cancelled_ = true;
        reusable_ = false;
        if (stream_)
            stream_->close();
        if (connecting_ != nullptr) {
            boost::system::error_code ignored;
            connecting_->close(
                ignored); // NOLINT(bugprone-unused-return-value): the error is in `ignored`
        }
        if (resolver_)
            resolver_->cancel();
    }

    [[nodiscard]] bool answered() const override { return answered_; }
    void hurry(std::chrono::milliseconds left) override { total_.arm(left); }
    [[nodiscard]] int sends() const override { return sends_; }

private:
    void expire() {
        const bool was_cancelled = cancelled_;
        timed_out_ = true;
        cancel();
        cancelled_ = was_cancelled;
    }

    /// The reason why a wait ended early, best known first.
    std::unexpected<Error> broken(std::string what) const {
        if (cancelled_)
            return fail(ErrorCode::kCancelled, "nobody waits for the answer any more");
        if (timed_out_)
            return fail(ErrorCode::kTimeout, what + " took too long");
        return fail(ErrorCode::kProviderUnavailable, what + " failed");
    }

    bool finish() {
        phase_.disarm();
        reusable_ =
            head_.keep_alive && !surplus_ && head_.framing.kind != BodyFraming::Kind::kUntilClose;
        return false;
    }

    Task<Result<void>> connect() {
        phase_.arm(timeouts_.connect);
        const bool proxied = origin_.tls && state_->proxy.applies_to(origin_.host);
        Origin next = origin_;
        if (proxied) {
            auto proxy = parse_base_url(state_->proxy.https_proxy.contains("://")
                                            ? state_->proxy.https_proxy
                                            : "http://" + state_->proxy.https_proxy);
            if (!proxy)
                co_return std::unexpected(std::move(proxy).error().with("HTTPS_PROXY"));
            if (proxy->origin.tls)
                co_return fail(ErrorCode::kProviderUnavailable,
                               "HTTPS_PROXY: only proxies at http:// are spoken to");
            next = proxy->origin;
        }
        auto endpoints = co_await look_up(next);
        if (!endpoints)
            co_return std::unexpected(std::move(endpoints).error());
        auto socket = co_await connect_to(*endpoints);
        if (!socket)
            co_return std::unexpected(std::move(socket).error());
        if (proxied) {
            stream_ = net::make_plain_stream(std::move(*socket));
            if (auto tunnel = co_await open_tunnel(); !tunnel)
                co_return tunnel;
            *socket = std::move(stream_->socket());
            stream_.reset();
        }
        if (!origin_.tls) {
            stream_ = net::make_plain_stream(std::move(*socket));
            co_return Result<void>();
        }
        auto context = state_->tls_context();
        if (!context)
            co_return std::unexpected(std::move(context).error());
        auto tls = net::make_tls_stream(std::move(*socket), *context, origin_.host);
        auto* handshake = tls.get();
        stream_ = std::move(tls);
        auto done = co_await handshake->handshake(phase_, timeouts_.connect);
        if (!done && (cancelled_ || timed_out_))
            co_return broken("the TLS handshake with " + origin_.host);
        co_return done;
    }

    Task<Result<Endpoints>> look_up(const Origin& where) {
        boost::system::error_code error;
        const auto literal = asio::ip::make_address(where.host, error);
        if (!error)
            co_return Endpoints{{literal, where.port}};
        resolver_.emplace(state_->context.get_executor());
        auto [failed, found] =
            co_await resolver_->async_resolve(where.host, std::to_string(where.port), kToken);
        resolver_.reset();
        if (failed)
            co_return broken("looking up " + where.host);
        Endpoints endpoints;
        for (const auto& entry : found)
            endpoints.push_back(entry.endpoint());
        co_return endpoints;
    }

    Task<Result<net::Socket>> connect_to(Endpoints endpoints) {
        net::Socket socket(state_->context.get_executor());
        std::string why;
        for (const auto& endpoint : endpoints) {
            boost::system::error_code ignored;
            socket.close(
                ignored); // NOLINT(bugprone-unused-return-value): the error is in `ignored`
            connecting_ = &socket;
            auto [error] = co_await socket.async_connect(endpoint, kToken);
            connecting_ = nullptr;
            if (cancelled_ || timed_out_)
                co_return broken("connecting to " + origin_.host);
            if (!error) {
                const int on = 1;
                ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                co_return socket;
            }
            if (error == boost::system::errc::too_many_files_open ||
                error == boost::system::errc::too_many_files_open_in_system)
                co_return fail(ErrorCode::kOverloaded,
                               "there is no descriptor left for a connection");
            why = error.message();
        }
        co_return fail(ErrorCode::kProviderUnavailable, "connecting to " + origin_.host + ":" +
                                                            std::to_string(origin_.port) +
                                                            " failed: " + why);
    }

    Task<Result<void>> open_tunnel() {
        const std::string authority = origin_.host + ":" + std::to_string(origin_.port);
        const std::string text =
            "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n";
        const std::array parts{part_of(text)};
        if (auto sent = co_await stream_->write_all(parts, phase_, timeouts_.connect); !sent)
            co_return broken("asking the proxy");
        phase_.arm(timeouts_.connect);
        auto read = co_await read_head(false);
        answered_ = false; // it was the proxy
        if (!read)
            co_return read;
        if (head_.status != 200)
            co_return fail(ErrorCode::kProviderUnavailable,
                           "the proxy refused the tunnel with " + std::to_string(head_.status));
        input_.clear();
        used_ = 0;
        co_return Result<void>();
    }

    Task<Result<void>> attempt(const ClientRequest& request) {
        std::string text;
        text.reserve(512);
        ((text += request.method) += ' ') += request.target;
        (text += " HTTP/1.1\r\nHost: ") += host_field(origin_);
        text += "\r\n";
        for (const auto& [name, value] : request.fields)
            ((text += name) += ": ").append(value) += "\r\n";
        text += request.head_lines;
        const bool takes_body =
            request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
        if (!request.body.empty() || takes_body)
            ((text += "Content-Length: ") += std::to_string(request.body.size())) += "\r\n";
        text += "\r\n";
        const std::array parts{part_of(text), part_of(request.body)};
        if (auto sent = co_await stream_->write_all(parts, phase_, timeouts_.first_byte); !sent)
            co_return broken("sending the request");
        phase_.arm(timeouts_.first_byte);
        co_return co_await read_head(request.method == "HEAD");
    }

    Task<Result<void>> read_head(bool to_head_request) {
        std::size_t scanned = 0;
        std::size_t interim = 0;
        input_.clear();
        used_ = 0;
        while (true) {
            auto more = co_await receive();
            if (!more)
                co_return std::unexpected(std::move(more).error());
            if (!*more)
                co_return broken("waiting for the answer");
            answered_ = true;
            while (true) {
                auto length = parse_response_head(std::string_view(input_).substr(used_),
                                                  HeadLimits{.bytes = 64 * 1024, .fields = 200},
                                                  head_, scanned, to_head_request);
                if (!length)
                    co_return fail(ErrorCode::kProviderUnreadable,
                                   "the answer is no HTTP: " + length.error().message);
                if (*length == 0) {
                    input_.erase(0, used_); // heads that were skipped
                    used_ = 0;
                    break;
                }
                used_ += *length;
                scanned = 0;
                if (head_.status == 101 || (head_.status < 200 && ++interim > kInterimMax))
                    co_return fail(ErrorCode::kProviderUnreadable,
                                   "the answer begins with heads that were not asked for");
                if (head_.status < 200)
                    continue;
                phase_.disarm();
                body_.emplace(head_.framing);
                co_return Result<void>();
            }
        }
    }

    /// Appends what has arrived to `input_`, without waiting. False at the end of input; nullopt
    /// where the socket is to be waited for, as `status` says.
    std::optional<Result<bool>> take_in(net::IoResult::Status& status) {
        const auto buffer = read_buffer();
        const net::IoResult step = stream_->try_read(buffer.data(), buffer.size());
        status = step.status;
        switch (step.status) {
        case net::IoResult::Status::kOk:
            input_.append(buffer.data(), step.bytes);
            return true;
        case net::IoResult::Status::kEnd:
            return false;
        case net::IoResult::Status::kError: // a reset, or TLS without close_notify: no end
            return broken("waiting for the answer");
        default:
            return std::nullopt;
        }
    }

    /// Appends what arrives to `input_`. False at the end of input.
    Task<Result<bool>> receive() {
        bool waited = stream_->has_buffered();
        while (true) {
            if (!waited) {
                if (auto ready = co_await stream_->wait_readable(); !ready)
                    co_return broken("waiting for the answer");
            }
            net::IoResult::Status status{};
            if (auto taken = take_in(status))
                co_return *std::move(taken);
            waited = status == net::IoResult::Status::kWantWrite;
            if (waited) {
                if (auto ready = co_await stream_->wait_writable(); !ready)
                    co_return broken("waiting for the answer");
            }
        }
    }

    std::shared_ptr<Client::State> state_;
    Origin origin_;
    ClientTimeouts timeouts_;
    async::Deadline phase_;
    async::Deadline total_;
    std::unique_ptr<net::Stream> stream_;
    net::Socket* connecting_ = nullptr;
    std::optional<Resolver> resolver_;
    std::string input_;
    std::size_t used_ = 0;
    ResponseHead head_;
    std::optional<BodyReader> body_;
    bool reusable_ = false;
    int sends_ = 0;
    bool answered_ = false;
    bool cancelled_ = false;
    bool timed_out_ = false;
    bool surplus_ = false;
};

Client::Client(asio::io_context& context, ProxySettings proxy)
    : state_(std::make_shared<State>(context, std::move(proxy))) {}

Client::~Client() = default;

Result<const BaseUrl*> Client::base_url(const std::string& url) {
    constexpr std::size_t kRemembered = 1000;
    const auto found = state_->base_urls.find(url);
    if (found != state_->base_urls.end())
        return &found->second;
    LARDER_TRY(auto parsed, parse_base_url(url));
    if (state_->base_urls.size() >= kRemembered)
        state_->base_urls.clear();
    return &state_->base_urls.emplace(url, std::move(parsed)).first->second;
}

std::unique_ptr<ClientCall> Client::call(const Origin& origin, const ClientTimeouts& timeouts) {
    return std::make_unique<Call>(state_, origin, timeouts);
}

std::size_t Client::idle_connections() const {
    std::size_t count = 0;
    for (const auto& [origin, streams] : state_->idle)
        count += streams.size();
    return count;
}

void Client::close_idle() {
    state_->idle.clear();
}

} // namespace larder::http
