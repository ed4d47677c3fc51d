// Look-up, reuse and overflow of a shard's counters.
#include "limit/subject_table.hpp"

#include <algorithm>

namespace larder::limit {

namespace {

/// A window of one's own can't be shared strictly: one that shares may have begun in the middle of
/// it. No span of `window` with more than `max` is stricter than any fixed window.
Shape shared_shape(Shape shape) {
    if (shape.algorithm == Algorithm::kFixed)
        shape.algorithm = Algorithm::kSliding;
    return shape;
}

Asked shared(Asked asked) {
    asked.shape = shared_shape(asked.shape);
    return asked;
}

} // namespace

SubjectTable::SubjectTable(std::size_t own_max, std::size_t overflow)
    : own_max_(std::min<std::size_t>(own_max, kNone - 1)),
      overflow_count_(std::max<std::size_t>(overflow, 1)), buckets_(16, kNone) {}

Decision SubjectTable::take(const SubjectKey& key, const Asked& asked, Held* held) {
    std::uint32_t index = find(key);
    if (index != kNone) [[likely]]
        return take_own(index, asked, held);
    if (Counter* counter = overflow_in_use(key, asked.rule_id, asked.now_ms))
        return take_of(*counter, shared(asked), held);
    index = obtain(asked.now_ms);
    if (index == kNone)
        return take_of(overflow_of(key, asked.rule_id), shared(asked), held);
    put(index, key, asked.rule_id);
    return take_own(index, asked, held);
}

Decision SubjectTable::look(const SubjectKey& key, const Asked& asked) {
    if (const std::uint32_t index = find(key); index != kNone)
        return at(index).counter.look(asked.shape, asked.now_ms, asked.amount);
    if (Counter* counter = overflow_in_use(key, asked.rule_id, asked.now_ms))
        return counter->look(shared_shape(asked.shape), asked.now_ms, asked.amount);
    Counter unused;
    return unused.look(asked.shape, asked.now_ms, asked.amount);
}

void SubjectTable::undo(const SubjectKey& key, const Asked& asked) {
    if (const std::uint32_t index = find(key); index != kNone)
        at(index).counter.undo(asked.amount);
    else
        overflow_of(key, asked.rule_id).undo(asked.amount);
}

void SubjectTable::give_back(const SubjectKey& key, const Held& held, std::int64_t now_ms) {
    const Shape shape{.algorithm = held.algorithm,
                      .window_ms = static_cast<std::uint32_t>(held.window_ms),
                      .max = static_cast<std::uint32_t>(held.max)};
    if (const std::uint32_t index = find(key); index != kNone)
        at(index).counter.give_back(shape, held.mark, held.amount, now_ms);
    else if (overflow_[held.rule_id])
        overflow_of(key, held.rule_id).give_back(shape, held.mark, held.amount, now_ms);
}

std::uint32_t SubjectTable::find(const SubjectKey& key) {
    std::uint32_t index = bucket_of(key);
    while (index != kNone && !(at(index).key == key))
        index = at(index).next_in_bucket;
    return index;
}

Decision SubjectTable::take_own(std::uint32_t index, const Asked& asked, Held* held) {
    Slot& slot = at(index);
    const Decision decision = take_of(slot.counter, asked, held);
    if (decision.reset_epoch_ms != slot.free_at) {
        slot.free_at = decision.reset_epoch_ms;
        if (lists_[slot.rule_id].newest != index) {
            unlink(index);
            link_newest(index);
        }
    }
    return decision;
}

Decision SubjectTable::take_of(Counter& counter, const Asked& asked, Held* held) {
    const Decision decision = counter.take(asked.shape, asked.now_ms, asked.amount);
    if (held != nullptr && decision.allowed) {
        held->algorithm = asked.shape.algorithm;
        held->mark = counter.mark();
    }
    return decision;
}

Counter* SubjectTable::overflow_in_use(const SubjectKey& key, std::uint8_t rule_id,
                                       std::int64_t now_ms) {
    if (!overflow_[rule_id])
        return nullptr;
    Counter& counter = overflow_of(key, rule_id);
    return counter.is_free(now_ms) ? nullptr : &counter;
}

Counter& SubjectTable::overflow_of(const SubjectKey& key, std::uint8_t rule_id) {
    if (!overflow_[rule_id])
        overflow_[rule_id] = std::make_unique<Counter[]>(overflow_count_);
    return overflow_[rule_id][key.high % overflow_count_];
}

/// A slot that is in no bucket and no list, or kNone.
std::uint32_t SubjectTable::obtain(std::int64_t now_ms) {
    if (const std::uint32_t index = release_free(now_ms); index != kNone)
        return index;
    if (size_ >= own_max_)
        return release_light(now_ms);
    if (slots_ % kChunk == 0)
        chunks_.push_back(std::make_unique<Slot[]>(kChunk));
    return slots_++;
}

std::uint32_t SubjectTable::release_free(std::int64_t now_ms) {
    for (const List& list : lists_) {
        const std::uint32_t index = list.oldest;
        if (index == kNone || at(index).free_at > now_ms)
            continue;
        remove(index);
        return index;
    }
    return kNone;
}

std::uint32_t SubjectTable::release_light(std::int64_t now_ms) {
    for (List& list : lists_) {
        if (const std::uint32_t index = release_light_of(list, now_ms); index != kNone)
            return index;
    }
    return kNone;
}

/// Looks at a few of the oldest only; those that must stay go to the list's other end, so that the
/// next look sees others.
std::uint32_t SubjectTable::release_light_of(List& list, std::int64_t now_ms) {
    constexpr int kLooks = 4;
    for (int look = 0; look < kLooks && list.oldest != kNone; ++look) {
        const std::uint32_t index = list.oldest;
        Slot& slot = at(index);
        const std::uint64_t used = slot.counter.used(now_ms);
        if (used * 2 <= slot.counter.max()) {
            const Shape shape = shared_shape(slot.counter.shape());
            overflow_of(slot.key, slot.rule_id).absorb(shape, used, now_ms);
            remove(index);
            return index;
        }
        slot.free_at = slot.counter.free_at(now_ms);
        unlink(index);
        link_newest(index);
    }
    return kNone;
}

void SubjectTable::put(std::uint32_t index, const SubjectKey& key, std::uint8_t rule_id) {
    if (size_ >= buckets_.size())
        grow_buckets();
    Slot& slot = at(index);
    slot.key = key;
    slot.rule_id = rule_id;
    slot.free_at = 0;
    slot.counter.clear();
    std::uint32_t& bucket = bucket_of(key);
    slot.next_in_bucket = bucket;
    bucket = index;
    link_newest(index);
    ++size_;
}

void SubjectTable::remove(std::uint32_t index) {
    std::uint32_t* link = &bucket_of(at(index).key);
    while (*link != index)
        link = &at(*link).next_in_bucket;
    *link = at(index).next_in_bucket;
    unlink(index);
    --size_;
}

void SubjectTable::link_newest(std::uint32_t index) {
    List& list = lists_[at(index).rule_id];
    at(index).newer = kNone;
    at(index).older = list.newest;
    (list.newest == kNone ? list.oldest : at(list.newest).newer) = index;
    list.newest = index;
}

void SubjectTable::unlink(std::uint32_t index) {
    const Slot& slot = at(index);
    List& list = lists_[slot.rule_id];
    (slot.newer == kNone ? list.newest : at(slot.newer).older) = slot.older;
    (slot.older == kNone ? list.oldest : at(slot.older).newer) = slot.newer;
}

void SubjectTable::grow_buckets() {
    buckets_.assign(buckets_.size() * 2, kNone);
    for (const List& list : lists_) {
        for (std::uint32_t index = list.newest; index != kNone; index = at(index).older) {
            std::uint32_t& bucket = bucket_of(at(index).key);
            at(index).next_in_bucket = bucket;
            bucket = index;
        }
    }
}

} // namespace larder::limit
