#include "api/routes.hpp"

#include <algorithm>
#include <array>

namespace larder::api {
namespace {

constexpr std::array kRoutes{
    Route{"POST", "/llm/generate", Endpoint::kGenerate, Tier::kLlm, kScopeLlm, Style::kLlm},
    Route{"POST", "/v1/chat/completions", Endpoint::kChatCompletions, Tier::kLlm, kScopeLlm,
          Style::kOpenAi},
    Route{"POST", "/v1/responses", Endpoint::kResponses, Tier::kLlm, kScopeLlm,
          Style::kOpenAiResponses},
    Route{"POST", "/v1/embeddings", Endpoint::kEmbeddings, Tier::kLlm, kScopeLlm, Style::kOpenAi},
    Route{"POST", "/v1/messages", Endpoint::kMessages, Tier::kLlm, kScopeLlm, Style::kAnthropic},
    Route{"POST", "/v1/messages/count_tokens", Endpoint::kCountTokens, Tier::kLlm, kScopeLlm,
          Style::kAnthropic},
    Route{"GET", "/v1/models", Endpoint::kModelList, Tier::kStandard, kScopeLlm, Style::kOpenAi},
    Route{"GET", "/llm/cache/stats", Endpoint::kCacheStats, Tier::kStandard,
          kScopeStats | kScopeLlm, Style::kLlm},
    Route{"POST", "/llm/cache/explain", Endpoint::kExplain, Tier::kStandard, kScopeLlm, Style::kLlm,
          true},
    Route{"POST", "/llm/execute-workflow", Endpoint::kWorkflowExecute, Tier::kLlm, kScopeLlm,
          Style::kLlm},
    Route{"POST", "/llm/workflow/generate", Endpoint::kWorkflowGenerate, Tier::kLlm, kScopeLlm,
          Style::kLlm},
    Route{"GET", "/llm/workflow/schema", Endpoint::kWorkflowSchema, Tier::kStandard, kScopeLlm,
          Style::kLlm},
    Route{"GET", "/llm/models", Endpoint::kModels, Tier::kStandard, kScopeLlm, Style::kLlm},
    Route{"GET", "/llm/providers", Endpoint::kProviders, Tier::kStandard, kScopeLlm, Style::kLlm},
    Route{"DELETE", "/admin/cache", Endpoint::kPurge, Tier::kStandard, kScopeAdmin, Style::kLlm},
    Route{"POST", "/sessions", Endpoint::kSessionCreate, Tier::kStandard, kScopeSessions,
          Style::kLlm},
    Route{"GET", "/sessions", Endpoint::kSessionList, Tier::kStandard, kScopeSessions, Style::kLlm},
    Route{"DELETE", "/sessions", Endpoint::kSessionEndAll, Tier::kStandard, kScopeSessions,
          Style::kLlm},
    Route{"GET", "/sessions/{id}", Endpoint::kSessionRead, Tier::kStandard, kScopeSessions,
          Style::kLlm},
    Route{"PUT", "/sessions/{id}", Endpoint::kSessionReplace, Tier::kStandard, kScopeSessions,
          Style::kLlm},
    Route{"PATCH", "/sessions/{id}", Endpoint::kSessionMerge, Tier::kStandard, kScopeSessions,
          Style::kLlm},
    Route{"DELETE", "/sessions/{id}", Endpoint::kSessionEnd, Tier::kStandard, kScopeSessions,
          Style::kLlm},
    Route{"POST", "/sessions/{id}/rotate", Endpoint::kSessionRotate, Tier::kStandard,
          kScopeSessions, Style::kLlm},
    Route{"GET", "/health", Endpoint::kHealth, Tier::kNone, 0, Style::kLlm},
    Route{"GET", "/ready", Endpoint::kReady, Tier::kNone, 0, Style::kLlm},
    Route{"GET", "/metrics", Endpoint::kMetrics, Tier::kNone, kScopeStats, Style::kLlm},
    // The last one: what has a row of its own does not come here.
    Route{"*", "/v1/*", Endpoint::kPassThrough, Tier::kLlm, kScopeLlm, Style::kOpenAi},
};

constexpr std::string_view kAnyMethod = "*";
constexpr std::array<std::string_view, 6> kPassedMethods{"DELETE", "GET",  "HEAD",
                                                         "PATCH",  "POST", "PUT"};

std::string_view before_star(std::string_view path) {
    return path.substr(0, path.size() - 1);
}

/// A route's path around its parameter.
struct Pattern {
    std::string_view before;
    std::string_view after;
    bool has_parameter = false;
};

Pattern pattern_of(std::string_view path) {
    const std::size_t open = path.find('{');
    if (open == std::string_view::npos)
        return {.before = path};
    return {path.substr(0, open), path.substr(path.find('}', open) + 1), true};
}

bool matches(const Route& route, std::string_view path) {
    if (route.path.ends_with('*'))
        return path.size() >= route.path.size() && path.starts_with(before_star(route.path));
    const Pattern pattern = pattern_of(route.path);
    if (!pattern.has_parameter)
        return route.path == path;
    return path.starts_with(pattern.before) && path.ends_with(pattern.after) &&
           path.size() > pattern.before.size() + pattern.after.size() &&
           !path_parameter(route, path).contains('/');
}

} // namespace

std::span<const Route> routes() {
    return kRoutes;
}

const Route* find_route(std::string_view method, std::string_view path, std::string& allow) {
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    for (const Route& route : kRoutes) {
        if (!matches(route, path))
            continue;
        if (route.method == kAnyMethod) {
            if (std::ranges::find(kPassedMethods, method) != kPassedMethods.end()) {
                allow.clear(); // of rows that take another method
                return &route;
            }
            allow = "DELETE, GET, HEAD, PATCH, POST, PUT";
            return nullptr;
        }
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

std::string_view path_parameter(const Route& route, std::string_view path) {
    const Pattern pattern = pattern_of(route.path);
    if (!pattern.has_parameter)
        return {};
    path.remove_prefix(pattern.before.size());
    path.remove_suffix(pattern.after.size());
    return path;
}

std::string limited_as(const Route& route, std::string_view method, std::string_view path) {
    std::string text(route.method);
    if (route.method != kAnyMethod)
        return (text += ' ') += route.path;
    text = method == "HEAD" ? "GET" : method;
    return (text += ' ') += path;
}

Style style_of(std::string_view path, bool has_anthropic_version) {
    if (!path.starts_with("/v1/"))
        return Style::kLlm;
    if (path.starts_with("/v1/responses"))
        return Style::kOpenAiResponses;
    const bool is_anthropic =
        has_anthropic_version || path.starts_with("/v1/messages") || path == "/v1/complete";
    return is_anthropic ? Style::kAnthropic : Style::kOpenAi;
}

} // namespace larder::api
