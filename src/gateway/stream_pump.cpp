#include "gateway/stream_pump.hpp"

#include "gateway/make_entry.hpp"
#include "gateway/provider_reply.hpp"
#include "gateway/sse_blocks.hpp"

namespace larder::gateway {
namespace {

constexpr std::size_t kLargestBlock = 16ULL
                                      << 20; // the last one of OpenAI's responses has all of it

} // namespace

StreamPump::StreamPump(Flight& flight, const Prepared& prepared, MemoryBudget& budget,
                       http::OwnedFields fields)
    : flight_(flight), share_(budget), fields_(std::move(fields)), prepared_(prepared),
      reader_(protocol::make_stream_reader(prepared.dialect)) {}

Result<void> StreamPump::pump() {
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

Result<void> StreamPump::finish() {
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

Result<void> StreamPump::take(std::string raw) {
    constexpr std::size_t kTerminatorBytes = 64;
    if (has_ended() && (raw.size() > kTerminatorBytes || !raw.contains("data: [DONE]")))
        return {}; // nothing after the answer's end is anybody's, but a vendor's second one
    events_.clear();
    LARDER_CHECK(decoder_.feed(raw, events_));
    LARDER_CHECK(collect(raw.size()));
    Block block;
    for (const http::SseEvent& event : events_) {
        auto text = reader_->read(event);
        if (!text)
            return end_with_failure(event, std::move(text).error());
        block.text += *text;
        block.usage_only =
            block.usage_only || !protocol::is_for_client(prepared_.dialect, event, false);
        if (protocol::tells_failure(prepared_.dialect, event))
            raw = masked_event(*prepared_.target.provider, event);
    }
    // Only a first event, or a comment, begins the stream: what breaks before it is still a
    // plain error.
    const bool is_shown = !events_.empty() || raw.starts_with(':');
    if (!begun_ && !is_shown)
        return {};
    block.comment = events_.empty() && raw.starts_with(':');
    block.raw = std::move(raw);
    return show(std::move(block));
}

/// Keeps the block as long as the stream may become an entry.
Result<void> StreamPump::show(Block block) {
    if (!std::exchange(begun_, true))
        flight_.begin_stream(std::move(fields_));
    auto shared = std::make_shared<const Block>(std::move(block));
    kept_bytes_ += shared->raw.size();
    truncated_ = truncated_ || kept_bytes_ > prepared_.settings->cache.max_entry;
    if (truncated_)
        kept_ = {};
    else
        kept_.push_back(shared);
    return flight_.append(std::move(shared));
}

/// Counts what the reader puts together, and makes it forget: a long answer is read from its entry,
/// and here nothing but its end and its figures is asked for.
Result<void> StreamPump::collect(std::size_t bytes) {
    constexpr std::size_t kForgetAfter = 128UL << 10;
    if (!share_.grow(bytes))
        return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
    collected_ += bytes;
    if (collected_ >= kForgetAfter) {
        reader_->forget_content();
        share_.shrink(collected_);
        collected_ = 0;
    }
    return {};
}

std::string StreamPump::all() const {
    std::string all;
    all.reserve(truncated_ ? 0 : kept_bytes_);
    for (const auto& block : kept_)
        all += block->raw;
    return all;
}

/// In a stream that has begun, clients of the same API get the provider's own event, less its keys.
std::unexpected<Error> StreamPump::end_with_failure(const http::SseEvent& event, Error error) {
    const provider::Provider& provider = *prepared_.target.provider;
    if (begun_ && error.code == ErrorCode::kProviderRejected)
        (void)show(Block{.raw = masked_event(provider, event), .text = {}, .failure = true});
    return std::unexpected(std::move(error).with("provider " + provider.name));
}

} // namespace larder::gateway
