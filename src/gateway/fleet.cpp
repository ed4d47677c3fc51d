#include "gateway/fleet.hpp"

#include "gateway/make_entry.hpp"
#include "gateway/stream_pump.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace larder::gateway {
namespace {

using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;

constexpr std::chrono::seconds kRenewInterval{1};
/// How long a look for the holder's news lasts before its lease is looked at.
constexpr std::chrono::milliseconds kLook{250};
/// Between two looks where nothing is pushed; each is billed.
constexpr std::chrono::milliseconds kPoll{500};
/// A waiting node says so this often, and is believed for so long: after another one has left only
/// for long enough to say it again.
constexpr std::chrono::milliseconds kWantInterval{300};
constexpr std::chrono::milliseconds kWanted{3000};
constexpr std::chrono::milliseconds kWantedAfterLeft{600};
/// A stream that waits is told so, before somebody on its way gives it up.
constexpr std::chrono::seconds kCommentInterval{2};
/// What another node has begun goes on without a sign of it, or of the store, for this long: a
/// lease that a store has lost is renewed sooner.
constexpr std::chrono::seconds kPatience{4};
/// A larger answer is no other node's: each asks for itself.
constexpr std::size_t kLastWordBytesMax = 16UL << 20;

Task<void> pause(Executor executor, std::chrono::milliseconds time) {
    Timer timer(executor, time);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
}

std::vector<std::string> pieces_of(const Flight::News& news) {
    std::string all;
    for (const auto& block : news.blocks) {
        if (!block->comment && !block->failure)
            all += block->raw;
    }
    std::vector<std::string> pieces;
    if (!all.empty())
        pieces.push_back(std::move(all));
    return pieces;
}

std::string last_word(const SharedEnd& end) {
    std::string text = encode_end(end);
    if (text.size() > kLastWordBytesMax)
        text = encode_end({.kind = SharedEnd::Kind::kTooLarge});
    return text;
}

} // namespace

struct LeaseHolder::State {
    State(cache::Store& store_in, llm::Fingerprint key_in, std::string lease_in,
          std::shared_ptr<Flight> flight_in, Executor executor_in)
        : store(store_in), key(key_in), lease(std::move(lease_in)), flight(std::move(flight_in)),
          executor(executor_in), timer(executor_in) {}
    cache::Store& store;
    const llm::Fingerprint key;
    const std::string lease;
    std::shared_ptr<Flight> flight;
    const Executor executor;
    Timer timer;
    SharedEnd end; // from `finish` on
    bool done = false;
    Steady::time_point wanted_at;               // by another node, last
    std::shared_ptr<Flight::Follower> follower; // for the other nodes, while they wait
    bool relaying = false;
    bool relay_is_over = false; // for good
    std::size_t relayed = 0;    // blocks

    [[nodiscard]] bool is_unwanted() const { return Steady::now() - wanted_at >= kWanted; }

    /// After the last word, so that who waits hears that first.
    void end_lease() {
        if (cache::Relay* channel = store.relay())
            channel->withdraw(lease);
        if (!end.kept) // else the put ends it
            store.release(key, lease);
    }
};

LeaseHolder::LeaseHolder(cache::Store& store, llm::Fingerprint key, std::string lease,
                         std::shared_ptr<Flight> flight, Executor executor)
    : state_(std::make_shared<State>(store, key, std::move(lease), std::move(flight), executor)) {
    async::spawn("lease", executor, renew(state_));
    cache::Relay* channel = store.relay();
    if (channel == nullptr)
        return;
    const auto on_thread = [weak = std::weak_ptr(state_), executor](auto what) {
        return [weak, executor, what] {
            asio::post(executor, [weak, what] {
                auto state = weak.lock();
                if (state && !state->done && !state->relay_is_over)
                    what(std::move(state));
            });
        };
    };
    channel->offer(state_->lease, {.wanted = on_thread(wanted), .left = on_thread(left)});
}

void LeaseHolder::wanted(std::shared_ptr<State> state) {
    state->wanted_at = Steady::now();
    const Executor executor = state->executor;
    if (!std::exchange(state->relaying, true))
        async::spawn("relay", executor, relay(std::move(state)));
}

void LeaseHolder::left(std::shared_ptr<State> state) {
    state->wanted_at = std::min(state->wanted_at, Steady::now() - kWanted + kWantedAfterLeft);
    const Executor executor = state->executor;
    async::spawn("relay's end", executor, leave_if_unwanted(std::move(state)));
}

Task<void> LeaseHolder::leave_if_unwanted(std::shared_ptr<State> state) {
    co_await pause(state->executor, kWantedAfterLeft);
    if (state->follower && state->is_unwanted())
        state->follower->signal.notify();
}

LeaseHolder::~LeaseHolder() {
    state_->done = true; // and nothing else: at the end of the program the store may be gone
    state_->timer.cancel();
}

