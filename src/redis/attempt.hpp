// One command's way to the server that runs it: where it goes next, and what an outcome means for
// it. On its thread; never suspends.
#pragma once

#include "redis/command.hpp"
#include "redis/members.hpp"
#include "redis/slot_map.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace larder::redis {

class Attempt {
public:
    /// Without a slot: any node.
    Attempt(std::optional<std::uint16_t> slot, bool idempotent)
        : slot_(slot), idempotent_(idempotent) {}
    explicit Attempt(const Command& command);

    struct Target {
        Endpoint endpoint;
        bool asking = false;
        auto operator<=>(const Target&) const = default;
    };
    /// Nothing when no server is known.
    [[nodiscard]] std::optional<Target> target(Members& members) const;

    enum class Next : std::uint8_t {
        kDone,   // the outcome stands
        kAtOnce, // again, at the new target
        kLater,  // again, after a pause of `next_pause`
    };
    /// After an error reply of the node that was asked.
    Next after_error(Members& members, std::string_view error_text, const Endpoint& asked);
    /// After no reply.
    Next after_failure(Members& members, const Error& error, const Endpoint& asked);
    /// Longer each time.
    [[nodiscard]] std::chrono::microseconds next_pause();

private:
    Next later(Members& members);

    std::optional<std::uint16_t> slot_;
    bool idempotent_;
    std::optional<Target> redirected_;
    int redirections_ = 0;
    int pauses_ = 0;
};

/// What stands when `within` passes before anything else is known.
Error out_of_time();
/// What stands when no server is known, with why.
Error no_server(const Members& members);

} // namespace larder::redis
