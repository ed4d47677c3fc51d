// What one request may wait for its stores, all of them together: each wait takes what it needed.
// One thread at a time.
#pragma once

#include <algorithm>
#include <chrono>

namespace larder::async {

class TimeBudget {
public:
    using Steady = std::chrono::steady_clock;

    explicit TimeBudget(std::chrono::microseconds total) : left_(total) {}
    /// What may still be waited; never below 0.
    [[nodiscard]] std::chrono::microseconds left() const { return left_; }
    [[nodiscard]] bool is_spent() const { return left_.count() <= 0; }

    /// Takes the time between its construction and its destruction off the budget.
    class Spending {
    public:
        explicit Spending(TimeBudget& budget) : budget_(budget), began_(Steady::now()) {}
        ~Spending() {
            const auto spent =
                std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - began_);
            budget_.left_ = std::max(budget_.left_ - spent, std::chrono::microseconds(0));
        }
        Spending(const Spending&) = delete;
        Spending& operator=(const Spending&) = delete;

    private:
        TimeBudget& budget_;
        Steady::time_point began_;
    };

private:
    std::chrono::microseconds left_;
};

} // namespace larder::async
