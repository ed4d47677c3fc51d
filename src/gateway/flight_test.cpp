// Flights: what followers see and in which order, what is held, who is waited for, and that no
// wake-up gets lost between threads.
#include "gateway/flight.hpp"

#include "async/runtime.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace larder::gateway {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;
using Followers = std::vector<std::shared_ptr<Flight::Follower>>;

Block block(std::string raw) {
    return {.raw = std::move(raw), .text = {}};
}

std::string joined(const Flight::News& news) {
    std::string all;
    for (const auto& one : news.blocks)
        all += one->raw;
    return all;
}

std::shared_ptr<const FlightEnd> an_end(int status = 500) {
    auto end = std::make_shared<FlightEnd>();
    end->provider_status = status;
    return end;
}

Task<void> wait_for_room(std::shared_ptr<Flight> flight, bool& returned) {
    co_await flight->wait_for_room();
    returned = true;
}

struct FlightTest : testing::Test {
    asio::io_context context{1};
    Executor executor = context.get_executor();
    MemoryBudget budget{64 * kMiB};

    std::shared_ptr<Flight> make(std::size_t joinable = 10 * kMiB, bool outlives = false) {
        return std::make_shared<Flight>(executor, budget, joinable, outlives,
                                        protocol::Dialect::kOpenAiChat);
    }
    void run() {
        context.restart();
        context.poll();
    }
    /// What the follower gets now; "nothing" when it has to wait.
    static std::string poll(Flight& flight, Flight::Follower& follower) {
        Flight::News news;
        news.streaming = true;
        return flight.poll(follower, news) ? joined(news) + (news.end ? "." : "") : "nothing";
    }
};

TEST_F(FlightTest, GivesEveryFollowerAllBlocksInOrderHoweverLateItComes) {
    const auto flight = make();
    const auto early = flight->follow(executor);
    flight->begin_stream({});
    EXPECT_EQ(poll(*flight, *early), "nothing");
    ASSERT_TRUE(flight->append(block("a")));
    EXPECT_EQ(poll(*flight, *early), "a");
    ASSERT_TRUE(flight->append(block("b")));
    ASSERT_TRUE(flight->append(block("c")));
    const auto late = flight->follow(executor);
    EXPECT_EQ(poll(*flight, *late), "abc");
    EXPECT_EQ(poll(*flight, *early), "bc");
    flight->end(an_end());
    const auto last = flight->follow(executor);
    EXPECT_EQ(poll(*flight, *last), "abc.");
    EXPECT_EQ(poll(*flight, *early), ".");
    EXPECT_EQ(poll(*flight, *early), ".") << "the end stays";
}

TEST_F(FlightTest, SaysOnceThatTheStreamHasBegunWithTheProvidersFields) {
    const auto flight = make();
    const auto follower = flight->follow(executor);
    Flight::News news;
    EXPECT_FALSE(flight->poll(*follower, news));
    flight->begin_stream({{"request-id", "r"}});
    ASSERT_TRUE(flight->poll(*follower, news));
    EXPECT_TRUE(news.streaming);
    ASSERT_EQ(news.fields.size(), 1U);
    EXPECT_EQ(news.fields[0].second, "r");
    EXPECT_FALSE(flight->poll(*follower, news));
}

Task<void> wait(std::shared_ptr<Flight::Follower> follower, int& woken) {
    co_await follower->signal.wait();
    ++woken;
}

TEST_F(FlightTest, WakesOnlyWhoWaits) {
    const auto flight = make();
    const auto follower = flight->follow(executor);
    int woken = 0;
    ASSERT_TRUE(flight->append(block("a")));
    run();
    async::spawn("waiter", executor, wait(follower, woken));
    run();
    EXPECT_EQ(woken, 0) << "it did not say that it waits: poll tells it what is new";
    EXPECT_EQ(poll(*flight, *follower), "a");
    EXPECT_EQ(poll(*flight, *follower), "nothing");
    ASSERT_TRUE(flight->append(block("b")));
    EXPECT_EQ(woken, 0) << "never inside the producer's call";
    run();
    EXPECT_EQ(woken, 1);
}

