// bench/latency.hpp: latencies of single requests, as percentiles of everything and of windows of
// 50 ms. The median over windows says what an ordinary moment looks like; a pause of the host
// spoils one window, not the figure. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

namespace larder::bench {

/// The value below which `share` of the values lie (nearest rank); 0 for none. Reorders `values`.
inline double percentile_us(std::vector<std::uint32_t>& values, double share) {
    if (values.empty()) {
        return 0;
    }
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::min(rank, values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return static_cast<double>(*at) / 1000.0;
}

class LatencyRecorder {
public:
    static constexpr std::int64_t kWindowNs = 50'000'000;
    static constexpr std::size_t kWindowSamplesMin = 20; // fewer have no 99th percentile

    struct Summary {
        std::size_t count = 0;
        double p50_us = 0, p90_us = 0, p99_us = 0, p999_us = 0, max_us = 0;
        std::size_t windows = 0;
        double windows_p50_us = 0; // median over the windows of their p50
        double windows_p99_us = 0;
    };

    /// `at_ns` is when the request was to be sent, from the start of the run. Above 4.29 s a
    /// latency counts as 4.29 s.
    void record(std::int64_t at_ns, std::int64_t latency_ns) {
        constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
        samples_.push_back(
            {static_cast<std::uint32_t>(at_ns / kWindowNs),
             static_cast<std::uint32_t>(std::clamp<std::int64_t>(latency_ns, 0, kMost))});
    }

    [[nodiscard]] Summary summarize() const {
        std::vector<std::uint32_t> all;
        std::map<std::uint32_t, std::vector<std::uint32_t>> windows;
        all.reserve(samples_.size());
        for (const Sample& sample : samples_) {
            all.push_back(sample.latency_ns);
            windows[sample.window].push_back(sample.latency_ns);
        }
        std::vector<double> p50s;
        std::vector<double> p99s;
        for (auto& [number, values] : windows) {
            if (values.size() >= kWindowSamplesMin) {
                p50s.push_back(percentile_us(values, 0.50));
                p99s.push_back(percentile_us(values, 0.99));
            }
        }
        return {.count = all.size(),
                .p50_us = percentile_us(all, 0.50),
                .p90_us = percentile_us(all, 0.90),
                .p99_us = percentile_us(all, 0.99),
                .p999_us = percentile_us(all, 0.999),
                .max_us = percentile_us(all, 1.0),
                .windows = p50s.size(),
                .windows_p50_us = median(p50s),
                .windows_p99_us = median(p99s)};
    }

private:
    struct Sample {
        std::uint32_t window;
        std::uint32_t latency_ns;
    };

    static double median(std::vector<double>& values) {
        std::sort(values.begin(), values.end());
        return values.empty() ? 0 : values[values.size() / 2];
    }

    std::vector<Sample> samples_;
};

} // namespace larder::bench
