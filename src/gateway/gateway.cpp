#include "gateway/gateway.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

namespace larder::gateway {
namespace {

/// Appends a part of the alias's key so that no two sequences of parts read the same.
void append_part(std::string& out, std::string_view part) {
    const auto size = static_cast<std::uint32_t>(part.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out += part;
}

} // namespace

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
    case Outcome::kHit:
        return "hit";
    case Outcome::kMiss:
        return "miss";
    case Outcome::kStale:
        return "stale";
    case Outcome::kCoalesced:
        return "coalesced";
    case Outcome::kBypass:
        return "bypass";
    }
    return "bypass";
}

llm::Fingerprint Prepared::flight_key() const {
    if (target.deployment.empty())
        return key;
    std::string parts(reinterpret_cast<const char*>(key.data()), key.size());
    append_part(parts, target.provider->name);
    append_part(parts, target.model);
    return sha256(parts);
}

Gateway::Gateway(GatewayParts parts) : parts_(std::move(parts)) {
    for (std::size_t i = 0; i < parts_.runtime.size(); ++i)
        threads_.push_back(std::make_unique<ThreadState>(parts_.runtime.context(i), parts_.proxy));
}

Gateway::~Gateway() = default;

Gateway::ThreadState& Gateway::thread_state() {
    const std::size_t index = async::Runtime::current();
    LARDER_ASSERT(index < threads_.size());
    return *threads_[index];
}

Sha256 Gateway::alias_key(const Settings& settings, const Inquiry& inquiry) const {
    thread_local std::string prefix;
    prefix.clear();
    prefix.append(reinterpret_cast<const char*>(&settings.generation), sizeof settings.generation);
    prefix += static_cast<char>(inquiry.dialect);
    append_part(prefix, inquiry.name_space);
    append_part(prefix,
                settings.cache.scope == ShareScope::kUser ? inquiry.user : std::string_view());
    append_part(prefix, inquiry.directives.variant);
    for (const KeyPart& part : inquiry.directives.key_parts) {
        append_part(prefix, part.name);
        append_part(prefix, part.value);
    }
    append_part(prefix, {});
    prefix += static_cast<char>(inquiry.directives.bucket);
    append_part(prefix, inquiry.query);
    for (const auto& [name, value] : inquiry.forwarded) {
        append_part(prefix, name);
        append_part(prefix, value);
    }
    append_part(prefix, {});
    const std::array parts{std::string_view(prefix), inquiry.body};
    return sha256(parts);
}

std::optional<Found> Gateway::find_alias(const Sha256& alias, const Directives& directives,
                                         ClientForm& form) {
    const Alias* known = thread_state().aliases.find(alias);
    if (known == nullptr)
        return std::nullopt;
    auto found = find_kept(known->key, directives);
    if (!found || !found->fresh || !is_confirmed(*found->entry))
        return std::nullopt;
    form = known->form;
    return found;
}

std::optional<Alias> Gateway::known_alias(const Sha256& alias) {
    const Alias* known = thread_state().aliases.find(alias);
    return known == nullptr ? std::nullopt : std::optional(*known);
}

void Gateway::learn_alias(const Sha256& alias, const Prepared& prepared) {
    // Of bytes that are known only the head's directives count.
    if (prepared.may_read && !prepared.has_body_directives)
        thread_state().aliases.put(alias, prepared.key, prepared.form);
}

cache::Generations Gateway::generations_of(std::string_view name_space,
                                           std::string_view model) const {
    return parts_.purges.of(name_space, model);
}

/// What an entry is good for now; nullopt: for nothing.
std::optional<Found> Gateway::judge(const llm::Fingerprint& key, cache::EntryPtr entry,
                                    const Directives& directives) const {
    const std::int64_t now = parts_.clock.epoch_ms();
    if (entry->generations != generations_of(entry->name_space.view(), entry->model.view()))
        return std::nullopt;
    if (directives.max_age_s && now - entry->created_ms > *directives.max_age_s * 1000)
        return std::nullopt;
    if (now < entry->fresh_until_ms)
        return Found{key, std::move(entry), true};
    if (now < entry->stale_until_ms)
        return Found{key, std::move(entry), false};
    return std::nullopt;
}

/// Whether no other node can have put a newer answer in this one's place, unseen.
bool Gateway::is_confirmed(const cache::Entry& entry) const {
    return parts_.store == nullptr || entry.confirmed_ms >= parts_.store->confirmed_since_ms();
}

std::optional<Found> Gateway::find_kept(const llm::Fingerprint& key, const Directives& directives) {
    auto entry = parts_.memory.get(key);
    return entry ? judge(key, std::move(entry), directives) : std::nullopt;
}

Task<LookedUp> Gateway::look_up(llm::Fingerprint key, const Directives& directives,
                                bool wants_lease, async::TimeBudget& budget) {
    LookedUp looked{.found = find_kept(key, directives), .claim = {}};
    const bool has_fresh = looked.found && looked.found->fresh;
    if (looked.found && is_confirmed(*looked.found->entry) && (has_fresh || !shares_flights()))
        co_return looked;
    if (parts_.store == nullptr || !parts_.store->may_have(key))
        co_return looked;
    const bool asks_lease = wants_lease && !has_fresh && shares_flights();
    const std::int64_t asked_ms = parts_.clock.epoch_ms();
    const std::uint64_t epoch = parts_.epochs.of(key);
    auto answer = co_await parts_.store->look_up(key, asks_lease, budget);
    if (!answer)
        co_return looked; // a failing store is never in the way; its health is said elsewhere
    looked.claim = {.lease = std::move(answer->lease), .holder = std::move(answer->holder)};
    if (!answer->entry) {
        if (looked.found) // nobody knows better
            looked.found->entry->confirmed_ms = asked_ms;
        co_return looked;
    }
    answer->entry->confirmed_ms = asked_ms;
    auto stored = judge(key, answer->entry, directives);
    if (stored && stored->fresh) {
        parts_.memory.put(key, stored->entry);
        if (parts_.epochs.of(key) != epoch)
            parts_.memory.erase(key); // overtaken while it was on its way
    }
    if (stored && (stored->fresh || !has_fresh))
        looked.found = std::move(stored);
    if (asks_lease && !(looked.found && looked.found->fresh))
        looked.claim = co_await claim(key, budget);
    co_return looked;
}

