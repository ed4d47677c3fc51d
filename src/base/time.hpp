// The one source of time: a Clock port, the system's clock, and a clock that tests move by hand.
// Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace larder {

using Milliseconds = std::chrono::milliseconds;

/// Wall-clock time in ms since the epoch, and monotonic time for deadlines.
class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual std::int64_t epoch_ms() const = 0;
    [[nodiscard]] virtual std::int64_t steady_us() const = 0;
};

class SystemClock final : public Clock {
public:
    [[nodiscard]] std::int64_t epoch_ms() const override;
    [[nodiscard]] std::int64_t steady_us() const override;
};

/// Stands still until it is moved. For tests.
class ManualClock final : public Clock {
public:
    explicit ManualClock(std::int64_t epoch_ms = 1'700'000'000'000) : now_us_(epoch_ms * 1000) {}
    [[nodiscard]] std::int64_t epoch_ms() const override { return now_us_.load() / 1000; }
    [[nodiscard]] std::int64_t steady_us() const override { return now_us_.load(); }
    void advance(std::chrono::microseconds by) { now_us_ += by.count(); }

private:
    std::atomic<std::int64_t> now_us_;
};

/// `Date` header value (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::int64_t epoch_s);
/// RFC 3339 in UTC with milliseconds: "2026-11-24T23:19:50.123Z".
std::string rfc3339(std::int64_t epoch_ms);

} // namespace larder
