#include "redis/url.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace larder::redis {
namespace {

constexpr std::size_t kEndpointsMax = 64;
constexpr int kDatabaseMax = 1'000'000;
constexpr std::uint16_t kSentinelPort = 26379;

/// Never repeats any of the URL: a misplaced password must not be shown.
std::unexpected<Error> wrong(std::string_view why) {
    return fail(ErrorCode::kInvalidRequest, "the Redis URL: " + std::string(why));
}

template <class Number> bool read_number(std::string_view text, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string_view take_until(std::string_view& text, std::string_view separators) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    const std::string_view front = text.substr(0, end);
    text.remove_prefix(end);
    return front;
}

Result<void> read_scheme(std::string_view scheme, Url& url) {
    const std::string name = text::lower(scheme);
    std::string_view rest = name;
    const std::size_t plus = rest.find('+');
    const std::string_view transport = rest.substr(0, plus);
    url.tls = transport == "rediss";
    if (transport != "redis" && transport != "rediss")
        return wrong("it begins with redis:// or rediss://, or one of these with +cluster or "
                     "+sentinel");
    if (plus == std::string_view::npos)
        return {};
    rest.remove_prefix(plus + 1);
    if (rest != "cluster" && rest != "sentinel")
        return wrong("after the + stands cluster or sentinel");
    url.topology = rest == "cluster" ? Topology::kCluster : Topology::kSentinel;
    return {};
}

Result<Endpoint> read_endpoint(std::string_view text, std::uint16_t default_port) {
    Endpoint endpoint{.port = default_port};
    std::string_view port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos)
            return wrong("a bracket is not closed");
        endpoint.host = text.substr(1, close - 1);
        port = text.substr(close + 1);
        has_port = port.starts_with(':');
        if (!port.empty() && !has_port)
            return wrong("after an address in brackets comes a port");
    } else {
        const std::size_t colon = text.find(':');
        endpoint.host = text.substr(0, colon);
        has_port = colon != std::string_view::npos;
        port = has_port ? text.substr(colon) : std::string_view();
    }
    if (endpoint.host.empty())
        return wrong("a host is missing");
    const auto is_bad = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
    if (std::ranges::any_of(endpoint.host, is_bad))
        return wrong("a host has characters that no host has");
    if (has_port && (!read_number(port.substr(1), endpoint.port) || endpoint.port == 0))
        return wrong("a port is no number from 1 to 65535");
    return endpoint;
}

Result<void> read_hosts(std::string_view hosts, Url& url) {
    const std::uint16_t port = url.topology == Topology::kSentinel ? kSentinelPort : 6379;
    while (true) {
        const std::string_view one = take_until(hosts, ",");
        LARDER_TRY(auto endpoint, read_endpoint(one, port));
        url.endpoints.push_back(std::move(endpoint));
        if (url.endpoints.size() > kEndpointsMax)
            return wrong("it has too many hosts");
        if (hosts.empty())
            break;
        hosts.remove_prefix(1);
    }
    if (url.topology == Topology::kStandalone && url.endpoints.size() > 1)
        return wrong("several hosts need +cluster or +sentinel");
    return {};
}

Result<void> read_query(std::string_view query, Url& url) {
    while (!query.empty()) {
        std::string_view value = take_until(query, "&");
        if (!query.empty())
            query.remove_prefix(1);
        const std::string_view name = take_until(value, "=");
        if (!value.empty())
            value.remove_prefix(1);
        if (name == "sentinel_user")
            url.sentinel_user = text::percent_decode(value);
        else if (name == "sentinel_password")
            url.sentinel_password = text::percent_decode(value);
        else if (name == "db" && url.topology != Topology::kCluster) {
            if (!read_number(value, url.database) || url.database < 0 ||
                url.database > kDatabaseMax)
                return wrong("db is no number of a database");
        } else
            return wrong("its query has an unknown member");
    }
    return {};
}

Result<void> read_path(std::string_view path, Url& url) {
    if (url.topology == Topology::kSentinel) {
        // …/name, or …/name/database
        std::string_view name = take_until(path, "/");
        url.master_name = text::percent_decode(name);
        if (url.master_name.empty())
            return wrong("after the Sentinels' hosts comes /name of the master");
        if (!path.empty())
            path.remove_prefix(1);
    }
    if (path.empty())
        return {};
    if (!read_number(path, url.database) || url.database < 0 || url.database > kDatabaseMax)
        return wrong("the database is no number");
    if (url.topology == Topology::kCluster && url.database != 0)
        return wrong("a Cluster has only the database 0");
    return {};
}

bool has_whole_escapes(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
    for (std::size_t at = text.find('%'); at != std::string_view::npos;
         at = text.find('%', at + 1)) {
        const std::string_view digits = text.substr(at + 1, 2);
        if (digits.size() != 2 || digits.find_first_not_of(kDigits) != std::string_view::npos)
            return false;
    }
    return true;
}

} // namespace

Result<Url> parse_url(std::string_view text) {
    Url url;
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos)
        return wrong("it begins with redis:// or rediss://");
    LARDER_CHECK(read_scheme(text.substr(0, colon), url));
    text.remove_prefix(colon + 3);
    if (!has_whole_escapes(text))
        return wrong("after a % stand two hexadecimal digits; a % itself is %25");
    std::string_view authority = take_until(text, "/?#");
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        std::string_view login = authority.substr(0, at);
        authority.remove_prefix(at + 1);
        url.user = text::percent_decode(take_until(login, ":"));
        if (!login.empty())
            url.password = text::percent_decode(login.substr(1));
        if (url.password.empty() && !url.user.empty())
            return wrong("a user has a password; write redis://:password@host without a user");
    }
    LARDER_CHECK(read_hosts(authority, url));
    std::string_view path = take_until(text, "?#");
    if (!path.empty())
        path.remove_prefix(1);
    LARDER_CHECK(read_path(path, url));
    if (text.contains('#'))
        return wrong("it has a fragment");
    if (!text.empty())
        text.remove_prefix(1);
    LARDER_CHECK(read_query(text, url));
    return url;
}

} // namespace larder::redis
