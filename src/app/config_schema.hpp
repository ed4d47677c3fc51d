// What the file may say, as tables of keys, and the draft that they are read into.
#pragma once

#include "app/config_reader.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace larder::app {

/// A value and where it was given.
template <class T> struct Given {
    T value{};
    int line = 0; // 0: the default
};

/// A provider as the file gives it.
struct ProviderDraft {
    provider::Provider provider;
    std::optional<protocol::Dialect> dialect;
    bool has_base_url = false;
    bool has_api_key = false;
    std::optional<bool> structured_outputs; // else by its place
    int line = 0;
};

struct AliasDraft {
    std::string name;
    provider::ModelAlias alias;
    int line = 0;
};

/// A route's target as the file gives it.
struct TargetDraft {
    provider::RouteTarget target;
    std::string text;           // given instead of a map: a route's name or a model's
    bool from_variable = false; // what it names must not be shown
    std::string path;           // "routes.smart.targets[1]"
    int line = 0;
    int weight_line = 0; // 0: not given
};

struct RouteDraft {
    provider::Route route; // without its targets
    std::vector<TargetDraft> targets;
    std::optional<provider::RouteMode> mode;
    Given<provider::Sticky> sticky;
    int line = 0;
};

struct KeyDraft {
    Key key;
    bool has_scopes = false;
};

enum class AuthChoice : std::uint8_t { kOpen, kKeys, kJwt };
enum class StoreChoice : std::uint8_t { kAuto, kMemory, kSqlite, kRedis, kUpstash };

constexpr std::string_view kRedisUrl = "redis://127.0.0.1:6379";

/// Where a store is, or its secret.
struct StoreText {
    std::string value;
    int line = 0;               // 0: not given
    bool complete = false;      // false: a mistake that has been said, or a variable that isn't set
    bool from_variable = false; // as a whole or in part
};

struct Draft {
    Config config;
    Given<AuthChoice> auth;
    Given<StoreChoice> store;
    StoreText redis_url;
    StoreText upstash_url;
    StoreText upstash_token;
    std::optional<LogFormat> log_format;
    bool uses_keys = false; // auth.mode: keys, known before anything is read
    bool has_providers = false;
    bool has_database_url = false;
    std::vector<ProviderDraft> providers;
    std::vector<AliasDraft> aliases;
    std::vector<RouteDraft> routes;
    int default_model_line = 0;
    Given<std::string> prices_file;
    Given<std::string> tls_certificate;
    Given<std::string> tls_key;
};

/// Tables below `auth.keys[]`, `providers.<name>`, `models.<name>`, `routes.<name>`,
/// `routes.<name>.targets[]` and `cache.rules[]`, and the file's own.
std::span<const KeySpec<Draft>> file_keys();
std::span<const KeySpec<KeyDraft>> auth_key_keys();
std::span<const KeySpec<ProviderDraft>> provider_keys();
std::span<const KeySpec<provider::ModelAlias>> alias_keys();
std::span<const KeySpec<RouteDraft>> model_route_keys();
std::span<const KeySpec<TargetDraft>> route_target_keys();
std::span<const KeySpec<CacheRule>> cache_rule_keys();

/// Readers of the parts that are lists or maps of their own.
void read_auth_keys(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_providers(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_aliases(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_model_routes(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_cache_rules(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_listen(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_trusted_proxies(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_origins(ConfigReader& reader, const YamlNode& node, Draft& draft);
void read_routes(ConfigReader& reader, const YamlNode& node, Draft& draft);

/// Sets `config.store` by the file's kind and the environment. Before the file is read: an unset
/// variable in a store that isn't in use is no mistake.
void choose_store(const YamlNode& root, const Environment& environment, Draft& draft);
void read_store_choice(ConfigReader& reader, const YamlNode& node, StoreChoice& choice);
void read_store_text(ConfigReader& reader, const YamlNode& node, StoreText& out);
/// Of key names: no braces, which say what stays together in a Cluster, and no spaces.
void read_prefix(ConfigReader& reader, const YamlNode& node, std::string& prefix);
/// Where the store in use is; what this version doesn't support is named.
void finish_store(ConfigReader& reader, Draft& draft);

/// Makes the catalog of the draft's providers, or of the two that are there by default.
void finish_providers(ConfigReader& reader, Draft& draft);
/// Resolves the routes' targets by the catalog's providers, aliases and prices. With a mistake
/// anywhere the catalog stays without routes.
void finish_routes(ConfigReader& reader, Draft& draft);

} // namespace larder::app
