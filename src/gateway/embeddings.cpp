#include "gateway/embeddings.hpp"

#include "async/signal.hpp"
#include "base/text.hpp"
#include "gateway/prepare.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <functional>
#include <unordered_map>

namespace larder::gateway {

using protocol::Dialect;
using protocol::VectorForm;

/// Look-ups in the store that go on at once for one batch.
constexpr std::size_t kLanes = 32;
/// Vectors that are found, and converted, without a pause.
constexpr std::size_t kAtOnce = 64;

std::size_t EmbeddingsBatch::hits() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        places, [this](std::uint32_t place) { return elements[place].is_fresh(); }));
}

bool EmbeddingsBatch::is_complete() const {
    return !elements.empty() && std::ranges::all_of(elements, &BatchElement::is_fresh);
}

bool EmbeddingsBatch::has_all() const {
    return !elements.empty() &&
           std::ranges::all_of(elements, [](const auto& one) { return one.found.has_value(); });
}

std::int64_t EmbeddingsBatch::oldest_ms() const {
    std::int64_t oldest = 0;
    for (const BatchElement& one : elements) {
        if (one.found && (oldest == 0 || one.found->entry->created_ms < oldest))
            oldest = one.found->entry->created_ms;
    }
    return oldest;
}

llm::Money EmbeddingsBatch::cost(bool fresh_only) const {
    llm::Money sum;
    for (const BatchElement& one : elements) {
        if (one.found && (one.found->fresh || !fresh_only))
            sum.picodollars += one.found->entry->cost.picodollars;
    }
    return sum;
}

std::size_t EmbeddingsBatch::answer_bytes() const {
    std::size_t bytes = 0;
    for (const std::uint32_t place : places) {
        const BatchElement& one = elements[place];
        if (one.found)
            bytes += std::max(one.converted.size(), one.found->entry->body.size()) + 64;
    }
    return bytes;
}

Result<std::string> write_answer(const EmbeddingsBatch& batch) {
    std::vector<protocol::KeptVector> vectors;
    vectors.reserve(batch.places.size());
    std::int64_t tokens = 0;
    std::string_view model;
    std::int64_t newest = -1;
    for (const std::uint32_t place : batch.places) {
        const BatchElement& one = batch.elements[place];
        auto kept = one.found ? protocol::read_kept_vector(one.found->entry->body) : std::nullopt;
        if (!kept)
            return fail(ErrorCode::kInternal, "a kept vector can't be read");
        if (!one.converted.empty())
            kept->vector = one.converted;
        vectors.push_back(*kept);
        const cache::Entry& entry = *one.found->entry;
        tokens += entry.usage.prompt();
        if (entry.created_ms > newest) {
            newest = entry.created_ms;
            model = entry.answer_model.view();
        }
    }
    return protocol::write_embeddings_answer(vectors, model, tokens);
}

namespace {

/// Finds the inputs that are the same, and gives each other one its key.
Result<void> add_elements(EmbeddingsBatch& batch, const FillEpochs& epochs) {
    std::unordered_map<llm::Fingerprint, std::uint32_t, Sha256Hash> known;
    for (std::uint32_t place = 0; place < batch.call.inputs.size(); ++place) {
        LARDER_TRY(const std::string input, protocol::canonical_input(batch.call.inputs[place]));
        llm::FingerprintBuilder key = batch.key;
        const llm::Fingerprint fingerprint = key.add("input", input).finish();
        const auto [found, is_new] =
            known.emplace(fingerprint, static_cast<std::uint32_t>(batch.elements.size()));
        if (is_new)
            batch.elements.push_back(
                {.key = fingerprint, .epoch = epochs.of(fingerprint), .place = place});
        batch.places.push_back(found->second);
    }
    return {};
}

/// Those whose API has no embeddings are left out, unless none has.
void leave_out_unable(std::vector<RouteCandidate>& candidates, Dialect dialect) {
    const auto is_able = [dialect](const RouteCandidate& candidate) {
        return protocol::upstream_dialect(dialect, candidate.provider->dialect) ==
               Dialect::kOpenAiEmbeddings;
    };
    if (std::ranges::none_of(candidates, is_able))
        return;
    std::erase_if(candidates, std::not_fn(is_able));
    candidates.back().on = nullptr;
}

} // namespace

