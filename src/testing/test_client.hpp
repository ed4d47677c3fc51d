// An http::Client on a thread of its own, and one call with everything that came of it.
#pragma once

#include "http/client.hpp"
#include "testing/run_task.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace larder::testing {

/// What came of a call: `sent`, and if that went well the head, the body and how its reading ended.
struct Outcome {
    Result<void> sent;
    int status = 0;
    std::string body;
    Result<void> read;
    bool answered = false;
    [[nodiscard]] bool whole() const { return sent.has_value() && read.has_value(); }
    /// The code of what failed; kInternal when nothing did.
    [[nodiscard]] ErrorCode code() const {
        return !sent ? sent.error().code : !read ? read.error().code : ErrorCode::kInternal;
    }
    [[nodiscard]] std::string message() const {
        return !sent ? sent.error().message : !read ? read.error().message : "";
    }
};

/// The call under way, which a test may cancel.
using SharedCall = std::shared_ptr<http::ClientCall>;

inline Task<Outcome> perform(SharedCall call, http::ClientRequest request) {
    Outcome outcome;
    outcome.sent = co_await call->send(std::move(request));
    outcome.answered = call->answered();
    if (!outcome.sent)
        co_return outcome;
    outcome.status = call->head().status;
    while (true) {
        auto more = co_await call->read(outcome.body);
        if (!more)
            outcome.read = std::unexpected(std::move(more).error());
        if (!more || !*more)
            co_return outcome;
    }
}

class TestClient {
public:
    explicit TestClient(http::ProxySettings proxy = {})
        : runtime_(1),
          client_(std::make_unique<http::Client>(runtime_.context(0), std::move(proxy))) {}
    ~TestClient() {
        run_there(context(), [this] { client_.reset(); });
    }
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;

    [[nodiscard]] asio::io_context& context() { return runtime_.context(0); }
    [[nodiscard]] http::Client& client() { return *client_; }

    /// A call to 127.0.0.1, or over TLS to localhost.
    SharedCall call(std::uint16_t port, const http::ClientTimeouts& timeouts = {},
                    bool tls = false) {
        return call(http::Origin{.tls = tls, .host = tls ? "localhost" : "127.0.0.1", .port = port},
                    timeouts);
    }
    SharedCall call(const http::Origin& origin, const http::ClientTimeouts& timeouts) {
        SharedCall made;
        run_there(context(), [&] { made = client_->call(origin, timeouts); });
        return made;
    }
    /// Gives it up on its thread, as its owner would.
    void drop(SharedCall& call) {
        run_there(context(), [&] { call.reset(); });
    }
    Outcome fetch(SharedCall call, std::string target = "/", std::string_view body = {},
                  std::string_view method = "GET") {
        Outcome outcome =
            run(context(),
                perform(call, {.method = method, .target = std::move(target), .body = body}));
        drop(call);
        return outcome;
    }
    Outcome get(std::uint16_t port, std::string target = "/",
                const http::ClientTimeouts& timeouts = {}) {
        return fetch(call(port, timeouts), std::move(target));
    }
    [[nodiscard]] std::size_t idle() {
        std::size_t count = 0;
        run_there(context(), [&] { count = client_->idle_connections(); });
        return count;
    }

private:
    async::Runtime runtime_;
    std::unique_ptr<http::Client> client_;
};

} // namespace larder::testing
