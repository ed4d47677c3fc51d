// The names of faults.
#include "replay/fault.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string_view>
#include <utility>

namespace larder::replay {
namespace {

TEST(Fault, ReadsEveryPlainName) {
    constexpr std::array<std::pair<std::string_view, FaultKind>, 14> kNames{{
        {"fault-hang", FaultKind::kHang},
        {"fault-cut-head", FaultKind::kCutHead},
        {"fault-cut-body", FaultKind::kCutBody},
        {"fault-cut-stream", FaultKind::kCutStream},
        {"fault-end-stream", FaultKind::kEndStream},
        {"fault-stall", FaultKind::kStall},
        {"fault-error-event", FaultKind::kErrorEvent},
        {"fault-garbage", FaultKind::kGarbage},
        {"fault-half-json", FaultKind::kHalfJson},
        {"fault-content-type", FaultKind::kContentType},
        {"fault-echo-key", FaultKind::kEchoKey},
        {"fault-trickle", FaultKind::kTrickle},
        {"fault-no-usage", FaultKind::kNoUsage},
        {"fault-empty", FaultKind::kEmpty},
    }};
    for (const auto& [name, kind] : kNames) {
        const auto fault = parse_fault(name);
        ASSERT_TRUE(fault) << name;
        EXPECT_EQ(fault->kind, kind) << name;
    }
}

TEST(Fault, ReadsAStatusAndHowLongToWait) {
    auto fault = parse_fault("fault-503");
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, FaultKind::kStatus);
    EXPECT_EQ(fault->number, 503U);
    EXPECT_FALSE(fault->retry_after);
    fault = parse_fault("fault-429-retry-after-7");
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->number, 429U);
    EXPECT_EQ(fault->retry_after, 7U);
    fault = parse_fault("fault-429-retry-after-1-retry-after-ms-20-times-2");
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->retry_after, 1U);
    EXPECT_EQ(fault->retry_after_ms, 20U);
    EXPECT_EQ(fault->times, 2U);
}

TEST(Fault, ReadsNumbersAndWords) {
    EXPECT_EQ(parse_fault("fault-slow-first-byte-2000")->number, 2000U);
    EXPECT_EQ(parse_fault("fault-flaky-2")->number, 2U);
    EXPECT_EQ(parse_fault("fault-huge-100000")->number, 100'000U);
    EXPECT_EQ(parse_fault("fault-finish-content_filter")->word, "content_filter");
    EXPECT_EQ(parse_fault("fault-gate-17")->kind, FaultKind::kGate);
    EXPECT_EQ(parse_fault("fault-middle-gate")->kind, FaultKind::kGateMiddle);
}

TEST(Fault, TakesNothingElseForAFault) {
    for (std::string_view name :
         {"", "gpt-4o", "fault-", "fault-nothing", "fault-20", "fault-200", "fault-600",
          "fault-429-retry-after-", "fault-429-times-x", "fault-flaky-", "fault-flaky-x",
          "fault-huge-99999999999999", "Fault-500", " fault-500"})
        EXPECT_FALSE(parse_fault(name)) << name;
}

} // namespace
} // namespace larder::replay
