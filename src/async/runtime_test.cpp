// The threads: each loop on its own, tasks that throw, a pool that is bounded and finishes its
// queue.
#include "async/runtime.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace larder::async {
namespace {

TEST(Runtime, RunsEachContextOnOneThreadOfItsOwn) {
    Runtime runtime(3);
    ASSERT_EQ(runtime.size(), 3U);
    std::set<std::thread::id> threads;
    for (std::size_t i = 0; i < 3; ++i) {
        for (int round = 0; round < 2; ++round) {
            std::promise<std::pair<std::size_t, std::thread::id>> seen;
            asio::post(runtime.context(i),
                       [&] { seen.set_value({Runtime::current(), std::this_thread::get_id()}); });
            const auto [index, thread] = seen.get_future().get();
            EXPECT_EQ(index, i);
            threads.insert(thread);
        }
    }
    EXPECT_EQ(threads.size(), 3U);
    EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST(Runtime, CallersFromOutsideHaveNoIndex) {
    Runtime runtime(1);
    EXPECT_GE(Runtime::current(), runtime.size());
}

TEST(Runtime, StopsWithWorkUnderWayAndMoreThanOnce) {
    Runtime runtime(2);
    asio::post(runtime.context(0), [] {});
    runtime.stop();
    runtime.stop();
}

Task<void> throws() {
    throw std::runtime_error("thrown on purpose");
    co_return;
}

Task<void> sets(std::promise<void>& done) {
    done.set_value();
    co_return;
}

TEST(Spawn, ATaskThatThrowsEndsOnlyItself) {
    asio::io_context context{1};
    std::promise<void> done;
    spawn("faulty", context.get_executor(), throws());
    spawn("sound", context.get_executor(), sets(done));
    testing::internal::CaptureStderr();
    context.run();
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("faulty"), std::string::npos) << said;
    EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

TEST(WorkerPool, RefusesWhatItsQueueHasNoRoomFor) {
    WorkerPool pool(1, 2);
    std::promise<void> begun;
    std::promise<void> go;
    ASSERT_TRUE(pool.post([&, future = go.get_future().share()] {
        begun.set_value();
        future.get();
    }));
    begun.get_future().get();
    std::atomic<int> ran{0};
    EXPECT_TRUE(pool.post([&] { ++ran; }));
    EXPECT_TRUE(pool.post([&] { ++ran; }));
    EXPECT_FALSE(pool.post([&] { ran += 100; }));
    go.set_value();
    pool.stop();
    EXPECT_EQ(ran, 2) << "what was taken has run";
}

TEST(WorkerPool, TakesNothingAfterItsStop) {
    WorkerPool pool(2, 10);
    pool.stop();
    EXPECT_FALSE(pool.post([] { ADD_FAILURE() << "it ran"; }));
    pool.stop();
}

TEST(WorkerPool, RunsEverythingThatManyThreadsPost) {
    std::atomic<int> ran{0};
    std::atomic<int> taken{0};
    {
        WorkerPool pool(3, 64);
        std::vector<std::thread> posters;
        for (int i = 0; i < 3; ++i) {
            posters.emplace_back([&] {
                for (int round = 0; round < 1000; ++round)
                    taken += pool.post([&] { ++ran; }) ? 1 : 0;
            });
        }
        for (std::thread& poster : posters)
            poster.join();
    }
    EXPECT_EQ(ran, taken);
    EXPECT_GT(taken, 0);
}

} // namespace
} // namespace larder::async
