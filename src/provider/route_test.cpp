// Tests of routes as data: the names of their modes, and which failures a policy covers.
#include "provider/route.hpp"

#include <gtest/gtest.h>

namespace larder::provider {
namespace {

TEST(RouteMode, HasANameThatReadsBack) {
    for (const RouteMode mode :
         {RouteMode::kSingleModel, RouteMode::kFallback, RouteMode::kLoadBalance,
          RouteMode::kFastest, RouteMode::kCheapest}) {
        const auto named = route_mode_named(name_of(mode));
        ASSERT_TRUE(named);
        EXPECT_EQ(*named, mode);
    }
    EXPECT_EQ(name_of(RouteMode::kLoadBalance), "load-balance");
    EXPECT_EQ(name_of(RouteMode::kSingleModel), "single-model");
    for (const char* name : {"", "Fallback", "fall-back", "loadbalance"})
        EXPECT_FALSE(route_mode_named(name)) << name;
}

TEST(FailurePolicy, CoversTheUsualStatuses) {
    const FailurePolicy policy;
    for (const int status : {408, 429, 500, 503, 529, 599})
        EXPECT_TRUE(policy.covers_status(status)) << status;
    for (const int status : {200, 400, 401, 403, 404, 407, 409, 422, 428, 430, 499, 600})
        EXPECT_FALSE(policy.covers_status(status)) << status;
}

TEST(FailurePolicy, CoversTheStatusesThatItLists) {
    FailurePolicy policy;
    policy.statuses = {{400, 401}, {503, 503}};
    for (const int status : {400, 401, 503})
        EXPECT_TRUE(policy.covers_status(status)) << status;
    for (const int status : {399, 402, 429, 500, 502, 504})
        EXPECT_FALSE(policy.covers_status(status)) << status;
    policy.statuses.clear();
    EXPECT_FALSE(policy.covers_status(500));
}

TEST(FailurePolicy, CoversFailuresOfTheProviderButNoneOfTheClientOrOurs) {
    const FailurePolicy policy;
    for (const ErrorCode code : {ErrorCode::kProviderUnavailable, ErrorCode::kProviderOverloaded,
                                 ErrorCode::kTimeout, ErrorCode::kProviderUnreadable,
                                 ErrorCode::kProviderRejected, ErrorCode::kProviderUnconfigured})
        EXPECT_TRUE(policy.covers(code)) << static_cast<int>(code);
    for (const ErrorCode code :
         {ErrorCode::kInvalidRequest, ErrorCode::kCancelled, ErrorCode::kOverloaded,
          ErrorCode::kInternal, ErrorCode::kRateLimited, ErrorCode::kUnprocessable})
        EXPECT_FALSE(policy.covers(code)) << static_cast<int>(code);
}

TEST(FailurePolicy, CoversNoKindThatIsSwitchedOff) {
    const FailurePolicy off{.statuses = {},
                            .connection = false,
                            .timeout = false,
                            .unreadable = false,
                            .unconfigured = false};
    for (const ErrorCode code : {ErrorCode::kProviderUnavailable, ErrorCode::kProviderOverloaded,
                                 ErrorCode::kTimeout, ErrorCode::kProviderUnreadable,
                                 ErrorCode::kProviderRejected, ErrorCode::kProviderUnconfigured})
        EXPECT_FALSE(off.covers(code)) << static_cast<int>(code);
}

} // namespace
} // namespace larder::provider
