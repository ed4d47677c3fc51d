// Builds the calls of the scripts, reads what they answer, and decides by itself where they don't.
#include "limit/redis_limiter.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"
#include "limit/blocked.hpp"
#include "limit/counter.hpp"
#include "limit/store_loss.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <span>

namespace larder::limit {

namespace {

using Microseconds = std::chrono::microseconds;

constexpr std::int64_t kMarkerMs = 60'000; // how long a cancel may be repeated
constexpr Microseconds kLateCancelLimit{1'000'000};
constexpr Microseconds kBeatLimit{1'000'000};
constexpr std::string_view kNodeSeenMs = "30000";
constexpr std::string_view kNodesKeptMs = "60000";
constexpr int kBeatSeconds = 10;
constexpr int kFirstBeatSeconds = 5;
constexpr int kFirstBeats = 6;

std::string_view letter_of(Algorithm algorithm) {
    switch (algorithm) {
    case Algorithm::kSliding:
        return "s";
    case Algorithm::kFixed:
        return "f";
    case Algorithm::kGcra:
        return "g";
    }
    return "s";
}

/// `limit:{u<hash>}:`: all counters of one subject are in one slot, and no name tells whose.
std::string key_stem(std::string_view prefix, Subject::Kind kind, std::string_view id) {
    const Sha256 digest = sha256(id);
    std::string stem(prefix);
    stem += kind == Subject::Kind::kUser ? ":{u" : ":{a";
    stem += text::base64url({reinterpret_cast<const char*>(digest.data()), digest.size() / 2});
    return stem += "}:";
}

/// The places in `items` of each subject, in the order of their first.
template <class Item>
std::vector<std::vector<std::size_t>> by_subject(const std::vector<Item>& items) {
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto same = std::ranges::find_if(groups, [&](const std::vector<std::size_t>& group) {
            return items[group[0]].kind == items[i].kind && items[group[0]].id == items[i].id;
        });
        if (same == groups.end())
            groups.push_back({i});
        else
            same->push_back(i);
    }
    return groups;
}

redis::ScriptCall reserve_call(std::string_view prefix, const std::vector<Charge>& charges,
                               std::span<const std::size_t> group) {
    redis::ScriptCall call;
    const std::string stem = key_stem(prefix, charges[group[0]].kind, charges[group[0]].id);
    for (const std::size_t i : group) {
        const Shape shape = shape_of(*charges[i].rule);
        call.keys.push_back(stem + std::to_string(charges[i].rule_id));
        call.args.emplace_back(letter_of(shape.algorithm));
        call.args.push_back(std::to_string(shape.window_ms));
        call.args.push_back(std::to_string(shape.max));
        call.args.push_back(std::to_string(charges[i].amount));
    }
    return call;
}

redis::ScriptCall cancel_call(std::string_view prefix, const std::vector<Held>& held,
                              std::span<const std::size_t> group, std::string_view id) {
    redis::ScriptCall call;
    const std::string stem = key_stem(prefix, held[group[0]].kind, held[group[0]].id);
    (call.keys.emplace_back(stem) += "cancel:") += id;
    call.args.push_back(std::to_string(kMarkerMs));
    for (const std::size_t i : group) {
        call.keys.push_back(stem + std::to_string(held[i].rule_id));
        call.args.emplace_back(letter_of(held[i].algorithm));
        for (const std::int64_t number :
             {held[i].window_ms, held[i].max, held[i].amount, held[i].mark})
            call.args.push_back(std::to_string(number));
    }
    call.idempotent = true; // by its marker
    return call;
}

/// Up to here Lua's numbers are exact: the scripts answer nothing beyond.
bool is_time(const redis::Reply& item) {
    return item.integer >= 0 && item.integer <= (std::int64_t{1} << 53);
}

/// What a script answered for one subject's charges.
struct Answer {
    std::size_t refused = 0; // its number in the group, from 1; 0: none
    std::vector<Decision> decisions;
    std::vector<std::int64_t> marks;
};

Result<Answer> read_answer(const redis::Reply& reply, const std::vector<Charge>& charges,
                           std::span<const std::size_t> group) {
    constexpr std::size_t kHead = 2;
    constexpr std::size_t kEach = 5;
    const auto is_integer = [](const redis::Reply& item) {
        return item.kind == redis::Reply::Kind::kInteger;
    };
    if (reply.items.size() != kHead + kEach * group.size() ||
        !std::ranges::all_of(reply.items, is_integer) || reply.items[0].integer < 0 ||
        static_cast<std::size_t>(reply.items[0].integer) > group.size() || !is_time(reply.items[1]))
        return fail(ErrorCode::kStore, "its answer can't be read");
    Answer answer{.refused = static_cast<std::size_t>(reply.items[0].integer)};
    for (std::size_t i = 0; i < group.size(); ++i) {
        const redis::Reply* item = &reply.items[kHead + kEach * i];
        if (!is_time(item[2]) || !is_time(item[3]))
            return fail(ErrorCode::kStore, "its answer can't be read");
        answer.decisions.push_back({.allowed = item[0].integer != 0,
                                    .limit = shape_of(*charges[group[i]].rule).max,
                                    .remaining = item[1].integer,
                                    .reset_epoch_ms = item[2].integer,
                                    .retry_after_ms = item[3].integer,
                                    .decided_at_ms = reply.items[1].integer});
        answer.marks.push_back(item[4].integer);
    }
    return answer;
}

Held held_of(const Charge& charge, std::int64_t mark) {
    const Shape shape = shape_of(*charge.rule);
    return {.rule_id = charge.rule_id,
            .kind = charge.kind,
            .id = charge.id,
            .algorithm = shape.algorithm,
            .window_ms = shape.window_ms,
            .max = shape.max,
            .amount = charge.amount,
            .mark = mark};
}

} // namespace

