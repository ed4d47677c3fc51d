// A route's targets, looked at once and put into the order in which they are asked.
#include "gateway/routing.hpp"

#include "base/hash.hpp"
#include "llm/capabilities.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <span>
#include <tuple>
#include <utility>

namespace larder::gateway {
namespace {

using provider::Catalog;
using provider::Route;
using provider::RouteMode;
using provider::RouteTarget;

__extension__ using Wide = unsigned __int128;

constexpr std::size_t kMostCounters = 4096;
/// Routes and models that one walk looks at.
constexpr std::size_t kMostNodes = provider::kMostRouteModels * provider::kDeepestRoute;

/// The time for a first byte: what is said nearest to the model holds.
using FirstByteTimeout = std::optional<std::chrono::milliseconds>;

/// A target: a model, or a route with its own targets.
struct Node {
    const Route* route = nullptr; // null: a model
    std::vector<Node> targets;    // of a route
    RouteCandidate candidate;     // of a model, as the next two
    std::shared_ptr<provider::TargetHealth> health;
    std::uint32_t weight = 1;
    bool is_well = false; // of a route: whether one of its models is
};

/// A model in its place, and the route that says what comes after it.
struct Placed {
    const Node* model = nullptr;
    const provider::FailurePolicy* on = nullptr; // null: nothing comes after it
    int depth = 0;                               // of the route whose policy it is
};
using List = std::vector<Placed>;

/// A target while its route's order is made.
struct Ranked {
    const Node* node = nullptr;
    std::size_t place = 0; // in the file, which decides where nothing else does
    List list;
    double cost = 0; // fastest: us; cheapest: picodollars
    bool is_priced = false;
    bool is_able = true; // to do what the request asks
};

std::string_view vendor_of(const provider::Provider& provider) {
    return provider.vendor.empty() ? provider.name : provider.vendor;
}

/// Puts what is well before what is not, and gives how many there are to choose between: those that
/// are well, or all where none is.
std::size_t well_first(std::vector<Ranked>& targets) {
    std::ranges::sort(targets, {}, [](const Ranked& target) {
        return std::tuple(!target.node->is_well, target.place);
    });
    const auto well = static_cast<std::size_t>(
        std::ranges::count_if(targets, [](const Ranked& target) { return target.node->is_well; }));
    return well == 0 ? targets.size() : well;
}

void heavier_first(std::span<Ranked> targets) {
    std::ranges::sort(targets, {}, [](const Ranked& target) {
        return std::tuple(-std::int64_t{target.node->weight}, target.place);
    });
}

void faster_first(std::span<Ranked> targets) {
    std::ranges::sort(targets, {},
                      [](const Ranked& target) { return std::tuple(target.cost, target.place); });
}

void move_to_front(std::span<Ranked> targets, std::size_t chosen) {
    const auto place = targets.begin() + static_cast<std::ptrdiff_t>(chosen);
    std::rotate(targets.begin(), place, place + 1);
}

/// Which target a point of the whole, in 2^-64ths, belongs to.
std::size_t at_point(std::span<const Ranked> targets, std::uint64_t point) {
    std::uint64_t total = 0;
    for (const Ranked& target : targets)
        total += target.node->weight;
    auto left = static_cast<std::uint64_t>((Wide{point} * total) >> 64U);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (left < targets[i].node->weight)
            return i;
        left -= targets[i].node->weight;
    }
    return 0; // all weights are 0
}

std::string_view sticky_key(const Route& route, const RouteQuestion& question) {
    switch (route.sticky) {
    case provider::Sticky::kNone:
        return {};
    case provider::Sticky::kUser:
        return question.user;
    case provider::Sticky::kSession:
        return question.session;
    }
    return {};
}

/// Weighted rendezvous hashing: each key has its own lot for every target, and the best one wins.
std::size_t by_key(std::span<const Ranked> targets, std::string_view route, std::string_view key) {
    constexpr std::string_view kBetween("\0", 1);
    std::size_t best = 0;
    double least = 0;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const Node& node = *targets[i].node;
        const bool is_route = node.route != nullptr;
        const std::array<std::string_view, 7> parts{
            route,
            kBetween,
            is_route ? node.route->name : node.candidate.provider->name,
            kBetween,
            is_route ? std::string_view() : node.candidate.model,
            kBetween,
            key};
        const std::uint64_t bits = Sha256Hash()(sha256(parts));
        const double lot = (static_cast<double>(bits >> 11U) + 0.5) * 0x1p-53; // within (0, 1)
        const double score =
            node.weight == 0 ? HUGE_VAL : -std::log(lot) / static_cast<double>(node.weight);
        if (i == 0 || score < least) {
            best = i;
            least = score;
        }
    }
    return best;
}

class Walk {
public:
    Walk(const Catalog& catalog, const RouteQuestion& question, const RouteState& state)
        : catalog_(catalog), question_(question), state_(state), random_(question.random) {}

