// S3-FIFO (Yang et al., SOSP 2023) by bytes. New keys enter a small queue; what is used there moves
// to the main queue, the rest leaves and is remembered by a ghost; a key that the ghost remembers
// enters the main queue at once. So a scan passes through the small queue only.
#include "cache/memory_store.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <vector>

namespace larder::cache {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;
constexpr std::uint8_t kUsesMax = 3;
/// The small queue's part of the capacity.
constexpr std::size_t kSmallDivisor = 10;
/// A shard takes entries of `cache.max_entry` (1 MiB) with their wire forms.
constexpr std::size_t kShardBytesMin = 4 << 20;
/// One eviction gives at most so many entries of the main queue another round, so that the lock is
/// held briefly.
constexpr int kSecondChancesMax = 128;
constexpr std::size_t kChunkSlots = 256;
constexpr std::size_t kIndexMin = 64;

enum class Queue : std::uint8_t { kFree, kSmall, kMain };

struct Slot {
    llm::Fingerprint key{};
    EntryPtr entry;
    std::uint32_t bytes = 0;
    std::uint32_t older = kNone; // towards the end that is evicted
    std::uint32_t newer = kNone;
    std::uint8_t uses = 0;
    Queue queue = Queue::kFree;
};

/// A slot, and its share of the index and of the ghost at their loosest.
constexpr std::size_t kBookkeepingBytes = sizeof(Slot) + 24;

struct Fifo {
    std::uint32_t oldest = kNone;
    std::uint32_t newest = kNone;
    std::size_t bytes = 0;
};

/// Keys that left lately: a table of hashes with the time of leaving, counted in departures. A
/// collision forgets the older one.
class Ghost {
public:
    void resize(std::size_t size) {
        std::vector<Mark> old(size);
        old.swap(marks_);
        for (const auto& mark : old) {
            if (mark.time != 0)
                marks_[place(mark.hash)] = mark;
        }
    }
    void remember(std::uint64_t hash) {
        if (marks_.empty())
            return;
        time_ = time_ == UINT32_MAX ? 1 : time_ + 1;
        const auto low = static_cast<std::uint32_t>(hash);
        marks_[place(low)] = {low, time_};
    }
    /// True when `hash` was among the last `span` departures; forgets it.
    bool recall(std::uint64_t hash, std::size_t span) {
        if (marks_.empty())
            return false;
        const auto low = static_cast<std::uint32_t>(hash);
        auto& mark = marks_[place(low)];
        if (mark.time == 0 || mark.hash != low || time_ - mark.time >= span)
            return false;
        mark = {};
        return true;
    }

private:
    struct Mark {
        std::uint32_t hash = 0;
        std::uint32_t time = 0;
    };
    [[nodiscard]] std::size_t place(std::uint32_t hash) const { return hash & (marks_.size() - 1); }
    std::vector<Mark> marks_; // a power of two
    std::uint32_t time_ = 0;
};

std::uint64_t hash_of(const llm::Fingerprint& key) {
    std::uint64_t hash = 0;
    std::memcpy(&hash, key.data(), sizeof hash);
    return hash;
}

/// Other bytes than the hash, so that a shard's index is spread.
std::size_t shard_of(const llm::Fingerprint& key, std::size_t shards) {
    std::uint64_t value = 0;
    std::memcpy(&value, key.data() + sizeof value, sizeof value);
    return static_cast<std::size_t>(value) & (shards - 1);
}

/// Entries whose last owner may be us: they are destroyed after the lock is released.
using Leaving = std::vector<EntryPtr>;

} // namespace

struct alignas(64) MemoryStore::Shard {
    mutable std::mutex mutex;
    std::size_t capacity = 0;
    std::size_t entries = 0;
    std::uint64_t evictions = 0;
    Fifo small;
    Fifo main;
    Ghost ghost;
    std::vector<std::unique_ptr<Slot[]>> chunks;
    std::uint32_t free = kNone;       // a list through `newer`
    std::vector<std::uint32_t> index; // open addressing, linear probing, a power of two

    [[nodiscard]] std::size_t bytes() const { return small.bytes + main.bytes; }
    Slot& slot(std::uint32_t id) { return chunks[id / kChunkSlots][id % kChunkSlots]; }
    Fifo& fifo(const Slot& of) { return of.queue == Queue::kSmall ? small : main; }

    [[nodiscard]] std::size_t home(const llm::Fingerprint& key) const {
        return static_cast<std::size_t>(hash_of(key)) & (index.size() - 1);
    }

