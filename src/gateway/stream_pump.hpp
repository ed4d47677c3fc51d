// Takes blocks out of a stream's bytes, reads their events, and hands them to the flight. Lives in
// the frame of the flight's coroutine.
#pragma once

#include "gateway/gateway.hpp"
#include "http/sse.hpp"

#include <memory>
#include <string>
#include <vector>

namespace larder::gateway {

class StreamPump {
public:
    StreamPump(Flight& flight, const Prepared& prepared, MemoryBudget& budget,
               http::OwnedFields fields);

    std::string& pending() { return pending_; }
    /// Everything in `pending` that is a whole block. kProviderUnreadable, kProviderRejected (an
    /// error event), kOverloaded.
    Result<void> pump();
    /// At the end of the bytes: kProviderUnavailable unless the answer has ended.
    Result<void> finish();

    [[nodiscard]] const protocol::Answer& answer() const { return reader_->answer(); }
    /// Everything so far, unless it was too much to be kept.
    [[nodiscard]] std::string all() const;
    [[nodiscard]] bool has_begun() const { return begun_; }
    [[nodiscard]] bool has_ended() const { return reader_->answer().ended; }
    [[nodiscard]] bool is_truncated() const { return truncated_; }
    /// Whether the protocol's own terminal event was seen: some vendors just end.
    [[nodiscard]] bool is_terminated() const { return terminated_; }

private:
    Result<void> take(std::string raw);
    Result<void> show(Block block);
    std::unexpected<Error> end_with_failure(const http::SseEvent& event, Error error);
    Result<void> collect(std::size_t bytes);

    Flight& flight_;
    BudgetShare share_;
    std::size_t collected_ = 0; // bytes of events that the reader holds in some form
    http::OwnedFields fields_;  // of the provider's head, until the stream begins
    const Prepared& prepared_;
    std::unique_ptr<protocol::StreamReader> reader_;
    http::SseDecoder decoder_;
    std::vector<http::SseEvent> events_;
    std::string pending_;
    std::size_t scanned_ = 0; // of its first block: whole lines without an end
    std::vector<std::shared_ptr<const Block>> kept_; // up to the largest entry
    std::size_t kept_bytes_ = 0;
    bool truncated_ = false;
    bool terminated_ = false;
    bool begun_ = false;
};

} // namespace larder::gateway
