// The arithmetic of the three algorithms.
#include "limit/counter.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace larder::limit {

namespace {

constexpr std::int64_t kParts = 60;
constexpr std::uint64_t kLiveMask = (1ULL << (kParts + 1)) - 1;
constexpr std::uint32_t kMaxCount = 1U << 30;

std::int64_t part_of(std::int64_t now_ms, std::uint32_t window_ms) {
    return now_ms * kParts / window_ms;
}

/// The first millisecond at which calls of `part` no longer count.
std::int64_t end_of_part(std::int64_t part, std::uint32_t window_ms) {
    return ((part + kParts + 1) * window_ms + kParts - 1) / kParts;
}

std::int64_t divide_up(std::uint64_t a, std::uint64_t b) {
    return static_cast<std::int64_t>((a + b - 1) / b);
}

std::int64_t sane(std::int64_t now_ms) {
    return std::clamp<std::int64_t>(now_ms, 0, 1LL << 50);
}

} // namespace

Shape shape_of(const Rule& rule) {
    constexpr std::int64_t kWindowMax = std::numeric_limits<std::uint32_t>::max();
    return {.algorithm = rule.algorithm,
            .window_ms = static_cast<std::uint32_t>(
                std::clamp<std::int64_t>(rule.window.count(), 1, kWindowMax)),
            .max = static_cast<std::uint32_t>(std::clamp<std::int64_t>(rule.max, 0, kMaxCount))};
}

Decision Counter::take(const Shape& shape, std::int64_t now_ms, std::int64_t amount) {
    now_ms = sane(now_ms);
    bring_to(shape, now_ms);
    const bool allowed = has_room(amount);
    if (allowed)
        add(static_cast<std::uint32_t>(amount), now_ms);
    return decision(allowed, amount, now_ms);
}

Decision Counter::look(const Shape& shape, std::int64_t now_ms, std::int64_t amount) {
    now_ms = sane(now_ms);
    bring_to(shape, now_ms);
    return decision(has_room(amount), amount, now_ms);
}

std::int64_t Counter::mark() const {
    if (shape_.algorithm == Algorithm::kGcra)
        return time_ + static_cast<std::int64_t>(amount_ / shape_.max);
    return time_;
}

void Counter::undo(std::int64_t amount) {
    const auto calls = static_cast<std::uint64_t>(std::clamp<std::int64_t>(amount, 0, shape_.max));
    if (shape_.algorithm == Algorithm::kSliding)
        return give_back_to_part(time_, calls);
    const bool is_gcra = shape_.algorithm == Algorithm::kGcra;
    amount_ -= std::min(amount_, is_gcra ? calls * shape_.window_ms : calls);
}

void Counter::give_back(const Shape& shape, std::int64_t mark, std::int64_t amount,
                        std::int64_t now_ms) {
    now_ms = sane(now_ms);
    if (shape.algorithm != shape_.algorithm || shape.window_ms != shape_.window_ms)
        return;
    advance(now_ms);
    const auto calls = static_cast<std::uint64_t>(std::clamp<std::int64_t>(amount, 0, shape.max));
    switch (shape_.algorithm) {
    case Algorithm::kSliding:
        return give_back_to_part(mark, calls);
    case Algorithm::kFixed:
        if (mark == time_)
            amount_ -= std::min(amount_, calls);
        return;
    case Algorithm::kGcra: {
        // What has drained of it by now was room for others: only the rest may go.
        if (shape.max != shape_.max || mark <= time_)
            return;
        const auto left = static_cast<std::uint64_t>(mark - time_) * shape_.max;
        amount_ -= std::min({amount_, calls * shape_.window_ms, left});
        return;
    }
    }
}

void Counter::bring_to(const Shape& shape, std::int64_t now_ms) {
    if (!(shape == shape_)) [[unlikely]]
        adopt(shape, now_ms);
    advance(now_ms);
}

Decision Counter::decision(bool allowed, std::int64_t amount, std::int64_t now_ms) const {
    Decision made{.allowed = allowed, .limit = shape_.max, .decided_at_ms = now_ms};
    if (!allowed)
        made.retry_after_ms = std::max<std::int64_t>(room_at(amount) - now_ms, 1);
    made.remaining = static_cast<std::int64_t>(remaining());
    made.reset_epoch_ms = std::max(free_at(now_ms), now_ms);
    return made;
}

