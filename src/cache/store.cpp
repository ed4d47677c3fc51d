// What a store does that one node has for itself: no leases, no relay.
#include "cache/store.hpp"

namespace larder::cache {

Task<Result<Lookup>> Store::look_up(llm::Fingerprint key, bool /*wants_lease*/,
                                    async::TimeBudget& budget) {
    const async::TimeBudget::Spending spending(budget);
    auto entry = co_await get(key);
    if (!entry)
        co_return std::unexpected(std::move(entry).error());
    co_return Lookup{.entry = *std::move(entry), .lease = {}, .holder = {}};
}

Task<Result<Lookup>> Store::watch(llm::Fingerprint key, async::TimeBudget& budget) {
    return look_up(key, false, budget);
}

Task<Result<Lookup>> Store::lease(llm::Fingerprint /*key*/, async::TimeBudget& /*budget*/) {
    co_return Lookup{};
}

Task<Result<bool>> Store::renew(llm::Fingerprint /*key*/, std::string /*lease*/) {
    co_return false;
}

void Store::release(const llm::Fingerprint& /*key*/, const std::string& /*lease*/) {}

void Store::put_leased(const llm::Fingerprint& key, EntryPtr entry, const std::string& /*lease*/) {
    put(key, std::move(entry));
}

} // namespace larder::cache
