// Subjects that a store has refused, until their time has come: a flood of them costs the store
// nothing. Bounded; what has no place is asked for again. Any thread.
#pragma once

#include "limit/counter.hpp"
#include "limit/subject_hash.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace larder::limit {

/// A refusal of one call holds until its retry time: nothing that was counted is free before it,
/// except by a cancel or a store that has lost its data. So it is kept for a few seconds at most.
class BlockedSubjects {
public:
    BlockedSubjects() : entries_(kEntries) {}

    /// `asked_us` is steady time before the store was asked.
    void put(std::uint8_t rule_id, Subject subject, const Shape& shape, const Decision& refusal,
             std::int64_t asked_us);
    /// The refusal as it reads now, if it certainly still holds for this rule.
    [[nodiscard]] std::optional<Decision> find(std::uint8_t rule_id, Subject subject,
                                               const Shape& shape, std::int64_t now_us);
    void forget(std::uint8_t rule_id, Subject subject);

private:
    static constexpr std::size_t kEntries = 4096;
    static constexpr std::size_t kLocks = 64;
    static constexpr std::int64_t kLongestMs = 5000;

    struct Entry {
        SubjectKey key;
        Shape shape;
        Decision refusal;
        std::int64_t asked_us = 0;
        std::int64_t until_us = 0; // 0: nothing is here
    };

    HashSeed seed_ = random_seed();
    std::atomic<std::int64_t> latest_us_ = 0; // when the last of all ends
    std::array<std::mutex, kLocks> mutexes_;  // each of its share of the entries
    std::vector<Entry> entries_;
};

} // namespace larder::limit
