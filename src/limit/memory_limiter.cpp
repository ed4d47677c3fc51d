// The limiter in process: shards of counters, each behind a short mutex.
#include "base/result.hpp"
#include "limit/subject_table.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>
#include <vector>

namespace larder::limit {

namespace {

/// Few subjects stand in one shard, so that small bounds are exact.
std::size_t shards_for(const MemoryLimits& limits) {
    constexpr std::size_t kSubjectsPerShard = 2048;
    const std::size_t least = std::min(limits.users, limits.addresses) / kSubjectsPerShard;
    return std::bit_floor(std::clamp<std::size_t>(least, 1, 32));
}

Held held_of(const Charge& charge) {
    const Shape shape = shape_of(*charge.rule);
    return {.rule_id = charge.rule_id,
            .kind = charge.kind,
            .id = charge.id,
            .window_ms = shape.window_ms,
            .max = shape.max,
            .amount = charge.amount};
}

} // namespace

struct MemoryLimiter::State {
    struct alignas(64) Shard {
        Shard(std::size_t users, std::size_t addresses, std::size_t overflow)
            : tables{SubjectTable(users, overflow), SubjectTable(addresses, overflow)} {}
        mutable std::mutex mutex;
        std::array<SubjectTable, 2> tables; // by Subject::Kind
    };

    explicit State(const MemoryLimits& limits) {
        const std::size_t count = shards_for(limits);
        for (std::size_t i = 0; i < count; ++i) {
            shards.push_back(std::make_unique<Shard>(limits.users / count, limits.addresses / count,
                                                     limits.overflow / count));
        }
    }

    struct Place {
        SubjectKey key;
        std::size_t shard = 0;
        std::size_t kind = 0;
        SubjectTable& table(State& state) const { return state.shards[shard]->tables[kind]; }
    };
    [[nodiscard]] Place place_of(Subject subject, std::uint8_t rule_id) const {
        LARDER_ASSERT(rule_id < kRules);
        const auto kind = static_cast<std::size_t>(subject.kind);
        const SubjectKey key = hash_subject(seed, kind << 8 | rule_id, subject.id);
        return {.key = key, .shard = (key.low >> 48) & (shards.size() - 1), .kind = kind};
    }
    /// The locks of all `places`, taken in the order of the shards.
    [[nodiscard]] std::vector<std::unique_lock<std::mutex>>
    lock(const std::vector<Place>& places) const {
        std::vector<std::size_t> numbers;
        for (const Place& place : places)
            numbers.push_back(place.shard);
        std::ranges::sort(numbers);
        numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
        std::vector<std::unique_lock<std::mutex>> locks;
        for (const std::size_t number : numbers)
            locks.emplace_back(shards[number]->mutex);
        return locks;
    }

    HashSeed seed = random_seed();
    std::vector<std::unique_ptr<Shard>> shards;
};

MemoryLimiter::MemoryLimiter(MemoryLimits limits) : state_(std::make_unique<State>(limits)) {}
MemoryLimiter::~MemoryLimiter() = default;

Decision MemoryLimiter::take(const Rule& rule, std::uint8_t rule_id, Subject subject,
                             std::int64_t now_ms) {
    if (rule.max <= 0)
        return {.allowed = true, .reset_epoch_ms = now_ms, .decided_at_ms = now_ms};
    const State::Place place = state_->place_of(subject, rule_id);
    const std::lock_guard lock(state_->shards[place.shard]->mutex);
    return place.table(*state_).take(
        place.key, {.rule_id = rule_id, .shape = shape_of(rule), .now_ms = now_ms});
}

Reservation MemoryLimiter::reserve_now(const std::vector<Charge>& charges, std::int64_t now_ms) {
    std::vector<State::Place> places;
    std::vector<Asked> asked;
    for (const Charge& charge : charges) {
        LARDER_ASSERT(charge.amount >= 1);
        places.push_back(state_->place_of({charge.kind, charge.id}, charge.rule_id));
        asked.push_back({.rule_id = charge.rule_id,
                         .shape = shape_of(*charge.rule),
                         .now_ms = now_ms,
                         .amount = charge.amount});
    }
    Reservation made;
    const auto locks = state_->lock(places);
    std::vector<std::size_t> taken; // the charge of each held one
    for (std::size_t i = 0; i < charges.size() && made.allowed; ++i) {
        if (charges[i].rule->max <= 0) {
            made.decisions.push_back({.reset_epoch_ms = now_ms, .decided_at_ms = now_ms});
            continue;
        }
        Held held = held_of(charges[i]);
        made.decisions.push_back(places[i].table(*state_).take(places[i].key, asked[i], &held));
        made.allowed = made.decisions.back().allowed;
        if (made.allowed) {
            made.held.push_back(std::move(held));
            taken.push_back(i);
        } else {
            made.refused_by = i;
        }
    }
    if (made.allowed)
        return made;
    for (const std::size_t i : taken)
        places[i].table(*state_).undo(places[i].key, asked[i]);
    made.held.clear();
    made.decisions.clear();
    for (std::size_t i = 0; i < charges.size(); ++i) {
        made.decisions.push_back(charges[i].rule->max > 0
                                     ? places[i].table(*state_).look(places[i].key, asked[i])
                                     : Decision{.reset_epoch_ms = now_ms, .decided_at_ms = now_ms});
    }
    return made;
}

void MemoryLimiter::give_back(const std::vector<Held>& held, std::int64_t now_ms) {
    for (const Held& one : held) {
        const State::Place place = state_->place_of({one.kind, one.id}, one.rule_id);
        const std::lock_guard lock(state_->shards[place.shard]->mutex);
        place.table(*state_).give_back(place.key, one, now_ms);
    }
}

Task<Reservation> MemoryLimiter::reserve(std::vector<Charge> charges, std::int64_t now_ms,
                                         async::TimeBudget& /*budget*/) {
    co_return reserve_now(charges, now_ms);
}

Task<void> MemoryLimiter::cancel(Reservation reservation, std::int64_t now_ms,
                                 async::TimeBudget& /*budget*/) {
    give_back(reservation.held, now_ms);
    co_return;
}

std::size_t MemoryLimiter::subjects() const {
    std::size_t sum = 0;
    for (const auto& shard : state_->shards) {
        const std::lock_guard lock(shard->mutex);
        sum += shard->tables[0].size() + shard->tables[1].size();
    }
    return sum;
}

} // namespace larder::limit