TEST_F(FlightTest, IsAbandonedWhenTheLastFollowerHasLeft) {
    const auto flight = make();
    int calls = 0;
    flight->on_abandoned([&] { ++calls; });
    const auto first = flight->follow(executor);
    const auto second = flight->follow(executor);
    flight->leave(first);
    run();
    EXPECT_FALSE(flight->is_abandoned());
    flight->leave(second);
    EXPECT_EQ(calls, 0) << "on the producer's thread only";
    run();
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(flight->is_abandoned());
    EXPECT_EQ(flight->follow(executor), nullptr);
    flight->leave(second);
    run();
    EXPECT_EQ(calls, 1);
}

TEST_F(FlightTest, AProducerThatIsThroughIsNotTold) {
    const auto flight = make();
    const auto follower = flight->follow(executor);
    flight->on_abandoned([] { ADD_FAILURE() << "its call has ended"; });
    flight->leave(follower);
    flight->on_abandoned(nullptr);
    run();
    const auto ended = make();
    const auto reader = ended->follow(executor);
    ended->on_abandoned([] { ADD_FAILURE() << "it has ended"; });
    ended->end(an_end());
    ended->leave(reader);
    run();
    EXPECT_FALSE(ended->is_abandoned());
}

TEST_F(FlightTest, OneThatOutlivesItsFollowersIsNeverAbandoned) {
    const auto flight = make(1000, true);
    flight->on_abandoned([] { ADD_FAILURE() << "it outlives them"; });
    flight->leave(flight->follow(executor));
    run();
    EXPECT_FALSE(flight->is_abandoned());
    ASSERT_TRUE(flight->append(block("a")));
    const auto follower = flight->follow(executor);
    ASSERT_NE(follower, nullptr);
    EXPECT_EQ(poll(*flight, *follower), "a");
}

TEST_F(FlightTest, HoldsEverythingThatCanStillBeJoined) {
    const auto flight = make(10 * kMiB);
    const auto follower = flight->follow(executor);
    ASSERT_TRUE(flight->append(block(std::string(kMiB, 'x'))));
    poll(*flight, *follower);
    EXPECT_GE(budget.used(), kMiB);
    EXPECT_FALSE(flight->oversized());
}

TEST_F(FlightTest, AnOversizedStreamFreesWhatAllHaveReadAndTakesNobodyMore) {
    const auto flight = make(1000);
    const auto fast = flight->follow(executor);
    const auto slow = flight->follow(executor);
    ASSERT_TRUE(flight->append(block(std::string(2000, 'x'))));
    EXPECT_TRUE(flight->oversized());
    EXPECT_EQ(flight->follow(executor), nullptr);
    poll(*flight, *fast);
    EXPECT_GE(budget.used(), 2000U);
    EXPECT_EQ(poll(*flight, *slow).size(), 2000U);
    EXPECT_EQ(budget.used(), 0U);
    ASSERT_TRUE(flight->append(block("y")));
    EXPECT_EQ(poll(*flight, *slow), "y");
    EXPECT_EQ(poll(*flight, *fast), "y");
    EXPECT_EQ(budget.used(), 0U);
}

TEST_F(FlightTest, AnOversizedStreamIsPacedByItsSlowestReader) {
    const auto flight = make(1000);
    const auto fast = flight->follow(executor);
    const auto slow = flight->follow(executor);
    ASSERT_TRUE(flight->append(block(std::string(2 * kMiB, 'x'))));
    bool returned = false;
    async::spawn("producer", executor, wait_for_room(flight, returned));
    run();
    poll(*flight, *fast);
    run();
    EXPECT_FALSE(returned);
    poll(*flight, *slow);
    run();
    EXPECT_TRUE(returned);
}

TEST_F(FlightTest, TheProducerGoesOnWhenTheSlowestReaderLeaves) {
    const auto flight = make(1000);
    const auto fast = flight->follow(executor);
    const auto slow = flight->follow(executor);
    ASSERT_TRUE(flight->append(block(std::string(2 * kMiB, 'x'))));
    bool returned = false;
    async::spawn("producer", executor, wait_for_room(flight, returned));
    run();
    poll(*flight, *fast);
    EXPECT_EQ(poll(*flight, *fast), "nothing") << "the fast one waits now and will not poll";
    flight->leave(slow);
    run();
    EXPECT_TRUE(returned);
    EXPECT_EQ(budget.used(), 0U);
}

