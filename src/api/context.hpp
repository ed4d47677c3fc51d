// What one request carries through the steps of the API. Lives in the frame of its coroutine.
#pragma once

#include "api/route_trace.hpp"
#include "api/routes.hpp"
#include "api/settings.hpp"
#include "async/time_budget.hpp"
#include "http/server.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace larder::api {

struct Context {
    http::Exchange& exchange;
    std::shared_ptr<const Settings> settings;
    const Route* route = nullptr;
    Style style = Style::kLlm;
    std::string_view request_id;
    const Principal* principal = nullptr; // owned by `settings`
    net::Address client;
    async::TimeBudget store_budget; // for limits, cache and sessions together
    std::string head_lines;         // fields of the reply so far: request id, CORS, limits

    std::optional<RouteTrace> trace; // where it has a route
    bool refreshes = false;          // asked for an answer that is not from the cache

    // For the log and the metrics.
    std::string_view outcome; // of the cache; empty: it was not asked
    std::string provider;
    std::string model;
    std::string_view error_code;
    std::int64_t provider_wait_us = 0;
};

/// Sends `error` in the context's shape.
Task<void> reply_error(Context& context, const Error& error);
/// Sends a whole reply with the context's fields added.
Task<void> reply_with(Context& context, http::Response response);

} // namespace larder::api
