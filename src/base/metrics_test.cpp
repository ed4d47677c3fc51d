// Metrics: values under many threads, buckets, and the text form.
#include "base/metrics.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

namespace larder::metrics {
namespace {

TEST(Counter, AddsUp) {
    Registry registry;
    Counter& counter = registry.counter("requests", "Requests");
    counter.add();
    counter.add(41);
    EXPECT_EQ(counter.value(), 42U);
}

TEST(Counter, IsTheSameObjectForTheSameNameAndLabels) {
    Registry registry;
    Counter& first = registry.counter("a", "A", {{"route", "x"}});
    EXPECT_EQ(&first, &registry.counter("a", "A", {{"route", "x"}}));
    EXPECT_EQ(&first, &registry.counter("a_total", "A", {{"route", "x"}}));
    EXPECT_NE(&first, &registry.counter("a", "A", {{"route", "y"}}));
    EXPECT_NE(&first, &registry.counter("a", "A"));
    EXPECT_NE(&first, &registry.counter("b", "B", {{"route", "x"}}));
}

TEST(Counter, KeepsItsReferenceWhileOthersCome) {
    Registry registry;
    Counter& first = registry.counter("a", "A");
    for (int i = 0; i < 2000; ++i)
        registry.counter("a", "A", {{"n", std::to_string(i)}}).add(7);
    first.add();
    EXPECT_EQ(first.value(), 1U);
    EXPECT_EQ(registry.counter("a", "A", {{"n", "1999"}}).value(), 7U);
}

/// Runs `work` on that many threads that are all alive at once.
template <class Work> void on_threads(int count, Work work) {
    std::atomic<int> waiting = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&] {
            internal::this_thread_slot();
            ++waiting;
            while (waiting < count)
                std::this_thread::yield();
            work();
        });
    for (std::thread& thread : threads)
        thread.join();
}

TEST(Counter, LosesNothingUnderMoreThreadsThanThereAreSlots) {
    Registry registry;
    Counter& counter = registry.counter("a", "A");
    constexpr int kThreads = static_cast<int>(internal::kSlots) + 16;
    std::atomic<int> shared = 0;
    on_threads(kThreads, [&] {
        if (internal::this_thread_slot() == internal::kSlots)
            ++shared;
        for (int i = 0; i < 1000; ++i)
            counter.add();
    });
    EXPECT_EQ(counter.value(), static_cast<std::uint64_t>(kThreads) * 1000U);
    EXPECT_GE(shared, 16);
}

TEST(Counter, KeepsWhatEndedThreadsCountedAndGivesTheirSlotsOn) {
    Registry registry;
    Counter& counter = registry.counter("a", "A");
    std::size_t highest = 0;
    for (int i = 0; i < 200; ++i)
        std::thread([&] {
            counter.add();
            highest = std::max(highest, internal::this_thread_slot());
        }).join();
    EXPECT_EQ(counter.value(), 200U);
    EXPECT_LT(highest, internal::kSlots) << "slots of ended threads were not given back";
}

TEST(Counter, MayBeReadWhileItIsCounted) {
    Registry registry;
    Counter& counter = registry.counter("a", "A");
    std::atomic<bool> ends = false;
    std::thread reader([&] {
        std::uint64_t last = 0;
        while (!ends) {
            const std::uint64_t now = counter.value();
            EXPECT_GE(now, last);
            last = now;
            EXPECT_FALSE(registry.prometheus().empty());
        }
    });
    on_threads(4, [&] {
        for (int i = 0; i < 20000; ++i)
            counter.add();
        registry.counter("b", "B").add();
    });
    ends = true;
    reader.join();
    EXPECT_EQ(counter.value(), 80000U);
    EXPECT_EQ(registry.counter("b", "B").value(), 4U);
}

TEST(Gauge, GoesUpAndDownAcrossThreads) {
    Registry registry;
    Gauge& gauge = registry.gauge("open", "Open");
    std::thread([&] { gauge.add(5); }).join();
    gauge.add(-7);
    EXPECT_EQ(gauge.value(), -2);
}

