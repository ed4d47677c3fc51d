// Requests of one API in the other's words, for tests.
#pragma once

#include "base/json.hpp"
#include "convert/convert.hpp"
#include "protocol/protocol.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace larder::testing {

using protocol::Dialect;

struct Direction {
    Dialect from;
    Dialect to;
    std::string_view model;
};

inline std::string canonical_request(std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    std::string out;
    if (document)
        json::write_canonical(out, document->root());
    return out;
}

inline Result<std::string> carried(const Direction& direction, std::string_view body) {
    const auto document = json::parse(body);
    EXPECT_TRUE(document) << body;
    if (!document)
        return fail(ErrorCode::kInternal, "the test's own body can't be read");
    const auto call = protocol::read_call(direction.from, *document);
    EXPECT_TRUE(call) << body;
    if (!call)
        return fail(ErrorCode::kInternal, "the test's own body is refused by its own API");
    return convert::write_request(direction.from, *document, direction.to, *call, direction.model);
}

/// Expects `body` to be carried over as `expected`, but for the order of members.
inline void expect_carried(const Direction& direction, std::string_view body,
                           std::string_view expected) {
    const auto written = carried(direction, body);
    ASSERT_TRUE(written) << written.error().field << ": " << written.error().message;
    EXPECT_EQ(canonical_request(*written), canonical_request(expected)) << body;
}

/// Expects a refusal that names `field`.
inline void expect_refused(const Direction& direction, std::string_view body,
                           std::string_view field) {
    const auto written = carried(direction, body);
    ASSERT_FALSE(written) << body << " became " << *written;
    EXPECT_EQ(written.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(written.error().field, field) << body;
    EXPECT_NE(written.error().message.find("`" + std::string(field) + "`"), std::string::npos)
        << written.error().message;
}

} // namespace larder::testing
