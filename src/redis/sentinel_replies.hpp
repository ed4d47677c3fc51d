// What Sentinels and servers say of who the master is. Pure; any thread.
#pragma once

#include "base/result.hpp"
#include "redis/reply.hpp"
#include "redis/url.hpp"

#include <string_view>

namespace larder::redis {

/// The reply of SENTINEL GET-MASTER-ADDR-BY-NAME. kNotFound when it knows no master of that name.
Result<Endpoint> read_master_address(const Reply& reply);
/// Whether the reply of ROLE is a master's.
bool is_master(const Reply& role);
/// Whether a message of +switch-master ("name host port host port") is about `name`.
bool is_switch_of(std::string_view message, std::string_view name);

} // namespace larder::redis
