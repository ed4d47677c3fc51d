// The client of a master that Sentinels watch: it asks them who the master is, and follows it when
// another one takes over.
#pragma once

#include "async/runtime.hpp"
#include "base/result.hpp"
#include "redis/backends.hpp"
#include "redis/client.hpp"

#include <memory>

namespace larder::redis {

/// An Error where TLS can't be set up; it holds for the Sentinels and the servers.
Result<std::unique_ptr<Client>> make_sentinel_client(async::Runtime& runtime,
                                                     RedisSettings settings);

} // namespace larder::redis
