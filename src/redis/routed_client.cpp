#include "redis/routed_client.hpp"

#include "redis/attempt.hpp"
#include "redis/routed_pipeline.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace larder::redis {
namespace {

using Steady = std::chrono::steady_clock;
using Next = Attempt::Next;
using Replies = std::vector<Reply>;

std::chrono::microseconds until(Steady::time_point deadline) {
    return std::chrono::duration_cast<std::chrono::microseconds>(deadline - Steady::now());
}

// How a command and a transaction are sent, and which error of its outcome may redirect it.

struct OneCommand {
    using Value = Reply;
    Command command;

    Task<Result<Reply>> send(Node& node, bool asking, std::chrono::microseconds within) const {
        return asking ? node.run_asking(command, within) : node.run(command, within);
    }
    static const Reply* error_in(const Reply& reply) { return reply.is_error() ? &reply : nullptr; }
};

struct OneTransaction {
    using Value = Replies;
    std::vector<Command> commands;

    Task<Result<Replies>> send(Node& node, bool asking, std::chrono::microseconds within) const {
        return asking ? send_asking(node, within) : node.transaction(commands, within);
    }
    /// Inside MULTI the server keeps the flag that ASKING has set, for all commands.
    Task<Result<Replies>> send_asking(Node& node, std::chrono::microseconds within) const;
    /// A redirection comes alone.
    static const Reply* error_in(const Replies& replies) {
        const bool redirects = replies.size() == 1 && replies.front().is_error() &&
                               read_redirection(replies.front().text, Endpoint());
        return redirects ? &replies.front() : nullptr;
    }
};

Task<Result<Replies>> OneTransaction::send_asking(Node& node,
                                                  std::chrono::microseconds within) const {
    std::vector<Command> all;
    all.emplace_back("ASKING");
    all.emplace_back("MULTI");
    all.insert(all.end(), commands.begin(), commands.end());
    all.emplace_back("EXEC");
    auto outcomes = co_await node.pipeline(std::move(all), within);
    if (!outcomes.back())
        co_return std::unexpected(std::move(outcomes.back()).error());
    if (!outcomes.back()->is_error())
        co_return std::move(outcomes.back()->items);
    // Why it was discarded stands in the first error.
    for (auto& outcome : outcomes) {
        if (!outcome || !outcome->is_error())
            continue;
        if (!read_redirection(outcome->text, node.endpoint()))
            co_return std::unexpected(error_of(outcome->text));
        co_return Replies{std::move(*outcome)};
    }
    co_return std::unexpected(error_of(outcomes.back()->text));
}

/// Sends until an outcome stands or the time has run out.
template <class What>
Task<Result<typename What::Value>> follow(std::shared_ptr<Members> members, What what,
                                          Attempt attempt, std::chrono::microseconds within) {
    const auto deadline = Steady::now() + within;
    Result<typename What::Value> outcome = std::unexpected(out_of_time());
    while (until(deadline).count() > 0) {
        Next next = Next::kLater;
        if (const auto target = attempt.target(*members)) {
            const auto node = members->node(target->endpoint);
            outcome = co_await what.send(*node, target->asking, until(deadline));
            next = Next::kDone;
            if (!outcome) {
                next = attempt.after_failure(*members, outcome.error(), target->endpoint);
            } else if (const Reply* error = What::error_in(*outcome)) {
                next = attempt.after_error(*members, error->text, target->endpoint);
                outcome = std::unexpected(error_of(std::string(error->text)));
            }
        } else {
            outcome = std::unexpected(no_server(*members));
            next = members->is_stopped() ? Next::kDone : Next::kLater;
        }
        if (next == Next::kDone)
            break;
        if (next == Next::kLater && until(deadline).count() > 0)
            co_await members->pause(std::min(attempt.next_pause(), until(deadline)));
    }
    co_return outcome;
}

/// The one slot of all keys.
Result<std::optional<std::uint16_t>> common_slot(const std::vector<Command>& commands) {
    std::optional<std::uint16_t> slot;
    for (const Command& command : commands) {
        const std::string_view key = command.first_key();
        if (key.empty())
            continue;
        if (slot && *slot != slot_of(key)) {
            return fail(ErrorCode::kStore,
                        "a transaction's keys must be in one slot of the Cluster");
        }
        slot = slot_of(key);
    }
    return slot;
}

Task<Result<Replies>> failed(Error error) {
    co_return std::unexpected(std::move(error));
}

} // namespace

RoutedClient::RoutedClient(std::shared_ptr<Members> members) : members_(std::move(members)) {
    members_->start();
}

RoutedClient::~RoutedClient() {
    members_->stop();
}

Task<Result<Reply>> RoutedClient::run(Command command, std::chrono::microseconds within) {
    const Attempt attempt(command);
    return follow(members_, OneCommand{std::move(command)}, attempt, within);
}

Task<std::vector<Result<Reply>>> RoutedClient::pipeline(std::vector<Command> commands,
                                                        std::chrono::microseconds within) {
    return run_routed_pipeline(members_, std::move(commands), within);
}

Task<Result<Replies>> RoutedClient::transaction(std::vector<Command> commands,
                                                std::chrono::microseconds within) {
    std::optional<std::uint16_t> slot;
    if (has_slots()) {
        auto common = common_slot(commands);
        if (!common)
            return failed(std::move(common).error());
        slot = *common;
    }
    const bool idempotent = std::ranges::all_of(commands, &Command::is_idempotent);
    return follow(members_, OneTransaction{std::move(commands)}, Attempt(slot, idempotent), within);
}

} // namespace larder::redis
