// What replies say of a route: harmless in a head, whole in the metadata.
#include "api/route_trace.hpp"

#include "base/json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace larder::api {
namespace {

RouteTrace trace() {
    return {.route = "smart",
            .mode = provider::RouteMode::kFallback,
            .tried = {{.provider = "one", .model = "a", .result = "503", .took_ms = 4},
                      {.provider = "two", .model = "b", .result = "200", .took_ms = 12}}};
}

TEST(RouteTrace, SaysWhatWasTriedInTheHead) {
    std::string lines;
    trace().add_lines(lines);
    EXPECT_EQ(lines, "x-larder-route: smart\r\nx-larder-route-tried: one/a=503, two/b=200\r\n");
}

TEST(RouteTrace, NamesThatAClientWroteCantEndALine) {
    RouteTrace hostile = trace();
    hostile.tried[0].model = "a\r\nset-cookie: x, \"" + std::string(300, 'm');
    std::string lines;
    hostile.add_lines(lines);
    EXPECT_EQ(lines.find("\r\nset-cookie"), std::string::npos);
    EXPECT_TRUE(lines.contains("one/a%0D%0Aset-cookie:%20x%2C%20%22mm"));
    EXPECT_LT(lines.size(), 400U);
}

TEST(RouteTrace, StandsInTheMetadataOfAReplyAndOfAStreamsLastEvent) {
    const std::string reply =
        R"({"code":"}}","text":"}}","metadata":{"model":"b","usage":{"exact":true}}})";
    const std::string routed = trace().in_metadata(reply);
    const auto document = json::parse(routed);
    ASSERT_TRUE(document) << routed;
    const auto metadata = document->root().find("metadata");
    ASSERT_TRUE(metadata);
    const auto route = metadata->find("route");
    ASSERT_TRUE(route);
    EXPECT_EQ(route->raw(), R"({"name":"smart","mode":"fallback","tried":[)"
                            R"({"provider":"one","model":"a","result":"503","tookMs":4},)"
                            R"({"provider":"two","model":"b","result":"200","tookMs":12}]})");
    const std::string events = "event: done\ndata: " + reply + "\n\n";
    EXPECT_EQ(trace().in_metadata(events), "event: done\ndata: " + routed + "\n\n");
}

} // namespace
} // namespace larder::api
