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

/// The next of the byte strings that `append_sized` has put into `encoded`.
std::string take_sized(std::string_view& encoded) {
    std::uint64_t length = 0;
    for (std::size_t index = 8; index-- > 0;)
        length = length << 8U | static_cast<unsigned char>(encoded[index]);
    std::string bytes(encoded.substr(8, length));
    encoded.remove_prefix(8 + bytes.size());
    return bytes;
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

std::vector<std::pair<std::string, std::string>> FingerprintBuilder::parts() const {
    std::vector<std::pair<std::string, std::string>> parts;
    std::string_view rest = encoded_;
    (void)take_sized(rest); // the version
    while (!rest.empty()) {
        std::string name = take_sized(rest);
        parts.emplace_back(std::move(name), take_sized(rest));
    }
    return parts;
}

} // namespace larder::llm
