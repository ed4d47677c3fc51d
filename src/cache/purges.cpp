// The numbers of purges, merged: the same whatever the order.
#include "cache/purges.hpp"

#include <algorithm>

namespace larder::cache {

std::uint64_t PurgeSet::find(const Table& table, std::string_view name) {
    if (table.empty())
        return 0;
    const auto found = table.find(name);
    return found == table.end() ? 0 : found->second;
}

Generations PurgeSet::of(std::string_view name_space, std::string_view model) const {
    return {
        .all = all_, .name_space = find(name_spaces_, name_space), .model = find(models_, model)};
}

std::uint64_t PurgeSet::of(const PurgeScope& scope) const {
    if (scope.kind == PurgeKind::kAll)
        return all_;
    const Table& table = scope.kind == PurgeKind::kNamespace ? name_spaces_ : models_;
    return std::max(all_, find(table, scope.name));
}

bool PurgeSet::holds(const PurgeScope& scope) const {
    if (scope.name.size() > kNameBytesMax)
        return false;
    const Table& table = scope.kind == PurgeKind::kNamespace ? name_spaces_ : models_;
    return name_spaces_.size() + models_.size() < kScopesMax || table.contains(scope.name);
}

bool PurgeSet::merge_all(std::uint64_t generation) {
    if (generation <= all_)
        return false;
    all_ = generation;
    const auto is_older = [generation](const auto& one) { return one.second <= generation; };
    std::erase_if(name_spaces_, is_older);
    std::erase_if(models_, is_older);
    return true;
}

bool PurgeSet::merge(Purge purge) {
    latest_ = std::max(latest_, purge.generation);
    if (purge.generation <= of(purge.scope))
        return false;
    if (purge.scope.kind == PurgeKind::kAll || !holds(purge.scope))
        return merge_all(purge.generation);
    Table& table = purge.scope.kind == PurgeKind::kNamespace ? name_spaces_ : models_;
    table[std::move(purge.scope.name)] = purge.generation;
    return true;
}

Purge PurgeSet::raise(PurgeScope scope, std::int64_t now_ms) {
    Purge purge{.scope = std::move(scope),
                .generation = std::max(
                    latest_ + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms, 0)))};
    if (purge.scope.kind == PurgeKind::kAll || !holds(purge.scope))
        purge.scope = {};
    merge(purge);
    return purge;
}

std::vector<Purge> PurgeSet::list() const {
    std::vector<Purge> purges;
    purges.reserve(name_spaces_.size() + models_.size() + 1);
    if (all_ != 0)
        purges.push_back({.scope = {}, .generation = all_});
    for (const auto& [name, generation] : name_spaces_)
        purges.push_back({{PurgeKind::kNamespace, name}, generation});
    for (const auto& [name, generation] : models_)
        purges.push_back({{PurgeKind::kModel, name}, generation});
    std::ranges::sort(purges, {}, &Purge::generation);
    return purges;
}

} // namespace larder::cache