Result<std::unique_ptr<EmbeddingsBatch>>
Gateway::prepare_embeddings(std::shared_ptr<const Settings> settings, const Inquiry& inquiry,
                            const RouteCandidate* way) {
    auto batch = std::make_unique<EmbeddingsBatch>();
    Prepared& prepared = batch->prepared;
    LARDER_TRY(json::Document body, parse_body(inquiry.body));
    prepared.settings = std::move(settings);
    prepared.directives = inquiry.directives;
    LARDER_CHECK(take_body_directives(prepared, body, batch->stripped));
    batch->body = body.text();
    LARDER_TRY(batch->call, protocol::read_embeddings_call(body));
    prepared.call = batch->call.call;
    if (way == nullptr) {
        LARDER_TRY(batch->choice, choose_route(*prepared.settings, inquiry, body, prepared.call));
        leave_out_unable(batch->choice.candidates, inquiry.dialect);
        way = batch->choice.is_routed() ? &batch->choice.candidates.front() : nullptr;
    }
    if (way != nullptr) {
        prepared.target = {.provider = way->provider,
                           .model = way->model,
                           .deployment = way->deployment,
                           .retries = way->retries};
        if (way->on != nullptr && !way->retries)
            prepared.target.retries = 0;
    } else {
        LARDER_TRY(prepared.target, prepared.settings->catalog.resolve({}, prepared.call.model));
    }
    const provider::Provider& provider = *prepared.target.provider;
    prepared.dialect = protocol::upstream_dialect(inquiry.dialect, provider.dialect);
    if (prepared.dialect != Dialect::kOpenAiEmbeddings)
        return has_no(provider, inquiry.dialect);
    prepared.form = ClientForm::kNativePlain;
    set_way(prepared, inquiry, parts_.clock.epoch_ms());
    if (!prepared.may_join)
        return batch;
    prepared.generations = generations_of(prepared.name_space, prepared.target.model);
    batch->key = begin_key(prepared, inquiry);
    const std::string& deployment = prepared.target.deployment;
    protocol::add_to_fingerprint(batch->key, batch->call, body,
                                 deployment.empty() ? prepared.target.model : deployment);
    LARDER_CHECK(add_elements(*batch, parts_.epochs));
    return batch;
}

namespace {

std::optional<protocol::KeptVector> kept_vector(const cache::Entry& entry) {
    return entry.dialect == static_cast<std::uint8_t>(Dialect::kOpenAiEmbeddings)
               ? protocol::read_kept_vector(entry.body)
               : std::nullopt;
}

/// The vector of an entry in the form that is asked for: empty where it is kept so, nullopt where
/// it can't be had so.
std::optional<std::string> vector_in(const cache::Entry& entry, VectorForm form) {
    const auto kept = kept_vector(entry);
    if (!kept)
        return std::nullopt;
    if (form == VectorForm::kOther || protocol::form_of_vector(kept->vector) == form)
        return std::string();
    auto converted = protocol::convert_vector(kept->vector, form);
    return converted ? std::optional(*std::move(converted)) : std::nullopt;
}

} // namespace

/// What a batch found of one input; an entry that can't be read, or not be shown in the form that
/// is asked for, is none.
void Gateway::take_vector(EmbeddingsBatch& batch, std::size_t index, std::optional<Found> found) {
    if (!found)
        return;
    auto converted = vector_in(*found->entry, batch.call.form);
    if (!converted) {
        if (!kept_vector(*found->entry))
            discard(*found);
        return;
    }
    batch.elements[index].converted = *std::move(converted);
    batch.elements[index].found = std::move(found);
}

/// An earlier flight may have kept all of it between this one's look-up and its start.
bool Gateway::find_vectors_again(const Prepared& prepared, FlightEnd& end) const {
    std::vector<cache::EntryPtr> vectors;
    for (const AskedVectors::One& one : prepared.vectors->ones) {
        auto entry = parts_.memory.get(one.key);
        if (!entry || entry->created_ms < prepared.looked_up_ms)
            return false;
        auto found = judge(one.key, std::move(entry), {});
        if (!found || !found->fresh || !vector_in(*found->entry, prepared.vectors->form))
            return false;
        vectors.push_back(std::move(found->entry));
    }
    if (vectors.empty())
        return false;
    end.vectors = std::move(vectors);
    end.from_cache = true;
    return true;
}

