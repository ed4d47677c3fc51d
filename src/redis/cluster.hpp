// The client of a Redis Cluster: commands go to the node of their key's slot and follow it when it
// moves (Redis Cluster specification, "Redirection and resharding").
#pragma once

#include "async/runtime.hpp"
#include "base/result.hpp"
#include "redis/backends.hpp"
#include "redis/client.hpp"

#include <memory>

namespace larder::redis {

/// An Error where TLS can't be set up; it holds, as the login does, for every node.
Result<std::unique_ptr<Client>> make_cluster_client(async::Runtime& runtime,
                                                    RedisSettings settings);

} // namespace larder::redis
