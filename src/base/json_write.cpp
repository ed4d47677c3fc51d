// Writing JSON: strings, numbers and patches of a text. Pure, any thread.
#include "base/json.hpp"

#include "base/json_internal.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <tuple>

namespace larder::json {

namespace {

void write_escape(std::string& out, char c) {
    constexpr std::string_view kHex = "0123456789abcdef";
    switch (c) {
    case '"':
        out.append("\\\"");
        return;
    case '\\':
        out.append("\\\\");
        return;
    case '\b':
        out.append("\\b");
        return;
    case '\f':
        out.append("\\f");
        return;
    case '\n':
        out.append("\\n");
        return;
    case '\r':
        out.append("\\r");
        return;
    case '\t':
        out.append("\\t");
        return;
    default:
        out.append("\\u00");
        out.push_back(kHex[static_cast<unsigned char>(c) >> 4U]);
        out.push_back(kHex[static_cast<unsigned char>(c) & 0x0FU]);
    }
}

} // namespace

void write_string(std::string& out, std::string_view text) {
    out.push_back('"');
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        const char* const special = internal::find_special(at, end);
        out.append(at, special);
        at = special;
        if (at != end)
            write_escape(out, *at++);
    }
    out.push_back('"');
}

void write_double(std::string& out, double value) {
    constexpr double kExactBelow = 9007199254740992.0; // 2^53
    std::array<char, 32> buffer;
    if (!std::isfinite(value)) { // JSON has no word for these
        out.append("null");
        return;
    }
    char* const first = buffer.data();
    char* const last = first + buffer.size();
    const auto written = std::trunc(value) == value && std::fabs(value) < kExactBelow
                             ? std::to_chars(first, last, static_cast<std::int64_t>(value))
                             : std::to_chars(first, last, value);
    out.append(first, written.ptr);
}

void Patch::replace(std::size_t begin, std::size_t end, std::string text) {
    LARDER_ASSERT(begin <= end);
    edits_.push_back({.begin = begin, .end = end, .text = std::move(text)});
}

void Patch::add_member(Value object, std::string_view name, std::string_view raw_value) {
    LARDER_ASSERT(object.is(Kind::kObject));
    const std::size_t brace = object.end() - 1;
    const bool follows_another =
        object.size() > 0 || std::ranges::any_of(edits_, [brace](const Edit& edit) {
            return edit.begin == brace && edit.end == brace;
        });
    std::string text = follows_another ? "," : "";
    write_string(text, name);
    text.push_back(':');
    text.append(raw_value);
    replace(brace, brace, std::move(text));
}

std::string Patch::apply(std::string_view text) const {
    std::vector<const Edit*> ordered;
    ordered.reserve(edits_.size());
    std::size_t added = 0;
    for (const Edit& edit : edits_) {
        ordered.push_back(&edit);
        added += edit.text.size();
    }
    std::ranges::sort(ordered, [](const Edit* a, const Edit* b) { // in one place: as they came
        return std::tie(a->begin, a->end, a) < std::tie(b->begin, b->end, b);
    });
    std::string out;
    out.reserve(text.size() + added);
    std::size_t kept_from = 0;
    for (const Edit* edit : ordered) {
        LARDER_ASSERT(edit->begin >= kept_from && edit->end <= text.size());
        out.append(text.substr(kept_from, edit->begin - kept_from)).append(edit->text);
        kept_from = edit->end;
    }
    out.append(text.substr(kept_from));
    return out;
}

} // namespace larder::json
