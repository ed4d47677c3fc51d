// Tests of the queue of tasks that nobody waits for: its bounds, its order, and its end.
#include "cache/task_queue.hpp"

#include "async/signal.hpp"
#include "testing/run_task.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace larder::cache {
namespace {

using testing::eventually;

constexpr std::chrono::milliseconds kPatience{15'000};

class TaskQueueTest : public ::testing::Test {
protected:
    TaskQueueTest() : runtime_(2), gate_(runtime_.context(0).get_executor()) {}

    static Task<void> note(TaskQueueTest& test, int number) {
        const std::lock_guard lock(test.mutex_);
        test.done_.push_back(number);
        test.threads_.push_back(async::Runtime::current());
        co_return;
    }
    static Task<void> wait(TaskQueueTest& test) {
        ++test.waiting_;
        co_await test.gate_.wait();
        --test.waiting_;
    }
    TaskQueue::Start noting(int number) {
        return [this, number] { return note(*this, number); };
    }
    /// A task on the first thread that goes on when `open_gate` is called.
    TaskQueue::Start waiting() {
        return [this] { return wait(*this); };
    }
    void open_gate() {
        asio::post(runtime_.context(0), [this] { gate_.notify(); });
    }
    std::vector<int> done() {
        const std::lock_guard lock(mutex_);
        return done_;
    }

    async::Runtime runtime_;
    async::Signal gate_;
    std::atomic<int> waiting_ = 0;
    std::mutex mutex_;
    std::vector<int> done_;
    std::vector<std::size_t> threads_;
};

TEST_F(TaskQueueTest, RunsOneAfterTheOtherInOrder) {
    TaskQueue queue(runtime_, {.tasks = 100, .bytes = 100, .at_once = 1});
    for (int i = 0; i < 50; ++i)
        EXPECT_TRUE(queue.push(1, noting(i)));
    EXPECT_TRUE(queue.close(kPatience));
    ASSERT_EQ(done().size(), 50U);
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(done()[static_cast<std::size_t>(i)], i);
}

TEST_F(TaskQueueTest, RunsOnTheThreadThatPushes) {
    TaskQueue queue(runtime_, {.tasks = 100, .bytes = 100});
    testing::run_there(runtime_.context(1), [&] { EXPECT_TRUE(queue.push(1, noting(1))); });
    EXPECT_TRUE(eventually([&] { return done().size() == 1; }));
    EXPECT_TRUE(queue.push(1, noting(2))); // from outside: the first
    EXPECT_TRUE(queue.close(kPatience));
    EXPECT_EQ(threads_, (std::vector<std::size_t>{1, 0}));
}

TEST_F(TaskQueueTest, RunsNoMoreAtOnceThanItMay) {
    TaskQueue queue(runtime_, {.tasks = 100, .bytes = 100, .at_once = 1});
    EXPECT_TRUE(queue.push(1, waiting()));
    EXPECT_TRUE(queue.push(1, noting(1)));
    EXPECT_TRUE(eventually([&] { return waiting_ == 1; }));
    EXPECT_TRUE(done().empty());
    open_gate();
    EXPECT_TRUE(queue.close(kPatience));
    EXPECT_EQ(done(), std::vector<int>{1});
}

TEST_F(TaskQueueTest, IsBoundedByNumberAndBytes) {
    TaskQueue queue(runtime_, {.tasks = 3, .bytes = 10, .at_once = 1});
    EXPECT_FALSE(queue.push(11, noting(0)));
    EXPECT_TRUE(queue.push(4, waiting()));
    EXPECT_TRUE(queue.push(6, noting(1)));
    EXPECT_FALSE(queue.push(1, noting(2)));
    EXPECT_TRUE(queue.push(0, noting(3)));
    EXPECT_FALSE(queue.push(0, noting(4)));
    EXPECT_TRUE(queue.push_beyond(noting(5)));
    open_gate();
    EXPECT_TRUE(eventually([&] { return queue.push(10, noting(6)); })); // there is room again
    EXPECT_TRUE(queue.close(kPatience));
    EXPECT_EQ(done(), (std::vector<int>{1, 3, 5, 6}));
}

TEST_F(TaskQueueTest, TakesNothingWhenItIsClosed) {
    TaskQueue queue(runtime_, {.tasks = 3, .bytes = 10});
    EXPECT_TRUE(queue.close(kPatience));
    EXPECT_FALSE(queue.push(1, noting(1)));
    EXPECT_FALSE(queue.push_beyond(noting(2)));
}

TEST_F(TaskQueueTest, ClosesNoLaterThanItsPatience) {
    TaskQueue queue(runtime_, {.tasks = 3, .bytes = 10});
    EXPECT_TRUE(queue.push(1, waiting()));
    EXPECT_TRUE(eventually([&] { return waiting_ == 1; }));
    EXPECT_FALSE(queue.close(std::chrono::milliseconds(20)));
    open_gate();
    EXPECT_TRUE(queue.close(kPatience));
}

TEST_F(TaskQueueTest, FreesWhatATaskHeldBeforeItSaysSo) {
    auto held = std::make_shared<int>(1);
    TaskQueue queue(runtime_, {.tasks = 3, .bytes = 10});
    EXPECT_TRUE(queue.push(1, [this, held] { return note(*this, *held); }));
    EXPECT_TRUE(queue.close(kPatience));
    EXPECT_EQ(held.use_count(), 1);
}

} // namespace
} // namespace larder::cache
