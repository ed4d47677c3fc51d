// The route of a request that asks for a mode without naming a route.
#include "gateway/routing.hpp"

#include <algorithm>

namespace larder::gateway {
namespace {

using provider::Catalog;
using provider::Provider;
using provider::Route;
using provider::RouteMode;

void add(Route& route, const Provider& provider, std::string model) {
    const auto is_same = [&](const provider::RouteTarget& target) {
        return target.provider == provider.name && target.model == model;
    };
    if (route.targets.size() == provider::kMostRouteModels ||
        std::ranges::any_of(route.targets, is_same))
        return;
    provider::RouteTarget& target = route.targets.emplace_back();
    target.provider = provider.name;
    target.model = std::move(model);
}

/// Whether the provider surely has the model: it lists it, or it takes any, and its vendor has it.
bool has(const Catalog& catalog, const Provider& provider, std::string_view model) {
    if (!provider.models.empty())
        return std::ranges::find(provider.models, model) != provider.models.end();
    const std::string_view vendor = provider.vendor.empty() ? provider.name : provider.vendor;
    return catalog.prices.find(vendor, model) != nullptr;
}

} // namespace

Result<Route> make_route(const Catalog& catalog, RouteMode mode, std::string_view provider,
                         std::string_view model) {
    const auto in_file = std::ranges::find(catalog.routes, mode, &Route::mode);
    const bool is_in_file = in_file != catalog.routes.end();
    Route route;
    route.name = name_of(mode);
    route.mode = mode;
    if (provider.empty() && model.empty()) {
        if (is_in_file)
            return *in_file;
        for (const Provider& known : catalog.providers)
            if (auto best = catalog.resolve(known.name, {}); best && best->provider == &known)
                add(route, known, std::move(best->model));
        if (!route.targets.empty())
            return route;
    }
    LARDER_TRY(const provider::Target resolved, catalog.resolve(provider, model));
    add(route, *resolved.provider, resolved.model);
    for (const Provider& known : catalog.providers)
        if (has(catalog, known, resolved.model))
            add(route, known, resolved.model);
    if (mode == RouteMode::kFallback && is_in_file) {
        route.on = in_file->on;
        route.first_byte_timeout = in_file->first_byte_timeout;
        for (const provider::RouteTarget& target : in_file->targets)
            if (route.targets.size() < provider::kMostRouteModels)
                route.targets.push_back(target);
    }
    return route;
}

} // namespace larder::gateway
