#include "gateway/gateway.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <array>

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
    auto entry = parts_.memory.get(known->key);
    if (!entry)
        return std::nullopt;
    auto found = judge(known->key, std::move(entry), directives);
    if (!found || !found->fresh)
        return std::nullopt;
    form = known->form;
    return found;
}

void Gateway::learn_alias(const Sha256& alias, const Prepared& prepared) {
    if (prepared.may_read)
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

Task<std::optional<Found>> Gateway::look_up(const Prepared& prepared,
                                            const Directives& directives) {
    if (auto entry = parts_.memory.get(prepared.key)) {
        auto found = judge(prepared.key, std::move(entry), directives);
        if (found)
            co_return found;
    }
    if (parts_.store == nullptr || !parts_.store->may_have(prepared.key))
        co_return std::nullopt;
    auto stored = co_await parts_.store->get(prepared.key);
    if (!stored || *stored == nullptr)
        co_return std::nullopt; // a failing store is never in the way; its health is said elsewhere
    auto found = judge(prepared.key, *stored, directives);
    if (found && found->fresh)
        parts_.memory.put(prepared.key, *stored);
    co_return found;
}

Gateway::Joined Gateway::join(Prepared prepared, const Directives& directives, Executor executor) {
    if (prepared.may_join && !directives.no_cache) {
        auto found = table_.join(prepared.key, executor);
        if (found.flight)
            return {std::move(found.flight), std::move(found.follower), false};
    }
    const bool outlives =
        prepared.settings->cache.on_disconnect == OnDisconnect::kFinish && prepared.may_keep;
    auto fresh = std::make_shared<Flight>(executor, parts_.budget,
                                          prepared.settings->cache.max_entry, outlives);
    if (!prepared.may_join) {
        auto follower = fresh->follow(executor);
        async::spawn("flight", executor, fly(fresh, std::move(prepared)));
        return {std::move(fresh), std::move(follower), true};
    }
    auto joined = table_.join_or_put(prepared.key, fresh, executor, directives.no_cache);
    const bool leads = joined.flight == fresh;
    if (leads)
        async::spawn("flight", executor, fly(fresh, std::move(prepared)));
    return {std::move(joined.flight), std::move(joined.follower), leads};
}

Result<const cache::WireForm*> Gateway::form_of(const Found& found, ClientForm form) {
    bool made = false;
    LARDER_TRY(const cache::WireForm* wire, wire_form(*found.entry, form, &made));
    if (made)
        parts_.memory.grew(found.key, cache::Entry::bytes_of(*wire));
    return wire;
}

void Gateway::record(Outcome outcome, const cache::Entry& entry) {
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
    if (outcome != Outcome::kMiss && outcome != Outcome::kBypass)
        record.saved_picodollars = entry.cost.picodollars;
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
