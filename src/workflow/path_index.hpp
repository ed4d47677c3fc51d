// Finds what paths lead to in a JSON value, many times: the members of a large object and the
// elements of a large array are put in order once. On one thread.
#pragma once

#include "base/json.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace larder::workflow {

/// All values that it is given are of one document, which outlives it.
class PathIndex {
public:
    /// What stands at `path`, names of members or indexes, below `value`. nullopt: nothing.
    std::optional<json::Value> follow(json::Value value, std::span<const std::string> path);
    /// One step of it.
    std::optional<json::Value> child(json::Value value, std::string_view part);

private:
    struct Entry {
        std::size_t order = 0;   // a name's hash, or an index
        std::uint32_t value = 0; // of its node
    };
    const std::vector<Entry>& entries_of(json::Value value);

    std::unordered_map<std::uint32_t, std::vector<Entry>> entries_; // by the container's node
};

} // namespace larder::workflow
