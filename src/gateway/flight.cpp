#include "gateway/flight.hpp"

#include "async/deadlines.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <map>

namespace larder::gateway {
namespace {

constexpr std::size_t kReaderWindow =
    256ULL << 10; // how far the slowest reader of an oversized stream may lag
/// How long a slow reader may hold up those who have read everything.
constexpr std::chrono::seconds kPatience{2};
constexpr std::size_t kBlockOverhead = 128; // bookkeeping of one block

} // namespace

Flight::Flight(Executor producer, MemoryBudget& budget, std::size_t joinable_bytes,
               bool outlives_followers, protocol::Dialect dialect)
    : producer_(producer), joinable_bytes_(joinable_bytes), outlives_followers_(outlives_followers),
      dialect_(dialect), room_(producer), share_(budget) {}

std::shared_ptr<Flight::Follower> Flight::follow(Executor executor, std::size_t cursor) {
    auto follower = std::make_shared<Follower>(executor);
    follower->cursor = cursor;
    const std::lock_guard lock(mutex_);
    if (left_ || bytes_ > joinable_bytes_)
        return nullptr;
    followers_.push_back(follower);
    return follower;
}

bool Flight::poll(Follower& follower, News& news) {
    const std::unique_lock lock(mutex_);
    if (follower.cut) {
        auto cut = std::make_shared<FlightEnd>();
        cut->error = Error{.code = ErrorCode::kOverloaded,
                           .message = "the stream was read too slowly for those who share it"};
        news.end = std::move(cut);
        return true;
    }
    const std::size_t known = first_block_ + blocks_.size();
    const bool begins = streaming_ && !news.streaming;
    if (follower.cursor == known && !end_ && !begins) {
        follower.waiting = true;
        return false;
    }
    if (begins) {
        news.streaming = true;
        news.fields = fields_;
    }
    for (; follower.cursor < known; ++follower.cursor)
        news.blocks.push_back(blocks_[follower.cursor - first_block_]);
    news.end = end_;
    news.asked_here = asked_here_;
    if (bytes_ > joinable_bytes_)
        make_room();
    return true;
}

void Flight::leave(const std::shared_ptr<Follower>& follower, bool gives_up) {
    const std::lock_guard lock(mutex_);
    std::erase(followers_, follower);
    if (bytes_ > joinable_bytes_)
        make_room(); // the slowest one may have left
    if (!followers_.empty() || end_ || left_)
        return;
    left_ = gives_up || !outlives_followers_;
    tell_producer();
}

void Flight::abandon() {
    const std::lock_guard lock(mutex_);
    if (end_ || left_)
        return;
    left_ = true;
    tell_producer();
}

/// That nobody follows any more.
void Flight::tell_producer() {
    asio::post(producer_, [self = shared_from_this()] {
        if (self->abandoned_ && self->is_abandoned())
            self->abandoned_();
        self->room_.notify();
    });
}

void Flight::set_asked_here() {
    const std::lock_guard lock(mutex_);
    asked_here_ = true;
}

void Flight::begin_stream(http::OwnedFields fields) {
    std::unique_lock lock(mutex_);
    streaming_ = true;
    fields_ = std::move(fields);
    wake(lock);
}

Result<void> Flight::append(std::shared_ptr<const Block> block) {
    const std::size_t bytes = block->raw.size() + block->text.size() + kBlockOverhead;
    if (streaming_began_ && !block->comment)
        std::exchange(streaming_began_, nullptr)();
    std::unique_lock lock(mutex_);
    if (!share_.grow(bytes))
        return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
    blocks_.push_back(std::move(block));
    bytes_ += bytes;
    held_bytes_ += bytes;
    if (bytes_ > joinable_bytes_)
        drop_read_blocks();
    wake(lock);
    return {};
}

Task<void> Flight::wait_for_room() {
    async::Deadline patience(async::Deadlines::of(producer_.context()), [this] { room_.notify(); });
    while (true) {
        {
            const std::lock_guard lock(mutex_);
            const auto has_room = [this] {
                return bytes_ <= joinable_bytes_ || held_bytes_ <= kReaderWindow ||
                       followers_.empty();
            };
            if (has_room() || (patience.has_expired() && cut_laggards() && has_room()))
                co_return;
            waiting_for_room_ = true;
        }
        patience.arm(kPatience);
        co_await room_.wait();
    }
}

/// Lets go of readers that are behind while another one has read everything. Under the mutex.
bool Flight::cut_laggards() {
    const std::size_t known = first_block_ + blocks_.size();
    const bool has_current = std::ranges::any_of(
        followers_, [known](const auto& follower) { return follower->cursor == known; });
    if (!has_current)
        return false; // all are slow: they pace the provider
    std::erase_if(followers_, [known](const auto& follower) {
        follower->cut = follower->cursor < known;
        return follower->cut;
    });
    drop_read_blocks();
    return true;
}

void Flight::end(std::shared_ptr<const FlightEnd> end) {
    std::unique_lock lock(mutex_);
    end_ = std::move(end);
    wake(lock);
}

bool Flight::oversized() const {
    const std::lock_guard lock(mutex_);
    return bytes_ > joinable_bytes_;
}

bool Flight::is_abandoned() const {
    const std::lock_guard lock(mutex_);
    return left_;
}

/// Notifies all who wait: one posted call per thread. Unlocks.
void Flight::wake(std::unique_lock<std::mutex>& lock) {
    if (followers_.size() == 1) { // as most often
        auto follower = followers_.front();
        const bool waits = std::exchange(follower->waiting, false);
        lock.unlock();
        if (waits) {
            const Executor executor = follower->signal.executor();
            asio::post(executor, [follower = std::move(follower)] { follower->signal.resume(); });
        }
        return;
    }
    std::map<asio::execution_context*, std::vector<std::shared_ptr<Follower>>> by_thread;
    for (const auto& follower : followers_) {
        if (std::exchange(follower->waiting, false))
            by_thread[&follower->signal.executor().context()].push_back(follower);
    }
    lock.unlock();
    for (auto& [context, woken] : by_thread) {
        const Executor executor = woken.front()->signal.executor();
        asio::post(executor, [followers = std::move(woken)] {
            for (const auto& follower : followers)
                follower->signal.resume();
        });
    }
}

/// Frees what every follower has read. Under the mutex.
void Flight::drop_read_blocks() {
    for (std::size_t until = slowest(); first_block_ < until; ++first_block_) {
        const std::size_t bytes =
            blocks_.front()->raw.size() + blocks_.front()->text.size() + kBlockOverhead;
        held_bytes_ -= bytes;
        share_.shrink(bytes);
        blocks_.pop_front();
    }
}

/// Frees what was read, and wakes a producer that waits for that. Under the mutex.
void Flight::make_room() {
    drop_read_blocks();
    if (!waiting_for_room_ || held_bytes_ > kReaderWindow)
        return;
    waiting_for_room_ = false;
    asio::post(producer_, [self = shared_from_this()] { self->room_.resume(); });
}

std::size_t Flight::slowest() const {
    std::size_t slowest = first_block_ + blocks_.size();
    for (const auto& follower : followers_)
        slowest = std::min(slowest, follower->cursor);
    return slowest;
}

} // namespace larder::gateway
