// Routes against the rest of the configuration: whom their targets are, and that they end
// somewhere.
#include "app/config_schema.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace larder::app {

namespace {

using provider::Catalog;
using provider::RouteTarget;

/// The drafts, which refer to each other by place; a target's `route` is set when it is one.
class Routes {
public:
    Routes(ConfigReader& reader, Draft& draft)
        : reader_(reader), drafts_(draft.routes), catalog_(draft.config.catalog) {
        for (std::size_t i = 0; i < drafts_.size(); ++i) {
            if (!drafts_[i].route.name.empty()) // a mistake that has been said
                places_.emplace(drafts_[i].route.name, i);
        }
    }

    void check_names() {
        for (const RouteDraft& each : drafts_) {
            const std::string& name = each.route.name;
            if (catalog_.aliases.contains(name))
                say(each, "is the name of a model under models too");
            for (const provider::Provider& provider : catalog_.providers) {
                if (std::ranges::find(provider.models, name) != provider.models.end())
                    say(each, "is the name of a model of the provider " + provider.name + " too");
            }
        }
    }

    void resolve_targets() {
        for (RouteDraft& each : drafts_) {
            for (TargetDraft& target : each.targets)
                resolve(target);
            if (each.mode == provider::RouteMode::kLoadBalance)
                check_apart(each);
            check_deployments(each);
        }
    }

    /// How deep routes nest and how many models they have, from those with models only upwards.
    /// What that never reaches is, or stands above, a circle.
    void measure() {
        std::vector<Size> sizes(drafts_.size());
        std::vector<std::size_t> waits_for(drafts_.size());
        std::vector<std::vector<std::size_t>> above(drafts_.size());
        std::vector<std::size_t> ready;
        for (std::size_t i = 0; i < drafts_.size(); ++i) {
            for (const TargetDraft& target : drafts_[i].targets) {
                if (const auto below = place_of(target)) {
                    ++waits_for[i];
                    above[*below].push_back(i);
                }
            }
            if (waits_for[i] == 0)
                ready.push_back(i);
        }
        for (std::size_t next = 0; next < ready.size(); ++next) {
            const std::size_t done = ready[next];
            sizes[done] = size_of(done, sizes);
            for (const std::size_t route : above[done]) {
                if (--waits_for[route] == 0)
                    ready.push_back(route);
            }
        }
        if (ready.size() < drafts_.size())
            find_circles(ready);
    }

    void put_into_catalog() {
        for (RouteDraft& each : drafts_) {
            for (TargetDraft& target : each.targets)
                each.route.targets.push_back(std::move(target.target));
            catalog_.routes.push_back(std::move(each.route));
        }
    }

private:
    struct Size {
        int depth = 1;
        std::size_t models = 0;
    };
    struct Deployment {
        protocol::Dialect dialect;
        int line = 0;
    };

    void say(const RouteDraft& route, std::string text) {
        reader_.mistake_at(route.line, "routes." + route.route.name, std::move(text));
    }
    void say(const TargetDraft& target, std::string text) {
        reader_.mistake_at(target.line, target.path, std::move(text));
    }

    [[nodiscard]] std::optional<std::size_t> place_of(const TargetDraft& target) const {
        const auto found = places_.find(target.target.route);
        return found == places_.end() ? std::nullopt : std::optional(found->second);
    }

    void resolve(TargetDraft& draft) {
        RouteTarget& target = draft.target;
        if (!draft.text.empty())
            (places_.contains(draft.text) ? target.route : target.model) = draft.text;
        if (!target.route.empty()) {
            if (!places_.contains(target.route))
                say(draft, "there is no such route" +
                               (draft.from_variable ? "" : " as '" + target.route + "'"));
            return;
        }
        if (target.model.empty())
            return; // said already
        // The catalog has no routes yet: `model` is never one.
        const auto found = catalog_.resolve(target.provider, target.model);
        if (!found)
            return say(draft, why_unknown(draft, found.error()));
        target.provider = found->provider->name;
        target.model = found->model;
    }

