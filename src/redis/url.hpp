// Where a Redis is: redis://, rediss://, redis+cluster://a,b,c, redis+sentinel://a,b,c/name (each
// also with `rediss+`). Pure, any thread.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::redis {

enum class Topology : std::uint8_t { kStandalone, kSentinel, kCluster };

struct Endpoint {
    std::string host;
    std::uint16_t port = 6379;
    auto operator<=>(const Endpoint&) const = default;
};

struct Url {
    Topology topology = Topology::kStandalone;
    bool tls = false;
    std::vector<Endpoint> endpoints; // one of a standalone; seeds of the others
    std::string user;                // ACL; empty: the default user
    std::string password;            // empty: no login
    int database = 0;                // SELECT; a Cluster has only 0
    std::string master_name;         // Sentinel's
    std::string sentinel_user;       // ?sentinel_user=…&sentinel_password=…
    std::string sentinel_password;
    bool operator==(const Url&) const = default;
};

/// redis[s][+cluster|+sentinel]://[user[:password]@]host[:port][,host…][/database or /name][?…].
/// User and password are percent-decoded; IPv6 in brackets. The Error never repeats the password.
Result<Url> parse_url(std::string_view text);

} // namespace larder::redis
