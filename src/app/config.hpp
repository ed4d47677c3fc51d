// The configuration: every key declared once (name, help, default, check), read strictly from YAML
// with line numbers. A Config is an immutable snapshot; SIGHUP makes a new one.
#pragma once

#include "base/result.hpp"
#include "gateway/settings.hpp"
#include "limit/backends.hpp"
#include "net/address.hpp"
#include "provider/catalog.hpp"
#include "redis/url.hpp"
#include "workflow/limits.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::app {

using gateway::CacheConfig;
using gateway::CacheRule;
using gateway::FleetFlight;
using gateway::OnDisconnect;
using gateway::RuleMode;
using gateway::ShareScope;
using std::chrono::milliseconds;

enum class AuthMode : std::uint8_t { kOpen, kKeys };
enum class LogFormat : std::uint8_t { kJson, kPretty };
enum class LogLevel : std::uint8_t {
    kDebug = 20,
    kInfo = 30,
    kWarn = 40,
    kError = 50
}; // pino's numbers
enum class StoreKind : std::uint8_t { kMemory, kSqlite, kRedis, kUpstash };

struct Key {
    std::string name;
    std::string sha256;              // 32 bytes
    std::string user;                // default: the name
    std::string name_space;          // default: the name
    std::vector<std::string> scopes; // llm, sessions, stats, admin
};

struct ServerConfig {
    std::string listen = "127.0.0.1:8080";
    bool listen_from_file = false; // PORT does not override the file
    int threads = 0;               // 0: one per core
    std::string tls_certificate;
    std::string tls_key;
    std::vector<net::Network> trusted_proxies;
    std::vector<std::string> cors_origins;
    std::uint64_t max_body = 32ULL << 20;
    std::uint64_t memory = 512ULL << 20;
    std::uint32_t max_connections = 50'000;
    milliseconds stream_keep_alive{15'000}; // 0: none
    milliseconds head_timeout{10'000};
    milliseconds body_timeout{60'000};
    milliseconds idle_timeout{75'000};
    milliseconds write_timeout{60'000};
    milliseconds drain{30'000};
};

struct SessionConfig {
    milliseconds ttl{86'400'000}; // after its last use
    std::string prefix = "session";
    milliseconds max_age{0};            // its absolute end; 0: none
    std::uint64_t max_size = 64U << 10; // of its data
};

struct Config {
    ServerConfig server;
    AuthMode auth_mode = AuthMode::kOpen;
    std::vector<Key> keys;
    provider::Catalog catalog;
    CacheConfig cache;
    StoreKind store = StoreKind::kSqlite;
    std::string sqlite_path = "larder.db";
    std::uint64_t sqlite_max_size = 2ULL << 30;
    redis::Url redis_url{.endpoints = {{.host = "127.0.0.1"}}};
    int redis_connections = 2;      // per thread and server
    milliseconds redis_timeout{50}; // all that a request may wait for it
    std::string upstash_url;        // without a slash at its end
    std::string upstash_token;
    milliseconds upstash_timeout{400};
    limit::Rule llm{.name = "llm",
                    .max = 20,
                    .message = "Too many LLM requests, please wait before trying again."};
    limit::Rule standard{.name = "standard",
                         .max = 100,
                         .message = "Too many requests, please wait before trying again."};
    limit::Rule expensive{.name = "expensive",
                          .max = 10,
                          .message = "Too many requests, please wait before trying again."};
    std::vector<std::string> expensive_routes; // "METHOD /path", `*` as a glob
    limit::StoreLoss on_store_loss = limit::StoreLoss::kLocal;
    SessionConfig sessions;
    workflow::Limits workflows;
    gateway::CompatConfig compat;
    LogLevel log_level = LogLevel::kInfo;
    LogFormat log_format = LogFormat::kJson;
    std::vector<std::string> warnings; // what is set but not supported yet: named once in the log
};

/// How the process was started; tests give their own.
struct Environment {
    std::function<std::optional<std::string>(std::string_view name)> variable;
    bool terminal = false; // whether the log goes to a terminal
};
Environment system_environment();

/// Reads `yaml` ("" for none). Every mistake is one Error message of lines "name:LINE: what is
/// wrong"; all mistakes are listed, not only the first. `file_name` stands in the messages.
/// Defaults, PORT, OPENAI_API_KEY & co. as the contract's section 4 says.
Result<Config> read_config(std::string_view yaml, std::string_view file_name,
                           const Environment& environment);

/// The file at `path`; with none given, `larder.yaml` of the working directory, or the defaults
/// where there is no such file. A file that is named and can't be read is an Error.
Result<Config> load_config_file(const std::optional<std::string>& path,
                                const Environment& environment);

/// One line per key (path, type, default, help), for docs/configuration.md and its test.
struct KeyDoc {
    std::string path; // "cache.ttl", "providers.<name>.retries"
    std::string type; // "duration", "size", "text", "list", …
    std::string default_value;
    std::string help;
};
std::vector<KeyDoc> describe_keys();

} // namespace larder::app
