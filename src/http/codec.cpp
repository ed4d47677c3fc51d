// Finds a head in bytes, has Beast parse it, and records where its parts are; takes bodies out of
// their framing. The only file that includes Boost.Beast, and so header-only here. One thread at a
// time.
#undef BOOST_BEAST_SEPARATE_COMPILATION

#include "http/codec.hpp"

#include "http/framing.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

namespace larder::http {

namespace {

namespace beast = boost::beast;

constexpr std::size_t kEmptyLinesMax = 4;

std::unexpected<Error> refuse(std::string_view why) {
    return fail(ErrorCode::kInvalidRequest, std::string(why));
}

std::unexpected<Error> too_large(std::string_view why) {
    return fail(ErrorCode::kHeadTooLarge, std::string(why));
}

std::string_view view_of(beast::string_view text) {
    return {text.data(), text.size()};
}

Method method_of(beast::http::verb verb) {
    switch (verb) {
    case beast::http::verb::get:
        return Method::kGet;
    case beast::http::verb::head:
        return Method::kHead;
    case beast::http::verb::post:
        return Method::kPost;
    case beast::http::verb::put:
        return Method::kPut;
    case beast::http::verb::patch:
        return Method::kPatch;
    case beast::http::verb::delete_:
        return Method::kDelete;
    case beast::http::verb::options:
        return Method::kOptions;
    default:
        return Method::kOther;
    }
}

/// Beast's parser with callbacks that only record views. Stops at the end of the head: bodies are
/// skipped, and its own limits are off.
template <bool kIsRequest, class Head>
class HeadParser final : public beast::http::basic_parser<kIsRequest> {
public:
    HeadParser(Head& head, std::size_t fields_max) : head_(head), fields_max_(fields_max) {
        this->skip(true);
        this->header_limit(std::numeric_limits<std::uint32_t>::max());
        this->body_limit(boost::none);
    }

    [[nodiscard]] bool has_too_many_fields() const { return head_.fields.size() > fields_max_; }

private:
    using Code = beast::error_code;

