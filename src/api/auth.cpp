// Reading the key headers and comparing digests.
#include "api/auth.hpp"

#include "base/text.hpp"

#include <array>
#include <utility>

namespace larder::api {

namespace {

constexpr std::array<std::pair<std::string_view, Scopes>, 4> kScopeNames = {{
    {"llm", kScopeLlm},
    {"sessions", kScopeSessions},
    {"stats", kScopeStats},
    {"admin", kScopeAdmin},
}};

std::unexpected<Error> unauthorized(std::string message) {
    return fail(ErrorCode::kUnauthorized, std::move(message));
}

/// What stands after "Bearer" (RFC 6750, 2.1; the scheme in any case); empty when malformed.
std::string_view bearer_token(std::string_view authorization) {
    constexpr std::string_view kScheme = "bearer";
    if (authorization.size() <= kScheme.size() ||
        !text::equals_ignoring_case(authorization.substr(0, kScheme.size()), kScheme) ||
        authorization[kScheme.size()] != ' ')
        return {};
    const std::string_view token = text::trim(authorization.substr(kScheme.size()));
    for (const char c : token) {
        if (c <= ' ' || c > '~' || c == ',')
            return {};
    }
    return token;
}

/// All ones when the digests are equal, else zero; the same steps for any two.
std::uint64_t equal_mask(const Sha256& a, const Sha256& b) {
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference |= static_cast<unsigned>(a[i] ^ b[i]);
    return std::uint64_t{0} - ((std::uint64_t{difference} - 1) >> 63);
}

std::string names_of(Scopes scopes) {
    std::string names;
    for (const auto& [name, bit] : kScopeNames) {
        if ((scopes & bit) == 0)
            continue;
        names += names.empty() ? "" : " or ";
        names += name;
    }
    return names;
}

} // namespace

std::optional<Scopes> scope_named(std::string_view name) {
    for (const auto& [known, bit] : kScopeNames) {
        if (known == name)
            return bit;
    }
    return std::nullopt;
}

Authenticator::Authenticator() : open_(true), anonymous_{.scopes = kAllScopes} {}

Authenticator::Authenticator(std::vector<KeyDigest> keys) : open_(false), keys_(std::move(keys)) {}

Result<const Principal*> Authenticator::authenticate(const PresentedKeys& presented) const {
    if (open_)
        return &anonymous_;
    std::string_view key = text::trim(presented.x_api_key.value_or(""));
    if (presented.authorization) {
        const std::string_view token = bearer_token(*presented.authorization);
        if (token.empty())
            return unauthorized("The Authorization header must be \"Bearer\" and a key.");
        if (!key.empty() && !text::equals_constant_time(key, token))
            return unauthorized("Authorization and x-api-key carry different keys.");
        key = token;
    }
    if (key.empty())
        return unauthorized("A key is needed: send Authorization: Bearer … or x-api-key.");
    const Sha256 digest = sha256(key);
    std::uint64_t found = 0; // index + 1, chosen without a branch on what was compared
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        const std::uint64_t equal = equal_mask(digest, keys_[i].digest);
        found = (found & ~equal) | ((i + 1) & equal);
    }
    if (found == 0)
        return unauthorized("This key is not known.");
    return &keys_[found - 1].principal;
}

Result<void> Authenticator::authorize(const Principal& principal, Scopes any_of,
                                      Place place) const {
    const bool is_local = place.is_local || (any_of & ~(kScopeSessions | kScopeAdmin)) == 0;
    if (open_ && !place.loopback && is_local)
        return fail(ErrorCode::kForbidden,
                    "With auth.mode: open this is only for callers on the loopback interface; "
                    "auth.mode: keys and a key with the scope " +
                        names_of(any_of) + " allow it.");
    if ((principal.scopes & any_of) == 0)
        return fail(ErrorCode::kForbidden, "This key lacks the scope " + names_of(any_of) + ".");
    return {};
}

} // namespace larder::api
