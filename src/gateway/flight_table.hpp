// Which flights can be joined, by the key of their answer. Sharded behind short mutexes; any
// thread.
#pragma once

#include "gateway/flight.hpp"
#include "llm/fingerprint.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace larder::gateway {

class FlightTable {
public:
    /// A follower of the flight under `key`, or {null, null} when there is none that can be joined.
    struct Found {
        std::shared_ptr<Flight> flight;
        std::shared_ptr<Flight::Follower> follower;
    };
    Found join(const llm::Fingerprint& key, Executor executor) {
        Shard& shard = shard_of(key);
        const std::lock_guard lock(shard.mutex);
        const auto found = shard.flights.find(key);
        if (found == shard.flights.end())
            return {};
        auto follower = found->second->follow(executor);
        if (!follower)
            return {};
        return {found->second, std::move(follower)};
    }
    /// Joins like `join`, or puts `fresh` under the key and follows that, in one step.
    Found join_or_put(const llm::Fingerprint& key, const std::shared_ptr<Flight>& fresh,
                      Executor executor, bool must_be_new) {
        Shard& shard = shard_of(key);
        const std::lock_guard lock(shard.mutex);
        auto& slot = shard.flights[key];
        if (slot && !must_be_new) {
            if (auto follower = slot->follow(executor))
                return {slot, std::move(follower)};
        }
        slot = fresh;
        return {fresh, fresh->follow(executor)};
    }
    /// Takes `flight` out, unless another one has its place.
    void erase(const llm::Fingerprint& key, const Flight* flight) {
        Shard& shard = shard_of(key);
        const std::lock_guard lock(shard.mutex);
        const auto found = shard.flights.find(key);
        if (found != shard.flights.end() && found->second.get() == flight)
            shard.flights.erase(found);
    }
    [[nodiscard]] std::vector<std::shared_ptr<Flight>> all() const {
        std::vector<std::shared_ptr<Flight>> flights;
        for (const Shard& shard : shards_) {
            const std::lock_guard lock(shard.mutex);
            for (const auto& [key, flight] : shard.flights)
                flights.push_back(flight);
        }
        return flights;
    }
    [[nodiscard]] std::size_t size() const {
        std::size_t size = 0;
        for (const Shard& shard : shards_) {
            const std::lock_guard lock(shard.mutex);
            size += shard.flights.size();
        }
        return size;
    }

private:
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<llm::Fingerprint, std::shared_ptr<Flight>, Sha256Hash> flights;
    };
    Shard& shard_of(const llm::Fingerprint& key) { return shards_[key[31] % shards_.size()]; }
    std::array<Shard, 16> shards_;
};

} // namespace larder::gateway
