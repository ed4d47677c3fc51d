// What a route makes of a request: which models, with which bodies, under which keys.
#include "gateway/embeddings.hpp"
#include "gateway/plan.hpp"
#include "testing/gateway_parts.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace larder::gateway {
namespace {

using protocol::Dialect;
using provider::RouteMode;
using provider::RouteTarget;

provider::Provider provider_named(const std::string& name, Dialect dialect) {
    return {.name = name,
            .dialect = dialect,
            .base_url = "https://" + name + ".example/v1",
            .cache_identity = name};
}

RouteTarget target(std::string provider, std::string model, std::string deployment = {}) {
    RouteTarget made;
    made.provider = std::move(provider);
    made.model = std::move(model);
    made.deployment = std::move(deployment);
    return made;
}

struct PlanTest : larder::testing::GatewayTest {
    PlanTest() {
        settings->catalog.providers = {provider_named("one", Dialect::kOpenAiChat),
                                       provider_named("two", Dialect::kOpenAiChat),
                                       provider_named("three", Dialect::kAnthropicMessages)};
        add_route("smart", {target("one", "a"), target("two", "b"), target("three", "c")});
    }
    provider::Route& add_route(std::string name, std::vector<RouteTarget> targets) {
        provider::Route route;
        route.name = std::move(name);
        route.targets = std::move(targets);
        return settings->catalog.routes.emplace_back(std::move(route));
    }
    Result<Plan> plan(Dialect dialect, std::string_view body, std::string_view route = {}) {
        body_ = body;
        return gateway.plan(settings, inquiry(dialect, route));
    }
    Inquiry inquiry(Dialect dialect, std::string_view route = {}) const {
        return {.dialect = dialect,
                .body = body_,
                .query = {},
                .name_space = "web",
                .user = "ann",
                .route = route,
                .forwarded = {},
                .directives = {}};
    }
    std::string body_;
};

std::vector<std::string> names(const Plan& plan) {
    std::vector<std::string> out;
    for (const Way& way : plan.ways)
        out.push_back(way.prepared.target.provider->name + "/" + way.prepared.target.model);
    return out;
}

using Names = std::vector<std::string>;

constexpr std::string_view kChat =
    R"({"model":"smart","messages":[{"role":"user","content":"hi"}]})";

TEST_F(PlanTest, ARouteNamedAsAModelGivesItsModelsWithBodiesOfTheirOwn) {
    const auto made = plan(Dialect::kOpenAiChat, kChat);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->choice.route, "smart");
    EXPECT_EQ(names(*made), (Names{"one/a", "two/b", "three/c"}));
    EXPECT_TRUE(made->ways[0].prepared.upstream_body.contains(R"("model":"a")"));
    EXPECT_TRUE(made->ways[1].prepared.upstream_body.contains(R"("model":"b")"));
    EXPECT_EQ(made->ways[2].prepared.upstream_path, "/v1/messages");
    EXPECT_NE(made->ways[0].prepared.key, made->ways[1].prepared.key);
    EXPECT_NE(made->ways[0].on, nullptr);
    EXPECT_EQ(made->ways[2].on, nullptr);
}

TEST_F(PlanTest, AWaysKeyIsThatOfADirectRequestForItsModel) {
    const auto routed = plan(Dialect::kOpenAiChat, kChat);
    const auto direct = plan(Dialect::kOpenAiChat,
                             R"({"model":"two/b","messages":[{"role":"user","content":"hi"}]})");
    ASSERT_TRUE(routed);
    ASSERT_TRUE(direct);
    EXPECT_FALSE(direct->is_routed());
    EXPECT_EQ(routed->ways[1].prepared.key, direct->ways[0].prepared.key);
}

TEST_F(PlanTest, TheHeaderNamesARouteOrAMode) {
    const std::string_view body =
        R"({"model":"one/a","messages":[{"role":"user","content":"hi"}]})";
    const auto named = plan(Dialect::kOpenAiChat, body, "smart");
    ASSERT_TRUE(named);
    EXPECT_EQ(names(*named), (Names{"one/a", "two/b", "three/c"}));
    const auto mode = plan(Dialect::kOpenAiChat, body, "fallback");
    ASSERT_TRUE(mode);
    EXPECT_EQ(mode->choice.mode, RouteMode::kFallback);
    EXPECT_EQ(names(*mode).front(), "one/a");
    const auto single = plan(Dialect::kOpenAiChat, body, "single-model");
    ASSERT_TRUE(single);
    EXPECT_FALSE(single->is_routed());
    const auto unknown = plan(Dialect::kOpenAiChat, body, "nowhere\r\nx: y");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(unknown.error().field, "x-larder-route");
    EXPECT_TRUE(unknown.error().message.contains("configured: smart"));
}

