#include "api/pass_routes.hpp"

#include "api/json_response.hpp"
#include "api/model_routes.hpp"
#include "api/stream_writer.hpp"
#include "base/text.hpp"
#include "gateway/pass_events.hpp"
#include "gateway/provider_reply.hpp"

#include <array>
#include <charconv>

namespace larder::api {
namespace {

/// What one reply holds of the body at a time, at most.
constexpr std::size_t kBuffered = 64UL * 1024;
constexpr int kNoContent = 204;
constexpr int kNotModified = 304;

/// While it lives, a client that leaves ends the call.
class Watch {
public:
    Watch(http::Exchange& exchange, provider::ProviderCall& call) : exchange_(exchange) {
        exchange_.watch_gone([&call] { call.cancel(); });
    }
    ~Watch() { exchange_.watch_gone(nullptr); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

private:
    http::Exchange& exchange_;
};

/// Whether an event could follow these bytes: only at the end of another one.
bool ends_at_an_event(std::string_view tail) {
    return tail.empty() || tail.ends_with("\n\n") || tail.ends_with("\r\r") ||
           tail.ends_with("\r\n\r\n");
}

/// Whether it is the client's to read as it came: not compressed.
bool is_plain(const http::Fields& fields) {
    const auto coding = fields.find("content-encoding");
    return !coding || text::equals_ignoring_case(*coding, "identity");
}

/// The fields that say what the body is, which part of it, and of which version.
http::OwnedFields body_fields(const http::Fields& fields) {
    static constexpr std::array<std::string_view, 7> kNames{
        "content-type", "content-disposition", "content-encoding", "content-range",
        "etag",         "last-modified",       "accept-ranges"};
    http::OwnedFields kept;
    for (const std::string_view name : kNames) {
        if (fields.count(name) > 0)
            kept.emplace_back(name, fields.joined(name));
    }
    kept.emplace_back("X-Content-Type-Options", "nosniff");
    return kept;
}

/// How many bytes the body has, where the reply tells.
std::optional<std::uint64_t> length_of(const http::ResponseHead& head, bool to_head_request) {
    if (head.framing.kind == http::BodyFraming::Kind::kLength)
        return head.framing.length;
    if (!to_head_request)
        return std::nullopt;
    const std::string_view text = head.fields.find("content-length").value_or("");
    std::uint64_t length = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), length);
    if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
        return std::nullopt;
    return length;
}

std::unexpected<Error> unreadable(const provider::Provider& provider, const std::string& why) {
    return fail(ErrorCode::kProviderUnreadable,
                "provider " + provider.name + " answered what can't be passed on: " + why);
}

} // namespace

PassRoutes::PassRoutes(Parts parts) : parts_(std::move(parts)) {
    for (std::size_t i = 0; i < parts_.runtime.size(); ++i)
        clients_.push_back(std::make_unique<http::Client>(parts_.runtime.context(i), parts_.proxy));
}

Task<void> PassRoutes::serve(Context& context) {
    const http::RequestHead& head = context.exchange.head();
    const provider::Catalog& catalog = context.settings->gateway->catalog;
    const bool only_reads = head.method == http::Method::kGet || head.method == http::Method::kHead;
    if (only_reads && head.fields.count("x-larder-provider") == 0) {
        const auto id = gateway::model_of_path(head.path);
        if (auto shown = id ? local_model(catalog, *id, context.style) : std::nullopt) {
            co_await reply_with(context, json_response(*std::move(shown)));
            co_return;
        }
    }
    auto sending = std::make_unique<Sending>(parts_.budget);
    auto body = co_await context.exchange.read_body(context.settings->max_body, &sending->share);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    sending->body = *std::move(body);
    const gateway::PassRequest request{.method = head.method_text,
                                       .target = head.target,
                                       .path = head.path,
                                       .query = head.query,
                                       .fields = head.fields,
                                       .body = sending->body,
                                       .strips_cache = context.settings->gateway->compat.litellm};
    auto plan = context.route->endpoint == Endpoint::kCountTokens
                    ? gateway::plan_count(catalog, request)
                    : gateway::plan_pass(catalog, request);
    if (!plan) {
        co_await reply_error(context, plan.error());
        co_return;
    }
    sending->plan = *std::move(plan);
    co_await pass(context, std::move(sending));
}

Task<void> PassRoutes::pass(Context& context, std::unique_ptr<Sending> sending) {
    const provider::Provider& provider = *sending->plan.provider; // `context` has its settings
    context.provider = provider.name;
    context.model = sending->plan.model;
    context.outcome = gateway::name_of(gateway::Outcome::kBypass);
    add_cache_lines(context.head_lines, gateway::Outcome::kBypass, 0);
    provider::ProviderCall call(parts_.runtime.context(async::Runtime::current()));
    Result<void> outcome;
    {
        const Watch watch(context.exchange, call);
        outcome = co_await forward(context, call, std::move(sending));
    }
    context.provider_wait_us = call.waited_us();
    record(call, outcome.has_value() && context.exchange.status() < 400);
    if (outcome)
        co_return;
    outcome.error().message = gateway::masked(provider, outcome.error().message);
    if (context.exchange.replied()) {
        context.error_code = name_of(outcome.error().code);
        context.exchange.abort(); // the client must see that it is not whole
    } else {
        co_await reply_error(context, outcome.error());
    }
}

