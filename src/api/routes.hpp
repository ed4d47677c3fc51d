// The route table: one row per endpoint. What a request needs (scope, tier, error shape) stands
// here and nowhere else.
#pragma once

#include "api/auth.hpp"
#include "api/errors.hpp"
#include "http/message.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace larder::api {

enum class Tier : std::uint8_t { kNone, kLlm, kStandard };
enum class Endpoint : std::uint8_t {
    kGenerate,
    kChatCompletions,
    kResponses,
    kEmbeddings,
    kMessages,
    kCountTokens,
    kModelList,
    kPassThrough,
    kCacheStats,
    kExplain,
    kWorkflowExecute,
    kWorkflowGenerate,
    kWorkflowSchema,
    kModels,
    kProviders,
    kPurge,
    kSessionCreate,
    kSessionList,
    kSessionEndAll,
    kSessionRead,
    kSessionReplace,
    kSessionMerge,
    kSessionEnd,
    kSessionRotate,
    kHealth,
    kReady,
    kMetrics,
};

struct Route {
    std::string_view method; // GET serves HEAD too; `*`: DELETE, GET, HEAD, PATCH, POST, PUT
    std::string_view path;   // with at most one `{name}`, which stands for one segment, or a `*` at
                             // its end, which stands for whatever follows
    Endpoint endpoint;
    Tier tier = Tier::kNone;
    Scopes scopes = 0; // one of them is needed; 0: open to everybody
    Style style = Style::kLlm;
    bool is_local = false; // in open mode it answers on the loopback interface only
};

[[nodiscard]] std::span<const Route> routes();

/// The row of a request; nullptr with `allow` empty: no such path (404); with `allow` set: another
/// method (405).
const Route* find_route(std::string_view method, std::string_view path, std::string& allow);

/// What stands in `path`, which `route` has been found for, at the place of its `{name}`: as it
/// came, not decoded. Empty where the route has none.
std::string_view path_parameter(const Route& route, std::string_view path);

/// What `limits.expensive.routes` are matched with: method and path of the row, or of the request
/// itself where the row stands for many paths.
std::string limited_as(const Route& route, std::string_view method, std::string_view path);

/// Whose shape an error takes on a path that has no row, or one for the clients of both APIs.
Style style_of(std::string_view path, bool has_anthropic_version);

} // namespace larder::api
