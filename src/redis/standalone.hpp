// The client of one server: a Node for each runtime thread, and their common health. Included by
// the factory only.
#pragma once

#include "async/runtime.hpp"
#include "redis/backends.hpp"
#include "redis/client.hpp"
#include "redis/node.hpp"

#include <memory>

namespace larder::redis {

/// What every connection of this client needs to know, from the settings of the whole. An Error
/// where TLS can't be set up.
Result<NodeSettings> node_settings_of(const RedisSettings& settings);

Result<std::unique_ptr<Client>> make_standalone_client(async::Runtime& runtime,
                                                       RedisSettings settings);

} // namespace larder::redis
