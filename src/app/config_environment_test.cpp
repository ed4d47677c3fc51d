// What the environment adds: PORT, providers, the log's form, and what isn't supported yet.
#include "app/config.hpp"

#include <gtest/gtest.h>

namespace larder::app {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

Result<Config> read(std::string_view yaml, const Variables& variables, bool terminal = false) {
    const Environment environment{
        .variable = [&variables](std::string_view name) -> std::optional<std::string> {
            const auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
        },
        .terminal = terminal};
    return read_config(yaml, "larder.yaml", environment);
}

Config good(std::string_view yaml, const Variables& variables, bool terminal = false) {
    auto config = read(yaml, variables, terminal);
    if (config)
        return *std::move(config);
    ADD_FAILURE() << yaml << "\n" << config.error().message;
    return {};
}

TEST(ConfigEnvironment, ListensOnAllAddressesAtPortUnlessTheFileSaysOtherwise) {
    EXPECT_EQ(good("", {{"PORT", "10000"}}).server.listen, "[::]:10000");
    EXPECT_EQ(good("", {{"PORT", ""}}).server.listen, "127.0.0.1:8080");
    EXPECT_EQ(good("server: { listen: '127.0.0.1:9000' }", {{"PORT", "10000"}}).server.listen,
              "127.0.0.1:9000");
    for (const auto* port : {"x", "-1", "65536", "80 ", "8080x"})
        EXPECT_EQ(read("", {{"PORT", port}}).error().message,
                  "environment: PORT: must be a number from 0 to 65535");
}

TEST(ConfigEnvironment, ChoosesTheLogsForm) {
    EXPECT_EQ(good("", {}, false).log_format, LogFormat::kJson);
    EXPECT_EQ(good("", {}, true).log_format, LogFormat::kPretty);
    EXPECT_EQ(good("", {{"NODE_ENV", "production"}}, true).log_format, LogFormat::kJson);
    EXPECT_EQ(good("", {{"NODE_ENV", "test"}}, true).log_format, LogFormat::kPretty);
    EXPECT_EQ(good("log: { format: pretty }", {{"NODE_ENV", "production"}}).log_format,
              LogFormat::kPretty);
    EXPECT_EQ(good("log: { format: json }", {}, true).log_format, LogFormat::kJson);
}

TEST(ConfigEnvironment, GivesTheDefaultProvidersTheirKeysAndPlaces) {
    const Config config = good("", {{"OPENAI_API_KEY", " sk-1\n"},
                                    {"ANTHROPIC_API_KEY", "sk-2"},
                                    {"OPENAI_BASE_URL", "http://127.0.0.1:9/v1/"},
                                    {"ANTHROPIC_BASE_URL", "http://[::1]:8"}});
    const auto& providers = config.catalog.providers;
    ASSERT_EQ(providers.size(), 2U);
    EXPECT_EQ(providers[0].api_key, "sk-1");
    EXPECT_EQ(providers[0].missing_variable, "");
    EXPECT_EQ(providers[0].base_url, "http://127.0.0.1:9/v1");
    EXPECT_EQ(providers[0].cache_identity, "openai http://127.0.0.1:9/v1");
    EXPECT_EQ(providers[1].api_key, "sk-2");
    EXPECT_EQ(providers[1].base_url, "http://[::1]:8");
    EXPECT_EQ(good("", {{"OPENAI_API_KEY", ""}}).catalog.providers[0].missing_variable,
              "OPENAI_API_KEY");
}

TEST(ConfigEnvironment, MovesAProviderOfTheFileOnlyWhenTheFileDoesNotPlaceIt) {
    const Variables variables = {{"OPENAI_BASE_URL", "http://moved"}, {"OPENAI_API_KEY", "sk-1"}};
    const Config config = good("providers:\n"
                               "  openai: { retries: 0 }\n"
                               "  local: { api: openai, base_url: http://127.0.0.1:11434/v1 }\n"
                               "  own: { api: openai, api_key: own }\n",
                               variables);
    const auto& providers = config.catalog.providers;
    ASSERT_EQ(providers.size(), 3U);
    EXPECT_EQ(providers[0].base_url, "http://moved");
    EXPECT_EQ(providers[0].api_key, "sk-1");
    EXPECT_EQ(providers[0].retries, 0);
    EXPECT_EQ(providers[1].base_url, "http://127.0.0.1:11434/v1");
    EXPECT_EQ(providers[1].api_key, "");
    EXPECT_EQ(providers[1].missing_variable, "");
    EXPECT_EQ(providers[2].api_key, "own");
}

TEST(ConfigEnvironment, KnowsWhereGeminiIs) {
    const Variables variables = {{"GEMINI_API_KEY", "g-1"}};
    const Config config = good("providers:\n"
                               "  gemini: {}\n"
                               "  google: { api: gemini, api_key: g-2 }\n"
                               "  fake: { api: gemini, base_url: 'http://h/v1beta/' }\n",
                               variables);
    const auto& providers = config.catalog.providers;
    ASSERT_EQ(providers.size(), 3U);
    for (const auto& provider : providers)
        EXPECT_EQ(provider.dialect, protocol::Dialect::kGemini) << provider.name;
    EXPECT_EQ(providers[0].base_url, "https://generativelanguage.googleapis.com/v1beta");
    EXPECT_EQ(providers[0].api_key, "g-1");
    EXPECT_EQ(providers[0].vendor, "gemini");
    EXPECT_EQ(providers[1].api_key, "g-2");
    EXPECT_EQ(providers[1].vendor, "gemini");
    EXPECT_EQ(providers[2].base_url, "http://h/v1beta");
    EXPECT_EQ(providers[2].api_key, "");
    EXPECT_EQ(providers[2].vendor, "");
    const auto target = config.catalog.resolve({}, "gemini-2.5-flash");
    ASSERT_TRUE(target);
    EXPECT_EQ(target->provider->name, "gemini");
    const Config moved =
        good("providers: { gemini: {} }", {{"GEMINI_BASE_URL", "http://moved/v1"}});
    EXPECT_EQ(moved.catalog.providers.at(0).base_url, "http://moved/v1");
    EXPECT_EQ(moved.catalog.providers.at(0).missing_variable, "GEMINI_API_KEY");
    EXPECT_EQ(good("", variables).catalog.names(), "openai, anthropic");
}

TEST(ConfigEnvironment, MayStillSpeakToGeminiAsOpenAis) {
    const Config config =
        good("providers: { gemini: { api: openai, base_url: 'http://h/openai' } }", {});
    EXPECT_EQ(config.catalog.providers.at(0).dialect, protocol::Dialect::kOpenAiChat);
    EXPECT_EQ(config.catalog.providers.at(0).vendor, "gemini");
}

TEST(ConfigEnvironment, RefusesBrokenPlacesAndKeysWithoutShowingThem) {
    const std::string url = read("", {{"OPENAI_BASE_URL", "secret.example"}}).error().message;
    EXPECT_EQ(url, "environment: OPENAI_BASE_URL: must start with http:// or https://");
    const std::string key = read("", {{"OPENAI_API_KEY", "sk\r\nX-Evil: 1"}}).error().message;
    EXPECT_EQ(key, "environment: OPENAI_API_KEY: must be printable characters without spaces");
}

TEST(ConfigEnvironment, ChecksBaseUrls) {
    for (const auto* url : {"https://api.example.com", "http://localhost:1/a/b",
                            "http://[::1]:80/v1", "https://h/v1/", "http://10.0.0.1"})
        good("providers: { p: { api: openai, base_url: '" + std::string(url) + "' } }", {});
    for (const auto* url :
         {"", "api.example.com", "ftp://h", "HTTP//h", "http://", "http:///v1", "http://h?x=1",
          "http://h/v1#a", "http://u:p@h/", "http://h:0", "http://h:65536",
          "http://h:", "http://:80", "http://h:8x", "http://[::1", "http://[zz]:80",
          "http://[::1]80", "http://a b/", "http://h\\\\x"}) {
        const auto config =
            read("providers: { p: { api: openai, base_url: \"" + std::string(url) + "\" } }", {});
        ASSERT_FALSE(config) << url;
        EXPECT_TRUE(
            config.error().message.starts_with("larder.yaml:1: providers.p.base_url: must "))
            << config.error().message;
    }
}

/// The vendor of the only provider, whose lines these are.
std::string vendor_of(std::string_view name, std::string_view keys,
                      const Variables& variables = {}) {
    return good("providers: { " + std::string(name) + ": { " + std::string(keys) + " } }",
                variables)
        .catalog.providers.at(0)
        .vendor;
}

TEST(ConfigEnvironment, TakesTheVendorFromTheProvidersPlaceOrName) {
    const std::string local = "api: openai, base_url: 'http://127.0.0.1:11434/v1'";
    EXPECT_EQ(vendor_of("main", "api: openai"), "openai");
    EXPECT_EQ(vendor_of("main", "api: anthropic"), "anthropic");
    EXPECT_EQ(vendor_of("main", "api: openai, base_url: 'https://API.openai.com:443/v1'"),
              "openai");
    EXPECT_EQ(vendor_of("main", "api: anthropic, base_url: 'https://api.anthropic.com/'"),
              "anthropic");
    EXPECT_EQ(vendor_of("openai", local), "openai");
    EXPECT_EQ(vendor_of("anthropic", "base_url: 'http://h'"), "anthropic");
    EXPECT_EQ(vendor_of("groq", local), "groq");
    EXPECT_EQ(vendor_of("local", local), "");
    EXPECT_EQ(vendor_of("local", "api: anthropic, base_url: 'http://api.anthropic.com.h'"), "");
    EXPECT_EQ(vendor_of("local", local + ", vendor: mistral"), "mistral");
    EXPECT_EQ(vendor_of("openai", local + ", vendor: acme"), "acme");
    const Variables moved = {{"OPENAI_BASE_URL", "http://moved/v1"}};
    EXPECT_EQ(vendor_of("main", "api: openai", moved), "openai");
    EXPECT_EQ(vendor_of("groq", "api: openai", moved), "groq");
    EXPECT_EQ(vendor_of("local", local, moved), "");
}

TEST(ConfigEnvironment, SendsNoVendorsModelsToAServerThatOnlySpeaksItsApi) {
    const Config config =
        good("providers: { local: { api: openai, base_url: 'http://127.0.0.1:11434/v1' } }", {});
    for (const auto* model : {"gpt-4o", "o3-mini", "claude-sonnet-4-5", "deepseek-chat"})
        EXPECT_FALSE(config.catalog.resolve({}, model)) << model;
    EXPECT_TRUE(config.catalog.resolve({}, "local/gpt-4o"));
    EXPECT_TRUE(config.catalog.resolve("local", "llama3.2"));
    EXPECT_FALSE(config.catalog.resolve({}, "")) << "it has no best known model";
}

TEST(ConfigEnvironment, RefusesControlCharactersInWhatGoesIntoHeaderLines) {
    const std::pair<const char*, const char*> table[] = {
        {"api_key: \"a\\r\\nb: c\"", "larder.yaml:2: providers.p.api_key: must be printable"},
        {"api_key: \"a\\tb\"", "larder.yaml:2: providers.p.api_key: must be printable"},
        {"base_url: \"http://h/\\r\\nx\"", "larder.yaml:2: providers.p.base_url: must have no"},
        {"models: [\"a\\nb\"]", "larder.yaml:2: providers.p.models[0]: must have no line"},
        {"vendor: \"a\\x7fb\"", "larder.yaml:2: providers.p.vendor: must have no line"},
        {"cache_identity: \"a\\0b\"", "larder.yaml:2: providers.p.cache_identity: must have no"}};
    for (const auto& [keys, expected] : table) {
        const auto config = read("providers:\n  p: { api: openai, " + std::string(keys) + " }", {});
        ASSERT_FALSE(config) << keys;
        EXPECT_TRUE(config.error().message.starts_with(expected)) << config.error().message;
    }
    for (const auto* yaml : {"cache: {}\nserver: { cors: { origins: [\"https://a\\r\\nb\"] } }",
                             "cache: {}\nmodels: { \"a\\nb\": { provider: openai, model: a } }",
                             "cache: {}\nmodels: { a: { provider: openai, model: \"a\\rb\" } }",
                             "cache: {}\nlimits: { llm: { message: \"a\\r\\nb\" } }"}) {
        const auto config = read(yaml, {});
        ASSERT_FALSE(config) << yaml;
        EXPECT_TRUE(config.error().message.starts_with("larder.yaml:2: "))
            << config.error().message;
    }
}

TEST(ConfigEnvironment, ReadsEveryKeyOfAProvider) {
    const Config config =
        good("providers:\n  p:\n    api: anthropic\n    base_url: http://h\n    api_key: k\n"
             "    models: [a, b]\n    connect_timeout: 1s\n    first_byte_timeout: 2s\n"
             "    idle_timeout: 3s\n    total_timeout: 4s\n    retries: 5\n    retry_base: 6ms\n"
             "    retry_max_wait: 7s\n    ask_usage: false\n    vendor: v\n    cache_identity: i\n"
             "    breaker: { failures: 8, rate: 0.25, window: 9s, probe_after: 10s, slow: 11s }\n",
             {});
    const provider::Provider& p = config.catalog.providers.at(0);
    EXPECT_EQ(p.dialect, protocol::Dialect::kAnthropicMessages);
    EXPECT_EQ(p.models, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(p.connect_timeout, std::chrono::seconds(1));
    EXPECT_EQ(p.first_byte_timeout, std::chrono::seconds(2));
    EXPECT_EQ(p.idle_timeout, std::chrono::seconds(3));
    EXPECT_EQ(p.total_timeout, std::chrono::seconds(4));
    EXPECT_EQ(p.retries, 5);
    EXPECT_EQ(p.retry_base, milliseconds(6));
    EXPECT_EQ(p.retry_max_wait, std::chrono::seconds(7));
    EXPECT_FALSE(p.ask_usage);
    EXPECT_EQ(p.vendor, "v");
    EXPECT_EQ(p.cache_identity, "i");
    EXPECT_EQ(p.breaker.failures, 8);
    EXPECT_EQ(p.breaker.rate, 0.25);
    EXPECT_EQ(p.breaker.window, std::chrono::seconds(9));
    EXPECT_EQ(p.breaker.probe_after, std::chrono::seconds(10));
    EXPECT_EQ(p.breaker.slow, std::chrono::seconds(11));
}

TEST(ConfigEnvironment, RefusesProvidersThatAreIncomplete) {
    const std::pair<const char*, const char*> table[] = {
        {"providers: {}", "providers: must list at least one provider"},
        {"providers:", "providers: must list at least one provider"},
        {"providers: { groq: { base_url: 'http://h' } }", "providers.groq: needs api"},
        {"providers: { groq: { api: cohere } }", "providers.groq.api: 'cohere' is not known"},
        {"providers: { 'a/b': { api: openai } }", "a provider's name has"},
        {"providers: { p: { api: openai, models: [] } }", "providers.p.models: an empty list"},
        {"providers: { p: { api: openai, retries: 11 } }", "providers.p.retries: must be from 0"},
        {"providers: { p: { api: openai, api_key: 5 } }", "none"},
        {"providers: { p: [a] }", "providers.p: must be a map, not a list"},
    };
    for (const auto& [yaml, expected] : table) {
        const auto config = read(yaml, {});
        EXPECT_NE((config ? "none" : config.error().message).find(expected), std::string::npos)
            << yaml << "\n"
            << (config ? "none" : config.error().message);
    }
}

TEST(ConfigEnvironment, WarnsOfWhatIsNotSupportedYet) {
    const Config config = good(
        "", {{"DATABASE_URL", "postgres://u:hunter2@h/d"}, {"SUPABASE_URL", "https://hunter2"}});
    EXPECT_EQ(config.store, StoreKind::kSqlite);
    ASSERT_EQ(config.warnings.size(), 2U);
    for (const std::string& warning : config.warnings)
        EXPECT_EQ(warning.find("hunter2"), std::string::npos) << warning;
    EXPECT_TRUE(good("", {{"REDIS_URL", ""}, {"DATABASE_URL", "sqlite:x"}}).warnings.empty());
    const Config later = good("database: { url: 'postgres://h/d' }", {});
    EXPECT_EQ(later.warnings.size(), 1U);
    EXPECT_EQ(later.store, StoreKind::kSqlite);
}

} // namespace
} // namespace larder::app
