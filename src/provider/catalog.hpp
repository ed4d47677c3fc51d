// Providers as data: host, auth scheme, protocol and paths, deadlines, retries; and which provider
// takes a model. Immutable, any thread.
#pragma once

#include "base/result.hpp"
#include "llm/pricing.hpp"
#include "protocol/protocol.hpp"
#include "provider/route.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::provider {

using std::chrono::milliseconds;

struct Breaker {
    int failures = 5;  // within `window` open it,
    double rate = 0.5; // where they are that share of its calls
    milliseconds window{10'000};
    milliseconds probe_after{1000};
    milliseconds slow{0}; // a first byte later than this counts as a failure; 0: only errors count
};

struct Provider {
    std::string name;
    protocol::Dialect dialect = protocol::Dialect::kOpenAiChat; // `api:` openai or anthropic
    std::string base_url;                                       // without a slash at the end
    std::string api_key;                                        // empty: called without one
    std::string missing_variable;    // api_key names this variable, and it is not set
    std::vector<std::string> models; // empty: any model that reaches it
    milliseconds connect_timeout{2000};
    milliseconds first_byte_timeout{60'000};
    milliseconds idle_timeout{60'000};
    milliseconds total_timeout{600'000};
    int retries = 2;
    milliseconds retry_base{250};
    milliseconds retry_max_wait{3000}; // of waiting in all
    Breaker breaker;
    /// Whether it holds answers to a JSON Schema where it is asked to.
    bool structured_outputs = false;
    bool ask_usage = true;      // sends stream_options.include_usage (OpenAI only)
    std::string vendor;         // of the price file; empty: one that is called like the provider
    std::string cache_identity; // name and base URL, unless several share one
};

struct ModelAlias {
    std::string provider;
    std::string model;
};

struct Target {
    const Provider* provider = nullptr;
    std::string model;
    // Of a route's target:
    std::string deployment = {};     // what shares its answers
    std::optional<int> retries = {}; // else the provider's
};

/// All providers of one configuration, in the file's order.
struct Catalog {
    std::vector<Provider> providers;
    std::map<std::string, ModelAlias, std::less<>> aliases;
    std::vector<Route> routes; // their targets are resolved, and they make no circle
    std::string
        default_model; // empty: gpt-4o with OpenAI, else the first provider's best known one
    llm::PriceTable prices;

    [[nodiscard]] const Provider* find(std::string_view name) const;
    [[nodiscard]] const Route* find_route(std::string_view name) const;
    [[nodiscard]] std::string names() const; // "openai, anthropic" for messages
    /// The contract's order ("Which provider"): named, `provider/model`, alias, `models` lists, by
    /// name, by price file; else kModelNotFound. Of a route's name: its first model. A named
    /// provider that is not configured: kInvalidRequest with field "provider" that names those that
    /// are.
    [[nodiscard]] Result<Target> resolve(std::string_view provider, std::string_view model) const;
};

} // namespace larder::provider
