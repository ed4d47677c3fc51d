// A Lua script in its two texts: plain for Redis, and with the flag that Upstash wants so that only
// its keys are locked. Immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder::redis {

/// Every key that the body touches must stand in KEYS, all in one slot.
class Script {
public:
    explicit Script(std::string_view body);

    struct Text {
        std::string body;
        std::string sha1; // 40 hex digits, as EVALSHA takes it
    };
    [[nodiscard]] const Text& plain() const { return plain_; }
    /// With `#!lua flags=allow-key-locking` as its first line.
    [[nodiscard]] const Text& flagged() const { return flagged_; }

private:
    Text plain_;
    Text flagged_;
};

struct ScriptCall {
    std::vector<std::string> keys;
    std::vector<std::string> args;
    bool idempotent = false;
};

} // namespace larder::redis
