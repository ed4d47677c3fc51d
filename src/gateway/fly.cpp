// A flight's own work: calls the provider, gives blocks to who waits, and makes the entry of a
// whole answer.
#include "base/hash.hpp"
#include "base/text.hpp"
#include "gateway/gateway.hpp"
#include "gateway/sse_blocks.hpp"
#include "provider/caller.hpp"

#include <array>

namespace larder::gateway {
namespace {

constexpr std::size_t kLargestPlain = 64ULL << 20; // of an answer that is read as a whole
/// How long a provider may take to end its body after the answer's own end.
constexpr std::chrono::milliseconds kAfterTheEnd{1000};
constexpr std::size_t kLargestError = 1ULL << 20;
constexpr std::size_t kLargestBlock = 4ULL << 20;
constexpr std::size_t kLargestStream = 256ULL
                                       << 20; // what its reader puts together is kept until its end

/// The provider's fields that come through to the client.
http::OwnedFields kept_fields(const http::Fields& fields, int status) {
    static constexpr std::array<std::string_view, 5> kNames{
        "request-id", "retry-after", "retry-after-ms", "x-should-retry", "openai-processing-ms"};
    http::OwnedFields kept;
    for (const http::Field& field : fields) {
        for (const std::string_view name : kNames) {
            const bool is_for_errors =
                name.starts_with("retry-after"); // Anthropic sends it with a 200
            if (text::equals_ignoring_case(field.name, name) && (status != 200 || !is_for_errors))
                kept.emplace_back(name, field.value);
        }
        if (text::equals_ignoring_case(field.name, "x-request-id"))
            kept.emplace_back("x-larder-upstream-request-id", field.value);
    }
    return kept;
}

std::unexpected<Error> unreadable(const Prepared& prepared, std::string_view why) {
    return fail(ErrorCode::kProviderUnreadable,
                "provider " + prepared.target.provider->name +
                    " sent an answer that can't be read: " + std::string(why));
}

/// What the answer cost, and whether that is known.
void set_figures(cache::Entry& entry, const Prepared& prepared, const protocol::Answer* answer) {
    const provider::Provider& provider = *prepared.target.provider;
    if (answer != nullptr && answer->usage) {
        entry.usage = *answer->usage;
    } else {
        entry.usage.input = llm::estimate_tokens(prepared.call.prompt_bytes);
        entry.usage.output =
            llm::estimate_tokens(answer != nullptr ? answer->text.size() : entry.body.size());
        entry.usage.exact = false;
    }
    const llm::Price* price =
        prepared.settings->catalog.prices.find(provider.vendor, prepared.target.model);
    entry.priced = price != nullptr;
    if (price != nullptr)
        entry.cost = llm::cost_of(*price, entry.usage);
}

cache::EntryPtr make_entry(const Prepared& prepared, std::int64_t now_ms, std::string_view body,
                           cache::PrimaryForm form, const protocol::Answer* answer) {
    auto entry = std::make_shared<cache::Entry>();
    // Jitter only shortens: entries made together must not end together.
    const std::int64_t ttl = prepared.ttl.count();
    const std::int64_t jitter =
        ttl / 20 > 0
            ? static_cast<std::int64_t>(random_u64() % static_cast<std::uint64_t>(ttl / 20))
            : 0;
    entry->asked_ms = prepared.looked_up_ms;
    entry->created_ms = now_ms;
    entry->fresh_until_ms = now_ms + ttl - jitter;
    entry->stale_until_ms = entry->fresh_until_ms + prepared.settings->cache.stale_if_error.count();
    entry->name_space = prepared.name_space;
    entry->provider = prepared.target.provider->name;
    entry->model = prepared.target.model;
    entry->generations = prepared.generations;
    entry->dialect = static_cast<std::uint8_t>(prepared.target.provider->dialect);
    entry->form = form;
    entry->body = body;
    if (answer != nullptr) {
        entry->answer_model = answer->model;
        entry->finish_reason = answer->finish_reason;
    }
    set_figures(*entry, prepared, answer);
    return entry;
}

/// A provider's error text, without anything that looks like a key, and without ours.
std::string masked(const Prepared& prepared, std::string_view text) {
    std::string result = protocol::mask_secrets(text);
    const std::string& key = prepared.target.provider->api_key;
    constexpr std::size_t kShortest = 4; // a shorter one is no secret, and stands everywhere
    if (key.size() < kShortest)
        return result;
    for (std::size_t at = result.find(key); at != std::string::npos; at = result.find(key, at + 3))
        result.replace(at, key.size(), "***");
    return result;
}

/// Masks the strings of `value` also where they are escaped, so that no decoder brings a key back.
void mask_strings(const Prepared& prepared, json::Value value, json::Patch& patch) {
    if (const auto text = value.as_string()) {
        const std::string hidden = masked(prepared, *text);
        if (hidden == *text)
            return;
        std::string written;
        json::write_string(written, hidden);
        patch.replace(value.begin(), value.end(), std::move(written));
    }
    value.for_each_member([&](std::string_view, json::Value member) {
        mask_strings(prepared, member, patch);
        return true;
    });
    value.for_each_element([&](json::Value element) {
        mask_strings(prepared, element, patch);
        return true;
    });
}

std::string masked_body(const Prepared& prepared, std::string_view body) {
    const auto document = json::parse(body, {.depth = 64, .bytes = kLargestError, .nodes = 50'000});
    if (!document)
        return masked(prepared, body);
    json::Patch patch;
    mask_strings(prepared, document->root(), patch);
    return patch.apply(body);
}

bool is_json(std::string_view content_type) {
    return content_type.empty() || text::lower(content_type).contains("json");
}

bool is_event_stream(std::string_view content_type) {
    return text::lower(content_type).starts_with("text/event-stream");
}

/// Reads a whole body of at most `most` bytes.
Task<Result<std::string>> read_whole(provider::ProviderCall& call, BudgetShare& share,
                                     std::size_t most) {
    std::string body;
    std::size_t counted = 0;
    while (true) {
        auto more = co_await call.read(body);
        if (!more)
            co_return std::unexpected(std::move(more).error());
        if (!*more)
            co_return body;
        if (body.size() > most)
            co_return fail(ErrorCode::kProviderUnreadable, "the provider's answer is larger than " +
                                                               std::to_string(most) + " bytes");
        if (!share.grow(body.size() - counted))
            co_return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
        counted = body.size();
    }
}

Task<Result<void>> read_plain(provider::ProviderCall& call, MemoryBudget& budget,
                              const Prepared& prepared, const Clock& clock, FlightEnd& end) {
    const std::string content_type(call.head().fields.find("content-type").value_or(""));
    end.share = std::make_shared<BudgetShare>(budget);
    auto body = co_await read_whole(call, *end.share, kLargestPlain);
    if (!body)
        co_return std::unexpected(std::move(body).error());
    if (!is_json(content_type))
        co_return unreadable(prepared, "its content type is not JSON");
    auto answer = protocol::read_answer(prepared.target.provider->dialect, *body);
    if (!answer && answer.error().code == ErrorCode::kProviderRejected)
        co_return std::unexpected(
            std::move(answer).error().with("provider " + prepared.target.provider->name));
    if (answer) {
        end.answer = *std::move(answer);
    } else if (prepared.form == ClientForm::kLlmPlain || prepared.form == ClientForm::kLlmStream ||
               !json::parse(*body)) {
        co_return unreadable(prepared, answer.error().message);
    }
    end.entry = make_entry(prepared, clock.epoch_ms(), *body, cache::PrimaryForm::kPlain,
                           end.answer ? &*end.answer : nullptr);
    co_return Result<void>();
}

/// Takes blocks out of the stream's bytes, reads their events, and hands them to the flight.
class StreamPump {
public:
    StreamPump(Flight& flight, const Prepared& prepared, MemoryBudget& budget,
               http::OwnedFields fields)
        : flight_(flight), share_(budget), fields_(std::move(fields)), prepared_(prepared),
          reader_(protocol::make_stream_reader(prepared.target.provider->dialect)) {}

    std::string& pending() { return pending_; }

    /// Everything in `pending` that is a whole block.
    Result<void> pump() {
        std::size_t used = 0;
        while (const std::size_t length =
                   sse_block_length(std::string_view(pending_).substr(used), scanned_)) {
            LARDER_CHECK(take(pending_.substr(used, length)));
            used += length;
            scanned_ = 0;
        }
        pending_.erase(0, used);
        if (pending_.size() > kLargestBlock)
            return unreadable(prepared_, "an event of its stream is too large");
        return {};
    }

    Result<void> finish() {
        if (pending_.find_first_not_of("\r\n") != std::string::npos) {
            pending_ += "\n\n";
            LARDER_CHECK(pump());
        }
        terminated_ = reader_->answer().ended;
        reader_->finish_at_eof();
        if (!reader_->answer().ended) {
            return fail(ErrorCode::kProviderUnavailable,
                        "provider " + prepared_.target.provider->name +
                            " ended its stream before the answer's end");
        }
        return {};
    }

    [[nodiscard]] const protocol::Answer& answer() const { return reader_->answer(); }
    /// Everything so far, unless it was too much to be kept.
    std::string take_all() { return truncated_ ? std::string() : std::move(all_); }
    [[nodiscard]] bool has_ended() const { return reader_->answer().ended; }
    [[nodiscard]] bool is_truncated() const { return truncated_; }
    /// Whether the protocol's own terminal event was seen: some vendors just end.
    [[nodiscard]] bool is_terminated() const { return terminated_; }

private:
    Result<void> take(std::string raw) {
        constexpr std::size_t kTerminatorBytes = 64;
        if (has_ended() && (raw.size() > kTerminatorBytes || !raw.contains("data: [DONE]")))
            return {}; // nothing after the answer's end is anybody's, but a vendor's second one
        all_bytes_ += raw.size();
        if (all_bytes_ > kLargestStream)
            return unreadable(prepared_, "its stream has no end");
        // What the reader puts together stays until the end.
        if (!share_.grow(raw.size()))
            return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
        events_.clear();
        LARDER_CHECK(decoder_.feed(raw, events_));
        Block block;
        for (const http::SseEvent& event : events_) {
            auto text = reader_->read(event);
            if (!text)
                return std::unexpected(
                    std::move(text).error().with("provider " + prepared_.target.provider->name));
            block.text += *text;
            block.usage_only =
                block.usage_only ||
                !protocol::is_for_client(prepared_.target.provider->dialect, event, false);
        }
        if (!truncated_ && all_.size() + raw.size() <= prepared_.settings->cache.max_entry)
            all_ += raw;
        else
            truncated_ = true;
        // Only a first event, or a comment, begins the stream: what breaks before it is still a
        // plain error.
        const bool is_shown = !events_.empty() || raw.starts_with(':');
        if (!begun_ && !is_shown)
            return {};
        if (!std::exchange(begun_, true))
            flight_.begin_stream(std::move(fields_));
        block.raw = std::move(raw);
        return flight_.append(std::move(block));
    }

    Flight& flight_;
    BudgetShare share_;
    std::size_t all_bytes_ = 0;
    http::OwnedFields fields_; // of the provider's head, until the stream begins
    const Prepared& prepared_;
    std::unique_ptr<protocol::StreamReader> reader_;
    http::SseDecoder decoder_;
    std::vector<http::SseEvent> events_;
    std::string pending_;
    std::size_t scanned_ = 0; // of its first block: whole lines without an end
    std::string all_;         // up to the largest entry
    bool truncated_ = false;
    bool terminated_ = false;
    bool begun_ = false;
};

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
    end.entry = make_entry(prepared, clock.epoch_ms(), pump.take_all(), cache::PrimaryForm::kStream,
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
    end.provider_body = masked_body(prepared, *body);
    co_return Result<void>();
}

} // namespace

/// Sends the request and reads what comes, up to the end of the answer.
Task<Result<void>> Gateway::fetch(provider::ProviderCall& call, Flight& flight,
                                  const Prepared& prepared, FlightEnd& end) {
    auto sent = co_await call.send(thread_state().client, breakers_, *prepared.target.provider,
                                   {.path = prepared.upstream_path,
                                    .fields = prepared.upstream_fields,
                                    .body = prepared.upstream_body,
                                    .stream = prepared.call.stream});
    if (!sent)
        co_return sent;
    const http::Fields& fields = call.head().fields;
    end.provider_fields = kept_fields(fields, call.head().status);
    const auto coding = fields.find("content-encoding");
    if (coding && !text::equals_ignoring_case(*coding, "identity"))
        co_return unreadable(prepared, "it is compressed, though that was not asked for");
    if (call.head().status != 200)
        co_return co_await read_rejection(call, parts_.budget, prepared, end);
    if (prepared.call.stream && is_event_stream(fields.find("content-type").value_or("")))
        co_return co_await read_stream(call, flight, parts_.budget, prepared, parts_.clock, end);
    co_return co_await read_plain(call, parts_.budget, prepared, parts_.clock, end);
}

Task<void> Gateway::fly(std::shared_ptr<Flight> flight, Prepared prepared) {
    auto end = std::make_shared<FlightEnd>();
    if (prepared.may_read && find_again(prepared, *end)) {
        table_.erase(prepared.key, flight.get());
        flight->end(std::move(end));
        co_return;
    }
    provider::ProviderCall call(thread_state().context);
    flight->on_abandoned([&call] { call.cancel(); });
    try {
        auto outcome = co_await fetch(call, *flight, prepared, *end);
        if (!outcome) {
            end->error = std::move(outcome).error();
            end->error->message = masked(prepared, end->error->message);
        }
    } catch (
        const std::exception&) { // out of memory, most likely; who waits must not wait for ever
        end->entry = nullptr;
        end->error = Error{.code = ErrorCode::kInternal, .message = "internal error"};
    }
    flight->on_abandoned(nullptr);
    end->provider_wait_us = call.waited_us();
    finish_flight(*flight, prepared, *end, call.tries());
    flight->end(std::move(end));
}

/// Whether a request that began later (with no-cache, say) has kept its answer already.
bool Gateway::is_overtaken(const Prepared& prepared) const {
    const auto kept = parts_.memory.get(prepared.key);
    return kept && kept->asked_ms > prepared.looked_up_ms;
}

/// An earlier flight may have ended, and kept its answer, between this one's look-up and its start.
bool Gateway::find_again(const Prepared& prepared, FlightEnd& end) const {
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

/// Keeps a whole answer, then takes the flight out of the table: who comes between finds the entry.
void Gateway::finish_flight(const Flight& flight, const Prepared& prepared, const FlightEnd& end,
                            int tries) {
    ledger::Record record{.outcome = ledger::Outcome::kCall};
    record.upstream_calls = tries;
    if (end.entry) {
        const cache::Entry& entry = *end.entry;
        record.input_tokens = entry.usage.prompt();
        record.output_tokens = entry.usage.output;
        record.spent_picodollars = entry.cost.picodollars;
        const bool fits = !end.truncated && end.terminated &&
                          entry.body.size() <= prepared.settings->cache.max_entry;
        const bool current =
            entry.generations == generations_of(entry.name_space.view(), entry.model.view());
        if (prepared.may_keep && fits && current && end.answer &&
            protocol::may_be_kept(*end.answer, prepared.call) && !is_overtaken(prepared)) {
            parts_.memory.put(prepared.key, end.entry);
            if (parts_.store != nullptr)
                parts_.store->put(prepared.key, end.entry);
        }
    }
    if (tries > 0)
        parts_.ledger.record(record);
    if (prepared.may_join)
        table_.erase(prepared.key, &flight);
}

} // namespace larder::gateway
