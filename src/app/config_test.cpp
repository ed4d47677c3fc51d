// The whole file of the contract, and every mistake with its line.
#include "app/config.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace larder::app {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

Environment environment_of(Variables variables, bool terminal = false) {
    return {.variable = [variables = std::move(variables)](
                            std::string_view name) -> std::optional<std::string> {
                const auto found = variables.find(name);
                return found == variables.end() ? std::nullopt : std::optional(found->second);
            },
            .terminal = terminal};
}

Config good(std::string_view yaml, Variables variables = {}) {
    auto config = read_config(yaml, "larder.yaml", environment_of(std::move(variables)));
    if (!config) {
        ADD_FAILURE() << yaml << "\n" << config.error().message;
        return {};
    }
    return *std::move(config);
}

std::string mistakes(std::string_view yaml, Variables variables = {}) {
    const auto config = read_config(yaml, "larder.yaml", environment_of(std::move(variables)));
    return config ? "none" : config.error().message;
}

const std::string kDigest = text::hex(std::string(32, '\x5a'));

/// The contract's example, word for word but for the digest and what is only said there in dots.
std::string contract_example() {
    return R"(server:
  listen: 127.0.0.1:8080
  threads: 0                    # 0: one per core
  tls: { certificate: cert.pem, key: key.pem }
  trusted_proxies: [127.0.0.1/32]
  cors: { origins: ["https://app.example.com"] }
  max_body: 32MiB
  memory: 512MiB                # all bytes in flight
  drain: 30s
auth:
  mode: open                    # open | keys | jwt
  keys: [{ name: web, sha256: ")" +
           kDigest + R"(", user: web, namespace: web, scopes: [llm, sessions, stats, admin] }]
  jwt: { issuer: "…", audience: "…", jwks: "https://…/jwks.json", secret: "${SUPABASE_JWT_SECRET}" }
providers:
  openai:    { api: openai,    base_url: https://api.openai.com/v1,  api_key: "${OPENAI_API_KEY}" }
  anthropic: { api: anthropic, base_url: https://api.anthropic.com,  api_key: "${ANTHROPIC_API_KEY}",
               connect_timeout: 2s, first_byte_timeout: 60s, idle_timeout: 60s, total_timeout: 600s, retries: 2 }
  local:     { api: openai,    base_url: http://127.0.0.1:11434/v1,  models: [llama3.2] }
models:                         # names of your own
  fast: { provider: openai, model: gpt-4o-mini }
default_model: gpt-4o
cache:
  enabled: true
  ttl: 3600s                    # jitter only shortens it, by at most 5 %
  ttl_max: 7d
  stale_if_error: 300s          # an entry stays that much longer in the store
  prefix: "llm:cache"
  memory: 256MiB                # the in-process tier; 0: none
  max_entry: 1MiB
  scope: namespace
  rules: [{ model: "o3*", mode: off }]
  fleet_flight: auto
  on_disconnect: cancel
store:
  kind: auto                    # auto | memory | sqlite | redis | upstash
  sqlite: { path: larder.db, max_size: 2GiB }
  redis: { url: redis://127.0.0.1:6379 }
  upstash: { url: "${UPSTASH_REDIS_REST_URL}", token: "${UPSTASH_REDIS_REST_TOKEN}" }
limits:
  llm:       { max: 20,  window: 60s, algorithm: sliding }
  standard:  { max: 100, window: 60s }
  expensive: { max: 10,  window: 60s, routes: ["DELETE /admin/*"] }
  on_store_loss: local          # local | open | closed
sessions: { ttl: 86400s, prefix: session }
database: { url: "sqlite:larder.db" }
compat: []
log: { level: info, format: json }
)";
}

TEST(Config, TakesEveryKeyOfTheContractsExample) {
    const Config config = good(contract_example());
    EXPECT_EQ(config.server.listen, "127.0.0.1:8080");
    EXPECT_TRUE(config.server.listen_from_file);
    EXPECT_EQ(config.server.tls_certificate, "cert.pem");
    EXPECT_EQ(config.server.tls_key, "key.pem");
    ASSERT_EQ(config.server.trusted_proxies.size(), 1U);
    EXPECT_EQ(config.server.trusted_proxies[0].prefix, 32U);
    EXPECT_EQ(config.server.cors_origins, std::vector<std::string>{"https://app.example.com"});
    ASSERT_EQ(config.keys.size(), 1U);
    EXPECT_EQ(config.keys[0].sha256, std::string(32, '\x5a'));
    EXPECT_EQ(config.keys[0].scopes.size(), 4U);
    EXPECT_EQ(config.auth_mode, AuthMode::kOpen);
    ASSERT_EQ(config.catalog.providers.size(), 3U);
    EXPECT_EQ(config.catalog.providers[0].name, "openai");
    EXPECT_EQ(config.catalog.providers[0].missing_variable, "OPENAI_API_KEY");
    EXPECT_EQ(config.catalog.providers[1].dialect, protocol::Dialect::kAnthropicMessages);
    EXPECT_EQ(config.catalog.providers[2].models, std::vector<std::string>{"llama3.2"});
    EXPECT_EQ(config.catalog.providers[2].missing_variable, "");
    EXPECT_EQ(config.catalog.aliases.at("fast").model, "gpt-4o-mini");
    EXPECT_EQ(config.catalog.default_model, "gpt-4o");
    EXPECT_EQ(config.cache.ttl_max, std::chrono::hours(24 * 7));
    ASSERT_EQ(config.cache.rules.size(), 1U);
    EXPECT_EQ(config.cache.rules[0].model, "o3*");
    EXPECT_EQ(config.cache.rules[0].mode, RuleMode::kOff);
    EXPECT_EQ(config.store, StoreKind::kSqlite);
    EXPECT_EQ(config.sqlite_max_size, 2ULL << 30);
    EXPECT_EQ(config.expensive_routes, std::vector<std::string>{"DELETE /admin/*"});
    ASSERT_EQ(config.warnings.size(), 1U) << config.warnings[1];
    EXPECT_NE(config.warnings[0].find("auth.keys"), std::string::npos);
}

TEST(Config, HasTheContractsDefaultsWithoutAFile) {
    const Config config = good("");
    EXPECT_EQ(config.server.listen, "127.0.0.1:8080");
    EXPECT_EQ(config.cache.ttl, std::chrono::hours(1));
    EXPECT_EQ(config.llm.max, 20);
    EXPECT_EQ(config.standard.max, 100);
    EXPECT_EQ(config.expensive.max, 10);
    EXPECT_EQ(config.log_format, LogFormat::kJson);
    ASSERT_EQ(config.catalog.providers.size(), 2U);
    EXPECT_EQ(config.catalog.providers[0].base_url, "https://api.openai.com/v1");
    EXPECT_EQ(config.catalog.providers[0].missing_variable, "OPENAI_API_KEY");
    EXPECT_EQ(config.catalog.providers[1].base_url, "https://api.anthropic.com");
    EXPECT_EQ(config.catalog.providers[1].missing_variable, "ANTHROPIC_API_KEY");
    EXPECT_EQ(config.catalog.providers[0].vendor, "openai");
    EXPECT_NE(config.catalog.prices.find("openai", "gpt-4o"), nullptr);
    EXPECT_TRUE(config.warnings.empty());
}

TEST(Config, NamesLineKeyAndTheKeyThatWasMeant) {
    EXPECT_EQ(mistakes("server:\n  drain: 5s\ncache:\n  tll: 5s\n"),
              "larder.yaml:4: cache.tll: unknown key; did you mean cache.ttl?");
    EXPECT_EQ(mistakes("cahce: {}"), "larder.yaml:1: cahce: unknown key; did you mean cache?");
    EXPECT_EQ(mistakes("server: { tls: { certificat: a } }"),
              "larder.yaml:1: server.tls.certificat: unknown key; did you mean "
              "server.tls.certificate?");
    EXPECT_EQ(mistakes("providers:\n  openai: { retrys: 5 }"),
              "larder.yaml:2: providers.openai.retrys: unknown key; did you mean "
              "providers.openai.retries?");
    EXPECT_EQ(mistakes("providers:\n  openai: { breaker: { windw: 5s } }"),
              "larder.yaml:2: providers.openai.breaker.windw: unknown key; did you mean "
              "providers.openai.breaker.window?");
    EXPECT_EQ(mistakes("quite_different: 1"), "larder.yaml:1: quite_different: unknown key");
    EXPECT_EQ(mistakes("limits: { llm: { routes: [] } }"),
              "larder.yaml:1: limits.llm.routes: unknown key");
}

TEST(Config, ListsAllMistakesByLine) {
    EXPECT_EQ(mistakes("cache:\n  ttl: often\n  enabled: 5\nserver:\n  threads: many\nlog: [1]\n",
                       {{"PORT", "http"}}),
              "environment: PORT: must be a number from 0 to 65535\n"
              "larder.yaml:2: cache.ttl: must be a duration such as 250ms, 60s, 5m, 24h or 7d\n"
              "larder.yaml:3: cache.enabled: must be true or false\n"
              "larder.yaml:5: server.threads: must be a whole number\n"
              "larder.yaml:6: log: must be a map, not a list");
}

TEST(Config, StopsListingAtFifty) {
    std::string yaml = "cache:\n";
    for (int i = 0; i < 60; ++i)
        yaml += "  unheard_of_" + std::to_string(i) + ": 1\n";
    const std::string all = mistakes(yaml);
    EXPECT_EQ(std::ranges::count(all, '\n'), 50);
    EXPECT_TRUE(all.ends_with("\nand 10 more"));
}

TEST(Config, RefusesWrongTypesAndValues) {
    const std::pair<const char*, const char*> table[] = {
        {"server: 5", "server: must be a map, not a single value"},
        {"- a", "must be a map, not a list"},
        {"just text", "must be a map, not a single value"},
        {"server: { listen: 8080 }", "server.listen: must be text; put '8080' in quotes"},
        {"server: { listen: '8080' }", "server.listen: must be address:port"},
        {"server: { listen: 'a:b' }", "server.listen: must be address:port"},
        {"server: { listen: '127.0.0.1:70000' }", "server.listen: must be address:port"},
        {"server: { listen: '::1:80' }", "server.listen: must be address:port"},
        {"server: { listen: [a] }", "server.listen: must be text, not a list"},
        {"server: { threads: 1.5 }", "server.threads: must be a whole number"},
        {"server: { threads: '4' }", "server.threads: must be a whole number"},
        {"server: { threads: -1 }", "server.threads: must be from 0 to 1024"},
        {"server: { threads: 99999999999999999999 }", "server.threads: must be a whole number"},
        {"server: { tls: { key: a } }", "server.tls: needs both certificate and key"},
        {"server: { trusted_proxies: 10.0.0.0/8 }",
         "server.trusted_proxies: must be a list, not a single value"},
        {"server: { trusted_proxies: [10.0.0.0/8, proxy] }",
         "server.trusted_proxies[1]: not an IP address or network"},
        {"server: { cors: { origins: [app.example.com] } }",
         "server.cors.origins[0]: must be an origin"},
        {"server: { cors: { origins: ['https://a.com/'] } }",
         "server.cors.origins[0]: must be an origin"},
        {"server: { max_body: lots }", "server.max_body: must be a size"},
        {"server: { memory: 1 }", "server.memory: must be from 1048576 to"},
        {"server: { drain: 5 }", "server.drain: must be a duration"},
        {"server: { drain: 90d }", "server.drain: must be from 0ms to 86400000ms"},
        {"cache: { enabled: 'true' }", "cache.enabled: must be true or false"},
        {"cache: { enabled: yes }", "cache.enabled: must be true or false"},
        {"cache: { scope: tenant }",
         "cache.scope: 'tenant' is not known; known are namespace, user, global"},
        {"cache: { prefix: '' }", "cache.prefix: must have 1 to 128 characters"},
        {"cache: { prefix: \"a\\nb\" }", "cache.prefix: must have no line breaks"},
        {"cache: { prefix: 'a b' }", "cache.prefix: must have no braces and no spaces"},
        {"cache: { prefix: 'a{b' }", "cache.prefix: must have no braces and no spaces"},
        {"sessions: { prefix: 'a}b' }", "sessions.prefix: must have no braces and no spaces"},
        {"sessions: { prefix: '' }", "sessions.prefix: must have 1 to 128 characters"},
        {"sessions: { prefix: \"a\\tb\" }", "sessions.prefix: must have no line breaks"},
        {"sessions: { ttl: 0 }", "sessions.ttl: must be from 1000ms"},
        {"sessions: { max_age: often }", "sessions.max_age: must be a duration"},
        {"sessions: { max_size: 0 }", "sessions.max_size: must be from 1 to"},
        {"cache: { fleet_flight: maybe }", "cache.fleet_flight: 'maybe' is not known"},
        {"cache: { prefix: true }", "cache.prefix: must be text; put 'true' in quotes"},
        {"store: { kind: mongo }", "store.kind: 'mongo' is not known"},
        {"store: { sqlite: { path: '' } }", "store.sqlite.path: must not be empty"},
        {"limits: { llm: { max: -1 } }", "limits.llm.max: must be from 0 to 1000000000"},
        {"limits: { llm: { window: 1ms } }", "limits.llm.window: must be from 100ms to"},
        {"limits: { llm: { algorithm: leaky } }", "limits.llm.algorithm: 'leaky' is not known"},
        {"limits: { on_store_loss: panic }", "limits.on_store_loss: 'panic' is not known"},
        {"sessions: { ttl: 5 }", "sessions.ttl: must be a duration"},
        {"compat: [openrouter]", "compat[0]: 'openrouter' is not known"},
        {"compat: litellm", "compat: must be a list"},
        {"log: { level: loud }", "log.level: 'loud' is not known"},
        {"auth: { mode: jwt }", "auth.mode: jwt is not supported by this version"},
        {"auth: { mode: keys }", "auth.mode: keys needs at least one key"},
        {"auth: { mode: nobody }", "auth.mode: 'nobody' is not known"},
        {"auth: { jwt: { issuer: [a] } }", "auth.jwt.issuer: must be text, not a list"},
        {"cache: { ttl: 1s, ttl: 2s }", "'ttl' is given twice (first on line 1)"},
        {"default_model: ", "default_model: must be text, not nothing"},
    };
    for (const auto& [yaml, expected] : table) {
        const std::string message = mistakes(yaml);
        EXPECT_NE(message.find("larder.yaml:1: " + std::string(expected)), std::string::npos)
            << yaml << "\n"
            << message;
    }
}

TEST(Config, RefusesRulesThatCanMatchNothing) {
    const std::pair<const char*, const char*> table[] = {
        {"cache: { rules: [{ api: gemini, mode: off }] }", "cache.rules[0].api: 'gemini'"},
        {"cache: { rules: [{ model: '' }] }", "cache.rules[0].model: an empty name"},
        {"cache: { rules: [{ temperature: 3 }] }", "cache.rules[0].temperature: must be"},
        {"cache: { rules: [{ temperature: '>2' }] }", "cache.rules[0].temperature: must be"},
        {"cache: { rules: [{ temperature: '<1' }] }", "cache.rules[0].temperature: must be"},
        {"cache: { rules: [{ temperature: nan }] }", "cache.rules[0].temperature: must be"},
        {"cache: { rules: [{ mode: off }, { model: a }] }",
         "cache.rules[1]: can never match: the rule at line 1 matches first"},
        {"cache:\n  rules:\n    - { model: 'o3*', tools: true, mode: off }\n    - { api: llm }\n"
         "    - { model: o3-mini, tools: true, ttl: 5m }\n",
         "larder.yaml:5: cache.rules[2]: can never match: the rule at line 3 matches first"},
        {"cache: { rules: [{}] }", "cache.rules[0]: must be a map with at least one key"},
        {"cache: { rules: [a] }", "cache.rules[0]: must be a map"},
        {"cache: { rules: [{ mode: off, ttl: 5s }] }", "cache.rules[0]: ttl has no meaning"},
        {"limits: { expensive: { routes: ['FETCH /a'] } }",
         "limits.expensive.routes[0]: can match"},
        {"limits: { expensive: { routes: ['get /a'] } }", "limits.expensive.routes[0]: can match"},
        {"limits: { expensive: { routes: ['GET a'] } }", "limits.expensive.routes[0]: can match"},
        {"limits: { expensive: { routes: [/a] } }", "limits.expensive.routes[0]: can match"},
        {"limits: { expensive: { routes: ['GET /a b'] } }",
         "limits.expensive.routes[0]: can match"},
        {"limits:\n  expensive:\n    routes:\n      - POST /llm/*\n      - DELETE /nope\n",
         "larder.yaml:5: limits.expensive.routes[1]: can match nothing: no endpoint"},
        {"limits: { expensive: { routes: ['HEAD /llm/models'] } }",
         "limits.expensive.routes[0]: can match nothing: no endpoint"},
        {"server: { cors: { origins: ['https://\u00fcber.example'] } }",
         "server.cors.origins[0]: must be an origin"},
        {"cache: {}\ndefault_model: llama3.2\n",
         "larder.yaml:2: default_model: no provider takes the model 'llama3.2'; configured: "
         "openai, anthropic"},
        {"providers: { local: { api: openai, base_url: 'http://h', models: [a] } }\n"
         "default_model: local/b\n",
         "larder.yaml:2: default_model: the provider 'local' does not take the model 'b'"},
        {"models: { fast: { provider: nobody, model: a } }",
         "models.fast: there is no provider 'nobody'; there are openai, anthropic"},
        {"models: { fast: { provider: openai } }", "models.fast: needs provider and model"},
    };
    for (const auto& [yaml, expected] : table)
        EXPECT_NE(mistakes(yaml).find(expected), std::string::npos) << yaml << "\n"
                                                                    << mistakes(yaml);
}

TEST(Config, ComparesNoRuleWithOneThatIsWrongInItself) {
    const std::string message = mistakes("cache: { rules: [{ api: gemini }, { model: a }] }");
    EXPECT_EQ(message.find("can never match"), std::string::npos) << message;
}

TEST(Config, TakesADefaultModelByEachWayThatARequestHas) {
    for (const auto* model : {"gpt-4o", "local/b", "fast", "own", "claude-x"})
        good("providers:\n"
             "  openai: {}\n"
             "  anthropic: {}\n"
             "  local: { api: openai, base_url: 'http://h' }\n"
             "  listing: { api: openai, base_url: 'http://h', models: [own] }\n"
             "models: { fast: { provider: local, model: c } }\n"
             "default_model: " +
             std::string(model) + "\n");
}

TEST(Config, ReadsCacheRules) {
    const Config config = good("cache:\n  rules:\n"
                               "    - { api: llm, temperature: '>0.5', mode: coalesce-only }\n"
                               "    - { model: 'gpt-*', temperature: 0, ttl: 5m }\n"
                               "    - { tools: true, mode: off }\n"
                               "    - { model: '*', mode: off }\n");
    ASSERT_EQ(config.cache.rules.size(), 4U);
    EXPECT_EQ(config.cache.rules[0].api, "llm");
    EXPECT_EQ(config.cache.rules[0].temperature_above, 0.5);
    EXPECT_EQ(config.cache.rules[0].mode, RuleMode::kCoalesceOnly);
    EXPECT_EQ(config.cache.rules[1].temperature_equal, 0.0);
    EXPECT_EQ(config.cache.rules[1].ttl, std::chrono::minutes(5));
    EXPECT_EQ(config.cache.rules[2].tools, true);
}

std::string keys_yaml(std::string_view entries) {
    return "auth:\n  mode: keys\n  keys:\n" + std::string(entries);
}

TEST(Config, ReadsWhoseCacheSwitchesCount) {
    const Config none = good("");
    EXPECT_FALSE(none.compat.litellm || none.compat.portkey || none.compat.helicone ||
                 none.compat.cloudflare);
    const Config two = good("compat: [cloudflare, litellm]");
    EXPECT_TRUE(two.compat.litellm && two.compat.cloudflare);
    EXPECT_FALSE(two.compat.portkey || two.compat.helicone);
    EXPECT_TRUE(two.warnings.empty());
}

TEST(Config, ReadsKeysWithTheirDefaults) {
    const Config config =
        good(keys_yaml("    - { name: web, sha256: " + kDigest +
                       " }\n"
                       "    - { name: ops, sha256: \"${OPS}\", user: ada, namespace: team,"
                       " scopes: [stats, admin] }\n"),
             {{"OPS", text::hex(std::string(32, 'o'))}});
    EXPECT_EQ(config.auth_mode, AuthMode::kKeys);
    ASSERT_EQ(config.keys.size(), 2U);
    EXPECT_EQ(config.keys[0].user, "web");
    EXPECT_EQ(config.keys[0].name_space, "web");
    EXPECT_EQ(config.keys[0].scopes, std::vector<std::string>{"llm"});
    EXPECT_EQ(config.keys[1].user, "ada");
    EXPECT_EQ(config.keys[1].name_space, "team");
    EXPECT_EQ(config.keys[1].scopes, (std::vector<std::string>{"stats", "admin"}));
    EXPECT_TRUE(config.warnings.empty());
}

TEST(Config, RefusesKeysThatAreIncompleteOrNotApart) {
    EXPECT_NE(mistakes(keys_yaml("    - { name: web }\n")).find("needs name and sha256"),
              std::string::npos);
    EXPECT_NE(mistakes(keys_yaml("    - { name: web, sha256: abc }\n")).find("64 hex digits"),
              std::string::npos);
    const std::string web = "    - { name: web, sha256: " + kDigest;
    EXPECT_NE(mistakes(keys_yaml(web + ", scopes: [llm, root] }\n"))
                  .find("larder.yaml:4: auth.keys[0].scopes[1]: 'root' is not known"),
              std::string::npos);
    const std::string twice = mistakes(keys_yaml(web + " }\n" + web + " }\n"));
    EXPECT_NE(twice.find("larder.yaml:5: auth.keys[1]: the name 'web' is taken"),
              std::string::npos);
    EXPECT_NE(twice.find("larder.yaml:5: auth.keys[1]: the same key as 'web'"), std::string::npos);
    EXPECT_NE(mistakes(keys_yaml("    - { name: web, sha256: \"${NO_SUCH}\" }\n"))
                  .find("larder.yaml:4: auth.keys[0].sha256: the environment variable NO_SUCH is "
                        "not set"),
              std::string::npos);
}

TEST(Config, TakesUnsetVariablesOnlyWhereNothingUsesThem) {
    EXPECT_EQ(mistakes("cache:\n  prefix: ${NOPE}\n"),
              "larder.yaml:2: cache.prefix: the environment variable NOPE is not set");
    EXPECT_EQ(good("auth: { keys: [{ name: a, sha256: \"${NOPE}\" }] }").keys.size(), 0U);
    good("store: { redis: { url: \"${NOPE}\" }, upstash: { url: \"${NOPE}\" } }");
    const Config config =
        good("providers: { local: { api: openai, base_url: 'http://h', api_key: \"a-${NOPE}\" } }");
    EXPECT_EQ(config.catalog.providers[0].missing_variable, "NOPE");
    EXPECT_EQ(config.catalog.providers[0].api_key, "");
}

TEST(Config, PutsVariablesInAnyValue) {
    const Config config = good("server: { threads: \"${N}\", drain: \"${N}s\" }\n"
                               "cache: { enabled: \"${FLAG}\" }\n"
                               "limits: { llm: { message: 'a${X}$b${X}$' } }\n",
                               {{"N", "7"}, {"FLAG", "false"}, {"X", "${N}: [1]"}});
    EXPECT_EQ(config.server.threads, 7);
    EXPECT_EQ(config.server.drain, std::chrono::seconds(7));
    EXPECT_FALSE(config.cache.enabled);
    EXPECT_EQ(config.llm.message, "a${N}: [1]$b${N}: [1]$");
}

TEST(Config, DoesNotReadVariablesTwiceNorShowThem) {
    EXPECT_EQ(good("limits: { llm: { message: '${X}' } }", {{"X", "${Y}"}}).llm.message, "${Y}");
    for (const auto* yaml : {"server: { threads: \"${X}\" }", "server: { drain: \"${X}\" }",
                             "cache: { scope: \"${X}\" }", "server: { listen: \"${X}\" }",
                             "providers: { openai: { api_key: \"${X} y\", base_url: \"${X}\" } }",
                             "auth: { mode: keys, keys: [{ name: a, sha256: \"${X}\" }] }"}) {
        const std::string message = mistakes(yaml, {{"X", "sk-secret"}});
        EXPECT_NE(message, "none") << yaml;
        EXPECT_EQ(message.find("sk-secret"), std::string::npos) << message;
    }
    for (const auto* text : {"'${'", "'${}'", "'${A B}'", "'${A'", "'x${-}'"})
        EXPECT_NE(mistakes("cache: { prefix: " + std::string(text) + " }").find("'${' must be"),
                  std::string::npos)
            << text;
}

TEST(Config, LoadsFilesAndSaysWhichIsMissing) {
    const std::filesystem::path directory =
        std::filesystem::temp_directory_path() / ("larder-" + std::to_string(random_u64()));
    std::filesystem::create_directories(directory);
    const std::string path = directory / "own.yaml";
    const Environment environment = environment_of({});
    EXPECT_EQ(load_config_file(path, environment).error().message, path + ": can't be opened");
    EXPECT_EQ(load_config_file(directory.string(), environment).error().message,
              directory.string() + ": is a directory");
    std::ofstream(path) << "cache: { ttl: 5s }\n";
    EXPECT_EQ(load_config_file(path, environment)->cache.ttl, std::chrono::seconds(5));
    std::ofstream(path) << "cache: { tll: 5s }\n";
    EXPECT_TRUE(load_config_file(path, environment).error().message.starts_with(path + ":1: "));
    std::ofstream(path) << std::string((1U << 20) + 1, '\n');
    EXPECT_EQ(load_config_file(path, environment).error().message, path + ": is over 1 MiB");
    std::ofstream(path) << "prices: { file: " << (directory / "prices.json").string() << " }\n";
    EXPECT_NE(load_config_file(path, environment).error().message.find(":1: prices.file: "),
              std::string::npos);
    std::ofstream(directory / "prices.json") << "{ nonsense";
    EXPECT_NE(load_config_file(path, environment).error().message.find(":1: prices.file: "),
              std::string::npos);
    std::filesystem::remove_all(directory);
}

TEST(Config, SurvivesEveryPrefixOfTheExample) {
    const std::string whole = contract_example();
    for (std::size_t length = 0; length <= whole.size(); length += 7) {
        const std::vector<char> block(whole.begin(), whole.begin() + static_cast<long>(length));
        (void)read_config({block.data(), block.size()}, "f", environment_of({}));
    }
}

} // namespace
} // namespace larder::app
