#include "provider/route.hpp"

#include <algorithm>
#include <array>

namespace larder::provider {
namespace {

constexpr std::array<std::string_view, 5> kModes{"single-model", "fallback", "load-balance",
                                                 "fastest", "cheapest"};

} // namespace

std::string_view name_of(RouteMode mode) {
    return kModes[static_cast<std::size_t>(mode)];
}

std::optional<RouteMode> route_mode_named(std::string_view name) {
    const auto found = std::ranges::find(kModes, name);
    if (found == kModes.end())
        return std::nullopt;
    return static_cast<RouteMode>(found - kModes.begin());
}

bool FailurePolicy::covers_status(int status) const {
    return std::ranges::any_of(statuses, [status](const std::pair<int, int>& range) {
        return status >= range.first && status <= range.second;
    });
}

bool FailurePolicy::covers(ErrorCode code) const {
    switch (code) {
    case ErrorCode::kProviderUnavailable:
    case ErrorCode::kProviderOverloaded:
        return connection;
    case ErrorCode::kTimeout:
        return timeout;
    case ErrorCode::kProviderUnreadable:
    case ErrorCode::kProviderRejected: // an error object under 200, or as a stream's first event
        return unreadable;
    case ErrorCode::kProviderUnconfigured:
        return unconfigured;
    default:
        return false;
    }
}

} // namespace larder::provider
