// The contract of the port, on every backend: what each operation gives, whom a session belongs to,
// and when it ends.
#include "session/id.hpp"
#include "testing/session_backends.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace larder::session {
namespace {

using namespace std::chrono_literals;
using testing::SessionBackend;
using testing::SessionHarness;

const Owner kAnn{.name_space = "default", .user_id = "ann"};
const Owner kBob{.name_space = "default", .user_id = "bob"};

/// The session as its own namespace asks for it.
Reference to(const Session& session) {
    return {.name_space = "default", .id = session.id};
}

template <class T> ErrorCode code_of(const Result<T>& result) {
    return result ? ErrorCode::kInternal : result.error().code;
}

std::vector<std::string> ids_of(const std::vector<Session>& sessions) {
    std::vector<std::string> ids;
    for (const Session& session : sessions)
        ids.push_back(session.id);
    return ids;
}

class SessionStore : public ::testing::TestWithParam<SessionBackend> {
protected:
    SessionHarness harness_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(On, SessionStore,
                         ::testing::Values(SessionBackend::kMemory, SessionBackend::kSqlite,
                                           SessionBackend::kRedis, SessionBackend::kUpstash),
                         ::testing::PrintToStringParamName());

TEST_P(SessionStore, CreatesASessionWithItsTimes) {
    const auto made = harness_.create(kAnn, R"({"a":1})", {.ttl = 1h});
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(is_id(made->id));
    EXPECT_EQ(made->user_id, "ann");
    EXPECT_EQ(made->data, R"({"a":1})");
    EXPECT_EQ(made->version, 1);
    EXPECT_EQ(made->accessed_ms, made->created_ms);
    EXPECT_EQ(made->expires_ms, made->created_ms + 3'600'000);
    EXPECT_GT(made->created_ms, 1'700'000'000'000);
}

TEST_P(SessionStore, GivesBackWhatWasCreatedAndBeginsItsTimeAnew) {
    const auto made = harness_.create(kAnn, R"({"a":1})", {.ttl = 1h});
    ASSERT_TRUE(made);
    const auto read = harness_.read(to(*made), {.ttl = 2h});
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->id, made->id);
    EXPECT_EQ(read->user_id, "ann");
    EXPECT_EQ(read->data, R"({"a":1})");
    EXPECT_EQ(read->created_ms, made->created_ms);
    EXPECT_EQ(read->version, 1);
    EXPECT_GE(read->accessed_ms, made->accessed_ms);
    EXPECT_EQ(read->expires_ms, read->accessed_ms + 7'200'000) << "the ttl of the call";
}

TEST_P(SessionStore, RefreshesALittleBeforeTheEnd) {
    const auto made = harness_.create(kAnn, "{}", {.ttl = 1h});
    ASSERT_TRUE(made);
    std::int64_t last = made->expires_ms;
    ASSERT_TRUE(testing::eventually([&] {
        const auto read = harness_.read(to(*made), {.ttl = 1h});
        return read && read->expires_ms > last;
    }));
}

TEST_P(SessionStore, KnowsNoOtherIds) {
    ASSERT_TRUE(harness_.create(kAnn));
    for (const std::string& id :
         {std::string(), std::string("x"), std::string(kIdLength, 'A'), make_id(kAnn),
          std::string(kIdLength, '*'), std::string(kIdLength + 1, 'A')}) {
        const Reference reference{"default", id};
        EXPECT_EQ(code_of(harness_.read(reference)), ErrorCode::kNotFound) << id;
        EXPECT_EQ(code_of(harness_.replace(reference, "{}")), ErrorCode::kNotFound) << id;
        EXPECT_EQ(code_of(harness_.rotate(reference)), ErrorCode::kNotFound) << id;
        EXPECT_EQ(code_of(harness_.destroy(reference)), ErrorCode::kNotFound) << id;
    }
    EXPECT_EQ(harness_.list(kAnn)->size(), 1U);
}

TEST_P(SessionStore, HidesASessionFromOtherNamespaces) {
    const auto made = harness_.create(kAnn, R"({"a":1})");
    ASSERT_TRUE(made);
    const Reference foreign{.name_space = "other", .id = made->id};
    EXPECT_EQ(code_of(harness_.read(foreign)), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.replace(foreign, "{}")), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.rotate(foreign)), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.destroy(foreign)), ErrorCode::kNotFound);
    const Owner other{.name_space = "other", .user_id = "ann"};
    EXPECT_TRUE(harness_.list(other)->empty());
    EXPECT_EQ(harness_.destroy_all(other).value(), 0);

    EXPECT_EQ(ids_of(*harness_.list(kAnn)), std::vector{made->id});
    EXPECT_EQ(harness_.read(to(*made))->data, R"({"a":1})");
}

