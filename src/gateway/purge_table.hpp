// Purge generations: raising one ends all older entries of its scope at once, whatever store they
// are in. Any thread. Outlives the gateway and the store, which both refer to it.
#pragma once

#include "cache/purges.hpp"

#include <mutex>
#include <shared_mutex>
#include <span>
#include <string_view>

namespace larder::gateway {

/// The purges of this program and of those that share its store. Bounded, see `PurgeSet`.
class PurgeTable {
public:
    [[nodiscard]] cache::Generations of(std::string_view name_space, std::string_view model) const {
        const std::shared_lock lock(mutex_);
        return purges_.of(name_space, model);
    }
    /// Ends all older entries of `scope`, at once. Returns what the store must be told.
    cache::Purge raise(cache::PurgeScope scope, std::int64_t now_ms) {
        const std::unique_lock lock(mutex_);
        return purges_.raise(std::move(scope), now_ms);
    }
    /// Takes over what the store knows; the larger number stays.
    void merge(const cache::PurgeScope& scope, std::uint64_t generation) {
        const std::unique_lock lock(mutex_);
        purges_.merge({.scope = scope, .generation = generation});
    }
    void merge(std::span<const cache::Purge> purges) {
        const std::unique_lock lock(mutex_);
        for (const cache::Purge& purge : purges)
            purges_.merge(purge);
    }

private:
    mutable std::shared_mutex mutex_;
    cache::PurgeSet purges_;
};

} // namespace larder::gateway