TEST_F(PlanTest, TheBodysModeTakesThePlaceOfTheRoutesOwn) {
    const auto made =
        plan(Dialect::kLlm, R"({"model":"smart","prompt":"hi","routingMode":"fastest"})");
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->choice.mode, RouteMode::kFastest);
    EXPECT_EQ(made->ways.size(), 3U);
    const auto kept =
        plan(Dialect::kLlm, R"({"model":"smart","prompt":"hi","routingMode":"single-model"})");
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->choice.mode, RouteMode::kFallback);
}

TEST_F(PlanTest, ABodysSessionReachesTheStickyRouteWithinARoute) {
    provider::Route& balanced = add_route("balanced", {target("one", "a"), target("two", "b")});
    balanced.mode = RouteMode::kLoadBalance;
    balanced.sticky = provider::Sticky::kSession;
    RouteTarget nested;
    nested.route = "balanced";
    add_route("outer", {nested, target("three", "c")});
    const auto first_of = [&](int session, std::string_view header) {
        const std::string body = R"({"model":"outer","user":"u)" + std::to_string(session) +
                                 R"(","messages":[{"role":"user","content":"hi"}]})";
        body_ = body;
        Inquiry asked = inquiry(Dialect::kOpenAiChat);
        asked.session = header;
        const auto made = gateway.plan(settings, asked);
        return made ? names(*made).front() : made.error().message;
    };
    std::set<std::string> homes;
    for (int session = 0; session < 20; ++session) {
        const std::string home = first_of(session, {});
        homes.insert(home);
        for (int turn = 0; turn < 4; ++turn)
            EXPECT_EQ(first_of(session, {}), home) << session;
        EXPECT_EQ(first_of(session, "one and the same"), first_of(0, "one and the same"));
    }
    EXPECT_EQ(homes, (std::set<std::string>{"one/a", "two/b"}));
}

TEST_F(PlanTest, TargetsOfOneDeploymentShareTheirKey) {
    add_route("hosts", {target("one", "gpt", "shared"), target("two", "gpt-host", "shared"),
                        target("two", "gpt-other")});
    const auto made = plan(Dialect::kOpenAiChat,
                           R"({"model":"hosts","messages":[{"role":"user","content":"hi"}]})");
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_EQ(made->ways.size(), 3U);
    EXPECT_EQ(made->ways[0].prepared.key, made->ways[1].prepared.key);
    EXPECT_NE(made->ways[0].prepared.key, made->ways[2].prepared.key);
    EXPECT_TRUE(made->ways[1].prepared.upstream_body.contains("gpt-host"));
}

TEST_F(PlanTest, ModelsThatCantTakeTheRequestAreLeftOut) {
    const auto some =
        plan(Dialect::kOpenAiChat,
             R"({"model":"smart","seed":7,"messages":[{"role":"user","content":"hi"}]})");
    ASSERT_TRUE(some) << some.error().message;
    EXPECT_EQ(names(*some), (Names{"one/a", "two/b"}));
    EXPECT_EQ(some->ways.back().on, nullptr);
    add_route("other", {target("three", "c")});
    const auto none =
        plan(Dialect::kOpenAiChat,
             R"({"model":"other","seed":7,"messages":[{"role":"user","content":"hi"}]})");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(none.error().field, "seed");
}

TEST_F(PlanTest, AWayIsTakenWithItsPatience) {
    settings->catalog.routes.front().targets[1].retries = 1;
    auto made = plan(Dialect::kOpenAiChat, kChat);
    ASSERT_TRUE(made);
    const Inquiry asked = inquiry(Dialect::kOpenAiChat);
    const auto first = gateway.take_way(*made, asked, 0);
    const auto second = gateway.take_way(*made, asked, 1);
    const auto third = gateway.take_way(*made, asked, 2);
    ASSERT_TRUE(first && second && third);
    EXPECT_EQ(first->target.retries, 0);
    EXPECT_EQ(second->target.retries, 1);
    EXPECT_EQ(third->target.retries, std::nullopt);
}

TEST_F(PlanTest, AModelThatAskedToBeLeftAloneIsLookedUpButNotAsked) {
    gateway.health().of("one", "a")->cool(std::numeric_limits<std::int64_t>::max());
    const auto made = plan(Dialect::kOpenAiChat, kChat);
    ASSERT_TRUE(made);
    EXPECT_EQ(names(*made), (Names{"two/b", "three/c", "one/a"}));
    EXPECT_NE(made->ways[0].on, nullptr);
    EXPECT_EQ(made->ways[1].on, nullptr);
    gateway.health().of("two", "b")->cool(std::numeric_limits<std::int64_t>::max());
    gateway.health().of("three", "c")->cool(std::numeric_limits<std::int64_t>::max());
    const auto all = plan(Dialect::kOpenAiChat, kChat);
    ASSERT_TRUE(all);
    EXPECT_EQ(names(*all).front(), "one/a");
}

