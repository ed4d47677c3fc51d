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
    LARDER_CHECK(collect(raw));
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
    block.raw = std::move(raw);
    return show(std::move(block));
}

Result<void> StreamPump::show(Block block) {
    if (!std::exchange(begun_, true))
        flight_.begin_stream(std::move(fields_));
    return flight_.append(std::move(block));
}

/// Keeps the stream's bytes as long as they may become an entry, and counts what the reader puts
/// together; of what is too large for an entry it need not know more than the end.
Result<void> StreamPump::collect(const std::string& raw) {
    constexpr std::size_t kForgetAfter = 256UL << 10;
    if (!share_.grow(raw.size()))
        return fail(ErrorCode::kOverloaded, "too many bytes are in flight");
    collected_ += raw.size();
    if (!truncated_ && all_.size() + raw.size() <= prepared_.settings->cache.max_entry) {
        all_ += raw;
        return {};
    }
    truncated_ = true;
    all_ = {};
    if (collected_ >= kForgetAfter) {
        reader_->forget_content();
        share_.shrink(collected_);
        collected_ = 0;
    }
    return {};
}

/// In a stream that has begun, clients of the same API get the provider's own event, less its keys.
std::unexpected<Error> StreamPump::end_with_failure(const http::SseEvent& event, Error error) {
    const provider::Provider& provider = *prepared_.target.provider;
    if (begun_ && error.code == ErrorCode::kProviderRejected)
        (void)show(Block{.raw = masked_event(provider, event), .text = {}, .failure = true});
    return std::unexpected(std::move(error).with("provider " + provider.name));
}

} // namespace larder::gateway