    void on_request_impl(beast::http::verb verb, beast::string_view method,
                         beast::string_view target, int version, Code&) override {
        if constexpr (kIsRequest) {
            head_.method = method_of(verb);
            head_.method_text = view_of(method);
            head_.target = view_of(target);
            head_.minor_version = version - 10;
        }
    }
    void on_response_impl(int status, beast::string_view, int version, Code&) override {
        if constexpr (!kIsRequest) {
            head_.status = status;
            head_.minor_version = version - 10;
        }
    }
    void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                       Code& code) override {
        head_.fields.add(view_of(name), view_of(value));
        if (has_too_many_fields())
            code = beast::http::error::header_limit;
    }
    void on_header_impl(Code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
    std::size_t on_body_impl(beast::string_view, Code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, beast::string_view, Code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, Code&) override { return 0; }
    void on_finish_impl(Code&) override {}

    Head& head_;
    std::size_t fields_max_;
};

struct Extent {
    std::size_t start = 0;
    std::size_t end = 0; // 0: not there yet
};

/// Steps over empty lines and then from line to line until an empty one.
Result<Extent> find_head(std::string_view input, std::size_t bytes_max, std::size_t& scanned) {
    std::size_t start = 0;
    while (start < input.size() && (input[start] == '\r' || input[start] == '\n')) {
        if (start == 2 * kEmptyLinesMax)
            return refuse("too many empty lines before the start line");
        if (input[start] == '\n' || (start + 1 < input.size() && input[start + 1] != '\n'))
            return refuse("a bare CR or LF before the start line");
        if (start + 1 == input.size())
            return Extent{};
        start += 2;
    }
    const std::size_t reach = std::min(input.size() - start, bytes_max) + start;
    std::size_t at = std::max(scanned, start);
    while (at < reach) {
        const void* const found = std::memchr(input.data() + at, '\n', reach - at);
        if (found == nullptr)
            break;
        const auto line_feed =
            static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
        if (input[line_feed - 1] != '\r')
            return refuse("a line of the head ends in a bare LF");
        at = line_feed + 1;
        if (line_feed >= start + 3 && input[line_feed - 2] == '\n')
            return Extent{.start = start, .end = at};
    }
    scanned = reach;
    if (input.size() - start >= bytes_max)
        return too_large("the head is larger than " + std::to_string(bytes_max) + " bytes");
    return Extent{};
}

template <bool kIsRequest, class Head>
Result<std::size_t> parse_head(std::string_view input, const HeadLimits& limits, Head& head,
                               std::size_t& scanned) {
    LARDER_TRY(const Extent extent, find_head(input, limits.bytes, scanned));
    if (extent.end == 0)
        return 0;
    head.fields.clear();
    head.bytes.assign(input.data() + extent.start, extent.end - extent.start);
    LARDER_CHECK(check_raw_head(head.bytes));
    HeadParser<kIsRequest, Head> parser(head, limits.fields);
    beast::error_code code;
    const std::size_t used =
        parser.put(boost::asio::const_buffer(head.bytes.data(), head.bytes.size()), code);
    if (parser.has_too_many_fields())
        return too_large("more than " + std::to_string(limits.fields) + " header fields");
    if (code)
        return refuse("the head can't be parsed: " + code.message());
    if (!parser.is_header_done() || used != head.bytes.size())
        return refuse("the head can't be parsed");
    return extent.end;
}

} // namespace

Result<std::size_t> parse_request_head(std::string_view input, const HeadLimits& limits,
                                       RequestHead& head, std::size_t& scanned) {
    LARDER_TRY(const std::size_t length, parse_head<true>(input, limits, head, scanned));
    if (length > 0)
        LARDER_CHECK(check_request(head));
    return length;
}

Result<std::size_t> parse_response_head(std::string_view input, const HeadLimits& limits,
                                        ResponseHead& head, std::size_t& scanned,
                                        bool to_head_request) {
    LARDER_TRY(const std::size_t length, parse_head<false>(input, limits, head, scanned));
    if (length > 0)
        LARDER_CHECK(check_response(head, to_head_request));
    return length;
}

/// Where a chunked body stands (RFC 9112, 7.1). Every byte that is fed is used at once, so that
/// nothing needs to be kept between two pieces.
struct BodyReader::Chunked {
    enum class State : std::uint8_t {
        kSize,         // the digits of a chunk's size
        kSizeSpace,    // white space before an extension
        kExtension,    // from its semicolon on, dropped
        kSizeEnd,      // LF of that line
        kData,         // the bytes of a chunk
        kDataEnd,      // CR after the data
        kDataLineFeed, // LF after the data
        kTrailerStart, // the first byte of a trailer line, or CR of the last line
        kTrailer,      // within a trailer line, dropped
        kTrailerEnd,   // LF of a trailer line
        kLastLineFeed, // LF of the last line
        kDone,
    };

    static constexpr unsigned kDigitsMax = 16;
    static constexpr std::size_t kExtensionMax = 4096; // of one chunk
    static constexpr std::size_t kTrailersMax = 8192;  // of all trailer lines together

    State state = State::kSize;
    unsigned digits = 0;
    std::uint64_t left = 0;
    std::size_t dropped = 0; // bytes of this chunk's extension, or of the trailers
    bool named = false;      // the trailer line has its colon

