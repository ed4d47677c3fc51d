// Writing to and reading from the streams of flights.
#include "cache/redis_relay.hpp"

#include "async/deadlines.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace larder::cache {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kWaitersMax = 65'536;
constexpr std::int64_t kKeptMs = 60'000; // after the last piece
constexpr std::int64_t kPiecesAtOnce = 512;
constexpr std::string_view kPieceField = "p";
constexpr std::string_view kEndField = "e";
/// The holder may not have heard it, or have gone: it is told again until something comes.
constexpr std::chrono::milliseconds kAskAgain{250};
/// A message may have been missed.
constexpr std::chrono::milliseconds kLookAgain{1000};
/// Who is told at once that the lease has ended may find it still there: no faster than this.
constexpr std::chrono::milliseconds kDoneAfter{20};

std::string id_of(std::uint64_t number) {
    return "1-" + std::to_string(number);
}

std::uint64_t number_of(std::string_view cursor) {
    return read_number(cursor).value_or(0);
}

redis::Command append_command(const std::string& stream, std::uint64_t number,
                              std::string_view field, std::string_view text) {
    return redis::Command("XADD").key(stream).arg(id_of(number)).arg(field).arg(text).idempotent();
}

/// That a piece is there already is no error: it was sent again after a break.
bool is_written(const redis::Reply& reply) {
    return !reply.is_error() || reply.text.contains("equal or smaller");
}

} // namespace

RelayWaiters::WaiterPtr RelayWaiters::enter(const std::string& token, Executor executor) {
    auto waiter = std::make_shared<Waiter>(executor);
    const std::lock_guard lock(mutex_);
    if (waiters_.size() >= waiters_max_)
        return nullptr;
    waiters_.emplace(token, waiter);
    return waiter;
}

void RelayWaiters::leave(const std::string& token, const WaiterPtr& waiter) {
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = waiters_.equal_range(token);
    const auto found =
        std::find_if(begin, end, [&](const auto& one) { return one.second == waiter; });
    if (found != end)
        waiters_.erase(found);
}

void RelayWaiters::tell(const FlightNews& news) {
    const bool is_done = news.kind == FlightNews::Kind::kDone;
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = waiters_.equal_range(news.token);
    std::for_each(begin, end, [is_done](const auto& one) {
        asio::post(one.second->signal.executor(), [waiter = one.second, is_done] {
            waiter->is_done = waiter->is_done || is_done;
            waiter->signal.notify();
        });
    });
}

RedisRelay::RedisRelay(redis::Client& client, const RedisKeys& keys, HeldLeases& leases,
                       std::chrono::microseconds within)
    : client_(client), keys_(keys), leases_(leases), within_(within), waiters_(kWaitersMax) {}

void RedisRelay::offer(const std::string& lease, RelayCallbacks callbacks) {
    leases_.offer(lease, std::move(callbacks));
}

void RedisRelay::withdraw(const std::string& lease) {
    leases_.withdraw(lease);
}

Task<Result<void>> RedisRelay::write(llm::Fingerprint key, std::string lease,
                                     std::vector<std::string> pieces,
                                     std::optional<std::string> end) {
    if (pieces.empty() && !end)
        co_return Result<void>();
    std::size_t bytes = 0; // an end is small, and always wanted
    for (const std::string& piece : pieces)
        bytes += piece.size();
    const auto first = leases_.reserve(lease, pieces.size() + (end ? 1 : 0), bytes);
    if (!first) {
        Error error{.code = ErrorCode::kStore, .message = "the flight's relay is full or closed"};
        error.detail = "relay_full";
        co_return std::unexpected(std::move(error));
    }
    const std::string stream = keys_.relay(key, lease);
    std::uint64_t number = *first;
    std::vector<redis::Command> commands;
    for (const std::string& piece : pieces)
        commands.push_back(append_command(stream, number++, kPieceField, piece));
    if (end)
        commands.push_back(append_command(stream, number, kEndField, *end));
    commands.push_back(redis::Command("PEXPIRE").key(stream).arg(kKeptMs).idempotent());
    auto replies = co_await client_.transaction(std::move(commands), within_);
    if (!replies)
        co_return std::unexpected(std::move(replies).error());
    if (!std::ranges::all_of(*replies, is_written))
        co_return fail(ErrorCode::kStore, "a piece of a flight's relay was refused");
    const FlightNews news{.kind = FlightNews::Kind::kPieces, .token = std::move(lease)};
    (void)co_await client_.run(client_.publish_command(keys_.news(), write_news(news)), within_);
    co_return Result<void>();
}