TEST(Gauge, TakesAValue) {
    Registry registry;
    Gauge& gauge = registry.gauge("size", "Size");
    gauge.set(100);
    gauge.set(-3);
    EXPECT_EQ(gauge.value(), -3);
    EXPECT_EQ(&gauge, &registry.gauge("size", "Size"));
}

TEST(Bounds, FindTheSameBucketAsAPlainSearch) {
    const std::int64_t odd[] = {0, 1, 3, 4, 5, 1000, 1001, 70000};
    for (const auto& upper : {default_bounds_us(), std::span<const std::int64_t>(odd)}) {
        const Bounds bounds(upper);
        const auto check = [&](std::int64_t us) {
            std::size_t expected = 0;
            while (expected < upper.size() && upper[expected] < us)
                ++expected;
            EXPECT_EQ(bounds.bucket_of(us), expected) << us;
        };
        for (const std::int64_t bound : upper) {
            check(bound - 1);
            check(bound);
            check(bound + 1);
        }
        for (int bit = 0; bit < 63; ++bit)
            check(std::int64_t{1} << bit);
        check(std::numeric_limits<std::int64_t>::max());
        EXPECT_EQ(bounds.bucket_of(-5), bounds.bucket_of(0));
    }
}

TEST(Bounds, GoFromTenMicrosecondsToTenMinutesByDefault) {
    EXPECT_EQ(default_bounds_us().front(), 10);
    EXPECT_EQ(default_bounds_us().back(), 600'000'000);
}

TEST(BoundsDeathTest, MustRise) {
    const std::int64_t falling[] = {5, 5};
    EXPECT_DEATH(Bounds{falling}, "assertion failed");
    EXPECT_DEATH(Bounds{std::span<const std::int64_t>{}}, "assertion failed");
}

TEST(Histogram, CountsAndSums) {
    Registry registry;
    Histogram& histogram = registry.histogram("wait_seconds", "Wait");
    histogram.observe_us(10);
    histogram.observe_us(11);
    histogram.observe_us(700'000'000);
    histogram.observe_us(-4);
    EXPECT_EQ(histogram.count(), 4U);
    EXPECT_EQ(histogram.sum_us(), 700'000'021);
    EXPECT_EQ(histogram.in_bucket(0), 2U);
    EXPECT_EQ(histogram.in_bucket(1), 1U);
    EXPECT_EQ(histogram.in_bucket(histogram.bounds().size()), 1U);
}

TEST(Histogram, LosesNothingUnderManyThreads) {
    Registry registry;
    Histogram& histogram = registry.histogram("wait_seconds", "Wait");
    on_threads(8, [&] {
        for (int i = 0; i < 1000; ++i)
            histogram.observe_us(i);
    });
    EXPECT_EQ(histogram.count(), 8000U);
    EXPECT_EQ(histogram.sum_us(), 8 * 999 * 500);
}

