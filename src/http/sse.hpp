// Server-sent events (WHATWG HTML, section 9.2.6): an incremental decoder and an encoder. Pure, one
// thread at a time.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::http {

struct SseEvent {
    std::string name; // "message" events have an empty name here
    std::string data; // lines joined with \n
};

/// Takes bytes cut anywhere (in a UTF-8 character, between \r and \n) and gives whole events.
class SseDecoder {
public:
    explicit SseDecoder(std::size_t max_event_bytes = 16ULL << 20)
        : max_event_bytes_(max_event_bytes) {}
    /// Appends the events that `bytes` completes to `events`. Comments are skipped. kTooLarge when
    /// one event passes its bound.
    Result<void> feed(std::string_view bytes, std::vector<SseEvent>& events);
    /// Whether every byte so far belongs to a finished event (or a comment): false at an end means
    /// a cut stream.
    [[nodiscard]] bool at_boundary() const;

private:
    void end_line(std::string_view line, std::vector<SseEvent>& events);
    void add_field(std::string_view name, std::string_view value);
    [[nodiscard]] bool is_over_bound(std::size_t more) const;
    std::string line_;
    SseEvent event_;
    bool has_data_ = false;
    bool after_cr_ = false;
    bool first_line_ = true; // a byte-order mark may stand before it
    std::size_t max_event_bytes_;
};

/// "event: name\ndata: …\n\n"; a data with line breaks becomes several data lines; no event line
/// when `name` is empty.
void write_sse(std::string& out, std::string_view name, std::string_view data);

} // namespace larder::http
