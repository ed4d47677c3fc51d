#include "gateway/completion.hpp"

#include "base/json.hpp"
#include "gateway/first_byte.hpp"
#include "gateway/leaving.hpp"
#include "gateway/plan.hpp"
#include "gateway/provider_reply.hpp"

namespace larder::gateway {
namespace {

CompletionReply failed(Error error) {
    CompletionReply reply;
    reply.error = std::move(error);
    return reply;
}

Error too_large(std::size_t most) {
    return {.code = ErrorCode::kProviderUnreadable,
            .message = "the answer is larger than " + std::to_string(most) + " bytes",
            .detail = "answer_too_large"};
}

/// What a provider's refusal says to who asked.
Error refusal(const provider::Target& target, const FlightEnd& end) {
    std::string message = "provider " + target.provider->name + " answered with status " +
                          std::to_string(end.provider_status);
    if (const std::string words = provider_message(end.provider_body); !words.empty())
        (message += ": ") += words;
    return {.code = ErrorCode::kProviderRejected, .message = std::move(message)};
}

void add_figures(CompletionReply& reply, const cache::Entry& entry, Outcome outcome) {
    reply.provider = entry.provider.view();
    reply.model = entry.model.view();
    reply.finish_reason = entry.finish_reason.view();
    reply.usage = entry.usage;
    reply.cost = entry.cost;
    reply.priced = entry.priced;
    reply.outcome = outcome;
    reply.is_saved = outcome != Outcome::kMiss && outcome != Outcome::kBypass;
}

} // namespace

struct Completion::State {
    State(Gateway& gateway_in, const Clock& clock_in, Executor executor_in)
        : gateway(gateway_in), clock(clock_in), executor(executor_in) {}

    Task<CompletionReply> ask(Plan& plan, const Inquiry& inquiry, PlanLookUp looked,
                              bool& may_ask_again);
    Task<std::optional<CompletionReply>> ask_way(Plan& plan, const Inquiry& inquiry,
                                                 std::size_t way, Claim claim, bool& may_ask_again);
    bool take(const Flight::News& news);
    [[nodiscard]] CompletionReply answer(const cache::Entry& entry, const FlightEnd* end,
                                         Outcome outcome);

