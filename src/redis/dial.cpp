#include "redis/dial.hpp"

#include "net/tls.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <utility>

namespace larder::redis {
namespace {

constexpr auto kToken = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::size_t kReadSize = 4096;
constexpr std::size_t kAnswerBytesMax = 64UL * 1024; // of a whole login

std::unexpected<Error> failed(std::string_view detail, std::string_view reason) {
    return std::unexpected(Error{
        .code = ErrorCode::kStore, .message = std::string(reason), .detail = std::string(detail)});
}

std::unexpected<Error> unreachable() {
    return failed("unreachable", "it can't be reached");
}

std::string_view word_of(const Reply& reply) {
    const std::string_view text = reply.text;
    return text.substr(0, text.find(' '));
}

/// Whether HELLO itself was not understood, or not allowed, so that the older ways may do.
bool is_no_hello(const Reply& reply) {
    const std::string_view word = word_of(reply);
    return reply.is_error() && (word == "ERR" || word == "NOPROTO" || word == "NOPERM");
}

} // namespace

Dial::Dial(asio::io_context& context, NodeSettings settings)
    : context_(context), settings_(std::move(settings)),
      deadline_(async::Deadlines::of(context), [this] { cancel(); }) {}

void Dial::cancel() {
    cancelled_ = true;
    if (resolver_)
        resolver_->cancel();
    if (connecting_ != nullptr) {
        boost::system::error_code ignored;
        connecting_->close(ignored); // NOLINT(bugprone-unused-return-value): it is in `ignored`
    }
    if (stream_)
        stream_->close();
}

Task<Result<Dialed>> Dial::open() {
    deadline_.arm(settings_.connect_timeout);
    auto socket = co_await connect();
    if (!socket)
        co_return std::unexpected(std::move(socket).error());
    if (auto secured = co_await secure(*std::move(socket)); !secured)
        co_return std::unexpected(std::move(secured).error());
    auto known = co_await log_in();
    if (!known)
        co_return std::unexpected(std::move(known).error());
    deadline_.disarm();
    co_return Dialed{.stream = std::move(stream_), .round_trip = round_trip_};
}

Task<Result<net::Socket>> Dial::connect() {
    const Endpoint& where = settings_.endpoint;
    std::vector<asio::ip::tcp::endpoint> endpoints;
    boost::system::error_code error;
    const auto literal = asio::ip::make_address(where.host, error);
    if (!error) {
        endpoints.emplace_back(literal, where.port);
    } else {
        resolver_.emplace(context_.get_executor());
        auto [not_found, found] =
            co_await resolver_->async_resolve(where.host, std::to_string(where.port), kToken);
        resolver_.reset();
        if (not_found)
            co_return failed("unreachable", "its name is not found");
        for (const auto& entry : found)
            endpoints.push_back(entry.endpoint());
    }
    net::Socket socket(context_.get_executor());
    for (const auto& endpoint : endpoints) {
        if (cancelled_)
            break;
        socket.close(error); // NOLINT(bugprone-unused-return-value): an attempt before
        connecting_ = &socket;
        auto [refused] = co_await socket.async_connect(endpoint, kToken);
        connecting_ = nullptr;
        if (!refused && !cancelled_) {
            const int on = 1;
            ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
            co_return socket;
        }
    }
    co_return unreachable();
}

Task<Result<void>> Dial::secure(net::Socket socket) {
    if (!settings_.tls) {
        stream_ = net::make_plain_stream(std::move(socket));
        co_return Result<void>();
    }
    auto tls = net::make_tls_stream(std::move(socket), settings_.tls, settings_.endpoint.host);
    auto* const handshaking = tls.get();
    stream_ = std::move(tls);
    if (!co_await handshaking->handshake(deadline_, settings_.connect_timeout))
        co_return failed("unreachable", "TLS with it fails");
    deadline_.arm(settings_.connect_timeout);
    co_return Result<void>();
}

Task<Result<void>> Dial::log_in() {
    std::vector<Command> commands;
    Command hello("HELLO");
    hello.arg("3");
    if (!settings_.password.empty()) {
        hello.arg("AUTH")
            .arg(settings_.user.empty() ? std::string_view("default") : settings_.user)
            .arg(settings_.password);
    }
    hello.arg("SETNAME").arg("larder");
    commands.push_back(std::move(hello));
    append_last_steps(commands);
    auto replies = co_await ask(std::move(commands));
    if (!replies)
        co_return std::unexpected(std::move(replies).error());
    if (is_no_hello(replies->front()))
        co_return co_await log_in_as_of_old();
    co_return judge(*replies);
}

Task<Result<void>> Dial::log_in_as_of_old() {
    std::vector<Command> commands;
    if (!settings_.password.empty()) {
        Command login("AUTH");
        if (!settings_.user.empty())
            login.arg(settings_.user);
        login.arg(settings_.password);
        commands.push_back(std::move(login));
    }
    append_last_steps(commands);
    auto replies = co_await ask(std::move(commands));
    if (!replies)
        co_return std::unexpected(std::move(replies).error());
    if (!settings_.password.empty() && replies->front().is_error())
        co_return failed("WRONGPASS", "it refuses the login");
    co_return judge(*replies);
}

void Dial::append_last_steps(std::vector<Command>& commands) const {
    if (settings_.database != 0) {
        Command select("SELECT");
        select.arg(std::int64_t{settings_.database});
        commands.push_back(std::move(select));
    }
    commands.emplace_back("PING"); // refused while it is loading
}

/// The last reply is PING's; what it says of a server that can be used all the same is no matter.
Result<void> Dial::judge(std::span<const Reply> replies) const {
    for (const Reply& reply : replies.first(replies.size() - 1)) {
        if (!reply.is_error())
            continue;
        const std::string_view word = word_of(reply);
        if (word == "NOAUTH")
            return failed(word, "it wants a login");
        if (word == "LOADING")
            return failed(word, "it is loading its data");
        const bool by_select = settings_.database != 0 && &reply == &replies[replies.size() - 2];
        if (by_select && word != "WRONGPASS")
            return failed("ERR", "it refuses the database");
        return failed(word == "WRONGPASS" || word == "NOPERM" ? word : "ERR",
                      "it refuses the login");
    }
    if (!replies.back().is_error())
        return {};
    const std::string_view word = word_of(replies.back());
    if (word == "NOAUTH")
        return failed(word, "it wants a login");
    if (word == "LOADING")
        return failed(word, "it is loading its data");
    if (word == "MASTERDOWN")
        return failed(word, "it has lost its master");
    if (word == "DENIED")
        return failed("ERR", "it refuses the connection");
    return {};
}

Task<Result<std::vector<Reply>>> Dial::ask(std::vector<Command> commands) {
    std::string text;
    for (const Command& command : commands)
        append_command(text, command);
    const std::int64_t began = async::Deadlines::now_us();
    const std::array parts{iovec{text.data(), text.size()}};
    if (!co_await stream_->write_all(parts, deadline_, settings_.connect_timeout))
        co_return unreachable();
    deadline_.arm(settings_.connect_timeout);
    std::vector<Reply> replies;
    std::string_view rest;
    std::size_t received = 0;
    while (replies.size() < commands.size()) {
        Reply reply;
        auto whole = parser_.feed(rest, reply);
        if (!whole)
            co_return failed("protocol", "it doesn't speak the protocol of Redis");
        if (*whole) {
            // A server that refuses the connection says so unasked, and ends.
            if (!parser_.was_push())
                replies.push_back(std::move(reply));
            continue;
        }
        if (auto more = co_await receive(); !more) {
            if (!replies.empty() && word_of(replies.front()) == "DENIED")
                co_return failed("ERR", "it refuses the connection");
            co_return std::unexpected(std::move(more).error());
        }
        received += input_.size();
        if (received > kAnswerBytesMax)
            co_return failed("protocol", "it doesn't speak the protocol of Redis");
        rest = input_;
    }
    if (!rest.empty())
        co_return failed("protocol", "it doesn't speak the protocol of Redis");
    round_trip_ = std::chrono::microseconds(async::Deadlines::now_us() - began);
    co_return replies;
}

/// The next bytes, into `input_`.
Task<Result<void>> Dial::receive() {
    input_.resize(kReadSize);
    while (true) {
        const net::IoResult step = stream_->try_read(input_.data(), input_.size());
        if (step.status == net::IoResult::Status::kOk) {
            input_.resize(step.bytes);
            co_return Result<void>();
        }
        if (step.status != net::IoResult::Status::kWantRead &&
            step.status != net::IoResult::Status::kWantWrite)
            co_return unreachable();
        const auto ready = step.status == net::IoResult::Status::kWantRead
                               ? co_await stream_->wait_readable()
                               : co_await stream_->wait_writable();
        if (!ready)
            co_return failed("unreachable", "it doesn't answer");
    }
}

} // namespace larder::redis
