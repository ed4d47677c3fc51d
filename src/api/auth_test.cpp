// Keys, scopes and open mode.
#include "api/auth.hpp"

#include <gtest/gtest.h>

namespace larder::api {
namespace {

Authenticator with_keys() {
    std::vector<KeyDigest> keys;
    for (const auto& [secret, name, scopes] :
         {std::tuple("sk-web-1", "web", kAllScopes), std::tuple("sk-stats-2", "stats", kScopeStats),
          std::tuple("sk-last-3", "last", kScopeLlm)})
        keys.push_back({.digest = sha256(secret),
                        .principal = {.user = std::string("user-") + name,
                                      .name_space = name,
                                      .key_name = name,
                                      .scopes = scopes,
                                      .known = true}});
    return Authenticator(std::move(keys));
}

std::string who(const Authenticator& authenticator, const PresentedKeys& presented) {
    const auto principal = authenticator.authenticate(presented);
    if (principal)
        return (*principal)->key_name;
    EXPECT_EQ(principal.error().code, ErrorCode::kUnauthorized);
    return "401";
}

TEST(Authenticator, KnowsEveryConfiguredKeyInEitherHeader) {
    const Authenticator authenticator = with_keys();
    EXPECT_EQ(who(authenticator, {.authorization = "Bearer sk-web-1"}), "web");
    EXPECT_EQ(who(authenticator, {.authorization = "bearer   sk-stats-2"}), "stats");
    EXPECT_EQ(who(authenticator, {.authorization = "BEARER sk-last-3 "}), "last");
    EXPECT_EQ(who(authenticator, {.x_api_key = "sk-web-1"}), "web");
    EXPECT_EQ(who(authenticator, {.x_api_key = "sk-last-3"}), "last");
    EXPECT_EQ(who(authenticator, {.authorization = "Bearer sk-web-1", .x_api_key = "sk-web-1"}),
              "web");
    EXPECT_EQ(who(authenticator, {.authorization = "Bearer sk-web-1", .x_api_key = ""}), "web");
}

TEST(Authenticator, RefusesWhatIsMissingWrongMalformedOrContradictory) {
    const Authenticator authenticator = with_keys();
    EXPECT_EQ(who(authenticator, {}), "401");
    EXPECT_EQ(who(authenticator, {.authorization = "", .x_api_key = "sk-web-1"}), "401");
    EXPECT_EQ(who(authenticator, {.x_api_key = ""}), "401");
    EXPECT_EQ(who(authenticator, {.x_api_key = "sk-web-2"}), "401");
    EXPECT_EQ(who(authenticator, {.x_api_key = "sk-web-1x"}), "401");
    EXPECT_EQ(who(authenticator, {.x_api_key = "sk-web-"}), "401");
    for (const auto* value :
         {"", "Bearer", "Bearer ", "Bearer  ", "Bearersk-web-1", "Basic sk-web-1", "sk-web-1",
          "Bearer sk-web-1 sk-web-1", "Bearer sk-web-1, Bearer sk-web-1", "Bearer\tsk-web-1",
          "Bearer sk-web-1\n", "Bearer \xc3\xa4", "Bearer sk-other"})
        EXPECT_EQ(who(authenticator, {.authorization = value}), "401") << value;
    EXPECT_EQ(who(authenticator, {.authorization = "Bearer sk-web-1", .x_api_key = "sk-last-3"}),
              "401");
    EXPECT_EQ(who(authenticator, {.authorization = "Basic x", .x_api_key = "sk-web-1"}), "401");
}

TEST(Authenticator, RefusesEverybodyWithoutConfiguredKeys) {
    EXPECT_EQ(who(Authenticator(std::vector<KeyDigest>{}), {.x_api_key = "a"}), "401");
}

TEST(Authenticator, NamesNoKeyInItsErrors) {
    const Authenticator authenticator = with_keys();
    for (const PresentedKeys& presented :
         {PresentedKeys{.authorization = "Bearer sekret"}, PresentedKeys{.authorization = "sekret"},
          PresentedKeys{.authorization = "Bearer sekret", .x_api_key = "sekret2"}})
        EXPECT_EQ(authenticator.authenticate(presented).error().message.find("sekret"),
                  std::string::npos);
}

TEST(Authenticator, GrantsAnyOneOfTheScopesAsked) {
    const Authenticator authenticator = with_keys();
    const Principal& stats = **authenticator.authenticate({.x_api_key = "sk-stats-2"});
    EXPECT_TRUE(authenticator.authorize(stats, kScopeStats | kScopeLlm, {.loopback = false}));
    const auto refused = authenticator.authorize(stats, kScopeLlm, {.loopback = true});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kForbidden);
    EXPECT_EQ(refused.error().message, "This key lacks the scope llm.");
    const Principal& web = **authenticator.authenticate({.x_api_key = "sk-web-1"});
    for (const Scopes scope : {kScopeLlm, kScopeSessions, kScopeStats, kScopeAdmin})
        EXPECT_TRUE(authenticator.authorize(web, scope, {.loopback = false}));
}

TEST(Authenticator, InOpenModeKnowsNobodyAndReservesSomeForLoopback) {
    const Authenticator open;
    const auto principal = open.authenticate({.authorization = "Bearer whatever"});
    ASSERT_TRUE(principal);
    EXPECT_FALSE((*principal)->known);
    EXPECT_EQ((*principal)->name_space, "default");
    EXPECT_EQ((*principal)->user, "");
    EXPECT_TRUE(open.authorize(**principal, kScopeLlm, {.loopback = false}));
    EXPECT_TRUE(open.authorize(**principal, kScopeStats, {.loopback = false}));
    for (const Scopes scope : {kScopeSessions, kScopeAdmin}) {
        EXPECT_TRUE(open.authorize(**principal, scope, {.loopback = true}));
        const auto refused = open.authorize(**principal, scope, {.loopback = false});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kForbidden);
        EXPECT_NE(refused.error().message.find("auth.mode: keys"), std::string::npos);
    }
}

TEST(Scopes, AreExactlyFour) {
    EXPECT_EQ(scope_named("llm"), kScopeLlm);
    EXPECT_EQ(scope_named("admin"), kScopeAdmin);
    EXPECT_EQ(scope_named("Llm"), std::nullopt);
    EXPECT_EQ(scope_named(""), std::nullopt);
}

} // namespace
} // namespace larder::api
