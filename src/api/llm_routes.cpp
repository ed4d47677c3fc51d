#include "api/llm_routes.hpp"

#include "api/stream_writer.hpp"
#include "async/deadlines.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "gateway/first_byte.hpp"
#include "gateway/leaving.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace larder::api {
namespace {

using gateway::ClientForm;
using gateway::Outcome;
using protocol::Dialect;

} // namespace

http::OwnedFields forwarded_fields(Dialect dialect, const http::Fields& fields) {
    static constexpr std::array<std::string_view, 3> kOpenAi{"openai-beta", "openai-organization",
                                                             "openai-project"};
    static constexpr std::array<std::string_view, 2> kAnthropic{"anthropic-beta",
                                                                "anthropic-version"};
    http::OwnedFields forwarded;
    if (dialect == Dialect::kLlm)
        return forwarded;
    const std::span<const std::string_view> names =
        dialect == Dialect::kAnthropicMessages ? std::span<const std::string_view>(kAnthropic)
                                               : kOpenAi;
    for (const std::string_view name : names) {
        if (fields.count(name) > 0)
            forwarded.emplace_back(name, fields.joined(name));
    }
    return forwarded;
}

std::string_view route_field(const http::Fields& fields) {
    return text::trim(fields.find("x-larder-route").value_or(""));
}

std::string_view session_field(const http::Fields& fields) {
    return text::trim(fields.find("x-larder-session").value_or(""));
}

Task<void> LlmRoutes::complete(Context& context, Dialect dialect) {
    const http::RequestHead& head = context.exchange.head();
    BudgetShare share(budget_);
    auto body = co_await context.exchange.read_body(context.settings->max_body, &share);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    auto directives = gateway::read_directives(
        head.fields, context.settings->gateway->cache.ttl_max, context.settings->gateway->compat);
    if (!directives) {
        co_await reply_error(context, directives.error());
        co_return;
    }
    if (directives->buckets > 1)
        directives->bucket = static_cast<std::uint32_t>(random_u64() % directives->buckets);
    const gateway::Inquiry inquiry{.dialect = dialect,
                                   .body = *body,
                                   .query =
                                       dialect == Dialect::kLlm ? std::string_view() : head.query,
                                   .name_space = context.principal->name_space,
                                   .user = context.principal->user,
                                   .route = route_field(head.fields),
                                   .session = session_field(head.fields),
                                   .forwarded = forwarded_fields(dialect, head.fields),
                                   .directives = *std::move(directives)};
    co_await answer(context, inquiry);
}

Task<void> LlmRoutes::answer(Context& context, const gateway::Inquiry& inquiry) {
    // Where another node was waited for and is gone, it is asked for once more.
    if (!co_await try_to_answer(context, inquiry, false))
        (void)co_await try_to_answer(context, inquiry, true);
}

/// False when the client has got nothing, and may ask again.
Task<bool> LlmRoutes::try_to_answer(Context& context, const gateway::Inquiry& inquiry,
                                    bool is_last) {
    const gateway::Directives& directives = inquiry.directives;
    const gateway::Settings& settings = *context.settings->gateway;
    const Executor executor = context.exchange.executor();
    std::optional<Sha256> alias;
    std::optional<gateway::Alias> known;
    gateway::PlanLookUp looked;
    const std::int64_t looked_up_ms = clock_.epoch_ms();
    context.trace.reset();
    if (settings.cache.enabled && !directives.no_cache && !directives.no_store &&
        inquiry.route.empty()) {
        ClientForm form = ClientForm::kLlmPlain;
        alias = gateway_.alias_key(settings, inquiry);
        if (auto found = gateway_.find_alias(*alias, directives, form)) {
            if (co_await reply_found(context, *std::move(found), form, Outcome::kHit))
                co_return true;
        }
        known = gateway_.known_alias(*alias);
    }
    // Bytes that were seen before need no second parse to be looked up.
    if (known) {
        if (auto running = directives.only_if_cached
                               ? std::nullopt
                               : gateway_.join_running(known->key, executor)) {
            StreamWriter writer(context);
            auto stale = gateway_.find_kept(known->key, directives);
            const Fate fate = co_await follow(context, writer, *std::move(running),
                                              {.form = known->form,
                                               .stale_form = known->form,
                                               .outcome = Outcome::kCoalesced,
                                               .is_last = is_last,
                                               .first_byte_timeout = {},
                                               .target = {}},
                                              stale);
            co_return fate == Fate::kAnswered;
        }
        auto kept = co_await gateway_.look_up(known->key, directives, !directives.only_if_cached,
                                              context.store_budget);
        if (kept.found && kept.found->fresh) {
            if (co_await reply_found(context, *std::move(kept.found), known->form, Outcome::kHit))
                co_return true;
            kept.found.reset();
        }
        looked = {.way = 0, .found = std::move(kept.found), .claim = std::move(kept.claim)};
    }
    auto plan = gateway_.plan(context.settings->gateway, inquiry);
    if (!plan) {
        if (known)
            gateway_.give_up(known->key, looked.claim);
        co_await reply_error(context, plan.error());
        co_return true;
    }
    gateway::Prepared& first = plan->ways.front().prepared;
    if (plan->is_routed())
        context.trace =
            RouteTrace{.route = plan->choice.route, .mode = plan->choice.mode, .tried = {}};
    else if (alias)
        gateway_.learn_alias(*alias, first);
    context.refreshes = first.directives.no_cache; // with those of the body
    if (known) {
        first.looked_up_ms = looked_up_ms;
    } else {
        looked = co_await gateway_.look_up(*plan, first.directives,
                                           first.may_join && !first.directives.only_if_cached,
                                           context.store_budget);
        if (!first.may_read && first.may_join && !first.directives.no_cache)
            looked.claim = co_await gateway_.claim(first.key, context.store_budget);
    }
    co_return co_await ask_ways(context, inquiry, *plan, std::move(looked), is_last);
}