TEST(Prometheus, ShowsEveryKind) {
    Registry registry;
    registry.counter("larder_requests", "Requests.", {{"route", "/llm"}, {"status", "200"}}).add(3);
    registry.counter("larder_requests", "Requests.", {{"route", "/health"}, {"status", "200"}});
    registry.gauge("larder_open", "Open\nconnections \\ \"now\".").add(2);
    const std::int64_t bounds[] = {10, 2'500, 1'000'000, 600'000'000};
    Histogram& histogram = registry.histogram("larder_seconds", "Time.", {{"a", "b"}}, bounds);
    histogram.observe_us(10);
    histogram.observe_us(2'000);
    histogram.observe_us(2'500);
    histogram.observe_us(601'000'000);
    EXPECT_EQ(registry.prometheus(), "# HELP larder_requests_total Requests.\n"
                                     "# TYPE larder_requests_total counter\n"
                                     "larder_requests_total{route=\"/llm\",status=\"200\"} 3\n"
                                     "larder_requests_total{route=\"/health\",status=\"200\"} 0\n"
                                     "# HELP larder_open Open\\nconnections \\\\ \"now\".\n"
                                     "# TYPE larder_open gauge\n"
                                     "larder_open 2\n"
                                     "# HELP larder_seconds Time.\n"
                                     "# TYPE larder_seconds histogram\n"
                                     "larder_seconds_bucket{a=\"b\",le=\"0.00001\"} 1\n"
                                     "larder_seconds_bucket{a=\"b\",le=\"0.0025\"} 3\n"
                                     "larder_seconds_bucket{a=\"b\",le=\"1\"} 3\n"
                                     "larder_seconds_bucket{a=\"b\",le=\"600\"} 3\n"
                                     "larder_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\n"
                                     "larder_seconds_sum{a=\"b\"} 601.00451\n"
                                     "larder_seconds_count{a=\"b\"} 4\n");
}

TEST(Prometheus, ShowsAHistogramWithoutLabels) {
    Registry registry;
    const std::int64_t bounds[] = {10};
    registry.histogram("x", "X", {}, bounds).observe_us(5);
    EXPECT_NE(registry.prometheus().find("x_bucket{le=\"0.00001\"} 1\nx_bucket{le=\"+Inf\"} 1\n"
                                         "x_sum 0.000005\nx_count 1\n"),
              std::string::npos);
}

TEST(Prometheus, EscapesLabelValues) {
    Registry registry;
    registry.counter("a", "A", {{"l", "q\" b\\ n\n\xc3\xa9"}});
    EXPECT_NE(registry.prometheus().find("a_total{l=\"q\\\" b\\\\ n\\n\xc3\xa9\"} 0\n"),
              std::string::npos);
}

TEST(Prometheus, ReadsFunctionsWhenItIsMadeAndTakesTheNewestOne) {
    Registry registry;
    double value = 1.5;
    registry.gauge("g", "G", {}, [&] { return value; });
    registry.counter("c", "C", {}, [] { return 7.0; });
    value = std::numeric_limits<double>::quiet_NaN();
    EXPECT_NE(registry.prometheus().find("\ng NaN\n"), std::string::npos);
    EXPECT_NE(registry.prometheus().find("\nc_total 7\n"), std::string::npos);
    registry.gauge("g", "G", {}, [] { return -std::numeric_limits<double>::infinity(); });
    EXPECT_NE(registry.prometheus().find("\ng -Inf\n"), std::string::npos);
}

TEST(Registry, LeavesOutSeriesBeyondItsRoomAndSaysSo) {
    Registry registry;
    Counter& early = registry.counter("early", "E");
    for (std::size_t i = 0; i < 6000; ++i)
        registry.histogram("h", "H", {{"n", std::to_string(i)}}).observe_us(1);
    early.add();
    EXPECT_EQ(early.value(), 1U);
    const std::string text = registry.prometheus();
    EXPECT_NE(text.find("h_count{n=\"5000\"} 1\n"), std::string::npos);
    EXPECT_EQ(text.find("h_count{n=\"5999\"}"), std::string::npos);
    EXPECT_NE(text.find("\nlarder_metrics_left_out "), std::string::npos);
}

TEST(RegistryDeathTest, RefusesOneNameWithTwoKindsAndNamesThatAreNone) {
    Registry registry;
    registry.gauge("a", "A");
    EXPECT_DEATH(registry.histogram("a", "A"), "assertion failed");
    EXPECT_DEATH(registry.gauge("a b", "A"), "assertion failed");
    EXPECT_DEATH(registry.gauge("", "A"), "assertion failed");
    EXPECT_DEATH(registry.counter("c", "C", {{"le", "1"}}), "assertion failed");
    EXPECT_DEATH(registry.counter("c", "C", {{"1a", "1"}}), "assertion failed");
}

} // namespace
} // namespace larder::metrics
