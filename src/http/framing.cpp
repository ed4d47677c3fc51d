// Refuses what is ambiguous in a head: raw bytes first, then lengths, codings, hosts and targets of
// the parsed head. Pure. No message carries what the peer sent.
#include "http/framing.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace larder::http {

namespace {

// --- the raw bytes
// --------------------------------------------------------------------------------

enum ByteClass : std::uint8_t {
    kToken = 1,     // RFC 9110, 5.6.2
    kPrintable = 2, // VCHAR, SP, obs-text
    kHost = 4,      // unreserved, sub-delims and "%" of RFC 3986
};

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> classes{};
    for (unsigned c = 0x20; c < 256; ++c) {
        if (c != 0x7f)
            classes[c] |= kPrintable;
    }
    for (unsigned c = 0; c < 128; ++c) {
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            classes[c] |= kToken | kHost;
    }
    for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
        classes[static_cast<unsigned char>(c)] |= kToken;
    for (const char c : std::string_view("-._~!$&'()*+,;=%"))
        classes[static_cast<unsigned char>(c)] |= kHost;
    return classes;
}

constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

bool is(char c, ByteClass wanted) {
    return (kClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}

/// The first control character (HTAB and DEL among them) from `at` on, or `end`; eight bytes a
/// step.
const char* find_control(const char* at, const char* end) {
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    constexpr std::uint64_t kHigh = 0x8080808080808080U;
    while (end - at >= 8) {
        std::uint64_t bytes;
        std::memcpy(&bytes, at, sizeof bytes);
        if constexpr (std::endian::native == std::endian::big)
            bytes = std::byteswap(bytes);
        // A byte's high bit is set where it is below 0x20, or 0x7f; exact for the lowest such byte.
        const std::uint64_t below_space = (bytes - kOnes * 0x20) & ~bytes;
        const std::uint64_t del = bytes ^ (kOnes * 0x7f);
        const std::uint64_t hits = (below_space | ((del - kOnes) & ~del)) & kHigh;
        if (hits != 0)
            return at + std::countr_zero(hits) / 8;
        at += 8;
    }
    while (at != end && is(*at, kPrintable))
        ++at;
    return at;
}

const char* skip_value(const char* at, const char* end) {
    at = find_control(at, end);
    while (at != end && *at == '\t')
        at = find_control(at + 1, end);
    return at;
}

bool is_line_end(const char* at, const char* end) {
    return end - at >= 2 && at[0] == '\r' && at[1] == '\n';
}

std::unexpected<Error> refuse(std::string_view why) {
    return fail(ErrorCode::kInvalidRequest, std::string(why));
}

/// `at` is where a line's permitted bytes ended without CRLF.
std::unexpected<Error> refuse_line_end(const char* at, const char* end) {
    if (at == end)
        return refuse("the head has no end");
    if (*at == '\r' || *at == '\n')
        return refuse("a line of the head ends in a bare CR or LF");
    return refuse("a control character in the head");
}

std::unexpected<Error> refuse_name(const char* from, const char* at, const char* end) {
    if (at == end)
        return refuse("the head has no end");
    if (*at == ' ' || *at == '\t')
        return refuse(at == from ? "a folded header line, or white space before a header name"
                                 : "white space before the colon of a header");
    if (*at == ':')
        return refuse("an empty header name");
    if (*at == '\r' || *at == '\n')
        return refuse("a header line without a colon");
    return refuse("a header name that is no token");
}

// --- what the fields say
// --------------------------------------------------------------------------

/// The fields that decide how a message is framed, gathered in one pass.
struct Facts {
    unsigned hosts = 0;
    unsigned lengths = 0;
    unsigned codings = 0;
    unsigned expectations = 0;
    bool close = false;
    bool keep_alive = false;
    std::string_view host;
    std::string_view length;
    std::string_view coding;
    std::string_view expectation;
};

void read_connection(std::string_view value, Facts& facts) {
    while (!value.empty()) {
        const std::size_t comma = value.find(',');
        const std::string_view option = text::trim(value.substr(0, comma));
        if (text::equals_ignoring_case(option, "close"))
            facts.close = true;
        else if (text::equals_ignoring_case(option, "keep-alive"))
            facts.keep_alive = true;
        value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    }
}

/// `name` is in lower case and as long as the field's.
bool has_name(const Field& field, std::string_view name) {
    for (std::size_t i = 0; i < name.size(); ++i) {
        // Letters and "-" only: no other token byte becomes one of them by this bit.
        if ((field.name[i] | 0x20) != name[i])
            return false;
    }
    return true;
}

bool take(const Field& field, std::string_view name, unsigned& count, std::string_view& value) {
    if (!has_name(field, name))
        return false;
    ++count;
    value = field.value;
    return true;
}

Facts gather(const Fields& fields) {
    Facts facts;
    for (const Field& field : fields) {
        switch (field.name.size()) {
        case 4:
            take(field, "host", facts.hosts, facts.host);
            break;
        case 6:
            take(field, "expect", facts.expectations, facts.expectation);
            break;
        case 10:
            if (has_name(field, "connection"))
                read_connection(field.value, facts);
            break;
        case 14:
            take(field, "content-length", facts.lengths, facts.length);
            break;
        case 17:
            take(field, "transfer-encoding", facts.codings, facts.coding);
            break;
        default:
            break;
        }
    }
    return facts;
}

/// Digits only, once, at most 2^63 - 1 (RFC 9110, 8.6).
Result<std::uint64_t> read_length(std::string_view value) {
    std::uint64_t length = 0;
    if (value.empty() || value.size() > 19)
        return refuse("Content-Length is no number");
    for (const char c : value) {
        if (c < '0' || c > '9')
            return refuse("Content-Length is no number");
        length = length * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return refuse("Content-Length is too large");
    return length;
}

/// What the fields alone say about the body; kNone when they say nothing (RFC 9112, 6.1 to 6.3).
Result<BodyFraming> read_framing(const Facts& facts, int minor_version) {
    if (facts.codings > 0) {
        if (facts.lengths > 0)
            return refuse("Transfer-Encoding beside Content-Length");
        if (minor_version == 0)
            return refuse("Transfer-Encoding in HTTP/1.0");
        if (facts.codings > 1 || !text::equals_ignoring_case(facts.coding, "chunked"))
            return refuse("a Transfer-Encoding other than chunked");
        return BodyFraming{.kind = BodyFraming::Kind::kChunked};
    }
    if (facts.lengths > 1)
        return refuse("Content-Length is given more than once");
    if (facts.lengths == 0)
        return BodyFraming{};
    LARDER_TRY(const std::uint64_t length, read_length(facts.length));
    return BodyFraming{.kind = BodyFraming::Kind::kLength, .length = length};
}

Result<void> check_version(int minor_version) {
    if (minor_version != 0 && minor_version != 1)
        return refuse("an HTTP version other than 1.0 and 1.1");
    return {};
}

bool stays_open(const Facts& facts, int minor_version) {
    return !facts.close && (minor_version == 1 || facts.keep_alive);
}

// --- targets
// --------------------------------------------------------------------------------------

bool is_port(std::string_view port) {
    unsigned number = 0;
    for (const char c : port) {
        if (c < '0' || c > '9')
            return false;
        number = number * 10 + static_cast<unsigned>(c - '0');
        if (number > 65535)
            return false;
    }
    return true;
}

/// `uri-host [ ":" port ]` of RFC 9110, 7.2, with a host; no user information.
bool is_authority(std::string_view authority) {
    std::size_t at = 0;
    if (authority.starts_with('[')) {
        at = authority.find(']');
        if (at == std::string_view::npos || at < 3)
            return false;
        for (const char c : authority.substr(1, at - 1)) {
            if (c == '%' || (c != ':' && !is(c, kHost)))
                return false;
        }
        ++at;
    } else {
        while (at < authority.size() && is(authority[at], kHost))
            ++at;
        if (at == 0)
            return false;
    }
    return at == authority.size() || (authority[at] == ':' && is_port(authority.substr(at + 1)));
}

void split_path(RequestHead& head, std::string_view path_and_query) {
    const std::size_t mark = path_and_query.find('?');
    head.path = path_and_query.substr(0, mark);
    head.query =
        mark == std::string_view::npos ? std::string_view() : path_and_query.substr(mark + 1);
    if (head.path.empty())
        head.path = "/";
}

/// The four forms of RFC 9112, 3.2. The authority of an absolute form takes the place of Host.
Result<void> read_target(RequestHead& head) {
    for (const char c : head.target) {
        if (c <= ' ' || c > '~' || c == '#')
            return refuse("a character in the target that must be percent-encoded");
    }
    if (head.method_text == "CONNECT")
        return refuse("CONNECT is not served");
    if (head.target.starts_with('/')) {
        split_path(head, head.target);
        return {};
    }
    if (head.target == "*") {
        if (head.method != Method::kOptions)
            return refuse("the target * is for OPTIONS only");
        head.path = head.target;
        head.query = {};
        return {};
    }
    const std::size_t scheme = head.target.find("://");
    if (scheme == std::string_view::npos ||
        (!text::equals_ignoring_case(head.target.substr(0, scheme), "http") &&
         !text::equals_ignoring_case(head.target.substr(0, scheme), "https")))
        return refuse("a target that is neither a path nor an http address");
    const std::string_view rest = head.target.substr(scheme + 3);
    const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
    if (!is_authority(rest.substr(0, authority_end)))
        return refuse("a target with a malformed authority");
    head.host = rest.substr(0, authority_end);
    split_path(head, rest.substr(authority_end));
    return {};
}

} // namespace

Result<void> check_raw_head(std::string_view head) {
    const char* at = head.data();
    const char* const end = at + head.size();
    if (at == end || *at == ' ')
        return refuse("white space before the start line");
    at = find_control(at, end); // HTAB has no place in a start line
    if (!is_line_end(at, end))
        return refuse_line_end(at, end);
    at += 2;
    while (!is_line_end(at, end)) {
        const char* const name = at;
        while (at != end && is(*at, kToken))
            ++at;
        if (at == name || at == end || *at != ':')
            return refuse_name(name, at, end);
        at = skip_value(at + 1, end);
        if (!is_line_end(at, end))
            return refuse_line_end(at, end);
        at += 2;
    }
    if (end - at != 2)
        return refuse("bytes after the end of the head");
    return {};
}

Result<void> check_request(RequestHead& head) {
    LARDER_CHECK(check_version(head.minor_version));
    const Facts facts = gather(head.fields);
    if (facts.hosts > 1)
        return refuse("more than one Host");
    if (facts.hosts == 0 && head.minor_version == 1)
        return refuse("no Host");
    if (facts.hosts == 1 && !is_authority(facts.host))
        return refuse("a malformed Host");
    head.host = facts.host;
    LARDER_CHECK(read_target(head));
    LARDER_TRY(head.framing, read_framing(facts, head.minor_version));
    head.keep_alive = stays_open(facts, head.minor_version);
    head.expect_continue = false;
    if (facts.expectations > 0) {
        if (facts.expectations > 1 ||
            !text::equals_ignoring_case(facts.expectation, "100-continue"))
            return refuse("an Expect other than 100-continue");
        head.expect_continue = head.minor_version == 1; // RFC 9110, 10.1.1: ignored in HTTP/1.0
    }
    return {};
}

Result<void> check_response(ResponseHead& head, bool to_head_request) {
    LARDER_CHECK(check_version(head.minor_version));
    if (head.status < 100 || head.status > 599)
        return refuse("a status outside of 100 to 599");
    const Facts facts = gather(head.fields);
    LARDER_TRY(head.framing, read_framing(facts, head.minor_version));
    head.keep_alive = stays_open(facts, head.minor_version);
    if (to_head_request || head.status < 200 || head.status == 204 || head.status == 304) {
        head.framing = BodyFraming{};
    } else if (head.framing.kind == BodyFraming::Kind::kNone) {
        head.framing.kind = BodyFraming::Kind::kUntilClose;
        head.keep_alive = false;
    }
    return {};
}

} // namespace larder::http
