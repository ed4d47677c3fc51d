// One command to a server of a test, beside the client that is tested. Blocking.
#pragma once

#include "redis/command.hpp"
#include "redis/reply.hpp"
#include "redis/resp.hpp"
#include "testing/tcp.hpp"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::testing {

/// Sends one command over a connection of its own. An error reply with text "unreachable" when
/// there is no answer.
inline redis::Reply ask_redis(std::uint16_t port, const std::vector<std::string>& words) {
    redis::Command command(words.front());
    for (std::size_t i = 1; i < words.size(); ++i)
        command.arg(words[i]);
    std::string bytes;
    redis::append_command(bytes, command);
    RawConnection connection = RawConnection::to("127.0.0.1:" + std::to_string(port));
    redis::Reply reply;
    redis::ReplyParser parser;
    if (connection.state() == RawConnection::State::kOpen && connection.send(bytes)) {
        for (std::string read = connection.read_some(); !read.empty();
             read = connection.read_some()) {
            std::string_view input = read;
            const auto whole = parser.feed(input, reply);
            if (whole && *whole)
                return reply;
            if (!whole)
                break;
        }
    }
    return {.kind = redis::Reply::Kind::kError, .text = "unreachable"};
}

/// The same, where it must not fail.
inline redis::Reply must_ask_redis(std::uint16_t port, const std::vector<std::string>& words) {
    auto reply = ask_redis(port, words);
    if (reply.is_error()) {
        std::fprintf(stderr, "%s %s: %s\n", words[0].c_str(),
                     words.size() > 1 ? words[1].c_str() : "", reply.text.c_str());
        std::abort();
    }
    return reply;
}

/// The value of a field in a flat array of names and values.
inline std::string field_of(const redis::Reply& map, std::string_view name) {
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
        if (map.items[i].text == name)
            return map.items[i + 1].text;
    }
    return {};
}

/// Ends the test program when it does not come true.
inline void require_eventually(const char* what, const std::function<bool()>& condition) {
    if (!eventually(condition)) {
        std::fprintf(stderr, "never: %s\n", what);
        std::abort();
    }
}

} // namespace larder::testing
