// A short text that many entries have in common (a model, a provider): eight bytes each, the text
// shared where it is equal. Immutable; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace larder::cache {

/// Reads as a string_view or a string, and is made from either. Equal labels made on one thread
/// usually share their text: a small table per thread remembers the last ones.
class Label {
public:
    Label() = default;
    Label(std::string_view text);
    Label(const std::string& text) : Label(std::string_view(text)) {}
    Label(const char* text) : Label(std::string_view(text)) {}
    Label(const Label& other) noexcept;
    Label(Label&& other) noexcept : text_(std::exchange(other.text_, nullptr)) {}
    Label& operator=(Label other) noexcept {
        std::swap(text_, other.text_);
        return *this;
    }
    ~Label();

    [[nodiscard]] std::string_view view() const noexcept;
    [[nodiscard]] std::string str() const { return std::string(view()); }
    [[nodiscard]] bool empty() const noexcept { return text_ == nullptr; }
    operator std::string_view() const noexcept { return view(); }
    operator std::string() const { return str(); }

    /// Bytes on the heap for which this label alone is to blame: none where the text is shared.
    [[nodiscard]] std::size_t own_bytes() const noexcept;

    friend bool operator==(const Label& a, const Label& b) noexcept { return a.view() == b.view(); }
    friend bool operator==(const Label& a, std::string_view b) noexcept { return a.view() == b; }
    friend bool operator==(const Label& a, const char* b) noexcept { return a.view() == b; }
    friend bool operator==(const Label& a, const std::string& b) noexcept { return a.view() == b; }

private:
    struct Text;
    static void release(Text* text) noexcept;
    Text* text_ = nullptr; // null: empty
};

} // namespace larder::cache
