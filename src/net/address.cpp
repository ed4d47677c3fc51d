// Reading, comparing and writing addresses; the walk through X-Forwarded-For.
#include "net/address.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <optional>
#include <sys/socket.h>

namespace larder::net {

namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<std::uint8_t, 12> kNat64 = {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};
constexpr std::size_t kLongest = 128; // with brackets, a zone and a port

bool starts_with(const Address& address, const std::array<std::uint8_t, 12>& prefix) {
    return std::equal(prefix.begin(), prefix.end(), address.bytes.begin());
}

/// Whether the address is an IPv4 one in IPv6 clothes: RFC 4291, 2.5.5.2 and RFC 6052, 2.1.
bool embeds_v4(const Address& address) {
    return starts_with(address, kMapped) || starts_with(address, kNat64);
}

Address unwrap_v4(const Address& address) {
    Address inner{.v4 = true};
    std::copy_n(address.bytes.begin() + 12, 4, inner.bytes.begin());
    return inner;
}

std::optional<unsigned> read_number(std::string_view text, unsigned max) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > max)
        return std::nullopt;
    return value;
}

/// The address alone, exactly as written; no brackets, zone or port.
std::optional<Address> read_bare(std::string_view text) {
    char buffer[kLongest + 1];
    if (text.empty() || text.size() > kLongest || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = '\0';
    Address address{.v4 = text.find(':') == std::string_view::npos};
    if (::inet_pton(address.v4 ? AF_INET : AF_INET6, buffer, address.bytes.data()) != 1)
        return std::nullopt;
    return address;
}

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && read_number(text, 65535).has_value();
}

/// Takes brackets, port and zone off; nullopt when they are malformed.
std::optional<std::string_view> strip(std::string_view text) {
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos)
            return std::nullopt;
        const std::string_view after = text.substr(close + 1);
        if (!after.empty() && (after[0] != ':' || !is_port(after.substr(1))))
            return std::nullopt;
        text = text.substr(1, close - 1);
        if (text.find(':') == std::string_view::npos)
            return std::nullopt; // brackets are for IPv6
    } else if (const std::size_t colon = text.find(':');
               colon != std::string_view::npos && text.rfind(':') == colon) {
        if (!is_port(text.substr(colon + 1)))
            return std::nullopt;
        return text.substr(0, colon);
    }
    const std::size_t zone = text.find('%');
    if (zone == std::string_view::npos)
        return text;
    if (zone + 1 == text.size() || text.find(':') == std::string_view::npos)
        return std::nullopt;
    return text.substr(0, zone);
}

std::unexpected<Error> no_address() {
    return fail(ErrorCode::kInvalidRequest, "not an IP address");
}

bool is_trusted(const Address& address, const std::vector<Network>& trusted) {
    return std::ranges::any_of(trusted,
                               [&](const Network& network) { return network.contains(address); });
}

} // namespace

bool Address::is_loopback() const {
    if (v4)
        return bytes[0] == 127;
    return std::all_of(bytes.begin(), bytes.end() - 1, [](auto byte) { return byte == 0; }) &&
           bytes[15] == 1;
}

Result<Address> parse_address(std::string_view text) {
    if (text.size() > kLongest)
        return no_address();
    const auto bare = strip(text);
    if (!bare)
        return no_address();
    const auto address = read_bare(*bare);
    if (!address)
        return no_address();
    return !address->v4 && embeds_v4(*address) ? unwrap_v4(*address) : *address;
}

std::string to_text(const Address& address) {
    if (address.v4) { // on the path of every request: inet_ntop prints by printf
        std::string text;
        for (std::size_t i = 0; i < 4; ++i) {
            if (i > 0)
                text += '.';
            char digits[4];
            text.append(digits,
                        std::to_chars(digits, digits + sizeof digits, address.bytes[i]).ptr);
        }
        return text;
    }
    char buffer[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET6, address.bytes.data(), buffer, sizeof buffer);
    return buffer;
}

std::string limit_subject(const Address& address) {
    if (address.v4)
        return to_text(address);
    Address network = address;
    std::fill(network.bytes.begin() + 8, network.bytes.end(), std::uint8_t{0});
    return to_text(network) + "/64";
}

bool Network::contains(const Address& other) const {
    if (address.v4 != other.v4)
        return false;
    const unsigned whole = prefix / 8;
    if (!std::equal(address.bytes.begin(), address.bytes.begin() + whole, other.bytes.begin()))
        return false;
    const unsigned rest = prefix % 8;
    if (rest == 0)
        return true;
    const unsigned mask = 0xffU << (8 - rest) & 0xffU;
    return ((address.bytes[whole] ^ other.bytes[whole]) & mask) == 0;
}

Result<Network> parse_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto written = read_bare(text.substr(0, slash));
    if (!written)
        return fail(ErrorCode::kInvalidRequest, "not an IP address or network");
    const unsigned bits = written->v4 ? 32 : 128;
    unsigned prefix = bits;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto number = read_number(digits, bits);
        if (!number || digits.size() > 3)
            return fail(ErrorCode::kInvalidRequest,
                        "the prefix length must be from 0 to " + std::to_string(bits));
        prefix = *number;
    }
    if (written->v4 || !embeds_v4(*written))
        return Network{.address = *written, .prefix = prefix};
    if (prefix < 96)
        return fail(ErrorCode::kInvalidRequest,
                    "an IPv4 network in IPv6 form needs a prefix length of 96 to 128");
    return Network{.address = unwrap_v4(*written), .prefix = prefix - 96};
}

Address client_address(const Address& peer, std::string_view forwarded_for,
                       const std::vector<Network>& trusted) {
    Address last = peer;
    while (is_trusted(last, trusted) && !forwarded_for.empty()) {
        const std::size_t comma = forwarded_for.rfind(',');
        const std::string_view token = text::trim(
            comma == std::string_view::npos ? forwarded_for : forwarded_for.substr(comma + 1));
        forwarded_for =
            comma == std::string_view::npos ? std::string_view() : forwarded_for.substr(0, comma);
        if (token.empty())
            continue; // RFC 9110, 5.6.1.2: empty list elements are ignored
        const auto address = parse_address(token);
        if (!address)
            break;
        last = *address;
    }
    return last;
}

} // namespace larder::net
