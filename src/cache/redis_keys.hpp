// The names of the cache's keys in Redis; docs/storage.md lists them. All keys of one entry are in
// one slot of a Cluster, and all of the purges in another. Immutable; any thread.
#pragma once

#include "llm/fingerprint.hpp"

#include <string>
#include <string_view>

namespace larder::cache {

class RedisKeys {
public:
    /// `prefix` without braces: they would move the hash tag.
    explicit RedisKeys(std::string_view prefix);

    [[nodiscard]] std::string entry(const llm::Fingerprint& key) const;
    /// Who asks the provider: a fencing token.
    [[nodiscard]] std::string lease(const llm::Fingerprint& key) const;
    /// The pieces of the stream that the holder of `token` reads.
    [[nodiscard]] std::string relay(const llm::Fingerprint& key, std::string_view token) const;
    /// Purge scopes and their generations: a hash.
    [[nodiscard]] const std::string& purges() const { return purges_; }
    /// Changes whenever the hash does.
    [[nodiscard]] const std::string& purges_version() const { return purges_version_; }
    /// The channel.
    [[nodiscard]] const std::string& news() const { return news_; }

private:
    std::string entry_prefix_; // up to and with the brace
    std::string purges_;
    std::string purges_version_;
    std::string news_;
};

} // namespace larder::cache
