// Finds the fenced code blocks of a reply (CommonMark 0.31, section 4.5). A fence may also stand
// in a list item, where it is indented as far as the item's text.
#include "protocol/protocol.hpp"

#include <algorithm>
#include <optional>

namespace larder::protocol {

namespace {

constexpr std::size_t kFenceIndentMax = 3;
constexpr std::size_t kFenceLengthMin = 3;
constexpr std::size_t kListNumberMax = 9; // digits

struct Fence {
    char mark = '`';
    std::size_t length = 0;
    std::size_t indent = 0;
};

std::size_t indent_of(std::string_view line) {
    return std::min(line.find_first_not_of(' '), line.size());
}

std::optional<Fence> opening_fence(std::string_view line, std::size_t item_indent) {
    Fence fence;
    fence.indent = indent_of(line);
    line.remove_prefix(fence.indent);
    if (line.empty() || fence.indent > item_indent + kFenceIndentMax)
        return std::nullopt;
    fence.mark = line.front();
    if (fence.mark != '`' && fence.mark != '~')
        return std::nullopt;
    fence.length = std::min(line.find_first_not_of(fence.mark), line.size());
    if (fence.length < kFenceLengthMin)
        return std::nullopt;
    const std::string_view info = line.substr(fence.length);
    if (fence.mark == '`' && info.find('`') != std::string_view::npos)
        return std::nullopt; // inline code
    return fence;
}

bool closes(std::string_view line, const Fence& fence) {
    const std::size_t indent = indent_of(line);
    if (indent > fence.indent + kFenceIndentMax)
        return false;
    line.remove_prefix(indent);
    const std::size_t length = std::min(line.find_first_not_of(fence.mark), line.size());
    return length >= fence.length &&
           line.find_first_not_of(" \t", length) == std::string_view::npos;
}

/// Where the text of a list item begins on this line; 0 when the line begins no item.
std::size_t item_text_column(std::string_view line) {
    const std::size_t indent = indent_of(line);
    std::size_t at = indent;
    if (at == line.size())
        return 0;
    if (line[at] == '-' || line[at] == '*' || line[at] == '+') {
        ++at;
    } else {
        while (at < line.size() && line[at] >= '0' && line[at] <= '9')
            ++at;
        const bool is_number = at > indent && at - indent <= kListNumberMax;
        if (!is_number || at == line.size() || (line[at] != '.' && line[at] != ')'))
            return 0;
        ++at;
    }
    const std::size_t text = std::min(line.find_first_not_of(' ', at), line.size());
    return text > at ? std::min(text, at + kFenceIndentMax + 1) : 0;
}

std::string_view take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

/// Appends the block whose opening fence has just been read, and takes its lines from `text`.
void append_block(std::string& out, std::string_view& text, const Fence& fence) {
    bool is_first = true;
    while (!text.empty()) {
        std::string_view line = take_line(text);
        if (closes(line, fence))
            return;
        line.remove_prefix(std::min(indent_of(line), fence.indent));
        if (!is_first)
            out += '\n';
        is_first = false;
        out.append(line);
    }
}

} // namespace

std::string extract_code(std::string_view text) {
    // Most replies without code have no fence at all.
    if (text.find("```") == std::string_view::npos && text.find("~~~") == std::string_view::npos)
        return std::string(text);
    std::string code;
    std::size_t blocks = 0;
    std::size_t item_indent = 0;
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::string_view line = take_line(rest);
        if (const auto fence = opening_fence(line, item_indent)) {
            if (blocks++ > 0)
                code += "\n\n";
            append_block(code, rest, *fence);
        } else if (const std::size_t column = item_text_column(line); column > 0) {
            item_indent = column;
        } else if (indent_of(line) < std::min(item_indent, line.size())) {
            item_indent = 0;
        }
    }
    return blocks == 0 ? std::string(text) : code;
}

} // namespace larder::protocol
