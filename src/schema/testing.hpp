// What the tests of this room share: a document whose text lives with it. One thread.
#pragma once

#include "base/json.hpp"

#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace larder::schema::testing {

/// "null", with a failure noted, when the text does not parse.
struct Parsed {
    explicit Parsed(std::string_view source, const json::Limits& limits = {}) : text(source) {
        auto parsed = json::parse(text, limits);
        EXPECT_TRUE(parsed) << text.substr(0, 200);
        if (!parsed)
            text = "null";
        document = parsed ? *std::move(parsed) : *json::parse(text);
    }
    Parsed(const Parsed&) = delete;
    Parsed& operator=(const Parsed&) = delete;
    [[nodiscard]] json::Value root() const { return document.root(); }

    std::string text;
    json::Document document;
};

} // namespace larder::schema::testing
