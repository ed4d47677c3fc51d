// The key of a cached answer: SHA-256 over named, length-delimited values, with a version. Pure,
// any thread.
#pragma once

#include "base/hash.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::llm {

using Fingerprint = Sha256;

/// Collects what can change an answer. The same names and values in the same order give the same
/// fingerprint; no two different sequences share an encoding.
class FingerprintBuilder {
public:
    FingerprintBuilder();
    FingerprintBuilder& add(std::string_view name, std::string_view value);
    [[nodiscard]] Fingerprint finish() const;
    /// What was added, in order.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> parts() const;

private:
    std::string encoded_;
};

} // namespace larder::llm
