// Which store is in use, by the file and the environment, and where it is.
#include "app/config_schema.hpp"
#include "app/config_text.hpp"

#include <array>

namespace larder::app {

namespace {

/// The names that Upstash gives, and those of Vercel's integration.
struct RestVariables {
    std::string_view url;
    std::string_view token;
};
constexpr std::array kRestVariables = {
    RestVariables{"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"},
    RestVariables{"KV_REST_API_URL", "KV_REST_API_TOKEN"}};

bool is_set(const ConfigReader& reader, std::string_view name) {
    const auto value = reader.variable(name);
    return value && !value->empty();
}

/// The first pair that is set as a whole; null: none is.
const RestVariables* rest_variables(const ConfigReader& reader) {
    for (const RestVariables& each : kRestVariables) {
        if (is_set(reader, each.url) && is_set(reader, each.token))
            return &each;
    }
    return nullptr;
}

StoreKind kind_of(StoreChoice choice, const ConfigReader& reader) {
    switch (choice) {
    case StoreChoice::kMemory:
        return StoreKind::kMemory;
    case StoreChoice::kSqlite:
        return StoreKind::kSqlite;
    case StoreChoice::kRedis:
        return StoreKind::kRedis;
    case StoreChoice::kUpstash:
        return StoreKind::kUpstash;
    case StoreChoice::kAuto:
        break;
    }
    if (rest_variables(reader) != nullptr)
        return StoreKind::kUpstash;
    return is_set(reader, "REDIS_URL") ? StoreKind::kRedis : StoreKind::kSqlite;
}

/// Why the text is no address of Redis; "" when it is one, and then it is in `out`.
std::string redis_mistake(std::string_view text, redis::Url& out) {
    auto url = redis::parse_url(text);
    if (!url)
        return url.error().message;
    if (url->topology == redis::Topology::kCluster && url->database != 0)
        return "a Cluster has no database but 0";
    out = *std::move(url);
    return {};
}

void finish_redis(ConfigReader& reader, Draft& draft) {
    redis::Url& out = draft.config.redis_url;
    const StoreText& given = draft.redis_url;
    if (given.line != 0) {
        if (!given.complete)
            return; // said already
        const std::string why =
            given.value.empty() ? "must not be empty" : redis_mistake(given.value, out);
        if (!why.empty())
            reader.mistake_at(given.line, "store.redis.url", why);
        return;
    }
    if (!is_set(reader, "REDIS_URL"))
        return; // the default
    const auto clean = clean_key(reader.variable("REDIS_URL").value_or(""));
    const std::string why = clean ? redis_mistake(*clean, out) : std::string(kBadKey);
    if (!why.empty())
        reader.environment_mistake("REDIS_URL", why);
}

/// A value of the file, else of the environment. False: a mistake that has been said.
bool take_rest_value(ConfigReader& reader, const StoreText& given, std::string_view variable,
                     std::string& out) {
    if (given.line != 0) {
        out = given.value;
        return given.complete;
    }
    const auto clean = clean_key(reader.variable(variable).value_or(""));
    if (!clean)
        reader.environment_mistake(variable, kBadKey);
    out = clean.value_or("");
    return clean.has_value();
}

void finish_upstash(ConfigReader& reader, Draft& draft) {
    Config& config = draft.config;
    const RestVariables* const whole = rest_variables(reader);
    const RestVariables& names = whole == nullptr ? kRestVariables[0] : *whole;
    const bool sound =
        take_rest_value(reader, draft.upstash_url, names.url, config.upstash_url) &&
        take_rest_value(reader, draft.upstash_token, names.token, config.upstash_token);
    if (!sound)
        return;
    if (config.upstash_url.empty() || config.upstash_token.empty())
        return reader.mistake_at(draft.store.line, "store.kind",
                                 "upstash needs store.upstash.url and store.upstash.token, or the "
                                 "variables UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN");
    const std::string_view why = url_mistake(config.upstash_url);
    config.upstash_url = without_slash(config.upstash_url);
    if (why.empty())
        return;
    if (draft.upstash_url.line != 0)
        reader.mistake_at(draft.upstash_url.line, "store.upstash.url", std::string(why));
    else
        reader.environment_mistake(names.url, why);
}

/// What is written out in the file is checked though nothing uses it; what a variable holds isn't.
void check_unused(ConfigReader& reader, const Draft& draft) {
    const auto written = [](const StoreText& given) {
        return !given.from_variable && !given.value.empty();
    };
    if (draft.config.store != StoreKind::kRedis && written(draft.redis_url)) {
        redis::Url ignored;
        const std::string why = redis_mistake(draft.redis_url.value, ignored);
        if (!why.empty())
            reader.mistake_at(draft.redis_url.line, "store.redis.url", why);
    }
    if (draft.config.store != StoreKind::kUpstash && written(draft.upstash_url)) {
        const std::string_view why = url_mistake(draft.upstash_url.value);
        if (!why.empty())
            reader.mistake_at(draft.upstash_url.line, "store.upstash.url", std::string(why));
    }
}

/// With `auto` the variables decide alone; who may have meant something else is told.
void warn_of_auto(const ConfigReader& reader, Draft& draft) {
    std::vector<std::string>& warnings = draft.config.warnings;
    for (const RestVariables& each : kRestVariables) {
        const bool has_url = is_set(reader, each.url);
        if (has_url == is_set(reader, each.token))
            continue;
        warnings.push_back(std::string(has_url ? each.url : each.token) + " is set without " +
                           std::string(has_url ? each.token : each.url) + ": it is not used");
    }
    const auto warn = [&](const StoreText& given, std::string_view by_default, StoreKind kind,
                          std::string_view name) {
        if (draft.config.store != kind && !given.value.empty() && given.value != by_default)
            warnings.push_back("store." + std::string(name) +
                               ".url is set, but with store.kind: auto the environment decides; "
                               "kind: " +
                               std::string(name) + " would use it");
    };
    warn(draft.redis_url, kRedisUrl, StoreKind::kRedis, "redis");
    warn(draft.upstash_url, "", StoreKind::kUpstash, "upstash");
}

} // namespace

void choose_store(const YamlNode& root, const Environment& environment, Draft& draft) {
    ConfigReader scratch("", environment); // its mistakes are said when the file is read
    StoreChoice choice = StoreChoice::kAuto;
    const YamlNode* store = root.find("store");
    const YamlNode* kind = store == nullptr ? nullptr : store->find("kind");
    if (kind != nullptr)
        read_store_choice(scratch, *kind, choice);
    draft.config.store = kind_of(choice, scratch);
}

void read_store_choice(ConfigReader& reader, const YamlNode& node, StoreChoice& choice) {
    reader.read(node, choice,
                {{"auto", StoreChoice::kAuto},
                 {"memory", StoreChoice::kMemory},
                 {"sqlite", StoreChoice::kSqlite},
                 {"redis", StoreChoice::kRedis},
                 {"upstash", StoreChoice::kUpstash}});
}

void read_store_text(ConfigReader& reader, const YamlNode& node, StoreText& out) {
    out.line = node.line;
    out.from_variable = node.scalar.find("${") != std::string::npos;
    const auto value = reader.scalar(node, "text");
    if (!value)
        return;
    auto clean = clean_key(*value);
    if (!clean)
        return reader.mistake(node, std::string(kBadKey));
    out.value = *std::move(clean);
    out.complete = true;
}

void read_prefix(ConfigReader& reader, const YamlNode& node, std::string& prefix) {
    auto value = reader.text(node);
    if (!value)
        return;
    if (value->empty() || value->size() > 128)
        return reader.mistake(node, "must have 1 to 128 characters");
    if (value->find_first_of("{} ") != std::string::npos)
        return reader.mistake(node, "must have no braces and no spaces: it begins the store's key "
                                    "names, where braces say what stays together");
    prefix = *std::move(value);
}

void finish_store(ConfigReader& reader, Draft& draft) {
    Config& config = draft.config;
    if (config.store == StoreKind::kRedis)
        finish_redis(reader, draft);
    if (config.store == StoreKind::kUpstash)
        finish_upstash(reader, draft);
    check_unused(reader, draft);
    if (draft.store.value == StoreChoice::kAuto)
        warn_of_auto(reader, draft);
    const std::string database = reader.variable("DATABASE_URL").value_or("");
    if (!draft.has_database_url &&
        (database.starts_with("postgres://") || database.starts_with("postgresql://")))
        config.warnings.emplace_back(
            "DATABASE_URL is not supported by this version: the embedded database is used");
    if (is_set(reader, "SUPABASE_URL"))
        config.warnings.emplace_back(
            "SUPABASE_URL: tokens of its users are not supported by this version");
}

} // namespace larder::app
