#include "app/wiring.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <thread>

namespace larder::app {
namespace {

std::size_t thread_count(const Config& config) {
    if (config.server.threads > 0)
        return static_cast<std::size_t>(config.server.threads);
    return std::max(1U, std::thread::hardware_concurrency());
}

http::ProxySettings proxy_settings(const Environment& environment) {
    const auto either = [&](std::string_view upper, std::string_view lower) {
        return environment.variable(upper).value_or(environment.variable(lower).value_or(""));
    };
    return {.https_proxy = either("HTTPS_PROXY", "https_proxy"),
            .no_proxy = either("NO_PROXY", "no_proxy")};
}

http::ServerSettings server_settings(const ServerConfig& server) {
    return {.listen = server.listen,
            .head = {},
            .max_connections = server.max_connections,
            .head_timeout = server.head_timeout,
            .body_timeout = server.body_timeout,
            .idle_timeout = server.idle_timeout,
            .write_timeout = server.write_timeout,
            .tls_certificate = server.tls_certificate,
            .tls_key = server.tls_key};
}

api::Authenticator make_authenticator(const Config& config) {
    if (config.auth_mode == AuthMode::kOpen)
        return {};
    std::vector<api::KeyDigest> digests;
    for (const Key& key : config.keys) {
        api::KeyDigest digest;
        std::memcpy(digest.digest.data(), key.sha256.data(), digest.digest.size());
        digest.principal = {
            .user = key.user, .name_space = key.name_space, .key_name = key.name, .known = true};
        for (const std::string& scope : key.scopes)
            digest.principal.scopes |= api::scope_named(scope).value_or(0);
        digests.push_back(std::move(digest));
    }
    return api::Authenticator(std::move(digests));
}

/// Keys that a running program can't change.
std::vector<std::string_view> needs_restart(const Config& before, const Config& after) {
    std::vector<std::string_view> keys;
    const auto note = [&](bool changed, std::string_view key) {
        if (changed)
            keys.push_back(key);
    };
    note(before.server.listen != after.server.listen, "server.listen");
    note(before.server.threads != after.server.threads, "server.threads");
    note(before.server.tls_certificate != after.server.tls_certificate ||
             before.server.tls_key != after.server.tls_key,
         "server.tls");
    note(before.server.memory != after.server.memory, "server.memory");
    note(before.cache.memory != after.cache.memory, "cache.memory");
    note(before.store != after.store || before.sqlite_path != after.sqlite_path ||
             before.sqlite_max_size != after.sqlite_max_size ||
             before.redis_url != after.redis_url ||
             before.redis_connections != after.redis_connections ||
             before.upstash_url != after.upstash_url || before.upstash_token != after.upstash_token,
         "store");
    note(before.cache.fleet_flight != after.cache.fleet_flight, "cache.fleet_flight");
    note(before.on_store_loss != after.on_store_loss, "limits.on_store_loss");
    note(before.sessions.prefix != after.sessions.prefix, "sessions.prefix");
    note(before.server.max_connections != after.server.max_connections, "server.max_connections");
    note(before.server.head_timeout != after.server.head_timeout ||
             before.server.body_timeout != after.server.body_timeout ||
             before.server.idle_timeout != after.server.idle_timeout ||
             before.server.write_timeout != after.server.write_timeout,
         "the server's time-outs");
    note(before.log_format != after.log_format, "log.format");
    return keys;
}

} // namespace

Larder::Larder(Config config, const Environment& environment)
    : config_(std::move(config)), budget_(config_.server.memory), memory_(config_.cache.memory),
      runtime_(thread_count(config_)), stores_(config_, {.clock = clock_,
                                                         .runtime = runtime_,
                                                         .memory = memory_,
                                                         .purges = purges_,
                                                         .epochs = epochs_,
                                                         .proxy = proxy_settings(environment)}),
      gateway_({.runtime = runtime_,
                .clock = clock_,
                .memory = memory_,
                .store = stores_.cache(),
                .purges = purges_,
                .epochs = epochs_,
                .ledger = stores_.ledger(),
                .budget = budget_,
                .proxy = proxy_settings(environment),
                .store_wait = Stores::budget(config_)}),
      settings_(make_settings(config_)), llm_routes_(gateway_, budget_, clock_),
      embedding_routes_(gateway_, budget_, clock_), explain_routes_(gateway_, budget_, clock_),
      pass_routes_({.runtime = runtime_,
                    .breakers = gateway_.breakers(),
                    .ledger = stores_.ledger(),
                    .budget = budget_,
                    .proxy = proxy_settings(environment)}),
      operation_routes_({.gateway = gateway_,
                         .ledger = stores_.ledger(),
                         .registry = registry_,
                         .dependencies = [this] { return stores_.dependencies(); }}),
      session_routes_(stores_.sessions(), budget_), workflow_routes_(gateway_, budget_, clock_),
      application_(settings_, clock_, stores_.limiter(), llm_routes_, embedding_routes_,
                   explain_routes_, pass_routes_, operation_routes_, session_routes_,
                   workflow_routes_, registry_) {
    // Few arenas: memory that one thread frees is another's to use.
    mallopt(M_ARENA_MAX, 2);
    register_gauges();
    server_ = std::make_unique<http::Server>(
        runtime_, server_settings(config_.server),
        [this](http::Exchange& exchange) { return application_.handle(exchange); },
        [this](const Error& error) { return application_.refuse(error); });
}

Larder::~Larder() {
    stop();
}

Result<void> Larder::start() {
    if (stores_.failure())
        return std::unexpected(*stores_.failure());
    return server_->start();
}

void Larder::reload(Config config) {
    for (const std::string_view key : needs_restart(config_, config))
        log::Line(log::Level::kWarn, "this key changes with a restart only").text("setting", key);
    config_ = std::move(config);
    log::set_level(static_cast<log::Level>(config_.log_level));
    settings_.set(make_settings(config_));
}

void Larder::stop() {
    if (std::exchange(stopped_, true))
        return;
    operation_routes_.drain();
    server_->stop(config_.server.drain);
    gateway_.stop();
    stores_.stop();
    runtime_.stop();
}

std::shared_ptr<const api::Settings> Larder::make_settings(const Config& config) {
    auto gateway = std::make_shared<gateway::Settings>();
    gateway->catalog = config.catalog;
    gateway->cache = config.cache;
    gateway->compat = config.compat;
    gateway->generation = ++generation_;
    auto settings = std::make_shared<api::Settings>();
    settings->gateway = std::move(gateway);
    settings->authenticator = make_authenticator(config);
    settings->llm = config.llm;
    settings->standard = config.standard;
    settings->expensive = config.expensive;
    settings->expensive_routes = config.expensive_routes;
    settings->trusted_proxies = config.server.trusted_proxies;
    settings->cors_origins = config.server.cors_origins;
    settings->workflows = config.workflows;
    settings->max_body = config.server.max_body;
    settings->stream_keep_alive = config.server.stream_keep_alive;
    settings->store_budget = Stores::budget(config);
    settings->sessions = {
        .lifetime = {.ttl = config.sessions.ttl, .max_age = config.sessions.max_age},
        .data_bytes_max = config.sessions.max_size};
    return settings;
}

void Larder::register_gauges() {
    registry_.gauge("larder_connections", "Open connections of clients.", {},
                    [this] { return static_cast<double>(server_ ? server_->connections() : 0); });
    registry_.gauge("larder_flights", "Calls of providers that can be joined.", {},
                    [this] { return static_cast<double>(gateway_.flights()); });
    registry_.gauge("larder_bytes_in_flight", "Bytes of bodies and flights, of server.memory.", {},
                    [this] { return static_cast<double>(budget_.used()); });
    registry_.gauge("larder_memory_cache_bytes", "Bytes of the memory tier.", {},
                    [this] { return static_cast<double>(memory_.stats().bytes); });
    registry_.gauge("larder_memory_cache_entries", "Entries of the memory tier.", {},
                    [this] { return static_cast<double>(memory_.stats().entries); });
    registry_.counter("larder_memory_cache_evictions_total",
                      "Entries that the memory tier gave up.", {},
                      [this] { return static_cast<double>(memory_.stats().evictions); });
    registry_.counter("larder_log_dropped_lines_total", "Log lines that were lost.", {},
                      [] { return static_cast<double>(log::dropped_lines()); });
    stores_.register_metrics(registry_);
    registry_.counter("larder_saved_dollars_total", "What kept answers saved.", {}, [this] {
        return static_cast<double>(stores_.ledger().totals().saved_picodollars) / 1e12;
    });
    registry_.counter("larder_spent_dollars_total", "What calls of providers cost.", {}, [this] {
        return static_cast<double>(stores_.ledger().totals().spent_picodollars) / 1e12;
    });
    registry_.counter(
        "larder_provider_calls_total", "Calls of providers, retries included.", {},
        [this] { return static_cast<double>(stores_.ledger().totals().upstream_calls); });
}

} // namespace larder::app