TEST_P(SessionStore, ReplacesTheDataAndCountsTheVersion) {
    const auto made = harness_.create(kAnn, R"({"a":1})", {.ttl = 1h});
    ASSERT_TRUE(made);
    const auto second = harness_.replace(to(*made), R"({"b":2})", std::nullopt, {.ttl = 3h});
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(second->data, R"({"b":2})");
    EXPECT_EQ(second->version, 2);
    EXPECT_EQ(second->id, made->id);
    EXPECT_EQ(second->user_id, "ann");
    EXPECT_EQ(second->created_ms, made->created_ms);
    EXPECT_EQ(second->expires_ms, second->accessed_ms + 10'800'000);
    EXPECT_EQ(harness_.replace(to(*made), "{}")->version, 3);
    const auto read = harness_.read(to(*made));
    EXPECT_EQ(read->data, "{}");
    EXPECT_EQ(read->version, 3);
}

TEST_P(SessionStore, ComparesTheVersionBeforeItChangesAnything) {
    const auto made = harness_.create(kAnn, R"({"a":1})");
    ASSERT_TRUE(made);
    EXPECT_EQ(code_of(harness_.replace(to(*made), "{}", 2)), ErrorCode::kConflict);
    EXPECT_EQ(code_of(harness_.replace(to(*made), "{}", 0)), ErrorCode::kConflict);
    EXPECT_EQ(code_of(harness_.rotate(to(*made), 2)), ErrorCode::kConflict);
    EXPECT_EQ(code_of(harness_.destroy(to(*made), 2)), ErrorCode::kConflict);
    EXPECT_EQ(harness_.read(to(*made))->data, R"({"a":1})");
    EXPECT_EQ(harness_.replace(to(*made), R"({"b":2})", 1)->version, 2);
    EXPECT_EQ(code_of(harness_.replace(to(*made), "{}", 1)), ErrorCode::kConflict);
    const auto rotated = harness_.rotate(to(*made), 2);
    ASSERT_TRUE(rotated);
    EXPECT_TRUE(harness_.destroy(to(*rotated), 2));
}

