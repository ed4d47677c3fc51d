// Providers and model names: from the file, or the two that are there by default.
#include "app/config_schema.hpp"
#include "app/config_text.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace larder::app {

namespace {

using Reader = ConfigReader;
using Node = YamlNode;
using protocol::Dialect;

constexpr Range<milliseconds> kTimeout{milliseconds(1), std::chrono::hours(24)};
constexpr Range<milliseconds> kWait{milliseconds(0), std::chrono::hours(1)};

/// What is known of an API without the file saying so.
struct Api {
    Dialect dialect;
    std::string_view name;
    std::string_view base_url;
    std::string_view key_variable;
    std::string_view url_variable;
};
constexpr Api kApis[] = {
    {Dialect::kOpenAiChat, "openai", "https://api.openai.com/v1", "OPENAI_API_KEY",
     "OPENAI_BASE_URL"},
    {Dialect::kAnthropicMessages, "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY",
     "ANTHROPIC_BASE_URL"},
    {Dialect::kGemini, "gemini", "https://generativelanguage.googleapis.com/v1beta",
     "GEMINI_API_KEY", "GEMINI_BASE_URL"},
};
/// So many of them are there without a file.
constexpr std::size_t kDefaultApis = 2;

const Api& api_of(Dialect dialect) {
    return *std::ranges::find(kApis, dialect, &Api::dialect);
}

void read_api_key(Reader& r, const Node& n, ProviderDraft& d) {
    d.has_api_key = true;
    r.set_tolerant(true);
    const auto value = r.scalar(n, "text");
    r.set_tolerant(false);
    d.provider.missing_variable = r.take_missing_variable();
    if (!value)
        return;
    auto key = clean_key(*value);
    if (!key)
        return r.mistake(n, std::string(kBadKey));
    if (key->empty() && n.scalar.starts_with("${") && n.scalar.ends_with('}'))
        d.provider.missing_variable = n.scalar.substr(2, n.scalar.size() - 3);
    d.provider.api_key = *std::move(key);
}

void read_base_url(Reader& r, const Node& n, ProviderDraft& d) {
    const auto value = r.text(n);
    if (!value)
        return;
    if (const std::string_view why = url_mistake(*value); !why.empty())
        return r.mistake(n, std::string(why));
    d.has_base_url = true;
    d.provider.base_url = without_slash(*value);
}

void read_rate(Reader& r, const Node& n, ProviderDraft& d) {
    const auto value = r.scalar(n, "a number");
    if (!value)
        return;
    double rate = 0;
    const char* const last = value->data() + value->size();
    const auto [end, error] = std::from_chars(value->data(), last, rate);
    if (error != std::errc() || end != last || !(rate > 0 && rate <= 1))
        return r.mistake(n, "must be a number above 0, up to 1");
    d.provider.breaker.rate = rate;
}

void read_models(Reader& r, const Node& n, ProviderDraft& d) {
    r.read(n, d.provider.models);
    if (n.kind == Node::Kind::kList && n.items.empty())
        r.mistake(n, "an empty list can match nothing; leave it out to take any model");
    if (std::ranges::find(d.provider.models, "") != d.provider.models.end())
        r.mistake(n, "an empty name can match nothing");
}

constexpr KeySpec<ProviderDraft> kProviderKeys[] = {
    {"api", "openai, anthropic, gemini", "by its name",
     "What it speaks. Needed unless its name says it.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         Dialect dialect = Dialect::kLlm;
         r.read(n, dialect,
                {{"openai", Dialect::kOpenAiChat},
                 {"anthropic", Dialect::kAnthropicMessages},
                 {"gemini", Dialect::kGemini}});
         if (dialect != Dialect::kLlm)
             d.dialect = dialect;
     }},
    {"base_url", "URL", "by its api",
     "Where it is. By default `OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL` or `GEMINI_BASE_URL`, else "
     "the vendor's own.",
     read_base_url},
    {"api_key", "text", "by its api",
     "Sent to it. With neither this nor `base_url`: `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` or "
     "`GEMINI_API_KEY`; with `base_url` alone it is called without a key.",
     read_api_key},
    {"models", "list of text", "any", "The only models that it takes.", read_models},
    {"connect_timeout", "duration", "2s", "For a connection, TLS included.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.connect_timeout, kTimeout);
     }},
    {"first_byte_timeout", "duration", "60s", "From the request to the answer's first byte.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.first_byte_timeout, kTimeout);
     }},
    {"idle_timeout", "duration", "60s", "Between two pieces of an answer.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.idle_timeout, kTimeout);
     }},
    {"total_timeout", "duration", "600s", "For everything, retries included.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.total_timeout, kTimeout);
     }},
    {"retries", "number", "2", "Tries after the first.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.retries, Range<int>{0, 10});
     }},
    {"retry_base", "duration", "250ms", "The first wait, doubled each time; less by chance.",
     [](Reader& r, const Node& n, ProviderDraft& d) { r.read(n, d.provider.retry_base, kWait); }},
    {"retry_max_wait", "duration", "3s", "The most that all waits together take.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.retry_max_wait, kWait);
     }},
    {"breaker.failures", "number", "5", "Failures within `window` that open the breaker.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.breaker.failures, Range<int>{1, 1000});
     }},
    {"breaker.rate", "number", "0.5",
     "They open it only where they are that share of the calls in `window`: above 0, up to 1.",
     read_rate},
    {"breaker.window", "duration", "10s", "The span in which failures are counted.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.breaker.window, kTimeout);
     }},
    {"breaker.probe_after", "duration", "1s", "How long the provider is left alone.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.breaker.probe_after, kTimeout);
     }},
    {"breaker.slow", "duration", "0", "A later first byte counts as a failure; 0: none does.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         r.read(n, d.provider.breaker.slow, {milliseconds(0), std::chrono::hours(24)});
     }},
    {"structured_outputs", "boolean", "by its place",
     "Whether it holds answers to a JSON Schema where it is asked to. By default true at the own "
     "hosts of the vendors openai, anthropic and gemini, else false.",
     [](Reader& r, const Node& n, ProviderDraft& d) {
         bool value = false;
         r.read(n, value);
         d.structured_outputs = value;
     }},
    {"ask_usage", "boolean", "true", "Whether streams ask for usage (api openai).",
     [](Reader& r, const Node& n, ProviderDraft& d) { r.read(n, d.provider.ask_usage); }},
    {"vendor", "text", "by its place or name",
     "The vendor in the price file, whose prices and model names are its own. By default the "
     "api's where the provider stands at that vendor's own host; else its name where the price "
     "file has it; else the api's where its variable (`OPENAI_BASE_URL` and the like) places it; "
     "else none.",
     [](Reader& r, const Node& n, ProviderDraft& d) { r.read(n, d.provider.vendor); }},
    {"cache_identity", "text", "name and base_url",
     "Providers of one identity share cached answers.",
     [](Reader& r, const Node& n, ProviderDraft& d) { r.read(n, d.provider.cache_identity); }},
};

