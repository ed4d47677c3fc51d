#include "redis/command.hpp"

#include "base/result.hpp"

#include <array>
#include <charconv>
#include <limits>

namespace larder::redis {

Command& Command::arg(std::string_view value) & {
    LARDER_ASSERT(value.size() <= std::numeric_limits<std::uint32_t>::max() - bytes_.size());
    bytes_ += value;
    ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    return *this;
}

Command& Command::arg(std::int64_t value) & {
    std::array<char, 20> text; // NOLINT: written before it is read
    char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return arg(std::string_view(text.data(), end));
}

Command& Command::key(std::string_view name) & {
    if (key_index_ == 0)
        key_index_ = static_cast<std::uint32_t>(ends_.size());
    return arg(name);
}

std::string_view Command::operator[](std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(bytes_).substr(begin, ends_[index] - begin);
}

} // namespace larder::redis
