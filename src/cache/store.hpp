// The port of the second tier (SQLite or Redis) behind the memory tier.
#pragma once

#include "async/task.hpp"
#include "async/time_budget.hpp"
#include "cache/entry.hpp"
#include "cache/purges.hpp"
#include "cache/relay.hpp"

#include <cstdint>
#include <string>

namespace larder::cache {

/// How a store is, for /ready.
struct StoreHealth {
    bool ok = true;
    std::string reason;           // empty when ok; never a path's content, a key or a prompt
    std::uint64_t begun_anew = 0; // times that a corrupt file was deleted
};

/// What a store that nodes share says of a key, in one step.
struct Lookup {
    EntryPtr entry;     // whatever its age up to stale_until; or null
    std::string lease;  // no entry: the caller leads, under this fencing token, if it asked for it
    std::string holder; // no entry: the token of who leads already, on any node
};

/// Keeps entries beyond the process. Never in the way: a failing store answers kStore and the
/// caller goes on.
class Store {
public:
    virtual ~Store() = default;
    /// False when the key is surely not there: asked before `get`, without I/O. Any thread.
    [[nodiscard]] virtual bool may_have(const llm::Fingerprint& key) const = 0;
    /// The entry (whatever its age up to stale_until) or null. May suspend; resumes on the caller's
    /// executor. Bounded by 250 ms.
    virtual Task<Result<EntryPtr>> get(llm::Fingerprint key) = 0;
    /// `get`, and where there is no entry and `wants_lease`, the lease of its key in the same step:
    /// so that of all nodes one asks the provider. A lease ends by itself after 3 s unless it is
    /// renewed. Waits no longer than the budget has left. Stores of one node know no leases.
    virtual Task<Result<Lookup>> look_up(llm::Fingerprint key, bool wants_lease,
                                         async::TimeBudget& budget);
    /// Entry and holder as they are; takes nothing.
    virtual Task<Result<Lookup>> watch(llm::Fingerprint key, async::TimeBudget& budget);
    /// Takes the lease though there may be an entry (one that is not good enough).
    virtual Task<Result<Lookup>> lease(llm::Fingerprint key, async::TimeBudget& budget);
    /// Three more seconds. False when it is somebody else's by now.
    virtual Task<Result<bool>> renew(llm::Fingerprint key, std::string lease);
    /// Ends a lease without an answer: another node may lead. Any thread.
    virtual void release(const llm::Fingerprint& key, const std::string& lease);
    /// `put` under a lease, which it ends; dropped when the lease is not ours any more.
    virtual void put_leased(const llm::Fingerprint& key, EntryPtr entry, const std::string& lease);
    /// Whether `look_up` gives leases.
    [[nodiscard]] virtual bool has_leases() const { return false; }
    /// Events of a flight from node to node; null where there is no such way.
    [[nodiscard]] virtual Relay* relay() { return nullptr; }
    /// What came into the memory tier before this (epoch ms) is unconfirmed: another node may have
    /// put a newer answer since, so the store is asked first, and memory answers only where that
    /// has nothing else to say or is down. 0: all is confirmed.
    [[nodiscard]] virtual std::int64_t confirmed_since_ms() const { return 0; }
    /// A move into a bounded queue; dropped (and counted) when the queue is full. On disk within 1
    /// s. Any thread.
    virtual void put(const llm::Fingerprint& key, EntryPtr entry) = 0;
    virtual void erase(const llm::Fingerprint& key) = 0;
    /// Keeps a purge for later and for other programs; it does nothing to the entries here. Never
    /// dropped: it waits until it is written, usually at once. Any thread.
    virtual void purged(const PurgeScope& scope, std::uint64_t generation) = 0;
    [[nodiscard]] virtual StoreHealth health() const = 0;
    [[nodiscard]] virtual std::uint64_t dropped_writes() const = 0;
    /// Writes what is waiting and closes. Blocking; called once, at the end, before the executors
    /// that wait for a `get` are destroyed.
    virtual void stop() = 0;
};

} // namespace larder::cache
