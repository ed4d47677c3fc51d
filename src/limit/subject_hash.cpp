// SipHash-1-3 with 128 bits of output.
#include "limit/subject_hash.hpp"

#include "base/hash.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace larder::limit {

namespace {

struct SipState {
    std::uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1;
        v2 += v3;
        v1 = std::rotl(v1, 13) ^ v0;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 = std::rotl(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = std::rotl(v1, 17) ^ v2;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 = std::rotl(v2, 32);
    }
    void absorb(std::uint64_t word) {
        v3 ^= word;
        round();
        v0 ^= word;
    }
    std::uint64_t finish() {
        round();
        round();
        round();
        return v0 ^ v1 ^ v2 ^ v3;
    }
};

} // namespace

HashSeed random_seed() {
    std::array<unsigned char, sizeof(HashSeed)> bytes{};
    random_bytes(bytes);
    return std::bit_cast<HashSeed>(bytes);
}

SubjectKey hash_subject(const HashSeed& seed, std::uint64_t space, std::string_view id) {
    SipState state{.v0 = seed.first ^ 0x736f6d6570736575ULL,
                   .v1 = seed.second ^ 0x646f72616e646f6dULL ^ 0xee,
                   .v2 = seed.first ^ 0x6c7967656e657261ULL,
                   .v3 = seed.second ^ 0x7465646279746573ULL};
    state.absorb(space);
    std::uint64_t word = 0;
    std::size_t at = 0;
    for (; at + sizeof word <= id.size(); at += sizeof word) {
        std::memcpy(&word, id.data() + at, sizeof word);
        state.absorb(word);
    }
    word = 0;
    if (at < id.size())
        std::memcpy(&word, id.data() + at, id.size() - at);
    state.absorb(word | static_cast<std::uint64_t>(id.size()) << 56);
    SubjectKey key;
    state.v2 ^= 0xee;
    key.low = state.finish();
    state.v1 ^= 0xdd;
    key.high = state.finish();
    return key;
}

} // namespace larder::limit
