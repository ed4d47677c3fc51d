// Server-sent events: the incremental decoder (WHATWG HTML, section 9.2.6) and the encoder. Whole
// lines are read where they stand; only a line that is cut by a piece's end is copied.
#include "http/sse.hpp"

namespace larder::http {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

} // namespace

bool SseDecoder::is_over_bound(std::size_t more) const {
    const std::size_t held = line_.size() + event_.name.size() + event_.data.size();
    return more > max_event_bytes_ || held > max_event_bytes_ - more;
}

Result<void> SseDecoder::feed(std::string_view bytes, std::vector<SseEvent>& events) {
    while (!bytes.empty()) {
        if (after_cr_) { // the second half of a \r\n
            after_cr_ = false;
            if (bytes.front() == '\n') {
                bytes.remove_prefix(1);
                continue;
            }
        }
        const std::size_t end = bytes.find_first_of("\r\n");
        const std::string_view piece = bytes.substr(0, end);
        if (is_over_bound(piece.size()))
            return fail(ErrorCode::kTooLarge, "an event of the stream is over its limit of bytes");
        if (end == std::string_view::npos) {
            line_.append(piece);
            return {};
        }
        after_cr_ = bytes[end] == '\r';
        bytes.remove_prefix(end + 1);
        if (line_.empty()) {
            end_line(piece, events);
        } else {
            line_.append(piece);
            end_line(line_, events);
            line_.clear();
        }
    }
    return {};
}

void SseDecoder::end_line(std::string_view line, std::vector<SseEvent>& events) {
    if (first_line_) {
        first_line_ = false;
        if (line.starts_with(kByteOrderMark))
            line.remove_prefix(kByteOrderMark.size());
    }
    if (line.empty()) { // the event ends; one without data is dropped
        if (has_data_)
            events.push_back(std::move(event_));
        event_ = {};
        has_data_ = false;
        return;
    }
    const std::size_t colon = line.find(':');
    if (colon == 0)
        return; // a comment
    std::string_view value;
    if (colon != std::string_view::npos) {
        value = line.substr(colon + 1);
        if (value.starts_with(' '))
            value.remove_prefix(1);
    }
    add_field(line.substr(0, colon), value);
}

void SseDecoder::add_field(std::string_view name, std::string_view value) {
    if (name == "data") {
        if (has_data_)
            event_.data += '\n';
        event_.data += value;
        has_data_ = true;
    } else if (name == "event") {
        event_.name = value == "message" ? std::string_view() : value;
    }
}

bool SseDecoder::at_boundary() const {
    const bool event_is_open = has_data_ || !event_.name.empty();
    return !event_is_open && (line_.empty() || line_.front() == ':');
}

void write_sse(std::string& out, std::string_view name, std::string_view data) {
    if (!name.empty())
        out.append("event: ").append(name).append("\n");
    for (;;) {
        const std::size_t end = data.find_first_of("\r\n");
        out.append("data: ").append(data.substr(0, end)).append("\n");
        if (end == std::string_view::npos)
            break;
        const bool is_pair = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
        data.remove_prefix(end + (is_pair ? 2 : 1));
    }
    out += '\n';
}

} // namespace larder::http
