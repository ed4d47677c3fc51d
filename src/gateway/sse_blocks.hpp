// Where a block of server-sent events ends: the blank line after one event or comment. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace larder::gateway {

/// Length of the first whole block of `bytes`, its blank line included; 0 when none is whole yet.
/// Lines end by LF, CRLF or CR; a CR at the very end may be half of a CRLF and does not end a
/// block.
inline std::size_t sse_block_length(std::string_view bytes, std::size_t& line_begin) {
    while (true) {
        std::size_t at = bytes.find('\n', line_begin);
        const std::size_t carriage = bytes.substr(0, at).find('\r', line_begin);
        at = carriage == std::string_view::npos ? at : carriage;
        if (at == std::string_view::npos)
            return 0;
        std::size_t next = at + 1;
        if (bytes[at] == '\r') {
            if (next == bytes.size())
                return 0;
            if (bytes[next] == '\n')
                ++next;
        }
        if (at == line_begin)
            return next; // also a blank line at the very beginning: a block of nothing
        line_begin = next;
    }
}

inline std::size_t sse_block_length(std::string_view bytes) {
    std::size_t line_begin = 0;
    return sse_block_length(bytes, line_begin);
}

} // namespace larder::gateway
