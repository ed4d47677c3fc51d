// What the API reads of the configuration: one immutable snapshot per reload, which a request keeps
// to its end.
#pragma once

#include "api/auth.hpp"
#include "gateway/settings.hpp"
#include "limit/limiter.hpp"
#include "net/address.hpp"
#include "session/store.hpp"
#include "workflow/limits.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace larder::api {

struct SessionSettings {
    session::Lifetime lifetime;
    std::uint64_t data_bytes_max = 64ULL << 10; // of a session's `data`, as it came
};

struct Settings {
    std::shared_ptr<const gateway::Settings> gateway;
    Authenticator authenticator;
    limit::Rule llm;
    limit::Rule standard;
    limit::Rule expensive;
    std::vector<std::string> expensive_routes; // "METHOD /path" with `*`
    std::vector<net::Network> trusted_proxies;
    std::vector<std::string> cors_origins;
    SessionSettings sessions;
    workflow::Limits workflows;
    std::uint64_t max_body = 32ULL << 20;
    /// A stream that is silent for so long gets a comment; 0: none.
    std::chrono::milliseconds stream_keep_alive{15'000};
    /// What a request may wait for its stores, all of them together.
    std::chrono::microseconds store_budget{250'000};
};

} // namespace larder::api
