// Server-sent events: the incremental decoder (WHATWG HTML, section 9.2.6) and the encoder. Whole
// lines are read where they stand; only a line that is cut by a piece's end is copied.
#include "http/sse.hpp"

#include <algorithm>

namespace larder::http {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Finds line ends in what is left of a text, each of its bytes looked at about twice in all.
class LineEnds {
public:
    explicit LineEnds(std::string_view text) : feed_(text.find('\n')), size_(text.size()) {}
    /// The first \r or \n in `left`, which is a suffix of the text; npos when there is none.
    std::size_t next(std::string_view left) {
        const std::size_t passed = size_ - left.size();
        if (feed_ != std::string_view::npos && feed_ < passed) {
            const std::size_t found = left.find('\n');
            feed_ = found == std::string_view::npos ? found : found + passed;
        }
        if (feed_ == std::string_view::npos)
            return left.find('\r');
        const std::size_t feed = feed_ - passed;
        return std::min(left.substr(0, feed).find('\r'), feed);
    }

private:
    std::size_t feed_; // of the next \n in the text
    std::size_t size_;
};

} // namespace

bool SseDecoder::is_over_bound(std::size_t more) const {
    const std::size_t held = line_.size() + event_.name.size() + event_.data.size();
    return more > max_event_bytes_ || held > max_event_bytes_ - more;
}

Result<void> SseDecoder::feed(std::string_view bytes, std::vector<SseEvent>& events) {
    LineEnds line_ends(bytes);
    while (!bytes.empty()) {
        if (after_cr_) { // the second half of a \r\n
            after_cr_ = false;
            if (bytes.front() == '\n') {
                bytes.remove_prefix(1);
                continue;
            }
        }
        const std::size_t end = line_ends.next(bytes);
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
    LineEnds line_ends(data);
    for (;;) {
        const std::size_t end = line_ends.next(data);
        out.append("data: ").append(data.substr(0, end)).append("\n");
        if (end == std::string_view::npos)
            break;
        const bool is_pair = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
        data.remove_prefix(end + (is_pair ? 2 : 1));
    }
    out += '\n';
}

} // namespace larder::http
