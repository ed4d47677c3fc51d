// The port to a Redis database, whatever stands behind it: one server, Sentinel, a Cluster, or
// Upstash over REST. Shared by all threads of the runtime; every call belongs to the runtime thread
// that makes it, and uses that thread's own connections.
#pragma once

#include "async/task.hpp"
#include "base/result.hpp"
#include "redis/command.hpp"
#include "redis/reply.hpp"
#include "redis/script.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace larder::redis {

/// How the database is, for /ready and the log.
struct Health {
    bool ok = true;     // false: commands fail at once, or are expected to
    std::string reason; // empty when ok: "it refuses the login", "it is loading"; never a secret
};

/// What a transport can do.
struct Traits {
    std::string_view kind = "redis"; // "redis" | "redis-cluster" | "redis-sentinel" | "upstash"
    bool push = true;                // subscriptions work
    bool binary = true;              // values may be any bytes; else UTF-8 only
};

struct SubscriptionEvents {
    /// A message of the channel. On the subscription's thread; must not block.
    std::function<void(std::string_view message)> on_message;
    /// True once the server has confirmed the subscription, false when it is lost: from then until
    /// the next true messages may have been missed.
    std::function<void(bool up)> on_state;
};

/// One channel, followed over a connection of its own that is made anew for as long as this lives.
class Subscription {
public:
    virtual ~Subscription() = default; // no callback comes after it, from any thread
};

/// Every Error is kStore, or kTimeout when `within` has passed (the command may still have been
/// run). `detail` of an Error that the server answered is its first word: "OOM", "READONLY",
/// "NOSCRIPT", "WRONGTYPE"; its message holds no key and no value. While the breaker is open
/// everything fails at once with detail "breaker_open".
class Client {
public:
    virtual ~Client() = default;

    /// Runs one command. It is repeated only if it surely was not run, or is idempotent; all within
    /// `within`.
    virtual Task<Result<Reply>> run(Command command, std::chrono::microseconds within) = 0;
    /// Sends all at once; each has an outcome of its own, in order. Not atomic; they may have
    /// different slots.
    virtual Task<std::vector<Result<Reply>>> pipeline(std::vector<Command> commands,
                                                      std::chrono::microseconds within) = 0;
    /// MULTI … EXEC: all run with nothing between, or none. All keys in one slot. A command that
    /// fails at run time is an error Reply in its place.
    virtual Task<Result<std::vector<Reply>>> transaction(std::vector<Command> commands,
                                                         std::chrono::microseconds within) = 0;
    /// Runs a script by its hash, and by its text where the server doesn't know it.
    Task<Result<Reply>> script(const Script& script, ScriptCall call,
                               std::chrono::microseconds within);

    /// Follows a channel on the calling (or, from outside, the first) runtime thread. Null where
    /// there is no push. In a Cluster a sharded one (SSUBSCRIBE).
    virtual std::unique_ptr<Subscription> subscribe(std::string channel,
                                                    SubscriptionEvents events) = 0;
    /// PUBLISH, or SPUBLISH in a Cluster.
    [[nodiscard]] virtual Command publish_command(std::string_view channel,
                                                  std::string_view message) const = 0;

    [[nodiscard]] virtual Traits traits() const = 0;
    /// Any thread.
    [[nodiscard]] virtual Health health() const = 0;
    /// Closes all connections; what waits fails. Blocking, from outside the runtime, which still
    /// runs. Later calls fail.
    virtual void stop() = 0;

protected:
    /// Which text of a script this transport wants.
    [[nodiscard]] virtual const Script::Text& text_of(const Script& script) const {
        return script.plain();
    }
};

/// The Error of a server's error text: kStore, `detail` its first word, the message without what
/// might be a key or a value.
Error error_of(std::string_view server_text);

} // namespace larder::redis
