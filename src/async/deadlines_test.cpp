// Deadlines on a plain io_context: who expires, who doesn't, and lists that change under a tick.
#include "async/deadlines.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace larder::async {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

struct DeadlinesTest : testing::Test {
    asio::io_context context{1};
    Deadlines& list = Deadlines::of(context);

    /// Runs the loop until `done`; it ends by itself when no deadline is left.
    void run_until(const std::function<bool()>& done) {
        context.restart();
        while (!done() && context.run_one() > 0) {
        }
    }
    /// Ticks until a deadline that is armed now has passed: all that were due before have passed
    /// too.
    void tick() {
        bool passed = false;
        Deadline last(list, [&] { passed = true; });
        last.arm(microseconds(0));
        run_until([&] { return passed; });
        ASSERT_TRUE(passed);
    }
};

TEST_F(DeadlinesTest, OfOneContextIsOneList) {
    EXPECT_EQ(&list, &Deadlines::of(context));
    asio::io_context other;
    EXPECT_NE(&list, &Deadlines::of(other));
}

TEST_F(DeadlinesTest, CallsItsFunctionOnceAnArming) {
    int calls = 0;
    Deadline deadline(list, [&] { ++calls; });
    EXPECT_FALSE(deadline.has_expired());
    deadline.arm(microseconds(1));
    tick();
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(deadline.has_expired());
    tick();
    EXPECT_EQ(calls, 1);
    deadline.arm(microseconds(1));
    EXPECT_FALSE(deadline.has_expired());
    tick();
    EXPECT_EQ(calls, 2);
}

TEST_F(DeadlinesTest, NeverExpiresBeforeItsTime) {
    int calls = 0;
    Deadline deadline(list, [&] { ++calls; });
    deadline.arm(hours(1));
    tick();
    EXPECT_EQ(calls, 0);
    EXPECT_FALSE(deadline.has_expired());
}

TEST_F(DeadlinesTest, NeitherADisarmedNorADestroyedOneExpires) {
    int calls = 0;
    Deadline disarmed(list, [&] { ++calls; });
    disarmed.arm(microseconds(0));
    disarmed.disarm();
    {
        Deadline destroyed(list, [&] { ++calls; });
        destroyed.arm(microseconds(0));
    }
    tick();
    EXPECT_EQ(calls, 0);
}

TEST_F(DeadlinesTest, ArmingAgainMovesIt) {
    int calls = 0;
    Deadline deadline(list, [&] { ++calls; });
    deadline.arm(microseconds(0));
    deadline.arm(hours(1));
    tick();
    EXPECT_EQ(calls, 0);
}

TEST_F(DeadlinesTest, AFunctionMayDestroyEveryDeadlineOfTheList) {
    std::vector<std::unique_ptr<Deadline>> all;
    int calls = 0;
    for (int i = 0; i < 5; ++i) {
        all.push_back(std::make_unique<Deadline>(list, [&] {
            ++calls;
            for (auto& one : all) {
                if (!one->has_expired())
                    one.reset(new Deadline(list, [] {}));
            }
        }));
        all.back()->arm(microseconds(0));
    }
    tick();
    EXPECT_EQ(calls, 1);
}

TEST_F(DeadlinesTest, AFunctionMayDestroyTheNextOneAndMakeANewOne) {
    std::optional<Deadline> next;
    std::optional<Deadline> fresh;
    int calls = 0;
    next.emplace(list, [&] { calls += 100; });
    next->arm(microseconds(0));
    Deadline first(list, [&] {
        next.reset();
        fresh.emplace(list, [&] { calls += 10; });
        fresh->arm(microseconds(0));
        ++calls;
    });
    first.arm(microseconds(0));
    tick();
    tick();
    EXPECT_EQ(calls, 11);
}

TEST_F(DeadlinesTest, AnEmptyListKeepsNoLoopAlive) {
    {
        const Deadline gone(list, [] {});
    }
    context.run();
    SUCCEED() << "run() came back";
}

TEST(Deadlines, MayOutliveTheStopOfTheirLoop) {
    auto context = std::make_unique<asio::io_context>(1);
    auto deadline = std::make_unique<Deadline>(Deadlines::of(*context), [] {});
    deadline->arm(hours(1));
    context->stop();
    deadline.reset();
    context.reset();
}

} // namespace
} // namespace larder::async