void LeaseHolder::finish(const SharedEnd& end) {
    state_->end = end;
    state_->done = true;
    state_->timer.cancel();
    if (!state_->relaying)
        state_->end_lease();
}

Task<void> LeaseHolder::renew(std::shared_ptr<State> state) {
    bool is_ours = true;
    while (!state->done) {
        state->timer.expires_after(kRenewInterval);
        co_await state->timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
        if (state->done)
            co_return;
        if (is_ours)
            is_ours = (co_await state->store.renew(state->key, state->lease)).value_or(true);
        // Else it was away too long: the store will not take its answer.
        if (state->follower && state->is_unwanted())
            state->follower->signal.notify(); // to leave
    }
}

Task<void> LeaseHolder::relay(std::shared_ptr<State> state) {
    state->relay_is_over = !co_await pass_on(state);
    state->relaying = false;
    if (state->done)
        state->end_lease();
}

/// One more follower of the flight, whose client is the rest of the fleet. True when it may go on
/// later.
Task<bool> LeaseHolder::pass_on(std::shared_ptr<State> state) {
    cache::Relay& channel = *state->store.relay();
    const auto flight = state->flight;
    const auto follower = flight->follow(state->executor, state->relayed);
    state->follower = follower;
    Flight::News news;
    bool whole = follower != nullptr;
    while (whole && !news.end) {
        news.blocks.clear();
        if (!flight->poll(*follower, news)) {
            co_await follower->signal.wait();
            if (state->done || !state->is_unwanted())
                continue;
            // Nobody waits elsewhere any more; who comes later goes on from here.
            state->relayed = follower->cursor;
            state->follower = nullptr;
            flight->leave(follower);
            co_return true;
        }
        std::vector<std::string> pieces = pieces_of(news);
        if (!pieces.empty()) {
            const auto written =
                co_await channel.write(state->key, state->lease, std::move(pieces), std::nullopt);
            whole = written.has_value();
        }
    }
    state->follower = nullptr;
    if (follower)
        flight->leave(follower);
    if (!whole && follower)
        co_return false; // what is missing comes with the entry, or the others ask for themselves
    SharedEnd last = state->end;
    if (!state->done)
        last.kind = SharedEnd::Kind::kTooLarge; // it could not be followed
    (void)co_await channel.write(state->key, state->lease, {}, last_word(last));
    co_return false;
}

namespace {

/// What a node that waits has got so far.
class Waiting {
public:
    Waiting(AwaitParts parts, Flight& flight, const Prepared& prepared, FlightEnd& end)
        : parts_(std::move(parts)), flight_(flight), prepared_(prepared), end_(end),
          pump_(flight, prepared, parts_.budget, {}), told_at_(Steady::now()) {}

    [[nodiscard]] bool has_begun() const { return pump_.has_begun(); }

    /// False when the stream has failed: the end says so.
    bool feed(const std::vector<std::string>& pieces) {
        for (const std::string& piece : pieces) {
            fed_ += piece.size();
            pump_.pending() += piece;
        }
        auto pumped = pump_.pump();
        told_at_ = Steady::now();
        if (pumped)
            return true;
        end_.error = std::move(pumped).error();
        return false;
    }

    /// The holder's last word. False when this node may try to lead.
    bool take_end(SharedEnd last) {
        end_.provider_fields = std::move(last.fields);
        switch (last.kind) {
        case SharedEnd::Kind::kEntry:
            end_.terminated = last.terminated;
            end_.kept_elsewhere = last.kept;
            take_entry(std::move(last.entry));
            return true;
        case SharedEnd::Kind::kRejection:
            end_.provider_status = last.status;
            end_.provider_content_type = std::move(last.content_type);
            end_.provider_body = std::move(last.body);
            return true;
        case SharedEnd::Kind::kError:
            end_.error = std::move(last.error);
            return true;
        case SharedEnd::Kind::kTooLarge:
            if (has_begun())
                take_long_stream();
            return has_begun();
        case SharedEnd::Kind::kMine:
            return has_begun() && lose();
        }
        return false;
    }

    void take_entry(cache::EntryPtr entry) {
        entry->confirmed_ms = parts_.clock.epoch_ms();
        end_.entry = entry;
        if (has_begun()) {
            // What was not relayed stands in the entry.
            if (entry->form == cache::PrimaryForm::kStream && entry->body.size() > fed_)
                pump_.pending() += entry->body.view().substr(fed_);
            auto finished = pump_.pump();
            if (finished)
                finished = pump_.finish();
            if (!finished)
                end_.error = std::move(finished).error();
            end_.answer = pump_.answer();
            return;
        }
        if (auto answer = read_entry(*entry))
            end_.answer = *std::move(answer);
    }

