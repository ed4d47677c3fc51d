#include "workflow/models_of.hpp"

#include "gateway/routing.hpp"

#include <algorithm>
#include <utility>

namespace larder::workflow {
namespace {

class Candidates {
public:
    explicit Candidates(const provider::Catalog& catalog) : catalog_(catalog) {}

    void add(const provider::Provider* provider, std::string_view model) {
        const llm::Price* price = nullptr;
        if (provider != nullptr)
            price = catalog_.prices.find(
                provider->vendor.empty() ? provider->name : provider->vendor, model);
        found_.push_back({.price = price});
    }
    void add_route(const provider::Route& route, int depth = 1) {
        for (const provider::RouteTarget& target : route.targets) {
            if (found_.size() >= provider::kMostRouteModels)
                return;
            const auto* nested = target.route.empty() ? nullptr : catalog_.find_route(target.route);
            if (nested != nullptr && depth < provider::kDeepestRoute)
                add_route(*nested, depth + 1);
            else if (nested == nullptr)
                add(catalog_.find(target.provider), target.model);
        }
    }
    std::vector<Candidate> take() {
        if (found_.empty())
            found_.emplace_back();
        return std::move(found_);
    }

private:
    const provider::Catalog& catalog_;
    std::vector<Candidate> found_;
};

} // namespace

const provider::Route* route_of(const provider::Catalog& catalog, std::string_view provider,
                                std::string_view model) {
    if (!provider.empty())
        return nullptr;
    return catalog.find_route(model.empty() ? catalog.default_model : model);
}

std::vector<Candidate> models_of(const provider::Catalog& catalog, const Step& step) {
    Candidates candidates(catalog);
    const auto mode = provider::route_mode_named(step.routing_mode);
    if (const auto* route = route_of(catalog, step.provider, step.model)) {
        candidates.add_route(*route);
    } else if (mode && *mode != provider::RouteMode::kSingleModel) {
        const auto made = gateway::make_route(catalog, *mode, step.provider, step.model);
        if (made)
            candidates.add_route(*made);
    } else if (const auto target = catalog.resolve(step.provider, step.model)) {
        candidates.add(target->provider, target->model);
    }
    return candidates.take();
}

llm::Money cost_at_most(const std::vector<Candidate>& candidates, const llm::Usage& usage) {
    llm::Money dearest;
    for (const Candidate& candidate : candidates)
        if (candidate.price != nullptr)
            dearest.picodollars =
                std::max(dearest.picodollars, llm::cost_of(*candidate.price, usage).picodollars);
    return dearest;
}

} // namespace larder::workflow
