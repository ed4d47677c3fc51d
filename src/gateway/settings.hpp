// What the pipeline reads of the configuration: an immutable snapshot that a request keeps from its
// beginning to its end.
#pragma once

#include "provider/catalog.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace larder::gateway {

enum class ShareScope : std::uint8_t { kNamespace, kUser, kGlobal };
enum class OnDisconnect : std::uint8_t { kCancel, kFinish };
enum class RuleMode : std::uint8_t { kOn, kOff, kCoalesceOnly };
/// One call for a whole fleet; kAuto: on with Redis, off over REST.
enum class FleetFlight : std::uint8_t { kAuto, kOn, kOff };

/// The first rule that matches a request decides; an empty pattern matches everything.
struct CacheRule {
    std::string api;   // "llm", "openai", "anthropic"
    std::string model; // glob
    std::optional<double> temperature_above;
    std::optional<double> temperature_equal;
    std::optional<bool> tools;
    RuleMode mode = RuleMode::kOn;
    std::optional<std::chrono::milliseconds> ttl;
};

struct CacheConfig {
    bool enabled = true;
    std::chrono::milliseconds ttl{3'600'000};
    std::chrono::milliseconds ttl_max{7LL * 86'400'000};
    std::chrono::milliseconds stale_if_error{300'000};
    std::string prefix = "llm:cache";
    std::uint64_t memory = 256ULL << 20;
    std::uint64_t max_entry = 1ULL << 20;
    ShareScope scope = ShareScope::kNamespace;
    std::vector<CacheRule> rules;
    OnDisconnect on_disconnect = OnDisconnect::kCancel;
    FleetFlight fleet_flight = FleetFlight::kAuto;
};

/// The gateways whose cache switches are understood; of the others they have no meaning.
struct CompatConfig {
    bool litellm = false;
    bool portkey = false;
    bool helicone = false;
    bool cloudflare = false;
};

struct Settings {
    provider::Catalog catalog;
    CacheConfig cache;
    CompatConfig compat;
    std::uint64_t generation = 0; // another one for every reload
};

} // namespace larder::gateway
