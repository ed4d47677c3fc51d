// Where one stands in a value or in a schema: names and indexes on the stack, written as a JSON
// Pointer (RFC 6901) only when there is something to say. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::schema {

struct Path {
    enum class Kind : std::uint8_t { kName, kIndex, kPointer };
    const Path* parent = nullptr;
    std::string_view text; // a member's name, or of kPointer a whole pointer
    std::size_t index = 0;
    Kind kind = Kind::kPointer;

    static Path of_name(const Path& parent, std::string_view name) {
        return {.parent = &parent, .text = name, .kind = Kind::kName};
    }
    static Path of_index(const Path& parent, std::size_t index) {
        return {.parent = &parent, .index = index, .kind = Kind::kIndex};
    }
    /// At most 1,000 bytes, then "…".
    [[nodiscard]] std::string pointer() const;
};

/// The first `bytes` of `text`, no character cut in two, and "…" where something is missing.
std::string clip(std::string_view text, std::size_t bytes);

} // namespace larder::schema
