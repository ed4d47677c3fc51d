// The sending half of a connection: replies whole and in pieces.
#include "base/time.hpp"
#include "http/connection.hpp"
#include "http/gather.hpp"

#include <array>
#include <charconv>
#include <ctime>

namespace larder::http {
namespace {

/// "Date: …\r\n" of this second.
std::string_view date_line() {
    thread_local std::time_t second = 0;
    thread_local std::string line;
    timespec now{};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != second) {
        second = now.tv_sec;
        line = "Date: " + http_date(second) + "\r\n";
    }
    return line;
}

void append_number(std::string& out, std::uint64_t number) {
    std::array<char, 24> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out.append(digits.data(), end);
}

void append_status_line(std::string& out, int status) {
    out += "HTTP/1.1 ";
    append_number(out, static_cast<std::uint64_t>(status));
    out += ' ';
    out += reason_phrase(status);
    out += "\r\n";
}

/// What goes over the wire for one piece of a body: three parts, two of them empty unless chunked.
class Piece {
public:
    Piece(std::string_view bytes, bool chunked) {
        if (!chunked) {
            parts_ = {part_of({}), part_of(bytes), part_of({})};
            return;
        }
        auto [end, error] = std::to_chars(size_.data(), size_.data() + 16, bytes.size(), 16);
        *end++ = '\r';
        *end++ = '\n';
        parts_ = {part_of({size_.data(), static_cast<std::size_t>(end - size_.data())}),
                  part_of(bytes), part_of("\r\n")};
    }
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;
    [[nodiscard]] std::span<const iovec> parts() const { return parts_; }

private:
    std::array<char, 20> size_{};
    std::array<iovec, 3> parts_{};
};

} // namespace

Task<Result<void>> Connection::send(std::span<const iovec> parts) {
    for (const iovec& part : parts)
        bytes_sent_ += part.iov_len;
    auto sent =
        co_await stream_->write_all(parts, write_deadline_, shared_->settings.write_timeout);
    if (!sent)
        client_has_gone();
    co_return sent;
}

/// Date, Connection and the blank line.
void Connection::append_ending(std::string& out) {
    out += date_line();
    if (shared_->draining.load(std::memory_order_relaxed))
        keep_alive_ = false;
    if (body_ && head_.framing.kind == BodyFraming::Kind::kLength &&
        head_.framing.length > kDrainedBody)
        keep_alive_ = false;
    if (body_ && head_.expect_continue && !continue_sent_)
        keep_alive_ = false; // whether the body will come is unknown
    if (!keep_alive_)
        out += "Connection: close\r\n";
    else if (head_.minor_version == 0)
        out += "Connection: keep-alive\r\n";
    out += "\r\n";
}

Task<Result<void>> Connection::reply(Response response) {
    LARDER_ASSERT(!replied());
    status_ = response.status;
    if (response.close)
        keep_alive_ = false;
    std::string head;
    head.reserve(512);
    append_status_line(head, response.status);
    for (const auto& [name, value] : response.fields)
        ((head += name) += ": ").append(value) += "\r\n";
    head += response.head_lines;
    if (response.status != 204 && response.status != 304) {
        head += "Content-Length: ";
        append_number(head, response.body.size());
        head += "\r\n";
    }
    append_ending(head);
    const bool without_body =
        head_.method == Method::kHead || response.status == 204 || response.status == 304;
    const std::array parts{part_of(head),
                           part_of(without_body ? std::string_view() : response.body)};
    co_return co_await send(parts);
}

Task<Result<void>> Connection::reply_raw(std::string_view constant_head,
                                         std::string_view changing_head, std::string_view body) {
    LARDER_ASSERT(!replied());
    status_ = 200;
    if (constant_head.size() > 12)
        std::from_chars(constant_head.data() + 9, constant_head.data() + 12, status_);
    std::string ending;
    ending.reserve(128);
    append_ending(ending);
    const bool without_body = head_.method == Method::kHead;
    const std::array parts{part_of(constant_head), part_of(changing_head), part_of(ending),
                           part_of(without_body ? std::string_view() : body)};
    co_return co_await send(parts);
}

Task<Result<void>> Connection::begin_stream(int status, OwnedFields fields,
                                            std::string_view head_lines,
                                            std::optional<std::uint64_t> length) {
    LARDER_ASSERT(!replied());
    status_ = status;
    streaming_ = true;
    stream_left_ = length;
    chunked_ = !length && head_.minor_version >= 1;
    if (!length && !chunked_)
        keep_alive_ = false;
    std::string head;
    head.reserve(512);
    append_status_line(head, status);
    for (const auto& [name, value] : fields)
        ((head += name) += ": ").append(value) += "\r\n";
    head += head_lines;
    if (chunked_)
        head += "Transfer-Encoding: chunked\r\n";
    if (length) {
        head += "Content-Length: ";
        append_number(head, *length);
        head += "\r\n";
    }
    append_ending(head);
    const std::array parts{part_of(head)};
    co_return co_await send(parts);
}

/// Whether the reply's length has room for so many more bytes.
bool Connection::take_from_length(std::size_t bytes) {
    if (!stream_left_)
        return true;
    if (bytes > *stream_left_) {
        abort();
        return false;
    }
    *stream_left_ -= bytes;
    return true;
}

Task<Result<void>> Connection::write(std::string_view bytes) {
    LARDER_ASSERT(streaming_);
    if (gone_)
        co_return fail(ErrorCode::kCancelled, "the client has gone");
    if (bytes.empty() || head_.method == Method::kHead)
        co_return Result<void>();
    if (!take_from_length(bytes.size()))
        co_return fail(ErrorCode::kInternal, "more bytes than were told");
    const Piece piece(bytes, chunked_);
    co_return co_await send(piece.parts());
}

bool Connection::write_now(std::string_view bytes) {
    LARDER_ASSERT(streaming_ && unsent_.empty());
    if (gone_ || bytes.empty() || head_.method == Method::kHead || !take_from_length(bytes.size()))
        return true;
    const Piece piece(bytes, chunked_);
    const net::IoResult step = stream_->try_write(piece.parts());
    using Status = net::IoResult::Status;
    if (step.status == Status::kEnd || step.status == Status::kError) {
        client_has_gone();
        return true;
    }
    std::size_t sent = step.status == Status::kOk ? step.bytes : 0;
    for (const iovec& part : piece.parts()) {
        bytes_sent_ += part.iov_len;
        const std::size_t skipped = std::min(sent, part.iov_len);
        unsent_.append(static_cast<const char*>(part.iov_base) + skipped, part.iov_len - skipped);
        sent -= skipped;
    }
    return unsent_.empty();
}

Task<Result<void>> Connection::flush() {
    const std::string rest = std::exchange(unsent_, {});
    if (gone_)
        co_return fail(ErrorCode::kCancelled, "the client has gone");
    if (rest.empty())
        co_return Result<void>();
    bytes_sent_ -= rest.size(); // they were counted already
    const std::array parts{part_of(rest)};
    co_return co_await send(parts);
}

Task<Result<void>> Connection::end_stream() {
    LARDER_ASSERT(streaming_);
    if (stream_left_.value_or(0) > 0 && head_.method != Method::kHead)
        abort();
    streaming_ = false;
    if (!chunked_ || head_.method == Method::kHead)
        co_return Result<void>();
    const std::array parts{part_of("0\r\n\r\n")};
    co_return co_await send(parts);
}

} // namespace larder::http
