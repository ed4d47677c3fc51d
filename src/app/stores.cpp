#include "app/stores.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "cache/backends.hpp"
#include "ledger/backends.hpp"
#include "limit/backends.hpp"
#include "redis/backends.hpp"
#include "session/backends.hpp"

namespace larder::app {
namespace {

bool is_shared(StoreKind kind) {
    return kind == StoreKind::kRedis || kind == StoreKind::kUpstash;
}

std::string random_node() {
    const std::uint64_t number = random_u64();
    return text::hex({reinterpret_cast<const char*>(&number), sizeof number});
}

bool shares_flights(const Config& config) {
    return config.cache.fleet_flight == gateway::FleetFlight::kOn ||
           (config.cache.fleet_flight == gateway::FleetFlight::kAuto &&
            config.store == StoreKind::kRedis);
}

Result<std::unique_ptr<redis::Client>> make_client(const Config& config, const StoreParts& parts) {
    if (config.store == StoreKind::kUpstash)
        return redis::make_upstash_client(parts.runtime, {.url = config.upstash_url,
                                                          .token = config.upstash_token,
                                                          .proxy = parts.proxy,
                                                          .on_health = {}});
    return redis::make_redis_client(
        parts.runtime, {.url = config.redis_url,
                        .connections = static_cast<std::size_t>(config.redis_connections),
                        .request_timeout = config.redis_timeout,
                        .on_health = {}});
}

void log_health(std::string_view dependency, std::string_view kind, bool ok,
                std::string_view reason) {
    if (ok)
        log::Line(log::Level::kInfo, "a dependency works again")
            .text("dependency", dependency)
            .text("kind", kind);
    else
        log::Line(log::Level::kWarn, "a dependency is unavailable; serving on without it")
            .text("dependency", dependency)
            .text("kind", kind)
            .text("reason", reason);
}

} // namespace

Stores::Stores(const Config& config, StoreParts parts) : node_(random_node()) {
    if (is_shared(config.store)) {
        auto client = make_client(config, parts);
        if (client)
            redis_ = *std::move(client);
        else
            failure_ = std::move(client).error();
    }
    if (redis_)
        open_shared(config, parts);
    else
        open_embedded(config, parts);
}

Stores::~Stores() = default;

void Stores::open_embedded(const Config& config, const StoreParts& parts) {
    const bool on_disk = config.store == StoreKind::kSqlite;
    kind_ = "sqlite";
    limiter_ = std::make_unique<limit::MemoryLimiter>();
    const auto say = [](std::string_view dependency) {
        return [dependency](const auto& health) {
            log_health(dependency, "sqlite", health.ok, health.reason);
        };
    };
    sessions_ = session::make_sql_sessions({.path = on_disk ? config.sqlite_path : "",
                                            .clock = &parts.clock,
                                            .on_health = say("sessions")});
    ledger_ = std::make_unique<ledger::Ledger>(
        on_disk ? ledger::make_sql_totals(config.sqlite_path) : nullptr,
        ledger::LedgerSettings{.on_health = say("database")});
    if (!on_disk)
        return;
    cache_ = cache::make_sql_store(
        {.path = config.sqlite_path,
         .max_size_bytes = config.sqlite_max_size,
         .clock = &parts.clock,
         .on_health = say("store"),
         .on_purges = [&purges = parts.purges](std::span<const cache::Purge> stored) {
             purges.merge(stored);
         }});
}

void Stores::open_shared(const Config& config, const StoreParts& parts) {
    kind_ = redis_->traits().kind;
    cache_ = cache::make_redis_store(
        *redis_, parts.runtime,
        {.prefix = config.cache.prefix,
         .clock = &parts.clock,
         .fleet_flight = shares_flights(config),
         .within = budget(config),
         .on_purges =
             [&purges = parts.purges](std::span<const cache::Purge> known) { purges.merge(known); },
         .on_overwritten =
             [&memory = parts.memory, &epochs = parts.epochs](const llm::Fingerprint& key,
                                                              std::int64_t asked_ms) {
                 gateway::overwritten(memory, epochs, key, asked_ms);
             },
         .on_health =
             [kind = kind_](const cache::StoreHealth& health) {
                 log_health("store", kind, health.ok, health.reason);
             }});
    limiter_ = limit::make_redis_limiter(
        *redis_, parts.runtime,
        {.clock = parts.clock,
         .on_store_loss = config.on_store_loss,
         .node_id = node_,
         .key_prefix = "limit",
         .local = {},
         .on_health = [kind = kind_](const limit::LimiterHealth& health) {
             log_health("limits", kind, health.ok,
                        health.ok ? "" : health.reason + "; limits: " + std::string(health.mode));
         }});
    sessions_ = session::make_redis_sessions(*redis_, {.prefix = config.sessions.prefix});
    ledger_ = std::make_unique<ledger::Ledger>(
        ledger::make_redis_totals(*redis_, parts.runtime,
                                  {.prefix = config.cache.prefix, .node = node_}),
        ledger::LedgerSettings{.on_health = [kind = kind_](const ledger::LedgerHealth& health) {
            log_health("statistics", kind, health.ok, health.reason);
        }});
}

std::chrono::microseconds Stores::budget(const Config& config) {
    switch (config.store) {
    case StoreKind::kRedis:
        return config.redis_timeout;
    case StoreKind::kUpstash:
        return config.upstash_timeout;
    case StoreKind::kMemory:
    case StoreKind::kSqlite:
        break;
    }
    return std::chrono::milliseconds(250);
}

std::vector<api::Dependency> Stores::dependencies() const {
    std::vector<api::Dependency> all;
    if (cache_) {
        const cache::StoreHealth health = cache_->health();
        all.push_back({.name = "store", .kind = kind_, .ok = health.ok, .reason = health.reason});
    }
    const limit::LimiterHealth limits = limiter_->health();
    if (redis_) {
        all.push_back({.name = "limits",
                       .kind = kind_,
                       .ok = limits.ok,
                       .degraded = true,
                       .reason = limits.reason + "; limits: " + std::string(limits.mode)});
    } else {
        const session::StoreHealth sessions = sessions_->health();
        all.push_back(
            {.name = "sessions", .kind = kind_, .ok = sessions.ok, .reason = sessions.reason});
    }
    if (cache_) {
        const ledger::LedgerHealth sums = ledger_->health();
        all.push_back({.name = redis_ ? "statistics" : "database",
                       .kind = kind_,
                       .ok = sums.ok,
                       .reason = sums.reason});
    }
    return all;
}

void Stores::register_metrics(metrics::Registry& registry) const {
    registry.gauge("larder_store_up", "1 while the store works.", {},
                   [this] { return !cache_ || cache_->health().ok ? 1.0 : 0.0; });
    registry.counter(
        "larder_store_dropped_writes_total", "Entries that the store could not take.", {},
        [this] { return cache_ ? static_cast<double>(cache_->dropped_writes()) : 0.0; });
    registry.gauge("larder_limit_subjects", "Users and addresses with counters of their own.", {},
                   [this] { return static_cast<double>(limiter_->subjects()); });
    registry.gauge("larder_limit_store_up", "1 while limits are counted where they should be.", {},
                   [this] { return limiter_->health().ok ? 1.0 : 0.0; });
    registry.counter("larder_limit_degraded_decisions_total",
                     "Decisions without the store, by limits.on_store_loss.", {},
                     [this] { return static_cast<double>(limiter_->degraded_decisions()); });
}

void Stores::stop() {
    if (cache_)
        cache_->stop();
    sessions_->stop();
    ledger_->stop();
    if (redis_)
        redis_->stop();
}

} // namespace larder::app