constexpr KeySpec<provider::ModelAlias> kAliasKeys[] = {
    {"provider", "text", "", "The provider's name. Needed.",
     [](Reader& r, const Node& n, provider::ModelAlias& a) { r.read(n, a.provider); }},
    {"model", "text", "", "The model's name there. Needed.",
     [](Reader& r, const Node& n, provider::ModelAlias& a) { r.read(n, a.model); }},
};

/// Names stand in metrics' labels and before the slash of `provider/model`.
bool is_provider_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

std::string_view host_of(std::string_view url) {
    const std::size_t scheme = url.find("://");
    const std::string_view rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
    return rest.substr(0, rest.find_first_of(":/"));
}

/// A server that only speaks a vendor's API is not that vendor: neither its prices nor its models'
/// names hold there. Empty: none that is known.
std::string vendor_of(const ProviderDraft& draft, const llm::PriceTable& prices) {
    const provider::Provider& provider = draft.provider;
    const Api& api = api_of(provider.dialect);
    if (text::equals_ignoring_case(host_of(provider.base_url), host_of(api.base_url)))
        return std::string(api.name);
    if (provider.name == api.name || !prices.chat_models(provider.name).empty())
        return provider.name;
    return draft.has_base_url ? std::string() : std::string(api.name);
}

/// Whether it is one of the vendors themselves, whichever of their APIs it is asked by.
bool is_at_vendor(const provider::Provider& provider) {
    return std::ranges::any_of(kApis, [&](const Api& api) {
        return provider.vendor == api.name &&
               text::equals_ignoring_case(host_of(provider.base_url), host_of(api.base_url));
    });
}

/// What the environment gives to a provider that the file doesn't place or doesn't know.
void apply_environment(ConfigReader& reader, ProviderDraft& draft) {
    const Api& api = api_of(draft.provider.dialect);
    if (draft.has_base_url)
        return;
    const auto url = reader.variable(api.url_variable);
    draft.provider.base_url =
        without_slash(url && !url->empty() ? *url : std::string(api.base_url));
    if (const std::string_view why = url_mistake(draft.provider.base_url); !why.empty())
        reader.environment_mistake(api.url_variable, why);
    if (draft.has_api_key)
        return;
    const auto key = reader.variable(api.key_variable);
    const auto clean = clean_key(key.value_or(""));
    if (!clean)
        return reader.environment_mistake(api.key_variable, kBadKey);
    draft.provider.api_key = *clean;
    if (clean->empty())
        draft.provider.missing_variable = api.key_variable;
}

} // namespace