void Counter::absorb(const Shape& shape, std::uint64_t calls, std::int64_t now_ms) {
    now_ms = sane(now_ms);
    bring_to(shape, now_ms);
    const auto bounded = static_cast<std::uint32_t>(std::min<std::uint64_t>(calls, shape_.max));
    if (bounded == 0)
        return;
    add(bounded, now_ms);
    if (shape_.algorithm == Algorithm::kFixed)
        time_ = std::max(time_, now_ms);
}

std::uint64_t Counter::used(std::int64_t now_ms) {
    advance(sane(now_ms));
    if (shape_.algorithm == Algorithm::kGcra)
        return (amount_ + shape_.window_ms - 1) / shape_.window_ms;
    return amount_;
}

std::int64_t Counter::free_at(std::int64_t now_ms) const {
    if (amount_ == 0)
        return now_ms;
    switch (shape_.algorithm) {
    case Algorithm::kSliding:
        return end_of_part(time_ - std::countr_zero(occupied_), shape_.window_ms);
    case Algorithm::kFixed:
        return time_ + shape_.window_ms;
    case Algorithm::kGcra:
        return time_ + divide_up(amount_, shape_.max);
    }
    return now_ms;
}

void Counter::clear() {
    first_ = size_ = 0;
    amount_ = occupied_ = 0;
    time_ = 0;
}

/// The rule has changed (a reload, or a slot that is used anew): what counts is carried over.
void Counter::adopt(const Shape& shape, std::int64_t now_ms) {
    const bool same_units = shape.algorithm == shape_.algorithm &&
                            shape.window_ms == shape_.window_ms &&
                            shape.algorithm != Algorithm::kGcra;
    if (same_units) {
        shape_ = shape;
        return;
    }
    const std::uint64_t calls = amount_ == 0 ? 0 : used(now_ms);
    clear();
    shape_ = shape;
    if (calls > 0)
        absorb(shape, calls, now_ms);
}

/// Forgets what no longer counts at `now_ms`.
void Counter::advance(std::int64_t now_ms) {
    if (shape_.algorithm == Algorithm::kSliding)
        return advance_sliding(now_ms);
    const std::int64_t window = shape_.window_ms;
    if (now_ms < time_) {
        if (time_ - now_ms > window)
            time_ = now_ms;
        return;
    }
    const std::int64_t elapsed = now_ms - time_;
    if (shape_.algorithm == Algorithm::kFixed) {
        if (elapsed >= window)
            amount_ = 0;
        return;
    }
    const std::uint64_t drained =
        elapsed >= window ? amount_ : static_cast<std::uint64_t>(elapsed) * shape_.max;
    amount_ -= std::min(amount_, drained);
    time_ = now_ms;
}

void Counter::advance_sliding(std::int64_t now_ms) {
    const std::int64_t part = part_of(now_ms, shape_.window_ms);
    if (part == time_)
        return;
    if (part > time_) {
        const std::int64_t by = part - time_;
        time_ = part;
        if (by > kParts) {
            first_ = size_ = 0;
            amount_ = occupied_ = 0;
            return;
        }
        // Up to 60 places to the left: what falls off the top of the word has left the window too.
        const int live_before = std::popcount(occupied_);
        occupied_ = (occupied_ << by) & kLiveMask;
        pop_parts(static_cast<unsigned>(live_before - std::popcount(occupied_)));
        return;
    }
    if (time_ - part <= kParts)
        return; // a small step back: time stands still until it is caught up with
    const auto calls = static_cast<std::uint32_t>(std::min<std::uint64_t>(amount_, kMaxCount));
    clear();
    time_ = part;
    if (calls > 0)
        add_to_part(calls);
}

/// `calls` is at most the rule's max.
void Counter::add(std::uint32_t calls, std::int64_t now_ms) {
    switch (shape_.algorithm) {
    case Algorithm::kSliding:
        return add_to_part(calls);
    case Algorithm::kFixed:
        if (amount_ == 0)
            time_ = now_ms;
        amount_ = std::min<std::uint64_t>(amount_ + calls, shape_.max);
        return;
    case Algorithm::kGcra: {
        const std::uint64_t window = shape_.window_ms;
        amount_ = std::min(amount_ + window * calls, window * shape_.max);
        return;
    }
    }
}

