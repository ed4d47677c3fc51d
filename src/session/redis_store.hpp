// Sessions in Redis: a hash each and an index of each user's, in one slot; every operation is one
// script on the server's clock. Shared by all threads; each call on a runtime thread.
//
// `<prefix>:{<tag>}:<SHA-256 of the id, base64url>`  hash   id, space, user, data, created,
//                                                           accessed, expires, version
// `<prefix>:{<tag>}:index`                           zset   those SHA-256, score: expires
//
// Both carry a TTL: the session's own, and the longest of the index's members.
#pragma once

#include "session/backends.hpp"
#include "session/id.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace larder::session {

class RedisSessions final : public Store {
public:
    RedisSessions(redis::Client& client, RedisSessionSettings settings)
        : client_(client), settings_(std::move(settings)) {}

    Task<Result<Session>> create(Owner owner, std::string data, Lifetime lifetime,
                                 async::TimeBudget& budget) override;
    Task<Result<Session>> read_and_refresh(Reference reference, Lifetime lifetime,
                                           async::TimeBudget& budget) override;
    Task<Result<Session>> replace(Reference reference, std::string data, Expected expected,
                                  Lifetime lifetime, async::TimeBudget& budget) override;
    Task<Result<Session>> rotate(Reference reference, Expected expected, Lifetime lifetime,
                                 async::TimeBudget& budget) override;
    Task<Result<void>> destroy(Reference reference, Expected expected,
                               async::TimeBudget& budget) override;
    Task<Result<std::vector<Session>>> list(Owner owner, async::TimeBudget& budget) override;
    Task<Result<std::int64_t>> destroy_all(Owner owner, async::TimeBudget& budget) override;
    [[nodiscard]] StoreHealth health() const override;
    void stop() override {}

private:
    /// `<prefix>:{<tag>}:`
    [[nodiscard]] std::string stem(std::string_view tag) const;
    Task<Result<redis::Reply>> run(const redis::Script& script, redis::ScriptCall call,
                                   async::TimeBudget& budget);

    redis::Client& client_;
    const RedisSessionSettings settings_;
};

} // namespace larder::session
