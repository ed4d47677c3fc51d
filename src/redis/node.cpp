#include "redis/node.hpp"

#include "async/runtime.hpp"
#include "base/hash.hpp"
#include "redis/breaker.hpp"
#include "redis/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <optional>

namespace larder::redis {
namespace {

using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;
using Outcome = Exchange::Outcome;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr milliseconds kTick{5};                      // the precision of deadlines
constexpr std::int64_t kSilentMaxUs = 1'000'000;      // then the connection is given up
constexpr std::int64_t kReconnectPauseUs = 1'000'000; // between two for READONLY
constexpr microseconds kPatienceMin{20'000};
constexpr microseconds kPatienceMax{1'000'000};
constexpr std::size_t kFew = 32;
constexpr std::int64_t kLastedUs = 1'000'000; // a connection that broke later is replaced at once
constexpr std::int64_t kQuickUs = 10'000;     // never slow, however little time there was
constexpr int kLateProbesMax = 3;             // in a row, then the connection is given up

std::unexpected<Error> store_error(std::string_view detail, std::string_view message) {
    return std::unexpected(Error{
        .code = ErrorCode::kStore, .message = std::string(message), .detail = std::string(detail)});
}

const Command& ping_command() {
    static const Command command("PING");
    return command;
}

/// Waits until the exchange is complete. It must have been submitted in this turn of the loop.
auto wait_for(Exchange& exchange) {
    return asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(
        [&exchange](auto handler) {
            exchange.complete = [handler = std::move(handler)]() mutable { std::move(handler)(); };
        },
        asio::use_awaitable_t<Executor>());
}

std::string_view word_of(std::string_view text) {
    return text.substr(0, text.find(' '));
}

} // namespace

struct Node::State : std::enable_shared_from_this<Node::State> {
    struct Slot {
        explicit Slot(asio::io_context& context) : pause(context.get_executor()) {}
        std::shared_ptr<Connection> connection; // null: waits before the next attempt
        Timer pause;
        Backoff backoff{milliseconds(10), milliseconds(1000)};
    };
    /// Commands on their way, through at most two connections.
    struct Attempt {
        Attempt(microseconds within_in, bool repeatable_in)
            : began_us(async::Deadlines::now_us()), deadline_us(began_us + within_in.count()),
              within(within_in), repeatable(repeatable_in) {}
        std::int64_t began_us;
        std::int64_t deadline_us;
        microseconds within;
        bool repeatable;
        int tries = 0;
    };

    State(asio::io_context& context_in, NodeSettings settings_in)
        : context(context_in), settings(std::move(settings_in)), ticker(context.get_executor()),
          probe_pause(context.get_executor()) {
        for (std::size_t i = 0; i < std::max<std::size_t>(settings.connections, 1); ++i)
            slots.push_back(std::make_unique<Slot>(context));
    }

    void start();
    void fill(Slot& slot);
    void broke(Slot& slot, Connection& connection);
    static Task<void> keep(std::shared_ptr<State> self, Slot& slot);
    void opened(microseconds round_trip);
    void not_opened(const Error& error);
    Connection* pick(Connection::State wanted);
    void drop_silent();
    void drop_late();
    void reconnect();
    void close();

    static Task<Result<Reply>> run(std::shared_ptr<State> self, Command command,
                                   microseconds within, bool checked);
    /// `replies` gets what was answered, also when not all was.
    static Task<Result<void>> run_all(std::shared_ptr<State> self, std::vector<Command>& commands,
                                      std::vector<Reply>& replies, microseconds within);
    Result<void> submit(Exchange& exchange, std::span<const Command> commands, Attempt& attempt);
    Result<bool> judge(const Exchange& exchange, const Attempt& attempt);
    void note_errors(std::span<const Reply> replies);
    void start_ticking();
    void tick();

    void trip(std::string_view why);
    void opened_breaker();
    static Task<void> probe(std::shared_ptr<State> self);
    static Task<bool> ping(std::shared_ptr<State> self, std::shared_ptr<Connection> connection);
    [[nodiscard]] microseconds probe_patience() const {
        return patience.count() == 0 ? kPatienceMax : patience;
    }
    void tell_health();
    [[nodiscard]] Health health() const;

