#include "redis/sentinel_replies.hpp"

#include <charconv>

namespace larder::redis {

Result<Endpoint> read_master_address(const Reply& reply) {
    if (reply.is_null())
        return fail(ErrorCode::kNotFound, "the Sentinels know no master of this name");
    const auto unreadable = [] {
        return fail(ErrorCode::kStore, "a Sentinel's answer can't be read");
    };
    if (reply.kind != Reply::Kind::kArray || reply.items.size() != 2 || !reply.items[0].is_text() ||
        !reply.items[1].is_text() || reply.items[0].text.empty())
        return unreadable();
    const std::string& port = reply.items[1].text;
    Endpoint master{.host = reply.items[0].text, .port = 0};
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), master.port);
    if (error != std::errc() || end != port.data() + port.size() || master.port == 0)
        return unreadable();
    return master;
}

bool is_master(const Reply& role) {
    return role.kind == Reply::Kind::kArray && !role.items.empty() && role.items[0].is_text() &&
           role.items[0].text == "master";
}

bool is_switch_of(std::string_view message, std::string_view name) {
    return message.starts_with(name) && message.substr(name.size()).starts_with(' ');
}

} // namespace larder::redis
