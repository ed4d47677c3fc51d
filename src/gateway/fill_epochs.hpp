// Counts, by shard of the keys, how often another node has put a newer answer in an older one's
// place: a fill of the memory tier that was overtaken by one takes itself out again. Any thread.
#pragma once

#include "cache/memory_store.hpp"
#include "llm/fingerprint.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace larder::gateway {

/// The order that makes it right: who overwrites moves the epoch, then erases; who fills reads the
/// epoch, asks the store, puts, and erases if the epoch has moved.
class FillEpochs {
public:
    [[nodiscard]] std::uint64_t of(const llm::Fingerprint& key) const {
        return epochs_[key[0]].load(std::memory_order_acquire);
    }
    void move(const llm::Fingerprint& key) {
        epochs_[key[0]].fetch_add(1, std::memory_order_acq_rel);
    }

private:
    std::array<std::atomic<std::uint64_t>, 256> epochs_{};
};

/// Another node has put an answer that was asked for at `asked_ms` in an older one's place.
inline void overwritten(cache::MemoryStore& memory, FillEpochs& epochs, const llm::Fingerprint& key,
                        std::int64_t asked_ms) {
    epochs.move(key);
    const auto entry = memory.get(key);
    if (entry && entry->asked_ms < asked_ms)
        memory.erase(key);
}

} // namespace larder::gateway