TEST_F(FlightTest, TheProducerGoesOnWhenEverybodyHasLeft) {
    for (const bool outlives : {false, true}) {
        const auto flight = make(1000, outlives);
        const auto follower = flight->follow(executor);
        ASSERT_TRUE(flight->append(block(std::string(2 * kMiB, 'x'))));
        bool returned = false;
        async::spawn("producer", executor, wait_for_room(flight, returned));
        run();
        EXPECT_FALSE(returned);
        flight->leave(follower);
        run();
        EXPECT_TRUE(returned) << outlives;
    }
}

TEST_F(FlightTest, SaysWhenTheBudgetIsUsedUpAndGivesBackWhatItHeld) {
    MemoryBudget small(10'000);
    {
        Flight flight(executor, small, kMiB, false, protocol::Dialect::kOpenAiChat);
        const auto follower = flight.follow(executor);
        ASSERT_TRUE(flight.append(block(std::string(4000, 'x'))));
        const auto refused = flight.append(block(std::string(20'000, 'x')));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
        EXPECT_EQ(poll(flight, *follower).size(), 4000U);
    }
    EXPECT_EQ(small.used(), 0U);
}

/// What a client does: reads to the end, or leaves after `leave_after` blocks.
Task<void> read_all(std::shared_ptr<Flight> flight, std::shared_ptr<Flight::Follower> follower,
                    std::size_t leave_after, std::promise<std::string>& result) {
    Flight::News news;
    std::string all;
    std::size_t count = 0;
    while (!news.end && count < leave_after) {
        news.blocks.clear();
        if (!flight->poll(*follower, news)) {
            co_await follower->signal.wait();
            continue;
        }
        count += news.blocks.size();
        all += joined(news);
    }
    flight->leave(follower);
    result.set_value(std::move(all));
}

Task<void> produce(std::shared_ptr<Flight> flight, Executor executor, std::string part, int count) {
    flight->begin_stream({});
    for (int i = 0; i < count; ++i) {
        if (!flight->append(block(part + std::to_string(i) + ';')))
            break;
        co_await flight->wait_for_room();
        if (i % 3 == 0) // others get their turn
            co_await asio::post(executor, asio::use_awaitable_t<Executor>());
    }
    flight->end(an_end());
}

struct Hammering {
    std::size_t joinable;
    std::size_t part;
    int count;
};

void hammer(const Hammering& how) {
    async::Runtime runtime(3);
    MemoryBudget budget(512 * kMiB);
    const std::string part(how.part, 'p');
    std::string whole;
    for (int i = 0; i < how.count; ++i)
        whole += part + std::to_string(i) + ';';
    for (int round = 0; round < 20; ++round) {
        const auto flight =
            std::make_shared<Flight>(runtime.context(0).get_executor(), budget, how.joinable, false,
                                     protocol::Dialect::kOpenAiChat);
        std::vector<std::promise<std::string>> results(6);
        Followers followers;
        for (std::size_t i = 0; i < results.size(); ++i)
            followers.push_back(flight->follow(runtime.context(i % 3).get_executor()));
        for (std::size_t i = 0; i < results.size(); ++i) {
            const std::size_t leave_after = i == 5 ? static_cast<std::size_t>(round) : ~0UL;
            async::spawn("reader", runtime.context(i % 3).get_executor(),
                         read_all(flight, followers[i], leave_after, results[i]));
        }
        async::spawn("producer", runtime.context(0).get_executor(),
                     produce(flight, runtime.context(0).get_executor(), part, how.count));
        for (std::size_t i = 0; i < results.size(); ++i) {
            auto result = results[i].get_future();
            ASSERT_EQ(result.wait_for(std::chrono::seconds(60)), std::future_status::ready)
                << "reader " << i << " of round " << round << " was never woken";
            const std::string got = result.get();
            if (i != 5)
                ASSERT_EQ(got, whole);
            else
                ASSERT_TRUE(whole.starts_with(got));
        }
    }
    runtime.stop();
}

TEST(FlightThreads, LoseNoWakeUpOfReadersOnOtherThreads) {
    hammer({.joinable = 64 * kMiB, .part = 5, .count = 300});
}

TEST(FlightThreads, LoseNoWakeUpOfAProducerThatIsPaced) {
    hammer({.joinable = 1000, .part = 300'000, .count = 40});
}

} // namespace
} // namespace larder::gateway