Task<Inspected> Gateway::inspect(llm::Fingerprint key, async::TimeBudget& budget) {
    Inspected inspected{.found = find_kept(key, {})};
    const bool is_known = inspected.found && is_confirmed(*inspected.found->entry);
    if (is_known || parts_.store == nullptr || !parts_.store->may_have(key))
        co_return inspected;
    auto answer = co_await parts_.store->look_up(key, false, budget);
    if (!answer || !answer->entry)
        co_return inspected;
    if (auto stored = judge(key, std::move(answer->entry), {}))
        inspected = {.found = std::move(stored), .from_store = true};
    co_return inspected;
}

Task<Claim> Gateway::claim(llm::Fingerprint key, async::TimeBudget& budget) {
    if (!shares_flights())
        co_return Claim{};
    auto answer = co_await parts_.store->lease(key, budget);
    if (!answer)
        co_return Claim{};
    co_return Claim{.lease = std::move(answer->lease), .holder = std::move(answer->holder)};
}

void Gateway::give_up(const llm::Fingerprint& key, const Claim& claim) {
    if (!claim.lease.empty())
        parts_.store->release(key, claim.lease);
}

std::optional<Gateway::Joined> Gateway::join_running(const llm::Fingerprint& key,
                                                     Executor executor) {
    auto found = table_.join(key, executor);
    if (!found.flight)
        return std::nullopt;
    return Joined{std::move(found.flight), std::move(found.follower), false};
}

Gateway::Joined Gateway::join(Prepared prepared, const Directives& directives, Claim claim,
                              Executor executor) {
    const llm::Fingerprint flight_key = prepared.flight_key();
    if (prepared.may_join && !directives.no_cache) {
        if (auto running = join_running(flight_key, executor)) {
            give_up(prepared.key, claim);
            return *std::move(running);
        }
    }
    const bool outlives =
        prepared.settings->cache.on_disconnect == OnDisconnect::kFinish && prepared.may_keep;
    auto fresh = std::make_shared<Flight>(
        executor, parts_.budget, prepared.settings->cache.max_entry, outlives, prepared.dialect);
    if (!prepared.may_join) {
        auto follower = fresh->follow(executor);
        async::spawn("flight", executor, fly(fresh, std::move(prepared), {}));
        return {std::move(fresh), std::move(follower), true};
    }
    auto joined = table_.join_or_put(flight_key, fresh, executor, directives.no_cache);
    const bool leads = joined.flight == fresh;
    if (leads)
        async::spawn("flight", executor, fly(fresh, std::move(prepared), std::move(claim)));
    else
        give_up(prepared.key, claim);
    return {std::move(joined.flight), std::move(joined.follower), leads};
}

Result<const cache::WireForm*> Gateway::form_of(const Found& found, ClientForm form) {
    bool made = false;
    LARDER_TRY(const cache::WireForm* wire, wire_form(*found.entry, form, &made));
    if (made)
        parts_.memory.grew(found.key, cache::Entry::bytes_of(*wire));
    return wire;
}

void Gateway::discard(const Found& found) {
    parts_.memory.erase(found.key);
    if (parts_.store != nullptr)
        parts_.store->erase(found.key);
}

void Gateway::stop() {
    constexpr int kSteps = 100;
    for (int step = 0; step < kSteps && table_.size() > 0; ++step) {
        for (const auto& flight : table_.all())
            flight->abandon();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void Gateway::record(Outcome outcome, const cache::Entry& entry) {
    const bool saves = outcome != Outcome::kMiss && outcome != Outcome::kBypass;
    record(outcome, saves ? entry.cost : llm::Money());
}

void Gateway::record(Outcome outcome, llm::Money saved) {
    ledger::Record record;
    switch (outcome) {
    case Outcome::kHit:
        record.outcome = ledger::Outcome::kHit;
        break;
    case Outcome::kMiss:
        record.outcome = ledger::Outcome::kMiss;
        break;
    case Outcome::kStale:
        record.outcome = ledger::Outcome::kStale;
        break;
    case Outcome::kCoalesced:
        record.outcome = ledger::Outcome::kCoalesced;
        break;
    case Outcome::kBypass:
        record.outcome = ledger::Outcome::kBypassed;
        break;
    }
    record.saved_picodollars = saved.picodollars;
    parts_.ledger.record(record);
}

void Gateway::raise(cache::PurgeScope scope) {
    const cache::Purge purge = parts_.purges.raise(std::move(scope), parts_.clock.epoch_ms());
    if (parts_.store != nullptr)
        parts_.store->purged(purge.scope, purge.generation);
}

void Gateway::purge(std::string_view name_space, std::string_view model) {
    if (name_space.empty() && model.empty())
        raise({});
    if (!name_space.empty())
        raise({cache::PurgeKind::kNamespace, std::string(name_space)});
    if (!model.empty())
        raise({cache::PurgeKind::kModel, std::string(model)});
}

} // namespace larder::gateway
