// Takes what a request will use from every limit that applies, or nothing. Never more than a limit
// is taken, whatever runs at once. Any thread.
#pragma once

#include "async/task.hpp"
#include "async/time_budget.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
    std::int64_t retry_after_ms = 0; // refused: when what was asked for is free again
    std::int64_t decided_at_ms = 0;  // the time that the others count from: a store's own clock
};

/// What a request takes from one limit.
struct Charge {
    const Rule* rule = nullptr; // the caller's: it lives until `reserve` has come back
    std::uint8_t rule_id = 0;   // 0..7, tells tiers apart
    Subject::Kind kind = Subject::Kind::kAddress;
    std::string id;
    std::int64_t amount = 1; // from 1; more than the rule's max is always refused
};

/// What was taken from one limit, and where: so that exactly that can be given back.
struct Held {
    std::uint8_t rule_id = 0;
    Subject::Kind kind = Subject::Kind::kAddress;
    std::string id;
    Algorithm algorithm = Algorithm::kSliding; // of the counter
    std::int64_t window_ms = 0;
    std::int64_t max = 0;
    std::int64_t amount = 0;
    std::int64_t mark = 0; // of the counter: the part, the window, or when it is drained
};

struct Reservation {
    bool allowed = true;
    bool degraded = false;           // decided without the store
    bool unavailable = false;        // refused because the store is lost, by nobody's limit
    std::size_t refused_by = 0;      // refused: the first charge that found no room
    std::vector<Decision> decisions; // one for each charge; refused: as things stand without it
    std::string id;                  // tells reservations apart
    std::vector<Held> held;          // empty when nothing was taken
};

struct LimiterHealth {
    bool ok = true;
    std::string reason;         // empty when ok
    std::string_view mode = ""; // what happens while not ok: "local" | "open" | "closed"
};

/// The port. No two charges of one reservation may be of one rule id and subject.
class Limiter {
public:
    virtual ~Limiter() = default;

    /// Takes one call, or nothing, without suspending; nullopt where a store has to be asked.
    /// `now_ms` is this process's epoch time; a store counts by its own.
    virtual std::optional<Decision> try_take(const Rule& rule, std::uint8_t rule_id,
                                             Subject subject, std::int64_t now_ms) = 0;
    /// Takes all charges, or none. It waits no longer than `budget` says. What was taken and isn't
    /// cancelled ends by itself after its rule's window.
    virtual Task<Reservation> reserve(std::vector<Charge> charges, std::int64_t now_ms,
                                      async::TimeBudget& budget) = 0;
    /// Gives back what is held; once for each reservation. What a lost store counted stays until
    /// its window has passed.
    virtual Task<void> cancel(Reservation reservation, std::int64_t now_ms,
                              async::TimeBudget& budget) = 0;

    [[nodiscard]] virtual LimiterHealth health() const = 0;
    /// Decisions that were made without the store, by health().mode.
    [[nodiscard]] virtual std::uint64_t degraded_decisions() const = 0;
    /// Subjects with counters of their own in this process, of both kinds.
    [[nodiscard]] virtual std::size_t subjects() const = 0;
};

struct MemoryLimits {
    std::size_t users = 100'000; // subjects of each kind with counters of their own
    std::size_t addresses = 100'000;
    std::size_t overflow = 4096; // hashed counters that the rest share: strict, never lax
};

/// The limiter of one process: exact under any concurrency, and bounded in memory whatever is sent.
/// Never suspends.
class MemoryLimiter final : public Limiter {
public:
    explicit MemoryLimiter(MemoryLimits limits = {});
    ~MemoryLimiter() override;
    MemoryLimiter(const MemoryLimiter&) = delete;
    MemoryLimiter& operator=(const MemoryLimiter&) = delete;

    /// Takes one call of `rule` for `subject`, or nothing. `rule_id` (small, 0..7) tells tiers
    /// apart; `now_ms` is epoch time.
    Decision take(const Rule& rule, std::uint8_t rule_id, Subject subject, std::int64_t now_ms);
    /// `reserve` and `cancel` without a frame.
    Reservation reserve_now(const std::vector<Charge>& charges, std::int64_t now_ms);
    void give_back(const std::vector<Held>& held, std::int64_t now_ms);

    std::optional<Decision> try_take(const Rule& rule, std::uint8_t rule_id, Subject subject,
                                     std::int64_t now_ms) override {
        return take(rule, rule_id, subject, now_ms);
    }
    Task<Reservation> reserve(std::vector<Charge> charges, std::int64_t now_ms,
                              async::TimeBudget& budget) override;
    Task<void> cancel(Reservation reservation, std::int64_t now_ms,
                      async::TimeBudget& budget) override;
    [[nodiscard]] LimiterHealth health() const override { return {}; }
    [[nodiscard]] std::uint64_t degraded_decisions() const override { return 0; }
    [[nodiscard]] std::size_t subjects() const override;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace larder::limit
