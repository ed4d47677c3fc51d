// The port by which the events of a flight reach the nodes that wait for it: the holder of the
// lease writes when somebody wants them, the others read.
#pragma once

#include "async/task.hpp"
#include "base/result.hpp"
#include "llm/fingerprint.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace larder::cache {

/// What came since the last look.
struct RelayNews {
    std::vector<std::string> pieces; // in order, none twice
    std::optional<std::string> end;  // the holder's last word
};

/// What the holder of a lease hears of the other nodes, from any thread; it must not call the
/// relay.
struct RelayCallbacks {
    std::function<void()> wanted; // one says that it waits; again and again, while it does
    std::function<void()> left;   // one does not wait any more: those that do will say so again
};

/// Bounded: what a relay holds ends by itself a minute after its last piece. Runtime threads.
class Relay {
public:
    virtual ~Relay() = default;

    // The holder's side.
    /// From now on other nodes may have the flight under `lease`. Ends with `withdraw`, after which
    /// nothing is called.
    virtual void offer(const std::string& lease, RelayCallbacks callbacks) = 0;
    virtual void withdraw(const std::string& lease) = 0;
    /// Appends pieces, then the end where there is one, and tells who waits.
    virtual Task<Result<void>> write(llm::Fingerprint key, std::string lease,
                                     std::vector<std::string> pieces,
                                     std::optional<std::string> end) = 0;

    // The waiting side.
    /// Tells the holder that somebody waits, waits up to `within` for what comes after `cursor`
    /// (empty: the beginning), and moves it on. Comes back with nothing when the time is up, and
    /// early when the lease has ended.
    virtual Task<Result<RelayNews>> read(llm::Fingerprint key, std::string holder,
                                         std::string& cursor, std::chrono::milliseconds within) = 0;
    /// Tells the holder that somebody still waits: `read` does so only until something has come.
    virtual Task<void> want(std::string holder) = 0;
    /// … that it does not any more.
    virtual Task<void> leave(std::string holder) = 0;
};

} // namespace larder::cache
