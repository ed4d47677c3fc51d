// What is written to Redis while nobody waits for it, one task each.
#pragma once

#include "cache/redis_store.hpp"

#include <memory>
#include <string>

namespace larder::cache {

/// Puts the entry; under a lease if there is one, which it ends.
Task<void> write_entry(std::shared_ptr<RedisCore> core, llm::Fingerprint key, EntryPtr entry,
                       std::string lease);
Task<void> write_erasure(std::shared_ptr<RedisCore> core, llm::Fingerprint key);
/// Ends a lease and tells who waits for it.
Task<void> write_release(std::shared_ptr<RedisCore> core, llm::Fingerprint key, std::string lease);
Task<void> write_purges(std::shared_ptr<RedisCore> core);
Task<void> write_message(std::shared_ptr<RedisCore> core, std::string message);

} // namespace larder::cache