/// Look-ups that several coroutines of one thread share.
struct Gateway::VectorLookups {
    VectorLookups(EmbeddingsBatch& batch_in, Executor executor) : batch(batch_in), done(executor) {}
    EmbeddingsBatch& batch; // in the frame that waits
    std::vector<std::size_t> waiting;
    std::size_t next = 0;
    std::size_t lanes = 0;
    std::chrono::microseconds wait{0};
    async::Signal done;
};

Task<void> Gateway::look_up_some(std::shared_ptr<VectorLookups> lookups) {
    async::TimeBudget budget(lookups->wait);
    try {
        while (lookups->next < lookups->waiting.size()) {
            const std::size_t index = lookups->waiting[lookups->next++];
            auto looked = co_await look_up(lookups->batch.elements[index].key,
                                           lookups->batch.prepared.directives, false, budget);
            take_vector(lookups->batch, index, std::move(looked.found));
        }
    } catch (const std::exception&) { // out of memory: what was not found is asked for
        lookups->next = lookups->waiting.size();
    }
    if (--lookups->lanes == 0)
        lookups->done.notify();
}

Task<void> Gateway::look_up_vectors(EmbeddingsBatch& batch, async::TimeBudget& budget) {
    if (!batch.prepared.may_read)
        co_return;
    const Executor executor = thread_state().context.get_executor();
    const auto lookups = std::make_shared<VectorLookups>(batch, executor);
    for (std::size_t i = 0; i < batch.elements.size(); ++i) {
        auto found = find_kept(batch.elements[i].key, batch.prepared.directives);
        const bool knows = found && found->fresh && is_confirmed(*found->entry);
        if (knows || parts_.store == nullptr || !parts_.store->may_have(batch.elements[i].key))
            take_vector(batch, i, std::move(found));
        else
            lookups->waiting.push_back(i);
        if (i % kAtOnce == kAtOnce - 1) // others of this thread come in between
            co_await asio::post(executor, asio::use_awaitable_t<Executor>());
    }
    if (lookups->waiting.empty())
        co_return;
    const async::TimeBudget::Spending spending(budget);
    lookups->wait = budget.left();
    lookups->lanes = std::min(kLanes, lookups->waiting.size());
    for (std::size_t i = lookups->lanes; i > 0; --i)
        async::spawn("look-up of vectors", executor, look_up_some(lookups));
    co_await lookups->done.wait();
}

Gateway::Joined Gateway::join_vectors(EmbeddingsBatch& batch, Executor executor) {
    Prepared prepared = batch.prepared;
    auto vectors = std::make_shared<AskedVectors>();
    vectors->form = batch.call.form;
    std::vector<std::uint32_t> wanted;
    if (prepared.may_join) {
        llm::FingerprintBuilder key = batch.key;
        key.add("encoding", std::to_string(static_cast<int>(vectors->form)));
        for (std::uint32_t i = 0; i < batch.elements.size(); ++i) {
            const BatchElement& one = batch.elements[i];
            if (one.is_fresh())
                continue;
            batch.asked.push_back(i);
            wanted.push_back(one.place);
            vectors->ones.push_back({.key = one.key, .epoch = one.epoch});
            key.add("vector", {reinterpret_cast<const char*>(one.key.data()), one.key.size()});
        }
        prepared.key = key.finish();
    } else {
        for (std::uint32_t i = 0; i < batch.call.inputs.size(); ++i)
            wanted.push_back(i);
    }
    prepared.call.prompt_bytes = 0;
    for (const std::uint32_t place : wanted) {
        vectors->sizes.push_back(batch.call.inputs[place].size);
        prepared.call.prompt_bytes +=
            batch.call.inputs[place].size * (batch.call.has_tokens ? 4 : 1);
    }
    vectors->count = wanted.size();
    prepared.upstream_body =
        protocol::write_embeddings_request(batch.body, batch.call, prepared.target.model, wanted);
    prepared.vectors = std::move(vectors);
    return join(std::move(prepared), batch.prepared.directives, {}, executor);
}

bool Gateway::take_asked(EmbeddingsBatch& batch, std::span<const cache::EntryPtr> vectors) {
    if (vectors.empty() || vectors.size() != batch.asked.size())
        return false;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        BatchElement& element = batch.elements[batch.asked[i]];
        element.found.reset();
        element.converted.clear();
        take_vector(batch, batch.asked[i], Found{element.key, vectors[i], true});
        if (!element.found)
            return false;
    }
    return true;
}

} // namespace larder::gateway
