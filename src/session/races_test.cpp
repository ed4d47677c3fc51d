// Calls that are under way at the same time, from two threads, on every backend: nothing that was
// ended comes back, no update is lost, one of two wins.
#include "session/id.hpp"
#include "testing/session_backends.hpp"

#include <gtest/gtest.h>

#include <string>

namespace larder::session {
namespace {

using testing::finish;
using testing::SessionBackend;
using testing::SessionHarness;

const Owner kAnn{.name_space = "default", .user_id = "ann"};

Reference to(const Session& session) {
    return {.name_space = "default", .id = session.id};
}

class SessionRace : public ::testing::TestWithParam<SessionBackend> {
protected:
    /// Over REST each call is an HTTP request to a small server of the test.
    static int rounds() { return GetParam() == SessionBackend::kUpstash ? 30 : 150; }

    auto start_replace(std::size_t thread, const Session& session, std::string data) {
        return harness_.start(thread, [reference = to(session), data = std::move(data)](
                                          Store& store, async::TimeBudget& budget) {
            return store.replace(reference, data, std::nullopt, {}, budget);
        });
    }
    auto start_rotate(std::size_t thread, const Session& session) {
        return harness_.start(thread,
                              [reference = to(session)](Store& store, async::TimeBudget& budget) {
                                  return store.rotate(reference, std::nullopt, {}, budget);
                              });
    }
    auto start_destroy(std::size_t thread, const Session& session) {
        return harness_.start(thread,
                              [reference = to(session)](Store& store, async::TimeBudget& budget) {
                                  return store.destroy(reference, std::nullopt, budget);
                              });
    }
    auto start_destroy_all(std::size_t thread) {
        return harness_.start(thread, [](Store& store, async::TimeBudget& budget) {
            return store.destroy_all(kAnn, budget);
        });
    }
    auto start_read(std::size_t thread, const Session& session) {
        return harness_.start(thread,
                              [reference = to(session)](Store& store, async::TimeBudget& budget) {
                                  return store.read_and_refresh(reference, {}, budget);
                              });
    }