/// What the cache has, else the models of the plan, one after the other.
Task<bool> LlmRoutes::ask_ways(Context& context, const gateway::Inquiry& inquiry,
                               gateway::Plan& plan, gateway::PlanLookUp looked, bool is_last) {
    const gateway::Directives directives = plan.ways.front().prepared.directives;
    const auto name = [&](const gateway::Prepared& prepared) {
        context.provider = prepared.target.provider->name;
        context.model = prepared.target.model;
    };
    name(plan.ways.front().prepared);
    if (looked.found && looked.found->fresh) {
        const gateway::Prepared& kept = plan.ways[looked.way].prepared;
        if (looked.way > 0)
            gateway_.give_up(plan.ways.front().prepared.key, std::exchange(looked.claim, {}));
        name(kept);
        if (co_await reply_found(context, *std::move(looked.found), kept.form, Outcome::kHit))
            co_return true;
        looked.found.reset();
    }
    if (directives.only_if_cached) {
        const Outcome none =
            plan.ways.front().prepared.may_join ? Outcome::kMiss : Outcome::kBypass;
        context.outcome = gateway::name_of(none);
        add_cache_lines(context, context.head_lines, none, 0);
        co_await reply_error(context, {.code = ErrorCode::kNotCached,
                                       .message = "there is no kept answer (only-if-cached)"});
        co_return true;
    }
    StreamWriter writer(context);
    const ClientForm stale_form = plan.ways[looked.way].prepared.form;
    for (std::size_t way = 0;; ++way) {
        const gateway::Way& asked = plan.ways[way];
        auto prepared = gateway_.take_way(plan, inquiry, way);
        if (!prepared && asked.on != nullptr)
            continue; // it can't take the request
        if (!prepared) {
            co_await reply_error(context, prepared.error());
            co_return true;
        }
        Following following{.form = prepared->form,
                            .stale_form = stale_form,
                            .outcome = Outcome::kMiss,
                            .is_last = is_last,
                            .on = asked.on,
                            .first_byte_timeout = asked.first_byte_timeout,
                            .target = prepared->target,
                            .began_ms = clock_.epoch_ms()};
        name(*prepared);
        const bool is_new = way > 0 && prepared->may_join && !plan.repeats_key(way);
        if (is_new && prepared->may_read) {
            // While the others were asked, another node may have got it.
            auto kept =
                co_await gateway_.look_up(prepared->key, directives, true, context.store_budget);
            looked.claim = std::move(kept.claim);
            if (kept.found && kept.found->fresh && !writer.has_begun() &&
                co_await reply_found(context, *std::move(kept.found), following.form,
                                     Outcome::kHit))
                co_return true;
        } else if (is_new) {
            looked.claim = co_await gateway_.claim(prepared->key, context.store_budget);
        }
        const Fate fate =
            co_await ask_way(context, writer, *std::move(prepared), std::exchange(looked.claim, {}),
                             std::move(following), looked.found);
        if (fate != Fate::kNext)
            co_return fate == Fate::kAnswered;
    }
}

