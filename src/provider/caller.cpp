#include "provider/caller.hpp"

#include "async/deadlines.hpp"
#include "base/hash.hpp"
#include "base/time.hpp"
#include "provider/retry.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace larder::provider {
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// The line that carries the key, up to the key.
std::string_view key_field(protocol::Dialect dialect) {
    switch (dialect) {
    case protocol::Dialect::kAnthropicMessages:
        return "x-api-key: ";
    case protocol::Dialect::kGemini:
        return "x-goog-api-key: ";
    default:
        return "Authorization: Bearer ";
    }
}

/// The fields that we add, as lines.
std::string head_lines(const Provider& provider, const Outgoing& outgoing) {
    std::string lines;
    lines.reserve(256);
    if (!outgoing.content_type.empty())
        ((lines += "Content-Type: ") += outgoing.content_type) += "\r\n";
    lines += "User-Agent: larder/" LARDER_VERSION "\r\nAccept-Encoding: identity\r\nAccept: ";
    if (!outgoing.accept.empty())
        lines += outgoing.accept;
    else
        lines += outgoing.stream ? "text/event-stream" : "application/json";
    lines += "\r\n";
    if (provider.api_key.empty())
        return lines;
    return ((lines += key_field(provider.dialect)) += provider.api_key) += "\r\n";
}

/// Whether an attempt that came to nothing left the provider without any work begun.
bool is_untouched(const http::ClientCall& call, const Result<void>& outcome, bool was_told_when) {
    if (!outcome)
        return call.sends() == 0;
    return was_told_when && (call.head().status == 429 || call.head().status == 503);
}

} // namespace

struct ProviderCall::Sleep {
    explicit Sleep(asio::io_context& context) : timer(context.get_executor()) {}
    Timer timer;
};

ProviderCall::ProviderCall(asio::io_context& context) : context_(context) {}
ProviderCall::~ProviderCall() = default;

Task<Result<void>> ProviderCall::send(http::Client& client, Breakers& breakers,
                                      const Provider& provider, Outgoing outgoing) {
    provider_ = &provider;
    if (!provider.missing_variable.empty()) {
        co_return fail(ErrorCode::kProviderUnconfigured,
                       "provider " + provider.name + " has no key: the environment variable " +
                           provider.missing_variable + " is not set");
    }
    const auto known = client.base_url(provider.base_url);
    if (!known)
        co_return std::unexpected(known.error());
    const http::BaseUrl base = **known;
    breaker_ = &breakers.of(provider.name);
    const http::ClientRequest request{.method = outgoing.method,
                                      .target = base.path + outgoing.path,
                                      .fields = std::move(outgoing.fields),
                                      .head_lines = head_lines(provider, outgoing),
                                      .body = outgoing.body,
                                      .resend = outgoing.repeatable};
    RetrySchedule schedule(provider, outgoing.retries.value_or(provider.retries));
    const std::int64_t end_us =
        async::Deadlines::now_us() + provider.total_timeout.count() * 1000; // retries included
    while (true) {
        if (!breaker_->try_pass(provider.breaker, async::Deadlines::now_us())) {
            co_return fail(ErrorCode::kProviderOverloaded,
                           "provider " + provider.name +
                               " is failing and is left alone for a moment");
        }
        auto outcome = co_await attempt(client, base.origin, request, end_us);
        tries_ += call_->sends();
        const bool again = outcome ? is_retryable(head().status)
                                   : outcome.error().code == ErrorCode::kProviderUnavailable ||
                                         outcome.error().code == ErrorCode::kTimeout;
        if (!again)
            co_return outcome;
        const auto asked =
            outcome ? retry_after(head().fields, SystemClock().epoch_ms()) : std::nullopt;
        if (!outgoing.repeatable && !is_untouched(*call_, outcome, asked.has_value()))
            co_return outcome;
        const auto wait = schedule.next(asked, random_u64(), call_->sends());
        // A breaker that this very request has opened leaves it the provider's own last word.
        const bool is_open = breaker_->state() == CircuitBreaker::State::kOpen;
        if (!wait || is_open || async::Deadlines::now_us() + wait->count() * 1000 >= end_us)
            co_return outcome;
        call_.reset();
        if (auto slept = co_await sleep(*wait); !slept)
            co_return slept;
    }
}

Task<Result<void>> ProviderCall::attempt(http::Client& client, const http::Origin& origin,
                                         const http::ClientRequest& request, std::int64_t end_us) {
    const std::int64_t begin = async::Deadlines::now_us();
    call_ = client.call(origin, {.connect = provider_->connect_timeout,
                                 .first_byte = provider_->first_byte_timeout,
                                 .idle = provider_->idle_timeout,
                                 .total = std::chrono::milliseconds(
                                     std::max<std::int64_t>((end_us - begin) / 1000, 1))});
    auto outcome = co_await call_->send(request);
    const std::int64_t took = async::Deadlines::now_us() - begin;
    waited_us_ += took;
    judge(outcome, took);
    if (!outcome)
        co_return std::unexpected(std::move(outcome).error().with("provider " + provider_->name));
    co_return outcome;
}

/// Tells the breaker what this attempt says about the provider.
void ProviderCall::judge(const Result<void>& outcome, std::int64_t took_us) {
    if (cancelled_ || (!outcome && (outcome.error().code == ErrorCode::kCancelled ||
                                    outcome.error().code == ErrorCode::kOverloaded))) {
        breaker_->abandoned();
        return;
    }
    const Breaker& rule = provider_->breaker;
    const bool slow = rule.slow.count() > 0 && took_us > rule.slow.count() * 1000;
    if (!outcome || head().status >= 500 || slow)
        breaker_->failed(rule, async::Deadlines::now_us());
    else
        breaker_->succeeded(rule, async::Deadlines::now_us());
}

Task<Result<bool>> ProviderCall::read(std::string& out) {
    const std::int64_t begin = async::Deadlines::now_us();
    auto more = co_await call_->read(out);
    waited_us_ += async::Deadlines::now_us() - begin;
    if (!more && !cancelled_ && !hurried_ && more.error().code != ErrorCode::kCancelled)
        breaker_->failed_late(provider_->breaker, async::Deadlines::now_us());
    if (!more)
        co_return std::unexpected(std::move(more).error().with("provider " + provider_->name));
    co_return more;
}

void ProviderCall::hurry(std::chrono::milliseconds left) {
    hurried_ = true;
    call_->hurry(left);
}

void ProviderCall::cancel() {
    cancelled_ = true;
    if (call_)
        call_->cancel();
    if (sleep_)
        sleep_->timer.cancel();
}

Task<Result<void>> ProviderCall::sleep(std::chrono::milliseconds time) {
    const auto cancelled = [] {
        return fail(ErrorCode::kCancelled, "nobody waits for the answer any more");
    };
    if (cancelled_)
        co_return cancelled();
    sleep_ = std::make_unique<Sleep>(context_);
    sleep_->timer.expires_after(time);
    co_await sleep_->timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
    sleep_.reset();
    if (cancelled_)
        co_return cancelled();
    co_return Result<void>();
}

} // namespace larder::provider
