// The forms of keys, addresses and names.
#include "app/config_text.hpp"

#include "base/text.hpp"
#include "net/address.hpp"

#include <algorithm>
#include <charconv>

namespace larder::app {

std::string_view url_mistake(std::string_view url) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string_view::npos ||
        (url.substr(0, scheme) != "http" && url.substr(0, scheme) != "https"))
        return "must start with http:// or https://";
    const std::string_view rest = url.substr(scheme + 3);
    if (rest.find_first_of("?#") != std::string_view::npos)
        return "must have no query and no fragment";
    const std::string_view authority = rest.substr(0, rest.find('/'));
    if (authority.find('@') != std::string_view::npos)
        return "must have no user information";
    if (std::ranges::any_of(url, [](char c) { return c <= ' ' || c > '~' || c == '\\'; }))
        return "must have no spaces or other characters that a URL may not hold";
    const bool bracketed = authority.starts_with('[');
    const std::size_t host_end = bracketed ? authority.find(']') : authority.find(':');
    const std::string_view host = authority.substr(0, host_end);
    if (host.empty() || (bracketed && !net::parse_address(host.substr(1))))
        return "must have a host";
    if (host_end == std::string_view::npos)
        return bracketed ? "must have a host" : "";
    const std::string_view port_part = authority.substr(host_end + (bracketed ? 1 : 0));
    if (port_part.empty())
        return "";
    unsigned port = 0;
    const char* const last = port_part.data() + port_part.size();
    const auto [end, error] = std::from_chars(port_part.data() + 1, last, port);
    if (port_part[0] != ':' || error != std::errc() || end != last || port == 0 || port > 65535)
        return "must have a port from 1 to 65535 where it has one";
    return "";
}

std::string without_slash(std::string url) {
    while (url.ends_with('/'))
        url.pop_back();
    return url;
}

std::optional<std::string> clean_key(std::string_view key) {
    while (!key.empty() && (key.back() == '\n' || key.back() == '\r' || key.back() == ' '))
        key.remove_suffix(1);
    key = text::trim(key);
    if (std::ranges::any_of(key, [](char c) { return c <= ' ' || c > '~'; }))
        return std::nullopt;
    return std::string(key);
}

std::optional<llm::Money> parse_dollars(std::string_view text) {
    constexpr std::size_t kDecimals = 6;
    constexpr std::int64_t kMostMicrodollars = 1'000'000'000'000;
    constexpr std::int64_t kPicoInMicro = 1'000'000;
    const std::size_t point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    const std::string_view decimals = point == std::string_view::npos ? "" : text.substr(point + 1);
    if (whole.empty() || decimals.size() > kDecimals ||
        (point != std::string_view::npos && decimals.empty()))
        return std::nullopt;
    std::string digits(whole);
    digits.append(decimals).append(kDecimals - decimals.size(), '0');
    if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
        return std::nullopt;
    std::int64_t microdollars = 0;
    const char* const last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, microdollars);
    if (error != std::errc() || end != last || microdollars > kMostMicrodollars)
        return std::nullopt;
    return llm::Money{.picodollars = microdollars * kPicoInMicro};
}

bool has_controls(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 127; });
}

} // namespace larder::app
