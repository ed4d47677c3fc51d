// Which step comes after which: an order, depths, and what is wrong with a circle. Pure.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::workflow {

struct GraphNode {
    std::string_view id;
    std::vector<std::size_t> waits_for; // indexes of nodes
};

struct GraphOrder {
    std::vector<std::size_t> nodes; // each after what it waits for, else as they came
    std::vector<int> depths;        // by node: how many of the longest chain that ends in it
};

/// kInvalidRequest where nodes wait for each other: the message has them in order. kTooLarge beyond
/// kDeepestChain. `field` of both: "steps[3].dependsOn".
Result<GraphOrder> order_of(const std::vector<GraphNode>& nodes);

} // namespace larder::workflow
