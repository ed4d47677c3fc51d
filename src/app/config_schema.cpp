// The file's own keys: the one place where a key, its default and its check stand.
#include "app/config_schema.hpp"
#include "app/config_text.hpp"

namespace larder::app {

namespace {

using std::chrono::hours;

constexpr Range<milliseconds> kTimeout{milliseconds(1), hours(24)};
constexpr Range<milliseconds> kLifetime{milliseconds(1), hours(24 * 3650)};
constexpr Range<milliseconds> kAnyLifetime{milliseconds(0), hours(24 * 3650)};
constexpr Range<milliseconds> kSessionLife{milliseconds(1000), hours(24 * 3650)};
constexpr Range<milliseconds> kStoreWait{milliseconds(1), milliseconds(60'000)};
constexpr Range<std::uint64_t> kBudget{1U << 20, 1ULL << 46};
constexpr Range<std::uint64_t> kWorkflowText{1U << 10, 64ULL << 20};

/// Takes a text of a later version: another value than the default is named.
void read_later_text(ConfigReader& reader, const YamlNode& node, Draft& draft,
                     std::string_view default_value) {
    const auto value = reader.text(node);
    if (value && *value != default_value)
        draft.config.warnings.push_back(reader.path() + " is not acted on by this version");
}

/// A text of a login that this version doesn't have: an unset variable in it is no matter.
void read_unused_text(ConfigReader& reader, const YamlNode& node, Draft& /*draft*/) {
    reader.set_tolerant(true);
    (void)reader.text(node);
    reader.set_tolerant(false);
    (void)reader.take_missing_variable();
}

void read_compat(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    using gateway::CompatConfig;
    reader.for_each_item(node, [&](const YamlNode& item) {
        bool CompatConfig::* gateway = nullptr;
        reader.read(item, gateway,
                    {{"litellm", &CompatConfig::litellm},
                     {"portkey", &CompatConfig::portkey},
                     {"helicone", &CompatConfig::helicone},
                     {"cloudflare", &CompatConfig::cloudflare}});
        if (gateway != nullptr)
            draft.config.compat.*gateway = true;
    });
}

/// A value of a store: an unset variable in it is no matter where that store isn't in use.
template <class Read>
void read_of_store(ConfigReader& reader, const Draft& draft, StoreKind kind, Read read) {
    reader.set_tolerant(draft.config.store != kind);
    read();
    reader.set_tolerant(false);
    (void)reader.take_missing_variable();
}

void read_max(ConfigReader& reader, const YamlNode& node, limit::Rule& rule) {
    reader.read(node, rule.max, Range<std::int64_t>{0, 1'000'000'000});
}

void read_window(ConfigReader& reader, const YamlNode& node, limit::Rule& rule) {
    reader.read(node, rule.window, {milliseconds(100), hours(24 * 30)});
}

void read_count(ConfigReader& reader, const YamlNode& node, std::size_t& out, std::int64_t most) {
    auto value = static_cast<std::int64_t>(out);
    reader.read(node, value, Range<std::int64_t>{1, most});
    out = static_cast<std::size_t>(value);
}

void read_cost(ConfigReader& reader, const YamlNode& node, llm::Money& out) {
    const auto value = reader.scalar(node, "a number of dollars");
    if (!value)
        return;
    const auto cost = parse_dollars(*value);
    if (!cost)
        return reader.mistake(node, "must be US dollars from 0 to 1000000 with up to six decimals, "
                                    "such as 2.5");
    out = *cost;
}

void read_algorithm(ConfigReader& reader, const YamlNode& node, limit::Rule& rule) {
    reader.read(node, rule.algorithm,
                {{"sliding", limit::Algorithm::kSliding},
                 {"fixed", limit::Algorithm::kFixed},
                 {"gcra", limit::Algorithm::kGcra}});
}

using Reader = ConfigReader;
using Node = YamlNode;

constexpr KeySpec<Draft> kFileKeys[] = {
    {"server.listen", "address:port", "127.0.0.1:8080",
     "Where Larder listens; IPv6 in brackets. Wins over `PORT`.", read_listen},
    {"server.threads", "number", "0", "Threads that serve; 0: one per core.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.server.threads, Range<int>{0, 1024});
     }},
    {"server.tls.certificate", "text", "",
     "PEM file of the certificate chain; with `key`: Larder speaks TLS.",
     [](Reader& r, const Node& n, Draft& d) {
         d.tls_certificate.line = n.line;
         r.read(n, d.tls_certificate.value);
     }},
    {"server.tls.key", "text", "", "PEM file of the certificate's private key.",
     [](Reader& r, const Node& n, Draft& d) {
         d.tls_key.line = n.line;
         r.read(n, d.tls_key.value);
     }},
    {"server.trusted_proxies", "list of networks", "[]",
     "Proxies whose X-Forwarded-For is believed: addresses or networks.", read_trusted_proxies},
    {"server.cors.origins", "list of origins", "[]",
     "Origins whose pages may read replies: `https://app.example.com`, or `*`.", read_origins},
    {"server.max_body", "size", "32MiB", "The largest request body; above it 413.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.server.max_body, {1024, 1ULL << 32});
     }},
    {"server.memory", "size", "512MiB", "All bytes in flight; at the limit 503.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.server.memory, kBudget); }},
    {"server.max_connections", "number", "50000", "Connections at a time; further ones wait.",
     [](Reader& r, const Node& n, Draft& d) {
         std::int64_t value = d.config.server.max_connections;
         r.read(n, value, Range<std::int64_t>{1, 10'000'000});
         d.config.server.max_connections = static_cast<std::uint32_t>(value);
     }},
    {"server.head_timeout", "duration", "10s", "For a whole request head.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.server.head_timeout, kTimeout); }},
    {"server.body_timeout", "duration", "60s", "For a whole request body.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.server.body_timeout, kTimeout); }},
    {"server.idle_timeout", "duration", "75s", "How long a connection may be idle.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.server.idle_timeout, kTimeout); }},
    {"server.write_timeout", "duration", "60s", "For a client to take what is written.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.server.write_timeout, kTimeout);
     }},
    {"server.stream_keep_alive", "duration", "15s",
     "A stream that is silent for so long gets a comment, also before a slow provider's first "
     "byte; 0s: none.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.server.stream_keep_alive, {milliseconds(0), hours(1)});
     }},
    {"server.drain", "duration", "30s", "At a stop: how long what is under way may take.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.server.drain, {milliseconds(0), hours(24)});
     }},

    {"auth.mode", "open, keys", "open", "Who may ask. `jwt` comes with a later version.",
     [](Reader& r, const Node& n, Draft& d) {
         d.auth.line = n.line;
         r.read(
             n, d.auth.value,
             {{"open", AuthChoice::kOpen}, {"keys", AuthChoice::kKeys}, {"jwt", AuthChoice::kJwt}});
     }},
    {"auth.keys", "list", "[]", "The keys of `auth.mode: keys`.", read_auth_keys},
    {"auth.jwt.issuer", "text", "", "Later: who issues the tokens.", read_unused_text},
    {"auth.jwt.audience", "text", "", "Later: whom the tokens are for.", read_unused_text},
    {"auth.jwt.jwks", "text", "", "Later: where the issuer's keys are.", read_unused_text},
    {"auth.jwt.secret", "text", "", "Later: the shared secret.", read_unused_text},

    {"providers", "map", "openai, anthropic",
     "The providers by name. Without this key `openai` and `anthropic` are there; with it, those "
     "it lists.",
     read_providers},
    {"models", "map", "", "Model names of your own.", read_aliases},
    {"routes", "map", "",
     "Models that stand in for each other, by the name that clients give as a model (see above).",
     read_model_routes},
    {"default_model", "text", "",
     "For requests without `model`. By default gpt-4o with OpenAI, else the first provider's best "
     "known one.",
     [](Reader& r, const Node& n, Draft& d) {
         d.default_model_line = n.line;
         r.read(n, d.config.catalog.default_model);
     }},
    {"prices.file", "text", "", "A price file that overrides single built-in prices.",
     [](Reader& r, const Node& n, Draft& d) {
         d.prices_file.line = n.line;
         r.read(n, d.prices_file.value);
     }},

    {"cache.enabled", "boolean", "true", "Whether answers are kept.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.cache.enabled); }},
    {"cache.ttl", "duration", "3600s", "How long an answer is fresh (up to 5 % less, by chance).",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.cache.ttl, kLifetime); }},
    {"cache.ttl_max", "duration", "7d", "The most that `x-larder-ttl` may ask for.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.cache.ttl_max, kLifetime); }},
    {"cache.stale_if_error", "duration", "300s",
     "How long after its end an answer may still serve when the provider fails.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.cache.stale_if_error, kAnyLifetime);
     }},
    {"cache.prefix", "text", "llm:cache", "Of the store's key names: no braces, no spaces.",
     [](Reader& r, const Node& n, Draft& d) { read_prefix(r, n, d.config.cache.prefix); }},
    {"cache.memory", "size", "256MiB", "The in-process tier; 0: none.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.cache.memory, {0, 1ULL << 46}); }},
    {"cache.max_entry", "size", "1MiB", "The largest answer that is kept.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.cache.max_entry, {1, 1ULL << 30});
     }},
    {"cache.scope", "namespace, user, global", "namespace", "Who may share an answer.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.cache.scope,
                {{"namespace", ShareScope::kNamespace},
                 {"user", ShareScope::kUser},
                 {"global", ShareScope::kGlobal}});
     }},
    {"cache.rules", "list", "[]", "Exceptions; the first that matches a request decides.",
     read_cache_rules},
    {"cache.fleet_flight", "auto, on, off", "auto",
     "One call of the provider for a whole fleet; `auto` is on with Redis, and off over REST, "
     "where "
     "waiting is billed.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(
             n, d.config.cache.fleet_flight,
             {{"auto", FleetFlight::kAuto}, {"on", FleetFlight::kOn}, {"off", FleetFlight::kOff}});
     }},
    {"cache.on_disconnect", "cancel, finish", "cancel",
     "When the last waiter has left: cancel the provider's work, or finish and keep it.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.cache.on_disconnect,
                {{"cancel", OnDisconnect::kCancel}, {"finish", OnDisconnect::kFinish}});
     }},

    {"store.kind", "auto, memory, sqlite, redis, upstash", "auto",
     "Where answers, counts and sessions live. `auto` is upstash when its two variables are set, "
     "else redis when `REDIS_URL` is, else sqlite.",
     [](Reader& r, const Node& n, Draft& d) {
         d.store.line = n.line;
         read_store_choice(r, n, d.store.value);
     }},
    {"store.sqlite.path", "text", "larder.db",
     "The database file; cached answers stand beside it in `<path>-cache`.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kSqlite, [&] { r.read(n, d.config.sqlite_path); });
         if (d.config.sqlite_path.empty())
             r.mistake(n, "must not be empty");
     }},
    {"store.sqlite.max_size", "size", "2GiB", "The most that cached answers take on disk.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kSqlite,
                       [&] { r.read(n, d.config.sqlite_max_size, kBudget); });
     }},
    {"store.redis.url", "text", kRedisUrl,
     "One server, Sentinel or a Cluster (see above). By default `REDIS_URL` where that is set.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kRedis, [&] { read_store_text(r, n, d.redis_url); });
     }},
    {"store.redis.connections", "number", "2", "To each server, for each of `server.threads`.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kRedis,
                       [&] { r.read(n, d.config.redis_connections, Range<int>{1, 64}); });
     }},
    {"store.redis.timeout", "duration", "50ms", "All that a request may wait for Redis.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kRedis,
                       [&] { r.read(n, d.config.redis_timeout, kStoreWait); });
     }},
    {"store.upstash.url", "URL", "",
     "The REST address. By default `UPSTASH_REDIS_REST_URL`, else `KV_REST_API_URL`.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kUpstash, [&] { read_store_text(r, n, d.upstash_url); });
     }},
    {"store.upstash.token", "text", "",
     "Its token. By default `UPSTASH_REDIS_REST_TOKEN`, else `KV_REST_API_TOKEN`.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kUpstash, [&] { read_store_text(r, n, d.upstash_token); });
     }},
    {"store.upstash.timeout", "duration", "400ms", "All that a request may wait for Upstash.",
     [](Reader& r, const Node& n, Draft& d) {
         read_of_store(r, d, StoreKind::kUpstash,
                       [&] { r.read(n, d.config.upstash_timeout, kStoreWait); });
     }},

    {"limits.llm.max", "number", "20", "Requests in a window; 0 switches the tier off.",
     [](Reader& r, const Node& n, Draft& d) { read_max(r, n, d.config.llm); }},
    {"limits.llm.window", "duration", "60s", "The window.",
     [](Reader& r, const Node& n, Draft& d) { read_window(r, n, d.config.llm); }},
    {"limits.llm.algorithm", "sliding, fixed, gcra", "sliding", "How requests are counted.",
     [](Reader& r, const Node& n, Draft& d) { read_algorithm(r, n, d.config.llm); }},
    {"limits.llm.message", "text", "Too many LLM requests, please wait before trying again.",
     "The refusal's sentence.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.llm.message); }},
    {"limits.standard.max", "number", "100", "As `limits.llm.max`.",
     [](Reader& r, const Node& n, Draft& d) { read_max(r, n, d.config.standard); }},
    {"limits.standard.window", "duration", "60s", "The window.",
     [](Reader& r, const Node& n, Draft& d) { read_window(r, n, d.config.standard); }},
    {"limits.standard.algorithm", "sliding, fixed, gcra", "sliding", "How requests are counted.",
     [](Reader& r, const Node& n, Draft& d) { read_algorithm(r, n, d.config.standard); }},
    {"limits.standard.message", "text", "Too many requests, please wait before trying again.",
     "The refusal's sentence.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.standard.message); }},
    {"limits.expensive.max", "number", "10", "As `limits.llm.max`.",
     [](Reader& r, const Node& n, Draft& d) { read_max(r, n, d.config.expensive); }},
    {"limits.expensive.window", "duration", "60s", "The window.",
     [](Reader& r, const Node& n, Draft& d) { read_window(r, n, d.config.expensive); }},
    {"limits.expensive.algorithm", "sliding, fixed, gcra", "sliding", "How requests are counted.",
     [](Reader& r, const Node& n, Draft& d) { read_algorithm(r, n, d.config.expensive); }},
    {"limits.expensive.message", "text", "Too many requests, please wait before trying again.",
     "The refusal's sentence.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.expensive.message); }},
    {"limits.expensive.routes", "list of routes", "[]",
     "Routes under this tier: `METHOD /path`, `*` for any run of characters. One that no endpoint "
     "is under is refused.",
     read_routes},
    {"limits.on_store_loss", "local, open, closed", "local",
     "While the shared store is lost: each node enforces its part of `max`, nothing is refused, or "
     "everything is.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.on_store_loss,
                {{"local", limit::StoreLoss::kLocal},
                 {"open", limit::StoreLoss::kOpen},
                 {"closed", limit::StoreLoss::kClosed}});
     }},

    {"sessions.ttl", "duration", "86400s", "The life of a session after its last use.",
     [](Reader& r, const Node& n, Draft& d) { r.read(n, d.config.sessions.ttl, kSessionLife); }},
    {"sessions.prefix", "text", "session", "Of the store's key names: no braces, no spaces.",
     [](Reader& r, const Node& n, Draft& d) { read_prefix(r, n, d.config.sessions.prefix); }},
    {"sessions.max_age", "duration", "0", "A session's end after it was begun; 0: none.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.sessions.max_age, kAnyLifetime);
     }},
    {"sessions.max_size", "size", "64KiB", "The most data that a session holds.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.sessions.max_size, {1, 16ULL << 20});
     }},

    {"workflows.time", "duration", "300s", "For a whole workflow.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.workflows.time, {milliseconds(1000), hours(24)});
     }},
    {"workflows.cost", "number", "10",
     "US dollars that all calls of one workflow may cost, with up to six decimals; 0: nothing may "
     "cost anything.",
     [](Reader& r, const Node& n, Draft& d) { read_cost(r, n, d.config.workflows.cost); }},
    {"workflows.parallel", "number", "16", "Calls of one workflow under way at once.",
     [](Reader& r, const Node& n, Draft& d) {
         read_count(r, n, d.config.workflows.parallel, 1000);
     }},
    {"workflows.calls", "number", "1000", "Calls of one workflow: of all steps, items and tries.",
     [](Reader& r, const Node& n, Draft& d) {
         read_count(r, n, d.config.workflows.calls, 100'000);
     }},
    {"workflows.items", "number", "200", "Items of one `forEach`.",
     [](Reader& r, const Node& n, Draft& d) {
         read_count(r, n, d.config.workflows.items, 10'000);
     }},
    {"workflows.prompt", "size", "1MiB", "The largest prompt of a step, its templates filled in.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.workflows.prompt_bytes, kWorkflowText);
     }},
    {"workflows.output", "size", "1MiB",
     "The largest answer of a step; a `forEach`'s list: four times that.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.workflows.output_bytes, kWorkflowText);
     }},

    {"database.url", "text", "sqlite:larder.db", "Later: the database of usage and accounts.",
     [](Reader& r, const Node& n, Draft& d) {
         d.has_database_url = true;
         read_later_text(r, n, d, "sqlite:larder.db");
     }},
    {"compat", "list", "[]",
     "Gateways whose cache switches count: litellm, portkey, helicone, cloudflare.", read_compat},

    {"log.level", "debug, info, warn, error", "info", "The least that is logged.",
     [](Reader& r, const Node& n, Draft& d) {
         r.read(n, d.config.log_level,
                {{"debug", LogLevel::kDebug},
                 {"info", LogLevel::kInfo},
                 {"warn", LogLevel::kWarn},
                 {"error", LogLevel::kError}});
     }},
    {"log.format", "json, pretty", "json",
     "By default `pretty` on a terminal, and `json` elsewhere or with `NODE_ENV=production`.",
     [](Reader& r, const Node& n, Draft& d) {
         LogFormat format = LogFormat::kJson;
         r.read(n, format, {{"json", LogFormat::kJson}, {"pretty", LogFormat::kPretty}});
         d.log_format = format;
     }},
};

template <class T>
void describe(std::string_view place, std::span<const KeySpec<T>> keys, std::vector<KeyDoc>& out) {
    for (const KeySpec<T>& key : keys)
        out.push_back({std::string(place) + std::string(key.path), std::string(key.type),
                       std::string(key.default_value), std::string(key.help)});
}

} // namespace

std::span<const KeySpec<Draft>> file_keys() {
    return kFileKeys;
}

std::vector<KeyDoc> describe_keys() {
    std::vector<KeyDoc> all;
    for (const KeySpec<Draft>& key : kFileKeys) {
        describe<Draft>("", {&key, 1}, all);
        if (key.path == "auth.keys")
            describe("auth.keys[].", auth_key_keys(), all);
        if (key.path == "providers")
            describe("providers.<name>.", provider_keys(), all);
        if (key.path == "models")
            describe("models.<name>.", alias_keys(), all);
        if (key.path == "routes") {
            describe("routes.<name>.", model_route_keys(), all);
            describe("routes.<name>.targets[].", route_target_keys(), all);
        }
        if (key.path == "cache.rules")
            describe("cache.rules[].", cache_rule_keys(), all);
    }
    return all;
}

} // namespace larder::app
