#include "gateway/make_entry.hpp"

#include "base/hash.hpp"

namespace larder::gateway {
namespace {

/// What the answer cost, and whether that is known.
void set_figures(cache::Entry& entry, const Prepared& prepared, const protocol::Answer* answer) {
    const provider::Provider& provider = *prepared.target.provider;
    if (answer != nullptr && answer->usage) {
        entry.usage = *answer->usage;
    } else {
        entry.usage.input = llm::estimate_tokens(prepared.call.prompt_bytes);
        entry.usage.output = llm::estimate_tokens(
            answer != nullptr ? answer->text.size() + answer->forgotten_bytes : entry.body.size());
        entry.usage.exact = false;
    }
    const llm::Price* price =
        prepared.settings->catalog.prices.find(provider.vendor, prepared.target.model);
    entry.priced = price != nullptr;
    if (price != nullptr)
        entry.cost = llm::cost_of(*price, entry.usage);
}

} // namespace

cache::EntryPtr make_entry(const Prepared& prepared, std::int64_t now_ms, std::string_view body,
                           cache::PrimaryForm form, const protocol::Answer* answer) {
    auto entry = std::make_shared<cache::Entry>();
    // Jitter only shortens: entries made together must not end together.
    const std::int64_t ttl = prepared.ttl.count();
    const std::int64_t jitter =
        ttl / 20 > 0
            ? static_cast<std::int64_t>(random_u64() % static_cast<std::uint64_t>(ttl / 20))
            : 0;
    entry->asked_ms = prepared.looked_up_ms;
    entry->created_ms = now_ms;
    entry->fresh_until_ms = now_ms + ttl - jitter;
    entry->stale_until_ms = entry->fresh_until_ms + prepared.settings->cache.stale_if_error.count();
    entry->name_space = prepared.name_space;
    entry->provider = prepared.target.provider->name;
    entry->model = prepared.target.model;
    entry->generations = prepared.generations;
    entry->dialect = static_cast<std::uint8_t>(prepared.dialect);
    entry->form = form;
    entry->body = body;
    if (answer != nullptr) {
        entry->answer_model = answer->model;
        entry->finish_reason = answer->finish_reason;
    }
    set_figures(*entry, prepared, answer);
    return entry;
}

std::unexpected<Error> unreadable(const Prepared& prepared, std::string_view why) {
    return fail(ErrorCode::kProviderUnreadable,
                "provider " + prepared.target.provider->name +
                    " sent an answer that can't be read: " + std::string(why));
}

} // namespace larder::gateway
