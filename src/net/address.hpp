// IP addresses as bits, and which address a request is counted by. Pure, any thread.
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::net {

/// An IPv4 or IPv6 address; IPv4-mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96) ones are IPv4
/// already.
struct Address {
    std::array<std::uint8_t, 16> bytes{};
    bool v4 = false; // then bytes[0..3]
    bool operator==(const Address&) const = default;
    [[nodiscard]] bool is_loopback() const;
};

/// "192.0.2.1", "192.0.2.1:443", "2001:db8::1", "[2001:db8::1]:443", zone ids dropped.
Result<Address> parse_address(std::string_view text);
/// The text by which a client is counted: an IPv4 address, or the /64 of an IPv6 one
/// ("2001:db8:0:1::/64").
std::string limit_subject(const Address& address);
std::string to_text(const Address& address);

struct Network {
    Address address;
    unsigned prefix = 0;
    [[nodiscard]] bool contains(const Address& other) const;
};
/// "10.0.0.0/8", "::1/128", or a bare address.
Result<Network> parse_network(std::string_view text);

/// The client behind trusted proxies: `peer` unless it is trusted; then X-Forwarded-For (all field
/// values joined with commas, in order) from the right, trusted ones skipped, the first other one.
/// Stops at a token that is no address and gives the last good one.
Address client_address(const Address& peer, std::string_view forwarded_for,
                       const std::vector<Network>& trusted);

} // namespace larder::net
