// The port of the second tier (SQLite now, Redis later) behind the memory tier.
#pragma once

#include "async/task.hpp"
#include "cache/entry.hpp"
#include "cache/purges.hpp"

#include <cstdint>
#include <string>

namespace larder::cache {

/// How a store is, for /ready.
struct StoreHealth {
    bool ok = true;
    std::string reason;           // empty when ok; never a path's content, a key or a prompt
    std::uint64_t begun_anew = 0; // times that a corrupt file was deleted
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
