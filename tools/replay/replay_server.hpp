// The recorded provider: an OpenAI and an Anthropic server on one port. Serves what was recorded,
// else a made-up answer, with faults on demand, and counts its calls.
//
// POST /<provider>/v1/chat/completions, POST /<provider>/v1/messages; GET /replay/stats and
// /replay/last; POST /replay/reset and /replay/release (opens the gates that are waiting).
#pragma once

#include "async/runtime.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace larder::replay {

struct ReplaySettings {
    std::string listen = "127.0.0.1:0";
    std::string recordings;                   // JSON Lines; none by default
    std::chrono::milliseconds first_token{0}; // before the first byte
    double tokens_per_second = 0; // an event, or four bytes of a plain answer; 0: at once
};

struct Stats {
    std::uint64_t calls = 0;
    std::uint64_t cancelled = 0; // the client left before the end
    std::uint64_t active = 0;
    std::uint64_t recorded = 0;
    std::uint64_t made_up = 0;
    std::uint64_t faults = 0;
    std::map<std::string, std::uint64_t> by_path; // at most 1000 paths, then "other"
};

/// One exchange of the demo: the body for POST /llm/generate.
struct DemoRequest {
    std::string body;
    std::string title; // a few words for a table
};
/// The requests that the built-in exchanges answer, in order.
std::vector<DemoRequest> demo_requests();
/// The built-in exchanges, one a line.
std::string_view demo_exchanges();

class ReplayServer {
public:
    ReplayServer(async::Runtime& runtime, ReplaySettings settings);
    ~ReplayServer();
    ReplayServer(const ReplayServer&) = delete;
    ReplayServer& operator=(const ReplayServer&) = delete;
    /// Reads the recordings and begins to accept. An Error names the line at fault.
    Result<void> start();
    /// "127.0.0.1:40123".
    [[nodiscard]] std::string address() const;
    [[nodiscard]] Stats stats() const;
    /// How many exchanges it knows, its own included.
    [[nodiscard]] std::size_t exchanges() const;
    /// Blocking; from outside the runtime's threads.
    void stop();

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace larder::replay
