// Where a command goes next after each outcome, without any server.
#include "redis/attempt.hpp"
#include "testing/run_task.hpp"

#include <gtest/gtest.h>

namespace larder::redis {
namespace {

using Next = Attempt::Next;

const Endpoint kFirst{.host = "a", .port = 1};
const Endpoint kSecond{.host = "b", .port = 2};

/// Nobody looks: the map is what the test makes it.
class StillMembers final : public Members {
public:
    explicit StillMembers(async::Runtime& runtime, std::vector<Endpoint> seeds)
        : Members(runtime, {}, {}), seeds_(std::move(seeds)) {}
    void know(SlotMap map) { set_map(std::move(map)); }

private:
    Task<Health> look() override { co_return Health(); }
    [[nodiscard]] std::vector<Endpoint> strangers() const override { return seeds_; }

    std::vector<Endpoint> seeds_;
};

Error store_error(std::string detail) {
    return {.code = ErrorCode::kStore, .message = "x", .detail = std::move(detail)};
}

class AttemptTest : public ::testing::Test {
protected:
    void SetUp() override {
        there([this] { members_->know(SlotMap().with_owner(7, kFirst)); });
    }
    template <class Function> void there(Function function) {
        testing::run_there(runtime_.context(0), function);
    }

    async::Runtime runtime_{1};
    std::shared_ptr<StillMembers> members_ =
        std::make_shared<StillMembers>(runtime_, std::vector<Endpoint>{kSecond});
};

TEST_F(AttemptTest, GoesToTheOwnerAndFollowsAMove) {
    there([&] {
        Attempt attempt(7, false);
        EXPECT_EQ(attempt.target(*members_)->endpoint, kFirst);
        EXPECT_EQ(attempt.after_error(*members_, "MOVED 7 b:2", kFirst), Next::kAtOnce);
        EXPECT_EQ(attempt.target(*members_)->endpoint, kSecond);
        EXPECT_FALSE(attempt.target(*members_)->asking);
        // All others know it now.
        EXPECT_EQ(Attempt(7, false).target(*members_)->endpoint, kSecond);
    });
}

TEST_F(AttemptTest, AsksOnceWithoutForgettingTheOwner) {
    there([&] {
        Attempt attempt(7, false);
        EXPECT_EQ(attempt.after_error(*members_, "ASK 7 b:2", kFirst), Next::kAtOnce);
        EXPECT_EQ(attempt.target(*members_)->endpoint, kSecond);
        EXPECT_TRUE(attempt.target(*members_)->asking);
        EXPECT_EQ(Attempt(7, false).target(*members_)->endpoint, kFirst);
        // Some of its keys aren't there yet: from the beginning.
        EXPECT_EQ(attempt.after_error(*members_, "TRYAGAIN x", kSecond), Next::kLater);
        EXPECT_EQ(attempt.target(*members_)->endpoint, kFirst);
        EXPECT_FALSE(attempt.target(*members_)->asking);
    });
}

TEST_F(AttemptTest, GivesUpACommandThatIsSentInCircles) {
    there([&] {
        Attempt attempt(7, true);
        for (int i = 0; i < 5; ++i)
            EXPECT_EQ(attempt.after_error(*members_, "MOVED 7 b:2", kFirst), Next::kAtOnce);
        EXPECT_EQ(attempt.after_error(*members_, "MOVED 7 b:2", kFirst), Next::kDone);
    });
}

TEST_F(AttemptTest, RepeatsOnlyWhatSurelyWasNotRunOrMayRunTwice) {
    there([&] {
        const auto after = [&](bool idempotent, const Error& error) {
            return Attempt(7, idempotent).after_failure(*members_, error, kFirst);
        };
        EXPECT_EQ(after(false, store_error("not_sent")), Next::kLater);
        EXPECT_EQ(after(false, store_error("READONLY")), Next::kLater);
        EXPECT_EQ(after(false, store_error("broken")), Next::kDone);
        EXPECT_EQ(after(true, store_error("broken")), Next::kLater);
        const Error late{.code = ErrorCode::kTimeout, .message = "x"};
        EXPECT_EQ(after(true, late), Next::kDone);
        EXPECT_EQ(after(false, late), Next::kDone);
    });
}

TEST_F(AttemptTest, DoesNotWaitForAnOpenBreakerButLeavesItWhenTheSlotHasMoved) {
    there([&] {
        Attempt attempt(7, false);
        EXPECT_EQ(attempt.after_failure(*members_, store_error("breaker_open"), kFirst),
                  Next::kDone);
        members_->move_slot(7, kSecond);
        EXPECT_EQ(attempt.after_failure(*members_, store_error("breaker_open"), kFirst),
                  Next::kAtOnce);
        EXPECT_EQ(attempt.target(*members_)->endpoint, kSecond);
    });
}

TEST_F(AttemptTest, LetsTheCommandsOwnErrorsStand) {
    there([&] {
        for (const std::string_view own : {"WRONGTYPE x", "OOM x", "NOSCRIPT x", "ERR x"})
            EXPECT_EQ(Attempt(7, true).after_error(*members_, own, kFirst), Next::kDone);
        for (const std::string_view role : {"READONLY x", "LOADING x", "MASTERDOWN x"})
            EXPECT_EQ(Attempt(7, false).after_error(*members_, role, kFirst), Next::kLater);
    });
}

TEST_F(AttemptTest, PausesLongerEachTimeUpToAMost) {
    Attempt attempt(7, false);
    auto before = attempt.next_pause();
    EXPECT_GT(before.count(), 0);
    for (int i = 0; i < 20; ++i) {
        const auto pause = attempt.next_pause();
        EXPECT_GE(pause, before);
        before = pause;
    }
    EXPECT_LE(before, std::chrono::milliseconds(50));
}

TEST_F(AttemptTest, SendsOneSlotsCommandsTheSameWayWhileNothingIsKnown) {
    const auto members =
        std::make_shared<StillMembers>(runtime_, std::vector<Endpoint>{kFirst, kSecond, {"c", 3}});
    there([&] {
        const auto way = Attempt(9, true).target(*members);
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(Attempt(9, true).target(*members), way);
        Attempt failing(9, true);
        EXPECT_EQ(failing.after_failure(*members, store_error("not_sent"), way->endpoint),
                  Next::kLater);
        EXPECT_NE(failing.target(*members), way);
    });
    const auto alone = std::make_shared<StillMembers>(runtime_, std::vector<Endpoint>());
    there([&] {
        EXPECT_FALSE(Attempt(9, true).target(*alone));
        EXPECT_EQ(no_server(*alone).detail, "not_sent");
    });
}

} // namespace
} // namespace larder::redis
