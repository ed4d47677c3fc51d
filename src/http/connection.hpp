// One client's connection: reads requests one after the other, hands each to the handler as an
// Exchange, writes its reply. Lives on one io_context's thread; private to the room.
#pragma once

#include "async/deadlines.hpp"
#include "async/signal.hpp"
#include "http/server.hpp"
#include "net/stream.hpp"
#include "net/tls.hpp"

#include <memory>
#include <set>
#include <string>

namespace larder::http {

/// An unread body up to this is read away to keep the connection.
inline constexpr std::size_t kDrainedBody = 256UL * 1024;

class Connection;

/// What the connections of one thread share.
struct ServerThread {
    explicit ServerThread(asio::io_context& context)
        : executor(context.get_executor()), deadlines(async::Deadlines::of(context)) {}

    std::set<Connection*> connections;    // this thread only
    std::atomic<std::uint32_t> active{0}; // read by the acceptor
    Executor executor;
    async::Deadlines& deadlines;
};

/// What all connections share.
struct ServerShared {
    ServerSettings settings;
    Handler handler;
    RefuseHandler refuse;
    std::shared_ptr<net::TlsContext> tls;
    std::atomic<bool> draining{false};
    std::atomic<std::size_t> connections{0};
};

class Connection final : public Exchange, public std::enable_shared_from_this<Connection> {
public:
    Connection(std::shared_ptr<ServerShared> shared, std::shared_ptr<ServerThread> thread,
               net::Socket socket, net::Address peer);
    ~Connection() override;

    /// Serves the connection to its end.
    static Task<void> run(std::shared_ptr<Connection> self);
    /// No new request is taken; an idle connection is closed.
    void drain();
    void cut();

    [[nodiscard]] const RequestHead& head() const override { return head_; }
    [[nodiscard]] const net::Address& peer() const override { return peer_; }
    [[nodiscard]] std::int64_t started_us() const override { return started_us_; }
    Task<Result<std::string>> read_body(std::size_t max_bytes, BudgetShare* share) override;
    Task<Result<void>> reply(Response response) override;
    Task<Result<void>> reply_raw(std::string_view constant_head, std::string_view changing_head,
                                 std::string_view body) override;
    Task<Result<void>> begin_stream(int status, OwnedFields fields, std::string_view head_lines,
                                    std::optional<std::uint64_t> length) override;
    Task<Result<void>> write(std::string_view bytes) override;
    bool write_now(std::string_view bytes) override;
    Task<Result<void>> flush() override;
    Task<Result<void>> end_stream() override;
    void abort() override;
    [[nodiscard]] bool replied() const override { return status_ != 0; }
    [[nodiscard]] int status() const override { return status_; }
    [[nodiscard]] std::uint64_t bytes_sent() const override { return bytes_sent_; }
    [[nodiscard]] bool gone() const override { return gone_; }
    void watch_gone(std::function<void()> on_gone) override;
    [[nodiscard]] Executor executor() const override { return thread_->executor; }

private:
    Task<bool> set_up();
    Task<void> serve();
    Task<void> serve_request();
    Task<void> refuse(const Error& error);
    Task<Result<bool>> read_head();
    Task<bool> fill(std::chrono::milliseconds within, bool restart_deadline);
    Task<void> finish_body();
    Task<void> linger();
    bool take_from_length(std::size_t bytes);
    Task<Result<void>> send(std::span<const iovec> parts);
    void append_ending(std::string& out);
    void begin_request();
    void arm_wait();
    void on_readable(bool failed);
    void absorb();
    void client_has_gone();
    void close_as_cut();
    [[nodiscard]] std::string_view unread() const {
        return std::string_view(input_).substr(consumed_);
    }
    void consume(std::size_t bytes);

    std::shared_ptr<ServerShared> shared_;
    std::shared_ptr<ServerThread> thread_;
    std::unique_ptr<net::Stream> stream_;
    net::TlsStream* tls_ = nullptr; // the stream, when it is one
    net::Address peer_;
    async::Signal readable_;
    async::Deadline read_deadline_;
    async::Deadline write_deadline_;
    std::string input_;
    std::size_t consumed_ = 0;
    std::function<void()> on_gone_;
    std::optional<BodyReader> body_;
    RequestHead head_;
    std::int64_t started_us_ = 0;
    std::uint64_t bytes_sent_ = 0;
    std::optional<std::uint64_t> stream_left_; // of a streamed reply whose length was told
    int status_ = 0;
    bool keep_alive_ = true;
    std::string unsent_; // of a write_now
    bool streaming_ = false;
    bool chunked_ = false;
    bool continue_sent_ = false;
    bool wait_armed_ = false;
    bool may_read_ = false; // the socket may hold bytes
    bool ended_ = false;    // the peer's side has ended
    bool gone_ = false;
    bool serving_ = false; // a request is with the handler
};

} // namespace larder::http
