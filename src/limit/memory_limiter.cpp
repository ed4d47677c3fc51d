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

    HashSeed seed = random_seed();
    std::vector<std::unique_ptr<Shard>> shards;
};

MemoryLimiter::MemoryLimiter(MemoryLimits limits) : state_(std::make_unique<State>(limits)) {}
MemoryLimiter::~MemoryLimiter() = default;

Decision MemoryLimiter::take(const Rule& rule, std::uint8_t rule_id, Subject subject,
                             std::int64_t now_ms) {
    if (rule.max <= 0)
        return {.allowed = true, .reset_epoch_ms = now_ms};
    LARDER_ASSERT(rule_id < kRules);
    const Shape shape = shape_of(rule);
    const auto kind = static_cast<std::size_t>(subject.kind);
    const SubjectKey key = hash_subject(state_->seed, kind << 8 | rule_id, subject.id);
    State::Shard& shard = *state_->shards[(key.low >> 48) & (state_->shards.size() - 1)];
    const std::lock_guard lock(shard.mutex);
    return shard.tables[kind].take(key, rule_id, shape, now_ms);
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