    [[nodiscard]] std::string why_unknown(const TargetDraft& draft, const Error& error) const {
        if (places_.contains(draft.target.model))
            return "'" + draft.target.model + "' is a route: name it by route, not by model";
        if (draft.from_variable)
            return "no provider takes that model; configured: " + catalog_.names();
        return error.message + (draft.text.empty() ? "" : "; nor is there such a route");
    }

    /// A load-balance tells its targets apart by what they are.
    void check_apart(const RouteDraft& route) {
        std::map<std::string, int> lines;
        for (const TargetDraft& each : route.targets) {
            const bool is_route = place_of(each).has_value();
            if (!is_route && each.target.model.empty())
                continue;
            const std::string what = is_route ? "route " + each.target.route
                                              : each.target.provider + '/' + each.target.model;
            const auto [earlier, is_new] = lines.emplace(what, each.line);
            if (!is_new)
                say(each, "the same as the target on line " + std::to_string(earlier->second) +
                              "; give that one more weight");
        }
    }

    /// Who shares answers must give them in one form.
    void check_deployments(const RouteDraft& route) {
        for (const TargetDraft& each : route.targets) {
            const provider::Provider* const provider = catalog_.find(each.target.provider);
            if (each.target.deployment.empty() || provider == nullptr)
                continue;
            const auto [first, is_new] = deployments_.emplace(
                each.target.deployment, Deployment{provider->dialect, each.line});
            if (!is_new && first->second.dialect != provider->dialect)
                say(each, "speaks another API than the target of its deployment on line " +
                              std::to_string(first->second.line) +
                              ": they could not share answers");
        }
    }

    /// Of a route whose own routes have been measured. What is too large is said of the lowest one
    /// only, not of those above it.
    Size size_of(std::size_t place, const std::vector<Size>& sizes) {
        const RouteDraft& route = drafts_[place];
        Size size;
        bool said = false;
        for (const TargetDraft& target : route.targets) {
            const auto below = place_of(target);
            const Size its = below ? sizes[*below] : Size{.depth = 0, .models = 1};
            size.models += its.models;
            size.depth = std::max(size.depth, its.depth + 1);
            said = said || its.models > provider::kMostRouteModels;
        }
        if (size.depth == provider::kDeepestRoute + 1)
            say(route, "nests deeper than " + std::to_string(provider::kDeepestRoute) + " routes");
        if (size.models > provider::kMostRouteModels && !said)
            say(route, "has more than " + std::to_string(provider::kMostRouteModels) +
                           " models with those of the routes below it");
        size.models = std::min(size.models, provider::kMostRouteModels + 1); // never overflows
        return size;
    }

    /// Walks from each route that is left to one that is left too, until the walk meets itself (a
    /// circle) or an earlier one.
    void find_circles(const std::vector<std::size_t>& measured) {
        const std::set<std::size_t> sound(measured.begin(), measured.end());
        std::set<std::size_t> seen;
        for (std::size_t start = 0; start < drafts_.size(); ++start) {
            std::vector<std::size_t> walk;
            std::size_t at = start;
            while (!sound.contains(at) && seen.insert(at).second) {
                walk.push_back(at);
                at = next_of(at, sound);
            }
            const auto begin = std::ranges::find(walk, at);
            if (begin == walk.end())
                continue;
            std::string names;
            for (const std::size_t each : std::span(begin, walk.end()))
                names += drafts_[each].route.name + " > ";
            say(drafts_[at], "a circle of routes: " + names + drafts_[at].route.name);
        }
    }

    [[nodiscard]] std::size_t next_of(std::size_t place, const std::set<std::size_t>& sound) const {
        for (const TargetDraft& target : drafts_[place].targets) {
            const auto below = place_of(target);
            if (below && !sound.contains(*below))
                return *below;
        }
        return place; // never: it would have been measured
    }

    ConfigReader& reader_;
    std::vector<RouteDraft>& drafts_;
    Catalog& catalog_;
    std::map<std::string, std::size_t, std::less<>> places_;
    std::map<std::string, Deployment, std::less<>> deployments_;
};

} // namespace

void finish_routes(ConfigReader& reader, Draft& draft) {
    Routes routes(reader, draft);
    routes.check_names();
    routes.resolve_targets();
    routes.measure();
    if (!reader.has_mistakes())
        routes.put_into_catalog();
}

} // namespace larder::app
