#include "redis/upstash_lane.hpp"

#include "async/runtime.hpp"
#include "async/signal.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <algorithm>
#include <utility>

namespace larder::redis::upstash {
namespace {

using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;
using std::chrono::milliseconds;

constexpr std::size_t kUnderWayMax = 1000; // of one thread
constexpr milliseconds kLongest{2000};     // an exchange that nobody waits for any more

Verdict failure(Verdict::Kind kind, ErrorCode code, std::string_view detail, std::string reason) {
    Verdict verdict{.kind = kind, .reason = std::move(reason)};
    verdict.error = {
        .code = code, .message = "Upstash: " + verdict.reason, .detail = std::string(detail)};
    return verdict;
}

/// What it means that no whole answer came.
Verdict verdict_of(const Error& error, bool was_sent) {
    if (error.code == ErrorCode::kTimeout)
        return failure(Verdict::Kind::kUnsure, ErrorCode::kTimeout, "",
                       "it did not answer in time");
    if (error.code == ErrorCode::kTooLarge)
        return failure(Verdict::Kind::kUnsure, ErrorCode::kStore, "unreadable",
                       "its answers are too large");
    if (!was_sent)
        return failure(Verdict::Kind::kNotRun, ErrorCode::kStore, "not_sent",
                       "it can't be reached: " + error.message);
    return failure(Verdict::Kind::kUnsure, ErrorCode::kStore, "connection_lost",
                   "its connections break");
}

} // namespace

void Tasks::begin() {
    const std::scoped_lock lock(mutex_);
    ++count_;
}

void Tasks::end() {
    const std::scoped_lock lock(mutex_);
    if (--count_ == 0)
        ended_.notify_all();
}

bool Tasks::wait_for_end(milliseconds patience) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, patience, [this] { return count_ == 0; });
}

/// Kept alive by its task and by who waits for it.
struct Lane::Exchange {
    Exchange(Post post_in, Executor executor) : post(std::move(post_in)), news(executor) {}
    Post post;
    async::Signal news;               // it has ended, or its time is up
    http::ClientCall* call = nullptr; // while it is under way
    bool ended = false;
    bool was_sent = false;
    bool is_warm_up = false;
    Result<Answer> answer;
};

Lane::Lane(asio::io_context& context, std::shared_ptr<Shared> shared)
    : context_(context), shared_(std::move(shared)), client_(context, shared_->proxy) {}

Task<Verdict> Lane::send(Post post) {
    if (stopped_ || under_way_.size() >= kUnderWayMax)
        co_return failure(Verdict::Kind::kNotAsked, ErrorCode::kStore, "not_sent",
                          stopped_ ? "the client was stopped" : "too many requests wait for it");
    const auto self = shared_from_this();
    const auto exchange = std::make_shared<Exchange>(std::move(post), context_.get_executor());
    shared_->tasks.begin();
    async::spawn("upstash request", context_.get_executor(), perform(self, exchange));
    {
        Timer timer(context_.get_executor());
        timer.expires_at(exchange->post.deadline);
        timer.async_wait([exchange](boost::system::error_code error) {
            if (!error)
                exchange->news.notify();
        });
        co_await exchange->news.wait();
    }
    if (!exchange->ended)
        co_return give_up(*exchange);
    if (!exchange->answer)
        co_return verdict_of(exchange->answer.error(), exchange->was_sent);
    co_return judge(*exchange->answer, exchange->post.shape, exchange->post.count);
}

Verdict Lane::give_up(Exchange& exchange) {
    auto kind = Verdict::Kind::kUnsure;
    if (exchange.call != nullptr && exchange.call->sends() == 0) {
        exchange.call->cancel(); // so that it isn't run later
        kind = Verdict::Kind::kNotRun;
        warm_up();
    }
    return failure(kind, ErrorCode::kTimeout, "", "it did not answer in time");
}

void Lane::warm_up() {
    if (stopped_ || warming_)
        return;
    warming_ = true;
    Post ping{.path = "/", .body = R"(["PING"])", .deadline = Steady::now() + kLongest};
    const auto exchange = std::make_shared<Exchange>(std::move(ping), context_.get_executor());
    exchange->is_warm_up = true;
    shared_->tasks.begin();
    async::spawn("upstash warm-up", context_.get_executor(), perform(shared_from_this(), exchange));
}

Task<void> Lane::perform(std::shared_ptr<Lane> self, std::shared_ptr<Exchange> exchange) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(exchange->post.deadline - Steady::now());
    const milliseconds longest = std::max(left, kLongest);
    {
        const auto call = self->client_.call(
            self->shared_->base.origin,
            {.connect = longest, .first_byte = longest, .idle = longest, .total = longest});
        exchange->call = call.get();
        self->under_way_.insert(call.get());
        exchange->answer = co_await exchange_bytes(*self->shared_, *call, *exchange);
        self->under_way_.erase(call.get());
        exchange->call = nullptr;
    }
    if (exchange->is_warm_up)
        self->warming_ = false;
    exchange->ended = true;
    exchange->news.notify();
    self->shared_->tasks.end();
}

Task<Result<Answer>> Lane::exchange_bytes(Shared& shared, http::ClientCall& call,
                                          Exchange& exchange) {
    const std::string sync_token = shared.guard.sync_token();
    http::ClientRequest request{.target = shared.base.path + exchange.post.path,
                                .fields = {},
                                .head_lines = shared.head_lines,
                                .body = exchange.post.body,
                                .resend = exchange.post.repeatable};
    if (!sync_token.empty())
        request.head_lines += "upstash-sync-token: " + sync_token + "\r\n";
    auto sent = co_await call.send(std::move(request));
    exchange.was_sent = call.sends() > 0;
    if (!sent)
        co_return std::unexpected(std::move(sent).error());
    const http::ResponseHead& head = call.head();
    Answer answer{.status = head.status,
                  .body = {},
                  .retry_after = std::string(head.fields.find("retry-after").value_or(""))};
    shared.guard.take_sync_token(head.fields.find("upstash-sync-token").value_or(""));
    while (true) {
        auto more = co_await call.read(answer.body);
        if (!more)
            co_return std::unexpected(std::move(more).error());
        if (answer.body.size() > kAnswerMax)
            co_return fail(ErrorCode::kTooLarge, "the answer is too large");
        if (!*more)
            co_return answer;
    }
}

void Lane::stop() {
    stopped_ = true;
    for (http::ClientCall* const call : under_way_)
        call->cancel();
    client_.close_idle();
}

} // namespace larder::redis::upstash
