// Who is asking: keys against the configuration's digests, and what a principal may do. Pure and
// free of I/O. Immutable after construction, any thread.
#pragma once

#include "base/hash.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::api {

using Scopes = std::uint8_t; // bits
constexpr Scopes kScopeLlm = 1;
constexpr Scopes kScopeSessions = 2;
constexpr Scopes kScopeStats = 4;
constexpr Scopes kScopeAdmin = 8;
constexpr Scopes kAllScopes = kScopeLlm | kScopeSessions | kScopeStats | kScopeAdmin;

/// The bit of "llm", "sessions", "stats" or "admin".
std::optional<Scopes> scope_named(std::string_view name);

struct Principal {
    std::string user; // empty: nobody known
    std::string name_space = "default";
    std::string key_name;
    Scopes scopes = 0;
    bool known = false; // counted by user; else by address
};

/// One configured key: the SHA-256 of it, never the key.
struct KeyDigest {
    Sha256 digest{};
    Principal principal;
};

/// The two headers that carry a key; nullopt when the header is absent.
struct PresentedKeys {
    std::optional<std::string_view> authorization;
    std::optional<std::string_view> x_api_key;
};

class Authenticator {
public:
    /// Open mode: everybody is anonymous, and whatever key is sent is ignored.
    Authenticator();
    /// Keys mode.
    explicit Authenticator(std::vector<KeyDigest> keys);

    /// The principal (owned by this object), or kUnauthorized: no key, a malformed Authorization,
    /// two different keys, or one that isn't configured. Every configured digest is compared, in
    /// constant time.
    [[nodiscard]] Result<const Principal*> authenticate(const PresentedKeys& presented) const;

    /// From where a request comes, and whether that counts in open mode.
    struct Place {
        bool loopback = false; // by the socket's address
        bool is_local = false; // what is asked for is for the loopback interface only
    };
    /// kForbidden unless `principal` has one of `any_of`. In open mode sessions and admin are
    /// always for callers on the loopback interface only.
    [[nodiscard]] Result<void> authorize(const Principal& principal, Scopes any_of,
                                         Place place) const;
    [[nodiscard]] bool is_open() const { return open_; }

private:
    bool open_;
    Principal anonymous_;
    std::vector<KeyDigest> keys_;
};

} // namespace larder::api