/// An Error: nothing was replied, or the reply broke in the middle.
Task<Result<void>> PassRoutes::forward(Context& context, provider::ProviderCall& call,
                                       std::unique_ptr<Sending> sending) {
    gateway::PassPlan& plan = sending->plan;
    const provider::Provider& provider = *plan.provider;
    auto sent = co_await call.send(*clients_[async::Runtime::current()], parts_.breakers, provider,
                                   {.method = context.exchange.head().method_text,
                                    .path = std::move(plan.path),
                                    .fields = std::move(plan.fields),
                                    .body = plan.body ? *plan.body : sending->body,
                                    .content_type = plan.content_type,
                                    .accept = plan.accept,
                                    .repeatable = plan.repeatable});
    if (!sent)
        co_return sent;
    sending.reset(); // a long reply holds no memory for what was asked
    const http::ResponseHead& head = call.head();
    const bool redirects = head.status >= 300 && head.status < 400 && head.status != kNotModified;
    if (head.status < 200 || head.status >= 600 || redirects)
        co_return unreadable(provider, "its status is " + std::to_string(head.status));
    add_provider_lines(context.head_lines, gateway::kept_fields(head.fields, head.status),
                       context.style);
    if (head.status >= 400 && context.exchange.head().method != http::Method::kHead)
        co_return co_await relay_error(context, call, provider);
    co_return co_await relay(context, call, provider);
}

Task<Result<void>> PassRoutes::relay(Context& context, provider::ProviderCall& call,
                                     const provider::Provider& provider) {
    http::Exchange& exchange = context.exchange;
    const http::ResponseHead& head = call.head();
    BudgetShare share(parts_.budget);
    if (!share.grow(kBuffered))
        co_return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
    std::string bytes;
    if (head.status == kNoContent || head.status == kNotModified) {
        (void)co_await call.read(bytes); // to its end, so that the connection can be used again
        http::Response response{.status = head.status};
        if (head.status == kNotModified)
            response.fields = body_fields(head.fields);
        co_await reply_with(context, std::move(response));
        co_return Result<void>();
    }
    const bool has_body = exchange.head().method != http::Method::kHead;
    const auto length = length_of(head, !has_body);
    if (has_body && is_plain(head.fields) &&
        gateway::is_event_stream(head.fields.find("content-type").value_or("")))
        co_return co_await relay_events(context, call, provider, length.has_value());
    auto begun = co_await exchange.begin_stream(head.status, body_fields(head.fields),
                                                context.head_lines, length);
    while (begun) {
        bytes.clear();
        const auto more = co_await call.read(bytes);
        if (!more)
            co_return std::unexpected(more.error());
        if (!*more)
            co_return co_await exchange.end_stream();
        begun = co_await exchange.write(bytes);
    }
    co_return begun;
}

/// Without a length: what hides a key changes it. `is_measured`: the provider told one.
Task<Result<void>> PassRoutes::relay_events(Context& context, provider::ProviderCall& call,
                                            const provider::Provider& provider, bool is_measured) {
    http::Exchange& exchange = context.exchange;
    gateway::PassEvents events(provider);
    BudgetShare share(parts_.budget);
    std::size_t counted = 0;
    std::string bytes;
    auto begun = co_await exchange.begin_stream(call.head().status, body_fields(call.head().fields),
                                                context.head_lines, std::nullopt);
    while (begun) {
        bytes.clear();
        const auto more = co_await call.read(bytes);
        if (more && *more) {
            events.feed(bytes);
            const std::size_t held = events.held().size();
            if (held > counted && !share.grow(held - counted))
                co_return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
            counted = std::max(counted, held);
            if (!bytes.empty())
                begun = co_await exchange.write(bytes);
            continue;
        }
        const bool is_between = ends_at_an_event(events.held());
        bytes = events.finish();
        if (!more && (is_measured || !is_between || exchange.gone()))
            co_return std::unexpected(more.error());
        if (!more) { // an event of ours can follow
            context.error_code = name_of(more.error().code);
            bytes += error_event(context.style, more.error(), context.request_id);
        }
        if (!bytes.empty())
            (void)co_await exchange.write(bytes);
        co_return co_await exchange.end_stream();
    }
    co_return begun;
}

Task<Result<void>> PassRoutes::relay_error(Context& context, provider::ProviderCall& call,
                                           const provider::Provider& provider) {
    const http::ResponseHead& head = call.head();
    if (!is_plain(head.fields))
        co_return unreadable(provider, "an error that is compressed");
    const std::string content_type(head.fields.find("content-type").value_or("application/json"));
    const int status = head.status;
    BudgetShare share(parts_.budget);
    const auto body = co_await gateway::read_whole(call, share, gateway::kLargestError);
    if (!body)
        co_return std::unexpected(body.error());
    context.error_code = name_of(ErrorCode::kProviderRejected);
    co_await reply_with(context,
                        provider_error_response(context.style, true, status,
                                                gateway::masked_body(provider, *body), content_type,
                                                provider.name, context.request_id));
    co_return Result<void>();
}

void PassRoutes::record(const provider::ProviderCall& call, bool answered) const {
    if (call.tries() > 0)
        parts_.ledger.record({.outcome = ledger::Outcome::kCall, .upstream_calls = call.tries()});
    if (answered)
        parts_.ledger.record({.outcome = ledger::Outcome::kBypassed});
}

} // namespace larder::api
