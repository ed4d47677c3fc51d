// The steps of the cache in Redis that must be atomic. Each text says its keys and arguments;
// docs/storage.md says what the keys are. Made once; any thread.
#pragma once

#include "redis/script.hpp"

namespace larder::cache {

struct RedisScripts {
    /// KEYS entry, lease; ARGV token, lease in ms. The entry's bytes, or {1, token} when the lease
    /// is the caller's from now on, or {0, token} of who has it. Running it twice is the same.
    redis::Script look_up;
    /// The same with the purges' version in KEYS[3]: {version, entry} or {version, false, 1|0,
    /// token}. For REST, where no message says that there is a purge.
    redis::Script look_up_with_version;
    /// KEYS lease; ARGV token, ms. {1, token} or {0, token of who has it}.
    redis::Script lease;
    /// KEYS lease; ARGV token, ms. 1, or 0 when it is another's. One that is gone is taken again:
    /// a database that lost its data must not cost the holder its answer.
    redis::Script renew;
    /// KEYS lease; ARGV token.
    redis::Script release;
    /// KEYS entry; ARGV envelope, digits of asked_ms, ttl in ms. A PutOutcome.
    redis::Script put;
    /// KEYS entry, lease; ARGV as `put`, token. A PutOutcome; ends the lease.
    redis::Script put_leased;
    /// KEYS purges, version; ARGV field, generation, a new version. The generation that it became:
    /// above all that concern the same entries.
    redis::Script raise_purge;
    /// KEYS purges, version; ARGV a new version, field, generation, field, generation ... The
    /// larger ones stay.
    redis::Script merge_purges;

    static const RedisScripts& all();
};

/// What `put` and `put_leased` answer.
enum class PutOutcome : std::int8_t {
    kNew = 0,       // there was none
    kReplaced = 1,  // in an older one's place
    kOvertaken = 2, // the one there was asked for later: dropped
    kLeaseLost = 3, // dropped
};

} // namespace larder::cache