TEST_P(SessionStore, RotatesToANewIdOfTheSameSession) {
    const auto made = harness_.create(kAnn, R"({"a":1})", {.ttl = 1h});
    ASSERT_TRUE(made);
    ASSERT_TRUE(harness_.replace(to(*made), R"({"a":2})"));
    const auto rotated = harness_.rotate(to(*made), std::nullopt, {.ttl = 2h});
    ASSERT_TRUE(rotated) << rotated.error().message;
    EXPECT_TRUE(is_id(rotated->id));
    EXPECT_NE(rotated->id, made->id);
    EXPECT_EQ(rotated->user_id, "ann");
    EXPECT_EQ(rotated->data, R"({"a":2})");
    EXPECT_EQ(rotated->version, 2);
    EXPECT_EQ(rotated->created_ms, made->created_ms) << "its absolute end stays";
    EXPECT_EQ(rotated->expires_ms, rotated->accessed_ms + 7'200'000);

    EXPECT_EQ(code_of(harness_.read(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.rotate(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(harness_.read(to(*rotated))->data, R"({"a":2})");
    EXPECT_EQ(ids_of(*harness_.list(kAnn)), std::vector{rotated->id});
}

TEST_P(SessionStore, EndsASessionForGood) {
    const auto made = harness_.create(kAnn);
    const auto other = harness_.create(kAnn);
    ASSERT_TRUE(made && other);
    EXPECT_TRUE(harness_.destroy(to(*made)));
    EXPECT_EQ(code_of(harness_.destroy(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.replace(to(*made), "{}")), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.replace(to(*made), "{}", 1)), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.rotate(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.read(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(ids_of(*harness_.list(kAnn)), std::vector{other->id});
}

TEST_P(SessionStore, ListsAUsersSessionsByTheirEndAndRefreshesNone) {
    const auto late = harness_.create(kAnn, R"({"n":1})", {.ttl = 3h});
    const auto early = harness_.create(kAnn, R"({"n":2})", {.ttl = 1h});
    const auto middle = harness_.create(kAnn, R"({"n":3})", {.ttl = 2h});
    const auto foreign = harness_.create(kBob);
    ASSERT_TRUE(late && early && middle && foreign);
    const auto listed = harness_.list(kAnn);
    ASSERT_TRUE(listed) << listed.error().message;
    EXPECT_EQ(ids_of(*listed), (std::vector{early->id, middle->id, late->id}));
    EXPECT_EQ(listed->front().data, R"({"n":2})");
    EXPECT_EQ(listed->front().user_id, "ann");
    EXPECT_EQ(listed->front().version, 1);
    for (const auto& [shown, made] : {std::pair{listed->at(0), *early}, {listed->at(2), *late}}) {
        EXPECT_EQ(shown.created_ms, made.created_ms);
        EXPECT_EQ(shown.accessed_ms, made.accessed_ms);
        EXPECT_EQ(shown.expires_ms, made.expires_ms);
    }
    EXPECT_TRUE(harness_.list({.name_space = "default", .user_id = "nobody"})->empty());
}

TEST_P(SessionStore, ListsNoMoreThanItsBytesAllowAndEndsThemAllTheSame) {
    const std::string data = R"({"x":")" + std::string(1 << 20, 'x') + R"("})";
    for (int i = 0; i < 16; ++i)
        ASSERT_TRUE(harness_.create(kAnn, data));
    EXPECT_EQ(code_of(harness_.list(kAnn)), ErrorCode::kTooLarge);
    EXPECT_TRUE(harness_.create(kBob));
    EXPECT_EQ(harness_.list(kBob)->size(), 1U);
    EXPECT_EQ(harness_.destroy_all(kAnn).value(), 16);
}

TEST_P(SessionStore, EndsAllOfAUserAndOfNobodyElse) {
    for (int i = 0; i < 60; ++i)
        ASSERT_TRUE(harness_.create(kAnn));
    const auto foreign = harness_.create(kBob);
    ASSERT_TRUE(foreign);
    EXPECT_EQ(harness_.list(kAnn)->size(), 60U);
    EXPECT_EQ(harness_.destroy_all(kAnn).value(), 60);
    EXPECT_EQ(harness_.destroy_all(kAnn).value(), 0);
    EXPECT_TRUE(harness_.list(kAnn)->empty());
    EXPECT_TRUE(harness_.read(to(*foreign)));
}

TEST_P(SessionStore, EndsWhatNobodyAsksForAndNothingBringsItBack) {
    const auto made = harness_.create(kAnn, "{}", {.ttl = 40ms});
    ASSERT_TRUE(made);
    ASSERT_TRUE(testing::eventually([&] { return harness_.list(kAnn)->empty(); }));
    EXPECT_EQ(code_of(harness_.replace(to(*made), "{}")), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.rotate(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.destroy(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(code_of(harness_.read(to(*made))), ErrorCode::kNotFound);
    EXPECT_EQ(harness_.destroy_all(kAnn).value(), 0);
}

TEST_P(SessionStore, EndsAtTheAbsoluteEndHoweverOftenItIsAsked) {
    const Lifetime lifetime{.ttl = 1h, .max_age = 150ms};
    const auto made = harness_.create(kAnn, "{}", lifetime);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->expires_ms, made->created_ms + 150);
    if (const auto read = harness_.read(to(*made), lifetime))
        EXPECT_EQ(read->expires_ms, made->created_ms + 150);
    ASSERT_TRUE(testing::eventually(
        [&] { return code_of(harness_.read(to(*made), lifetime)) == ErrorCode::kNotFound; }));
    EXPECT_TRUE(harness_.list(kAnn)->empty());
}

TEST_P(SessionStore, EndsForGoodWhenALowerAbsoluteEndHasPassed) {
    const auto made = harness_.create(kAnn, "{}", {.ttl = 1h});
    ASSERT_TRUE(made);
    const Lifetime short_life{.ttl = 1h, .max_age = 1ms};
    ASSERT_TRUE(testing::eventually([&] {
        return code_of(harness_.replace(to(*made), R"({"late":1})", std::nullopt, short_life)) ==
               ErrorCode::kNotFound;
    }));
    EXPECT_EQ(code_of(harness_.read(to(*made), {.ttl = 1h})), ErrorCode::kNotFound)
        << "no later setting brings it back";
    EXPECT_TRUE(harness_.list(kAnn)->empty());
}

TEST_P(SessionStore, KeepsAnyUserNameAndData) {
    const std::string long_name(256, 'u');
    const std::string big = R"({"text":")" + std::string(64 * 1024, 'x') + R"("})";
    for (const std::string& user : {std::string("a\0b", 3), std::string("{x}:index*"),
                                    std::string("'; DROP TABLE sessions; --"),
                                    std::string("Zoë \xF0\x9F\x8D\xAF\r\n"), long_name}) {
        for (const std::string& data :
             {std::string("{}"), std::string("{ \"é\\u0000\" : [1.50, 12345678901234567890] }"),
              big}) {
            const Owner owner{.name_space = "näme space", .user_id = user};
            const auto made = harness_.create(owner, data);
            ASSERT_TRUE(made) << made.error().message;
            const auto read = harness_.read({owner.name_space, made->id});
            ASSERT_TRUE(read);
            EXPECT_EQ(read->user_id, user);
            EXPECT_EQ(read->data, data);
            EXPECT_EQ(harness_.list(owner)->size(), 1U);
            EXPECT_EQ(harness_.destroy_all(owner).value(), 1);
        }
    }
}

class SmallSessionStore : public ::testing::TestWithParam<SessionBackend> {
protected:
    SessionHarness harness_{GetParam(), 3};
};

INSTANTIATE_TEST_SUITE_P(On, SmallSessionStore,
                         ::testing::Values(SessionBackend::kMemory, SessionBackend::kRedis,
                                           SessionBackend::kUpstash),
                         ::testing::PrintToStringParamName());

TEST_P(SmallSessionStore, EndsTheSessionThatExpiresFirstForOneTooMany) {
    const auto second = harness_.create(kAnn, "{}", {.ttl = 2h});
    const auto first = harness_.create(kAnn, "{}", {.ttl = 1h});
    const auto third = harness_.create(kAnn, "{}", {.ttl = 3h});
    const auto foreign = harness_.create(kBob, "{}", {.ttl = 1h});
    ASSERT_TRUE(first && second && third && foreign);
    const auto fourth = harness_.create(kAnn, "{}", {.ttl = 4h});
    ASSERT_TRUE(fourth) << fourth.error().message;
    EXPECT_EQ(ids_of(*harness_.list(kAnn)), (std::vector{second->id, third->id, fourth->id}));
    EXPECT_EQ(code_of(harness_.read(to(*first))), ErrorCode::kNotFound);
    EXPECT_TRUE(harness_.read(to(*foreign)));
}

TEST_P(SmallSessionStore, CountsNoSessionThatHasExpired) {
    const auto lasting = harness_.create(kAnn, "{}", {.ttl = 1h});
    ASSERT_TRUE(lasting);
    ASSERT_TRUE(harness_.create(kAnn, "{}", {.ttl = 1ms}));
    ASSERT_TRUE(harness_.create(kAnn, "{}", {.ttl = 1ms}));
    ASSERT_TRUE(testing::eventually([&] { return harness_.list(kAnn)->size() == 1; }));
    ASSERT_TRUE(harness_.create(kAnn));
    EXPECT_TRUE(harness_.read(to(*lasting)));
}

} // namespace
} // namespace larder::session
