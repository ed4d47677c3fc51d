// How much of one limit is used: the three algorithms of the contract as one small value. Integer
// arithmetic only. Not locked: its table holds the lock.
#pragma once

#include "limit/limiter.hpp"

#include <cstdint>

namespace larder::limit {

/// A rule brought into the range that counters compute in: max up to 2^30, window 1 ms to 2^32 - 1
/// ms.
struct Shape {
    Algorithm algorithm = Algorithm::kSliding;
    std::uint32_t window_ms = 60'000;
    std::uint32_t max = 20;
    bool operator==(const Shape&) const = default;
};
Shape shape_of(const Rule& rule);

/// Sliding: a window has 60 parts; a call counts from its own part to the end of the 60th after it,
/// so it is free again after the window and at most one part late. Fixed: a window from the first
/// call. GCRA: a backlog that drains evenly.
/// A clock that steps back stands still for up to one window; beyond that, what was counted counts
/// as made now.
class Counter {
public:
    Counter() = default;
    ~Counter() { drop_heap(); }
    Counter(const Counter&) = delete;
    Counter& operator=(const Counter&) = delete;

    /// Takes `amount` calls (from 1), or nothing. Allocates only when more parts of a window are in
    /// use than ever before (at most 64 counts).
    Decision take(const Shape& shape, std::int64_t now_ms, std::int64_t amount = 1);
    /// How things stand for `amount` calls, without taking them.
    Decision look(const Shape& shape, std::int64_t now_ms, std::int64_t amount = 1);
    /// Directly after a take: where it was counted, for `give_back`.
    [[nodiscard]] std::int64_t mark() const;
    /// At the time of a take: as if it had not been.
    void undo(std::int64_t amount);
    /// Gives back what was taken under `shape` at `mark`, as far as that still counts, and never
    /// more: what can't be found stays.
    void give_back(const Shape& shape, std::int64_t mark, std::int64_t amount, std::int64_t now_ms);
    /// Counts `calls` that were made before as made now: never frees anything early.
    void absorb(const Shape& shape, std::uint64_t calls, std::int64_t now_ms);
    /// Calls that count at `now_ms`, rounded up.
    [[nodiscard]] std::uint64_t used(std::int64_t now_ms);
    /// When the whole limit is free again; `now_ms` or earlier when it is.
    [[nodiscard]] std::int64_t free_at(std::int64_t now_ms) const;
    [[nodiscard]] bool is_free(std::int64_t now_ms) const { return free_at(now_ms) <= now_ms; }
    [[nodiscard]] std::uint32_t max() const { return shape_.max; }
    [[nodiscard]] const Shape& shape() const { return shape_; }
    /// As new; keeps its memory.
    void clear();

private:
    static constexpr std::uint8_t kInline = 4;

    void adopt(const Shape& shape, std::int64_t now_ms);
    void advance(std::int64_t now_ms);
    void advance_sliding(std::int64_t now_ms);
    void add(std::uint32_t calls, std::int64_t now_ms);
    void add_to_part(std::uint32_t calls);
    void bring_to(const Shape& shape, std::int64_t now_ms);
    void give_back_to_part(std::int64_t part, std::uint64_t calls);
    void remove_part(unsigned place, std::int64_t age);
    [[nodiscard]] Decision decision(bool allowed, std::int64_t amount, std::int64_t now_ms) const;
    [[nodiscard]] bool has_room(std::int64_t amount) const;
    [[nodiscard]] std::uint64_t remaining() const;
    [[nodiscard]] std::int64_t room_at(std::int64_t amount) const;
    [[nodiscard]] std::int64_t sliding_room_at(std::int64_t amount) const;
    [[nodiscard]] std::uint32_t* parts() { return capacity_ > kInline ? heap_ : inline_; }
    [[nodiscard]] const std::uint32_t* parts() const {
        return capacity_ > kInline ? heap_ : inline_;
    }
    void push_part(std::uint32_t calls);
    void pop_parts(unsigned count);
    void grow();
    void drop_heap();

    Shape shape_;
    std::uint8_t first_ = 0;          // of the ring: the oldest part in use
    std::uint8_t size_ = 0;           // parts in use
    std::uint8_t capacity_ = kInline; // a power of two
    std::int64_t time_ = 0;    // sliding: the newest part; fixed: the window's start, ms; gcra: ms
    std::uint64_t amount_ = 0; // sliding, fixed: calls; gcra: backlog in 1/max ms
    std::uint64_t occupied_ = 0; // sliding: bit a: the part `a` before the newest has calls
    union {
        std::uint32_t inline_[kInline] = {};
        std::uint32_t* heap_;
    };
};

} // namespace larder::limit
