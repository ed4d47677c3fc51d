// Labels: one counted block of text, and a table per thread of the texts seen last.
#include "cache/label.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>

namespace larder::cache {

struct Label::Text {
    std::atomic<std::uint32_t> owners;
    std::uint32_t size;
    // the characters follow

    [[nodiscard]] char* characters() { return reinterpret_cast<char*>(this + 1); }
    [[nodiscard]] std::string_view view() { return {characters(), size}; }
};

namespace {

constexpr std::size_t kRememberedMax = 64;
/// Longer texts are not remembered, so that a thread never holds on to much.
constexpr std::size_t kRememberedBytesMax = 256;

std::array<Label, kRememberedMax>& remembered() {
    static thread_local std::array<Label, kRememberedMax> labels;
    return labels;
}

} // namespace

Label::Label(std::string_view text) {
    if (text.empty())
        return;
    text = text.substr(0, UINT32_MAX);
    Label* slot = nullptr;
    if (text.size() <= kRememberedBytesMax) {
        slot = &remembered()[std::hash<std::string_view>{}(text) % kRememberedMax];
        if (slot->view() == text) {
            *this = *slot;
            return;
        }
    }
    auto* memory = ::operator new(sizeof(Text) + text.size());
    text_ = new (memory) Text{1, static_cast<std::uint32_t>(text.size())};
    std::memcpy(text_->characters(), text.data(), text.size());
    if (slot != nullptr)
        *slot = *this;
}

Label::Label(const Label& other) noexcept : text_(other.text_) {
    if (text_ != nullptr)
        text_->owners.fetch_add(1, std::memory_order_relaxed);
}

Label::~Label() {
    if (text_ != nullptr)
        release(text_);
}

void Label::release(Text* text) noexcept {
    if (text->owners.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    text->~Text();
    ::operator delete(text);
}

std::string_view Label::view() const noexcept {
    return text_ == nullptr ? std::string_view() : text_->view();
}

std::size_t Label::own_bytes() const noexcept {
    if (text_ == nullptr || text_->owners.load(std::memory_order_relaxed) > 1)
        return 0;
    return sizeof(Text) + text_->size + sizeof(void*); // and the allocator's own word
}

} // namespace larder::cache
