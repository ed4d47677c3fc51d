// One call of a provider: the connection, the auth scheme, retries with back-off, the circuit
// breaker. On one thread.
#pragma once

#include "http/client.hpp"
#include "provider/breaker.hpp"
#include "provider/catalog.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace larder::provider {

/// What is sent. The views must live until `send` has returned.
struct Outgoing {
    std::string_view method = "POST";
    std::string path;         // below the base URL, with its query: "/chat/completions"
    http::OwnedFields fields; // of the client's, from the allow-list
    std::string_view body;
    std::string_view content_type = "application/json"; // empty: none is said
    std::string_view accept;                            // empty: JSON, or events with `stream`
    bool stream = false;
    std::optional<int> retries = {}; // else the provider's own
    /// False: sent again only where the provider has surely not begun to work on it: no connection
    /// came about, or it said with a 429 or 503 when to come back.
    bool repeatable = true;
};

/// The provider's answer whose head has arrived.
class ProviderCall {
public:
    explicit ProviderCall(asio::io_context& context);
    ~ProviderCall();
    ProviderCall(const ProviderCall&) = delete;
    ProviderCall& operator=(const ProviderCall&) = delete;

    /// Sends the request, tries again where the rules allow it, and returns once a head is there
    /// that is to be used: of a success, or of the last failure. kProviderUnconfigured,
    /// kProviderOverloaded (breaker open), kProviderUnavailable, kTimeout, kCancelled,
    /// kProviderUnreadable.
    Task<Result<void>> send(http::Client& client, Breakers& breakers, const Provider& provider,
                            Outgoing outgoing);
    [[nodiscard]] const http::ResponseHead& head() const { return call_->head(); }
    /// As http::ClientCall::read. A failure here counts for the breaker.
    Task<Result<bool>> read(std::string& out);
    /// The answer is known to be whole: what may still come has only so much time left, and its
    /// failure says nothing about the provider.
    void hurry(std::chrono::milliseconds left);
    /// Ends it, wherever it is: what is waiting fails with kCancelled. On its thread.
    void cancel();
    /// Time spent waiting for the provider so far.
    [[nodiscard]] std::int64_t waited_us() const { return waited_us_; }
    [[nodiscard]] int tries() const { return tries_; }

private:
    struct Sleep;
    Task<Result<void>> attempt(http::Client& client, const http::Origin& origin,
                               const http::ClientRequest& request, std::int64_t end_us);
    void judge(const Result<void>& outcome, std::int64_t took_us);
    Task<Result<void>> sleep(std::chrono::milliseconds time);

    asio::io_context& context_;
    const Provider* provider_ = nullptr;
    CircuitBreaker* breaker_ = nullptr;
    std::unique_ptr<http::ClientCall> call_;
    std::unique_ptr<Sleep> sleep_;
    std::int64_t waited_us_ = 0;
    int tries_ = 0;
    bool cancelled_ = false;
    bool hurried_ = false;
};

} // namespace larder::provider
