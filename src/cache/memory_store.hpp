// The in-process tier: S3-FIFO by bytes, sharded behind short mutexes that are never held over a
// suspension. Any thread.
#pragma once

#include "cache/entry.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

namespace larder::cache {

struct MemoryStats {
    std::size_t bytes = 0;
    std::size_t entries = 0;
    std::uint64_t evictions = 0;
};

/// Bounded by bytes (entries, their wire forms and the tables themselves). One scan of never
/// repeated keys does not empty it.
class MemoryStore {
public:
    /// `capacity_bytes` 0: nothing is kept. `shards`: a power of two.
    explicit MemoryStore(std::size_t capacity_bytes, std::size_t shards = 16);
    ~MemoryStore();
    MemoryStore(const MemoryStore&) = delete;
    MemoryStore& operator=(const MemoryStore&) = delete;

    /// The entry, whatever its age, or null. Counts as a use.
    [[nodiscard]] EntryPtr get(const llm::Fingerprint& key);
    /// Puts or replaces. An entry over a shard's capacity is not kept.
    void put(const llm::Fingerprint& key, EntryPtr entry);
    /// An entry has grown by a wire form.
    void grew(const llm::Fingerprint& key, std::size_t bytes);
    void erase(const llm::Fingerprint& key);
    void clear();
    [[nodiscard]] MemoryStats stats() const;

private:
    struct Shard;
    std::unique_ptr<Shard[]> shards_;
    std::size_t shard_count_;
};

} // namespace larder::cache
