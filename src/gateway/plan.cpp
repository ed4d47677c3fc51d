#include "gateway/plan.hpp"

#include "async/deadlines.hpp"
#include "async/signal.hpp"
#include "base/hash.hpp"
#include "gateway/prepare.hpp"

#include <algorithm>
#include <iterator>

namespace larder::gateway {
namespace {

/// Bytes of bodies that are made for ways before they are known to be needed: making them holds up
/// the thread, and keeping them takes memory. The first way's is always made.
constexpr std::size_t kSpareBodies = 1UL << 20;

struct Asked {
    const provider::Route* route = nullptr;
    std::optional<provider::RouteMode> mode; // another one than the route's own
};

std::unexpected<Error> unknown_route(const provider::Catalog& catalog, std::string_view name) {
    std::string known;
    for (const provider::Route& route : catalog.routes)
        known.append(known.empty() ? "" : ", ").append(route.name);
    constexpr std::size_t kShownMax = 100;
    std::string shown(name.substr(0, kShownMax)); // a head's bytes need not be UTF-8
    std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
    return fail_field("x-larder-route",
                      "the route '" + shown + "' is not configured; " +
                          (known.empty() ? std::string("no route is") : "configured: " + known));
}

/// What the request says of routes: the header, then the body's mode, then the model's name.
/// `single-model` is the contract's default value, which old clients always send: it means no mode
/// of the request's own, so that a route's own mode holds.
Result<Asked> read_asked(const provider::Catalog& catalog, const Inquiry& inquiry,
                         const protocol::Call& call) {
    Asked asked;
    if (!call.routing_mode.empty())
        asked.mode = provider::route_mode_named(call.routing_mode);
    if (!inquiry.route.empty()) {
        if (const auto mode = provider::route_mode_named(inquiry.route)) {
            if (*mode != provider::RouteMode::kSingleModel)
                asked.mode = mode;
        } else {
            asked.route = catalog.find_route(inquiry.route);
            if (asked.route == nullptr)
                return unknown_route(catalog, inquiry.route);
            return asked;
        }
    }
    const bool is_default = call.model.empty() && call.provider.empty();
    if (call.provider.empty())
        asked.route = catalog.find_route(is_default ? catalog.default_model : call.model);
    return asked;
}

/// Models that asked to be left alone are not asked where there are others; what they have answered
/// before is as good as ever.
void hold_back(RouteChoice& choice) {
    auto& candidates = choice.candidates;
    std::vector<RouteCandidate> resting;
    std::ranges::copy_if(candidates, std::back_inserter(resting), &RouteCandidate::is_resting);
    if (resting.size() < candidates.size()) {
        std::erase_if(candidates, [](const RouteCandidate& one) { return one.is_resting; });
        candidates.back().on = nullptr;
        std::ranges::move(resting, std::back_inserter(candidates));
    }
}

} // namespace

bool Plan::repeats_key(std::size_t way) const {
    const auto before = ways.begin() + static_cast<std::ptrdiff_t>(way);
    return std::any_of(ways.begin(), before, [&](const Way& earlier) {
        return earlier.prepared.key == before->prepared.key;
    });
}

bool is_failure(const FlightEnd& end) {
    if (end.error)
        return end.error->code != ErrorCode::kCancelled;
    return end.provider_status >= 500 || end.provider_status == 429;
}

bool moves_on(const provider::FailurePolicy* on, const FlightEnd& end) {
    if (on == nullptr || end.entry)
        return false;
    return end.error ? on->covers(end.error->code) : on->covers_status(end.provider_status);
}

bool tells(const Flight::News& news) {
    return std::ranges::any_of(news.blocks, [](const auto& block) { return !block->comment; });
}

std::string result_of(const FlightEnd& end) {
    if (end.entry)
        return "200";
    if (!end.error)
        return std::to_string(end.provider_status);
    switch (end.error->code) {
    case ErrorCode::kTimeout:
        return "timeout";
    case ErrorCode::kProviderUnavailable:
        return "unavailable";
    case ErrorCode::kProviderOverloaded:
        return "left-alone";
    case ErrorCode::kProviderUnconfigured:
        return "unconfigured";
    case ErrorCode::kProviderUnreadable:
        return "unreadable";
    case ErrorCode::kProviderRejected:
        return "refused";
    default:
        return "failed";
    }
}

FlightEnd end_without_first_byte(const provider::Target& target, std::chrono::milliseconds bound) {
    FlightEnd end;
    end.error =
        Error{.code = ErrorCode::kTimeout,
              .message = "provider " + target.provider->name + " sent no first byte within " +
                         std::to_string(bound.count()) + " ms"};
    return end;
}

Result<RouteChoice> Gateway::choose_route(const Settings& settings, const Inquiry& inquiry,
                                          const json::Document& body, const protocol::Call& call) {
    const provider::Catalog& catalog = settings.catalog;
    RouteChoice choice;
    LARDER_TRY(const Asked asked, read_asked(catalog, inquiry, call));
    if (asked.route == nullptr && !asked.mode)
        return choice;
    const provider::Route* route = asked.route;
    if (route == nullptr) {
        LARDER_TRY(provider::Route made,
                   make_route(catalog, *asked.mode, call.provider, call.model));
        made.name = provider::name_of(*asked.mode);
        choice.made = std::make_shared<const provider::Route>(std::move(made));
    } else if (asked.mode && *asked.mode != route->mode) {
        auto other = std::make_shared<provider::Route>(*route);
        other->mode = *asked.mode;
        choice.made = std::move(other);
    }
    if (choice.made)
        route = choice.made.get();
    choice.route = route->name;
    choice.mode = route->mode;
    // Any route of the walk may be sticky.
    const std::string session = inquiry.session.empty()
                                    ? protocol::session_of(inquiry.dialect, body)
                                    : std::string(inquiry.session);
    const RouteQuestion question{.needs = protocol::read_needs(inquiry.dialect, body, call),
                                 .stream = call.stream,
                                 .user = inquiry.user,
                                 .session = session,
                                 .now_us = async::Deadlines::now_us(),
                                 .random = random_u64()};
    choice.candidates =
        order_route(catalog, *route, question, {breakers_, health_, route_counters_});
    if (choice.candidates.empty())
        return fail(ErrorCode::kModelNotFound,
                    "the route " + choice.route + " has no model to ask");
    hold_back(choice);
    return choice;
}

Result<Plan> Gateway::plan(std::shared_ptr<const Settings> settings, const Inquiry& inquiry) {
    RequestReading reading;
    LARDER_CHECK(read_request(reading, settings, inquiry));
    const protocol::Call& call = reading.base.call;
    Plan plan;
    plan.settings = settings;
    LARDER_TRY(plan.choice, choose_route(*settings, inquiry, reading.body, call));
    if (plan.is_routed()) {
        LARDER_CHECK(add_ways(plan, reading, inquiry));
        return plan;
    }
    LARDER_TRY(provider::Target target, settings->catalog.resolve(call.provider, call.model));
    Way& only = plan.ways.emplace_back();
    LARDER_TRY(only.prepared, aim(reading, inquiry, std::move(target), nullptr));
    return plan;
}

/// Those that can't take the request as it is are left out, unless none can.
Result<void> Gateway::add_ways(Plan& plan, const RequestReading& reading,
                               const Inquiry& inquiry) const {
    std::optional<Error> refusal;
    std::size_t made_bytes = 0;
    for (const RouteCandidate& candidate : plan.choice.candidates) {
        provider::Target target{.provider = candidate.provider,
                                .model = candidate.model,
                                .deployment = candidate.deployment,
                                .retries = candidate.retries};
        Way way{.prepared = {},
                .is_bare = !plan.ways.empty() && made_bytes > kSpareBodies,
                .on = candidate.on,
                .first_byte_timeout = candidate.first_byte_timeout};
        if (way.is_bare) {
            way.prepared.target = std::move(target);
        } else if (auto prepared = aim(reading, inquiry, std::move(target), nullptr)) {
            way.prepared = *std::move(prepared);
            made_bytes += way.prepared.upstream_body.size();
        } else {
            if (!refusal)
                refusal = std::move(prepared).error();
            made_bytes += inquiry.body.size();
            continue;
        }
        plan.ways.push_back(std::move(way));
    }
    if (plan.ways.empty())
        return std::unexpected(*std::move(refusal));
    plan.ways.back().on = nullptr;
    return {};
}

Result<Prepared> Gateway::take_way(Plan& plan, const Inquiry& inquiry, std::size_t way) const {
    Way& taken = plan.ways[way];
    // The last one has its provider's own patience; before it another one is sooner asked.
    if (taken.on != nullptr && !taken.prepared.target.retries)
        taken.prepared.target.retries = 0;
    if (!taken.is_bare)
        return std::move(taken.prepared);
    RequestReading reading;
    LARDER_CHECK(read_request(reading, plan.settings, inquiry));
    LARDER_TRY(Prepared prepared, aim(reading, inquiry, std::move(taken.prepared.target), nullptr));
    taken.prepared.key = prepared.key;
    return prepared;
}

/// It says something of this model only, and to routes only: who asked decides how much work its
/// answer is, and must not shut the provider for others.
void Gateway::note_timeout(const provider::Target& target) {
    const provider::Breaker& rule = target.provider->breaker;
    const std::int64_t now_us = async::Deadlines::now_us();
    health_.of(target.provider->name, target.model)
        ->timed_out(rule.failures, now_us + rule.probe_after.count() * 1000);
}

/// The look-ups of a plan's ways, which go on side by side.
struct Gateway::WayLookUps {
    WayLookUps(std::size_t ways, Executor executor) : looked(ways), done(executor) {}
    std::vector<LookedUp> looked;
    std::size_t open = 0;
    async::Signal done;
};

Task<void> Gateway::look_up_way(std::shared_ptr<WayLookUps> lookups, std::size_t way,
                                llm::Fingerprint key, Directives directives, bool wants_lease,
                                std::chrono::microseconds wait) {
    async::TimeBudget budget(wait);
    try {
        lookups->looked[way] = co_await look_up(key, directives, wants_lease, budget);
    } catch (const std::exception&) { // out of memory: then it is asked for
        lookups->looked[way] = {};
    }
    if (--lookups->open == 0)
        lookups->done.notify();
}

Task<PlanLookUp> Gateway::look_up(Plan& plan, const Directives& directives, bool wants_lease,
                                  async::TimeBudget& budget) {
    PlanLookUp result;
    if (plan.ways.size() == 1) {
        const Prepared& only = plan.ways.front().prepared;
        if (!only.may_read)
            co_return result;
        LookedUp looked = co_await look_up(only.key, directives, wants_lease, budget);
        result.found = std::move(looked.found);
        result.claim = std::move(looked.claim);
        co_return result;
    }
    const auto take = [&](std::size_t way, std::optional<Found> found) {
        const bool better = found && (!result.found || (found->fresh && !result.found->fresh));
        if (better) {
            result.way = way;
            result.found = std::move(found);
        }
    };
    for (std::size_t i = 0; i < plan.ways.size(); ++i) {
        if (plan.ways[i].prepared.may_read)
            take(i, find_kept(plan.ways[i].prepared.key, directives));
    }
    if (result.found && result.found->fresh && is_confirmed(*result.found->entry))
        co_return result;
    const Executor executor = thread_state().context.get_executor();
    const auto lookups = std::make_shared<WayLookUps>(plan.ways.size(), executor);
    const async::TimeBudget::Spending spending(budget);
    for (std::size_t i = 0; i < plan.ways.size(); ++i) {
        const Prepared& prepared = plan.ways[i].prepared;
        if (!prepared.may_read)
            continue;
        ++lookups->open;
        async::spawn("look-up of a route", executor,
                     look_up_way(lookups, i, prepared.key, directives, wants_lease && i == 0,
                                 budget.left()));
    }
    while (lookups->open > 0) // some may be over before the next one begins
        co_await lookups->done.wait();
    result = {};
    result.claim = std::move(lookups->looked.front().claim);
    for (std::size_t i = 0; i < plan.ways.size(); ++i)
        take(i, std::move(lookups->looked[i].found));
    co_return result;
}

} // namespace larder::gateway
