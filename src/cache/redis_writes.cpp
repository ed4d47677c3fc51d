// Puts, erasures, releases and purges: each is taken into the queue, and a task of its own.
#include "cache/redis_writes.hpp"

#include <utility>

namespace larder::cache {
namespace {

/// Ends the lease here, and tells the nodes whose requests wait for it.
Task<void> end_lease(std::shared_ptr<RedisCore> core, std::string lease) {
    const bool is_wanted = core->leases.end(lease);
    if (is_wanted)
        co_await core->publish(
            write_news(FlightNews{.kind = FlightNews::Kind::kDone, .token = std::move(lease)}));
}

} // namespace

Task<void> RedisCore::publish(std::string message) {
    if (traits.push)
        (void)co_await client.run(client.publish_command(keys.news(), message),
                                  settings.write_within);
}

Task<void> write_entry(std::shared_ptr<RedisCore> core, llm::Fingerprint key, EntryPtr entry,
                       std::string lease) {
    const std::int64_t ttl_ms = entry->stale_until_ms - core->now_ms();
    if (ttl_ms <= 0) {
        if (!lease.empty())
            co_await write_release(core, key, std::move(lease));
        co_return;
    }
    const auto kind = core->traits.binary ? EnvelopeBytes::kBinary : EnvelopeBytes::kText;
    const RedisScripts& scripts = RedisScripts::all();
    redis::ScriptCall call{.idempotent = lease.empty()};
    call.keys = {core->keys.entry(key)};
    call.args = {write_envelope(*entry, kind), asked_digits(entry->asked_ms),
                 std::to_string(ttl_ms)};
    if (!lease.empty()) {
        call.keys.push_back(core->keys.lease(key));
        call.args.push_back(lease);
    }
    const auto reply =
        co_await core->client.script(lease.empty() ? scripts.put : scripts.put_leased,
                                     std::move(call), core->settings.write_within);
    if (!reply) {
        ++core->dropped;
        core->refusal.note(reply.error(), core->now_us());
        if (!lease.empty())
            co_await write_release(core, key, std::move(lease));
        co_return;
    }
    core->refusal.clear();
    const auto outcome = static_cast<PutOutcome>(reply->integer);
    const bool is_kept = outcome == PutOutcome::kNew || outcome == PutOutcome::kReplaced;
    if (!is_kept) {
        ++core->dropped;
        // Another node was faster, and memory may have been filled since it said so.
        if (core->settings.on_overwritten)
            core->settings.on_overwritten(key, entry->asked_ms + 1);
    }
    // Without a lease a memory tier may have an older one that Redis has dropped meanwhile.
    if (outcome == PutOutcome::kReplaced || (is_kept && lease.empty()))
        co_await core->publish(write_news(OverwriteNews{.key = key, .asked_ms = entry->asked_ms}));
    if (!lease.empty())
        co_await end_lease(core, std::move(lease));
}

Task<void> write_erasure(std::shared_ptr<RedisCore> core, llm::Fingerprint key) {
    const auto reply = co_await core->client.run(
        redis::Command("DEL").key(core->keys.entry(key)).idempotent(), core->settings.write_within);
    if (!reply)
        ++core->dropped;
}

Task<void> write_release(std::shared_ptr<RedisCore> core, llm::Fingerprint key, std::string lease) {
    redis::ScriptCall call{.keys = {core->keys.lease(key)}, .args = {lease}, .idempotent = true};
    (void)co_await core->client.script(RedisScripts::all().release, std::move(call),
                                       core->settings.write_within);
    co_await end_lease(core, std::move(lease));
}

Task<void> write_purges(std::shared_ptr<RedisCore> core) {
    (void)co_await core->purges.flush(core->settings.write_within); // what fails waits again
}

Task<void> write_message(std::shared_ptr<RedisCore> core, std::string message) {
    co_await core->publish(std::move(message));
}

void RedisStore::put(const llm::Fingerprint& key, EntryPtr entry) {
    put_leased(key, std::move(entry), {});
}

void RedisStore::put_leased(const llm::Fingerprint& key, EntryPtr entry, const std::string& lease) {
    LARDER_ASSERT(entry != nullptr);
    const std::size_t bytes = entry->bytes();
    const bool is_taken =
        core_->tasks.push(bytes, [core = core_, key, entry = std::move(entry), lease] {
            return write_entry(core, key, entry, lease);
        });
    if (is_taken)
        return;
    ++core_->dropped;
    if (!lease.empty())
        release(key, lease);
}

void RedisStore::erase(const llm::Fingerprint& key) {
    if (!core_->tasks.push(0, [core = core_, key] { return write_erasure(core, key); }))
        ++core_->dropped;
}

void RedisStore::release(const llm::Fingerprint& key, const std::string& lease) {
    // Small, and no more of them than flights: never dropped, for other nodes wait.
    core_->tasks.push_beyond(
        [core = core_, key, lease] { return write_release(core, key, lease); });
}

void RedisStore::purged(const PurgeScope& scope, std::uint64_t generation) {
    core_->purges.add({.scope = scope, .generation = generation});
    // One that doesn't fit is written by the keeper.
    core_->tasks.push(0, [core = core_] { return write_purges(core); });
}

} // namespace larder::cache
