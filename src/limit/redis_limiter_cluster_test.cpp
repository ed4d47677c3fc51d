// On a real Cluster: each subject's counters are in one slot, subjects are on different servers.
#include "limit/redis_limiter.hpp"
#include "testing/limit_nodes.hpp"
#include "testing/redis_cluster.hpp"

#include <gtest/gtest.h>

namespace larder::limit {
namespace {

using testing::charge;
using testing::LimitNodes;

TEST(RedisLimiterCluster, CountsAndGivesBackOverSubjectsOnDifferentServers) {
    const testing::RedisCluster cluster;
    LimitNodes nodes({.url = cluster.url(), .nodes = 2, .threads = 2});
    const Rule user{.name = "u", .max = 20};
    const Rule tokens{.name = "k", .max = 1000, .algorithm = Algorithm::kGcra};
    const Rule team{.name = "t", .max = 30, .algorithm = Algorithm::kFixed};
    int accepted = 0;
    for (int i = 0; i < 60; ++i) {
        const std::string id = "u" + std::to_string(i % 12);
        const Reservation made =
            nodes.reserve({charge(user, 0, id), charge(tokens, 1, id, 10), charge(team, 2, "team")},
                          0, static_cast<std::size_t>(i % 2));
        ASSERT_FALSE(made.degraded) << nodes.limiters[0]->health().reason;
        accepted += made.allowed ? 1 : 0;
    }
    EXPECT_EQ(accepted, 30);
    // 30 calls of 12 users were taken, and what the other 30 held of their users was given back.
    std::int64_t left = 0;
    for (int i = 0; i < 12; ++i)
        left += nodes.reserve({charge(user, 0, "u" + std::to_string(i))}).decisions[0].remaining;
    EXPECT_EQ(left, 12 * 20 - 30 - 12);
}

} // namespace
} // namespace larder::limit