TEST_F(PlanTest, ASingleModelHasNoNextOne) {
    settings->catalog.routes.front().mode = RouteMode::kSingleModel;
    const auto made = plan(Dialect::kOpenAiChat, kChat);
    ASSERT_TRUE(made);
    EXPECT_EQ(names(*made), (Names{"one/a"}));
    EXPECT_EQ(made->ways.front().on, nullptr);
    gateway.health().of("one", "a")->cool(std::numeric_limits<std::int64_t>::max());
    const auto resting = plan(Dialect::kOpenAiChat, kChat);
    ASSERT_TRUE(resting);
    EXPECT_EQ(names(*resting), (Names{"one/a"}));
}

TEST_F(PlanTest, TheModeThatOldClientsAlwaysSendLeavesARouteItsOwn) {
    for (const std::string_view route : {"single-model", ""}) {
        const auto made =
            plan(Dialect::kLlm, R"({"model":"smart","prompt":"hi","routingMode":"single-model"})",
                 route);
        ASSERT_TRUE(made);
        EXPECT_EQ(made->choice.mode, RouteMode::kFallback);
        EXPECT_EQ(made->ways.size(), 3U);
    }
}

TEST_F(PlanTest, LargeBodiesOfLaterWaysAreMadeWhenTheyAreNeeded) {
    const std::string messages =
        R"("messages":[{"role":"user","content":")" + std::string(1'100'000, 'x') + R"("}]})";
    auto made = plan(Dialect::kOpenAiChat, R"({"model":"smart",)" + messages);
    ASSERT_TRUE(made);
    EXPECT_FALSE(made->ways[0].is_bare);
    EXPECT_TRUE(made->ways[1].is_bare);
    EXPECT_FALSE(made->ways[1].prepared.may_read);
    const auto taken = gateway.take_way(*made, inquiry(Dialect::kOpenAiChat), 1);
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->target.retries, 0);
    EXPECT_FALSE(made->repeats_key(1));
    const auto direct = plan(Dialect::kOpenAiChat, R"({"model":"two/b",)" + messages);
    ASSERT_TRUE(direct);
    EXPECT_EQ(taken->key, direct->ways[0].prepared.key);
    EXPECT_EQ(taken->upstream_body, direct->ways[0].prepared.upstream_body);
}

TEST_F(PlanTest, TargetsOfOneDeploymentShareAnswersButNoCalls) {
    add_route("hosts", {target("one", "gpt", "shared"), target("two", "gpt", "shared")});
    const auto made = plan(Dialect::kOpenAiChat,
                           R"({"model":"hosts","messages":[{"role":"user","content":"hi"}]})");
    ASSERT_TRUE(made);
    EXPECT_EQ(made->ways[0].prepared.key, made->ways[1].prepared.key);
    EXPECT_TRUE(made->repeats_key(1));
    EXPECT_NE(made->ways[0].prepared.flight_key(), made->ways[1].prepared.flight_key());
    const auto plain = plan(Dialect::kOpenAiChat, kChat);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->ways[0].prepared.flight_key(), plain->ways[0].prepared.key);
}

TEST_F(PlanTest, EmbeddingsTakeARouteToo) {
    body_ = R"({"model":"smart","input":"a"})";
    const auto batch = gateway.prepare_embeddings(settings, inquiry(Dialect::kOpenAiEmbeddings));
    ASSERT_TRUE(batch) << batch.error().message;
    EXPECT_EQ((*batch)->prepared.target.model, "a");
    EXPECT_EQ((*batch)->prepared.target.retries, 0);
    const RouteCandidate second = (*batch)->choice.candidates[1];
    const auto next =
        gateway.prepare_embeddings(settings, inquiry(Dialect::kOpenAiEmbeddings), &second);
    ASSERT_TRUE(next);
    EXPECT_EQ((*next)->prepared.target.model, "b");
}

TEST(MovesOn, AfterWhatThePolicyCoversOnly) {
    const provider::FailurePolicy policy;
    FlightEnd end;
    end.provider_status = 503;
    EXPECT_TRUE(moves_on(&policy, end));
    EXPECT_FALSE(moves_on(nullptr, end));
    EXPECT_EQ(result_of(end), "503");
    end.provider_status = 400;
    EXPECT_FALSE(moves_on(&policy, end));
    end.error = Error{.code = ErrorCode::kTimeout};
    EXPECT_TRUE(moves_on(&policy, end));
    EXPECT_EQ(result_of(end), "timeout");
    end.error = Error{.code = ErrorCode::kOverloaded}; // ours
    EXPECT_FALSE(moves_on(&policy, end));
    end.error = Error{.code = ErrorCode::kCancelled};
    EXPECT_FALSE(moves_on(&policy, end));
}

} // namespace
} // namespace larder::gateway