    Gateway& gateway;
    const Clock& clock;
    Executor executor;
    std::function<void(std::string_view)> on_text;
    std::size_t text_max = 0;
    std::string text; // of a stream so far
    bool told = false;
    bool cancelled = false;
    std::shared_ptr<Flight::Follower> follower; // of the flight that is waited for
};

Completion::Completion(Gateway& gateway, const Clock& clock, Executor executor)
    : state_(std::make_unique<State>(gateway, clock, executor)) {}

Completion::~Completion() = default;

void Completion::cancel() {
    state_->cancelled = true;
    if (state_->follower)
        state_->follower->signal.notify();
}

Task<CompletionReply> Completion::run(std::shared_ptr<const Settings> settings,
                                      CompletionRequest request,
                                      std::function<void(std::string_view)> on_text) {
    State& state = *state_;
    state.on_text = std::move(on_text);
    state.text_max = request.text_max;
    Inquiry inquiry{.dialect = request.dialect,
                    .body = request.body,
                    .query = {},
                    .name_space = request.name_space,
                    .user = request.user,
                    .route = {},
                    .session = {},
                    .forwarded = {},
                    .directives = {}};
    inquiry.directives.no_store = !request.uses_cache;
    // Where another node or an impatient route was waited for in vain, it is asked for once more.
    for (bool may_ask_again = true;;) {
        auto plan = state.gateway.plan(settings, inquiry);
        if (!plan)
            co_return failed(std::move(plan).error());
        const Prepared& first = plan->ways.front().prepared;
        PlanLookUp looked;
        async::TimeBudget budget(state.gateway.store_wait());
        if (first.may_read)
            looked =
                co_await state.gateway.look_up(*plan, inquiry.directives, first.may_join, budget);
        else if (first.may_join)
            looked.claim = co_await state.gateway.claim(first.key, budget);
        bool again = may_ask_again;
        CompletionReply reply = co_await state.ask(*plan, inquiry, std::move(looked), again);
        if (!again || state.cancelled)
            co_return reply;
        may_ask_again = false;
    }
}

/// `may_ask_again`: whether nothing was told and the failure is none of the provider's last word.
Task<CompletionReply> Completion::State::ask(Plan& plan, const Inquiry& inquiry, PlanLookUp looked,
                                             bool& may_ask_again) {
    if (looked.found && looked.found->fresh) {
        gateway.give_up(plan.ways.front().prepared.key, looked.claim);
        may_ask_again = false;
        gateway.record(Outcome::kHit, *looked.found->entry);
        co_return answer(*looked.found->entry, nullptr, Outcome::kHit);
    }
    for (std::size_t way = 0;; ++way) {
        auto reply =
            co_await ask_way(plan, inquiry, way, std::exchange(looked.claim, {}), may_ask_again);
        if (!reply)
            continue;
        const bool may_stand_in = reply->error && reply->error->code != ErrorCode::kCancelled &&
                                  !told && looked.found && reply->provider_status / 100 != 4;
        if (!may_stand_in)
            co_return *std::move(reply);
        may_ask_again = false;
        gateway.record(Outcome::kStale, *looked.found->entry);
        co_return answer(*looked.found->entry, nullptr, Outcome::kStale);
    }
}

/// nullopt: the next way is to be asked.
Task<std::optional<CompletionReply>> Completion::State::ask_way(Plan& plan, const Inquiry& inquiry,
                                                                std::size_t way, Claim claim,
                                                                bool& may_ask_again) {
    const Way& asked = plan.ways[way];
    const auto bound = asked.first_byte_timeout;
    auto prepared = gateway.take_way(plan, inquiry, way);
    if (!prepared && asked.on != nullptr)
        co_return std::nullopt; // it can't take the request
    if (!prepared) {
        may_ask_again = false;
        co_return failed(std::move(prepared).error());
    }
    const provider::Target target = prepared->target; // points into the plan's settings
    const bool shared = prepared->may_join;
    if (way > 0 && shared && !plan.repeats_key(way)) {
        async::TimeBudget budget(gateway.store_wait());
        LookedUp kept; // by another node, while the others were asked
        if (prepared->may_read)
            kept = co_await gateway.look_up(prepared->key, inquiry.directives, true, budget);
        else
            kept.claim = co_await gateway.claim(prepared->key, budget);
        if (kept.found && kept.found->fresh) {
            may_ask_again = false;
            gateway.record(Outcome::kHit, *kept.found->entry);
            co_return answer(*kept.found->entry, nullptr, Outcome::kHit);
        }
        claim = std::move(kept.claim);
    }
    const bool waits = !claim.holder.empty();
    auto joined =
        gateway.join(*std::move(prepared), inquiry.directives, std::move(claim), executor);
    follower = joined.follower;
    Leaving leaving(joined);
    FirstByteBound patience(executor, joined.follower, bound);
    auto end = std::make_shared<const FlightEnd>();
    bool over = false;
    bool fits = true;
    bool was_asked_here = false;
    Flight::News news;
    while (!over && !cancelled && fits && !patience.has_passed()) {
        news.blocks.clear();
        if (!joined.flight->poll(*joined.follower, news)) {
            co_await joined.follower->signal.wait();
            continue;
        }
        was_asked_here = was_asked_here || news.asked_here;
        if (tells(news))
            patience.lift();
        fits = take(news);
        if (news.end) {
            end = news.end;
            over = true;
        }
    }
    leaving.now(!over && !cancelled && fits);
    follower.reset();
    if (cancelled || !fits)
        may_ask_again = false;
    if (cancelled)
        co_return failed({.code = ErrorCode::kCancelled, .message = "the call was cancelled"});
    if (!fits)
        co_return failed(too_large(text_max));
    if (!over) {
        if (joined.leads)
            gateway.note_timeout(target);
        end = std::make_shared<const FlightEnd>(end_without_first_byte(target, *bound));
    }
    if (!told && moves_on(asked.on, *end))
        co_return std::nullopt;
    may_ask_again = may_ask_again && !told && !end->entry && (end->lost || end->hasty) &&
                    !joined.leads && !plan.is_routed();
    if (end->error)
        co_return failed(*end->error);
    if (!end->entry) {
        CompletionReply reply = failed(refusal(target, *end));
        reply.provider_status = end->provider_status;
        co_return reply;
    }
    Outcome outcome = Outcome::kBypass;
    if (end->from_cache)
        outcome = Outcome::kHit;
    else if (shared)
        outcome = joined.leads && (!waits || was_asked_here) ? Outcome::kMiss : Outcome::kCoalesced;
    gateway.record(outcome, *end->entry);
    co_return answer(*end->entry, end.get(), outcome);
}

/// False when the text has become too large.
bool Completion::State::take(const Flight::News& news) {
    for (const auto& block : news.blocks) {
        if (block->text.empty())
            continue;
        if (text.size() + block->text.size() > text_max)
            return false;
        text += block->text;
        told = true;
        if (on_text)
            on_text(block->text);
    }
    return true;
}

CompletionReply Completion::State::answer(const cache::Entry& entry, const FlightEnd* end,
                                          Outcome outcome) {
    CompletionReply reply;
    if (told) {
        reply.text = std::move(text);
    } else if (end != nullptr && end->answer && end->answer->forgotten_bytes == 0) {
        reply.text = end->answer->text;
    } else {
        auto read = read_entry(entry);
        if (!read)
            return failed(std::move(read).error());
        reply.text = std::move(read->text);
    }
    if (reply.text.size() > text_max)
        return failed(too_large(text_max));
    if (!told && on_text && !reply.text.empty())
        on_text(reply.text);
    add_figures(reply, entry, outcome);
    return reply;
}

} // namespace larder::gateway