struct RedisLimiter::State {
    State(redis::Client& the_client, async::Runtime& the_runtime, RedisLimiterSettings the_settings,
          TimeSource the_source)
        : client(the_client), runtime(the_runtime), settings(std::move(the_settings)),
          source(the_source), health(settings.clock, settings.on_store_loss, settings.on_health),
          policy(settings.on_store_loss, settings.local) {}

    Task<Result<redis::Reply>> run(const redis::Script& script, redis::ScriptCall call,
                                   std::int64_t now_ms, Microseconds within);
    Task<Result<Answer>> ask(const std::vector<Charge>& charges,
                             const std::vector<std::size_t>& group, std::int64_t now_ms,
                             async::TimeBudget& budget);
    /// False where the store may not have done it.
    Task<bool> try_cancel(const Reservation& reservation, std::int64_t now_ms,
                          async::TimeBudget& budget);
    Task<void> beat_once();
    [[nodiscard]] std::string next_id() {
        return settings.node_id + '.' + std::to_string(reservations.fetch_add(1));
    }

    redis::Client& client;
    async::Runtime& runtime;
    RedisLimiterSettings settings;
    TimeSource source;
    StoreHealth health;
    LossPolicy policy;
    BlockedSubjects blocked;
    std::atomic<std::uint64_t> reservations = 0;
    std::atomic<bool> stopped = false;

    static Task<void> give_back(std::shared_ptr<State> state, Reservation reservation,
                                std::int64_t now_ms, async::TimeBudget& budget);
    static Task<void> give_back_late(std::shared_ptr<State> state, Reservation reservation,
                                     std::int64_t now_ms);
    static Task<void> beat(std::shared_ptr<State> state);
};

