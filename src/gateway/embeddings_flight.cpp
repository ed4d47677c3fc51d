// The part of a flight that is embeddings' own: their answer is read, split, and kept vector by
// vector.
#include "base/hash.hpp"
#include "base/text.hpp"
#include "gateway/embeddings.hpp"
#include "gateway/make_entry.hpp"
#include "gateway/provider_reply.hpp"

namespace larder::gateway {
namespace {

constexpr std::size_t kLargestAnswer = 256ULL << 20; // 2048 vectors of 3072 numbers fit

/// What the call used, from the provider or as an estimate.
llm::Usage usage_of(const Prepared& prepared, const protocol::EmbeddingsAnswer& answer) {
    if (answer.usage)
        return *answer.usage;
    return {.input = llm::estimate_tokens(prepared.call.prompt_bytes)};
}

std::vector<cache::EntryPtr> make_entries(const Prepared& prepared, std::int64_t now_ms,
                                          const protocol::EmbeddingsAnswer& read) {
    const std::uint64_t id = random_u64();
    const std::string call = text::hex({reinterpret_cast<const char*>(&id), sizeof id});
    const llm::Usage usage = usage_of(prepared, read);
    const auto tokens = protocol::split_tokens(usage.prompt(), prepared.vectors->sizes);
    protocol::Answer answer{.model = read.model};
    std::vector<cache::EntryPtr> entries;
    entries.reserve(read.vectors.size());
    for (std::size_t i = 0; i < read.vectors.size(); ++i) {
        answer.usage = llm::Usage{.input = tokens[i], .exact = usage.exact};
        const std::string body =
            protocol::write_kept_vector({.call = call,
                                         .place = static_cast<std::uint32_t>(i),
                                         .count = static_cast<std::uint32_t>(read.vectors.size()),
                                         .before = read.before,
                                         .after = read.after,
                                         .vector = read.vectors[i]});
        entries.push_back(make_entry(prepared, now_ms, body, cache::PrimaryForm::kPlain, &answer));
    }
    return entries;
}

} // namespace

Task<Result<void>> Gateway::read_vectors(provider::ProviderCall& call, const Prepared& prepared,
                                         FlightEnd& end) {
    const std::string content_type(call.head().fields.find("content-type").value_or(""));
    end.share = std::make_shared<BudgetShare>(parts_.budget);
    auto body = co_await read_whole(call, *end.share, kLargestAnswer);
    if (!body)
        co_return std::unexpected(std::move(body).error());
    if (!is_json(content_type))
        co_return unreadable(prepared, "its content type is not JSON");
    if (!end.share->grow(2 * body->size())) // while it is split
        co_return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
    auto read =
        protocol::read_embeddings_answer(*body, prepared.vectors->count, prepared.vectors->form);
    if (!read && read.error().code == ErrorCode::kProviderRejected)
        co_return std::unexpected(
            std::move(read).error().with("provider " + prepared.target.provider->name));
    if (!read)
        co_return unreadable(prepared, read.error().message);
    const std::int64_t now_ms = parts_.clock.epoch_ms();
    protocol::Answer answer{.model = read->model};
    answer.usage = usage_of(prepared, *read);
    end.entry = make_entry(prepared, now_ms, *body, cache::PrimaryForm::kPlain, &answer);
    if (!prepared.vectors->ones.empty())
        end.vectors = make_entries(prepared, now_ms, *read);
    end.share->shrink(body->size());
    co_return Result<void>();
}

void Gateway::keep_vectors(const Prepared& prepared, const FlightEnd& end) {
    if (!prepared.may_keep || end.error || end.vectors.size() != prepared.vectors->ones.size())
        return;
    for (std::size_t i = 0; i < end.vectors.size(); ++i) {
        const AskedVectors::One& one = prepared.vectors->ones[i];
        const cache::EntryPtr& entry = end.vectors[i];
        const auto kept = parts_.memory.get(one.key);
        const bool is_overtaken = kept && kept->asked_ms > prepared.looked_up_ms;
        if (entry->body.size() > prepared.settings->cache.max_entry || !is_current(*entry) ||
            is_overtaken)
            continue;
        entry->confirmed_ms = parts_.clock.epoch_ms();
        parts_.memory.put(one.key, entry);
        if (parts_.store == nullptr)
            continue;
        if (parts_.epochs.of(one.key) != one.epoch)
            parts_.memory.erase(one.key); // another node was faster; the store knows who is newer
        parts_.store->put(one.key, entry);
    }
}

} // namespace larder::gateway
