// What readers of answers share: arguments that come in pieces, ids for calls that have none, texts
// of members, and the way from deltas to a whole reply, by which both forms of an answer mean the
// same. Pure.
#pragma once

#include "base/result.hpp"
#include "convert/reply.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace larder::convert {

/// Bounds on what a reader holds of one answer.
inline constexpr std::size_t kMostCalls = 1024;
inline constexpr std::size_t kMostHeldBytes = 16U << 20;
/// Nesting of a call's arguments: with the answer around them they stay readable.
inline constexpr std::uint32_t kMostArgumentDepth = 100;

std::unexpected<Error> unreadable(std::string_view reason);

/// The text of a member; empty where there is none.
std::string string_of(protocol::Cursor object, std::string_view name);

/// The id of a call that came without one: the same for the same answer, another for another call.
std::string call_id(std::string_view reply_id, std::size_t call);

/// `text` as a tool's input: the object that it holds, compact; `{}` where it is empty or was cut.
void append_input(std::string& out, std::string_view text);

/// The arguments of one call, piece by piece: one JSON object with nothing but white space around
/// it. It holds them only until they are whole.
class CallArguments {
public:
    /// What of `piece` belongs to the object: all, but for white space around it.
    /// kProviderUnreadable.
    Result<std::string_view> add(std::string_view piece);
    [[nodiscard]] bool is_empty() const { return !complete_ && depth_ == 0; }
    [[nodiscard]] bool is_complete() const { return complete_; }
    [[nodiscard]] std::size_t held_bytes() const { return text_.size(); }

private:
    [[nodiscard]] bool ends_with(char c);
    std::string text_;
    std::uint32_t depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
    bool complete_ = false;
};

/// The whole answer that the deltas make up.
Reply gather(std::span<const Delta> deltas);

} // namespace larder::convert
