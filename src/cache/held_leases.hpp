// The leases that this node holds, by their fencing tokens: whether somebody waits for their
// flights, and how far their relays have been written. Bounded by the flights there are; what is
// neither renewed nor ended is forgotten. Any thread; callbacks are called under its lock.
#pragma once

#include "cache/relay.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace larder::cache {

class HeldLeases {
public:
    /// `relay_bytes_max`: what one flight's relay may hold.
    explicit HeldLeases(std::size_t relay_bytes_max);

    /// A token of this node that nobody has had before.
    std::string make_token();
    /// Whether this node has made it, now or earlier.
    [[nodiscard]] bool is_ours(std::string_view token) const;

    void hold(const std::string& token, const llm::Fingerprint& key, std::int64_t now_us);
    [[nodiscard]] bool holds(const std::string& token) const;
    /// It was renewed.
    void touch(const std::string& token, std::int64_t now_us);
    /// It is not held any more. True when somebody waits for it.
    bool end(const std::string& token);

    void offer(const std::string& token, RelayCallbacks callbacks);
    void withdraw(const std::string& token);
    /// Somebody waits: calls `wanted` of the offer. False when the lease is not
    /// held: the caller should tell who waits.
    bool want(const std::string& token);
    /// Somebody does not wait any more: calls `left` of the offer.
    void leave(const std::string& token);
    /// The leases that are held, with their keys.
    [[nodiscard]] std::vector<std::pair<std::string, llm::Fingerprint>> held() const;

    /// The number of the first of `pieces` that are about to be written, counted from 1. Nothing
    /// when the flight was not offered, or when that would be too many bytes.
    std::optional<std::uint64_t> reserve(const std::string& token, std::size_t pieces,
                                         std::size_t bytes);

    /// Forgets leases that were held and last renewed before `before_us`.
    void forget_older(std::int64_t before_us);
    [[nodiscard]] std::size_t size() const;

private:
    struct Flight {
        bool is_held = false;
        bool is_offered = false;
        bool is_wanted = false;
        llm::Fingerprint key{};
        RelayCallbacks callbacks;
        std::int64_t alive_us = 0;
        std::uint64_t pieces = 0;
        std::size_t bytes = 0;
    };
    using Flights = std::unordered_map<std::string, Flight>;
    void erase_if_over(Flights::iterator flight);

    const std::string node_; // 16 random hexadecimal digits and a dot
    const std::size_t relay_bytes_max_;
    mutable std::mutex mutex_;
    std::uint64_t made_ = 0;
    Flights flights_;
};

} // namespace larder::cache
