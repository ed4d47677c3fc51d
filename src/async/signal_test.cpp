// A signal remembers one notification and resumes its waiter from the loop.
#include "async/signal.hpp"

#include "async/runtime.hpp"

#include <gtest/gtest.h>

#include <string>

namespace larder::async {
namespace {

Task<void> wait_and_log(Signal& signal, int times, std::string& log) {
    for (int i = 0; i < times; ++i) {
        co_await signal.wait();
        log += 'w';
    }
    log += '.';
}

struct SignalTest : testing::Test {
    asio::io_context context{1};
    Signal signal{context.get_executor()};
    std::string log;

    void start(int times) {
        spawn("waiter", context.get_executor(), wait_and_log(signal, times, log));
        run();
    }
    void run() {
        context.restart();
        context.poll();
    }
};

TEST_F(SignalTest, RemembersANotificationThatCameBeforeTheWait) {
    signal.notify();
    start(1);
    EXPECT_EQ(log, "w.");
}

TEST_F(SignalTest, RemembersOneOnlyHoweverOftenItIsNotified) {
    signal.notify();
    signal.notify();
    signal.notify();
    start(2);
    EXPECT_EQ(log, "w");
    EXPECT_TRUE(signal.waiting());
    signal.notify();
    run();
    EXPECT_EQ(log, "ww.");
}

TEST_F(SignalTest, NotifyNeverResumesInsideTheCall) {
    start(1);
    signal.notify();
    EXPECT_EQ(log, "");
    EXPECT_FALSE(signal.waiting());
    run();
    EXPECT_EQ(log, "w.");
}

TEST_F(SignalTest, ResumeDoesSoInsideTheCall) {
    start(1);
    signal.resume();
    EXPECT_EQ(log, "w.");
}

TEST_F(SignalTest, ASecondNotificationBeforeTheWaiterRunsIsNotLost) {
    start(2);
    signal.notify();
    signal.notify();
    run();
    EXPECT_EQ(log, "ww.");
}

TEST_F(SignalTest, ResumeWithoutAWaiterIsRemembered) {
    signal.resume();
    start(1);
    EXPECT_EQ(log, "w.");
}

TEST_F(SignalTest, ClearForgetsANotification) {
    signal.notify();
    signal.clear();
    start(1);
    EXPECT_EQ(log, "");
    signal.notify();
    run();
    EXPECT_EQ(log, "w.");
}

} // namespace
} // namespace larder::async
