// A command before it is written for a wire: its arguments in one buffer, and which of them is the
// key that decides the node. A value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::redis {

class Command {
public:
    /// `arguments` and `bytes`: what will be added, where it is known, so that nothing grows twice.
    explicit Command(std::string_view name, std::size_t arguments = 3, std::size_t bytes = 96) {
        ends_.reserve(arguments + 1);
        bytes_.reserve(name.size() + bytes);
        arg(name);
    }

    Command& arg(std::string_view value) &;
    Command& arg(std::int64_t value) &;
    /// An argument that is a key; the first one decides the slot in a Cluster.
    Command& key(std::string_view name) &;
    /// Running it twice is the same as once: it may be sent again when a connection broke without
    /// an answer. Without this it never is.
    Command& idempotent() & {
        idempotent_ = true;
        return *this;
    }
    Command&& arg(std::string_view value) && { return std::move(arg(value)); }
    Command&& arg(std::int64_t value) && { return std::move(arg(value)); }
    Command&& key(std::string_view name) && { return std::move(key(name)); }
    Command&& idempotent() && { return std::move(idempotent()); }

    [[nodiscard]] std::size_t size() const { return ends_.size(); }
    [[nodiscard]] std::string_view operator[](std::size_t index) const;
    /// The first key; empty when it has none: any node will do.
    [[nodiscard]] std::string_view first_key() const {
        return key_index_ == 0 ? std::string_view() : (*this)[key_index_];
    }
    [[nodiscard]] bool is_idempotent() const { return idempotent_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }

private:
    std::string bytes_;
    std::vector<std::uint32_t> ends_;
    std::uint32_t key_index_ = 0; // 0 (the name): none
    bool idempotent_ = false;
};

} // namespace larder::redis
