#include "api/application.hpp"

#include "api/cors.hpp"
#include "api/model_routes.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "limit/headers.hpp"

#include <algorithm>
#include <exception>

namespace larder::api {
namespace {

/// The client's own id where it is harmless, else a new one.
std::string make_request_id(const http::Fields& fields) {
    if (const auto given = fields.find("x-request-id")) {
        const auto harmless = [](char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   c == '-' || c == '_' || c == '.';
        };
        if (!given->empty() && given->size() <= 64 && std::ranges::all_of(*given, harmless))
            return std::string(*given);
    }
    const std::uint64_t id = random_u64();
    return text::hex({reinterpret_cast<const char*>(&id), sizeof id});
}

bool has_coded_body(const http::RequestHead& head) {
    const auto coding = head.fields.find("content-encoding");
    return coding && !text::equals_ignoring_case(*coding, "identity");
}

/// The part of an origin or a Host field that names the machine.
std::string_view authority_of(std::string_view origin) {
    const std::size_t scheme = origin.find("://");
    return scheme == std::string_view::npos ? origin : origin.substr(scheme + 3);
}

bool is_local_name(std::string_view host) {
    if (host.starts_with("localhost"))
        return host.size() == 9 || host[9] == ':';
    return net::parse_address(host).has_value();
}

/// In open mode no key stands between a web page and what costs money: a page of another origin
/// must be listed, and what is for the loopback interface is for its own names only (another name
/// that leads there is DNS rebinding).
Result<void> refuse_foreign_pages(const Settings& settings, const Route& route,
                                  const http::RequestHead& head) {
    if (!settings.authenticator.is_open() || route.scopes == 0)
        return {};
    const auto origin = head.fields.find("origin");
    const bool listed =
        origin && std::ranges::any_of(settings.cors_origins, [&](const std::string& one) {
            return one == "*" || one == *origin;
        });
    if (origin && !listed && !text::equals_ignoring_case(authority_of(*origin), head.host))
        return fail(ErrorCode::kForbidden,
                    "pages of this origin may not ask: server.cors.origins would allow it");
    const bool is_local = route.is_local || (route.scopes & (kScopeAdmin | kScopeSessions)) != 0;
    if (is_local && !is_local_name(head.host))
        return fail(ErrorCode::kForbidden, "in open mode this answers to an address or localhost "
                                           "as Host only: auth.mode: keys would allow others");
    return {};
}

bool is_expensive(const Settings& settings, const Context& context) {
    const http::RequestHead& head = context.exchange.head();
    const std::string route = limited_as(*context.route, head.method_text, head.path);
    return std::ranges::any_of(settings.expensive_routes, [&](const std::string& pattern) {
        return text::matches_glob(pattern, route);
    });
}

} // namespace

std::shared_ptr<const Settings> SettingsHolder::get() const {
    struct Kept {
        const SettingsHolder* holder = nullptr;
        std::uint64_t version = 0;
        std::shared_ptr<const Settings> settings;
    };
    thread_local Kept kept;
    const std::uint64_t version = version_.load(std::memory_order_acquire);
    if (kept.holder != this || kept.version != version) {
        const std::lock_guard lock(mutex_);
        kept = {this, version, newest_};
    }
    return kept.settings;
}

void SettingsHolder::set(std::shared_ptr<const Settings> settings) {
    const std::lock_guard lock(mutex_);
    newest_ = std::move(settings);
    version_.fetch_add(1, std::memory_order_release);
}

Application::Application(SettingsHolder& settings, const Clock& clock, limit::Limiter& limiter,
                         LlmRoutes& llm, EmbeddingRoutes& embeddings, ExplainRoutes& explain,
                         PassRoutes& pass, OperationRoutes& operation, SessionRoutes& sessions,
                         WorkflowRoutes& workflows, metrics::Registry& registry)
    : settings_(settings), clock_(clock), limiter_(limiter), llm_(llm), embeddings_(embeddings),
      explain_(explain), pass_(pass), operation_(operation), sessions_(sessions),
      workflows_(workflows), telemetry_(registry) {}

http::Response Application::refuse(const Error& error) const {
    const std::string id = make_request_id({});
    http::Response response = error_response(Style::kLlm, error, id);
    response.fields.emplace_back("x-request-id", id);
    return response;
}

Task<void> Application::handle(http::Exchange& exchange) {
    const std::string request_id = make_request_id(exchange.head().fields);
    auto settings = settings_.get();
    const async::TimeBudget store_budget(settings->store_budget);
    Context context{.exchange = exchange,
                    .settings = std::move(settings),
                    .request_id = request_id,
                    .store_budget = store_budget};
    context.head_lines.reserve(448);
    ((context.head_lines += "x-request-id: ") += request_id) += "\r\n";
    bool failed = false;
    try {
        co_await serve(context);
    } catch (const std::exception& exception) {
        log::Line(log::Level::kError, "a request ended by an exception")
            .text("reqId", request_id)
            .text("what", exception.what());
        failed = true;
    }
    if (failed && exchange.replied())
        exchange.abort();
    else if (failed)
        co_await reply_error(context,
                             Error{.code = ErrorCode::kInternal, .message = "internal error"});
    telemetry_.record(context);
}

Task<void> Application::serve(Context& context) {
    const http::RequestHead& head = context.exchange.head();
    const CorsDecision cors = decide_cors(context.settings->cors_origins, head);
    context.head_lines += cors.head_lines;
    if (cors.is_preflight) {
        co_await reply_with(context, http::Response{.status = 204});
        co_return;
    }
    std::string allow;
    if (head.method == http::Method::kOptions && head.path == "*")
        allow = "DELETE, GET, HEAD, PATCH, POST, PUT";
    context.route = find_route(head.method_text, head.path, allow);
    const bool is_either = context.route == nullptr ||
                           context.route->endpoint == Endpoint::kModelList ||
                           context.route->endpoint == Endpoint::kPassThrough;
    context.style = is_either
                        ? style_of(head.path, head.fields.find("anthropic-version").has_value())
                        : context.route->style;
    if (context.style == Style::kAnthropic) // where its SDK looks for it
        ((context.head_lines += "request-id: ") += context.request_id) += "\r\n";
    if (context.route == nullptr) {
        if (allow.empty()) {
            co_await reply_error(context, {.code = ErrorCode::kNotFound,
                                           .message = "there is nothing at this path"});
            co_return;
        }
        allow += ", OPTIONS";
        ((context.head_lines += "Allow: ") += allow) += "\r\n";
        if (head.method == http::Method::kOptions) {
            co_await reply_with(context, http::Response{.status = 204});
            co_return;
        }
        co_await reply_error(
            context, {.code = ErrorCode::kMethodNotAllowed, .message = "this path takes " + allow});
        co_return;
    }
    const auto known = authenticate(context);
    // Who may not do this takes nothing from a user's limit: it is counted by address, and a known
    // key without the scope apart from unknown callers, which must not use up what it has.
    const bool forbidden = !known && known.error().code == ErrorCode::kForbidden;
    if (!known)
        context.principal = nullptr;
    // Guessing keys is limited everywhere.
    if ((context.route->tier != Tier::kNone || !known) &&
        !co_await passes_limit(context, forbidden))
        co_return;
    if (!known) {
        co_await reply_error(context, known.error());
        co_return;
    }
    if (has_coded_body(head)) {
        co_await reply_error(context, {.code = ErrorCode::kUnsupportedMedia,
                                       .message = "a body with a Content-Encoding is not taken",
                                       .field = "content-encoding"});
        co_return;
    }
    co_await dispatch(context);
}

Result<void> Application::authenticate(Context& context) const {
    const http::RequestHead& head = context.exchange.head();
    const Settings& settings = *context.settings;
    context.client = context.exchange.peer();
    if (!settings.trusted_proxies.empty())
        context.client = net::client_address(context.client, head.fields.joined("x-forwarded-for"),
                                             settings.trusted_proxies);
    if (context.route->scopes == 0)
        return {};
    LARDER_CHECK(refuse_foreign_pages(settings, *context.route, head));
    LARDER_TRY(context.principal, settings.authenticator.authenticate(
                                      {.authorization = head.fields.find("authorization"),
                                       .x_api_key = head.fields.find("x-api-key")}));
    return settings.authenticator.authorize(
        *context.principal, context.route->scopes,
        {.loopback = context.exchange.peer().is_loopback(), .is_local = context.route->is_local});
}

Application::Counted Application::counted_of(const Context& context, bool forbidden) const {
    const Settings& settings = *context.settings;
    Counted counted;
    if (!settings.expensive_routes.empty() && is_expensive(settings, context)) {
        counted.rule_id = 2;
        counted.rule = &settings.expensive;
    } else {
        const bool is_llm = context.route->tier == Tier::kLlm;
        counted.rule_id = is_llm ? 0 : 1;
        counted.rule = is_llm ? &settings.llm : &settings.standard;
    }
    if (forbidden)
        counted.rule_id |= 4;
    if (context.principal != nullptr && context.principal->known)
        counted.user = &context.principal->user;
    else
        counted.address = net::limit_subject(context.client);
    return counted;
}

/// Takes one call and adds the limit's fields to the reply; when there is none left it has replied.
Task<bool> Application::passes_limit(Context& context, bool forbidden) {
    const Counted counted = counted_of(context, forbidden);
    if (counted.rule->max == 0)
        co_return true;
    const std::int64_t now_ms = clock_.epoch_ms();
    limit::Decision decision;
    bool is_lost = false; // the store that counts, and the configuration says: nobody passes
    if (const auto taken =
            limiter_.try_take(*counted.rule, counted.rule_id, counted.subject(), now_ms)) {
        decision = *taken;
    } else {
        const limit::Reservation made = co_await ask_limiter(context, counted, now_ms);
        decision = made.decisions.front();
        is_lost = made.unavailable;
    }
    limit::write_rate_headers(context.head_lines, *counted.rule, decision, decision.decided_at_ms);
    if (decision.allowed)
        co_return true;
    if (is_lost) {
        co_await reply_error(context, {.code = ErrorCode::kStore,
                                       .message = "the store of the limits can't be reached"});
        co_return false;
    }
    context.error_code = "rate_limited";
    co_await reply_with(context, rate_limited_response(context.style, counted.rule->message,
                                                       limit::retry_after_seconds(decision),
                                                       context.request_id));
    co_return false;
}

Task<limit::Reservation> Application::ask_limiter(Context& context, const Counted& counted,
                                                  std::int64_t now_ms) {
    std::vector<limit::Charge> charges;
    charges.push_back({.rule = counted.rule,
                       .rule_id = counted.rule_id,
                       .kind = counted.subject().kind,
                       .id = std::string(counted.subject().id)});
    co_return co_await limiter_.reserve(std::move(charges), now_ms, context.store_budget);
}

Task<void> Application::dispatch(Context& context) {
    switch (context.route->endpoint) {
    case Endpoint::kGenerate:
        return llm_.complete(context, protocol::Dialect::kLlm);
    case Endpoint::kChatCompletions:
        return llm_.complete(context, protocol::Dialect::kOpenAiChat);
    case Endpoint::kResponses:
        return llm_.complete(context, protocol::Dialect::kOpenAiResponses);
    case Endpoint::kEmbeddings:
        return embeddings_.embed(context);
    case Endpoint::kMessages:
        return llm_.complete(context, protocol::Dialect::kAnthropicMessages);
    case Endpoint::kExplain:
        return explain_.serve(context);
    case Endpoint::kCountTokens:
    case Endpoint::kPassThrough:
        return pass_.serve(context);
    case Endpoint::kModels:
    case Endpoint::kModelList:
        return serve_models(context);
    case Endpoint::kSessionCreate:
    case Endpoint::kSessionList:
    case Endpoint::kSessionEndAll:
    case Endpoint::kSessionRead:
    case Endpoint::kSessionReplace:
    case Endpoint::kSessionMerge:
    case Endpoint::kSessionEnd:
    case Endpoint::kSessionRotate:
        return sessions_.serve(context);
    case Endpoint::kWorkflowExecute:
    case Endpoint::kWorkflowGenerate:
    case Endpoint::kWorkflowSchema:
        return workflows_.serve(context);
    default:
        return operation_.serve(context);
    }
}

Task<void> reply_with(Context& context, http::Response response) {
    response.head_lines = context.head_lines;
    co_await context.exchange.reply(std::move(response));
}

Task<void> reply_error(Context& context, const Error& error) {
    if (error.code == ErrorCode::kCancelled && context.exchange.gone())
        context.exchange.abort();
    if (context.exchange.replied() || context.exchange.gone())
        co_return;
    context.error_code = name_of(error.code);
    http::Response response = error_response(context.style, error, context.request_id);
    co_await reply_with(context, std::move(response));
}

} // namespace larder::api
