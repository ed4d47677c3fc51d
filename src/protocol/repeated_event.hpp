// An event of a stream that differs from the one before it in one string only, as most do: it is
// known by its bytes and needs no parse. Pure; one thread at a time.
#pragma once

#include "base/json.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace larder::protocol {

class RepeatedEvent {
public:
    /// Learns from an event that was parsed. `piece` is the string that may differ, between its
    /// quotes, a view into `data`; `padding` likewise, behind it, or empty.
    void learn(std::string_view data, std::string_view piece, std::string_view padding) {
        before_ = data.substr(0, where(data, piece));
        std::string_view rest = data.substr(before_.size() + piece.size());
        has_padding_ = !padding.empty() && padding.data() > piece.data();
        between_.clear();
        if (has_padding_) {
            between_ = rest.substr(0, where(rest, padding));
            rest.remove_prefix(between_.size() + padding.size());
        }
        after_ = rest;
    }
    void forget() { before_.clear(); }
    /// The piece's characters, where all else is the same and they need no unescaping.
    [[nodiscard]] std::optional<std::string_view> match(std::string_view data) const {
        if (before_.empty() || !data.starts_with(before_))
            return std::nullopt;
        data.remove_prefix(before_.size());
        const std::size_t length = json::plain_string_length(data);
        if (length == std::string_view::npos)
            return std::nullopt;
        const std::string_view piece = data.substr(0, length);
        data.remove_prefix(length);
        if (has_padding_) {
            if (!data.starts_with(between_))
                return std::nullopt;
            data.remove_prefix(between_.size());
            const std::size_t padding = json::plain_string_length(data);
            if (padding == std::string_view::npos)
                return std::nullopt;
            data.remove_prefix(padding);
        }
        return data == after_ ? std::optional(piece) : std::nullopt;
    }

private:
    static std::size_t where(std::string_view data, std::string_view hole) {
        return static_cast<std::size_t>(hole.data() - data.data());
    }

    std::string before_; // empty: nothing is known
    std::string between_;
    std::string after_;
    bool has_padding_ = false;
};

} // namespace larder::protocol
