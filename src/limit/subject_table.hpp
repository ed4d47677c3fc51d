// The counters of one kind of subject in one shard: own ones up to a bound, then hashed overflow
// ones. Not locked: its shard holds the lock.
#pragma once

#include "limit/counter.hpp"
#include "limit/subject_hash.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace larder::limit {

constexpr std::size_t kRules = 8;

/// One charge as a table sees it.
struct Asked {
    std::uint8_t rule_id = 0;
    Shape shape;
    std::int64_t now_ms = 0;
    std::int64_t amount = 1;
};

/// Own counters stand in a slab; by rule they also stand in a list ordered by when they are free
/// again. What is free is used anew before anything grows. At the bound a subject with at most half
/// of its limit in use gives way: its calls move to its overflow counter, so that it gains nothing.
/// A subject without a counter of its own gets one only while its overflow counter is free.
class SubjectTable {
public:
    SubjectTable(std::size_t own_max, std::size_t overflow);
    /// `held`, if given, learns which counter took it and where: its algorithm and mark.
    Decision take(const SubjectKey& key, const Asked& asked, Held* held = nullptr);
    /// How things stand, without taking.
    Decision look(const SubjectKey& key, const Asked& asked);
    /// Directly after a take, under the same lock: as if it had not been.
    void undo(const SubjectKey& key, const Asked& asked);
    void give_back(const SubjectKey& key, const Held& held, std::int64_t now_ms);
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    static constexpr std::uint32_t kNone = ~0U;
    static constexpr std::uint32_t kChunk = 128;

    struct Slot {
        SubjectKey key;
        std::uint32_t next_in_bucket = kNone;
        std::uint32_t newer = kNone;
        std::uint32_t older = kNone;
        std::uint8_t rule_id = 0;
        std::int64_t free_at = 0;
        Counter counter;
    };
    struct List {
        std::uint32_t newest = kNone;
        std::uint32_t oldest = kNone;
    };

    [[nodiscard]] Slot& at(std::uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }
    [[nodiscard]] std::uint32_t& bucket_of(const SubjectKey& key) {
        return buckets_[key.low & (buckets_.size() - 1)];
    }
    [[nodiscard]] std::uint32_t find(const SubjectKey& key);
    Decision take_own(std::uint32_t index, const Asked& asked, Held* held);
    static Decision take_of(Counter& counter, const Asked& asked, Held* held);
    [[nodiscard]] Counter* overflow_in_use(const SubjectKey& key, std::uint8_t rule_id,
                                           std::int64_t now_ms);
    Counter& overflow_of(const SubjectKey& key, std::uint8_t rule_id);
    std::uint32_t obtain(std::int64_t now_ms);
    std::uint32_t release_free(std::int64_t now_ms);
    std::uint32_t release_light(std::int64_t now_ms);
    std::uint32_t release_light_of(List& list, std::int64_t now_ms);
    void put(std::uint32_t index, const SubjectKey& key, std::uint8_t rule_id);
    void remove(std::uint32_t index);
    void link_newest(std::uint32_t index);
    void unlink(std::uint32_t index);
    void grow_buckets();

    std::size_t own_max_;
    std::size_t overflow_count_;
    std::size_t size_ = 0;
    std::uint32_t slots_ = 0; // ever made
    std::vector<std::unique_ptr<Slot[]>> chunks_;
    std::vector<std::uint32_t> buckets_;
    std::array<List, kRules> lists_;
    std::array<std::unique_ptr<Counter[]>, kRules> overflow_;
};

} // namespace larder::limit
