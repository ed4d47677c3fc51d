// Expected failures: an Error with a short code, a sentence, and where it happened. Pure values,
// any thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace larder {

/// What went wrong, as the caller must treat it. `api/errors.cpp` alone turns these into statuses.
enum class ErrorCode : std::uint8_t {
    kInvalidRequest,       // the caller's input is wrong
    kUnauthorized,         // no key, or a wrong one
    kForbidden,            // the key may not do this
    kNotFound,             // no such path or object
    kModelNotFound,        // no provider for that model
    kMethodNotAllowed,     // the path exists, the method does not
    kConflict,             // the state has moved on
    kNotCached,            // only-if-cached, and nothing is
    kTooLarge,             // the body is over its limit
    kHeadTooLarge,         // the head is over its limit
    kUnsupportedMedia,     // a content type or coding that is not taken
    kRateLimited,          // over a limit of ours
    kProviderUnconfigured, // a provider lacks its key
    kProviderRejected,     // the provider answered with an error status
    kProviderUnreadable,   // the provider's answer can't be read
    kProviderUnavailable,  // the provider can't be reached
    kProviderOverloaded,   // breaker open: the provider is left alone for a while
    kTimeout,              // a deadline passed
    kCancelled,            // nobody waits for it any more
    kOverloaded,           // we are out of memory budget, or stopping
    kStore,                // the store failed
    kInternal,             // a bug
    kUnprocessable,        // understood, and can't be done
};

/// An expected failure. `message` is for the caller; it never carries a key or a prompt.
struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
    std::string field;                   // the member of the request at fault, if one is known
    std::optional<std::size_t> position; // byte offset into the body, if one is known
    std::string detail; // a finer code for clients, e.g. "model_not_found"; empty: the code's own

    /// The same error with `context` put before its message.
    Error with(std::string_view context) && {
        message.insert(0, std::string(context) + ": ");
        return std::move(*this);
    }
};

template <class T> using Result = std::expected<T, Error>;

/// Shorthand for `std::unexpected(Error{...})`.
inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
    return std::unexpected(Error{.code = code, .message = std::move(message)});
}

inline std::unexpected<Error> fail_field(std::string field, std::string message) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .message = std::move(message),
                                 .field = std::move(field)});
}

[[noreturn]] inline void assertion_failed(const char* what, const char* file, int line) {
    std::fprintf(stderr, "assertion failed: %s (%s:%d)\n", what, file, line);
    std::abort();
}

} // namespace larder

/// A bug if false; stays on in release builds.
#define LARDER_ASSERT(condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) [[unlikely]]                                                             \
            ::larder::assertion_failed(#condition, __FILE__, __LINE__);                            \
    } while (false)

#define LARDER_JOIN_(a, b) a##b
#define LARDER_JOIN(a, b) LARDER_JOIN_(a, b)
/// `LARDER_TRY(auto value, expression)`: binds the value of a Result, or returns its Error.
#define LARDER_TRY(binding, ...)                                                                   \
    auto LARDER_JOIN(try_, __LINE__) = (__VA_ARGS__);                                              \
    if (!LARDER_JOIN(try_, __LINE__))                                                              \
        return std::unexpected(std::move(LARDER_JOIN(try_, __LINE__)).error());                    \
    binding = *std::move(LARDER_JOIN(try_, __LINE__))
/// The same for `Result<void>`.
#define LARDER_CHECK(...)                                                                          \
    do {                                                                                           \
        if (auto checked = (__VA_ARGS__); !checked)                                                \
            return std::unexpected(std::move(checked).error());                                    \
    } while (false)
