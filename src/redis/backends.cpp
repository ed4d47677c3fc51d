#include "redis/backends.hpp"

#include "redis/standalone.hpp"

namespace larder::redis {

Result<std::unique_ptr<Client>> make_redis_client(async::Runtime& runtime, RedisSettings settings) {
    switch (settings.url.topology) {
    case Topology::kStandalone:
        return make_standalone_client(runtime, std::move(settings));
    case Topology::kSentinel:
    case Topology::kCluster:
        break;
    }
    return fail(ErrorCode::kInvalidRequest, "this topology is not there yet");
}

} // namespace larder::redis
