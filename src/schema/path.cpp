// Writing JSON Pointers, and cutting texts short.
#include "schema/path.hpp"

#include <vector>

namespace larder::schema {

namespace {

constexpr std::size_t kPointerBytesMax = 1'000;

void append_token(std::string& out, std::string_view name) {
    for (const char c : name.substr(0, kPointerBytesMax)) {
        if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else
            out += c;
    }
}

} // namespace

std::string Path::pointer() const {
    std::vector<const Path*> steps;
    for (const Path* step = this; step != nullptr; step = step->parent)
        steps.push_back(step);
    std::string out;
    while (!steps.empty() && out.size() <= kPointerBytesMax) {
        const Path& step = *steps.back();
        steps.pop_back();
        if (step.kind == Kind::kPointer) {
            out += step.text;
            continue;
        }
        out += '/';
        if (step.kind == Kind::kIndex)
            out += std::to_string(step.index);
        else
            append_token(out, step.text);
    }
    return clip(out, kPointerBytesMax);
}

std::string clip(std::string_view text, std::size_t bytes) {
    if (text.size() <= bytes)
        return std::string(text);
    std::size_t end = bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    return std::string(text.substr(0, end)) + "…";
}

} // namespace larder::schema
