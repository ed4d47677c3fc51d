// How the models at providers are doing, for those who choose between them: time to first byte as a
// peak-sensitive moving average, calls under way, and until when one is left alone. Any thread;
// never suspends. It outlives a reload of the configuration.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace larder::provider {

/// Of one model at one provider. Streams and plain answers are measured apart: the first byte of a
/// plain answer is its last one, too. Times are steady microseconds.
class TargetHealth {
public:
    /// A call goes out; followed by `ended`.
    void began();
    void ended();
    /// The first byte came after `took_us`. A slower one counts at once, a faster one by and by
    /// (peak EWMA; half of the old value is forgotten in about 2 s).
    void observe(bool stream, std::int64_t took_us, std::int64_t now_us);
    /// Nobody waited any longer than `waited_us`, and no first byte had come: it costs that much at
    /// least.
    void gave_up(bool stream, std::int64_t waited_us, std::int64_t now_us);
    /// What the next call would cost, in us: with nothing under way the average, decayed since its
    /// last sample, so that a slow one is tried again; else the whole average times the calls under
    /// way and one, for silence is no sign of speed. Of one of which nothing is known: 0 with
    /// nothing under way, else very much: one call finds out.
    [[nodiscard]] double cost(bool stream, std::int64_t now_us) const;
    /// Again no first byte came in time: after `failures` of them in a row it is left alone until
    /// then, and after each further one until a first byte comes.
    void timed_out(int failures, std::int64_t until_us);
    /// A first byte came.
    void answered() { silences_.store(0, std::memory_order_relaxed); }
    /// It asked to be left alone (429 with Retry-After). The latest time that was said holds.
    void cool(std::int64_t until_us);
    [[nodiscard]] bool is_cooling(std::int64_t now_us) const;

private:
    struct Average {
        double value_us = 0;
        std::int64_t at_us = 0; // of the last sample
        bool is_known = false;
    };
    mutable std::mutex mutex_; // guards averages_
    std::array<Average, 2> averages_;
    std::atomic<std::int64_t> cool_until_us_{0};
    std::atomic<int> pending_{0};
    std::atomic<int> silences_{0};
};

/// By provider and model. Bounded at 4,096: beyond it those make room that are not cooling, that
/// nobody holds and nobody asked for within a minute, of whose times nothing is left to know; where
/// there are none, a new one is not kept. Names of more than 512 bytes are not kept either.
class HealthTable {
public:
    /// `now_us`: steady.
    std::shared_ptr<TargetHealth> of(std::string_view provider, std::string_view model,
                                     std::int64_t now_us);
    std::shared_ptr<TargetHealth> of(std::string_view provider, std::string_view model);

private:
    struct Entry {
        std::shared_ptr<TargetHealth> health;
        std::int64_t used_us = 0;
    };
    void make_room(std::int64_t now_us);

    std::mutex mutex_;
    std::map<std::string, Entry, std::less<>> targets_;
    std::int64_t next_sweep_us_ = 0;
};

} // namespace larder::provider