    std::vector<RouteCandidate> run(const Route& route) {
        const Node top = read(route, {}, 0);
        return finish(order(top, true, 0));
    }

private:
    Node read(const Route& route, FirstByteTimeout outer, int depth);
    Node read_model(const Route& route, const RouteTarget& target, FirstByteTimeout timeout);
    /// The models of a route in their order. `counts`: the request goes to the first of them, so
    /// that it is a step of the route's sequence.
    List order(const Node& node, bool counts, int depth);
    List list_of(const Node& node, bool counts, int depth);
    void rank(const Route& route, std::vector<Ranked>& targets, bool counts);
    void rank_load_balance(const Route& route, std::vector<Ranked>& targets, bool counts);
    void rank_fastest(std::vector<Ranked>& targets);
    void rank_cheapest(std::vector<Ranked>& targets) const;
    void judge(Ranked& target) const;
    std::vector<RouteCandidate> finish(const List& list) const;
    std::uint64_t next_random();

    const Catalog& catalog_;
    const RouteQuestion& question_;
    const RouteState& state_;
    std::uint64_t random_;
    std::size_t nodes_ = 0;
    std::size_t models_ = 0;
};

/// SplitMix64: a request's one random number as a sequence.
std::uint64_t Walk::next_random() {
    random_ += 0x9E3779B97F4A7C15U;
    std::uint64_t mixed = random_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31U);
}

Node Walk::read(const Route& route, FirstByteTimeout outer, int depth) {
    Node node;
    node.route = &route;
    const FirstByteTimeout below = route.first_byte_timeout ? route.first_byte_timeout : outer;
    for (const RouteTarget& target : route.targets) {
        if (models_ == provider::kMostRouteModels || ++nodes_ > kMostNodes)
            break;
        const FirstByteTimeout own = target.first_byte_timeout ? target.first_byte_timeout : below;
        Node read_target;
        if (target.route.empty()) {
            read_target = read_model(route, target, own);
            if (read_target.candidate.provider == nullptr)
                continue;
        } else {
            const Route* const nested = catalog_.find_route(target.route);
            if (nested == nullptr || depth == provider::kDeepestRoute)
                continue;
            read_target = read(*nested, own, depth + 1);
            if (read_target.targets.empty())
                continue;
        }
        read_target.weight = target.weight;
        node.is_well = node.is_well || read_target.is_well;
        node.targets.push_back(std::move(read_target));
        if (route.mode == RouteMode::kSingleModel)
            break;
    }
    return node;
}

Node Walk::read_model(const Route& route, const RouteTarget& target, FirstByteTimeout timeout) {
    Node node;
    node.candidate.provider = catalog_.find(target.provider);
    if (node.candidate.provider == nullptr)
        return node;
    ++models_;
    const provider::Provider& provider = *node.candidate.provider;
    node.candidate.model = target.model;
    node.candidate.deployment = target.deployment;
    node.candidate.first_byte_timeout = timeout;
    node.candidate.retries = target.retries;
    node.health = state_.health.of(provider.name, target.model, question_.now_us);
    node.candidate.is_resting = node.health->is_cooling(question_.now_us);
    const bool is_usable = provider.missing_variable.empty() || !route.on.unconfigured;
    node.is_well = is_usable && !node.candidate.is_resting &&
                   state_.breakers.of(provider.name).is_passing(question_.now_us);
    return node;
}

List Walk::list_of(const Node& node, bool counts, int depth) {
    if (node.route != nullptr)
        return order(node, counts, depth + 1);
    return {{.model = &node}};
}

List Walk::order(const Node& node, bool counts, int depth) {
    std::vector<Ranked> targets;
    targets.reserve(node.targets.size());
    for (const Node& target : node.targets)
        targets.push_back({.node = &target, .place = targets.size(), .list = {}});
    const RouteMode mode = node.route->mode;
    // These two choose by the first model of each list; the others make the lists once they know
    // which one stands first.
    const bool lists_first = mode == RouteMode::kFastest || mode == RouteMode::kCheapest;
    if (lists_first)
        for (Ranked& target : targets)
            target.list = list_of(*target.node, counts, depth);
    rank(*node.route, targets, counts);
    List list;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (!lists_first)
            targets[i].list = list_of(*targets[i].node, counts && i == 0, depth);
        if (i + 1 < targets.size()) {
            targets[i].list.back().on = &node.route->on;
            targets[i].list.back().depth = depth;
        }
        std::ranges::move(targets[i].list, std::back_inserter(list));
    }
    return list;
}

void Walk::rank(const Route& route, std::vector<Ranked>& targets, bool counts) {
    switch (route.mode) {
    case RouteMode::kSingleModel:
    case RouteMode::kFallback:
        well_first(targets);
        break;
    case RouteMode::kLoadBalance:
        rank_load_balance(route, targets, counts);
        break;
    case RouteMode::kFastest:
        rank_fastest(targets);
        break;
    case RouteMode::kCheapest:
        rank_cheapest(targets);
        break;
    }
}

