// An answer for a part of the program itself, by the same way as a client's: route, cache, flight,
// provider. On one thread.
#pragma once

#include "async/time_budget.hpp"
#include "gateway/gateway.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace larder::gateway {

struct CompletionRequest {
    protocol::Dialect dialect = protocol::Dialect::kLlm;
    std::string body; // JSON in that dialect; with `"stream": true` where `on_text` is given
    std::string name_space;
    std::string user;
    bool uses_cache = false;          // else as `no-store`: neither read, kept nor shared
    std::size_t text_max = 4UL << 20; // bytes of the answer's text
};

struct CompletionReply {
    std::string text;
    std::string provider;
    std::string model;
    std::string finish_reason;
    Outcome outcome = Outcome::kBypass;
    llm::Usage usage;
    llm::Money cost; // of the call; what was spent now is 0 where `is_saved`
    bool priced = true;
    bool is_saved = false; // hit, coalesced or stale: this one cost nothing
    std::optional<Error> error;
    int provider_status = 0; // with `error`: of a provider's error answer
};

class Completion {
public:
    /// `gateway` outlives it.
    Completion(Gateway& gateway, const Clock& clock, Executor executor);
    ~Completion();
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;

    /// Once. `on_text`, where given, gets the text as it comes, on this thread. An answer whose
    /// text is larger than `text_max` is given up with kProviderUnreadable. kCancelled after
    /// `cancel`.
    Task<CompletionReply> run(std::shared_ptr<const Settings> settings, CompletionRequest request,
                              std::function<void(std::string_view)> on_text = nullptr);
    /// Nobody wants it any more: `run` returns soon, and the provider's work ends unless others
    /// wait for it. On its thread.
    void cancel();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace larder::gateway
