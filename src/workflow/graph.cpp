#include "workflow/graph.hpp"

#include "workflow/limits.hpp"
#include "workflow/members.hpp"

#include <algorithm>
#include <limits>

namespace larder::workflow {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

std::string field_of(std::size_t node) {
    return "steps[" + std::to_string(node) + "].dependsOn";
}

/// The nodes of one circle, each waiting for the next; begins with the one that came first.
std::vector<std::size_t> circle_among(const std::vector<GraphNode>& nodes,
                                      const std::vector<bool>& is_placed) {
    const auto next_of = [&](std::size_t node) {
        return *std::ranges::find_if(nodes[node].waits_for,
                                     [&](std::size_t other) { return !is_placed[other]; });
    };
    // What is left waits for something that is left: after as many steps one is in a circle.
    std::size_t at =
        static_cast<std::size_t>(std::ranges::find(is_placed, false) - is_placed.begin());
    for (std::size_t i = 0; i < nodes.size(); ++i)
        at = next_of(at);
    std::vector<std::size_t> circle;
    for (std::size_t node = at; circle.empty() || node != at; node = next_of(node))
        circle.push_back(node);
    std::ranges::rotate(circle, std::ranges::min_element(circle));
    return circle;
}

std::unexpected<Error> wait_for_each_other(const std::vector<GraphNode>& nodes,
                                           const std::vector<bool>& is_placed) {
    const std::vector<std::size_t> circle = circle_among(nodes, is_placed);
    std::string names;
    std::string arrows;
    for (std::size_t i = 0; i < circle.size(); ++i) {
        const std::string_view id = nodes[circle[i]].id;
        if (i > 0)
            names += i + 1 == circle.size() ? " and " : ", ";
        names.append(id);
        arrows.append(id).append(" -> ");
    }
    arrows.append(nodes[circle.front()].id);
    if (circle.size() == 1)
        return fail_field(field_of(circle.front()),
                          "the step '" + names + "' depends on itself: " + arrows);
    return fail_field(field_of(circle.front()),
                      "the steps " + names + " wait for each other: " + arrows);
}

} // namespace

Result<GraphOrder> order_of(const std::vector<GraphNode>& nodes) {
    GraphOrder order;
    order.depths.assign(nodes.size(), 1);
    std::vector<bool> is_placed(nodes.size(), false);
    const auto is_ready = [&](std::size_t node) {
        return !is_placed[node] &&
               std::ranges::all_of(nodes[node].waits_for,
                                   [&](std::size_t other) { return is_placed[other]; });
    };
    while (order.nodes.size() < nodes.size()) {
        std::size_t next = kNone;
        for (std::size_t node = 0; node < nodes.size() && next == kNone; ++node)
            if (is_ready(node))
                next = node;
        if (next == kNone)
            return wait_for_each_other(nodes, is_placed);
        is_placed[next] = true;
        order.nodes.push_back(next);
        for (const std::size_t other : nodes[next].waits_for)
            order.depths[next] = std::max(order.depths[next], order.depths[other] + 1);
        if (order.depths[next] > kDeepestChain)
            return too_large(field_of(next), "the step '" + std::string(nodes[next].id) +
                                                 "' ends a chain of more than " +
                                                 std::to_string(kDeepestChain) +
                                                 " steps that wait for each other");
    }
    return order;
}

} // namespace larder::workflow
