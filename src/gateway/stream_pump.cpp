#include "gateway/stream_pump.hpp"

#include "gateway/make_entry.hpp"
#include "gateway/sse_blocks.hpp"

namespace larder::gateway {
namespace {

constexpr std::size_t kLargestBlock = 16ULL
                                      << 20; // the last one of OpenAI's responses has all of it
/// What its reader puts together is kept until its end.
constexpr std::size_t kLargestStream = 256ULL << 20;

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
            block.usage_only || !protocol::is_for_client(prepared_.dialect, event, false);
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

} // namespace larder::gateway
