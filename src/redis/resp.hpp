// The wire of Redis: commands as it takes them, and a parser of RESP2 and RESP3 that is fed in any
// pieces. Pure; one thread at a time.
#pragma once

#include "base/result.hpp"
#include "redis/command.hpp"
#include "redis/reply.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::redis {

/// Appends `command` as an array of bulk strings.
void append_command(std::string& out, const Command& command);

/// What one reply may be made of.
struct ReplyLimits {
    std::size_t depth = 16;
    std::size_t items = 256UL * 1024;        // of all its arrays together
    std::size_t bytes = 256UL * 1024 * 1024; // of all its texts together
};

/// Keeps nothing of what it was fed but the reply that isn't whole yet. Attributes (`|`) are
/// dropped. Streamed types (`$?`) are refused: no server sends them.
class ReplyParser {
public:
    using Limits = ReplyLimits;
    explicit ReplyParser(Limits limits = {}) : limits_(limits) {}

    /// Takes bytes off the front of `input`. True: `out` is a whole reply. False: all was taken,
    /// and more is needed. After an Error (kStore) the stream can't be read any further.
    Result<bool> feed(std::string_view& input, Reply& out);
    /// Whether the last whole reply was a push (`>`): an answer to nothing that was asked.
    [[nodiscard]] bool was_push() const { return was_push_; }
    /// Whether nothing of a reply has come yet.
    [[nodiscard]] bool at_boundary() const { return stack_.empty() && !in_text_ && line_.empty(); }

private:
    struct Frame {
        Reply reply;
        std::size_t left = 0; // items to come
        bool attribute = false;
        bool push = false;
    };

    bool take_line(std::string_view& input, std::string_view& line);
    bool take_text(std::string_view& input);
    Result<bool> begin(std::string_view line, Reply& out);
    Result<bool> begin_text(char type, std::string_view count, Reply& out);
    Result<bool> begin_items(char type, std::string_view count, Reply& out);
    bool put(Reply reply, Reply& out);
    Result<void> count_bytes(std::size_t bytes);

    Limits limits_;
    std::vector<Frame> stack_;
    std::string line_;          // the front of a line that isn't whole
    Reply text_;                // a text that isn't whole
    std::size_t text_left_ = 0; // bytes to come, with the line's end
    std::size_t items_ = 0;
    std::size_t bytes_ = 0;
    bool in_text_ = false;
    bool verbatim_ = false;
    bool was_push_ = false;
};

} // namespace larder::redis
