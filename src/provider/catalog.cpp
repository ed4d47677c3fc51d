// Which provider takes a model: the rules of the contract's "Which provider", one function a rule.
// Immutable, any thread.
#include "provider/catalog.hpp"

#include <algorithm>
#include <array>

namespace larder::provider {

namespace {

constexpr std::string_view kOpenAi = "openai";
constexpr std::string_view kAnthropic = "anthropic";
constexpr std::string_view kOpenAiDefault = "gpt-4o";

/// The model that a vendor is asked for when a request and the configuration name none.
struct BestKnown {
    std::string_view vendor;
    std::string_view model;
};
constexpr std::array<BestKnown, 6> kBestKnown{{{kOpenAi, kOpenAiDefault},
                                               {kAnthropic, "claude-sonnet-4-5"},
                                               {"deepseek", "deepseek-chat"},
                                               {"gemini", "gemini-2.5-pro"},
                                               {"groq", "llama-3.3-70b-versatile"},
                                               {"mistral", "mistral-large-latest"}}};

struct NamePrefix {
    std::string_view prefix;
    std::string_view vendor;
};
constexpr std::array<NamePrefix, 7> kNamePrefixes{{{"claude-", kAnthropic},
                                                   {"gpt-", kOpenAi},
                                                   {"chatgpt-", kOpenAi},
                                                   {"o1", kOpenAi},
                                                   {"o3", kOpenAi},
                                                   {"o4", kOpenAi},
                                                   {"text-embedding-", kOpenAi}}};

/// What a client wrote, for a message: in quotes, and not endlessly long.
std::string quoted(std::string_view text) {
    constexpr std::size_t kShownMax = 100;
    if (text.size() <= kShownMax)
        return "'" + std::string(text) + "'";
    std::size_t length = kShownMax;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U)
        --length;
    return "'" + std::string(text.substr(0, length)) + "…'";
}

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names)
        out.append(out.empty() ? "" : ", ").append(name);
    return out;
}

std::string configured(const Catalog& catalog) {
    return catalog.providers.empty() ? std::string("no provider is configured")
                                     : "configured: " + catalog.names();
}

std::unexpected<Error> model_not_found(std::string message) {
    return std::unexpected(Error{.code = ErrorCode::kModelNotFound,
                                 .message = std::move(message),
                                 .field = "model",
                                 .detail = "model_not_found"});
}

bool lists(const Provider& provider, std::string_view model) {
    return std::ranges::find(provider.models, model) != provider.models.end();
}

bool accepts(const Provider& provider, std::string_view model) {
    return provider.models.empty() || lists(provider, model);
}

std::string_view vendor_of(const Provider& provider) {
    return provider.vendor.empty() ? provider.name : provider.vendor;
}

/// The provider that is named as the vendor, else the first whose vendor it is; one that takes
/// `model`.
const Provider* find_by_vendor(const Catalog& catalog, std::string_view vendor,
                               std::string_view model) {
    if (const Provider* named = catalog.find(vendor); named != nullptr && accepts(*named, model))
        return named;
    for (const Provider& provider : catalog.providers)
        if (accepts(provider, model) && vendor_of(provider) == vendor)
            return &provider;
    return nullptr;
}

const Provider* find_by_models_list(const Catalog& catalog, std::string_view model) {
    const auto found = std::ranges::find_if(
        catalog.providers, [model](const Provider& provider) { return lists(provider, model); });
    return found == catalog.providers.end() ? nullptr : &*found;
}

const Provider* find_by_model_name(const Catalog& catalog, std::string_view model) {
    for (const auto& [prefix, vendor] : kNamePrefixes)
        if (model.starts_with(prefix))
            return find_by_vendor(catalog, vendor, model);
    return nullptr;
}

const Provider* find_by_price_file(const Catalog& catalog, std::string_view model) {
    for (const std::string& vendor : catalog.prices.vendors_of(model))
        if (const Provider* provider = find_by_vendor(catalog, vendor, model))
            return provider;
    return nullptr;
}

/// The vendor's best known model; among the listed ones where the provider lists some. Empty: none.
std::string best_known(const Catalog& catalog, const Provider& provider) {
    const std::string_view vendor = vendor_of(provider);
    const auto known = std::ranges::find(kBestKnown, vendor, &BestKnown::vendor);
    if (known != kBestKnown.end() && accepts(provider, known->model))
        return std::string(known->model);
    if (!provider.models.empty())
        return provider.models.front();
    const std::vector<std::string> chat_models = catalog.prices.chat_models(vendor);
    return chat_models.empty() ? std::string() : chat_models.front();
}

