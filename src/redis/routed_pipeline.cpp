#include "redis/routed_pipeline.hpp"

#include "async/signal.hpp"
#include "redis/attempt.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace larder::redis {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::int64_t kPauseWithoutServer = 10'000; // microseconds

using Outcomes = std::vector<Result<Reply>>;

std::chrono::microseconds until(Steady::time_point deadline) {
    return std::chrono::duration_cast<std::chrono::microseconds>(deadline - Steady::now());
}

/// What goes to one node together.
struct Group {
    std::shared_ptr<Node> node;
    bool asking = false; // ASKING before each
    std::vector<std::size_t> places;
    std::vector<Command> commands;
    Outcomes outcomes;
};

/// One round of groups that run at the same time.
struct Round {
    explicit Round(Executor executor) : done(executor) {}
    std::vector<Group> groups;
    std::size_t running = 0;
    async::Signal done;
};

std::vector<Command> asking_each(std::vector<Command> commands) {
    std::vector<Command> all;
    all.reserve(2 * commands.size());
    for (Command& command : commands) {
        all.emplace_back("ASKING");
        all.push_back(std::move(command));
    }
    return all;
}

Task<void> run_group(std::shared_ptr<Round> round, std::size_t place,
                     std::chrono::microseconds within) {
    Group& group = round->groups[place];
    auto commands =
        group.asking ? asking_each(std::move(group.commands)) : std::move(group.commands);
    group.outcomes = co_await group.node->pipeline(std::move(commands), within);
    if (group.asking) {
        for (std::size_t i = 0; 2 * i + 1 < group.outcomes.size(); ++i)
            group.outcomes[i] = std::move(group.outcomes[2 * i + 1]);
        group.outcomes.erase(group.outcomes.begin() +
                                 static_cast<std::ptrdiff_t>(group.outcomes.size() / 2),
                             group.outcomes.end());
    }
    LARDER_ASSERT(group.outcomes.size() == group.places.size());
    if (--round->running == 0)
        round->done.notify();
}

/// The commands of a pipeline on their ways.
class Pipeline {
public:
    Pipeline(Members& members, std::vector<Command> commands)
        : members_(members), commands_(std::move(commands)),
          outcomes_(commands_.size(), std::unexpected(out_of_time())) {
        for (std::size_t i = 0; i < commands_.size(); ++i) {
            attempts_.emplace_back(commands_[i]);
            waiting_.push_back(i);
        }
    }

    [[nodiscard]] bool is_done() const { return waiting_.empty(); }
    [[nodiscard]] Outcomes take_outcomes() { return std::move(outcomes_); }

    std::shared_ptr<Round> begin_round(Executor executor) {
        auto round = std::make_shared<Round>(executor);
        std::map<Attempt::Target, std::size_t> known;
        for (const std::size_t place : std::exchange(waiting_, {})) {
            const auto target = attempts_[place].target(members_);
            if (!target) {
                outcomes_[place] = std::unexpected(no_server(members_));
                if (!members_.is_stopped())
                    waiting_.push_back(place);
                continue;
            }
            const std::size_t group = known.try_emplace(*target, known.size()).first->second;
            if (group == round->groups.size()) {
                round->groups.push_back(
                    {.node = members_.node(target->endpoint), .asking = target->asking});
            }
            round->groups[group].places.push_back(place);
            round->groups[group].commands.push_back(commands_[place]);
        }
        round->running = round->groups.size();
        return round;
    }

    /// How long to pause before the next round; 0: not at all.
    std::chrono::microseconds end_round(Round& round) {
        std::chrono::microseconds pause{waiting_.empty() ? 0 : kPauseWithoutServer};
        for (Group& group : round.groups) {
            for (std::size_t i = 0; i < group.places.size(); ++i) {
                pause = std::max(pause, take(group.places[i], std::move(group.outcomes[i]),
                                             group.node->endpoint()));
            }
        }
        std::ranges::sort(waiting_);
        return pause;
    }

private:
    std::chrono::microseconds take(std::size_t place, Result<Reply> outcome,
                                   const Endpoint& asked) {
        Attempt& attempt = attempts_[place];
        auto next = Attempt::Next::kDone;
        if (!outcome) {
            next = attempt.after_failure(members_, outcome.error(), asked);
        } else if (outcome->is_error()) {
            next = attempt.after_error(members_, outcome->text, asked);
            outcome = std::unexpected(error_of(outcome->text));
        }
        outcomes_[place] = std::move(outcome);
        if (next == Attempt::Next::kDone)
            return std::chrono::microseconds(0);
        waiting_.push_back(place);
        return next == Attempt::Next::kLater ? attempt.next_pause() : std::chrono::microseconds(0);
    }

    Members& members_;
    std::vector<Command> commands_;
    std::vector<Attempt> attempts_;
    std::vector<std::size_t> waiting_; // places that have no outcome that stands
    Outcomes outcomes_;
};

} // namespace

Task<Outcomes> run_routed_pipeline(std::shared_ptr<Members> members, std::vector<Command> commands,
                                   std::chrono::microseconds within) {
    const auto deadline = Steady::now() + within;
    const Executor executor = members->context().get_executor();
    Pipeline pipeline(*members, std::move(commands));
    while (!pipeline.is_done() && until(deadline).count() > 0) {
        const auto round = pipeline.begin_round(executor);
        for (std::size_t i = 1; i < round->groups.size(); ++i)
            async::spawn("redis pipeline", executor, run_group(round, i, until(deadline)));
        if (!round->groups.empty()) {
            co_await run_group(round, 0, until(deadline));
            co_await round->done.wait();
        }
        const auto pause = std::min(pipeline.end_round(*round), until(deadline));
        if (pause.count() > 0)
            co_await members->pause(pause);
    }
    co_return pipeline.take_outcomes();
}

} // namespace larder::redis
