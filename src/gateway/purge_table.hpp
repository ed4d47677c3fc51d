// Purge generations: raising one ends all older entries of its scope at once, whatever store they
// are in. Any thread.
#pragma once

#include "cache/entry.hpp"

#include <map>
#include <shared_mutex>
#include <string>
#include <string_view>

namespace larder::gateway {

/// Generations of everything, of namespaces and of models; those never raised are 0. Bounded:
/// beyond kScopes a purge of one scope becomes a purge of all.
class PurgeTable {
public:
    [[nodiscard]] cache::Generations of(std::string_view name_space, std::string_view model) const {
        const std::shared_lock lock(mutex_);
        return {.all = all_,
                .name_space = find(name_spaces_, name_space),
                .model = find(models_, model)};
    }
    void raise_all() {
        const std::unique_lock lock(mutex_);
        ++all_;
    }
    void raise_name_space(std::string_view name) { raise(name_spaces_, name); }
    void raise_model(std::string_view name) { raise(models_, name); }

private:
    using Table = std::map<std::string, std::uint64_t, std::less<>>;
    static constexpr std::size_t kScopes = 10'000;

    static std::uint64_t find(const Table& table, std::string_view name) {
        if (table.empty())
            return 0;
        const auto found = table.find(name);
        return found == table.end() ? 0 : found->second;
    }
    void raise(Table& table, std::string_view name) {
        const std::unique_lock lock(mutex_);
        if (table.size() >= kScopes && !table.contains(name))
            ++all_;
        else
            ++table[std::string(name)];
    }

    mutable std::shared_mutex mutex_;
    std::uint64_t all_ = 0;
    Table name_spaces_;
    Table models_;
};

} // namespace larder::gateway