    std::uint32_t find(const llm::Fingerprint& key) {
        if (index.empty())
            return kNone;
        for (std::size_t at = home(key);; at = (at + 1) & (index.size() - 1)) {
            const std::uint32_t id = index[at];
            if (id == kNone || slot(id).key == key)
                return id;
        }
    }

    void index_insert(std::uint32_t id) {
        std::size_t at = home(slot(id).key);
        while (index[at] != kNone)
            at = (at + 1) & (index.size() - 1);
        index[at] = id;
    }

    /// Closes the gap, so that no tombstones gather.
    void index_erase(const llm::Fingerprint& key) {
        const std::size_t mask = index.size() - 1;
        std::size_t gap = home(key);
        while (slot(index[gap]).key != key)
            gap = (gap + 1) & mask;
        for (std::size_t at = (gap + 1) & mask; index[at] != kNone; at = (at + 1) & mask) {
            const std::size_t distance_home = (at - home(slot(index[at]).key)) & mask;
            if (distance_home < ((at - gap) & mask))
                continue; // its home lies behind the gap
            index[gap] = index[at];
            gap = at;
        }
        index[gap] = kNone;
    }

    /// Room for one more at a load of at most three quarters.
    void grow_index() {
        if ((entries + 1) * 4 <= index.size() * 3)
            return;
        std::vector<std::uint32_t> old(std::max(kIndexMin, index.size() * 2), kNone);
        old.swap(index);
        for (const std::uint32_t id : old) {
            if (id != kNone)
                index_insert(id);
        }
        ghost.resize(index.size() / 2);
    }

    std::uint32_t take_slot() {
        if (free == kNone) {
            const auto first = static_cast<std::uint32_t>(chunks.size() * kChunkSlots);
            chunks.push_back(std::make_unique<Slot[]>(kChunkSlots));
            for (std::uint32_t i = kChunkSlots; i-- > 0;) {
                slot(first + i).newer = free;
                free = first + i;
            }
        }
        const std::uint32_t id = free;
        free = slot(id).newer;
        return id;
    }

    void push(std::uint32_t id, Queue queue) {
        auto& pushed = slot(id);
        pushed.queue = queue;
        auto& to = fifo(pushed);
        pushed.newer = kNone;
        pushed.older = to.newest;
        (to.newest == kNone ? to.oldest : slot(to.newest).newer) = id;
        to.newest = id;
        to.bytes += pushed.bytes;
    }

    void unlink(std::uint32_t id) {
        auto& unlinked = slot(id);
        auto& from = fifo(unlinked);
        (unlinked.newer == kNone ? from.newest : slot(unlinked.newer).older) = unlinked.older;
        (unlinked.older == kNone ? from.oldest : slot(unlinked.older).newer) = unlinked.newer;
        from.bytes -= unlinked.bytes;
    }

    void remove(std::uint32_t id, Leaving& leaving) {
        auto& removed = slot(id);
        unlink(id);
        index_erase(removed.key);
        leaving.push_back(std::move(removed.entry));
        removed.queue = Queue::kFree;
        removed.newer = free;
        free = id;
        --entries;
    }

    /// The small queue gives while it is over its part, but never its only entry: a large new one
    /// would leave at once, however often it is asked for.
    [[nodiscard]] bool small_gives() const {
        if (main.oldest == kNone)
            return true;
        return small.bytes * kSmallDivisor > capacity && small.oldest != small.newest;
    }

    void evict_one(Leaving& leaving) {
        int chances = 0;
        for (;;) {
            const bool from_small = small_gives();
            const std::uint32_t id = from_small ? small.oldest : main.oldest;
            auto& oldest = slot(id);
            if (oldest.uses == 0 || (!from_small && chances == kSecondChancesMax)) {
                if (from_small)
                    ghost.remember(hash_of(oldest.key));
                remove(id, leaving);
                ++evictions;
                return;
            }
            unlink(id);
            if (from_small) { // once in an entry's life, so there is no need to count it
                oldest.uses = 0;
            } else {
                --oldest.uses;
                ++chances;
            }
            push(id, Queue::kMain);
        }
    }

    void evict(Leaving& leaving) {
        while (bytes() > capacity)
            evict_one(leaving);
    }

