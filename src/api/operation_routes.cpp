#include "api/operation_routes.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace larder::api {
namespace {

http::Response json_reply(std::string body, int status = 200) {
    http::Response response;
    response.status = status;
    response.fields.emplace_back("Content-Type", "application/json");
    response.fields.emplace_back("Cache-Control", "no-store");
    response.body = std::move(body);
    return response;
}

void add_text(std::string& out, std::string_view name, std::string_view value) {
    ((out += '"') += name) += "\":";
    json::write_string(out, value);
}

/// As `api` of a provider in the configuration.
std::string_view api_name(protocol::Dialect dialect) {
    switch (dialect) {
    case protocol::Dialect::kAnthropicMessages:
        return "anthropic";
    case protocol::Dialect::kGemini:
        return "gemini";
    default:
        return "openai";
    }
}

void add_number(std::string& out, std::string_view name, std::int64_t value) {
    (((out += '"') += name) += "\":") += std::to_string(value);
}

std::string_view state_name(provider::CircuitBreaker::State state) {
    switch (state) {
    case provider::CircuitBreaker::State::kClosed:
        return "ok";
    case provider::CircuitBreaker::State::kOpen:
        return "left alone";
    case provider::CircuitBreaker::State::kHalfOpen:
        return "probing";
    }
    return "ok";
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
    for (const std::string_view pair : text::split(query, '&')) {
        if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
            return text::percent_decode(pair.substr(name.size() + 1));
    }
    return std::nullopt;
}

__extension__ using Wide = __int128; // a rate's products fit, whatever the totals are

Wide at_least_none(std::int64_t count) {
    return std::max<std::int64_t>(count, 0);
}

Wide all_of(std::int64_t hits, std::int64_t misses) {
    return at_least_none(hits) + at_least_none(misses);
}

} // namespace

std::int64_t all_hits(const ledger::Totals& totals) {
    std::int64_t hits = 0;
    for (const std::int64_t count : {totals.hits, totals.stale, totals.coalesced})
        hits = ledger::add_saturating(hits, std::max<std::int64_t>(count, 0));
    return hits;
}

int hit_rate(std::int64_t hits, std::int64_t misses) {
    const Wide all = all_of(hits, misses);
    return all == 0 ? 0 : static_cast<int>((at_least_none(hits) * 200 + all) / (all * 2));
}

std::string_view hit_rate_status(std::int64_t hits, std::int64_t misses) {
    const Wide all = all_of(hits, misses);
    const Wide hundredfold = at_least_none(hits) * 100;
    if (all == 0)
        return "ok";
    if (hundredfold > all * 60)
        return "good";
    return hundredfold >= all * 30 ? "ok" : "review";
}

std::string dollars_text(std::int64_t picodollars) {
    constexpr std::int64_t kCent = 10'000'000'000;
    const std::int64_t cents = picodollars / kCent + (picodollars % kCent >= kCent / 2 ? 1 : 0);
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "$%lld.%02lld", static_cast<long long>(cents / 100),
                  static_cast<long long>(cents % 100));
    return text.data();
}

Task<void> OperationRoutes::serve(Context& context) {
    const provider::Catalog& catalog = context.settings->gateway->catalog;
    http::Response response;
    switch (context.route->endpoint) {
    case Endpoint::kHealth:
        response = json_reply(R"({"status":"ok"})");
        break;
    case Endpoint::kReady:
        response = ready();
        break;
    case Endpoint::kMetrics:
        response.fields.emplace_back("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
        response.body = parts_.registry.prometheus();
        break;
    case Endpoint::kCacheStats:
        response = cache_stats();
        break;
    case Endpoint::kProviders:
        response = providers(catalog);
        break;
    default:
        response = purge(context.exchange.head());
        break;
    }
    co_await reply_with(context, std::move(response));
}

http::Response OperationRoutes::ready() const {
    const std::vector<Dependency> dependencies = parts_.dependencies();
    const bool degraded =
        std::ranges::any_of(dependencies, [](const Dependency& one) { return !one.ok; });
    const std::string_view status = draining_ ? "draining" : degraded ? "degraded" : "ready";
    std::string body = "{";
    add_text(body, "status", status);
    body += ",\"dependencies\":[";
    for (const Dependency& one : dependencies) {
        if (!body.ends_with('['))
            body += ',';
        add_text(body += '{', "name", one.name);
        add_text(body += ',', "kind", one.kind);
        add_text(body += ',', "state", one.ok ? "ok" : one.degraded ? "degraded" : "unavailable");
        if (!one.ok)
            add_text(body += ',', "reason", one.reason);
        body += '}';
    }
    body += "]}";
    return json_reply(std::move(body), draining_ ? 503 : 200);
}

http::Response OperationRoutes::cache_stats() const {
    const ledger::Totals totals = parts_.ledger.totals();
    const std::int64_t hits = all_hits(totals);
    std::string body = "{";
    add_number(body, "hits", hits);
    add_number(body += ',', "misses", totals.misses);
    add_number(body += ',', "hitRate", hit_rate(hits, totals.misses));
    add_text(body += ',', "estimatedSavings", dollars_text(totals.saved_picodollars));
    add_text(body += ',', "status", hit_rate_status(hits, totals.misses));
    add_number(body += ',', "stale", totals.stale);
    add_number(body += ',', "coalesced", totals.coalesced);
    add_number(body += ',', "bypassed", totals.bypassed);
    add_number(body += ',', "providerCalls", totals.upstream_calls);
    add_text(body += ',', "estimatedSpend", dollars_text(totals.spent_picodollars));
    return json_reply(body += '}');
}

http::Response OperationRoutes::providers(const provider::Catalog& catalog) const {
    std::string body = "{\"providers\":[";
    for (const provider::Provider& provider : catalog.providers) {
        if (!body.ends_with('['))
            body += ',';
        add_text(body += '{', "name", provider.name);
        add_text(body += ',', "api", api_name(provider.dialect));
        body +=
            provider.missing_variable.empty() ? ",\"configured\":true" : ",\"configured\":false";
        add_text(body += ',', "state",
                 state_name(parts_.gateway.breakers().of(provider.name).state()));
        body += '}';
    }
    return json_reply(body += "]}");
}

http::Response OperationRoutes::purge(const http::RequestHead& head) const {
    const auto name_space = query_parameter(head.query, "namespace");
    const auto model = query_parameter(head.query, "model");
    parts_.gateway.purge(name_space.value_or(""), model.value_or(""));
    std::string body = "{\"purged\":";
    if (!name_space && !model)
        json::write_string(body, "everything");
    else
        json::write_string(body, (name_space ? "namespace " + *name_space : "") +
                                     (name_space && model ? ", " : "") +
                                     (model ? "model " + *model : ""));
    return json_reply(body += '}');
}

} // namespace larder::api