    SessionHarness harness_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(On, SessionRace,
                         ::testing::Values(SessionBackend::kMemory, SessionBackend::kRedis,
                                           SessionBackend::kUpstash),
                         ::testing::PrintToStringParamName());

TEST_P(SessionRace, AnUpdateUnderWayNeverBringsBackWhatWasEnded) {
    int updated = 0;
    for (int round = 0; round < rounds(); ++round) {
        const auto session = harness_.create(kAnn);
        ASSERT_TRUE(session);
        const auto first = static_cast<std::size_t>(round % 2); // each kind begins in turn
        auto update = start_replace(first, *session, R"({"late":true})");
        auto read = start_read(first, *session);
        auto end = start_destroy(1 - first, *session);
        auto update_after = start_replace(first, *session, R"({"later":true})");
        const auto replaced = finish(std::move(update));
        const auto refreshed = finish(std::move(read));
        const auto replaced_after = finish(std::move(update_after));
        EXPECT_TRUE(finish(std::move(end)));
        updated += replaced ? 1 : 0;
        for (const auto* outcome : {&replaced, &refreshed, &replaced_after}) {
            if (!*outcome)
                EXPECT_EQ(outcome->error().code, ErrorCode::kNotFound);
        }
        ASSERT_FALSE(harness_.read(to(*session))) << "round " << round;
        ASSERT_TRUE(harness_.list(kAnn)->empty()) << "round " << round;
    }
    RecordProperty("updated_before_the_end", updated);
}

TEST_P(SessionRace, EndingAllOfAUserReachesASessionThatIsBeingRotated) {
    for (int round = 0; round < rounds(); ++round) {
        const auto one = harness_.create(kAnn);
        const auto two = harness_.create(kAnn);
        ASSERT_TRUE(one && two);
        auto rotate_one = start_rotate(0, *one);
        auto end = start_destroy_all(1);
        auto rotate_two = start_rotate(0, *two);
        const auto rotated_one = finish(std::move(rotate_one));
        const auto rotated_two = finish(std::move(rotate_two));
        const auto ended = finish(std::move(end));
        ASSERT_TRUE(ended) << ended.error().message;
        EXPECT_EQ(*ended, 2);
        ASSERT_TRUE(harness_.list(kAnn)->empty()) << "round " << round;
        for (const auto* rotated : {&rotated_one, &rotated_two}) {
            if (*rotated)
                EXPECT_FALSE(harness_.read(to(**rotated)));
        }
    }
}

TEST_P(SessionRace, OneOfTwoRotationsWins) {
    for (int round = 0; round < rounds(); ++round) {
        const auto session = harness_.create(kAnn);
        ASSERT_TRUE(session);
        auto a = start_rotate(0, *session);
        auto b = start_rotate(1, *session);
        const auto one = finish(std::move(a));
        const auto two = finish(std::move(b));
        ASSERT_NE(one.has_value(), two.has_value()) << "round " << round;
        EXPECT_EQ((one ? two : one).error().code, ErrorCode::kNotFound);
        EXPECT_EQ(harness_.list(kAnn)->size(), 1U);
        ASSERT_TRUE(harness_.destroy(to(one ? *one : *two)));
    }
}

/// Adds one to the number that is the session's data, as often as it says: reads it, and puts the
/// next one in its place unless somebody else was faster.
Task<int> count_up(Store& store, Reference reference, int times) {
    int lost_races = 0;
    for (int done = 0; done < times;) {
        async::TimeBudget budget(std::chrono::seconds(20));
        const auto read = co_await store.read_and_refresh(reference, {}, budget);
        if (!read)
            co_return -1;
        const std::string next = std::to_string(std::stoi(read->data) + 1);
        const auto replaced = co_await store.replace(reference, next, read->version, {}, budget);
        if (!replaced && replaced.error().code != ErrorCode::kConflict)
            co_return -1;
        done += replaced ? 1 : 0;
        lost_races += replaced ? 0 : 1;
    }
    co_return lost_races;
}

TEST_P(SessionRace, ComparingTheVersionLosesNoUpdate) {
    constexpr int kWriters = 8;
    constexpr int kTimes = 25;
    const auto session = harness_.create(kAnn, "0");
    ASSERT_TRUE(session);
    std::vector<std::future<int>> writers;
    for (std::size_t i = 0; i < kWriters; ++i) {
        writers.push_back(
            harness_.start(i, [reference = to(*session)](Store& store, async::TimeBudget&) {
                return count_up(store, reference, kTimes);
            }));
    }
    int lost_races = 0;
    for (auto& writer : writers) {
        const int lost = finish(std::move(writer));
        ASSERT_GE(lost, 0);
        lost_races += lost;
    }
    const auto last = harness_.read(to(*session));
    ASSERT_TRUE(last);
    EXPECT_EQ(last->data, std::to_string(kWriters * kTimes));
    EXPECT_EQ(last->version, 1 + kWriters * kTimes);
    EXPECT_GT(lost_races, 0) << "there was no race";
}

class SmallSessionRace : public SessionRace {
protected:
    SmallSessionRace() : small_(GetParam(), 5) {}
    SessionHarness small_;
};

INSTANTIATE_TEST_SUITE_P(On, SmallSessionRace,
                         ::testing::Values(SessionBackend::kMemory, SessionBackend::kRedis,
                                           SessionBackend::kUpstash),
                         ::testing::PrintToStringParamName());

TEST_P(SmallSessionRace, ManyCreationsAtOnceStayWithinTheBound) {
    std::vector<std::future<Result<Session>>> creations;
    for (std::size_t i = 0; i < 40; ++i) {
        creations.push_back(small_.start(i, [](Store& store, async::TimeBudget& budget) {
            return store.create(kAnn, "{}", {}, budget);
        }));
    }
    int made = 0;
    for (auto& creation : creations) {
        const auto session = finish(std::move(creation));
        made += session ? 1 : 0;
        if (!session)
            EXPECT_EQ(session.error().code, ErrorCode::kOverloaded);
    }
    EXPECT_GE(made, 5);
    EXPECT_EQ(small_.list(kAnn)->size(), 5U);
}

} // namespace
} // namespace larder::session
