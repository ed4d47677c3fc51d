#include "redis/attempt.hpp"

#include <algorithm>

namespace larder::redis {
namespace {

constexpr int kMaxRedirections = 5;
constexpr std::chrono::microseconds kFirstPause{1'000};
constexpr std::chrono::microseconds kLongestPause{32'000};

std::optional<std::uint16_t> slot_of_command(const Command& command) {
    const std::string_view key = command.first_key();
    if (key.empty())
        return std::nullopt;
    return slot_of(key);
}

/// The server is none that writes, or not yet: the command was not run.
bool is_of_the_role(const Error& error) {
    return error.detail == "READONLY" || error.detail == "MASTERDOWN" || error.detail == "LOADING";
}

} // namespace

Attempt::Attempt(const Command& command)
    : Attempt(slot_of_command(command), command.is_idempotent()) {}

std::optional<Attempt::Target> Attempt::target(Members& members) const {
    if (redirected_)
        return redirected_;
    if (auto found = members.find(slot_))
        return Target{.endpoint = *std::move(found)};
    return std::nullopt;
}

Attempt::Next Attempt::after_error(Members& members, std::string_view error_text,
                                   const Endpoint& asked) {
    const auto redirection = read_redirection(error_text, asked);
    if (!redirection)
        return is_of_the_role(error_of(error_text)) ? later(members) : Next::kDone;
    if (redirection->kind == Redirection::Kind::kAgain)
        return later(members);
    if (++redirections_ > kMaxRedirections)
        return Next::kDone;
    const bool asking = redirection->kind == Redirection::Kind::kAsk;
    if (!asking) {
        members.move_slot(redirection->slot, redirection->to);
        members.want_look();
    }
    redirected_ = Target{.endpoint = redirection->to, .asking = asking};
    return Next::kAtOnce;
}

Attempt::Next Attempt::after_failure(Members& members, const Error& error, const Endpoint& asked) {
    members.want_look();
    members.try_others();
    redirected_.reset();
    if (members.is_stopped() || error.code == ErrorCode::kTimeout)
        return Next::kDone;
    if (error.detail == "breaker_open") {
        // It was not sent, but waiting for this node is what the breaker is to prevent.
        const auto now = target(members);
        return now && now->endpoint != asked && ++redirections_ <= kMaxRedirections ? Next::kAtOnce
                                                                                    : Next::kDone;
    }
    if (is_of_the_role(error))
        return Next::kLater;
    return error.detail == "not_sent" || idempotent_ ? Next::kLater : Next::kDone;
}

Attempt::Next Attempt::later(Members& members) {
    members.want_look();
    redirected_.reset();
    return Next::kLater;
}

std::chrono::microseconds Attempt::next_pause() {
    return std::min(kFirstPause * (1 << std::min(pauses_++, 8)), kLongestPause);
}

Error out_of_time() {
    return {.code = ErrorCode::kTimeout, .message = "the store's time has run out"};
}

Error no_server(const Members& members) {
    return {.code = ErrorCode::kStore,
            .message = "no server is known: " + members.health().reason,
            .detail = "not_sent"};
}

} // namespace larder::redis
