// What the tests of this room share: a document whose text lives with it. One thread.
#pragma once

#include "base/json.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace larder::schema::testing {

/// Ends the program when the text does not parse.
struct Parsed {
    explicit Parsed(std::string_view source, const json::Limits& limits = {}) : text(source) {
        auto parsed = json::parse(text, limits);
        LARDER_ASSERT(parsed);
        document = *std::move(parsed);
    }
    Parsed(const Parsed&) = delete;
    Parsed& operator=(const Parsed&) = delete;
    [[nodiscard]] json::Value root() const { return document.root(); }

    std::string text;
    json::Document document;
};

} // namespace larder::schema::testing
