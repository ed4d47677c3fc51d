#include "redis/backends.hpp"

#include "redis/cluster.hpp"
#include "redis/sentinel.hpp"
#include "redis/standalone.hpp"

namespace larder::redis {

Result<std::unique_ptr<Client>> make_redis_client(async::Runtime& runtime, RedisSettings settings) {
    switch (settings.url.topology) {
    case Topology::kStandalone:
        return make_standalone_client(runtime, std::move(settings));
    case Topology::kSentinel:
        return make_sentinel_client(runtime, std::move(settings));
    case Topology::kCluster:
        return make_cluster_client(runtime, std::move(settings));
    }
    return fail(ErrorCode::kInvalidRequest, "no such topology of Redis");
}

} // namespace larder::redis
