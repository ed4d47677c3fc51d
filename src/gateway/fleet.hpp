// One provider's call for a whole fleet: the node that holds the lease of a key asks, tells the
// others its events when they want them, and the others wait. On the flight's thread.
#pragma once

#include "async/task.hpp"
#include "cache/store.hpp"
#include "gateway/flight.hpp"
#include "gateway/flight_wire.hpp"
#include "gateway/gateway.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace larder::gateway {

/// The holder's side, for as long as its call goes on: renews the lease every second, and relays
/// the flight once another node wants it. Everything ends with `finish`.
class LeaseHolder {
public:
    LeaseHolder(cache::Store& store, llm::Fingerprint key, std::string lease,
                std::shared_ptr<Flight> flight, Executor executor);
    ~LeaseHolder();
    LeaseHolder(const LeaseHolder&) = delete;
    LeaseHolder& operator=(const LeaseHolder&) = delete;
    /// The call is over; what the other nodes are told, after everything that was relayed. Then the
    /// lease ends too, unless the entry was kept under it.
    void finish(const SharedEnd& end);

private:
    struct State;
    static void wanted(std::shared_ptr<State> state);
    static void left(std::shared_ptr<State> state);
    static Task<void> leave_if_unwanted(std::shared_ptr<State> state);
    static Task<void> renew(std::shared_ptr<State> state);
    static Task<void> relay(std::shared_ptr<State> state);
    static Task<bool> pass_on(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

/// The waiting side: what came of waiting for the holder of a key's lease.
struct Awaited {
    enum class Outcome : std::uint8_t {
        kEnded, // `end` of the flight is filled in
        kLeads, // the holder is gone: under `lease` this node asks the provider (empty: without)
    };
    Outcome outcome = Outcome::kLeads;
    std::string lease;
};

struct AwaitParts {
    cache::Store& store;
    MemoryBudget& budget;
    const Clock& clock;
    std::chrono::microseconds store_wait; // of one question to the store
    Executor executor;
    std::function<bool(const cache::EntryPtr&)> is_good; // whether an entry may still answer
};

/// Follows the holder's events into `flight`, and its end into `end`. Bounded by the provider's
/// total time-out.
Task<Awaited> await_holder(AwaitParts parts, std::shared_ptr<Flight> flight,
                           const Prepared& prepared, std::string holder, FlightEnd& end);

} // namespace larder::gateway
