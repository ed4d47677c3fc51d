// Which node of a Cluster serves which slot, as read from CLUSTER SLOTS, and where an error reply
// of a node sends a command (Redis Cluster specification, "Redirection and resharding"). Pure
// values; any thread.
#pragma once

#include "base/result.hpp"
#include "redis/reply.hpp"
#include "redis/slots.hpp"
#include "redis/url.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace larder::redis {

/// A Cluster has up to 1000 nodes by its specification; what names more is not believed.
constexpr std::size_t kMaxClusterNodes = 1000;

struct SlotMap {
    std::vector<Endpoint> masters; // those that serve slots, each once
    std::vector<Endpoint> replicas;
    std::vector<std::uint16_t> owners; // kSlots of them: index into `masters` + 1; 0: nobody
    std::int64_t epoch = 0;            // of the node that was asked: a lower one is older news
    bool state_ok = false;             // what that node says of the whole

    bool operator==(const SlotMap&) const = default;

    /// Null when nobody serves it.
    [[nodiscard]] const Endpoint* owner(std::uint16_t slot) const;
    [[nodiscard]] bool has(const Endpoint& endpoint) const;
    /// Whether every slot has an owner.
    [[nodiscard]] bool is_whole() const;
    /// A copy in which `slot` has another owner.
    [[nodiscard]] SlotMap with_owner(std::uint16_t slot, const Endpoint& owner) const;
};

/// From the replies of CLUSTER SLOTS and CLUSTER INFO. An address without a host (empty, null or
/// "?") is at the host that was asked. An Error (kStore) when they are of another form.
Result<SlotMap> read_slot_map(const Reply& slots, const Reply& info, const Endpoint& asked);

struct Redirection {
    enum class Kind : std::uint8_t {
        kMoved, // the slot is at `to` from now on
        kAsk,   // this command once to `to`, after ASKING
        kAgain, // later: keys are on the move, or the Cluster is not whole
    };
    Kind kind = Kind::kAgain;
    std::uint16_t slot = 0;
    Endpoint to;
};

/// What an error text means for the way of its command; nothing when it is the command's own. A
/// command that was redirected has not been run.
std::optional<Redirection> read_redirection(std::string_view error_text, const Endpoint& asked);

} // namespace larder::redis
