// A table of flights by token.
#include "cache/held_leases.hpp"

#include "base/hash.hpp"
#include "base/text.hpp"

#include <array>
#include <utility>

namespace larder::cache {
namespace {

std::string make_node_name() {
    std::array<unsigned char, 8> bytes{};
    random_bytes(bytes);
    return text::hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) + '.';
}

} // namespace

HeldLeases::HeldLeases(std::size_t relay_bytes_max)
    : node_(make_node_name()), relay_bytes_max_(relay_bytes_max) {}

std::string HeldLeases::make_token() {
    const std::lock_guard lock(mutex_);
    return node_ + std::to_string(++made_);
}

bool HeldLeases::is_ours(std::string_view token) const {
    return token.starts_with(node_);
}

void HeldLeases::hold(const std::string& token, const llm::Fingerprint& key, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    Flight& flight = flights_[token];
    flight.key = key;
    flight.is_held = true;
    flight.alive_us = now_us;
}

bool HeldLeases::holds(const std::string& token) const {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(token);
    return found != flights_.end() && found->second.is_held;
}

void HeldLeases::touch(const std::string& token, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(token);
    if (found != flights_.end())
        found->second.alive_us = now_us;
}

bool HeldLeases::end(const std::string& token) {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(token);
    if (found == flights_.end())
        return false;
    const bool is_wanted = found->second.is_wanted;
    found->second.is_held = false;
    erase_if_over(found);
    return is_wanted;
}

void HeldLeases::offer(const std::string& token, RelayCallbacks callbacks) {
    const std::lock_guard lock(mutex_);
    Flight& flight = flights_[token];
    flight.is_offered = true;
    flight.callbacks = std::move(callbacks);
    if (flight.is_wanted)
        flight.callbacks.wanted();
}

void HeldLeases::withdraw(const std::string& token) {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(token);
    if (found == flights_.end())
        return;
    found->second.is_offered = false;
    found->second.callbacks = {};
    erase_if_over(found);
}

bool HeldLeases::want(const std::string& token) {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(token);
    if (found == flights_.end())
        return false;
    found->second.is_wanted = true;
    if (found->second.callbacks.wanted)
        found->second.callbacks.wanted();
    return found->second.is_held;
}

void HeldLeases::leave(const std::string& token) {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(token);
    if (found != flights_.end() && found->second.callbacks.left)
        found->second.callbacks.left();
}

std::vector<std::pair<std::string, llm::Fingerprint>> HeldLeases::held() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<std::string, llm::Fingerprint>> all;
    for (const auto& [token, flight] : flights_) {
        if (flight.is_held)
            all.emplace_back(token, flight.key);
    }
    return all;
}

std::optional<std::uint64_t> HeldLeases::reserve(const std::string& token, std::size_t pieces,
                                                 std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = flights_.find(token);
    if (found == flights_.end() || !found->second.is_offered)
        return std::nullopt;
    Flight& flight = found->second;
    if (bytes > relay_bytes_max_ - flight.bytes)
        return std::nullopt;
    flight.bytes += bytes;
    const std::uint64_t first = flight.pieces + 1;
    flight.pieces += pieces;
    return first;
}

void HeldLeases::forget_older(std::int64_t before_us) {
    const std::lock_guard lock(mutex_);
    for (auto at = flights_.begin(); at != flights_.end();) {
        const auto current = at++;
        if (current->second.is_held && current->second.alive_us < before_us) {
            current->second.is_held = false;
            erase_if_over(current);
        }
    }
}

std::size_t HeldLeases::size() const {
    const std::lock_guard lock(mutex_);
    return flights_.size();
}

void HeldLeases::erase_if_over(Flights::iterator flight) {
    if (!flight->second.is_held && !flight->second.is_offered)
        flights_.erase(flight);
}

} // namespace larder::cache
