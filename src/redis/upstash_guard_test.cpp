// What all threads know of Upstash together: when it is left alone, why, and when that is told.
#include "redis/upstash_guard.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace larder::redis::upstash {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Verdict good() {
    return {.kind = Verdict::Kind::kReplies};
}

Verdict broken(ErrorCode code = ErrorCode::kStore) {
    return {
        .kind = Verdict::Kind::kUnsure, .error = {.code = code}, .reason = "its connections break"};
}

Verdict outage(const std::string& detail, const std::string& reason) {
    return {.kind = Verdict::Kind::kOutage,
            .error = {.code = ErrorCode::kStore, .detail = detail},
            .reason = reason};
}

class UpstashGuard : public ::testing::Test {
protected:
    /// What `on_health` was told, as texts.
    std::vector<std::string> told;
    Guard guard{[this](const Health& health) { told.push_back(health.ok ? "ok" : health.reason); }};
    std::int64_t now_us = 60'000'000;

    Times times(milliseconds took = milliseconds(5), milliseconds within = milliseconds(400)) {
        now_us += 1000;
        return {.took = took, .within = within, .now_us = now_us};
    }
};

TEST_F(UpstashGuard, IsNotFineBeforeTheFirstAnswerButLetsEverythingThrough) {
    EXPECT_FALSE(guard.health().ok);
    EXPECT_EQ(guard.health().reason, "it has not answered yet");
    EXPECT_FALSE(guard.refusal());
    EXPECT_FALSE(guard.note(good(), times()));
    EXPECT_TRUE(guard.health().ok);
    EXPECT_FALSE(guard.note(good(), times()));
    EXPECT_EQ(told, std::vector<std::string>{"ok"});
}

TEST_F(UpstashGuard, OpensAfterFiveFailuresInARowAndSaysSoOnce) {
    EXPECT_FALSE(guard.note(good(), times()));
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(guard.note(broken(), times()));
    EXPECT_FALSE(guard.refusal());
    EXPECT_TRUE(guard.note(broken(), times()));
    EXPECT_FALSE(guard.note(broken(), times())) << "it is open already";
    const auto refusal = guard.refusal();
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->code, ErrorCode::kStore);
    EXPECT_EQ(refusal->detail, "breaker_open");
    EXPECT_EQ(told, (std::vector<std::string>{"ok", "its connections break"}));
}

TEST_F(UpstashGuard, AnAnswerInBetweenStartsTheCountAnew) {
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 4; ++i)
            EXPECT_FALSE(guard.note(broken(), times()));
        EXPECT_FALSE(guard.note(good(), times()));
        now_us += 2'000'000;
    }
    EXPECT_FALSE(guard.refusal());
}

TEST_F(UpstashGuard, OpensAtOnceWhenTheTokenIsRefused) {
    EXPECT_TRUE(guard.note(outage("unauthorized", "it refuses the token"), times()));
    EXPECT_EQ(guard.health().reason, "it refuses the token");
    EXPECT_TRUE(guard.refusal());
}

TEST_F(UpstashGuard, OpensOnSlownessAlone) {
    bool opened = false;
    for (int i = 0; i < 40 && !opened; ++i)
        opened = guard.note(good(), times(milliseconds(390)));
    EXPECT_TRUE(opened);
    EXPECT_EQ(guard.health().reason, "it answers too slowly");
}

TEST_F(UpstashGuard, RequestsWithLittleTimeLeftSayNothingOfTheService) {
    EXPECT_FALSE(guard.note(good(), times()));
    for (int i = 0; i < 50; ++i)
        EXPECT_FALSE(
            guard.note(broken(ErrorCode::kTimeout), times(milliseconds(50), milliseconds(50))));
    EXPECT_FALSE(guard.refusal());
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(guard.note(broken(ErrorCode::kTimeout), times(milliseconds(400))));
    EXPECT_TRUE(guard.note(broken(ErrorCode::kTimeout), times(milliseconds(400))));
}

TEST_F(UpstashGuard, WhatWasNotAskedSaysNothingOfTheService) {
    const Verdict not_asked{.kind = Verdict::Kind::kNotAsked};
    EXPECT_FALSE(guard.note_first(not_asked, times()));
    EXPECT_FALSE(guard.note(not_asked, times()));
    EXPECT_FALSE(guard.health().ok) << "it has not answered yet";
    for (int i = 0; i < 4; ++i)
        EXPECT_FALSE(guard.note(broken(), times()));
    EXPECT_FALSE(guard.note(not_asked, times()));
    EXPECT_TRUE(guard.note(broken(), times())) << "five in a row";
}

TEST_F(UpstashGuard, TheFirstTryOpensItByAnyFailure) {
    EXPECT_TRUE(guard.note_first(broken(), times()));
    EXPECT_EQ(told, std::vector<std::string>{"its connections break"});
    EXPECT_FALSE(guard.note_first(good(), times())) << "only a probe closes it";
    EXPECT_TRUE(guard.refusal());
}

TEST_F(UpstashGuard, AGoodProbeClosesItAndABadOneTellsTheNewReason) {
    EXPECT_TRUE(guard.note_first(broken(), times()));
    const auto usual = guard.probe_wait(0);
    EXPECT_FALSE(guard.probed(outage("quota", "its quota is used up"), times()));
    EXPECT_EQ(guard.health().reason, "its quota is used up");
    EXPECT_GE(guard.probe_wait(0), usual * 10) << "a quota takes its time";
    EXPECT_TRUE(guard.probed(good(), times()));
    EXPECT_FALSE(guard.refusal());
    EXPECT_EQ(told,
              (std::vector<std::string>{"its connections break", "its quota is used up", "ok"}));
}

TEST_F(UpstashGuard, ASlowProbeDoesNotCloseIt) {
    EXPECT_FALSE(guard.note(good(), times()));
    EXPECT_TRUE(guard.note_first(broken(), times()));
    EXPECT_FALSE(guard.probed(good(), times(milliseconds(900), milliseconds(1000))));
    EXPECT_EQ(guard.health().reason, "it answers too slowly");
    EXPECT_TRUE(guard.probed(good(), times(milliseconds(300), milliseconds(1000))));
}

TEST_F(UpstashGuard, SaysNothingAfterItWasStopped) {
    guard.stop();
    EXPECT_FALSE(guard.note(outage("quota", "its quota is used up"), times()));
    EXPECT_TRUE(guard.probed(broken(), times())) << "no more probes";
    EXPECT_EQ(guard.refusal().value().detail, "stopped");
    EXPECT_TRUE(told.empty());
}

TEST_F(UpstashGuard, KeepsTheSyncTokenThatCameLast) {
    EXPECT_EQ(guard.sync_token(), "");
    guard.take_sync_token("first");
    guard.take_sync_token("");
    EXPECT_EQ(guard.sync_token(), "first");
    guard.take_sync_token("second");
    guard.take_sync_token(std::string(5000, 'x'));
    EXPECT_EQ(guard.sync_token(), "second");
}

TEST_F(UpstashGuard, ManyThreadsOpenItExactlyOnce) {
    EXPECT_FALSE(guard.note(good(), times()));
    std::atomic<int> opened = 0;
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([this, &opened] {
                for (int i = 0; i < 1000; ++i) {
                    opened +=
                        guard.note(broken(), {milliseconds(1), milliseconds(400), 60'000'000});
                    guard.take_sync_token(std::to_string(i));
                    static_cast<void>(guard.health());
                }
            });
        }
    }
    EXPECT_EQ(opened, 1);
    EXPECT_EQ(told, (std::vector<std::string>{"ok", "its connections break"}));
}

} // namespace
} // namespace larder::redis::upstash
