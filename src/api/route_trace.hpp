// What was tried for a request that has a route, as its reply says it. Lives in the context.
#pragma once

#include "gateway/plan.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::api {

struct RouteTrace {
    std::string route;
    provider::RouteMode mode = provider::RouteMode::kSingleModel;
    std::vector<gateway::Attempt> tried;

    /// `x-larder-route: smart` and `x-larder-route-tried: openai/gpt-4o=503, local/llama=200`.
    void add_lines(std::string& lines) const;
    /// {"name":…,"mode":…,"tried":[{"provider","model","result","tookMs"}]}
    [[nodiscard]] std::string to_json() const;
    /// A reply of the /llm dialect, or the events that end with one, with `metadata.route`.
    [[nodiscard]] std::string in_metadata(std::string_view reply) const;
};

} // namespace larder::api
