// Takes what a request will use from a limit, or nothing. In process: exact under any concurrency,
// and bounded in memory whatever is sent. Any thread; never suspends.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace larder::limit {

enum class Algorithm : std::uint8_t { kSliding, kFixed, kGcra };

/// One tier of the contract.
struct Rule {
    std::string name;      // "llm", "standard", "expensive"
    std::int64_t max = 20; // 0: the tier is off
    std::chrono::milliseconds window{60'000};
    Algorithm algorithm = Algorithm::kSliding;
    std::string message; // of the refusal
};

/// Who is counted. Known users and addresses have separate bounds.
struct Subject {
    enum class Kind : std::uint8_t { kUser, kAddress };
    Kind kind = Kind::kAddress;
    std::string_view id;
};

struct Decision {
    bool allowed = true;
    std::int64_t limit = 0;
    std::int64_t remaining = 0;
    std::int64_t reset_epoch_ms = 0; // when the whole limit is free again
    std::int64_t retry_after_ms = 0; // refused: when one call is free again
};

struct MemoryLimits {
    std::size_t users = 100'000; // subjects of each kind with counters of their own
    std::size_t addresses = 100'000;
    std::size_t overflow = 4096; // hashed counters that the rest share: strict, never lax
};

/// The limiter of one process. A decision is one atomic step.
class MemoryLimiter {
public:
    explicit MemoryLimiter(MemoryLimits limits = {});
    ~MemoryLimiter();
    MemoryLimiter(const MemoryLimiter&) = delete;
    MemoryLimiter& operator=(const MemoryLimiter&) = delete;

    /// Takes one call of `rule` for `subject`, or nothing. `rule_id` (small, 0..7) tells tiers
    /// apart; `now_ms` is epoch time.
    Decision take(const Rule& rule, std::uint8_t rule_id, Subject subject, std::int64_t now_ms);
    /// Subjects with counters of their own, of both kinds.
    [[nodiscard]] std::size_t subjects() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace larder::limit
