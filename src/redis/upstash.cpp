#include "redis/upstash.hpp"

#include "base/hash.hpp"
#include "redis/breaker.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace larder::redis {
namespace {

using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using upstash::Post;
using upstash::Shape;
using upstash::Verdict;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr int kTriesMax = 4;
constexpr milliseconds kProbeTime{1000};
constexpr milliseconds kFirstTime{5000}; // with the look-up of the name and TLS
constexpr milliseconds kStopPatience{5000};

microseconds since(Steady::time_point began) {
    return std::chrono::duration_cast<microseconds>(Steady::now() - began);
}

std::int64_t now_us() {
    return std::chrono::duration_cast<microseconds>(Steady::now().time_since_epoch()).count();
}

Post ping(milliseconds within) {
    return {
        .path = "/", .body = R"(["PING"])", .repeatable = true, .deadline = Steady::now() + within};
}

Result<Reply> outcome_of(Reply reply) {
    if (reply.is_error())
        return std::unexpected(upstash::error_of_text(reply.text));
    return reply;
}

} // namespace

struct UpstashClient::State : std::enable_shared_from_this<UpstashClient::State> {
    State(async::Runtime& runtime, std::shared_ptr<upstash::Shared> shared_in)
        : shared(std::move(shared_in)), probe_pause(runtime.context(0).get_executor()) {
        for (std::size_t index = 0; index < runtime.size(); ++index)
            lanes.push_back(std::make_shared<upstash::Lane>(runtime.context(index), shared));
    }

    [[nodiscard]] upstash::Lane& lane() const {
        const std::size_t index = async::Runtime::current();
        LARDER_ASSERT(index < lanes.size());
        return *lanes[index];
    }

    static Task<Result<std::vector<Reply>>> ask(std::shared_ptr<State> self, Post post,
                                                microseconds within);
    static Task<void> greet(std::shared_ptr<State> self, std::size_t index);
    static Task<void> probe(std::shared_ptr<State> self);
    void start_probing();

    std::shared_ptr<upstash::Shared> shared;
    std::vector<std::shared_ptr<upstash::Lane>> lanes;
    Timer probe_pause; // of the first thread
};

/// Tries until there is an answer, the time is up, or another try might do harm.
Task<Result<std::vector<Reply>>> UpstashClient::State::ask(std::shared_ptr<State> self, Post post,
                                                           microseconds within) {
    post.deadline = Steady::now() + within;
    Backoff backoff(milliseconds(20), milliseconds(200));
    Verdict verdict;
    for (int tries = 1;; ++tries) {
        if (auto refusal = self->shared->guard.refusal())
            co_return std::unexpected(tries == 1 ? std::move(*refusal) : std::move(verdict.error));
        const auto began = Steady::now();
        if (began >= post.deadline)
            co_return fail(ErrorCode::kTimeout, "Upstash: there was no time left to ask it");
        const auto time = std::chrono::duration_cast<microseconds>(post.deadline - began);
        verdict = co_await self->lane().send(post);
        if (self->shared->guard.note(verdict, {since(began), time, now_us()}))
            self->start_probing();
        if (verdict.kind == Verdict::Kind::kReplies)
            co_return std::move(verdict.replies);
        const bool may_repeat = verdict.kind == Verdict::Kind::kNotRun ||
                                (verdict.kind == Verdict::Kind::kUnsure && post.repeatable);
        const auto wait = std::max<microseconds>(backoff.next(random_u64()), verdict.wait);
        if (!may_repeat || tries == kTriesMax || Steady::now() + wait >= post.deadline)
            co_return std::unexpected(std::move(verdict.error));
        Timer pause(self->lane().context().get_executor());
        pause.expires_after(wait);
        co_await pause.async_wait(kToken);
    }
}

Task<void> UpstashClient::State::greet(std::shared_ptr<State> self, std::size_t index) {
    const auto began = Steady::now();
    const Verdict verdict = co_await self->lanes[index]->send(ping(kFirstTime));
    if (self->shared->guard.note_first(verdict, {since(began), kFirstTime, now_us()}))
        self->start_probing();
    self->shared->tasks.end();
}

void UpstashClient::State::start_probing() {
    shared->tasks.begin();
    async::spawn("upstash probe", lanes[0]->context().get_executor(), probe(shared_from_this()));
}