/// A part holds at most 2^30: more than any one subject's share of it can be.
void Counter::add_to_part(std::uint32_t calls) {
    if ((occupied_ & 1) == 0) {
        occupied_ |= 1;
        push_part(calls);
        amount_ += calls;
        return;
    }
    std::uint32_t& newest = parts()[(first_ + size_ - 1) & (capacity_ - 1)];
    const std::uint32_t added = std::min(calls, kMaxCount - std::min(newest, kMaxCount));
    newest += added;
    amount_ += added;
}

void Counter::give_back_to_part(std::int64_t part, std::uint64_t calls) {
    const std::int64_t age = time_ - part;
    if (age < 0 || age > kParts || (occupied_ >> age & 1) == 0)
        return;
    const auto newer = static_cast<unsigned>(std::popcount(occupied_ & ((1ULL << age) - 1)));
    const unsigned place = size_ - 1U - newer;
    std::uint32_t& count = parts()[(first_ + place) & (capacity_ - 1)];
    const auto taken = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, calls));
    count -= taken;
    amount_ -= taken;
    if (count == 0)
        remove_part(place, age);
}

void Counter::remove_part(unsigned place, std::int64_t age) {
    for (unsigned i = place; i + 1 < size_; ++i)
        parts()[(first_ + i) & (capacity_ - 1)] = parts()[(first_ + i + 1) & (capacity_ - 1)];
    --size_;
    occupied_ &= ~(1ULL << age);
}

bool Counter::has_room(std::int64_t amount) const {
    if (amount > shape_.max)
        return false;
    const auto calls = static_cast<std::uint64_t>(amount);
    if (shape_.algorithm == Algorithm::kGcra)
        return amount_ + calls * shape_.window_ms <= std::uint64_t{shape_.window_ms} * shape_.max;
    return amount_ + calls <= shape_.max;
}

std::uint64_t Counter::remaining() const {
    if (shape_.algorithm == Algorithm::kGcra) {
        const std::uint64_t whole = std::uint64_t{shape_.window_ms} * shape_.max;
        return (whole - std::min(whole, amount_)) / shape_.window_ms;
    }
    return shape_.max - std::min<std::uint64_t>(shape_.max, amount_);
}

/// What is more than the max never finds room: then when all is free.
std::int64_t Counter::room_at(std::int64_t amount) const {
    amount = std::min<std::int64_t>(amount, shape_.max);
    switch (shape_.algorithm) {
    case Algorithm::kSliding:
        return sliding_room_at(amount);
    case Algorithm::kFixed:
        return amount_ == 0 ? 0 : time_ + shape_.window_ms;
    case Algorithm::kGcra: {
        const std::uint64_t calls = shape_.max - static_cast<std::uint64_t>(amount);
        const std::uint64_t bound = calls * shape_.window_ms;
        return time_ + (amount_ <= bound ? 0 : divide_up(amount_ - bound, shape_.max));
    }
    }
    return 0;
}

/// Parts leave oldest first until there is room (usually after the first).
std::int64_t Counter::sliding_room_at(std::int64_t amount) const {
    std::uint64_t left = amount_ + static_cast<std::uint64_t>(amount);
    std::uint64_t mask = occupied_;
    std::int64_t part = time_ - kParts - 1;
    for (unsigned i = 0; i < size_ && left > shape_.max; ++i) {
        const int age = 63 - std::countl_zero(mask);
        mask &= ~(1ULL << age);
        left -= parts()[(first_ + i) & (capacity_ - 1)];
        part = time_ - age;
    }
    return end_of_part(part, shape_.window_ms);
}

void Counter::push_part(std::uint32_t calls) {
    if (size_ == capacity_)
        grow();
    parts()[(first_ + size_) & (capacity_ - 1)] = calls;
    ++size_;
}

void Counter::pop_parts(unsigned count) {
    for (; count > 0; --count) {
        amount_ -= parts()[first_];
        first_ = static_cast<std::uint8_t>((first_ + 1) & (capacity_ - 1));
        --size_;
    }
}

void Counter::grow() {
    const auto capacity = static_cast<std::uint8_t>(capacity_ * 2);
    auto* grown = new std::uint32_t[capacity];
    for (unsigned i = 0; i < size_; ++i)
        grown[i] = parts()[(first_ + i) & (capacity_ - 1)];
    drop_heap();
    heap_ = grown;
    first_ = 0;
    capacity_ = capacity;
}

void Counter::drop_heap() {
    if (capacity_ > kInline)
        delete[] heap_;
}

} // namespace larder::limit