Task<Result<redis::Reply>> RedisLimiter::State::run(const redis::Script& script,
                                                    redis::ScriptCall call, std::int64_t now_ms,
                                                    Microseconds within) {
    if (source == TimeSource::kArgument)
        call.args.push_back(std::to_string(now_ms));
    auto reply = co_await client.script(script, std::move(call), within);
    if (!reply)
        health.failed(reply.error());
    else
        health.answered();
    co_return reply;
}

Task<Result<Answer>> RedisLimiter::State::ask(const std::vector<Charge>& charges,
                                              const std::vector<std::size_t>& group,
                                              std::int64_t now_ms, async::TimeBudget& budget) {
    if (budget.is_spent()) {
        const Error error{.code = ErrorCode::kTimeout,
                          .message = "a request's time for its stores was spent"};
        health.failed(error);
        co_return std::unexpected(error);
    }
    const async::TimeBudget::Spending spending(budget);
    auto reply =
        co_await run(reserve_script(source), reserve_call(settings.key_prefix, charges, group),
                     now_ms, budget.left());
    if (!reply)
        co_return std::unexpected(std::move(reply).error());
    auto answer = read_answer(*reply, charges, group);
    if (!answer)
        health.failed(answer.error());
    co_return answer;
}

Task<bool> RedisLimiter::State::try_cancel(const Reservation& reservation, std::int64_t now_ms,
                                           async::TimeBudget& budget) {
    bool done = true;
    for (const std::vector<std::size_t>& group : by_subject(reservation.held)) {
        const async::TimeBudget::Spending spending(budget);
        const auto reply =
            co_await run(cancel_script(source),
                         cancel_call(settings.key_prefix, reservation.held, group, reservation.id),
                         now_ms, budget.left());
        done = done && reply.has_value();
        for (const std::size_t i : group) {
            const Held& held = reservation.held[i];
            blocked.forget(held.rule_id, {held.kind, held.id});
        }
    }
    co_return done;
}

/// Within the budget, and once more behind the caller's back where that was not enough.
Task<void> RedisLimiter::State::give_back(std::shared_ptr<State> state, Reservation reservation,
                                          std::int64_t now_ms, async::TimeBudget& budget) {
    if (reservation.held.empty())
        co_return;
    if (!budget.is_spent() && co_await state->try_cancel(reservation, now_ms, budget))
        co_return;
    const std::size_t thread = async::Runtime::current();
    if (thread < state->runtime.size() && !state->stopped) {
        auto executor = state->runtime.context(thread).get_executor();
        async::spawn("limit cancel", executor,
                     give_back_late(std::move(state), std::move(reservation), now_ms));
    }
}

Task<void> RedisLimiter::State::give_back_late(std::shared_ptr<State> state,
                                               Reservation reservation, std::int64_t now_ms) {
    async::TimeBudget budget(kLateCancelLimit);
    co_await state->try_cancel(reservation, now_ms, budget);
}

Task<void> RedisLimiter::State::beat_once() {
    redis::ScriptCall call;
    call.keys.push_back(settings.key_prefix + ":nodes");
    call.args = {settings.node_id, std::string(kNodeSeenMs), std::string(kNodesKeptMs)};
    call.idempotent = true;
    const auto reply = co_await client.script(nodes_script(), std::move(call), kBeatLimit);
    if (!reply) {
        health.failed(reply.error());
        co_return;
    }
    health.answered();
    policy.set_nodes(reply->integer);
}

/// Looks every second; says that this node is here every few, and each second while the store is
/// lost, so that it is known to be back without any request.
Task<void> RedisLimiter::State::beat(std::shared_ptr<State> state) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    int wait = 0;
    int beats = 0;
    while (!state->stopped) {
        if (wait <= 0 || state->health.is_lost()) {
            co_await state->beat_once();
            wait = ++beats < kFirstBeats ? kFirstBeatSeconds : kBeatSeconds;
        }
        --wait;
        timer.expires_after(std::chrono::seconds(1));
        co_await timer.async_wait(
            asio::as_tuple(asio::use_awaitable_t<Executor>())); // ends by time alone
    }
}

