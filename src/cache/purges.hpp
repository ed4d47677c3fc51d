// Purges: which entries have ended before their time, told by a number for everything, for each
// namespace and for each model. One thread.
#pragma once

#include "cache/entry.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace larder::cache {

enum class PurgeKind : std::uint8_t { kAll = 0, kNamespace = 1, kModel = 2 };

/// What a purge ends.
struct PurgeScope {
    PurgeKind kind = PurgeKind::kAll;
    std::string name; // empty for everything
    bool operator==(const PurgeScope&) const = default;
};

/// Numbers rise and include the time (ms since the epoch), so that no number is given twice.
struct Purge {
    PurgeScope scope;
    std::uint64_t generation = 0;
    bool operator==(const Purge&) const = default;
};

/// The latest purge of each scope. What it says depends only on which purges were merged, not on
/// their order, so that programs that know the same say the same. Bounded: beyond kScopesMax
/// scopes, and for absurdly long names, a purge is one of everything, which ends all older ones.
class PurgeSet {
public:
    static constexpr std::size_t kScopesMax = 10'000;
    static constexpr std::size_t kNameBytesMax = 512;

    /// What an entry must have been made under to be valid. A scope that was never purged, or not
    /// since everything was, is 0.
    [[nodiscard]] Generations of(std::string_view name_space, std::string_view model) const;
    /// The number that ended what `scope` names: its own, or the one of everything.
    [[nodiscard]] std::uint64_t of(const PurgeScope& scope) const;
    /// The larger number of each scope stays. False when nothing has changed.
    bool merge(Purge purge);
    /// A new purge, with a number above all known ones. Returns what it became.
    Purge raise(PurgeScope scope, std::int64_t now_ms);
    /// All of them, the oldest first.
    [[nodiscard]] std::vector<Purge> list() const;
    [[nodiscard]] bool empty() const {
        return all_ == 0 && name_spaces_.empty() && models_.empty();
    }

private:
    using Table = std::map<std::string, std::uint64_t, std::less<>>;
    static std::uint64_t find(const Table& table, std::string_view name);
    [[nodiscard]] bool holds(const PurgeScope& scope) const;
    bool merge_all(std::uint64_t generation);

    std::uint64_t latest_ = 0; // of all ever seen
    std::uint64_t all_ = 0;
    Table name_spaces_; // only what is above all_
    Table models_;
};

} // namespace larder::cache
