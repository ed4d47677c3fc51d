// docs/configuration.md and the example file against the code.
// LARDER_WRITE_DOCS=1 writes the document's table anew.
#include "app/config.hpp"

#include "base/text.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace larder::app {
namespace {

const std::string kRoot = LARDER_SOURCE_DIR;
const std::string kDocument = kRoot + "/docs/configuration.md";
constexpr std::string_view kBegin = "<!-- keys: written by LARDER_WRITE_DOCS=1 -->\n";
constexpr std::string_view kEnd = "<!-- end of keys -->\n";

std::string read_whole(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    EXPECT_TRUE(stream) << path;
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

std::string table() {
    std::string out = "| key | type | default | |\n| --- | --- | --- | --- |\n";
    for (const KeyDoc& key : describe_keys()) {
        out += "| `" + key.path + "` | " + key.type + " | ";
        if (!key.default_value.empty())
            out += "`" + key.default_value + "`";
        out += " | " + key.help + " |\n";
    }
    return out;
}

TEST(ConfigDocument, ListsExactlyTheKeysOfTheCode) {
    std::string document = read_whole(kDocument);
    const std::size_t begin = document.find(kBegin);
    const std::size_t end = document.find(kEnd);
    ASSERT_NE(begin, std::string::npos);
    ASSERT_NE(end, std::string::npos);
    const std::size_t from = begin + kBegin.size();
    if (std::getenv("LARDER_WRITE_DOCS") != nullptr) {
        document.replace(from, end - from, table());
        std::ofstream(kDocument, std::ios::binary) << document;
        GTEST_SKIP() << "the table has been written";
    }
    EXPECT_EQ(document.substr(from, end - from), table())
        << "LARDER_WRITE_DOCS=1 larder_app_tests --gtest_filter='ConfigDocument.*' writes it anew";
}

TEST(ConfigDocument, HasItsSections) {
    const std::string document = read_whole(kDocument);
    for (const auto* heading : {"## Durations, sizes, variables", "## Environment variables",
                                "## Reloading", "## The store", "## Cache rules", "## Routes",
                                "## Trusted proxies", "## The price file", "## Every key"})
        EXPECT_NE(document.find(std::string(heading) + "\n"), std::string::npos) << heading;
}

TEST(ConfigDocument, DescribesEachKeyOnceAndInFull) {
    std::set<std::string> paths;
    for (const KeyDoc& key : describe_keys()) {
        EXPECT_TRUE(paths.insert(key.path).second) << key.path;
        EXPECT_FALSE(key.type.empty()) << key.path;
        EXPECT_TRUE(key.help.ends_with('.')) << key.path;
        EXPECT_EQ(key.help.find('|'), std::string::npos) << key.path;
    }
}

/// What the tables call the default is what a configuration without the key has: giving it changes
/// nothing, and nothing is refused.
TEST(ConfigDocument, NamesDefaultsThatTheFileMayGive) {
    const Environment nothing{
        .variable = [](std::string_view) -> std::optional<std::string> { return std::nullopt; }};
    const std::set<std::string> types = {"duration", "size", "number", "boolean", "address:port"};
    for (const KeyDoc& key : describe_keys()) {
        if (key.path.find('<') != std::string::npos || key.path.find('[') != std::string::npos ||
            key.default_value.empty() || key.type == "map")
            continue;
        std::string yaml;
        std::istringstream parts(key.path);
        int closing = 0;
        for (std::string part; std::getline(parts, part, '.'); ++closing)
            yaml += (closing == 0 ? "" : "{ ") + part + ": ";
        const bool text = !types.contains(key.type) && !key.default_value.starts_with('[');
        yaml += text ? "'" + key.default_value + "'" : key.default_value;
        for (; closing > 1; --closing)
            yaml += " }";
        const auto config = read_config(yaml, "f", nothing);
        ASSERT_TRUE(config) << yaml << "\n" << config.error().message;
        EXPECT_TRUE(config->warnings.empty()) << yaml;
    }
}

TEST(ConfigDocument, DefaultsAreThoseOfTheStructures) {
    std::map<std::string, std::string> defaults;
    for (const KeyDoc& key : describe_keys())
        defaults[key.path] = key.default_value;
    const Config unset;
    const auto duration = [](const std::string& text) { return *text::parse_duration(text); };
    const auto size = [](const std::string& text) { return *text::parse_size(text); };
    EXPECT_EQ(defaults["server.listen"], unset.server.listen);
    EXPECT_EQ(duration(defaults["server.head_timeout"]), unset.server.head_timeout);
    EXPECT_EQ(duration(defaults["server.body_timeout"]), unset.server.body_timeout);
    EXPECT_EQ(duration(defaults["server.idle_timeout"]), unset.server.idle_timeout);
    EXPECT_EQ(duration(defaults["server.write_timeout"]), unset.server.write_timeout);
    EXPECT_EQ(duration(defaults["server.stream_keep_alive"]), unset.server.stream_keep_alive);
    EXPECT_EQ(duration(defaults["server.drain"]), unset.server.drain);
    EXPECT_EQ(size(defaults["server.max_body"]), unset.server.max_body);
    EXPECT_EQ(size(defaults["server.memory"]), unset.server.memory);
    EXPECT_EQ(defaults["server.max_connections"], std::to_string(unset.server.max_connections));
    EXPECT_EQ(duration(defaults["cache.ttl"]), unset.cache.ttl);
    EXPECT_EQ(duration(defaults["cache.ttl_max"]), unset.cache.ttl_max);
    EXPECT_EQ(duration(defaults["cache.stale_if_error"]), unset.cache.stale_if_error);
    EXPECT_EQ(size(defaults["cache.memory"]), unset.cache.memory);
    EXPECT_EQ(size(defaults["cache.max_entry"]), unset.cache.max_entry);
    EXPECT_EQ(defaults["cache.prefix"], unset.cache.prefix);
    EXPECT_EQ(defaults["store.sqlite.path"], unset.sqlite_path);
    EXPECT_EQ(size(defaults["store.sqlite.max_size"]), unset.sqlite_max_size);
    EXPECT_EQ(redis::parse_url(defaults["store.redis.url"]).value(), unset.redis_url);
    EXPECT_EQ(defaults["store.redis.connections"], std::to_string(unset.redis_connections));
    EXPECT_EQ(duration(defaults["store.redis.timeout"]), unset.redis_timeout);
    EXPECT_EQ(duration(defaults["store.upstash.timeout"]), unset.upstash_timeout);
    EXPECT_EQ(duration(defaults["sessions.ttl"]), unset.sessions.ttl);
    EXPECT_EQ(size(defaults["sessions.max_size"]), unset.sessions.max_size);
    EXPECT_EQ(defaults["sessions.prefix"], unset.sessions.prefix);
    const workflow::Limits& workflows = unset.workflows;
    EXPECT_EQ(duration(defaults["workflows.time"]), workflows.time);
    EXPECT_EQ(std::stod(defaults["workflows.cost"]), workflows.cost.dollars());
    EXPECT_EQ(defaults["workflows.parallel"], std::to_string(workflows.parallel));
    EXPECT_EQ(defaults["workflows.calls"], std::to_string(workflows.calls));
    EXPECT_EQ(defaults["workflows.items"], std::to_string(workflows.items));
    EXPECT_EQ(size(defaults["workflows.prompt"]), workflows.prompt_bytes);
    EXPECT_EQ(size(defaults["workflows.output"]), workflows.output_bytes);
    for (const limit::Rule* rule : {&unset.llm, &unset.standard, &unset.expensive}) {
        EXPECT_EQ(defaults["limits." + rule->name + ".max"], std::to_string(rule->max));
        EXPECT_EQ(duration(defaults["limits." + rule->name + ".window"]), rule->window);
        EXPECT_EQ(defaults["limits." + rule->name + ".message"], rule->message);
    }
    const provider::Provider provider;
    const std::string place = "providers.<name>.";
    EXPECT_EQ(duration(defaults[place + "connect_timeout"]), provider.connect_timeout);
    EXPECT_EQ(duration(defaults[place + "first_byte_timeout"]), provider.first_byte_timeout);
    EXPECT_EQ(duration(defaults[place + "idle_timeout"]), provider.idle_timeout);
    EXPECT_EQ(duration(defaults[place + "total_timeout"]), provider.total_timeout);
    EXPECT_EQ(duration(defaults[place + "retry_base"]), provider.retry_base);
    EXPECT_EQ(duration(defaults[place + "retry_max_wait"]), provider.retry_max_wait);
    EXPECT_EQ(defaults[place + "retries"], std::to_string(provider.retries));
    EXPECT_EQ(duration(defaults[place + "breaker.window"]), provider.breaker.window);
    EXPECT_EQ(duration(defaults[place + "breaker.probe_after"]), provider.breaker.probe_after);
    EXPECT_EQ(std::stod(defaults[place + "breaker.rate"]), provider.breaker.rate);
    EXPECT_EQ(defaults[place + "breaker.failures"], std::to_string(provider.breaker.failures));
}

TEST(ConfigDocument, TheExampleFileIsAccepted) {
    const Environment variables{
        .variable = [](std::string_view name) -> std::optional<std::string> {
            return name.ends_with("_API_KEY") ? std::optional<std::string>("key") : std::nullopt;
        }};
    const auto config = load_config_file(kRoot + "/examples/larder.example.yaml", variables);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_TRUE(config->warnings.empty()) << config->warnings.front();
    EXPECT_FALSE(config->catalog.providers.empty());
    EXPECT_NE(config->catalog.find_route("smart"), nullptr);
    EXPECT_EQ(config->store, StoreKind::kSqlite);
}

} // namespace
} // namespace larder::app
