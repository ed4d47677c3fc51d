// Tests of the route that is made for a request which asks for a mode without naming a route.
#include "gateway/routing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::gateway {
namespace {

using provider::Provider;
using provider::Route;
using provider::RouteMode;
using testing::ElementsAre;

struct MakeRouteTest : testing::Test {
    provider::Catalog catalog;

    MakeRouteTest() {
        EXPECT_TRUE(catalog.prices.load(llm::built_in_prices()));
        add("openai");
        add("anthropic");
        add("azure", {"gpt-4o", "gpt-4.1"}, "openai");
        add("eu", {}, "openai");
        add("local");
        catalog.aliases["fast"] = {.provider = "openai", .model = "gpt-4o-mini"};
    }
    Provider& add(std::string name, std::vector<std::string> models = {}, std::string vendor = {}) {
        Provider& provider = catalog.providers.emplace_back();
        provider.name = std::move(name);
        provider.models = std::move(models);
        provider.vendor = std::move(vendor);
        return provider;
    }
    Route& add_route(std::string name, RouteMode mode) {
        Route& route = catalog.routes.emplace_back();
        route.name = std::move(name);
        route.mode = mode;
        route.targets.emplace_back().provider = "anthropic";
        route.targets.back().model = "claude-haiku-4-5";
        route.targets.emplace_back().provider = "local";
        route.targets.back().model = "llama";
        return route;
    }
    std::vector<std::string> targets(RouteMode mode, std::string_view provider,
                                     std::string_view model) {
        const auto route = make_route(catalog, mode, provider, model);
        if (!route)
            return {route.error().message};
        EXPECT_TRUE(route->mode == mode);
        std::vector<std::string> names;
        for (const provider::RouteTarget& target : route->targets)
            names.push_back(target.route.empty() ? target.provider + "/" + target.model
                                                 : "route " + target.route);
        return names;
    }
};

TEST_F(MakeRouteTest, AsksEveryProviderThatTakesTheModel) {
    EXPECT_THAT(targets(RouteMode::kLoadBalance, "", "openai/gpt-4o"),
                ElementsAre("openai/gpt-4o", "azure/gpt-4o", "eu/gpt-4o"));
    EXPECT_THAT(targets(RouteMode::kFastest, "", "gpt-4.1"),
                ElementsAre("azure/gpt-4.1", "openai/gpt-4.1", "eu/gpt-4.1"))
        << "the resolved one is first";
    EXPECT_THAT(targets(RouteMode::kCheapest, "", "claude-haiku-4-5"),
                ElementsAre("anthropic/claude-haiku-4-5"));
}

TEST_F(MakeRouteTest, DoesNotTakeAProviderThatWouldTakeAnyModel) {
    EXPECT_THAT(targets(RouteMode::kFastest, "local", "gpt-4o"),
                ElementsAre("local/gpt-4o", "openai/gpt-4o", "azure/gpt-4o", "eu/gpt-4o"));
    EXPECT_THAT(targets(RouteMode::kFastest, "local", "my-own"), ElementsAre("local/my-own"));
}

TEST_F(MakeRouteTest, UnderstandsAnAliasAndAProvidersName) {
    EXPECT_THAT(targets(RouteMode::kFastest, "", "fast"),
                ElementsAre("openai/gpt-4o-mini", "eu/gpt-4o-mini"));
    EXPECT_THAT(targets(RouteMode::kFastest, "", "azure/gpt-4o"),
                ElementsAre("azure/gpt-4o", "openai/gpt-4o", "eu/gpt-4o"));
}

TEST_F(MakeRouteTest, RefusesAModelThatNobodyTakes) {
    const auto route = make_route(catalog, RouteMode::kFallback, "", "nobodys-model");
    ASSERT_FALSE(route);
    EXPECT_EQ(route.error().code, ErrorCode::kModelNotFound);
    const auto other = make_route(catalog, RouteMode::kFallback, "gone", "gpt-4o");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().field, "provider");
}

TEST_F(MakeRouteTest, AFallbackGoesOnWithTheFilesFirstOneOfThatMode) {
    add_route("quick", RouteMode::kFastest);
    Route& file = add_route("safe", RouteMode::kFallback);
    file.on.timeout = false;
    file.first_byte_timeout = std::chrono::milliseconds(700);
    add_route("safer", RouteMode::kFallback).targets.pop_back();
    EXPECT_THAT(targets(RouteMode::kFallback, "", "fast"),
                ElementsAre("openai/gpt-4o-mini", "eu/gpt-4o-mini", "anthropic/claude-haiku-4-5",
                            "local/llama"));
    const auto route = make_route(catalog, RouteMode::kFallback, "", "fast");
    ASSERT_TRUE(route);
    EXPECT_FALSE(route->on.timeout) << "after the failures that the file names";
    EXPECT_EQ(route->first_byte_timeout, std::chrono::milliseconds(700));
    EXPECT_THAT(targets(RouteMode::kFastest, "", "fast"),
                ElementsAre("openai/gpt-4o-mini", "eu/gpt-4o-mini"))
        << "the other modes choose among those that have the model";
}

TEST_F(MakeRouteTest, WithoutAModelItIsTheFilesFirstRouteOfThatMode) {
    add_route("safe", RouteMode::kFallback);
    Route& file = add_route("cheap", RouteMode::kCheapest);
    file.targets.emplace_back().route = "safe";
    add_route("cheaper", RouteMode::kCheapest).targets.pop_back();
    EXPECT_THAT(targets(RouteMode::kCheapest, "", ""),
                ElementsAre("anthropic/claude-haiku-4-5", "local/llama", "route safe"));
}

TEST_F(MakeRouteTest, WithoutOneInTheFileItIsEveryProvidersBestKnownModel) {
    EXPECT_THAT(
        targets(RouteMode::kFastest, "", ""),
        ElementsAre("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "azure/gpt-4o", "eu/gpt-4o"))
        << "of `local` no model is known";
    EXPECT_THAT(targets(RouteMode::kFastest, "anthropic", ""),
                ElementsAre("anthropic/claude-sonnet-4-5"));
}

TEST_F(MakeRouteTest, WithoutAnyModelAtAllSaysSo) {
    catalog.providers.clear();
    EXPECT_FALSE(make_route(catalog, RouteMode::kFastest, "", ""));
    add("local");
    EXPECT_FALSE(make_route(catalog, RouteMode::kFastest, "", ""));
}

TEST_F(MakeRouteTest, HasNoMoreModelsThanItsBound) {
    for (int i = 0; i < 100; ++i)
        add("p" + std::to_string(i), {"gpt-4o"});
    add_route("safe", RouteMode::kFallback);
    EXPECT_EQ(targets(RouteMode::kFallback, "", "gpt-4o").size(), provider::kMostRouteModels);
    EXPECT_EQ(targets(RouteMode::kFastest, "", "").size(), provider::kMostRouteModels);
}

} // namespace
} // namespace larder::gateway