    Result<void> step(char c);
    Result<void> step_size(char c);
    Result<void> step_extension(char c);
    Result<void> step_trailer(char c);
    Result<void> drop(char c, std::size_t bytes_max);
};

namespace {

/// The value of a hexadecimal digit, or -1.
int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool is_control(char c) {
    return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f;
}

bool is_name_byte(char c) {
    return c > ' ' && c < 0x7f && c != ':';
}

} // namespace

Result<void> BodyReader::Chunked::drop(char c, std::size_t bytes_max) {
    if (is_control(c))
        return refuse("a control character in the framing of the body");
    if (++dropped > bytes_max)
        return refuse("too many bytes around the chunks of the body");
    return {};
}

Result<void> BodyReader::Chunked::step_size(char c) {
    if (const int digit = digit_of(c); digit >= 0) {
        if (++digits > kDigitsMax)
            return refuse("a chunk size of more than 16 digits");
        left = left << 4U | static_cast<std::uint64_t>(digit);
        return {};
    }
    if (digits == 0)
        return refuse("a chunk size that is no hexadecimal number");
    if (c == '\r') {
        state = State::kSizeEnd;
        return {};
    }
    return step_extension(c);
}

Result<void> BodyReader::Chunked::step_extension(char c) {
    if (state == State::kExtension && c == '\r') {
        state = State::kSizeEnd;
        return {};
    }
    if (state != State::kExtension) {
        if (c != ';' && c != ' ' && c != '\t')
            return refuse("a chunk size that is no hexadecimal number");
        state = c == ';' ? State::kExtension : State::kSizeSpace;
    }
    return drop(c, kExtensionMax);
}

Result<void> BodyReader::Chunked::step_trailer(char c) {
    if (state == State::kTrailerStart && c == '\r') {
        state = State::kLastLineFeed;
        return {};
    }
    if (state == State::kTrailerStart) {
        if (!is_name_byte(c))
            return refuse("a malformed trailer");
        named = false;
        state = State::kTrailer;
    } else if (c == '\r') {
        if (!named)
            return refuse("a trailer without a colon");
        state = State::kTrailerEnd;
        return {};
    } else if (!named && c == ':') {
        named = true;
    } else if (!named && !is_name_byte(c)) {
        return refuse("a malformed trailer");
    }
    return drop(c, kTrailersMax);
}

Result<void> BodyReader::Chunked::step(char c) {
    const auto line_feed = [&](State next) -> Result<void> {
        if (c != '\n')
            return refuse("a bare CR in the framing of the body");
        state = next;
        return {};
    };
    switch (state) {
    case State::kSize:
        return step_size(c);
    case State::kSizeSpace:
    case State::kExtension:
        return step_extension(c);
    case State::kSizeEnd:
        digits = 0;
        dropped = 0;
        return line_feed(left == 0 ? State::kTrailerStart : State::kData);
    case State::kDataEnd:
        if (c != '\r')
            return refuse("a chunk that is longer than its size");
        state = State::kDataLineFeed;
        return {};
    case State::kDataLineFeed:
        return line_feed(State::kSize);
    case State::kTrailerStart:
    case State::kTrailer:
        return step_trailer(c);
    case State::kTrailerEnd:
        return line_feed(State::kTrailerStart);
    case State::kLastLineFeed:
        return line_feed(State::kDone);
    case State::kData:
    case State::kDone:
        break;
    }
    return {};
}

BodyReader::BodyReader(BodyFraming framing) : framing_(framing), left_(framing.length) {
    using Kind = BodyFraming::Kind;
    done_ = framing.kind == Kind::kNone || (framing.kind == Kind::kLength && left_ == 0);
    if (framing.kind == Kind::kChunked)
        chunked_ = std::make_unique<Chunked>();
}

BodyReader::~BodyReader() = default;
BodyReader::BodyReader(BodyReader&&) noexcept = default;
BodyReader& BodyReader::operator=(BodyReader&&) noexcept = default;

Result<std::size_t> BodyReader::feed(std::string_view input, std::string& out) {
    if (done_)
        return 0;
    if (framing_.kind == BodyFraming::Kind::kUntilClose) {
        out.append(input);
        return input.size();
    }
    if (framing_.kind == BodyFraming::Kind::kLength) {
        const std::size_t taken = std::min<std::uint64_t>(input.size(), left_);
        out.append(input.substr(0, taken));
        left_ -= taken;
        done_ = left_ == 0;
        return taken;
    }
    std::size_t at = 0;
    while (at < input.size() && !done_) {
        if (chunked_->state != Chunked::State::kData) {
            LARDER_CHECK(chunked_->step(input[at++]));
            done_ = chunked_->state == Chunked::State::kDone;
            continue;
        }
        const std::size_t taken = std::min<std::uint64_t>(input.size() - at, chunked_->left);
        out.append(input.substr(at, taken));
        at += taken;
        chunked_->left -= taken;
        if (chunked_->left == 0)
            chunked_->state = Chunked::State::kDataEnd;
    }
    return at;
}

bool BodyReader::done() const {
    return done_;
}

Result<void> BodyReader::end_of_input() {
    if (framing_.kind == BodyFraming::Kind::kUntilClose)
        done_ = true;
    if (!done_)
        return refuse("the body was cut");
    return {};
}

} // namespace larder::http
