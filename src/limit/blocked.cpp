// A table with one place for each hash: the newest refusal stays.
#include "limit/blocked.hpp"

#include <algorithm>

namespace larder::limit {

namespace {

SubjectKey key_of(const HashSeed& seed, std::uint8_t rule_id, Subject subject) {
    return hash_subject(seed, static_cast<std::uint64_t>(subject.kind) << 8 | rule_id, subject.id);
}

} // namespace

void BlockedSubjects::put(std::uint8_t rule_id, Subject subject, const Shape& shape,
                          const Decision& refusal, std::int64_t asked_us) {
    const std::int64_t until =
        asked_us + std::min<std::int64_t>(refusal.retry_after_ms, kLongestMs) * 1000;
    const SubjectKey key = key_of(seed_, rule_id, subject);
    const std::size_t place = key.low % kEntries;
    {
        const std::lock_guard lock(mutexes_[place % kLocks]);
        entries_[place] = {.key = key,
                           .shape = shape,
                           .refusal = refusal,
                           .asked_us = asked_us,
                           .until_us = until};
    }
    std::int64_t latest = latest_us_.load(std::memory_order_relaxed);
    while (latest < until &&
           !latest_us_.compare_exchange_weak(latest, until, std::memory_order_relaxed)) {
    }
}

std::optional<Decision> BlockedSubjects::find(std::uint8_t rule_id, Subject subject,
                                              const Shape& shape, std::int64_t now_us) {
    if (now_us >= latest_us_.load(std::memory_order_relaxed))
        return std::nullopt;
    const SubjectKey key = key_of(seed_, rule_id, subject);
    const std::size_t place = key.low % kEntries;
    const std::lock_guard lock(mutexes_[place % kLocks]);
    const Entry& entry = entries_[place];
    if (now_us >= entry.until_us || !(entry.key == key) || !(entry.shape == shape))
        return std::nullopt;
    const std::int64_t passed_ms = (now_us - entry.asked_us) / 1000;
    Decision decision = entry.refusal;
    decision.decided_at_ms += passed_ms;
    decision.retry_after_ms = std::max<std::int64_t>(decision.retry_after_ms - passed_ms, 1);
    return decision;
}

void BlockedSubjects::forget(std::uint8_t rule_id, Subject subject) {
    const SubjectKey key = key_of(seed_, rule_id, subject);
    const std::size_t place = key.low % kEntries;
    const std::lock_guard lock(mutexes_[place % kLocks]);
    if (entries_[place].key == key)
        entries_[place].until_us = 0;
}

} // namespace larder::limit
