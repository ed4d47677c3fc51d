// The port of the sessions: created, read and refreshed, replaced, rotated and ended, each in one
// atomic step of the store, so that what was ended never comes back. Shared by all threads.
#pragma once

#include "async/task.hpp"
#include "async/time_budget.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace larder::session {

/// More sessions than this of one user end the one that would expire first.
constexpr std::size_t kSessionsPerUserMax = 1000;
/// What is listed at once, by the bytes of its data.
constexpr std::size_t kListBytesMax = 16UL << 20;
constexpr const char* kListTooLarge = "this user's sessions are too large to be listed at once";

struct Session {
    std::string id; // 59 characters base64url, see id.hpp; a secret
    std::string user_id;
    std::string data; // a JSON object
    std::int64_t created_ms = 0;
    std::int64_t accessed_ms = 0;
    std::int64_t expires_ms = 0;
    std::int64_t version = 1; // rises with every change of `data`
};

/// Whose sessions: the namespace of the key that asks, and the user within it.
struct Owner {
    std::string name_space;
    std::string user_id;
};

/// One session as somebody asks for it. A session of another namespace is not found.
struct Reference {
    std::string name_space;
    std::string id; // of the right form, else kNotFound
};

/// From the settings at the time of the call, so that a reload takes effect with the next access.
struct Lifetime {
    std::chrono::milliseconds ttl{86'400'000}; // from each access; at least 1 ms
    std::chrono::milliseconds max_age{0};      // from its creation; 0: no such end
};

/// How the store is, for /ready.
struct StoreHealth {
    bool ok = true;
    std::string reason; // empty when ok; never a path, an id or a key
};

/// Errors: kNotFound (no such session, ended, or another namespace's), kConflict (it has another
/// version than `expected`), kOverloaded (too much is waiting), kStore or kTimeout (the store
/// failed or did not answer within the budget: a change may still have been made).
class Store {
public:
    using Expected = std::optional<std::int64_t>; // a version; none: whatever it is

    virtual ~Store() = default;
    virtual Task<Result<Session>> create(Owner owner, std::string data, Lifetime lifetime,
                                         async::TimeBudget& budget) = 0;
    /// The session, whose time begins anew.
    virtual Task<Result<Session>> read_and_refresh(Reference reference, Lifetime lifetime,
                                                   async::TimeBudget& budget) = 0;
    /// Puts `data` in place of what is there; its time begins anew, its version is one higher.
    virtual Task<Result<Session>> replace(Reference reference, std::string data, Expected expected,
                                          Lifetime lifetime, async::TimeBudget& budget) = 0;
    /// A new id for the same session; the old one is gone. Its version stays, its time begins anew.
    virtual Task<Result<Session>> rotate(Reference reference, Expected expected, Lifetime lifetime,
                                         async::TimeBudget& budget) = 0;
    virtual Task<Result<void>> destroy(Reference reference, Expected expected,
                                       async::TimeBudget& budget) = 0;
    /// All of one user's, the one that expires first in front. Refreshes nothing. kTooLarge when
    /// their data is over kListBytesMax together.
    virtual Task<Result<std::vector<Session>>> list(Owner owner, async::TimeBudget& budget) = 0;
    /// Ends all of one user's, also one that is being rotated; how many there were.
    virtual Task<Result<std::int64_t>> destroy_all(Owner owner, async::TimeBudget& budget) = 0;
    /// Any thread.
    [[nodiscard]] virtual StoreHealth health() const = 0;
    /// Blocking; called once, at the end, before the executors of waiting calls are destroyed.
    virtual void stop() = 0;
};

} // namespace larder::session