Task<LlmRoutes::Fate> LlmRoutes::ask_way(Context& context, StreamWriter& writer,
                                         gateway::Prepared prepared, gateway::Claim claim,
                                         Following following,
                                         std::optional<gateway::Found>& stale) {
    const bool shared = prepared.may_join;
    const bool waits = !claim.holder.empty(); // for another node, which asks already
    const gateway::Directives directives = prepared.directives;
    auto joined = gateway_.join(std::move(prepared), directives, std::move(claim),
                                context.exchange.executor());
    following.outcome = !shared                  ? Outcome::kBypass
                        : joined.leads && !waits ? Outcome::kMiss
                                                 : Outcome::kCoalesced;
    return follow(context, writer, std::move(joined), std::move(following), stale);
}

/// False, and nothing was sent, for an entry that can't be read: then it is none.
Task<bool> LlmRoutes::reply_found(Context& context, gateway::Found found, ClientForm form,
                                  Outcome outcome) {
    const cache::Entry& entry = *found.entry;
    const auto wire = gateway_.form_of(found, form);
    if (!wire) {
        gateway_.discard(found);
        co_return false;
    }
    context.outcome = gateway::name_of(outcome);
    if (context.provider.empty()) {
        context.provider = entry.provider.view();
        context.model = entry.model.view();
    }
    if (context.trace)
        context.trace->tried.push_back({.provider = std::string(entry.provider.view()),
                                        .model = std::string(entry.model.view()),
                                        .result = std::string(gateway::name_of(outcome))});
    add_cache_lines(context, context.head_lines, outcome,
                    std::max<std::int64_t>(clock_.epoch_ms() - entry.created_ms, 0) / 1000);
    gateway_.record(outcome, entry);
    if (context.trace && (form == ClientForm::kLlmPlain || form == ClientForm::kLlmStream)) {
        http::Response response;
        response.fields.emplace_back("Content-Type", gateway::content_type_of(form));
        response.body = context.trace->in_metadata((*wire)->body);
        co_await reply_with(context, std::move(response));
        co_return true;
    }
    co_await context.exchange.reply_raw((*wire)->head, context.head_lines, (*wire)->body);
    co_return true;
}

Task<LlmRoutes::Fate> LlmRoutes::follow(Context& context, StreamWriter& writer,
                                        gateway::Gateway::Joined joined, Following following,
                                        std::optional<gateway::Found>& stale) {
    const ClientForm form = following.form;
    http::Exchange& exchange = context.exchange;
    const auto follower = joined.follower;
    const std::chrono::milliseconds silence = context.settings->stream_keep_alive;
    gateway::Leaving leaving(joined);
    exchange.watch_gone([follower] { follower->signal.notify(); });
    async::Deadline quiet(async::Deadlines::of(exchange.executor().context()),
                          [follower] { follower->signal.notify(); });
    gateway::FirstByteBound patience(exchange.executor(), follower, following.first_byte_timeout);
    writer.aim(form, joined.flight->dialect());
    gateway::Flight::News news;
    Result<bool> written = true;
    while (!exchange.gone() && written && !patience.has_passed()) {
        news.blocks.clear();
        if (!joined.flight->poll(*follower, news)) {
            if (gateway::is_stream(form) && silence.count() > 0)
                quiet.arm(silence);
            co_await follower->signal.wait();
            if (quiet.has_expired()) {
                co_await writer.begin(following.outcome, {});
                co_await writer.keep_alive();
            }
            continue;
        }
        if (joined.leads && news.asked_here && following.outcome == Outcome::kCoalesced)
            following.outcome = Outcome::kMiss; // the other node was waited for in vain
        const bool tells = gateway::tells(news);
        if (tells)
            patience.lift();
        // A stream that begins with its failure has told nothing: another model may still answer.
        const bool only_failure = following.on != nullptr && !writer.has_told() &&
                                  !news.blocks.empty() && news.blocks.front()->failure;
        if (gateway::is_stream(form) && news.streaming && !only_failure) {
            if (tells)
                note_attempt(context, following, "200");
            co_await writer.begin(following.outcome, std::move(news.fields));
            written = writer.write(news.blocks);
            if (!written || !*written)
                co_await exchange.flush();
        }
        if (news.end)
            break;
    }
    exchange.watch_gone(nullptr);
    leaving.now(patience.has_passed() && !news.end);
    if (exchange.gone())
        co_return Fate::kAnswered;
    if (patience.has_passed() && !news.end) {
        if (joined.leads)
            gateway_.note_timeout(following.target);
        news.end = std::make_shared<const gateway::FlightEnd>(
            gateway::end_without_first_byte(following.target, *following.first_byte_timeout));
    }
    if (written && !news.end)
        co_return Fate::kAnswered;
    if (written && !writer.has_told() && gateway::moves_on(following.on, *news.end)) {
        note_attempt(context, following, gateway::result_of(*news.end));
        context.provider_wait_us += news.end->provider_wait_us;
        co_return Fate::kNext;
    }
    const bool may_ask_again =
        news.end && (news.end->lost || (news.end->hasty && !joined.leads && !context.trace));
    if (written && !writer.has_begun() && may_ask_again && !following.is_last)
        co_return Fate::kAgain;
    if (!written) {
        co_await writer.fail_with(written.error());
    } else {
        note_attempt(context, following, gateway::result_of(*news.end));
        co_await end_following(context, writer, *news.end, following, std::move(stale));
    }
    if (writer.has_begun())
        co_await exchange.end_stream();
    co_return Fate::kAnswered;
}