std::span<const KeySpec<ProviderDraft>> provider_keys() {
    return kProviderKeys;
}
std::span<const KeySpec<provider::ModelAlias>> alias_keys() {
    return kAliasKeys;
}

void read_providers(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    draft.has_providers = true;
    if (node.kind == YamlNode::Kind::kNull ||
        (node.kind == YamlNode::Kind::kMap && node.entries.empty()))
        reader.mistake(node, "must list at least one provider; leave it out for the default ones");
    reader.for_each_named(node, [&](const std::string& name, const YamlNode& value) {
        ProviderDraft provider{.line = value.line};
        provider.provider.name = name;
        if (!is_provider_name(name))
            reader.mistake(value, "a provider's name has up to 64 letters, digits, '-', '_', '.'");
        reader.read_map(value, provider_keys(), provider);
        if (!provider.dialect) {
            for (const Api& api : kApis) {
                if (api.name == name)
                    provider.dialect = api.dialect;
            }
        }
        if (!provider.dialect && value.find("api") == nullptr)
            reader.mistake(value, "needs api: openai, anthropic or gemini");
        provider.provider.dialect = provider.dialect.value_or(Dialect::kOpenAiChat);
        draft.providers.push_back(std::move(provider));
    });
}

void read_aliases(ConfigReader& reader, const YamlNode& node, Draft& draft) {
    reader.for_each_named(node, [&](const std::string& name, const YamlNode& value) {
        provider::ModelAlias alias;
        reader.read_map(value, alias_keys(), alias);
        if (name.empty())
            reader.mistake(value, "an empty name can match nothing");
        if (has_controls(name))
            reader.mistake(value, "must have no line breaks or control characters in its name");
        if (value.find("provider") == nullptr || value.find("model") == nullptr)
            reader.mistake(value, "needs provider and model");
        else if (alias.model.empty())
            reader.mistake(value, "the model's name must not be empty");
        else
            draft.aliases.push_back({name, std::move(alias), value.line});
    });
}

namespace {

/// The names of models that the file gives must lead somewhere.
void finish_aliases(ConfigReader& reader, Draft& draft, const std::string& names) {
    provider::Catalog& catalog = draft.config.catalog;
    for (AliasDraft& each : draft.aliases) {
        const provider::Provider* provider = catalog.find(each.alias.provider);
        if (provider == nullptr)
            reader.mistake_at(each.line, "models." + each.name,
                              "there is no provider '" + each.alias.provider + "'; there are " +
                                  names);
        catalog.aliases.insert_or_assign(each.name, std::move(each.alias));
    }
}

void check_default_model(ConfigReader& reader, const Draft& draft) {
    const provider::Catalog& catalog = draft.config.catalog;
    if (draft.default_model_line == 0 || catalog.default_model.empty())
        return;
    const auto is_it = [&](const RouteDraft& each) {
        return each.route.name == catalog.default_model;
    };
    if (std::ranges::any_of(draft.routes, is_it))
        return; // its own mistakes have been said
    if (const auto target = catalog.resolve({}, catalog.default_model); !target)
        reader.mistake_at(draft.default_model_line, "default_model", target.error().message);
}

} // namespace

void finish_providers(ConfigReader& reader, Draft& draft) {
    if (!draft.has_providers) {
        for (const Api& api : std::span(kApis).first(kDefaultApis)) {
            ProviderDraft provider;
            provider.provider.name = api.name;
            provider.provider.dialect = api.dialect;
            draft.providers.push_back(std::move(provider));
        }
    }
    provider::Catalog& catalog = draft.config.catalog;
    std::string names;
    for (ProviderDraft& each : draft.providers) {
        apply_environment(reader, each);
        provider::Provider& provider = each.provider;
        if (provider.vendor.empty())
            provider.vendor = vendor_of(each, catalog.prices);
        provider.structured_outputs = each.structured_outputs.value_or(is_at_vendor(provider));
        if (provider.cache_identity.empty())
            provider.cache_identity = provider.name + " " + provider.base_url;
        names += (names.empty() ? "" : ", ") + provider.name;
        catalog.providers.push_back(std::move(provider));
    }
    finish_aliases(reader, draft, names);
    finish_routes(reader, draft);
    check_default_model(reader, draft);
}

} // namespace larder::app
