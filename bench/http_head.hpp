// bench/http_head.hpp: as much of HTTP/1.1 (RFC 9112) as the benchmark's own programs need to find
// where a message ends. Pure functions over bytes that the caller keeps; any thread.
#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

namespace larder::bench {

struct Head {
    std::string_view first_line;
    std::size_t head_bytes = 0; // with the empty line
    std::size_t content_length = 0;
    bool has_length = false;
    bool chunked = false;
    bool close = false;
    bool valid = true; // false: a Content-Length that is no number
};

inline bool equals_ignoring_case(std::string_view left, std::string_view right) {
    if (left.size() != right.size()) {
        return false;
    }
    for (std::size_t i = 0; i < left.size(); ++i) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
        if (lower(left[i]) != lower(right[i])) {
            return false;
        }
    }
    return true;
}

inline std::string_view trim_blanks(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

inline void read_field(std::string_view line, Head& head) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        return;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim_blanks(line.substr(colon + 1));
    if (equals_ignoring_case(name, "content-length")) {
        const char* end = value.data() + value.size();
        const auto parsed = std::from_chars(value.data(), end, head.content_length);
        head.has_length = true;
        head.valid = head.valid && parsed.ec == std::errc{} && parsed.ptr == end;
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
        head.chunked = equals_ignoring_case(value, "chunked");
    } else if (equals_ignoring_case(name, "connection")) {
        head.close = equals_ignoring_case(value, "close");
    }
}

/// The head at the start of `bytes`; nothing while its empty line hasn't come.
inline std::optional<Head> parse_head(std::string_view bytes) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    Head head;
    head.head_bytes = end + 4;
    std::size_t at = bytes.find("\r\n");
    head.first_line = bytes.substr(0, at);
    while (at < end) {
        at += 2;
        const std::size_t next = bytes.find("\r\n", at);
        read_field(bytes.substr(at, next - at), head);
        at = next;
    }
    return head;
}

struct ChunkedLength {
    std::size_t bytes = 0; // 0: not whole yet
    bool valid = true;
};

/// How many of `bytes` a chunked body without trailers takes.
inline ChunkedLength chunked_length(std::string_view bytes) {
    std::size_t at = 0;
    while (true) {
        const std::size_t line_end = bytes.find("\r\n", at);
        if (line_end == std::string_view::npos) {
            return {};
        }
        std::size_t size = 0;
        const auto parsed = std::from_chars(bytes.data() + at, bytes.data() + line_end, size, 16);
        if (parsed.ec != std::errc{} || size > (1U << 30)) {
            return {.bytes = 0, .valid = false};
        }
        at = line_end + 2 + size + 2;
        if (at > bytes.size()) {
            return {};
        }
        if (size == 0) {
            return {.bytes = at, .valid = bytes.substr(at - 2, 2) == "\r\n"};
        }
    }
}

} // namespace larder::bench
