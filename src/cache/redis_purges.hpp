// The purges that all nodes share: a hash in Redis, what this node knows of it, and what it still
// has to write. Never lost as long as one node that knows them lives. Any runtime thread.
#pragma once

#include "async/task.hpp"
#include "cache/purges.hpp"
#include "cache/redis_keys.hpp"
#include "redis/client.hpp"

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::cache {

/// What a hash of purges says: fields are a letter of the kind and the name, values generations.
/// Fields of later versions are passed over.
PurgeSet read_purges(const redis::Reply& flat_hash);
std::string field_of(const PurgeScope& scope);

class RedisPurges {
public:
    using Told = std::function<void(std::span<const Purge>)>;
    /// `told` hears of purges that others made, and of a larger number of an own one.
    RedisPurges(redis::Client& client, const RedisKeys& keys, Told told);

    /// Keeps it until it is written.
    void add(Purge purge);
    [[nodiscard]] bool has_pending() const;
    /// Writes what waits, and tells the other nodes. What fails waits again.
    Task<Result<void>> flush(std::chrono::microseconds within);

    /// A message said so.
    void heard(Purge purge);
    /// Looks whether the hash has changed, and reads it then or `always`; puts in what it lacks.
    Task<Result<void>> refresh(bool always, std::chrono::microseconds within);
    /// Whether purges may have come since the last reading: the version is another.
    [[nodiscard]] bool is_new(std::string_view version) const;

private:
    Task<Result<void>> read_all(std::chrono::microseconds within);
    Task<Result<void>> write(Purge purge, std::chrono::microseconds within);
    Task<Result<void>> put_in(std::vector<Purge> lacking, std::chrono::microseconds within);
    /// What of these was not known, from now on it is.
    std::vector<Purge> learn(const std::vector<Purge>& purges);
    void tell(const std::vector<Purge>& purges) const;

    redis::Client& client_;
    const RedisKeys& keys_;
    const Told told_;
    mutable std::mutex mutex_;
    PurgeSet pending_;                   // not in Redis yet
    PurgeSet known_;                     // read there, or written
    std::optional<std::string> version_; // of the last reading
    std::int64_t fields_ = 0;            // of the hash then
};

} // namespace larder::cache
