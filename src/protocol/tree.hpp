// A JSON value that grows: what a stream's pieces are merged into. It owns its bytes. One thread at
// a time.
#pragma once

#include "protocol/cursor.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace larder::protocol {

/// How a piece meets what is already there. A null never replaces anything that is set.
enum class Merge : std::uint8_t {
    /// The last value of each member stays: objects meet member by member, all else is replaced.
    kLast,
    /// Arrays are appended to, objects meet member by member, all else is replaced (logprobs).
    kAppend,
    /// A delta of OpenAI's stream: text-like members are joined (`content`, `refusal`, `reasoning`,
    /// `reasoning_content`, `arguments`, `input`, `data`, `transcript`, `text`, `thinking`,
    /// `summary`); an array's elements meet the earlier one of the same `index` and `type`, else
    /// they are appended; objects meet member by member; all else is replaced.
    kDelta,
};

struct TreeMember;

struct Tree {
    enum class Kind : std::uint8_t { kRaw, kText, kArray, kObject };

    Kind kind = Kind::kRaw;
    std::string text = "null"; // kRaw: JSON as it came; kText: a string's characters, still escaped
    std::vector<Tree> elements;
    std::vector<TreeMember> members;
    /// Where each member stands, once there are many: hostile objects have 100,000s.
    mutable std::map<std::string, std::size_t, std::less<>> places;

    static Tree raw(std::string_view json);
    static Tree object();
    [[nodiscard]] bool is_null() const { return kind == Kind::kRaw && text == "null"; }
    /// The member of that name, or nullptr.
    [[nodiscard]] const Tree* find(std::string_view name) const;
    [[nodiscard]] Tree* find(std::string_view name);
    /// The member of that name, added as null when there is none. Only of a kObject.
    Tree& at(std::string_view name);
    void erase(std::string_view name);
    /// Takes `piece` in; `name` is the member that it belongs to.
    void merge(Cursor piece, Merge how, std::string_view name = {});
    void write(std::string& out) const;

private:
    void replace(Cursor piece, Merge how);
    void merge_delta_array(Cursor piece, std::string_view name);
    void merge_element(Cursor piece, std::size_t elements_before, std::string_view name);
    void join_text_with_parts(Cursor piece);
};

struct TreeMember {
    std::string name; // unescaped
    Tree value;
};

} // namespace larder::protocol
