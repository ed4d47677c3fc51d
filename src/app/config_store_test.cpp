// The store by kind and environment, its addresses and secrets, and what a fleet's keys default to.
#include "app/config.hpp"

#include <gtest/gtest.h>

namespace larder::app {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

Result<Config> read(std::string_view yaml, Variables variables) {
    return read_config(yaml, "larder.yaml",
                       {.variable = [variables = std::move(variables)](
                                        std::string_view name) -> std::optional<std::string> {
                           const auto found = variables.find(name);
                           return found == variables.end() ? std::nullopt
                                                           : std::optional(found->second);
                       }});
}

Config good(std::string_view yaml, Variables variables = {}) {
    auto config = read(yaml, std::move(variables));
    if (!config) {
        ADD_FAILURE() << yaml << "\n" << config.error().message;
        return {};
    }
    return *std::move(config);
}

std::string mistakes(std::string_view yaml, Variables variables = {}) {
    const auto config = read(yaml, std::move(variables));
    return config ? "none" : config.error().message;
}

const Variables kUpstashVariables = {{"UPSTASH_REDIS_REST_URL", "https://eu1.upstash.io/"},
                                     {"UPSTASH_REDIS_REST_TOKEN", "hunter2\n"}};

TEST(ConfigStore, IsTheEmbeddedOneWithoutAnything) {
    const Config config = good("");
    EXPECT_EQ(config.store, StoreKind::kSqlite);
    EXPECT_EQ(config.redis_connections, 2);
    EXPECT_EQ(config.redis_timeout, milliseconds(50));
    EXPECT_EQ(config.upstash_timeout, milliseconds(400));
    EXPECT_EQ(config.cache.fleet_flight, FleetFlight::kAuto);
    EXPECT_EQ(config.on_store_loss, limit::StoreLoss::kLocal);
    EXPECT_EQ(config.sessions.ttl, std::chrono::hours(24));
    EXPECT_EQ(config.sessions.prefix, "session");
    EXPECT_EQ(config.sessions.max_age, milliseconds(0));
    EXPECT_EQ(config.sessions.max_size, 65'536U);
    EXPECT_TRUE(config.warnings.empty());
}

TEST(ConfigStore, ByItselfTakesUpstashThenRedis) {
    Variables all = kUpstashVariables;
    all["REDIS_URL"] = "redis://h:7000/3";
    const Config upstash = good("", all);
    EXPECT_EQ(upstash.store, StoreKind::kUpstash);
    EXPECT_EQ(upstash.upstash_url, "https://eu1.upstash.io");
    EXPECT_EQ(upstash.upstash_token, "hunter2");
    EXPECT_TRUE(upstash.warnings.empty());
    const Config redis = good("store: { kind: auto }", {{"REDIS_URL", "redis://h:7000/3\n"}});
    EXPECT_EQ(redis.store, StoreKind::kRedis);
    ASSERT_EQ(redis.redis_url.endpoints.size(), 1U);
    EXPECT_EQ(redis.redis_url.endpoints[0].host, "h");
    EXPECT_EQ(redis.redis_url.endpoints[0].port, 7000);
    EXPECT_EQ(redis.redis_url.database, 3);
    EXPECT_EQ(good("", {{"REDIS_URL", ""}}).store, StoreKind::kSqlite);
}

TEST(ConfigStore, TakesTheNamesThatVercelGives) {
    const Variables vercel = {{"KV_REST_API_URL", "https://kv"}, {"KV_REST_API_TOKEN", "kv-token"}};
    const Config config = good("", vercel);
    EXPECT_EQ(config.store, StoreKind::kUpstash);
    EXPECT_EQ(config.upstash_url, "https://kv");
    EXPECT_EQ(config.upstash_token, "kv-token");
    Variables both = kUpstashVariables;
    both.insert(vercel.begin(), vercel.end());
    EXPECT_EQ(good("", both).upstash_url, "https://eu1.upstash.io");
    both.erase("UPSTASH_REDIS_REST_TOKEN"); // never the one's token at the other's address
    const Config mixed = good("", both);
    EXPECT_EQ(mixed.upstash_url, "https://kv");
    EXPECT_EQ(mixed.upstash_token, "kv-token");
}

TEST(ConfigStore, SaysThatHalfOfAPairIsNotUsed) {
    for (const auto* name : {"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN",
                             "KV_REST_API_URL", "KV_REST_API_TOKEN"}) {
        const Config config = good("", {{name, "https://hunter2"}});
        EXPECT_EQ(config.store, StoreKind::kSqlite);
        ASSERT_EQ(config.warnings.size(), 1U) << name;
        EXPECT_TRUE(config.warnings[0].starts_with(name)) << config.warnings[0];
        EXPECT_EQ(config.warnings[0].find("hunter2"), std::string::npos);
        EXPECT_TRUE(good("store: { kind: sqlite }", {{name, "x"}}).warnings.empty());
    }
}

TEST(ConfigStore, SaysThatAnAddressIsNotUsedByAuto) {
    const Config config = good("store: { redis: { url: 'redis://h' } }");
    EXPECT_EQ(config.store, StoreKind::kSqlite);
    ASSERT_EQ(config.warnings.size(), 1U);
    EXPECT_TRUE(config.warnings[0].starts_with("store.redis.url is set, but"));
    EXPECT_EQ(good("store: { upstash: { url: 'https://h', token: t } }").warnings.size(), 1U);
    EXPECT_TRUE(good("store: { redis: { url: 'redis://h' } }", {{"REDIS_URL", "redis://other"}})
                    .warnings.empty());
}

TEST(ConfigStore, TheFilesAddressWinsOverTheEnvironments) {
    const Config redis =
        good("store: { redis: { url: 'redis://file' } }", {{"REDIS_URL", "redis://environment"}});
    EXPECT_EQ(redis.store, StoreKind::kRedis);
    EXPECT_EQ(redis.redis_url.endpoints.at(0).host, "file");
    const Config upstash = good(
        "store: { kind: upstash, upstash: { url: 'http://127.0.0.1:8079' } }", kUpstashVariables);
    EXPECT_EQ(upstash.upstash_url, "http://127.0.0.1:8079");
    EXPECT_EQ(upstash.upstash_token, "hunter2");
}

TEST(ConfigStore, OfAKindThatIsNamed) {
    EXPECT_EQ(good("store: { kind: memory }", {{"REDIS_URL", "redis://h"}}).store,
              StoreKind::kMemory);
    EXPECT_EQ(good("store: { kind: sqlite }", kUpstashVariables).store, StoreKind::kSqlite);
    const Config redis = good("store: { kind: redis }", kUpstashVariables);
    EXPECT_EQ(redis.store, StoreKind::kRedis);
    ASSERT_EQ(redis.redis_url.endpoints.size(), 1U);
    EXPECT_EQ(redis.redis_url.endpoints[0].host, "127.0.0.1");
    EXPECT_EQ(redis.redis_url.endpoints[0].port, 6379);
    EXPECT_EQ(good("store: { kind: \"${KIND}\" }", {{"KIND", "redis"}}).store, StoreKind::kRedis);
    EXPECT_EQ(good("store: { kind: upstash }", kUpstashVariables).store, StoreKind::kUpstash);
}

TEST(ConfigStore, ReadsEveryKeyOfAFleet) {
    const Config config = good("cache: { fleet_flight: on }\n"
                               "store:\n  kind: redis\n  redis: { url: 'rediss://ada:s%40@h/2',"
                               " connections: 4, timeout: 80ms }\n"
                               "  upstash: { timeout: 900ms }\n"
                               "limits: { on_store_loss: closed }\n"
                               "sessions: { ttl: 1h, prefix: s, max_age: 7d, max_size: 1KiB }\n");
    EXPECT_EQ(config.cache.fleet_flight, FleetFlight::kOn);
    EXPECT_TRUE(config.redis_url.tls);
    EXPECT_EQ(config.redis_url.user, "ada");
    EXPECT_EQ(config.redis_url.password, "s@");
    EXPECT_EQ(config.redis_url.database, 2);
    EXPECT_EQ(config.redis_connections, 4);
    EXPECT_EQ(config.redis_timeout, milliseconds(80));
    EXPECT_EQ(config.upstash_timeout, milliseconds(900));
    EXPECT_EQ(config.on_store_loss, limit::StoreLoss::kClosed);
    EXPECT_EQ(config.sessions.ttl, std::chrono::hours(1));
    EXPECT_EQ(config.sessions.prefix, "s");
    EXPECT_EQ(config.sessions.max_age, std::chrono::hours(24 * 7));
    EXPECT_EQ(config.sessions.max_size, 1024U);
    EXPECT_TRUE(config.warnings.empty());
    EXPECT_EQ(good("limits: { on_store_loss: open }").on_store_loss, limit::StoreLoss::kOpen);
    EXPECT_EQ(good("cache: { fleet_flight: off }").cache.fleet_flight, FleetFlight::kOff);
}

TEST(ConfigStore, FindsClustersAndSentinels) {
    const Config cluster =
        good("store: { kind: redis, redis: { url: 'redis+cluster://a:7000,b:7001' } }");
    EXPECT_EQ(cluster.redis_url.topology, redis::Topology::kCluster);
    EXPECT_EQ(cluster.redis_url.endpoints.size(), 2U);
    const Config sentinel =
        good("store: { kind: redis, redis: { url: 'redis+sentinel://a:26379/main' } }");
    EXPECT_EQ(sentinel.redis_url.topology, redis::Topology::kSentinel);
    EXPECT_EQ(sentinel.redis_url.master_name, "main");
    EXPECT_TRUE(mistakes("store:\n  kind: redis\n  redis: { url: 'redis+cluster://a:7000/1' }")
                    .starts_with("larder.yaml:3: store.redis.url: "));
}

TEST(ConfigStore, NamesTheLineOfABadAddressAndNeverAPassword) {
    for (const std::string address :
         {"http://:hunter2@h", "redis://:hunter2@h:port", "redis://:hunter2@h/x", "hunter2",
          "redis://u:hunter2@h/1/2"}) {
        for (const std::string kind : {"redis", "sqlite", "auto"}) {
            const std::string message =
                mistakes("store:\n  kind: " + kind + "\n  redis: { url: '" + address + "' }");
            EXPECT_TRUE(message.starts_with("larder.yaml:3: store.redis.url: ")) << message;
            EXPECT_EQ(message.find("hunter2"), std::string::npos) << message;
        }
        const std::string message = mistakes("", {{"REDIS_URL", address}});
        EXPECT_TRUE(message.starts_with("environment: REDIS_URL: ")) << message;
        EXPECT_EQ(message.find("hunter2"), std::string::npos) << message;
        good("store: { kind: sqlite, redis: { url: \"${R}\" } }", {{"R", address}});
        good("store: { kind: sqlite }", {{"REDIS_URL", address}});
    }
}

TEST(ConfigStore, RefusesWhatIsNoAddressOfUpstash) {
    const std::string both = "store:\n  kind: upstash\n  upstash:\n";
    for (const auto* url : {"redis://h", "https://u:hunter2@h", "https://h?x=1", "h"}) {
        const std::string message = mistakes(both + "    url: " + url + "\n    token: hunter2\n");
        EXPECT_TRUE(message.starts_with("larder.yaml:4: store.upstash.url: must ")) << message;
        EXPECT_EQ(message.find("hunter2"), std::string::npos) << message;
        EXPECT_TRUE(mistakes("", {{"KV_REST_API_URL", url}, {"KV_REST_API_TOKEN", "t"}})
                        .starts_with("environment: KV_REST_API_URL: must "));
    }
    EXPECT_EQ(mistakes(both + "    url: https://h\n    token: 'hun ter'\n"),
              "larder.yaml:5: store.upstash.token: must be printable characters without spaces");
    EXPECT_EQ(good(both + "    url: https://h\n    token: 12345\n").upstash_token, "12345");
}

TEST(ConfigStore, SaysWhatUpstashNeeds) {
    const std::string expected =
        "larder.yaml:2: store.kind: upstash needs store.upstash.url and store.upstash.token, or "
        "the variables UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN";
    EXPECT_EQ(mistakes("store:\n  kind: upstash\n"), expected);
    EXPECT_EQ(mistakes("store:\n  kind: upstash\n  upstash: { url: 'https://h' }\n"), expected);
    EXPECT_EQ(mistakes("store:\n  kind: upstash\n  upstash: { token: t }\n"), expected);
    EXPECT_EQ(mistakes("store:\n  kind: upstash\n", {{"UPSTASH_REDIS_REST_URL", "https://h"}}),
              expected);
}

TEST(ConfigStore, UnsetVariablesMatterOnlyToTheStoreInUse) {
    const std::string stores = "store:\n  kind: \"${KIND}\"\n"
                               "  redis: { url: \"${A}\", connections: \"${B}\", timeout: "
                               "\"${C}\" }\n"
                               "  upstash: { url: \"${D}\", token: \"${E}\" }\n"
                               "  sqlite: { path: \"${F}\", max_size: \"${G}\" }\n";
    EXPECT_EQ(good(stores, {{"KIND", "memory"}}).store, StoreKind::kMemory);
    EXPECT_EQ(mistakes(stores, {{"KIND", "redis"}}),
              "larder.yaml:3: store.redis.url: the environment variable A is not set\n"
              "larder.yaml:3: store.redis.connections: the environment variable B is not set\n"
              "larder.yaml:3: store.redis.timeout: the environment variable C is not set");
    EXPECT_EQ(mistakes(stores, {{"KIND", "upstash"}}),
              "larder.yaml:4: store.upstash.url: the environment variable D is not set\n"
              "larder.yaml:4: store.upstash.token: the environment variable E is not set");
    EXPECT_EQ(mistakes(stores, {{"KIND", "sqlite"}}),
              "larder.yaml:5: store.sqlite.path: the environment variable F is not set\n"
              "larder.yaml:5: store.sqlite.max_size: the environment variable G is not set");
    EXPECT_EQ(mistakes("store:\n  kind: redis\n  redis: { url: \"${A}\" }\n", {{"A", ""}}),
              "larder.yaml:3: store.redis.url: must not be empty");
}

TEST(ConfigStore, RefusesFiguresOutOfBounds) {
    EXPECT_EQ(mistakes("store: { redis: { connections: 0 } }"),
              "larder.yaml:1: store.redis.connections: must be from 1 to 64");
    EXPECT_EQ(mistakes("store: { redis: { timeout: 0 } }"),
              "larder.yaml:1: store.redis.timeout: must be from 1ms to 60000ms");
    EXPECT_EQ(mistakes("store: { upstash: { timeout: 2m } }"),
              "larder.yaml:1: store.upstash.timeout: must be from 1ms to 60000ms");
    EXPECT_EQ(mistakes("store: { redis: { pool: 2 } }"),
              "larder.yaml:1: store.redis.pool: unknown key");
}

} // namespace
} // namespace larder::app
