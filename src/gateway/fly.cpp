// A flight's own work: calls the provider, gives blocks to who waits, and makes the entry of a
// whole answer.
#include "async/deadlines.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "gateway/fleet.hpp"
#include "gateway/gateway.hpp"
#include "gateway/make_entry.hpp"
#include "gateway/provider_reply.hpp"
#include "gateway/stream_pump.hpp"
#include "provider/caller.hpp"
#include "provider/retry.hpp"

#include <algorithm>

namespace larder::gateway {
namespace {

constexpr std::size_t kLargestPlain = 64ULL << 20; // of an answer that is read as a whole
/// How long a provider may take to end its body after the answer's own end.
constexpr std::chrono::milliseconds kAfterTheEnd{1000};

Task<Result<void>> read_plain(provider::ProviderCall& call, MemoryBudget& budget,
                              const Prepared& prepared, const Clock& clock, FlightEnd& end) {
    const std::string content_type(call.head().fields.find("content-type").value_or(""));
    end.share = std::make_shared<BudgetShare>(budget);
    auto body = co_await read_whole(call, *end.share, kLargestPlain);
    if (!body)
        co_return std::unexpected(std::move(body).error());
    if (!is_json(content_type))
        co_return unreadable(prepared, "its content type is not JSON");
    auto answer = protocol::read_answer(prepared.dialect, *body);
    if (!answer && answer.error().code == ErrorCode::kProviderRejected)
        co_return std::unexpected(
            std::move(answer).error().with("provider " + prepared.target.provider->name));
    if (answer) {
        end.answer = *std::move(answer);
        // A failed response is an answer, too, and its error may have keys in it.
        if (prepared.dialect == protocol::Dialect::kOpenAiResponses &&
            end.answer->finish == protocol::Finish::kUnknown)
            *body = masked_body(*prepared.target.provider, *body);
    } else if (!is_native(prepared.form) || !json::parse(*body)) {
        co_return unreadable(prepared, answer.error().message);
    }
    end.entry = make_entry(prepared, clock.epoch_ms(), *body, cache::PrimaryForm::kPlain,
                           end.answer ? &*end.answer : nullptr);
    co_return Result<void>();
}

Task<Result<void>> read_stream(provider::ProviderCall& call, Flight& flight, MemoryBudget& budget,
                               const Prepared& prepared, const Clock& clock, FlightEnd& end) {
    StreamPump pump(flight, prepared, budget, end.provider_fields);
    bool hurried = false;
    while (true) {
        auto more = co_await call.read(pump.pending());
        if (!more && !pump.has_ended())
            co_return std::unexpected(std::move(more).error());
        if (!more || !*more)
            break;
        if (auto pumped = pump.pump(); !pumped)
            co_return pumped;
        // Whatever the provider does with the connection now, the answer is whole.
        if (pump.has_ended() && !std::exchange(hurried, true))
            call.hurry(kAfterTheEnd);
        co_await flight.wait_for_room();
    }
    if (auto finished = pump.finish(); !finished)
        co_return finished;
    end.answer = pump.answer();
    end.truncated = pump.is_truncated();
    end.terminated = pump.is_terminated();
    end.entry = make_entry(prepared, clock.epoch_ms(), pump.all(), cache::PrimaryForm::kStream,
                           &*end.answer);
    co_return Result<void>();
}

Task<Result<void>> read_rejection(provider::ProviderCall& call, MemoryBudget& budget,
                                  const Prepared& prepared, FlightEnd& end) {
    const int status = call.head().status;
    if (status < 400)
        co_return unreadable(prepared, "its status is " + std::to_string(status));
    const std::string content_type(
        call.head().fields.find("content-type").value_or("application/json"));
    end.share = std::make_shared<BudgetShare>(budget);
    auto body = co_await read_whole(call, *end.share, kLargestError);
    if (!body)
        co_return std::unexpected(std::move(body).error());
    end.provider_status = status;
    end.provider_content_type = content_type;
    end.provider_body = masked_body(*prepared.target.provider, *body);
    co_return Result<void>();
}

} // namespace

namespace {

/// What a flight tells of its model's health, for routes that choose.
class HealthWatch {
public:
    HealthWatch(std::shared_ptr<provider::TargetHealth> health, bool stream)
        : health_(std::move(health)), stream_(stream), began_us_(async::Deadlines::now_us()) {
        health_->began();
    }
    ~HealthWatch() { health_->ended(); }
    HealthWatch(const HealthWatch&) = delete;
    HealthWatch& operator=(const HealthWatch&) = delete;

