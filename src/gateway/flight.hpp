// One call of a provider on behalf of everybody who waits for the same answer: blocks of a stream
// as they come, then the end. The producer runs on one thread; followers on any. It lives as long
// as anybody waits for it.
#pragma once

#include "async/signal.hpp"
#include "async/task.hpp"
#include "base/budget.hpp"
#include "base/result.hpp"
#include "cache/entry.hpp"
#include "http/message.hpp"
#include "protocol/protocol.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace larder::gateway {

/// A piece of a stream that ends at an event's end.
struct Block {
    std::string raw;         // as the provider sent it
    std::string text;        // what it adds to the first choice's text
    bool usage_only = false; // kept from clients that did not ask for usage
    bool comment = false;    // of the provider's or ours: it says nothing
    bool failure = false;    // the provider's error event: only for clients of the same API
};

/// How a flight ended. One of: an entry, a provider's error answer, an Error.
struct FlightEnd {
    cache::EntryPtr entry; // a whole answer of status 200, kept or not
    std::optional<protocol::Answer>
        answer;              // the same, read; none for a shape that only its API knows
    bool terminated = true;  // a stream's terminal event was seen; else the answer is not kept
    bool truncated = false;  // the entry lacks the body of a stream that was too large to be kept
    bool from_cache = false; // the entry was kept by an earlier flight
    bool lost = false;       // with `error`: by another node, so that who got nothing may ask again
    bool hasty = false; // a failure after fewer tries than the provider's own: of a route, which
                        // asks the next one
    bool kept_elsewhere = false;        // another node got the entry, and has kept it for all
    std::shared_ptr<BudgetShare> share; // of a plain answer, as long as somebody writes it
    int provider_status = 0;
    std::string provider_body;
    std::string provider_content_type;
    http::OwnedFields provider_fields;
    std::optional<Error> error;
    std::int64_t provider_wait_us = 0;
    std::vector<cache::EntryPtr> vectors; // of embeddings, as they were asked for
};

class Flight : public std::enable_shared_from_this<Flight> {
public:
    /// A waiting client. Its signal is notified, on its own thread, when there is news.
    struct Follower {
        explicit Follower(Executor executor) : signal(executor) {}
        async::Signal signal;
        std::size_t cursor = 0; // the next block to be read; guarded by the flight's mutex
        bool waiting = false;   // likewise
        bool cut = false;       // likewise: it read so slowly that it held up the others
    };
    struct News {
        std::vector<std::shared_ptr<const Block>> blocks;
        std::shared_ptr<const FlightEnd> end;
        bool streaming = false;   // the provider's stream has begun
        bool asked_here = false;  // this node asked the provider: no other one, no cache
        http::OwnedFields fields; // of the provider's answer, given once with `streaming`
    };

    /// `joinable_bytes`: what a stream may hold and still be joined. `outlives_followers`: nobody
    /// has to wait for it.
    Flight(Executor producer, MemoryBudget& budget, std::size_t joinable_bytes,
           bool outlives_followers, protocol::Dialect dialect);

    /// Of the provider's stream.
    [[nodiscard]] protocol::Dialect dialect() const { return dialect_; }

    // Followers' side, any thread.
    /// nullptr when it can't be joined any more. `cursor`: how many blocks it has had already.
    std::shared_ptr<Follower> follow(Executor executor, std::size_t cursor = 0);
    /// Appends what is new to `news` and gives true; else marks the follower as waiting and gives
    /// false: wait for its signal then.
    bool poll(Follower& follower, News& news);
    /// `gives_up`: with the last follower the call ends, too, though it need not be waited for.
    void leave(const std::shared_ptr<Follower>& follower, bool gives_up = false);
    /// As if the last follower had left: at the end of the program.
    void abandon();

    // Producer's side, on its thread.
    /// The provider is about to be asked, after all if another node was waited for.
    void set_asked_here();
    void begin_stream(http::OwnedFields fields);
    /// kOverloaded when the memory budget is used up.
    Result<void> append(std::shared_ptr<const Block> block);
    Result<void> append(Block block) {
        return append(std::make_shared<const Block>(std::move(block)));
    }
    /// Returns when the slowest reader is close enough (only above `joinable_bytes`), or nobody is
    /// left.
    Task<void> wait_for_room();
    void end(std::shared_ptr<const FlightEnd> end);
    /// Called on the producer's thread when the last follower has left before the end.
    void on_abandoned(std::function<void()> abandoned) { abandoned_ = std::move(abandoned); }
    /// Called on the producer's thread when the provider's stream first says something.
    void on_streaming(std::function<void()> streaming) { streaming_began_ = std::move(streaming); }
    /// Whether it has grown beyond what can be joined and kept.
    [[nodiscard]] bool oversized() const;
    [[nodiscard]] bool is_abandoned() const;

private:
    void tell_producer();
    void wake(std::unique_lock<std::mutex>& lock);
    void drop_read_blocks();
    void make_room();
    [[nodiscard]] std::size_t slowest() const;
    bool cut_laggards();

    Executor producer_;
    const std::size_t joinable_bytes_;
    const bool outlives_followers_;
    const protocol::Dialect dialect_;
    std::function<void()> abandoned_;       // producer's thread only
    std::function<void()> streaming_began_; // likewise
    async::Signal room_;                    // producer's thread only

    mutable std::mutex mutex_; // guards what follows
    BudgetShare share_;
    std::deque<std::shared_ptr<const Block>> blocks_;
    std::size_t first_block_ = 0; // index of blocks_.front()
    std::size_t bytes_ = 0;       // of all blocks ever
    std::size_t held_bytes_ = 0;  // of blocks_ now
    std::vector<std::shared_ptr<Follower>> followers_;
    http::OwnedFields fields_;
    std::shared_ptr<const FlightEnd> end_;
    bool streaming_ = false;
    bool asked_here_ = false;
    bool left_ = false; // the last follower has left
    bool waiting_for_room_ = false;
};

} // namespace larder::gateway