    /// The stream was begun by a node that is gone: it can't be begun anew.
    bool lose() {
        end_.error = Error{.code = ErrorCode::kProviderUnavailable,
                           .message = "the node that asked the provider is gone"};
        end_.lost = true;
        return true;
    }

    /// Something for those who wait, now and then.
    void keep_alive() {
        if (has_begun() || Steady::now() - told_at_ < kCommentInterval)
            return;
        told_at_ = Steady::now();
        flight_.begin_stream({});
        // NOLINTNEXTLINE(bugprone-unused-return-value): without room it is said later
        (void)flight_.append(Block{.raw = ": waiting\n\n", .text = {}, .comment = true});
    }

private:
    void take_long_stream() {
        auto finished = pump_.finish();
        if (!finished) {
            end_.error = std::move(finished).error();
            return;
        }
        end_.answer = pump_.answer();
        end_.truncated = true;
        end_.entry = make_entry(prepared_, parts_.clock.epoch_ms(), {}, cache::PrimaryForm::kStream,
                                &*end_.answer);
    }

    AwaitParts parts_;
    Flight& flight_;
    const Prepared& prepared_;
    FlightEnd& end_;
    StreamPump pump_;
    std::size_t fed_ = 0;
    Steady::time_point told_at_;
};

/// What the store says of the key while its holder is silent: a usable entry, or who holds the
/// lease; where this node can still lead, the lease itself if nobody does.
Task<Result<cache::Lookup>> look_again(const AwaitParts& parts, llm::Fingerprint key,
                                       bool may_lead) {
    async::TimeBudget budget(parts.store_wait);
    auto looked = may_lead ? co_await parts.store.look_up(key, true, budget)
                           : co_await parts.store.watch(key, budget);
    if (!looked || !looked->entry || parts.is_good(looked->entry))
        co_return looked;
    if (may_lead)
        co_return co_await parts.store.lease(key, budget);
    looked->entry = nullptr;
    co_return looked;
}

} // namespace

Task<Awaited> await_holder(AwaitParts parts, std::shared_ptr<Flight> flight,
                           const Prepared& prepared, std::string holder, FlightEnd& end) {
    cache::Relay* channel = parts.store.relay();
    Waiting waiting(parts, *flight, prepared, end);
    const auto until = Steady::now() + prepared.target.provider->total_timeout;
    auto heard_at = Steady::now();
    auto wanted_at = heard_at;
    std::string cursor;
    const auto ended = Awaited{.outcome = Awaited::Outcome::kEnded, .lease = {}};
    while (!flight->is_abandoned() && Steady::now() < until) {
        cache::RelayNews news;
        if (channel == nullptr) {
            co_await pause(parts.executor, kPoll);
        } else if (auto read = co_await channel->read(prepared.key, holder, cursor, kLook)) {
            news = *std::move(read);
        } else {
            co_await pause(parts.executor, kLook);
        }
        if (channel != nullptr && Steady::now() - wanted_at > kWantInterval) {
            wanted_at = Steady::now();
            co_await channel->want(holder);
        }
        if (!news.pieces.empty()) {
            heard_at = Steady::now();
            if (!waiting.feed(news.pieces))
                co_return ended;
            co_await flight->wait_for_room();
        }
        if (news.end) {
            auto last = decode_end(*news.end);
            const bool alone = !last || last->kind == SharedEnd::Kind::kTooLarge;
            if (last ? waiting.take_end(*std::move(last)) : waiting.has_begun() && waiting.lose())
                co_return ended;
            if (alone)
                co_return Awaited{.outcome = Awaited::Outcome::kLeads, .lease = {}};
        } else if (!news.pieces.empty()) {
            continue;
        }
        const bool may_lead = !waiting.has_begun();
        auto looked = co_await look_again(parts, prepared.key, may_lead);
        if (looked && looked->entry) {
            end.kept_elsewhere = true;
            waiting.take_entry(looked->entry);
            co_return ended;
        }
        if (!may_lead) {
            if (looked && looked->holder == holder)
                heard_at = Steady::now();
            if (Steady::now() - heard_at > kPatience && waiting.lose())
                co_return ended;
            continue;
        }
        if (!looked)
            co_return Awaited{.outcome = Awaited::Outcome::kLeads, .lease = {}};
        if (looked->holder.empty()) // where the store is full: unasked
            co_return Awaited{.outcome = Awaited::Outcome::kLeads,
                              .lease = std::move(looked->lease)};
        if (looked->holder != holder) {
            holder = looked->holder;
            cursor.clear();
        }
        waiting.keep_alive();
    }
    if (channel != nullptr)
        co_await channel->leave(holder);
    end.error = flight->is_abandoned()
                    ? Error{.code = ErrorCode::kCancelled, .message = "nobody waits any more"}
                    : Error{.code = ErrorCode::kTimeout,
                            .message = "another node's call of the provider took too long"};
    co_return ended;
}

} // namespace larder::gateway