/// How a way goes, and in the end went, for who has a route.
void LlmRoutes::note_attempt(Context& context, Following& following, std::string result) const {
    if (!context.trace)
        return;
    if (std::exchange(following.noted, true))
        context.trace->tried.pop_back();
    context.trace->tried.push_back({.provider = following.target.provider->name,
                                    .model = following.target.model,
                                    .result = std::move(result),
                                    .took_ms = clock_.epoch_ms() - following.began_ms});
}

/// What a client gets at the end of the flight that it has followed.
Task<void> LlmRoutes::end_following(Context& context, StreamWriter& writer,
                                    const gateway::FlightEnd& end, const Following& following,
                                    std::optional<gateway::Found> stale) {
    context.provider_wait_us += end.provider_wait_us; // beside that of earlier ways
    if (!writer.has_begun()) {
        co_await reply_end(context, end, following, std::move(stale));
        co_return;
    }
    if (stale && gateway::is_failure(end) && !writer.has_told()) {
        if (const auto kept = gateway_.form_of(*stale, following.stale_form)) {
            gateway_.record(Outcome::kStale, *stale->entry);
            co_await context.exchange.write(context.trace &&
                                                    following.form == ClientForm::kLlmStream
                                                ? context.trace->in_metadata((*kept)->body)
                                                : std::string((*kept)->body));
            co_return;
        }
    }
    if (end.error) {
        context.error_code = name_of(end.error->code);
        if (!writer.has_failed())
            co_await writer.fail_with(*end.error);
        co_return;
    }
    const bool saved = following.outcome == Outcome::kCoalesced || end.from_cache;
    co_await writer.finish(end, saved);
    if (end.entry)
        gateway_.record(following.outcome, *end.entry);
}

/// Answers a client that has got nothing yet, now that the flight is over.
Task<void> LlmRoutes::reply_end(Context& context, const gateway::FlightEnd& end,
                                const Following& following, std::optional<gateway::Found> stale) {
    const ClientForm form = following.form;
    Outcome outcome = following.outcome;
    if (stale && gateway::is_failure(end) &&
        co_await reply_found(context, *std::move(stale), following.stale_form, Outcome::kStale))
        co_return;
    if (end.from_cache)
        outcome = Outcome::kHit;
    context.outcome = gateway::name_of(outcome);
    add_cache_lines(context, context.head_lines, outcome, 0);
    if (end.error) {
        co_await reply_error(context, *end.error);
        co_return;
    }
    add_provider_lines(context.head_lines, end.provider_fields, context.style);
    if (!end.entry) {
        context.error_code = name_of(ErrorCode::kProviderRejected);
        co_await reply_with(context, provider_error_response(context.style, is_native(form),
                                                             end.provider_status, end.provider_body,
                                                             end.provider_content_type,
                                                             context.provider, context.request_id));
        co_return;
    }
    if (end.truncated) {
        co_await reply_error(context,
                             {.code = ErrorCode::kOverloaded,
                              .message = "the shared answer was too large to be kept; try again"});
        co_return;
    }
    const bool saved = outcome == Outcome::kCoalesced || end.from_cache;
    Result<std::string> body =
        form == ClientForm::kLlmPlain && end.answer && end.answer->forgotten_bytes == 0
            ? gateway::make_llm_reply(*end.entry, end.answer->text, saved)
            : gateway::make_body(*end.entry, form, saved);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    if (context.trace && form == ClientForm::kLlmPlain)
        body = context.trace->in_metadata(*body);
    gateway_.record(outcome, *end.entry);
    http::Response response;
    response.fields.emplace_back("Content-Type", gateway::content_type_of(form));
    response.body = *std::move(body);
    co_await reply_with(context, std::move(response));
}

} // namespace larder::api
