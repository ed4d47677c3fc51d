// Tests of the lists of models, and of a single one, in each API's shape.
#include "api/model_routes.hpp"

#include <gtest/gtest.h>

namespace larder::api {
namespace {

using protocol::Dialect;

provider::Catalog make_catalog() {
    provider::Catalog catalog;
    provider::Provider local{.name = "local", .dialect = Dialect::kOpenAiChat};
    local.models = {"one", "two", "thr\"ee"};
    catalog.providers.push_back(local);
    provider::Provider vendor{.name = "anthropic", .dialect = Dialect::kAnthropicMessages};
    vendor.vendor = "anthropic";
    catalog.providers.push_back(vendor);
    catalog.aliases["one"] = {.provider = "anthropic", .model = "claude-x"};
    catalog.aliases["zoe"] = {.provider = "gone", .model = "claude-x"};
    EXPECT_TRUE(catalog.prices.load(R"({"models":{
        "anthropic/claude-x":{"mode":"chat","input":1,"output":2},
        "anthropic/ft:claude-x":{"mode":"chat","input":1,"output":2},
        "anthropic/embed":{"mode":"embedding","input":1,"output":0},
        "anthropic/old":{"mode":"completion","input":1,"output":0}}})"));
    return catalog;
}

std::string ids(std::string_view query) {
    const auto body = anthropic_model_list(make_catalog(), query);
    if (!body)
        return body.error().field;
    std::string ids;
    for (std::size_t at = body->find(R"("id":")"); at != std::string::npos;
         at = body->find(R"("id":")", at + 1))
        (ids += body->substr(at + 6, body->find_first_of("\"\\", at + 6) - at - 6)) += ' ';
    return ids + (body->contains("\"has_more\":true") ? "more" : "all");
}

TEST(ModelList, HasOpenAisShape) {
    EXPECT_EQ(openai_model_list(make_catalog()),
              R"({"object":"list","data":[)"
              R"({"id":"one","object":"model","created":0,"owned_by":"anthropic"},)"
              R"({"id":"two","object":"model","created":0,"owned_by":"local"},)"
              R"({"id":"thr\"ee","object":"model","created":0,"owned_by":"local"},)"
              R"({"id":"claude-x","object":"model","created":0,"owned_by":"anthropic"},)"
              R"({"id":"embed","object":"model","created":0,"owned_by":"anthropic"}]})");
}

TEST(ModelList, HasAnthropicsShape) {
    const auto body = anthropic_model_list(make_catalog(), "limit=1&after_id=two");
    ASSERT_TRUE(body);
    EXPECT_EQ(*body, R"({"data":[{"type":"model","id":"thr\"ee","display_name":"thr\"ee",)"
                     R"("created_at":"1970-01-01T00:00:00Z"}],"has_more":true,)"
                     R"("first_id":"thr\"ee","last_id":"thr\"ee"})");
    const auto none = anthropic_model_list(make_catalog(), "after_id=embed");
    ASSERT_TRUE(none);
    EXPECT_EQ(*none, R"({"data":[],"has_more":false,"first_id":null,"last_id":null})");
}

TEST(ModelList, ComesInPages) {
    EXPECT_EQ(ids(""), "one two thr claude-x embed all");
    EXPECT_EQ(ids("limit=2"), "one two more");
    EXPECT_EQ(ids("limit=2&after_id=two"), "thr claude-x more");
    EXPECT_EQ(ids("limit=2&after_id=claude-x"), "embed all");
    EXPECT_EQ(ids("limit=2&before_id=claude-x"), "two thr more");
    EXPECT_EQ(ids("limit=2&before_id=two"), "one all");
    EXPECT_EQ(ids("before_id=one"), "all");
    EXPECT_EQ(ids("limit=1000&after_id=thr%22ee"), "claude-x embed all");
}

TEST(ModelList, RefusesPagesThatCannotBe) {
    for (const std::string_view query : {"limit=0", "limit=1001", "limit=-1", "limit=x",
                                         "limit=", "limit=99999999999999999999999"})
        EXPECT_EQ(ids(query), "limit") << query;
    EXPECT_EQ(ids("after_id=nothing"), "after_id");
    EXPECT_EQ(ids("before_id=nothing"), "before_id");
    EXPECT_EQ(ids("before_id=one&after_id=two"), "before_id");
}

TEST(ModelList, UnderLlmTellsWhatAnAliasStandsForAndPrices) {
    const std::string body = llm_model_list(make_catalog());
    EXPECT_TRUE(body.starts_with(
        R"({"models":[{"id":"one","provider":"anthropic","model":"claude-x","pricePerMillionTokens":{"input":1,)"))
        << body;
    EXPECT_TRUE(body.contains(R"({"id":"one","provider":"local"})")) << body;
    EXPECT_TRUE(body.contains(R"("id":"embed")")) << body;
    EXPECT_FALSE(body.contains(R"("id":"old")")) << body;
}

TEST(LocalModel, IsAnAliasOrAListedOneOrOneOfTheOtherApi) {
    const provider::Catalog catalog = make_catalog();
    EXPECT_EQ(local_model(catalog, "one", Style::kOpenAi),
              R"({"id":"one","object":"model","created":0,"owned_by":"anthropic"})");
    EXPECT_EQ(local_model(catalog, "two", Style::kAnthropic),
              R"({"type":"model","id":"two","display_name":"two",)"
              R"("created_at":"1970-01-01T00:00:00Z"})");
    EXPECT_EQ(local_model(catalog, "claude-x", Style::kAnthropic), std::nullopt)
        << "its provider is asked";
    EXPECT_NE(local_model(catalog, "claude-x", Style::kOpenAi), std::nullopt);
    EXPECT_EQ(local_model(catalog, "claude-new", Style::kOpenAi), std::nullopt);
    EXPECT_EQ(local_model(catalog, "nothing", Style::kOpenAi), std::nullopt);
}

} // namespace
} // namespace larder::api