    asio::io_context& context;
    NodeSettings settings;
    std::vector<std::unique_ptr<Slot>> slots;
    Timer ticker;
    Timer probe_pause;
    Breaker breaker;
    std::string reason = "it is not connected yet"; // of what is wrong, when something is
    Health told{.ok = false, .reason = reason};
    microseconds patience{0}; // what commands were lately given, at most; 0: none came yet
    std::int64_t reconnected_us = 0;
    int late_probes = 0; // in a row: something came meanwhile, but no answer in time
    bool started = false;
    bool has_connected = false;
    bool ticking = false;
    bool probing = false;
    bool closed = false;
};

// Connections

void Node::State::start() {
    if (closed || std::exchange(started, true))
        return;
    for (const auto& slot : slots) {
        fill(*slot);
        async::spawn("redis connection", context.get_executor(), keep(shared_from_this(), *slot));
    }
}

void Node::State::fill(Slot& slot) {
    slot.connection = std::make_shared<Connection>(
        context, settings, [weak = weak_from_this(), &slot](Connection& connection) {
            if (const auto self = weak.lock())
                self->broke(slot, connection);
        });
}

/// One that broke after it was ready has a successor at once, so that commands can wait for it.
void Node::State::broke(Slot& slot, Connection& connection) {
    if (closed || slot.connection.get() != &connection)
        return;
    if (connection.has_been_ready() && breaker.is_closed())
        fill(slot);
    else
        slot.connection = nullptr;
}

Task<void> Node::State::keep(std::shared_ptr<State> self, Slot& slot) {
    while (!self->closed) {
        if (!slot.connection)
            self->fill(slot);
        const auto connection = slot.connection;
        auto round_trip = co_await connection->open();
        if (self->closed)
            break;
        if (round_trip) {
            const std::int64_t opened_us = async::Deadlines::now_us();
            self->opened(*round_trip);
            co_await connection->ended();
            if (async::Deadlines::now_us() - opened_us >= kLastedUs) {
                slot.backoff.reset();
                if (slot.connection)
                    continue; // at once, with its successor
            }
        } else {
            self->not_opened(round_trip.error());
        }
        if (self->closed)
            break;
        slot.pause.expires_after(slot.backoff.next(random_u64()));
        co_await slot.pause.async_wait(kToken);
    }
}

void Node::State::opened(microseconds round_trip) {
    has_connected = true;
    if (round_trip > probe_patience())
        trip("it answers too slowly");
    else if (breaker.is_closed() || breaker.probed(true, async::Deadlines::now_us()))
        reason.clear();
    tell_health();
}

void Node::State::not_opened(const Error& error) {
    if (pick(Connection::State::kReady) != nullptr)
        return; // another will do
    reason = error.message;
    trip(error.message);
    tell_health();
}

/// The first one while few wait on it, for what leaves and comes together costs less; else the one
/// on which the fewest wait.
Connection* Node::State::pick(Connection::State wanted) {
    Connection* best = nullptr;
    for (const auto& slot : slots) {
        Connection* const one = slot->connection.get();
        if (one == nullptr || one->state() != wanted)
            continue;
        if (one->waiting() < kFew)
            return one;
        if (best == nullptr || one->waiting() < best->waiting())
            best = one;
    }
    return best;
}

/// Gives up connections that owe answers and say nothing: their server may be gone.
void Node::State::drop_silent() {
    const std::int64_t now = async::Deadlines::now_us();
    for (const auto& slot : slots) {
        const auto connection = slot->connection;
        if (connection && connection->state() == Connection::State::kReady &&
            connection->waiting() > 0 && now - connection->heard_us() > kSilentMaxUs)
            connection->close();
    }
}

/// Gives up connections that owe answers though probe after probe only heard older ones: an answer
/// that was lost on the way puts all later ones off by one, for ever.
void Node::State::drop_late() {
    if (late_probes < kLateProbesMax)
        return;
    late_probes = 0;
    for (const auto& slot : slots) {
        const auto connection = slot->connection;
        if (connection && connection->state() == Connection::State::kReady &&
            connection->waiting() > 0)
            connection->close();
    }
}

void Node::State::reconnect() {
    reconnected_us = async::Deadlines::now_us();
    for (const auto& slot : slots) {
        if (const auto connection = slot->connection;
            connection && connection->state() == Connection::State::kReady)
            connection->close();
    }
}

void Node::State::close() {
    if (closed) // only read then: its thread may still run, after a `stop` of the client
        return;
    closed = true;
    ticker.cancel();
    probe_pause.cancel();
    for (const auto& slot : slots) {
        slot->pause.cancel();
        if (const auto connection = std::exchange(slot->connection, nullptr))
            connection->close();
    }
}

// Commands

Result<void> Node::State::submit(Exchange& exchange, std::span<const Command> commands,
                                 Attempt& attempt) {
    if (closed)
        return store_error("not_sent", "the connection to Redis was ended");
    if (attempt.within.count() <= 0) {
        return std::unexpected(Error{.code = ErrorCode::kTimeout,
                                     .message = "there is no time left for Redis",
                                     .detail = "not_sent"});
    }
    start();
    ++attempt.tries;
    const microseconds asked = settings.request_timeout.count() > 0
                                   ? microseconds(settings.request_timeout)
                                   : std::max(attempt.within, patience - patience / 8);
    patience = std::clamp(asked, kPatienceMin, kPatienceMax);
    if (!breaker.is_closed())
        return store_error("breaker_open", "Redis is left alone for a moment: " + reason);
    // What broke one connection may have broken all that were there: then rather a new one.
    const bool repeated = attempt.tries > 1;
    Connection* connection =
        pick(repeated ? Connection::State::kOpening : Connection::State::kReady);
    if (connection == nullptr)
        connection = pick(repeated ? Connection::State::kReady : Connection::State::kOpening);
    if (connection == nullptr)
        return store_error("not_sent", "there is no connection to Redis");
    exchange.deadline_us = attempt.deadline_us;
    if (!connection->submit(exchange, commands))
        return store_error("not_sent", "too much waits for Redis");
    start_ticking();
    return {};
}

/// True: the answers are there. False: it may be sent once more.
Result<bool> Node::State::judge(const Exchange& exchange, const Attempt& attempt) {
    const std::int64_t now = async::Deadlines::now_us();
    const bool had_time = attempt.within >= patience / 2; // else it says little of the server
    bool opened_now = false;
    switch (exchange.outcome) {
    case Outcome::kDone: {
        const std::int64_t took = exchange.answered_us - attempt.began_us;
        const bool slow = took > kQuickUs && took > std::min(attempt.within, patience).count() / 2;
        if (!slow || had_time)
            opened_now =
                breaker.note(slow ? Breaker::Outcome::kSlow : Breaker::Outcome::kGood, now);
        if (opened_now)
            opened_breaker();
        note_errors(exchange.replies);
        return true;
    }
    case Outcome::kTimedOut:
        if (had_time && breaker.note(Breaker::Outcome::kFailed, now))
            opened_breaker();
        drop_silent();
        return fail(ErrorCode::kTimeout, "Redis did not answer in time");
    case Outcome::kBroken:
        if (attempt.repeatable && attempt.tries < 2 && now < attempt.deadline_us)
            return false;
        return store_error("broken", "the connection to Redis broke");
    case Outcome::kWaiting:
    case Outcome::kNotSent:
        break;
    }
    if (attempt.tries < 2 && now < attempt.deadline_us)
        return false;
    return store_error("not_sent", "there is no connection to Redis");
}

void Node::State::note_errors(std::span<const Reply> replies) {
    for (const Reply& reply : replies) {
        if (!reply.is_error())
            continue;
        const std::string_view word = word_of(reply.text);
        if (word == "LOADING")
            trip("it is loading its data");
        else if (word == "MASTERDOWN")
            trip("it has lost its master");
        const bool may_be_another = word == "READONLY" || word == "NOAUTH";
        if (may_be_another && async::Deadlines::now_us() - reconnected_us > kReconnectPauseUs)
            reconnect();
    }
}

/// One timer for all deadlines, which runs only while something waits.
void Node::State::start_ticking() {
    if (std::exchange(ticking, true))
        return;
    ticker.expires_after(kTick);
    ticker.async_wait([self = shared_from_this()](boost::system::error_code error) {
        self->ticking = false;
        if (!error && !self->closed)
            self->tick();
    });
}

void Node::State::tick() {
    const std::int64_t now = async::Deadlines::now_us();
    bool more = false;
    for (const auto& slot : slots) {
        const auto connection = slot->connection;
        if (!connection)
            continue;
        connection->expire(now); // may resume who closes all this
        more = more || connection->has_deadlines();
    }
    if (more && !closed)
        start_ticking();
}

// Health

void Node::State::trip(std::string_view why) {
    if (!breaker.trip(async::Deadlines::now_us()))
        return;
    reason = why;
    opened_breaker();
}

void Node::State::opened_breaker() {
    if (reason.empty())
        reason = "it answers too slowly";
    tell_health();
    if (!std::exchange(probing, true))
        async::spawn("redis probe", context.get_executor(), probe(shared_from_this()));
}

/// While the breaker is open: no request pays for finding out that all is well again. Where there
/// is no connection, the next login is the probe.
Task<void> Node::State::probe(std::shared_ptr<State> self) {
    while (!self->closed && !self->breaker.is_closed()) {
        self->probe_pause.expires_after(self->breaker.wait(random_u64()));
        co_await self->probe_pause.async_wait(kToken);
        Connection* const connection = self->pick(Connection::State::kReady);
        if (self->closed || self->breaker.is_closed() || connection == nullptr)
            continue;
        self->breaker.probing();
        const bool good = co_await ping(self, connection->shared_from_this());
        if (self->closed)
            break;
        if (self->breaker.probed(good, async::Deadlines::now_us()))
            self->reason.clear();
        else
            self->drop_silent();
        self->drop_late();
        self->tell_health();
    }
    self->probing = false;
}

Task<bool> Node::State::ping(std::shared_ptr<State> self, std::shared_ptr<Connection> connection) {
    Reply reply;
    Exchange exchange{.replies = {&reply, 1}};
    exchange.deadline_us = async::Deadlines::now_us() + self->probe_patience().count();
    if (!connection->submit(exchange, {&ping_command(), 1}))
        co_return false;
    const std::int64_t asked_us = async::Deadlines::now_us();
    self->start_ticking();
    co_await wait_for(exchange);
    const bool late = exchange.outcome == Outcome::kTimedOut && connection->heard_us() > asked_us;
    self->late_probes = late ? self->late_probes + 1 : 0;
    if (exchange.outcome != Outcome::kDone)
        co_return false;
    const std::string_view word = word_of(reply.text);
    co_return !reply.is_error() || (word != "LOADING" && word != "MASTERDOWN" && word != "NOAUTH");
}

void Node::State::tell_health() {
    if (closed)
        return;
    Health now = health();
    if (now.ok == told.ok && now.reason == told.reason)
        return;
    told = std::move(now);
    if (settings.on_health)
        settings.on_health();
}

Health Node::State::health() const {
    if (closed)
        return {.ok = false, .reason = "it was closed"};
    if (breaker.is_closed() && has_connected)
        return {};
    return {.ok = false, .reason = reason};
}

// What others see

Node::Node(asio::io_context& context, NodeSettings settings)
    : state_(std::make_shared<State>(context, std::move(settings))) {}

void Node::start() {
    asio::post(state_->context, [state = state_] { state->start(); });
}

Node::~Node() {
    state_->close();
}

const Endpoint& Node::endpoint() const {
    return state_->settings.endpoint;
}

Health Node::health() const {
    return state_->health();
}

void Node::reconnect() {
    state_->reconnect();
}

void Node::close() {
    state_->close();
}

Task<Result<Reply>> Node::run(Command command, microseconds within) {
    return State::run(state_, std::move(command), within, false);
}

Task<Result<Reply>> Node::run_checked(Command command, microseconds within) {
    return State::run(state_, std::move(command), within, true);
}

Task<Result<Reply>> Node::State::run(std::shared_ptr<State> self, Command command,
                                     microseconds within, bool checked) {
    Attempt attempt(within, command.is_idempotent());
    while (true) {
        Reply reply;
        Exchange exchange{.replies = {&reply, 1}};
        if (auto taken = self->submit(exchange, {&command, 1}, attempt); !taken)
            co_return std::unexpected(std::move(taken).error());
        co_await wait_for(exchange);
        auto answered = self->judge(exchange, attempt);
        if (!answered)
            co_return std::unexpected(std::move(answered).error());
        if (!*answered)
            continue;
        if (checked && reply.is_error())
            co_return std::unexpected(error_of(reply.text));
        co_return reply;
    }
}

Task<Result<void>> Node::State::run_all(std::shared_ptr<State> self, std::vector<Command>& commands,
                                        std::vector<Reply>& replies, microseconds within) {
    Attempt attempt(within, false);
    std::size_t done = replies.size(); // none
    replies.resize(commands.size());
    while (done < commands.size()) {
        const auto rest = std::span<const Command>(commands).subspan(done);
        Exchange exchange{.replies = std::span(replies).subspan(done)};
        Result<void> taken = self->submit(exchange, rest, attempt);
        Result<bool> answered = false;
        if (taken) {
            co_await wait_for(exchange);
            done += exchange.answered;
            attempt.repeatable =
                std::ranges::all_of(rest.subspan(exchange.answered), &Command::is_idempotent);
            answered = self->judge(exchange, attempt);
        }
        if (!taken || !answered) {
            replies.resize(done);
            co_return std::unexpected(std::move(taken ? answered.error() : taken.error()));
        }
    }
    co_return Result<void>();
}

Task<std::vector<Result<Reply>>> Node::pipeline(std::vector<Command> commands,
                                                microseconds within) {
    const std::size_t asked = commands.size();
    std::vector<Reply> replies;
    auto done = co_await State::run_all(state_, commands, replies, within);
    std::vector<Result<Reply>> outcomes(std::make_move_iterator(replies.begin()),
                                        std::make_move_iterator(replies.end()));
    while (outcomes.size() < asked)
        outcomes.push_back(std::unexpected(done.error()));
    co_return outcomes;
}

Task<Result<std::vector<Reply>>> Node::transaction(std::vector<Command> commands,
                                                   microseconds within) {
    const bool idempotent = std::ranges::all_of(commands, &Command::is_idempotent);
    std::vector<Command> wrapped;
    wrapped.reserve(commands.size() + 2);
    wrapped.emplace_back("MULTI");
    std::ranges::move(commands, std::back_inserter(wrapped));
    wrapped.emplace_back("EXEC");
    if (idempotent) {
        wrapped.front().idempotent();
        wrapped.back().idempotent();
    }
    std::vector<Reply> replies;
    auto done = co_await State::run_all(state_, wrapped, replies, within);
    if (!done)
        co_return std::unexpected(std::move(done).error());
    Reply& outcome = replies.back();
    if (outcome.kind == Reply::Kind::kArray && outcome.items.size() == commands.size())
        co_return std::move(outcome.items);
    // Of a discarded one the first error tells why.
    const auto first = std::ranges::find_if(replies, &Reply::is_error);
    if (first == replies.end())
        co_return store_error("protocol", "Redis: a transaction without an answer");
    const std::string_view word = word_of(first->text);
    if (word == "MOVED" || word == "ASK" || word == "TRYAGAIN")
        co_return std::vector<Reply>{std::move(*first)};
    co_return std::unexpected(error_of(first->text));
}

Task<Result<Reply>> Node::run_asking(Command command, microseconds within) {
    std::vector<Command> commands;
    commands.emplace_back("ASKING");
    if (command.is_idempotent())
        commands.back().idempotent();
    commands.push_back(std::move(command));
    std::vector<Reply> replies;
    auto done = co_await State::run_all(state_, commands, replies, within);
    if (!done)
        co_return std::unexpected(std::move(done).error());
    co_return std::move(replies.back());
}

} // namespace larder::redis
