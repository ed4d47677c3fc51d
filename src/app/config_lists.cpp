// The parts of the file that are lists: keys, cache rules, networks, origins, routes.
#include "app/config_match.hpp"
#include "app/config_schema.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace larder::app {

namespace {

using Reader = ConfigReader;
using Node = YamlNode;

constexpr KeySpec<KeyDraft> kAuthKeyKeys[] = {
    {"name", "text", "", "Of the key, in the log. Needed.",
     [](Reader& r, const Node& n, KeyDraft& d) { r.read(n, d.key.name); }},
    {"sha256", "text", "", "SHA-256 of the key in hex. Needed.",
     [](Reader& r, const Node& n, KeyDraft& d) {
         const auto value = r.scalar(n, "text");
         if (!value)
             return;
         auto digest = text::from_hex(*value);
         if (!digest || digest->size() != 32)
             return r.mistake(n, "must be 64 hex digits: the SHA-256 of the key");
         d.key.sha256 = *std::move(digest);
     }},
    {"user", "text", "its name", "Who is counted and billed.",
     [](Reader& r, const Node& n, KeyDraft& d) { r.read(n, d.key.user); }},
    {"namespace", "text", "its name", "Whose answers it shares.",
     [](Reader& r, const Node& n, KeyDraft& d) { r.read(n, d.key.name_space); }},
    {"scopes", "list of llm, sessions, stats, admin", "[llm]", "What it may do.",
     [](Reader& r, const Node& n, KeyDraft& d) {
         d.has_scopes = true;
         r.for_each_item(n, [&](const Node& item) {
             std::string scope;
             r.read<std::string>(item, scope,
                                 {{"llm", "llm"},
                                  {"sessions", "sessions"},
                                  {"stats", "stats"},
                                  {"admin", "admin"}});
             if (!scope.empty())
                 d.key.scopes.push_back(std::move(scope));
         });
     }},
};

std::optional<double> read_temperature_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 2))
        return std::nullopt;
    return value;
}

void read_temperature(Reader& r, const Node& n, CacheRule& rule) {
    const auto value = r.scalar(n, "a number or \">number\"");
    if (!value)
        return;
    const bool above = value->starts_with('>');
    const auto number =
        read_temperature_number(text::trim(std::string_view(*value).substr(above ? 1 : 0)));
    if (!number || (above && *number >= 2))
        return r.mistake(n, "must be a temperature from 0 to 2, or one after '>', such as "
                            "\">0.5\"; nothing else can match");
    (above ? rule.temperature_above : rule.temperature_equal) = *number;
}

constexpr KeySpec<CacheRule> kCacheRuleKeys[] = {
    {"api", "llm, openai, anthropic", "any", "The API by which the request came.",
     [](Reader& r, const Node& n, CacheRule& rule) {
         r.read<std::string>(n, rule.api,
                             {{"llm", "llm"}, {"openai", "openai"}, {"anthropic", "anthropic"}});
     }},
    {"model", "text", "any", "The model; `*` for any run of characters.",
     [](Reader& r, const Node& n, CacheRule& rule) {
         r.read(n, rule.model);
         if (rule.model.empty())
             r.mistake(n, "an empty name can match nothing");
     }},
    {"temperature", "number or \">number\"", "any",
     "The request's temperature: exactly that, or above it.", read_temperature},
    {"tools", "boolean", "any", "Whether the request brings tools.",
     [](Reader& r, const Node& n, CacheRule& rule) {
         bool value = false;
         r.read(n, value);
         rule.tools = value;
     }},
    {"mode", "on, off, coalesce-only", "on",
     "Keep answers, don't, or only let identical requests at once share a call.",
     [](Reader& r, const Node& n, CacheRule& rule) {
         r.read(n, rule.mode,
                {{"on", RuleMode::kOn},
                 {"off", RuleMode::kOff},
                 {"coalesce-only", RuleMode::kCoalesceOnly}});
     }},
    {"ttl", "duration", "cache.ttl", "How long such an answer is fresh.",
     [](Reader& r, const Node& n, CacheRule& rule) {
         milliseconds value{1};
         r.read(n, value, {milliseconds(1), std::chrono::hours(24 * 3650)});
         rule.ttl = value;
     }},
};

/// scheme://host[:port] and nothing after it.
bool is_origin(std::string_view text) {
    if (text == "*")
        return true;
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos || scheme == 0)
        return false;
    const std::string_view host = text.substr(scheme + 3);
    return !host.empty() && host.find_first_of("/?#@ ,*") == std::string_view::npos &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

bool is_route(std::string_view text) {
    constexpr std::array<std::string_view, 8> kMethods = {"GET",    "HEAD",    "POST",  "PUT",
                                                          "DELETE", "OPTIONS", "PATCH", "*"};
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos ||
        std::ranges::find(kMethods, text.substr(0, space)) == kMethods.end())
        return false;
    const std::string_view path = text.substr(space + 1);
    return path.starts_with('/') && path.find_first_of(" ?#") == std::string_view::npos;
}

} // namespace

