#include "api/routes.hpp"

#include <array>

namespace larder::api {
namespace {

constexpr std::array kRoutes{
    Route{"POST", "/llm/generate", Endpoint::kGenerate, Tier::kLlm, kScopeLlm, Style::kLlm},
    Route{"POST", "/v1/chat/completions", Endpoint::kChatCompletions, Tier::kLlm, kScopeLlm,
          Style::kOpenAi},
    Route{"POST", "/v1/messages", Endpoint::kMessages, Tier::kLlm, kScopeLlm, Style::kAnthropic},
    Route{"GET", "/llm/cache/stats", Endpoint::kCacheStats, Tier::kStandard,
          kScopeStats | kScopeLlm, Style::kLlm},
    Route{"GET", "/llm/models", Endpoint::kModels, Tier::kStandard, kScopeLlm, Style::kLlm},
    Route{"GET", "/llm/providers", Endpoint::kProviders, Tier::kStandard, kScopeLlm, Style::kLlm},
    Route{"DELETE", "/admin/cache", Endpoint::kPurge, Tier::kStandard, kScopeAdmin, Style::kLlm},
    Route{"GET", "/health", Endpoint::kHealth, Tier::kNone, 0, Style::kLlm},
    Route{"GET", "/ready", Endpoint::kReady, Tier::kNone, 0, Style::kLlm},
    Route{"GET", "/metrics", Endpoint::kMetrics, Tier::kNone, kScopeStats, Style::kLlm},
};

} // namespace

std::span<const Route> routes() {
    return kRoutes;
}

const Route* find_route(std::string_view method, std::string_view path, std::string& allow) {
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    for (const Route& route : kRoutes) {
        if (route.path != path)
            continue;
        if (route.method == wanted)
            return &route;
        if (!allow.empty())
            allow += ", ";
        allow += route.method;
        if (route.method == "GET")
            allow += ", HEAD";
    }
    return nullptr;
}

Style style_of(std::string_view path, bool has_anthropic_version) {
    if (!path.starts_with("/v1/"))
        return Style::kLlm;
    return has_anthropic_version || path.starts_with("/v1/messages") ? Style::kAnthropic
                                                                     : Style::kOpenAi;
}

} // namespace larder::api
