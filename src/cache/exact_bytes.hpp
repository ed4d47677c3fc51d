// Bytes in an allocation of exactly their size. A string's zero at the end would lift a body of 2
// KiB into the allocator's next size class, a quarter larger, and what it grew to while it was read
// would stay. Any thread, once made.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>

namespace larder::cache {

class ExactBytes {
public:
    ExactBytes() = default;
    ExactBytes(std::string_view bytes)
        : size_(bytes.size()) { // NOLINT: reads as the text that it is
        if (size_ == 0)
            return;
        bytes_ = std::make_unique_for_overwrite<char[]>(size_);
        std::memcpy(bytes_.get(), bytes.data(), size_);
    }
    ExactBytes(const std::string& bytes)
        : ExactBytes(std::string_view(bytes)) {}                           // NOLINT: likewise
    ExactBytes(const char* bytes) : ExactBytes(std::string_view(bytes)) {} // NOLINT: likewise

    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }
    operator std::string_view() const { return view(); } // NOLINT: likewise
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

    friend bool operator==(const ExactBytes& a, const ExactBytes& b) {
        return a.view() == b.view();
    }
    friend bool operator==(const ExactBytes& a, std::string_view b) { return a.view() == b; }
    friend bool operator==(const ExactBytes& a, const std::string& b) { return a.view() == b; }
    friend bool operator==(const ExactBytes& a, const char* b) { return a.view() == b; }
    friend std::ostream& operator<<(std::ostream& out, const ExactBytes& bytes) {
        return out << bytes.view();
    }

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
};

} // namespace larder::cache
