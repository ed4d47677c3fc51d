// A keyed 128-bit hash of a subject: SipHash-1-3 (Aumasson, Bernstein) with a key that each process
// draws anew, so that nobody can choose ids that meet. Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::limit {

struct SubjectKey {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const SubjectKey&) const = default;
};

struct HashSeed {
    std::uint64_t first = 0;
    std::uint64_t second = 0;
};
HashSeed random_seed();

/// `space` keeps equal ids of different kinds and rules apart.
SubjectKey hash_subject(const HashSeed& seed, std::uint64_t space, std::string_view id);

} // namespace larder::limit