    void first_byte() {
        if (std::exchange(seen_, true))
            return;
        health_->answered();
        health_->observe(stream_, waited_us(), async::Deadlines::now_us());
    }
    void over(const FlightEnd& end, std::chrono::milliseconds rest) {
        if (end.entry)
            return first_byte();
        const bool cancelled = end.error && (end.error->code == ErrorCode::kCancelled ||
                                             end.error->code == ErrorCode::kOverloaded);
        const bool failed = end.error || end.provider_status >= 500 || end.provider_status == 429;
        const std::int64_t now_us = async::Deadlines::now_us();
        if (cancelled && !seen_ && end.error->code == ErrorCode::kCancelled)
            health_->gave_up(stream_, waited_us(), now_us);
        if (cancelled || !failed)
            return;
        health_->observe(stream_, waited_us() + kFailure, now_us);
        if (end.provider_status == 429 || rest_asked(end))
            health_->cool(now_us + rest.count() * 1000);
    }
    /// Whether a 503 says when to come back.
    static bool rest_asked(const FlightEnd& end) {
        return end.provider_status == 503 &&
               std::ranges::any_of(end.provider_fields, [](const auto& field) {
                   return field.first.starts_with("retry-after");
               });
    }

private:
    /// A failure is fast, and must not make its model look so.
    static constexpr std::int64_t kFailure = 1'000'000;
    [[nodiscard]] std::int64_t waited_us() const { return async::Deadlines::now_us() - began_us_; }
    std::shared_ptr<provider::TargetHealth> health_;
    const bool stream_;
    const std::int64_t began_us_;
    bool seen_ = false;
};

} // namespace

/// Sends the request and reads what comes, up to the end of the answer.
Task<Result<void>> Gateway::fetch(provider::ProviderCall& call, Flight& flight,
                                  const Prepared& prepared, FlightEnd& end) {
    auto sent = co_await call.send(thread_state().client, breakers_, *prepared.target.provider,
                                   {.path = prepared.upstream_path,
                                    .fields = prepared.upstream_fields,
                                    .body = prepared.upstream_body,
                                    .stream = prepared.call.stream,
                                    .retries = prepared.target.retries});
    if (!sent)
        co_return sent;
    const http::Fields& fields = call.head().fields;
    end.provider_fields = kept_fields(fields, call.head().status);
    const auto coding = fields.find("content-encoding");
    if (coding && !text::equals_ignoring_case(*coding, "identity"))
        co_return unreadable(prepared, "it is compressed, though that was not asked for");
    if (call.head().status != 200)
        co_return co_await read_rejection(call, parts_.budget, prepared, end);
    if (prepared.vectors)
        co_return co_await read_vectors(call, prepared, end);
    if (prepared.call.stream && is_event_stream(fields.find("content-type").value_or("")))
        co_return co_await read_stream(call, flight, parts_.budget, prepared, parts_.clock, end);
    co_return co_await read_plain(call, parts_.budget, prepared, parts_.clock, end);
}

Task<void> Gateway::fly(std::shared_ptr<Flight> flight, Prepared prepared, Claim claim) {
    auto end = std::make_shared<FlightEnd>();
    if (prepared.may_read && find_again(prepared, *end)) {
        give_up(prepared.key, claim);
    } else {
        try {
            if (claim.holder.empty() || !co_await wait_for_another(flight, prepared, claim, *end))
                co_await ask(flight, prepared, std::move(claim.lease), *end);
        } catch (
            const std::exception&) { // out of memory, most likely; who waits must not wait for ever
            end->entry = nullptr;
            end->error = Error{.code = ErrorCode::kInternal, .message = "internal error"};
        }
    }
    if (prepared.may_join)
        table_.erase(prepared.flight_key(), flight.get());
    flight->end(std::move(end));
}

/// Calls the provider, and keeps a whole answer before anybody can miss it.
Task<void> Gateway::ask(std::shared_ptr<Flight> flight, const Prepared& prepared, std::string lease,
                        FlightEnd& end) {
    std::optional<LeaseHolder> holder;
    if (!lease.empty())
        holder.emplace(*parts_.store, prepared.key, lease, flight,
                       thread_state().context.get_executor());
    provider::ProviderCall call(thread_state().context);
    const provider::Target& target = prepared.target;
    HealthWatch watch(health_.of(target.provider->name, target.model), prepared.call.stream);
    flight->set_asked_here();
    flight->on_streaming([&watch] { watch.first_byte(); });
    flight->on_abandoned([&call] { call.cancel(); });
    try {
        auto outcome = co_await fetch(call, *flight, prepared, end);
        if (!outcome) {
            end.error = std::move(outcome).error();
            end.error->message = masked(*prepared.target.provider, end.error->message);
        }
    } catch (const std::exception&) {
        end.entry = nullptr;
        end.error = Error{.code = ErrorCode::kInternal, .message = "internal error"};
    }
    flight->on_abandoned(nullptr);
    flight->on_streaming(nullptr);
    end.hasty = !end.entry && target.retries && *target.retries < target.provider->retries;
    watch.over(end, end.entry || end.error
                        ? target.provider->breaker.probe_after
                        : provider::retry_after(call.head().fields, parts_.clock.epoch_ms())
                              .value_or(target.provider->breaker.probe_after));
    end.provider_wait_us = call.waited_us();
    if (call.tries() > 0) {
        ledger::Record record{.outcome = ledger::Outcome::kCall};
        record.upstream_calls = call.tries();
        if (end.entry) {
            record.input_tokens = end.entry->usage.prompt();
            record.output_tokens = end.entry->usage.output;
            record.spent_picodollars = end.entry->cost.picodollars;
        }
        parts_.ledger.record(record);
    }
    const bool kept = keep(prepared, end, lease);
    if (holder)
        holder->finish(shared_end(end, kept));
}

/// Follows the node that holds the lease. False when this one is to ask after all: then the claim
/// holds what it may do that under.
Task<bool> Gateway::wait_for_another(std::shared_ptr<Flight> flight, const Prepared& prepared,
                                     Claim& claim, FlightEnd& end) {
    AwaitParts parts{.store = *parts_.store,
                     .budget = parts_.budget,
                     .clock = parts_.clock,
                     .store_wait = parts_.store_wait,
                     .executor = thread_state().context.get_executor(),
                     .is_good = [this, &prepared](const cache::EntryPtr& entry) {
                         const auto found = judge(prepared.key, entry, {});
                         return found && found->fresh &&
                                entry->created_ms >= prepared.not_before_ms;
                     }};
    auto awaited = co_await await_holder(std::move(parts), flight, prepared,
                                         std::exchange(claim.holder, {}), end);
    claim.lease = std::move(awaited.lease);
    if (awaited.outcome == Awaited::Outcome::kLeads)
        co_return false;
    if (end.entry && end.kept_elsewhere && is_current(*end.entry) && !end.truncated) {
        parts_.memory.put(prepared.key, end.entry);
        if (parts_.epochs.of(prepared.key) != prepared.epoch)
            parts_.memory.erase(prepared.key);
    }
    co_return true;
}

/// Whether a request that began later (with no-cache, say) has kept its answer already.
bool Gateway::is_overtaken(const Prepared& prepared) const {
    const auto kept = parts_.memory.get(prepared.key);
    return kept && kept->asked_ms > prepared.looked_up_ms;
}

/// An earlier flight may have ended, and kept its answer, between this one's look-up and its start.
bool Gateway::find_again(const Prepared& prepared, FlightEnd& end) const {
    if (prepared.vectors)
        return find_vectors_again(prepared, end);
    auto entry = parts_.memory.get(prepared.key);
    if (!entry)
        return false;
    auto found = judge(prepared.key, std::move(entry), {});
    if (!found || !found->fresh || found->entry->created_ms < prepared.looked_up_ms)
        return false;
    end.entry = found->entry;
    end.from_cache = true;
    return true;
}

/// Whether no purge has ended it.
bool Gateway::is_current(const cache::Entry& entry) const {
    return entry.generations == generations_of(entry.name_space.view(), entry.model.view());
}

/// Keeps an answer that may be kept, here and in the store, which ends the lease. False when it may
/// not be: the lease goes on.
bool Gateway::keep(const Prepared& prepared, const FlightEnd& end, const std::string& lease) {
    if (prepared.vectors) {
        keep_vectors(prepared, end);
        return false;
    }
    const bool whole = end.entry && !end.truncated && end.terminated &&
                       end.entry->body.size() <= prepared.settings->cache.max_entry;
    const bool keeps = prepared.may_keep && whole && is_current(*end.entry) && end.answer &&
                       protocol::may_be_kept(*end.answer, prepared.call) && !is_overtaken(prepared);
    if (!keeps)
        return false;
    end.entry->confirmed_ms = parts_.clock.epoch_ms();
    parts_.memory.put(prepared.key, end.entry);
    if (parts_.store == nullptr)
        return true;
    if (parts_.epochs.of(prepared.key) != prepared.epoch)
        parts_.memory.erase(prepared.key); // another node was faster; the store knows who is newer
    if (lease.empty())
        parts_.store->put(prepared.key, end.entry);
    else
        parts_.store->put_leased(prepared.key, end.entry, lease);
    return true;
}

} // namespace larder::gateway
