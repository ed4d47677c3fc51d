// Many commands at once: a pipeline for each server, all at the same time, and again for
// those that were redirected.
#pragma once

#include "async/task.hpp"
#include "base/result.hpp"
#include "redis/command.hpp"
#include "redis/members.hpp"
#include "redis/reply.hpp"

#include <chrono>
#include <memory>
#include <vector>

namespace larder::redis {

/// Each command's outcome, in their order. An error reply is an Error read by `error_of`.
Task<std::vector<Result<Reply>>> run_routed_pipeline(std::shared_ptr<Members> members,
                                                     std::vector<Command> commands,
                                                     std::chrono::microseconds within);

} // namespace larder::redis
