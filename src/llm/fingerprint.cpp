// The encoding under a fingerprint: a version, then for each pair the lengths and bytes of its name
// and value. Lengths are eight bytes each, so no two sequences of pairs have one encoding.
#include "llm/fingerprint.hpp"

namespace larder::llm {

namespace {

// Raise it whenever the meaning of a fingerprinted value changes: old entries are then not found.
constexpr std::string_view kVersion = "larder-fingerprint-1";

void append_sized(std::string& out, std::string_view bytes) {
    std::uint64_t length = bytes.size();
    for (int index = 0; index < 8; ++index) {
        out.push_back(static_cast<char>(length & 0xFFU));
        length >>= 8U;
    }
    out.append(bytes);
}

} // namespace

FingerprintBuilder::FingerprintBuilder() {
    append_sized(encoded_, kVersion);
}

FingerprintBuilder& FingerprintBuilder::add(std::string_view name, std::string_view value) {
    append_sized(encoded_, name);
    append_sized(encoded_, value);
    return *this;
}

Fingerprint FingerprintBuilder::finish() const {
    return sha256(encoded_);
}

} // namespace larder::llm
