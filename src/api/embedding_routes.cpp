#include "api/embedding_routes.hpp"

#include "api/json_response.hpp"
#include "api/llm_routes.hpp"
#include "api/stream_writer.hpp"
#include "base/hash.hpp"
#include "gateway/first_byte.hpp"
#include "gateway/leaving.hpp"

#include <algorithm>
#include <utility>

namespace larder::api {
namespace {

using gateway::EmbeddingsBatch;
using gateway::FlightEnd;
using gateway::Outcome;
using protocol::Dialect;

/// Follows a flight to its end, for as long as `bound` allows where there is one; null when the
/// client has gone, or the bound has passed.
Task<std::shared_ptr<const FlightEnd>> follow(http::Exchange& exchange,
                                              gateway::Gateway::Joined joined,
                                              std::optional<std::chrono::milliseconds> bound) {
    gateway::Leaving leaving(joined);
    const auto follower = joined.follower;
    exchange.watch_gone([follower] { follower->signal.notify(); });
    const gateway::FirstByteBound patience(exchange.executor(), follower, bound);
    gateway::Flight::News news;
    while (!exchange.gone() && !news.end && !patience.has_passed()) {
        if (!joined.flight->poll(*follower, news))
            co_await follower->signal.wait();
    }
    exchange.watch_gone(nullptr);
    leaving.now(patience.has_passed() && !news.end);
    co_return exchange.gone() ? nullptr : std::move(news.end);
}

} // namespace

Task<void> EmbeddingRoutes::embed(Context& context) {
    const http::RequestHead& head = context.exchange.head();
    const gateway::Settings& settings = *context.settings->gateway;
    BudgetShare share(budget_);
    auto body = co_await context.exchange.read_body(context.settings->max_body, &share);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    auto directives =
        gateway::read_directives(head.fields, settings.cache.ttl_max, settings.compat);
    if (!directives) {
        co_await reply_error(context, directives.error());
        co_return;
    }
    if (directives->buckets > 1)
        directives->bucket = static_cast<std::uint32_t>(random_u64() % directives->buckets);
    const gateway::Inquiry inquiry{.dialect = Dialect::kOpenAiEmbeddings,
                                   .body = *body,
                                   .query = head.query,
                                   .name_space = context.principal->name_space,
                                   .user = context.principal->user,
                                   .route = route_field(head.fields),
                                   .session = session_field(head.fields),
                                   .forwarded =
                                       forwarded_fields(Dialect::kOpenAiEmbeddings, head.fields),
                                   .directives = *std::move(directives)};
    auto batch = gateway_.prepare_embeddings(context.settings->gateway, inquiry);
    if (!batch) {
        co_await reply_error(context, batch.error());
        co_return;
    }
    const gateway::RouteChoice choice = std::move((*batch)->choice);
    if (choice.is_routed())
        context.trace = RouteTrace{.route = choice.route, .mode = choice.mode, .tried = {}};
    if (co_await reply_kept(context, inquiry, **batch, choice))
        co_return;
    bool may_ask_again = true;
    for (std::size_t way = 0; batch;) {
        const gateway::RouteCandidate* candidate =
            choice.is_routed() ? &choice.candidates[way] : nullptr;
        const Fate fate = co_await ask(context, **batch, candidate, may_ask_again);
        if (fate == Fate::kAnswered)
            co_return;
        if (fate == Fate::kNext)
            candidate = &choice.candidates[++way];
        else
            may_ask_again = false;
        batch = gateway_.prepare_embeddings(context.settings->gateway, inquiry, candidate);
        if (batch)
            co_await gateway_.look_up_vectors(**batch, context.store_budget);
    }
    co_await reply_error(context, batch.error());
}

/// Where all of it is kept, of whichever model of the route: then, or where only that is wanted,
/// the client has its reply.
Task<bool> EmbeddingRoutes::reply_kept(Context& context, const gateway::Inquiry& inquiry,
                                       EmbeddingsBatch& first, const gateway::RouteChoice& choice) {
    constexpr std::size_t kMostBytes = 4UL << 20; // that are read anew for the route's other models
    const auto reply = [&](const EmbeddingsBatch& batch) {
        set_names(context, batch);
        if (context.trace)
            context.trace->tried.push_back(
                {.provider = context.provider, .model = context.model, .result = "hit"});
        return reply_found(
            context, batch,
            {.outcome = Outcome::kHit, .hits = batch.places.size(), .saved = batch.cost(false)});
    };
    context.refreshes = first.prepared.directives.no_cache;
    co_await gateway_.look_up_vectors(first, context.store_budget);
    if (first.is_complete()) {
        co_await reply(first);
        co_return true;
    }
    for (std::size_t way = 1;
         way < choice.candidates.size() && way * inquiry.body.size() < kMostBytes; ++way) {
        const auto other = gateway_.prepare_embeddings(context.settings->gateway, inquiry,
                                                       &choice.candidates[way]);
        if (!other)
            continue;
        co_await gateway_.look_up_vectors(**other, context.store_budget);
        if ((*other)->is_complete()) {
            co_await reply(**other);
            co_return true;
        }
    }
    if (!first.prepared.directives.only_if_cached)
        co_return false;
    set_names(context, first);
    const Outcome none = first.prepared.may_join ? Outcome::kMiss : Outcome::kBypass;
    add_lines(context, first, {.outcome = none, .hits = first.hits(), .saved = {}}, 0);
    co_await reply_error(context, {.code = ErrorCode::kNotCached,
                                   .message = "not all of it is kept (only-if-cached)"});
    co_return true;
}

/// Asks for what is missing.
Task<EmbeddingRoutes::Fate> EmbeddingRoutes::ask(Context& context, EmbeddingsBatch& batch,
                                                 const gateway::RouteCandidate* candidate,
                                                 bool may_ask_again) {
    const gateway::Prepared& prepared = batch.prepared;
    const std::int64_t began_ms = clock_.epoch_ms();
    set_names(context, batch);
    if (batch.is_complete()) { // somebody else has got it meanwhile
        co_await reply_found(
            context, batch,
            {.outcome = Outcome::kHit, .hits = batch.places.size(), .saved = batch.cost(false)});
        co_return Fate::kAnswered;
    }
    const auto bound = candidate != nullptr ? candidate->first_byte_timeout : std::nullopt;
    auto joined = gateway_.join_vectors(batch, context.exchange.executor());
    const bool leads = joined.leads;
    const Outcome outcome = !prepared.may_join ? Outcome::kBypass
                            : leads            ? Outcome::kMiss
                                               : Outcome::kCoalesced;
    auto end = co_await follow(context.exchange, std::move(joined), bound);
    if (context.exchange.gone())
        co_return Fate::kAnswered;
    if (!end) {
        if (leads)
            gateway_.note_timeout(prepared.target);
        end = std::make_shared<const FlightEnd>(
            gateway::end_without_first_byte(prepared.target, *bound));
    }
    const bool came_whole = !end->error && (end->entry || end->from_cache);
    if (context.trace)
        context.trace->tried.push_back({.provider = context.provider,
                                        .model = context.model,
                                        .result = came_whole ? "200" : gateway::result_of(*end),
                                        .took_ms = clock_.epoch_ms() - began_ms});
    if (candidate != nullptr && !came_whole && gateway::moves_on(candidate->on, *end))
        co_return Fate::kNext;
    if (candidate == nullptr && !came_whole && end->hasty && !leads && may_ask_again)
        co_return Fate::kAgain;
    co_await reply_end(context, batch, *end, outcome);
    co_return Fate::kAnswered;
}

void EmbeddingRoutes::set_names(Context& context, const EmbeddingsBatch& batch) {
    context.provider = batch.prepared.target.provider->name;
    context.model = batch.prepared.target.model;
}

Task<void> EmbeddingRoutes::reply_end(Context& context, EmbeddingsBatch& batch,
                                      const FlightEnd& end, Outcome outcome) {
    context.provider_wait_us += end.provider_wait_us;
    if (gateway::is_failure(end) && batch.has_all()) {
        co_await reply_found(
            context, batch,
            {.outcome = Outcome::kStale, .hits = batch.places.size(), .saved = batch.cost(false)});
        co_return;
    }
    if (!end.error && (end.entry || end.from_cache)) {
        co_await reply_asked(context, batch, end, end.from_cache ? Outcome::kHit : outcome);
        co_return;
    }
    add_lines(context, batch, {.outcome = outcome, .hits = batch.hits(), .saved = {}}, 0);
    if (end.error) {
        co_await reply_error(context, *end.error);
        co_return;
    }
    add_provider_lines(context.head_lines, end.provider_fields, context.style);
    context.error_code = name_of(ErrorCode::kProviderRejected);
    co_await reply_with(context,
                        provider_error_response(context.style, true, end.provider_status,
                                                end.provider_body, end.provider_content_type,
                                                context.provider, context.request_id));
}

/// What was asked for has come: alone it is the provider's own answer, else it joins what was kept.
Task<void> EmbeddingRoutes::reply_asked(Context& context, EmbeddingsBatch& batch,
                                        const FlightEnd& end, Outcome outcome) {
    const std::size_t inputs = batch.call.inputs.size();
    Account account{.outcome = outcome,
                    .hits = outcome == Outcome::kHit ? inputs : batch.hits(),
                    .saved = batch.cost(true)};
    const bool is_whole = batch.elements.empty() || batch.asked.size() == inputs;
    if (is_whole && end.entry) {
        if (outcome == Outcome::kCoalesced)
            account.saved = end.entry->cost;
        co_await reply_whole(context, batch, end, account);
        co_return;
    }
    if (!gateway_.take_asked(batch, end.vectors)) {
        add_lines(context, batch, account, 0);
        co_await reply_error(context,
                             {.code = ErrorCode::kProviderUnreadable,
                              .message = "provider " + context.provider +
                                         " sent an answer that does not fit what was asked for"});
        co_return;
    }
    if (outcome != Outcome::kMiss)
        account.saved = batch.cost(false);
    add_provider_lines(context.head_lines, end.provider_fields, context.style);
    co_await reply_found(context, batch, account);
}

Task<void> EmbeddingRoutes::reply_whole(Context& context, const EmbeddingsBatch& batch,
                                        const FlightEnd& end, Account account) {
    const std::string_view bytes = end.entry->body;
    BudgetShare share(budget_);
    if (!share.grow(bytes.size())) {
        co_await reply_error(
            context, {.code = ErrorCode::kOverloaded, .message = "too many bytes are in flight"});
        co_return;
    }
    add_lines(context, batch, account, 0);
    add_provider_lines(context.head_lines, end.provider_fields, context.style);
    gateway_.record(account.outcome, account.saved);
    co_await reply_with(context, json_response(std::string(bytes)));
}

/// The batch has all its vectors.
Task<void> EmbeddingRoutes::reply_found(Context& context, const EmbeddingsBatch& batch,
                                        Account account) {
    BudgetShare share(budget_);
    if (!share.grow(batch.answer_bytes())) {
        co_await reply_error(
            context, {.code = ErrorCode::kOverloaded, .message = "too many bytes are in flight"});
        co_return;
    }
    auto body = gateway::write_answer(batch);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    add_lines(context, batch, account, batch.oldest_ms());
    gateway_.record(account.outcome, account.saved);
    co_await reply_with(context, json_response(*std::move(body)));
}

/// `made_ms`: when the oldest of the vectors was made; 0: just now.
void EmbeddingRoutes::add_lines(Context& context, const EmbeddingsBatch& batch,
                                const Account& account, std::int64_t made_ms) const {
    const std::int64_t age_ms = made_ms == 0 ? 0 : clock_.epoch_ms() - made_ms;
    context.outcome = gateway::name_of(account.outcome);
    add_cache_lines(context, context.head_lines, account.outcome,
                    std::max<std::int64_t>(age_ms, 0) / 1000);
    if (account.outcome == Outcome::kBypass)
        return;
    (context.head_lines += "x-larder-cache-elements: ") += std::to_string(account.hits);
    ((context.head_lines += '/') += std::to_string(batch.places.size())) += "\r\n";
}

} // namespace larder::api
