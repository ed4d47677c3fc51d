#include "api/telemetry.hpp"

#include "async/deadlines.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace larder::api {
namespace {

constexpr std::array<std::string_view, 6> kStatusClasses{"gone", "", "2xx", "3xx", "4xx", "5xx"};

constexpr std::size_t kLongestMethod = 16;
constexpr std::size_t kLongestModel = 100; // it is the client's own word

std::size_t class_of(int status) {
    return status >= 200 && status < 600 ? static_cast<std::size_t>(status / 100) : 0;
}

/// What was tried before the one that answered.
std::size_t moves_of(const Context& context) {
    if (!context.trace || context.trace->tried.empty())
        return 0;
    return context.trace->tried.size() - 1;
}

} // namespace

Telemetry::Telemetry(metrics::Registry& registry) {
    const auto add_route = [&](std::string_view path) {
        RouteMetrics& metrics = routes_.emplace_back();
        for (std::size_t i = 0; i < kStatusClasses.size(); ++i) {
            if (!kStatusClasses[i].empty()) {
                metrics.by_status_class[i] = &registry.counter(
                    "larder_http_requests_total", "Requests by route and class of status.",
                    {{"route", std::string(path)}, {"status", std::string(kStatusClasses[i])}});
            }
        }
        metrics.seconds = &registry.histogram("larder_http_request_seconds",
                                              "Time from a request's head to the end of its reply.",
                                              {{"route", std::string(path)}});
    };
    for (const Route& route : routes())
        add_route(route.path);
    add_route("other");
    moves_ = &registry.counter("larder_route_moves_total",
                               "Times that a route went on to its next model.", {});
    constexpr std::array<std::string_view, 5> kOutcomes{"hit", "miss", "stale", "coalesced",
                                                        "bypass"};
    for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
        const metrics::Labels labels{{"outcome", std::string(kOutcomes[i])}};
        outcomes_[i] = {.name = kOutcomes[i],
                        .requests = &registry.counter("larder_cache_requests_total",
                                                      "Completions by what the cache did.", labels),
                        .added_seconds = &registry.histogram(
                            "larder_added_seconds",
                            "Time that Larder itself added: total less the wait for the provider.",
                            labels)};
    }
}

Telemetry::RouteMetrics& Telemetry::of(const Route* route) {
    if (route == nullptr)
        return routes_.back();
    return routes_[static_cast<std::size_t>(route - routes().data())];
}

Telemetry::OutcomeMetrics* Telemetry::of(std::string_view outcome) {
    const auto found = std::ranges::find(outcomes_, outcome, &OutcomeMetrics::name);
    return found == outcomes_.end() ? nullptr : &*found;
}

void Telemetry::record(const Context& context) {
    const http::Exchange& exchange = context.exchange;
    const std::int64_t took_us = async::Deadlines::now_us() - exchange.started_us();
    RouteMetrics& route = of(context.route);
    const std::size_t status_class = exchange.gone() ? 0 : class_of(exchange.status());
    if (metrics::Counter* counter = route.by_status_class[status_class])
        counter->add();
    route.seconds->observe_us(took_us);
    if (OutcomeMetrics* outcome = of(context.outcome)) {
        outcome->requests->add();
        outcome->added_seconds->observe_us(
            std::max<std::int64_t>(took_us - context.provider_wait_us, 0));
    }
    const std::size_t moves = moves_of(context);
    if (moves > 0)
        moves_->add(moves);
    const bool operational = context.route != nullptr && context.route->tier == Tier::kNone;
    const log::Level level = exchange.status() >= 500 ? log::Level::kWarn
                             : operational            ? log::Level::kDebug
                                                      : log::Level::kInfo;
    if (!log::enabled(level))
        return;
    log::Line line(level, exchange.gone() ? "request aborted" : "request completed");
    line.text("reqId", context.request_id)
        .text("method", exchange.head().method_text.substr(0, kLongestMethod))
        .text("route", context.route != nullptr ? context.route->path : "other")
        .number("status", exchange.status())
        .milliseconds("responseTime", took_us)
        .number("bytes", static_cast<std::int64_t>(exchange.bytes_sent()));
    if (!context.outcome.empty())
        line.text("cache", context.outcome);
    if (!context.provider.empty())
        line.text("provider", context.provider)
            .text("model", std::string_view(context.model).substr(0, kLongestModel))
            .milliseconds("providerTime", context.provider_wait_us);
    if (context.trace)
        line.text("modelRoute", context.trace->route)
            .number("moves", static_cast<std::int64_t>(moves));
    if (context.principal != nullptr && context.principal->known)
        line.text("user", context.principal->user);
    if (!context.error_code.empty())
        line.text("error", context.error_code);
}

} // namespace larder::api
