// One budget for all bytes in flight (bodies, flights): who can't get its share is refused instead
// of the process growing. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace larder {

class MemoryBudget {
public:
    explicit MemoryBudget(std::size_t limit) : limit_(limit) {}
    /// Above half of the budget only small shares are given: large bodies wait outside.
    [[nodiscard]] bool try_take(std::size_t bytes) {
        if (bytes > limit_)
            return false; // also what would wrap around
        const std::size_t used = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
        if (used <= limit_ / 2 || (used <= limit_ && bytes <= kSmall))
            return true;
        used_.fetch_sub(bytes, std::memory_order_relaxed);
        return false;
    }
    void give_back(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
    [[nodiscard]] std::size_t used() const { return used_.load(std::memory_order_relaxed); }

    static constexpr std::size_t kSmall = 64UL * 1024;

private:
    std::atomic<std::size_t> used_{0};
    std::size_t limit_;
};

/// What one owner has of the budget; given back by its destructor.
class BudgetShare {
public:
    explicit BudgetShare(MemoryBudget& budget) : budget_(&budget) {}
    ~BudgetShare() { budget_->give_back(bytes_); }
    BudgetShare(const BudgetShare&) = delete;
    BudgetShare& operator=(const BudgetShare&) = delete;
    [[nodiscard]] bool grow(std::size_t bytes) {
        if (!budget_->try_take(bytes))
            return false;
        bytes_ += bytes;
        return true;
    }
    void shrink(std::size_t bytes) {
        budget_->give_back(bytes);
        bytes_ -= bytes;
    }

private:
    MemoryBudget* budget_;
    std::size_t bytes_ = 0;
};

} // namespace larder
