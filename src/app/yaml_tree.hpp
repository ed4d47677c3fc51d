// A YAML document as a tree with line numbers; bounded in bytes, depth and nodes. Pure, any thread.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::app {

struct YamlEntry;

struct YamlNode {
    enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };
    Kind kind = Kind::kNull;
    bool quoted = false; // a scalar in quotes, or a block of text: text, never a number
    int line = 1;        // of a map's value: that of its key
    std::string scalar;
    std::vector<YamlNode> items;
    std::vector<YamlEntry> entries;

    /// The value of `key` in a map, or nullptr.
    [[nodiscard]] const YamlNode* find(std::string_view key) const;
};

struct YamlEntry {
    std::string key;
    YamlNode value;
};

/// One mistake of a file.
struct YamlMistake {
    int line = 1;
    std::string text;
};

constexpr std::size_t kYamlBytesMax = 1U << 20;

/// The one document of `text` (nothing: an empty map). Mistakes go to `mistakes`: what YAML does
/// not allow, a second document, tags, a key given twice, keys that are no text, more than 20,000
/// nodes (an alias counts as all that it stands for) or 32 levels. Where reading had to stop, an
/// empty map comes back.
YamlNode read_yaml(std::string_view text, std::vector<YamlMistake>& mistakes);

} // namespace larder::app
