// Which keys the store on disk may have: 64-bit tags of fingerprints, about 11 bytes each, so that
// a true miss costs no I/O. Any thread.
#pragma once

#include "llm/fingerprint.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace larder::cache {

/// A flat set of 64-bit numbers that are spread evenly. One thread.
class TagSet {
public:
    void add(std::uint64_t tag);
    void erase(std::uint64_t tag);
    [[nodiscard]] bool has(std::uint64_t tag) const;
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t capacity() const { return slots_.size(); }

private:
    [[nodiscard]] std::size_t home(std::uint64_t tag) const;
    [[nodiscard]] std::size_t next(std::size_t at) const {
        return at + 1 == slots_.size() ? 0 : at + 1;
    }
    void grow();
    std::vector<std::uint64_t> slots_; // 0: empty
    std::size_t size_ = 0;
};

class TagIndex {
public:
    /// True for every key until the first `replace`: nothing is known yet.
    [[nodiscard]] bool may_have(const llm::Fingerprint& key) const;
    void add(const llm::Fingerprint& key);
    void erase(const llm::Fingerprint& key);
    /// Forgets everything but `tags`; keys that are added meanwhile may be lost and are the
    /// caller's to add again.
    void replace(const std::vector<std::uint64_t>& tags);
    [[nodiscard]] std::size_t size() const;

    static std::uint64_t tag_of(const llm::Fingerprint& key);

private:
    static constexpr std::size_t kShards = 16;
    struct alignas(64) Shard {
        mutable std::mutex mutex;
        TagSet tags;
    };
    std::array<Shard, kShards> shards_;
    std::atomic<bool> known_ = false;
};

} // namespace larder::cache
