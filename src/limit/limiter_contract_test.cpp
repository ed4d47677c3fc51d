// One suite for memory and Redis: the same calls at the same times have the same answers, field by
// field.
#include "limit/counter.hpp"
#include "testing/limit_nodes.hpp"
#include "testing/redis_server.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <optional>
#include <random>
#include <sstream>

namespace larder::limit {
namespace {

using testing::charge;
using testing::LimitNodes;
using testing::RedisServer;

constexpr std::int64_t kStart = 1'700'000'000'123;

std::string text_of(const Reservation& made) {
    std::ostringstream out;
    out << (made.allowed ? "allowed" : "refused by " + std::to_string(made.refused_by));
    for (const Decision& d : made.decisions)
        out << " | " << d.allowed << " limit " << d.limit << " remaining " << d.remaining
            << " reset " << d.reset_epoch_ms << " retry " << d.retry_after_ms << " at "
            << d.decided_at_ms;
    for (const Held& h : made.held)
        out << " | held " << h.amount << " of " << h.max << " at " << h.mark;
    return out.str();
}

/// Both limiters, and the same calls on them.
class Pair {
public:
    Pair() : nodes_({.url = server_.url(), .source = TimeSource::kArgument}) {}

    /// Asks both; the memory's answer.
    Reservation reserve(const std::vector<Charge>& charges, std::int64_t now_ms) {
        Reservation memory = memory_.reserve_now(charges, now_ms);
        stored_ = nodes_.reserve(charges, now_ms);
        EXPECT_FALSE(stored_.degraded) << nodes_.limiters[0]->health().reason;
        EXPECT_EQ(text_of(memory), text_of(stored_));
        return memory;
    }
    [[nodiscard]] const Reservation& stored() const { return stored_; }
    void cancel(const Reservation& memory, const Reservation& stored, std::int64_t now_ms) {
        memory_.give_back(memory.held, now_ms);
        nodes_.cancel(stored, now_ms);
    }
    void clear() { EXPECT_EQ(server_.cli({"FLUSHALL"}), "OK"); }

private:
    RedisServer server_;
    MemoryLimiter memory_;
    LimitNodes nodes_;
    Reservation stored_;
};

Rule random_rule(std::mt19937_64& random, Algorithm algorithm) {
    struct Size {
        std::int64_t max;
        std::int64_t window;
    };
    constexpr std::array kSizes{Size{1, 1},
                                Size{1, 60},
                                Size{3, 1000},
                                Size{5, 7},
                                Size{20, 60'000},
                                Size{7, 59'999},
                                Size{1000, 3'600'000},
                                Size{999'983, 86'400'000},
                                Size{1LL << 30, (1LL << 32) - 1},
                                Size{1'000'000'007, (1LL << 32) - 61}};
    const Size size = kSizes[random() % kSizes.size()];
    return {.name = "t",
            .max = size.max,
            .window = std::chrono::milliseconds(size.window),
            .algorithm = algorithm};
}

std::int64_t random_amount(std::mt19937_64& random, std::int64_t max) {
    switch (random() % 8) {
    case 0:
        return 1 + static_cast<std::int64_t>(random() % 3);
    case 1:
        return 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(max / 3 + 1));
    case 2:
        return max;
    case 3:
        return random() % 4 == 0 ? max + 1 : 1;
    default:
        return max > 50 ? max / 10 : 1;
    }
}

std::int64_t random_step(std::mt19937_64& random, std::int64_t window) {
    switch (random() % 7) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return window / 60;
    case 3:
        return window;
    case 4:
        return window +
               static_cast<std::int64_t>(random() % static_cast<unsigned>(window / 60 + 2));
    default:
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(window / 10 + 2));
    }
}

/// Several counters of one subject, rules that change, reservations that are cancelled; the time
/// only goes on.
void compare_mixed(Pair& pair, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::string user = "u" + std::to_string(seed);
    std::int64_t now = kStart;
    std::vector<Rule> rules;
    for (int i = 0; i < 3; ++i)
        rules.push_back(random_rule(random, static_cast<Algorithm>(random() % 3)));
    std::deque<std::pair<Reservation, Reservation>> kept;
    for (int step = 0; step < 150; ++step) {
        SCOPED_TRACE("step " + std::to_string(step));
        now += random_step(random, rules[random() % 3].window.count());
        if (random() % 25 == 0)
            rules[random() % 3] = random_rule(random, static_cast<Algorithm>(random() % 3));
        if (random() % 30 == 0)
            rules[random() % 3].max = 1 + static_cast<std::int64_t>(random() % 40);
        if (random() % 5 == 0 && !kept.empty()) {
            const std::size_t which = random() % kept.size();
            pair.cancel(kept[which].first, kept[which].second, now);
            kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(which));
        }
        std::vector<Charge> charges;
        for (std::uint8_t i = 0; i < 3; ++i) {
            if (random() % 2 == 0)
                charges.push_back(charge(rules[i], i, user, random_amount(random, rules[i].max)));
        }
        if (charges.empty())
            continue;
        Reservation memory = pair.reserve(charges, now);
        if (memory.allowed)
            kept.emplace_back(std::move(memory), pair.stored());
        if (kept.size() > 8)
            kept.pop_front();
        if (::testing::Test::HasFailure())
            return;
    }
}

/// One counter under a clock that also steps back, a little or by more than a window, after calls
/// that were taken (a refusal leaves no trace in Redis).
void compare_stepping_back(Pair& pair, Algorithm algorithm, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::string user =
        "b" + std::to_string(seed) + std::to_string(static_cast<int>(algorithm));
    Rule rule = random_rule(random, algorithm);
    const std::int64_t window = rule.window.count();
    std::int64_t now = kStart;
    bool taken = false;
    for (int step = 0; step < 120; ++step) {
        SCOPED_TRACE("step " + std::to_string(step));
        if (taken && random() % 6 == 0)
            now -= random_step(random, window) * static_cast<std::int64_t>(1 + random() % 2);
        else
            now += random_step(random, window);
        taken = pair.reserve({charge(rule, 0, user, random_amount(random, rule.max))}, now).allowed;
        if (::testing::Test::HasFailure())
            return;
    }
}

TEST(LimiterContract, GivesTheSameAnswersInMemoryAndInRedis) {
    Pair pair;
    for (std::uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        compare_mixed(pair, seed);
    }
}

TEST(LimiterContract, GivesTheSameAnswersUnderAClockThatStepsBack) {
    Pair pair;
    for (const Algorithm algorithm : {Algorithm::kSliding, Algorithm::kFixed, Algorithm::kGcra}) {
        for (std::uint64_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
            SCOPED_TRACE("seed " + std::to_string(seed) + " algorithm " +
                         std::to_string(static_cast<int>(algorithm)));
            compare_stepping_back(pair, algorithm, seed);
        }
    }
}

TEST(LimiterContract, CountsTwentyCallsAMinuteAndSaysWhenTheNextIsFree) {
    Pair pair;
    const Rule rule{.name = "llm", .max = 20};
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(pair.reserve({charge(rule, 0, "ada")}, kStart + i * 1000).allowed);
    const Reservation refused = pair.reserve({charge(rule, 0, "ada")}, kStart + 20'000);
    ASSERT_FALSE(refused.allowed);
    const std::int64_t retry = refused.decisions[0].retry_after_ms;
    EXPECT_FALSE(pair.reserve({charge(rule, 0, "ada")}, kStart + 20'000 + retry - 1).allowed);
    EXPECT_TRUE(pair.reserve({charge(rule, 0, "ada")}, kStart + 20'000 + retry).allowed);
}

TEST(LimiterContract, TakesNothingWhenOneOfSeveralChargesIsRefused) {
    Pair pair;
    const Rule wide{.name = "w", .max = 10};
    const Rule narrow{.name = "n", .max = 1, .algorithm = Algorithm::kFixed};
    const Rule even{.name = "e", .max = 10, .algorithm = Algorithm::kGcra};
    const std::vector<Charge> charges{charge(wide, 0, "ada", 4), charge(even, 2, "ada", 3),
                                      charge(narrow, 1, "ada")};
    ASSERT_TRUE(pair.reserve(charges, kStart).allowed);
    for (int i = 0; i < 5; ++i) {
        const Reservation refused = pair.reserve(charges, kStart + 1);
        ASSERT_FALSE(refused.allowed);
        EXPECT_EQ(refused.refused_by, 2U);
        EXPECT_TRUE(refused.held.empty());
        EXPECT_EQ(refused.decisions[0].remaining, 6);
        EXPECT_TRUE(refused.decisions[0].allowed);
    }
    EXPECT_EQ(pair.reserve({charge(wide, 0, "ada", 6)}, kStart + 1).decisions[0].remaining, 0);
}

TEST(LimiterContract, GivesBackWhatWasTakenAndNoMore) {
    for (const Algorithm algorithm : {Algorithm::kSliding, Algorithm::kFixed, Algorithm::kGcra}) {
        Pair pair;
        const Rule rule{.name = "t", .max = 5, .algorithm = algorithm};
        const Reservation memory = pair.reserve({charge(rule, 0, "ada", 3)}, kStart);
        const Reservation stored = pair.stored();
        ASSERT_TRUE(pair.reserve({charge(rule, 0, "ada", 2)}, kStart).allowed);
        ASSERT_FALSE(pair.reserve({charge(rule, 0, "ada")}, kStart).allowed);
        pair.cancel(memory, stored, kStart);
        EXPECT_TRUE(pair.reserve({charge(rule, 0, "ada", 3)}, kStart).allowed);
        EXPECT_FALSE(pair.reserve({charge(rule, 0, "ada")}, kStart).allowed);
    }
}

/// A refund of what has drained already would be room that somebody else has used.
TEST(LimiterContract, GivesBackOfAGcraOnlyWhatHasNotDrained) {
    Pair pair;
    const Rule rule{.name = "t",
                    .max = 2,
                    .window = std::chrono::milliseconds(2000),
                    .algorithm = Algorithm::kGcra};
    const Reservation memory = pair.reserve({charge(rule, 0, "ada")}, kStart);
    const Reservation stored = pair.stored();
    ASSERT_TRUE(pair.reserve({charge(rule, 0, "ada")}, kStart + 500).allowed); // backlog 1500 ms
    pair.cancel(memory, stored, kStart + 500);                                 // and now 1000
    EXPECT_TRUE(pair.reserve({charge(rule, 0, "ada")}, kStart + 500).allowed);
    EXPECT_FALSE(pair.reserve({charge(rule, 0, "ada")}, kStart + 500).allowed);
}

TEST(LimiterContract, FreesNothingEarlyWhenTheRuleChanges) {
    Pair pair;
    const Rule before{.name = "t", .max = 10, .window = std::chrono::milliseconds(60'000)};
    for (const Algorithm algorithm : {Algorithm::kSliding, Algorithm::kFixed, Algorithm::kGcra}) {
        const std::string user = "u" + std::to_string(static_cast<int>(algorithm));
        ASSERT_TRUE(pair.reserve({charge(before, 0, user, 10)}, kStart).allowed);
        const Rule after{.name = "t",
                         .max = 10,
                         .window = std::chrono::milliseconds(30'000),
                         .algorithm = algorithm};
        EXPECT_FALSE(pair.reserve({charge(after, 0, user)}, kStart + 1000).allowed);
    }
}

TEST(LimiterContract, CountsNothingForARuleThatIsOff) {
    Pair pair;
    const Rule off{.name = "t", .max = 0};
    const Rule on{.name = "t", .max = 1};
    EXPECT_TRUE(pair.reserve({charge(off, 0, "ada"), charge(on, 1, "ada")}, kStart).allowed);
    EXPECT_TRUE(pair.reserve({charge(off, 0, "ada")}, kStart).allowed);
    const Reservation refused = pair.reserve({charge(off, 0, "ada"), charge(on, 1, "ada")}, kStart);
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.refused_by, 1U);
}

} // namespace
} // namespace larder::limit
