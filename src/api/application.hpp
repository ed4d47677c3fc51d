// The steps that every request goes through, outside in: request id | last-resort catch | CORS |
// route | who asks | limit | handler | log and metrics. Shared by all threads.
#pragma once

#include "api/context.hpp"
#include "api/embedding_routes.hpp"
#include "api/explain_routes.hpp"
#include "api/llm_routes.hpp"
#include "api/operation_routes.hpp"
#include "api/pass_routes.hpp"
#include "api/session_routes.hpp"
#include "api/settings.hpp"
#include "api/telemetry.hpp"
#include "api/workflow_routes.hpp"
#include "base/time.hpp"
#include "limit/limiter.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace larder::api {

/// Hands out the current settings; each thread keeps its own pointer and looks at a counter to see
/// whether it is still the newest.
class SettingsHolder {
public:
    explicit SettingsHolder(std::shared_ptr<const Settings> settings)
        : newest_(std::move(settings)) {}
    [[nodiscard]] std::shared_ptr<const Settings> get() const;
    void set(std::shared_ptr<const Settings> settings);

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Settings> newest_;
    std::atomic<std::uint64_t> version_{1};
};

class Application {
public:
    Application(SettingsHolder& settings, const Clock& clock, limit::Limiter& limiter,
                LlmRoutes& llm, EmbeddingRoutes& embeddings, ExplainRoutes& explain,
                PassRoutes& pass, OperationRoutes& operation, SessionRoutes& sessions,
                WorkflowRoutes& workflows, metrics::Registry& registry);
    /// Serves one request.
    Task<void> handle(http::Exchange& exchange);
    /// The reply to a head that is no request.
    [[nodiscard]] http::Response refuse(const Error& error) const;

private:
    Task<void> serve(Context& context);
    Task<void> dispatch(Context& context);
    [[nodiscard]] Result<void> authenticate(Context& context) const;
    /// The rule that a request is counted by, and whom it counts for.
    struct Counted {
        const limit::Rule* rule = nullptr;
        std::uint8_t rule_id = 0;
        const std::string* user = nullptr; // of the settings; null: by address
        std::string address;

        [[nodiscard]] limit::Subject subject() const {
            if (user != nullptr)
                return {limit::Subject::Kind::kUser, *user};
            return {limit::Subject::Kind::kAddress, address};
        }
    };
    [[nodiscard]] Counted counted_of(const Context& context, bool forbidden) const;
    Task<bool> passes_limit(Context& context, bool forbidden);
    Task<limit::Reservation> ask_limiter(Context& context, const Counted& counted,
                                         std::int64_t now_ms);

    SettingsHolder& settings_;
    const Clock& clock_;
    limit::Limiter& limiter_;
    LlmRoutes& llm_;
    EmbeddingRoutes& embeddings_;
    ExplainRoutes& explain_;
    PassRoutes& pass_;
    OperationRoutes& operation_;
    SessionRoutes& sessions_;
    WorkflowRoutes& workflows_;
    Telemetry telemetry_;
};

} // namespace larder::api