RedisLimiter::RedisLimiter(redis::Client& client, async::Runtime& runtime,
                           RedisLimiterSettings settings, TimeSource source)
    : state_(std::make_shared<State>(client, runtime, std::move(settings), source)) {
    async::spawn("limit nodes", runtime.context(0).get_executor(), State::beat(state_));
}

RedisLimiter::~RedisLimiter() {
    state_->stopped = true;
}

std::optional<Decision> RedisLimiter::try_take(const Rule& rule, std::uint8_t rule_id,
                                               Subject subject, std::int64_t now_ms) {
    if (rule.max <= 0)
        return Decision{.reset_epoch_ms = now_ms, .decided_at_ms = now_ms};
    if (state_->health.is_lost())
        return std::nullopt;
    return state_->blocked.find(rule_id, subject, shape_of(rule),
                                state_->settings.clock.steady_us());
}

Task<Reservation> RedisLimiter::reserve(std::vector<Charge> charges, std::int64_t now_ms,
                                        async::TimeBudget& budget) {
    const std::shared_ptr<State> state = state_;
    Reservation made{.id = state->next_id()};
    made.decisions.assign(charges.size(), {.reset_epoch_ms = now_ms, .decided_at_ms = now_ms});
    std::vector<std::size_t> counted; // of what counts at all
    std::vector<Charge> asked;
    for (std::size_t i = 0; i < charges.size(); ++i) {
        LARDER_ASSERT(charges[i].amount >= 1 && charges[i].rule_id < 8);
        if (charges[i].rule->max <= 0)
            continue;
        counted.push_back(i);
        asked.push_back(charges[i]);
    }
    const std::int64_t asked_us = state->settings.clock.steady_us();
    for (const std::vector<std::size_t>& group : by_subject(asked)) {
        const auto answer = co_await state->ask(asked, group, now_ms, budget);
        if (!answer) {
            co_await State::give_back(state, std::move(made), now_ms, budget);
            co_return state->policy.reserve(std::move(charges), now_ms);
        }
        for (std::size_t i = 0; i < group.size(); ++i) {
            made.decisions[counted[group[i]]] = answer->decisions[i];
            if (answer->refused == 0)
                made.held.push_back(held_of(asked[group[i]], answer->marks[i]));
        }
        if (answer->refused == 0)
            continue;
        const std::size_t refusing = group[answer->refused - 1];
        const Charge& charge = asked[refusing];
        if (charge.amount == 1)
            state->blocked.put(charge.rule_id, {charge.kind, charge.id}, shape_of(*charge.rule),
                               answer->decisions[answer->refused - 1], asked_us);
        Reservation refused{.allowed = false,
                            .refused_by = counted[refusing],
                            .decisions = made.decisions,
                            .id = made.id};
        co_await State::give_back(state, std::move(made), now_ms, budget);
        co_return refused;
    }
    state->policy.count(charges, now_ms);
    co_return made;
}

Task<void> RedisLimiter::cancel(Reservation reservation, std::int64_t now_ms,
                                async::TimeBudget& budget) {
    if (reservation.degraded) {
        state_->policy.give_back(reservation.held, now_ms);
        co_return;
    }
    co_await State::give_back(state_, std::move(reservation), now_ms, budget);
}

LimiterHealth RedisLimiter::health() const {
    return state_->health.get();
}

std::uint64_t RedisLimiter::degraded_decisions() const {
    return state_->policy.decisions();
}

std::size_t RedisLimiter::subjects() const {
    return state_->policy.subjects();
}

std::int64_t RedisLimiter::nodes() const {
    return state_->policy.nodes();
}

std::unique_ptr<Limiter> make_redis_limiter(redis::Client& client, async::Runtime& runtime,
                                            RedisLimiterSettings settings) {
    return std::make_unique<RedisLimiter>(client, runtime, std::move(settings));
}

} // namespace larder::limit