Result<Target> resolve_best_known(const Catalog& catalog, const Provider& provider) {
    std::string model = best_known(catalog, provider);
    if (model.empty())
        return fail_field("model", "the provider " + quoted(provider.name) +
                                       " has no model that is known; name one");
    return Target{.provider = &provider, .model = std::move(model)};
}

Result<Target> resolve_without_model(const Catalog& catalog) {
    if (!catalog.default_model.empty())
        return catalog.resolve({}, catalog.default_model);
    if (catalog.providers.empty())
        return model_not_found("no provider is configured");
    const auto has_its_key = [](const Provider& provider) {
        return provider.missing_variable.empty();
    };
    const Provider* const openai = find_by_vendor(catalog, kOpenAi, kOpenAiDefault);
    if (openai != nullptr && has_its_key(*openai))
        return Target{.provider = openai, .model = std::string(kOpenAiDefault)};
    const auto usable = std::ranges::find_if(catalog.providers, has_its_key);
    return resolve_best_known(
        catalog, usable != catalog.providers.end() ? *usable : catalog.providers.front());
}

/// `model` at a provider that is named: an alias of this provider and `provider/model` are
/// understood, unless the provider lists that very name. `is_below`: the provider's name was taken
/// off already, and what is left is the model's own ("openrouter/openrouter/auto").
Result<Target> resolve_at(const Catalog& catalog, const Provider& provider, std::string_view model,
                          bool is_below = false) {
    if (model.empty()) {
        if (!catalog.default_model.empty())
            if (auto target = catalog.resolve({}, catalog.default_model);
                target && target->provider == &provider)
                return target;
        return resolve_best_known(catalog, provider);
    }
    if (!lists(provider, model)) {
        const auto alias = catalog.aliases.find(model);
        const std::string prefix = provider.name + "/";
        if (alias != catalog.aliases.end() && alias->second.provider == provider.name)
            model = alias->second.model;
        else if (!is_below && model.starts_with(prefix) && model.size() > prefix.size())
            model.remove_prefix(prefix.size());
    }
    if (!accepts(provider, model))
        return model_not_found(
            "the provider " + quoted(provider.name) + " does not take the model " + quoted(model) +
            "; its models: " + joined(provider.models) + "; " + configured(catalog));
    return Target{.provider = &provider, .model = std::string(model)};
}

/// Who is asked first by a route's own order; routes make no circle.
Result<Target> resolve_first(const Catalog& catalog, const Route& route) {
    const RouteTarget& first = route.targets.front();
    if (!first.route.empty())
        return catalog.resolve({}, first.route);
    return Target{.provider = catalog.find(first.provider),
                  .model = first.model,
                  .deployment = first.deployment,
                  .retries = {}};
}

} // namespace

const Provider* Catalog::find(std::string_view name) const {
    const auto found = std::ranges::find(providers, name, &Provider::name);
    return found == providers.end() ? nullptr : &*found;
}

const Route* Catalog::find_route(std::string_view name) const {
    const auto found = std::ranges::find(routes, name, &Route::name);
    return found == routes.end() ? nullptr : &*found;
}

std::string Catalog::names() const {
    std::string out;
    for (const Provider& provider : providers)
        out.append(out.empty() ? "" : ", ").append(provider.name);
    return out;
}

Result<Target> Catalog::resolve(std::string_view provider, std::string_view model) const {
    if (!provider.empty()) {
        if (const Provider* named = find(provider))
            return resolve_at(*this, *named, model);
        return fail_field("provider", "the provider " + quoted(provider) + " is not configured; " +
                                          configured(*this));
    }
    if (model.empty())
        return resolve_without_model(*this);
    if (const Route* route = find_route(model))
        return resolve_first(*this, *route);
    if (const std::size_t slash = model.find('/');
        slash != std::string_view::npos && slash + 1 < model.size())
        if (const Provider* named = find(model.substr(0, slash)))
            return resolve_at(*this, *named, model.substr(slash + 1), true);
    if (const auto alias = aliases.find(model); alias != aliases.end())
        if (const Provider* named = find(alias->second.provider))
            return resolve_at(*this, *named, alias->second.model);
    for (const auto rule : {find_by_models_list, find_by_model_name, find_by_price_file})
        if (const Provider* found = rule(*this, model))
            return Target{.provider = found, .model = std::string(model)};
    return model_not_found("no provider takes the model " + quoted(model) + "; " +
                           configured(*this));
}

} // namespace larder::provider