Task<void> RedisRelay::want(std::string holder) {
    const FlightNews news{.kind = FlightNews::Kind::kWanted, .token = std::move(holder)};
    (void)co_await client_.run(client_.publish_command(keys_.news(), write_news(news)), within_);
}

Task<void> RedisRelay::leave(std::string holder) {
    const FlightNews news{.kind = FlightNews::Kind::kLeft, .token = std::move(holder)};
    (void)co_await client_.run(client_.publish_command(keys_.news(), write_news(news)), within_);
}

Result<RelayNews> read_relay(const redis::Reply& range, std::string& cursor) {
    RelayNews news;
    std::uint64_t last = number_of(cursor);
    for (const redis::Reply& item : range.items) {
        if (item.items.size() != 2 || item.items[1].items.size() != 2)
            return fail(ErrorCode::kStore, "a flight's relay can't be read");
        if (item.items[0].text != id_of(last + 1))
            return fail(ErrorCode::kStore, "a piece of a flight's relay is missing");
        const std::string& field = item.items[1].items[0].text;
        const std::string& text = item.items[1].items[1].text;
        if (field == kPieceField && !news.end)
            news.pieces.push_back(text);
        else if (field == kEndField && !news.end)
            news.end = text;
        else
            return fail(ErrorCode::kStore, "a flight's relay can't be read");
        ++last;
    }
    if (!range.items.empty())
        cursor = std::to_string(last);
    return news;
}

Task<Result<RelayNews>> RedisRelay::fetch(llm::Fingerprint key, std::string holder,
                                          std::string& cursor, bool asks) {
    std::vector<redis::Command> commands;
    commands.push_back(redis::Command("XRANGE")
                           .key(keys_.relay(key, holder))
                           .arg(id_of(number_of(cursor) + 1))
                           .arg("+")
                           .arg("COUNT")
                           .arg(kPiecesAtOnce)
                           .idempotent());
    if (asks) {
        const FlightNews news{.kind = FlightNews::Kind::kWanted, .token = std::move(holder)};
        commands.push_back(client_.publish_command(keys_.news(), write_news(news)));
    }
    auto replies = co_await client_.pipeline(std::move(commands), within_);
    if (replies.empty() || !replies[0])
        co_return replies.empty() ? fail(ErrorCode::kStore, "a flight's relay can't be read")
                                  : std::unexpected(replies[0].error());
    co_return read_relay(*replies[0], cursor);
}

Task<Result<RelayNews>> RedisRelay::read(llm::Fingerprint key, std::string holder,
                                         std::string& cursor, std::chrono::milliseconds within) {
    const auto executor = co_await asio::this_coro::executor;
    auto waiter = waiters_.enter(holder, executor);
    if (waiter == nullptr)
        co_return fail(ErrorCode::kOverloaded, "too many requests wait for other nodes");
    auto news = co_await wait_for_news(key, holder, cursor, within, waiter);
    waiters_.leave(holder, waiter);
    co_return news;
}

Task<Result<RelayNews>> RedisRelay::wait_for_news(llm::Fingerprint key, std::string holder,
                                                  std::string& cursor,
                                                  std::chrono::milliseconds within,
                                                  RelayWaiters::WaiterPtr waiter) {
    const auto began = Steady::now();
    auto& context = waiter->signal.executor().context();
    async::Deadline deadline(async::Deadlines::of(context),
                             [&signal = waiter->signal] { signal.notify(); });
    auto asked = Steady::time_point();
    while (true) {
        const bool was_done = waiter->is_done;
        waiter->signal.clear(); // what comes from here on is heard below
        const auto now = Steady::now();
        const bool asks = !was_done && cursor.empty() && now - asked >= kAskAgain;
        if (asks)
            asked = now;
        auto news = co_await fetch(key, holder, cursor, asks);
        if (!news || !news->pieces.empty() || news->end)
            co_return news;
        const auto passed = Steady::now() - began;
        if (passed >= within || (was_done && passed >= kDoneAfter))
            co_return news;
        const auto wait = was_done ? kDoneAfter : cursor.empty() ? kAskAgain : kLookAgain;
        deadline.arm(std::chrono::duration_cast<std::chrono::microseconds>(
            std::min<Steady::duration>(wait, within - passed)));
        co_await waiter->signal.wait();
        deadline.disarm();
    }
}

} // namespace larder::cache