    void insert(const llm::Fingerprint& key, EntryPtr entry, std::uint32_t size) {
        grow_index();
        const bool known = ghost.recall(hash_of(key), std::max<std::size_t>(entries, kIndexMin));
        const std::uint32_t id = take_slot();
        auto& taken = slot(id);
        taken.key = key;
        taken.entry = std::move(entry);
        taken.bytes = size;
        taken.uses = 0;
        push(id, known ? Queue::kMain : Queue::kSmall);
        index_insert(id);
        ++entries;
    }

    /// Counts `size` instead of what `id` had.
    void resize(std::uint32_t id, std::uint32_t size) {
        auto& resized = slot(id);
        auto& in = fifo(resized);
        in.bytes = in.bytes - resized.bytes + size;
        resized.bytes = size;
    }
};

MemoryStore::MemoryStore(std::size_t capacity_bytes, std::size_t shards) {
    shard_count_ = std::bit_floor(std::max<std::size_t>(shards, 1));
    while (shard_count_ > 1 && capacity_bytes / shard_count_ < kShardBytesMin)
        shard_count_ /= 2;
    shards_ = std::make_unique<Shard[]>(shard_count_);
    for (std::size_t i = 0; i < shard_count_; ++i)
        shards_[i].capacity = capacity_bytes / shard_count_;
}

MemoryStore::~MemoryStore() = default;

EntryPtr MemoryStore::get(const llm::Fingerprint& key) {
    auto& shard = shards_[shard_of(key, shard_count_)];
    const std::lock_guard lock(shard.mutex);
    const std::uint32_t id = shard.find(key);
    if (id == kNone)
        return nullptr;
    auto& found = shard.slot(id);
    if (found.uses < kUsesMax)
        ++found.uses;
    return found.entry;
}

void MemoryStore::put(const llm::Fingerprint& key, EntryPtr entry) {
    LARDER_ASSERT(entry != nullptr);
    const std::size_t size = entry->bytes() + entry->wire_form_bytes() + kBookkeepingBytes;
    Leaving leaving;
    auto& shard = shards_[shard_of(key, shard_count_)];
    const std::lock_guard lock(shard.mutex);
    const std::uint32_t id = shard.find(key);
    if (size > std::min<std::size_t>(shard.capacity, UINT32_MAX)) {
        if (id != kNone)
            shard.remove(id, leaving); // the old answer must not outlive its successor
        return;
    }
    if (id == kNone) {
        shard.insert(key, std::move(entry), static_cast<std::uint32_t>(size));
    } else {
        shard.resize(id, static_cast<std::uint32_t>(size));
        leaving.push_back(std::exchange(shard.slot(id).entry, std::move(entry)));
    }
    shard.evict(leaving);
}

void MemoryStore::grew(const llm::Fingerprint& key, std::size_t bytes) {
    Leaving leaving;
    auto& shard = shards_[shard_of(key, shard_count_)];
    const std::lock_guard lock(shard.mutex);
    const std::uint32_t id = shard.find(key);
    if (id == kNone)
        return;
    const std::uint32_t before = shard.slot(id).bytes;
    if (bytes > std::min<std::size_t>(shard.capacity, UINT32_MAX) - before) {
        shard.remove(id, leaving);
        ++shard.evictions;
        return;
    }
    shard.resize(id, before + static_cast<std::uint32_t>(bytes));
    shard.evict(leaving);
}

void MemoryStore::erase(const llm::Fingerprint& key) {
    Leaving leaving;
    auto& shard = shards_[shard_of(key, shard_count_)];
    const std::lock_guard lock(shard.mutex);
    if (const std::uint32_t id = shard.find(key); id != kNone)
        shard.remove(id, leaving);
}

void MemoryStore::clear() {
    for (std::size_t i = 0; i < shard_count_; ++i) {
        auto& shard = shards_[i];
        decltype(shard.chunks) chunks; // destroyed after the lock is released
        const std::lock_guard lock(shard.mutex);
        chunks.swap(shard.chunks);
        shard.index.clear();
        shard.ghost = {};
        shard.small = {};
        shard.main = {};
        shard.free = kNone;
        shard.entries = 0;
    }
}

MemoryStats MemoryStore::stats() const {
    MemoryStats total;
    for (std::size_t i = 0; i < shard_count_; ++i) {
        const auto& shard = shards_[i];
        const std::lock_guard lock(shard.mutex);
        total.bytes += shard.bytes();
        total.entries += shard.entries;
        total.evictions += shard.evictions;
    }
    return total;
}

} // namespace larder::cache