void Walk::rank_load_balance(const Route& route, std::vector<Ranked>& targets, bool counts) {
    constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15U; // in 2^-64ths: spreads evenly
    const std::size_t choices = well_first(targets);
    if (choices == 0)
        return;
    const std::span<Ranked> all(targets);
    const std::span<Ranked> pool = all.first(choices);
    std::size_t chosen = 0;
    const std::string_view key = sticky_key(route, question_);
    if (!key.empty())
        chosen = by_key(pool, route.name, key);
    else if (counts)
        chosen = at_point(pool, state_.counters.next(route.name) * kGoldenRatio);
    else
        chosen = at_point(pool, next_random());
    move_to_front(pool, chosen);
    heavier_first(pool.subspan(1));
    heavier_first(all.subspan(choices));
}

void Walk::rank_fastest(std::vector<Ranked>& targets) {
    for (Ranked& target : targets)
        target.cost = target.list.front().model->health->cost(question_.stream, question_.now_us);
    const std::size_t choices = well_first(targets);
    const std::span<Ranked> all(targets);
    const std::span<Ranked> pool = all.first(choices);
    if (choices > 1) {
        const auto one = static_cast<std::size_t>(next_random() % choices);
        auto other = static_cast<std::size_t>(next_random() % (choices - 1));
        other += other >= one ? 1 : 0;
        move_to_front(pool, pool[other].cost < pool[one].cost ? other : one);
        faster_first(pool.subspan(1));
    }
    faster_first(all.subspan(choices));
}

void Walk::rank_cheapest(std::vector<Ranked>& targets) const {
    for (Ranked& target : targets)
        judge(target);
    if (std::ranges::any_of(targets, &Ranked::is_able))
        std::erase_if(targets, [](const Ranked& target) { return !target.is_able; });
    std::ranges::sort(targets, {}, [](const Ranked& target) {
        return std::tuple(!target.node->is_well, !target.is_priced, target.cost, target.place);
    });
}

/// What the request would cost there, and whether it can be done there.
void Walk::judge(Ranked& target) const {
    constexpr std::int64_t kUnboundedOutput = 1000;
    const protocol::Needs& needs = question_.needs;
    const RouteCandidate& first = target.list.front().model->candidate;
    const std::string_view vendor = vendor_of(*first.provider);
    const llm::Capabilities can = llm::capabilities_of(vendor, first.model);
    target.is_able =
        (can.tools || !needs.tools) && (can.vision || !needs.vision) && (can.json || !needs.json);
    const llm::Price* const price = catalog_.prices.find(vendor, first.model);
    if (price == nullptr)
        return;
    std::int64_t output = needs.max_output_tokens > 0 ? needs.max_output_tokens : kUnboundedOutput;
    if (price->max_output > 0)
        output = std::min(output, price->max_output);
    if (price->context > 0 && needs.input_tokens + output > price->context)
        target.is_able = false;
    target.is_priced = true;
    llm::Usage usage;
    usage.input = needs.input_tokens;
    usage.output = output;
    target.cost = static_cast<double>(llm::cost_of(*price, usage).picodollars);
}

/// Each model once, in its first place. What comes after a model is said by the innermost route
/// that both of them are in; where one between them is left out, by the outer of the two.
std::vector<RouteCandidate> Walk::finish(const List& list) const {
    std::vector<RouteCandidate> candidates;
    List kept;
    for (const Placed& placed : list) {
        const RouteCandidate& candidate = placed.model->candidate;
        const bool is_known = std::ranges::any_of(kept, [&](const Placed& before) {
            return before.model->candidate.provider == candidate.provider &&
                   before.model->candidate.model == candidate.model;
        });
        if (!is_known) {
            kept.push_back(placed);
        } else if (kept.back().depth > placed.depth) {
            kept.back().on = placed.on;
            kept.back().depth = placed.depth;
        }
    }
    candidates.reserve(kept.size());
    for (const Placed& placed : kept) {
        candidates.push_back(placed.model->candidate);
        candidates.back().on = placed.on;
    }
    if (!candidates.empty())
        candidates.back().on = nullptr;
    return candidates;
}

} // namespace

std::uint64_t RouteCounters::next(std::string_view route) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(route);
    if (found != counts_.end())
        return found->second++;
    if (counts_.size() >= kMostCounters)
        counts_.clear();
    counts_.emplace(route, 1);
    return 0;
}

std::vector<RouteCandidate> order_route(const Catalog& catalog, const Route& route,
                                        const RouteQuestion& question, const RouteState& state) {
    return Walk(catalog, question, state).run(route);
}

} // namespace larder::gateway