std::span<const KeySpec<KeyDraft>> auth_key_keys() {
    return kAuthKeyKeys;
}
std::span<const KeySpec<CacheRule>> cache_rule_keys() {
    return kCacheRuleKeys;
}

void read_auth_keys(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    reader.set_tolerant(!draft.uses_keys);
    reader.for_each_item(node, [&](const YamlNode& item) {
        KeyDraft key;
        reader.read_map(item, auth_key_keys(), key);
        const bool incomplete = !reader.take_missing_variable().empty();
        if (incomplete)
            return; // a login that isn't in use
        if (item.find("name") == nullptr || item.find("sha256") == nullptr)
            return reader.mistake(item, "a key needs name and sha256");
        for (const Key& other : draft.config.keys) {
            if (!key.key.name.empty() && other.name == key.key.name)
                reader.mistake(item, "the name '" + other.name + "' is taken by another key");
            if (!key.key.sha256.empty() && other.sha256 == key.key.sha256)
                reader.mistake(item, "the same key as '" + other.name + "'");
        }
        if (item.find("name") != nullptr && key.key.name.empty())
            reader.mistake(item, "the name must not be empty");
        if (key.key.user.empty())
            key.key.user = key.key.name;
        if (key.key.name_space.empty())
            key.key.name_space = key.key.name;
        if (!key.has_scopes)
            key.key.scopes = {"llm"};
        draft.config.keys.push_back(std::move(key.key));
    });
    reader.set_tolerant(false);
}

void read_cache_rules(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    std::vector<int> lines; // of the rules so far; 0: one that is wrong in itself
    std::vector<CacheRule>& rules = draft.config.cache.rules;
    reader.for_each_item(node, [&](const YamlNode& item) {
        CacheRule rule;
        const std::size_t mistakes_before = reader.mistake_count();
        reader.read_map(item, cache_rule_keys(), rule);
        if (item.entries.empty())
            reader.mistake(item, "must be a map with at least one key");
        if (rule.ttl && rule.mode != RuleMode::kOn)
            reader.mistake(item, "ttl has no meaning without mode: on");
        const bool sound = reader.mistake_count() == mistakes_before;
        for (std::size_t i = 0; sound && i < rules.size(); ++i) {
            if (lines[i] == 0 || !covers(rules[i], rule))
                continue;
            reader.mistake(item, "can never match: the rule at line " + std::to_string(lines[i]) +
                                     " matches first");
            break;
        }
        lines.push_back(sound ? item.line : 0);
        rules.push_back(std::move(rule));
    });
}

void read_listen(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    const auto value = reader.text(node);
    if (!value)
        return;
    const std::size_t colon = value->rfind(':');
    const std::string_view host = std::string_view(*value).substr(0, colon);
    unsigned port = 65536;
    if (colon != std::string::npos) {
        const char* const last = value->data() + value->size();
        const auto [end, error] = std::from_chars(value->data() + colon + 1, last, port);
        if (error != std::errc() || end != last)
            port = 65536;
    }
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    const bool is_address = net::parse_address(host).has_value() &&
                            (bracketed || host.find(':') == std::string_view::npos);
    if (port > 65535 || !(is_address || host == "localhost"))
        return reader.mistake(node, "must be address:port, such as 127.0.0.1:8080 or [::]:8080");
    draft.config.server.listen = *value;
    draft.config.server.listen_from_file = true;
}

void read_trusted_proxies(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    reader.for_each_item(node, [&](const YamlNode& item) {
        const auto value = reader.text(item);
        if (!value)
            return;
        const auto network = net::parse_network(*value);
        if (!network)
            return reader.mistake(item, network.error().message);
        draft.config.server.trusted_proxies.push_back(*network);
    });
}

void read_origins(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    reader.for_each_item(node, [&](const YamlNode& item) {
        const auto value = reader.text(item);
        if (!value)
            return;
        if (!is_origin(*value))
            return reader.mistake(item, "must be an origin such as https://app.example.com, with "
                                        "nothing after the host and port");
        draft.config.server.cors_origins.push_back(*value);
    });
}

void read_routes(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    reader.for_each_item(node, [&](const YamlNode& item) {
        const auto value = reader.text(item);
        if (!value)
            return;
        if (!is_route(*value))
            return reader.mistake(item, "can match nothing: a route is a method in capitals (or "
                                        "*), a space, and a path that starts with /");
        if (!matches_some_endpoint(*value))
            return reader.mistake(item, "can match nothing: no endpoint under a limit has such a "
                                        "method and path (GET stands for HEAD too)");
        draft.config.expensive_routes.push_back(*value);
    });
}

} // namespace larder::app
