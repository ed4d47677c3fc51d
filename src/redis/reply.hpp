// What a Redis server answers, in the shapes of RESP2 whatever the wire was: maps are flat arrays,
// booleans integers, doubles and big numbers texts. A value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace larder::redis {

struct Reply {
    enum class Kind : std::uint8_t { kNull, kInteger, kText, kStatus, kError, kArray };
    Kind kind = Kind::kNull;
    std::int64_t integer = 0;
    std::string text; // of kText, kStatus and kError (without the '-')
    std::vector<Reply> items;

    [[nodiscard]] bool is_null() const { return kind == Kind::kNull; }
    [[nodiscard]] bool is_error() const { return kind == Kind::kError; }
    [[nodiscard]] bool is_text() const { return kind == Kind::kText || kind == Kind::kStatus; }
    bool operator==(const Reply&) const = default;
};

} // namespace larder::redis