/// Asks now and then whether it is back, so that no user's request has to find out.
Task<void> UpstashClient::State::probe(std::shared_ptr<State> self) {
    while (!self->shared->guard.is_stopped()) {
        self->probe_pause.expires_after(self->shared->guard.probe_wait(random_u64()));
        co_await self->probe_pause.async_wait(kToken);
        if (self->shared->guard.is_stopped())
            break;
        const auto began = Steady::now();
        const Verdict verdict = co_await self->lanes[0]->send(ping(kProbeTime));
        if (self->shared->guard.probed(verdict, {since(began), kProbeTime, now_us()}))
            break;
    }
    self->shared->tasks.end();
}

UpstashClient::UpstashClient(async::Runtime& runtime, std::shared_ptr<upstash::Shared> shared)
    : state_(std::make_shared<State>(runtime, std::move(shared))) {
    for (std::size_t index = 0; index < state_->lanes.size(); ++index) {
        state_->shared->tasks.begin();
        async::spawn("upstash greeting", state_->lanes[index]->context().get_executor(),
                     State::greet(state_, index));
    }
}

UpstashClient::~UpstashClient() {
    stop();
}

Task<Result<Reply>> UpstashClient::run(Command command, microseconds within) {
    auto body = upstash::encode_command(command);
    if (!body)
        co_return std::unexpected(std::move(body).error());
    auto replies = co_await State::ask(state_,
                                       {.path = "/",
                                        .body = std::move(*body),
                                        .repeatable = command.is_idempotent(),
                                        .deadline = {}},
                                       within);
    if (!replies)
        co_return std::unexpected(std::move(replies).error());
    co_return outcome_of(std::move(replies->front()));
}

Task<std::vector<Result<Reply>>> UpstashClient::pipeline(std::vector<Command> commands,
                                                         microseconds within) {
    std::vector<Result<Reply>> outcomes(commands.size());
    std::vector<std::size_t> sent; // indices of those that can be written
    Post post{.path = "/pipeline",
              .body = "[",
              .shape = Shape::kPipeline,
              .repeatable = true,
              .deadline = {}};
    for (std::size_t index = 0; index < commands.size(); ++index) {
        if (auto added = upstash::add_command(post.body, commands[index]); !added) {
            outcomes[index] = std::unexpected(std::move(added).error());
            continue;
        }
        post.repeatable = post.repeatable && commands[index].is_idempotent();
        sent.push_back(index);
    }
    if (sent.empty())
        co_return outcomes;
    post.body += ']';
    post.count = sent.size();
    auto replies = co_await State::ask(state_, std::move(post), within);
    for (std::size_t place = 0; place < sent.size(); ++place) {
        Result<Reply>& outcome = outcomes[sent[place]];
        if (replies)
            outcome = outcome_of(std::move((*replies)[place]));
        else
            outcome = std::unexpected(replies.error());
    }
    co_return outcomes;
}

Task<Result<std::vector<Reply>>> UpstashClient::transaction(std::vector<Command> commands,
                                                            microseconds within) {
    if (commands.empty())
        co_return std::vector<Reply>();
    Post post{.path = "/multi-exec",
              .body = "[",
              .shape = Shape::kTransaction,
              .count = commands.size(),
              .repeatable = std::ranges::all_of(commands, &Command::is_idempotent),
              .deadline = {}};
    for (const Command& command : commands) {
        if (auto added = upstash::add_command(post.body, command); !added)
            co_return std::unexpected(std::move(added).error());
    }
    post.body += ']';
    co_return co_await State::ask(state_, std::move(post), within);
}

std::unique_ptr<Subscription> UpstashClient::subscribe(std::string /*channel*/,
                                                       SubscriptionEvents /*events*/) {
    return nullptr;
}

Command UpstashClient::publish_command(std::string_view channel, std::string_view message) const {
    return Command("PUBLISH").arg(channel).arg(message);
}

Traits UpstashClient::traits() const {
    return {.kind = "upstash", .push = false, .binary = false};
}

Health UpstashClient::health() const {
    return state_->shared->guard.health();
}

const Script::Text& UpstashClient::text_of(const Script& script) const {
    return script.flagged();
}

void UpstashClient::stop() {
    if (state_->shared->guard.is_stopped())
        return;
    state_->shared->guard.stop();
    for (const auto& lane : state_->lanes)
        asio::post(lane->context(), [lane] { lane->stop(); });
    asio::post(state_->lanes[0]->context(), [state = state_] { state->probe_pause.cancel(); });
    state_->shared->tasks.wait_for_end(kStopPatience);
}

} // namespace larder::redis
