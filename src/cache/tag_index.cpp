// A flat set with linear probing; the home of a tag is a multiplication, so that the table may grow
// by halves and stays tight.
#include "cache/tag_index.hpp"

#include <algorithm>
#include <cstring>

namespace larder::cache {
namespace {

constexpr std::size_t kSlotsMin = 16;
constexpr std::size_t kLoadPercent = 85;

} // namespace

std::size_t TagSet::home(std::uint64_t tag) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::size_t>((static_cast<Wide>(tag) * slots_.size()) >> 64);
}

void TagSet::add(std::uint64_t tag) {
    if (tag == 0)
        tag = 1; // 0 marks an empty slot; a false "may have" does no harm
    if ((size_ + 1) * 100 > slots_.size() * kLoadPercent)
        grow();
    std::size_t at = home(tag);
    while (slots_[at] != 0) {
        if (slots_[at] == tag)
            return;
        at = next(at);
    }
    slots_[at] = tag;
    ++size_;
}

bool TagSet::has(std::uint64_t tag) const {
    if (slots_.empty())
        return false;
    if (tag == 0)
        tag = 1;
    for (std::size_t at = home(tag); slots_[at] != 0; at = next(at)) {
        if (slots_[at] == tag)
            return true;
    }
    return false;
}

void TagSet::erase(std::uint64_t tag) {
    if (tag == 0)
        tag = 1;
    if (!has(tag))
        return;
    std::size_t gap = home(tag);
    while (slots_[gap] != tag)
        gap = next(gap);
    const auto distance = [this](std::size_t from, std::size_t to) {
        return to >= from ? to - from : to + slots_.size() - from;
    };
    for (std::size_t at = next(gap); slots_[at] != 0; at = next(at)) {
        if (distance(home(slots_[at]), at) < distance(gap, at))
            continue; // its home lies behind the gap
        slots_[gap] = slots_[at];
        gap = at;
    }
    slots_[gap] = 0;
    --size_;
}

void TagSet::grow() {
    std::vector<std::uint64_t> old(std::max(kSlotsMin, slots_.size() / 2 * 3), 0);
    old.swap(slots_);
    size_ = 0;
    for (const std::uint64_t tag : old) {
        if (tag != 0)
            add(tag);
    }
}

std::uint64_t TagIndex::tag_of(const llm::Fingerprint& key) {
    std::uint64_t tag = 0;
    std::memcpy(&tag, key.data(), sizeof tag);
    return tag;
}

bool TagIndex::may_have(const llm::Fingerprint& key) const {
    if (!known_.load(std::memory_order_acquire))
        return true;
    const std::uint64_t tag = tag_of(key);
    const auto& shard = shards_[tag % kShards];
    const std::lock_guard lock(shard.mutex);
    return shard.tags.has(tag);
}

void TagIndex::add(const llm::Fingerprint& key) {
    const std::uint64_t tag = tag_of(key);
    auto& shard = shards_[tag % kShards];
    const std::lock_guard lock(shard.mutex);
    shard.tags.add(tag);
}

void TagIndex::erase(const llm::Fingerprint& key) {
    const std::uint64_t tag = tag_of(key);
    auto& shard = shards_[tag % kShards];
    const std::lock_guard lock(shard.mutex);
    shard.tags.erase(tag);
}

void TagIndex::replace(const std::vector<std::uint64_t>& tags) {
    std::array<TagSet, kShards> sets;
    for (const std::uint64_t tag : tags)
        sets[tag % kShards].add(tag);
    for (std::size_t i = 0; i < kShards; ++i) {
        const std::lock_guard lock(shards_[i].mutex);
        std::swap(shards_[i].tags, sets[i]);
    }
    known_.store(true, std::memory_order_release);
}

std::size_t TagIndex::size() const {
    std::size_t total = 0;
    for (const auto& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        total += shard.tags.size();
    }
    return total;
}

} // namespace larder::cache
