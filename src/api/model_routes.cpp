#include "api/model_routes.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

namespace larder::api {
namespace {

using provider::Catalog;
using provider::Provider;

struct ListedModel {
    std::string id;
    const Provider* provider = nullptr;
    std::string alias_of; // empty: it is no alias
};

/// Routes under their first model, aliases, then each provider's models: those that it lists, else
/// those of the price file, but for its rows that price what is fine-tuned: nobody can call those.
std::vector<ListedModel> listed_models(const Catalog& catalog) {
    std::vector<ListedModel> models;
    for (const provider::Route& route : catalog.routes) {
        if (const auto first = catalog.resolve({}, route.name))
            models.push_back({route.name, first->provider, first->model});
    }
    for (const auto& [alias, target] : catalog.aliases) {
        if (const Provider* provider = catalog.find(target.provider))
            models.push_back({alias, provider, target.model});
    }
    for (const Provider& provider : catalog.providers) {
        std::vector<std::string> names = provider.models;
        if (names.empty()) {
            names = catalog.prices.chat_models(provider.vendor);
            std::ranges::move(catalog.prices.models(provider.vendor, "embedding"),
                              std::back_inserter(names));
            std::erase_if(names, [](const std::string& name) { return name.starts_with("ft:"); });
        }
        for (std::string& name : names)
            models.push_back({std::move(name), &provider, {}});
    }
    return models;
}

/// The same without a second model of one name: an id is asked for alone, and pages begin after it.
std::vector<ListedModel> distinct_models(const Catalog& catalog) {
    std::vector<ListedModel> models = listed_models(catalog);
    std::set<std::string, std::less<>> seen;
    std::erase_if(models, [&](const ListedModel& model) { return !seen.insert(model.id).second; });
    return models;
}

void add_text(std::string& out, std::string_view name, std::string_view value) {
    ((out += '"') += name) += "\":";
    json::write_string(out, value);
}

void add_price(std::string& out, std::string_view name, std::int64_t picodollars_per_token) {
    ((out += '"') += name) += "\":";
    json::write_double(out, static_cast<double>(picodollars_per_token) /
                                1e6); // dollars per million tokens
}

void add_llm_model(std::string& out, const Catalog& catalog, const ListedModel& model) {
    add_text(out += '{', "id", model.id);
    add_text(out += ',', "provider", model.provider->name);
    if (!model.alias_of.empty())
        add_text(out += ',', "model", model.alias_of);
    const llm::Price* const price = catalog.prices.find(
        model.provider->vendor, model.alias_of.empty() ? model.id : model.alias_of);
    if (price != nullptr) {
        out += ",\"pricePerMillionTokens\":{";
        add_price(out, "input", price->base.input);
        add_price(out += ',', "cachedInput", price->base.cached_input);
        add_price(out += ',', "output", price->base.output);
        out += '}';
        if (price->context > 0)
            out += ",\"contextTokens\":" + std::to_string(price->context);
    }
    out += '}';
}

void add_openai_model(std::string& out, std::string_view id, const Provider& provider) {
    add_text(out += '{', "id", id);
    out += R"(,"object":"model","created":0,)";
    add_text(out, "owned_by", provider.name);
    out += '}';
}

void add_anthropic_model(std::string& out, std::string_view id) {
    add_text(out += R"({"type":"model",)", "id", id);
    add_text(out += ',', "display_name", id);
    out += R"(,"created_at":"1970-01-01T00:00:00Z"})";
}

/// What an Anthropic client asks of a list.
struct Paging {
    std::size_t limit = 20;
    std::string after;
    std::string before;
};

Result<Paging> read_paging(std::string_view query) {
    constexpr std::size_t kMost = 1000;
    Paging paging;
    for (const std::string_view pair : text::split(query, '&')) {
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const std::string_view name = pair.substr(0, equals);
        const std::string value =
            text::percent_decode(pair.substr(std::min(equals + 1, pair.size())));
        if (name == "after_id") {
            paging.after = value;
        } else if (name == "before_id") {
            paging.before = value;
        } else if (name == "limit") {
            const char* const end = value.data() + value.size();
            const auto read = std::from_chars(value.data(), end, paging.limit);
            if (read.ec != std::errc() || read.ptr != end || paging.limit == 0 ||
                paging.limit > kMost)
                return fail_field("limit", "limit must be a whole number from 1 to 1000");
        }
    }
    if (!paging.after.empty() && !paging.before.empty())
        return fail_field("before_id", "before_id and after_id can't be asked together");
    return paging;
}

struct Page {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool has_more = false; // in the direction that was asked for
};

Result<Page> find_page(const std::vector<ListedModel>& models, const Paging& paging) {
    const std::string& id = paging.before.empty() ? paging.after : paging.before;
    std::size_t at = 0;
    if (!id.empty()) {
        const auto found = std::ranges::find(models, id, &ListedModel::id);
        if (found == models.end())
            return fail_field(paging.before.empty() ? "after_id" : "before_id",
                              "there is no model of this id");
        at = static_cast<std::size_t>(found - models.begin());
    }
    Page page;
    if (!paging.before.empty()) {
        page = {.begin = at - std::min(paging.limit, at), .end = at};
        page.has_more = page.begin > 0;
        return page;
    }
    page.begin = id.empty() ? 0 : at + 1;
    page.end = page.begin + std::min(paging.limit, models.size() - page.begin);
    page.has_more = page.end < models.size();
    return page;
}

bool is_anthropic(const Provider& provider) {
    return provider.dialect == protocol::Dialect::kAnthropicMessages;
}

/// The provider of a model that can be shown without asking it; nullptr: it must be asked.
const Provider* local_owner(const Catalog& catalog, std::string_view id, Style style) {
    if (catalog.find_route(id) != nullptr)
        if (const auto first = catalog.resolve({}, id))
            return first->provider;
    if (const auto alias = catalog.aliases.find(id); alias != catalog.aliases.end())
        return catalog.find(alias->second.provider);
    const auto target = catalog.resolve({}, id);
    if (!target)
        return nullptr;
    const Provider& provider = *target->provider;
    const bool is_same_api = is_anthropic(provider) == (style == Style::kAnthropic);
    const bool is_known =
        !provider.models.empty() ||
        (!is_same_api && catalog.prices.find(provider.vendor, target->model) != nullptr);
    return is_known ? &provider : nullptr;
}

} // namespace

std::string llm_model_list(const Catalog& catalog) {
    std::string body = "{\"models\":[";
    for (const ListedModel& model : listed_models(catalog)) {
        if (!body.ends_with('['))
            body += ',';
        add_llm_model(body, catalog, model);
    }
    return body += "]}";
}

std::string openai_model_list(const Catalog& catalog) {
    std::string body = R"({"object":"list","data":[)";
    for (const ListedModel& model : distinct_models(catalog)) {
        if (!body.ends_with('['))
            body += ',';
        add_openai_model(body, model.id, *model.provider);
    }
    return body += "]}";
}

Result<std::string> anthropic_model_list(const Catalog& catalog, std::string_view query) {
    LARDER_TRY(const Paging paging, read_paging(query));
    const std::vector<ListedModel> models = distinct_models(catalog);
    LARDER_TRY(const Page page, find_page(models, paging));
    std::string body = R"({"data":[)";
    for (std::size_t i = page.begin; i < page.end; ++i) {
        if (i > page.begin)
            body += ',';
        add_anthropic_model(body, models[i].id);
    }
    body += page.has_more ? R"(],"has_more":true,)" : R"(],"has_more":false,)";
    if (page.begin == page.end)
        return body += R"("first_id":null,"last_id":null})";
    add_text(body, "first_id", models[page.begin].id);
    add_text(body += ',', "last_id", models[page.end - 1].id);
    return body += '}';
}

std::optional<std::string> local_model(const Catalog& catalog, std::string_view id, Style style) {
    const Provider* const provider = local_owner(catalog, id, style);
    if (provider == nullptr)
        return std::nullopt;
    std::string body;
    if (style == Style::kAnthropic)
        add_anthropic_model(body, id);
    else
        add_openai_model(body, id, *provider);
    return body;
}

Task<void> serve_models(Context& context) {
    const Catalog& catalog = context.settings->gateway->catalog;
    Result<std::string> body;
    if (context.route->endpoint == Endpoint::kModels)
        body = llm_model_list(catalog);
    else if (context.style == Style::kAnthropic)
        body = anthropic_model_list(catalog, context.exchange.head().query);
    else
        body = openai_model_list(catalog);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    http::Response response;
    response.fields.emplace_back("Content-Type", "application/json");
    response.fields.emplace_back("Cache-Control", "no-store");
    response.body = *std::move(body);
    co_await reply_with(context, std::move(response));
}

} // namespace larder::api
