// What http/framing refuses, one test a rule; heads go through the whole codec, as hostile bytes
// do.
#include "http/framing.hpp"

#include "http/codec.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace larder::http {
namespace {

using Kind = BodyFraming::Kind;

/// A head on the heap, since its views may not move.
using Request = std::unique_ptr<RequestHead>;
using Response = std::unique_ptr<ResponseHead>;

Result<Request> read_request(std::string_view bytes) {
    auto head = std::make_unique<RequestHead>();
    std::size_t scanned = 0;
    const auto length = parse_request_head(bytes, HeadLimits{}, *head, scanned);
    if (!length)
        return std::unexpected(length.error());
    if (*length != bytes.size())
        return fail(ErrorCode::kInternal, "not the whole head was used");
    return head;
}

/// A request for "/" with these lines (each with its CRLF) in its head.
Result<Request> with_fields(std::string_view lines) {
    return read_request("POST / HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n");
}

Result<Request> with_target(std::string_view method_and_target) {
    return read_request(std::string(method_and_target) + " HTTP/1.1\r\nHost: a\r\n\r\n");
}

Result<Request> with_host(std::string_view host) {
    return read_request("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
}

Result<Response> read_response(std::string_view bytes, bool to_head_request = false) {
    auto head = std::make_unique<ResponseHead>();
    std::size_t scanned = 0;
    const auto length = parse_response_head(bytes, HeadLimits{}, *head, scanned, to_head_request);
    if (!length)
        return std::unexpected(length.error());
    if (*length != bytes.size())
        return fail(ErrorCode::kInternal, "not the whole head was used");
    return head;
}

template <class T> bool is_refused(const Result<T>& result) {
    return !result && result.error().code == ErrorCode::kInvalidRequest;
}

template <class T> bool is_refused(const Result<T>& result, std::string_view why) {
    if (!is_refused(result))
        return false;
    EXPECT_EQ(result.error().message, why);
    return result.error().message == why;
}

// --- raw bytes
// ------------------------------------------------------------------------------------

TEST(RawHead, TakesAPlainHead) {
    EXPECT_TRUE(check_raw_head("GET / HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(check_raw_head("GET / HTTP/1.1\r\nHost: a\r\nB:\r\nC: \t x \t\r\n\r\n"));
}

TEST(RawHead, TakesTabsAndHighBytesInValues) {
    EXPECT_TRUE(
        check_raw_head("GET / HTTP/1.1\r\nA: b\tc\xff\x80\xc3\xa9, and a longer rest\r\n\r\n"));
}

TEST(RawHead, RefusesEveryOtherControlCharacterAtEveryPlaceOfAValue) {
    for (int code = 0; code < 256; ++code) {
        const bool is_control = (code < 0x20 && code != '\t') || code == 0x7f;
        for (std::size_t place = 0; place < 20; ++place) {
            std::string value(20, 'v');
            value[place] = static_cast<char>(code);
            const std::string head = "GET / HTTP/1.1\r\nA: " + value + "\r\nB: c\r\n\r\n";
            EXPECT_EQ(check_raw_head(head).has_value(), !is_control) << code << " at " << place;
        }
    }
}

TEST(RawHead, RefusesEveryByteInANameThatIsNoToken) {
    constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
    for (int code = 0; code < 256; ++code) {
        if (code == ':')
            continue;
        const char c = static_cast<char>(code);
        const bool is_token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') ||
                              kTokenMarks.find(c) != std::string_view::npos;
        const std::string head = "GET / HTTP/1.1\r\nna" + std::string(1, c) + "me: v\r\n\r\n";
        EXPECT_EQ(check_raw_head(head).has_value(), is_token) << code;
    }
}

TEST(RawHead, RefusesControlCharactersInTheStartLine) {
    EXPECT_TRUE(is_refused(check_raw_head("GET\t/ HTTP/1.1\r\n\r\n")));
    EXPECT_TRUE(is_refused(check_raw_head(std::string_view("GET /\0 HTTP/1.1\r\n\r\n", 19))));
    EXPECT_TRUE(is_refused(check_raw_head("GET /\x7f HTTP/1.1\r\n\r\n")));
}

TEST(RawHead, RefusesWhiteSpaceAtTheStart) {
    EXPECT_TRUE(is_refused(check_raw_head(" GET / HTTP/1.1\r\n\r\n")));
    EXPECT_TRUE(is_refused(check_raw_head("\tGET / HTTP/1.1\r\n\r\n")));
    EXPECT_TRUE(is_refused(check_raw_head("")));
}

TEST(RawHead, RefusesAHeadThatIsCutAnywhere) {
    constexpr std::string_view kHead = "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
    EXPECT_TRUE(check_raw_head(kHead));
    for (std::size_t length = 0; length < kHead.size(); ++length) {
        const std::unique_ptr<char[]> piece(new char[length]);
        kHead.copy(piece.get(), length);
        EXPECT_TRUE(is_refused(check_raw_head({piece.get(), length}))) << length;
    }
}

TEST(RawHead, RefusesBytesAfterTheBlankLine) {
    EXPECT_TRUE(
        is_refused(check_raw_head("GET / HTTP/1.1\r\n\r\nx"), "bytes after the end of the head"));
}

TEST(Framing, RefusesFoldedLines) {
    EXPECT_TRUE(is_refused(with_fields("X: a\r\n b\r\n"),
                           "a folded header line, or white space before a header name"));
    EXPECT_TRUE(is_refused(with_fields("X: a\r\n\tb\r\n")));
    EXPECT_TRUE(is_refused(with_fields("X: a\r\n \r\n")));
    EXPECT_TRUE(is_refused(read_request("GET / HTTP/1.1\r\n Host: a\r\n\r\n")));
}

TEST(Framing, RefusesWhiteSpaceBeforeTheColon) {
    EXPECT_TRUE(is_refused(with_fields("X : a\r\n"), "white space before the colon of a header"));
    EXPECT_TRUE(is_refused(with_fields("Content-Length\t: 5\r\n")));
}

TEST(Framing, RefusesAnEmptyNameAndALineWithoutAColon) {
    EXPECT_TRUE(is_refused(with_fields(": a\r\n"), "an empty header name"));
    EXPECT_TRUE(is_refused(with_fields("abc\r\n"), "a header line without a colon"));
}

TEST(Framing, RefusesABareLineFeed) {
    EXPECT_TRUE(is_refused(read_request("GET / HTTP/1.1\nHost: a\n\n")));
    EXPECT_TRUE(is_refused(read_request("GET / HTTP/1.1\r\nHost: a\n\r\n")));
    EXPECT_TRUE(is_refused(with_fields("X: a\nY: b\r\n")));
}

TEST(Framing, RefusesABareCarriageReturn) {
    EXPECT_TRUE(
        is_refused(with_fields("X: a\rY: b\r\n"), "a line of the head ends in a bare CR or LF"));
    EXPECT_TRUE(is_refused(with_fields("X: a\r\r\n")));
    EXPECT_TRUE(is_refused(with_fields("X\r: a\r\n")));
    EXPECT_TRUE(is_refused(read_request("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n")));
}

TEST(Framing, RefusesNul) {
    using namespace std::string_view_literals;
    EXPECT_TRUE(is_refused(with_fields("X: a\0b\r\n"sv), "a control character in the head"));
    EXPECT_TRUE(is_refused(with_fields("X\0: a\r\n"sv)));
}

// --- lengths and codings
// --------------------------------------------------------------------------

TEST(Framing, TakesALengthChunkedOrNothing) {
    const auto length = with_fields("Content-Length: 00042\r\n");
    ASSERT_TRUE(length);
    EXPECT_EQ((*length)->framing.kind, Kind::kLength);
    EXPECT_EQ((*length)->framing.length, 42U);
    const auto chunked = with_fields("transfer-encoding: CHUNKED\r\n");
    ASSERT_TRUE(chunked);
    EXPECT_EQ((*chunked)->framing.kind, Kind::kChunked);
    const auto none = with_fields("");
    ASSERT_TRUE(none);
    EXPECT_EQ((*none)->framing.kind, Kind::kNone);
}

TEST(Framing, RefusesGzipWithoutChunked) {
    EXPECT_TRUE(is_refused(with_fields("Transfer-Encoding: gzip\r\n"),
                           "a Transfer-Encoding other than chunked"));
}

TEST(Framing, RefusesChunkedThatIsNotAloneOrNotExact) {
    for (const char* coding :
         {"chunked, gzip", "gzip, chunked", "xchunked", "chunkedx", "chunked,", ", chunked",
          "chunked, chunked", "\"chunked\"", "chunked;a=b", "identity", "", "chunked\x0b"}) {
        EXPECT_TRUE(is_refused(with_fields("Transfer-Encoding: " + std::string(coding) + "\r\n")))
            << coding;
    }
}

TEST(Framing, RefusesTwoTransferEncodings) {
    EXPECT_TRUE(
        is_refused(with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")));
    EXPECT_TRUE(
        is_refused(with_fields("Transfer-Encoding: gzip\r\ntransfer-encoding: chunked\r\n")));
}

TEST(Framing, RefusesTransferEncodingInHttp10) {
    EXPECT_TRUE(is_refused(read_request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
                           "Transfer-Encoding in HTTP/1.0"));
}

TEST(Framing, RefusesTransferEncodingBesideContentLengthInBothOrders) {
    EXPECT_TRUE(is_refused(with_fields("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")));
    EXPECT_TRUE(is_refused(with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")));
    EXPECT_TRUE(is_refused(with_fields("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")));
}

TEST(Framing, RefusesARepeatedContentLengthAlsoOfEqualValue) {
    EXPECT_TRUE(is_refused(with_fields("Content-Length: 5\r\nContent-Length: 5\r\n")));
    EXPECT_TRUE(is_refused(with_fields("Content-Length: 5\r\nContent-Length: 6\r\n")));
}

TEST(Framing, RefusesAContentLengthThatIsNoPlainNumber) {
    for (const char* length :
         {"+5", "-5", "5, 5", "5,", "0x5", "5 5", "", "five", "5.0", "1e3", "99999999999999999999",
          "9223372036854775808", "18446744073709551616", "00000000000000000005"}) {
        EXPECT_TRUE(is_refused(with_fields("Content-Length: " + std::string(length) + "\r\n")))
            << length;
    }
}

TEST(Framing, TakesTheLargestContentLength) {
    const auto head = with_fields("Content-Length: 9223372036854775807\r\n");
    ASSERT_TRUE(head);
    EXPECT_EQ((*head)->framing.length, 9223372036854775807U);
}

// --- Host and targets
// -----------------------------------------------------------------------------

TEST(Framing, RefusesNoHostInHttp11Only) {
    EXPECT_TRUE(is_refused(read_request("GET / HTTP/1.1\r\n\r\n"), "no Host"));
    const auto old = read_request("GET / HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(old);
    EXPECT_EQ((*old)->host, "");
    EXPECT_EQ((*old)->minor_version, 0);
}

TEST(Framing, RefusesTwoHosts) {
    EXPECT_TRUE(is_refused(with_fields("Host: a\r\n"), "more than one Host"));
    EXPECT_TRUE(is_refused(read_request("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n")));
}

TEST(Framing, TakesEveryFormOfHost) {
    for (const char* host : {"a", "example.com", "example.com:8080", "127.0.0.1:1", "[::1]",
                             "[::1]:65535", "[2001:db8::1]:", "a_b.c~d", "a:", "%41", "x:0"}) {
        const auto head = with_host(host);
        ASSERT_TRUE(head) << host;
        EXPECT_EQ((*head)->host, host);
    }
}

TEST(Framing, RefusesAnInvalidHost) {
    for (const char* host : {"",           " ",   "a b",     "a, b",     "a/b",
                             "a@b",        "a:b", "a:65536", "a:-1",     "a:1:2",
                             ":80",        "[",   "[::1",    "[]",       "[::1]x",
                             "[::1%eth0]", "a?b", "a#b",     "\xc3\xa9", "a:999999999999999999999",
                             "a\\b",       "<a>"}) {
        EXPECT_TRUE(is_refused(with_host(host))) << host;
    }
}

TEST(Framing, SplitsOriginForm) {
    const auto head = with_target("GET /a%20b/c?d=e?f&g");
    ASSERT_TRUE(head);
    EXPECT_EQ((*head)->target, "/a%20b/c?d=e?f&g");
    EXPECT_EQ((*head)->path, "/a%20b/c");
    EXPECT_EQ((*head)->query, "d=e?f&g");
    const auto bare = with_target("GET //");
    ASSERT_TRUE(bare);
    EXPECT_EQ((*bare)->path, "//");
    EXPECT_EQ((*bare)->query, "");
}

TEST(Framing, LetsTheAuthorityOfAnAbsoluteTargetOverrideHost) {
    const auto head = with_target("GET http://example.com:81/p?q");
    ASSERT_TRUE(head);
    EXPECT_EQ((*head)->host, "example.com:81");
    EXPECT_EQ((*head)->path, "/p");
    EXPECT_EQ((*head)->query, "q");
}

TEST(Framing, GivesAnAbsoluteTargetWithoutAPathTheRoot) {
    for (const char* target : {"GET http://b", "GET HTTPS://b", "GET http://b?"}) {
        const auto head = with_target(target);
        ASSERT_TRUE(head) << target;
        EXPECT_EQ((*head)->path, "/");
        EXPECT_EQ((*head)->query, "");
        EXPECT_EQ((*head)->host, "b");
    }
    const auto query = with_target("GET http://b?c=/d");
    ASSERT_TRUE(query);
    EXPECT_EQ((*query)->path, "/");
    EXPECT_EQ((*query)->query, "c=/d");
}

TEST(Framing, StillWantsAHostBesideAnAbsoluteTarget) {
    EXPECT_TRUE(is_refused(read_request("GET http://b/ HTTP/1.1\r\n\r\n"), "no Host"));
}

TEST(Framing, RefusesTargetsInNoForm) {
    for (const char* target : {"GET a", "GET a/b", "GET ?q", "GET http:/a", "GET http:///a",
                               "GET http://", "GET ftp://a/", "GET http://u@a/", "GET http://a:b/",
                               "GET **", "GET example.com:80", "GET ://a"}) {
        EXPECT_TRUE(is_refused(with_target(target))) << target;
    }
}

TEST(Framing, RefusesConnectWhateverItsTarget) {
    EXPECT_TRUE(is_refused(with_target("CONNECT example.com:443"), "CONNECT is not served"));
    EXPECT_TRUE(is_refused(with_target("CONNECT /")));
}

TEST(Framing, TakesTheAsteriskForOptionsOnly) {
    const auto head = with_target("OPTIONS *");
    ASSERT_TRUE(head);
    EXPECT_EQ((*head)->path, "*");
    EXPECT_EQ((*head)->method, Method::kOptions);
    EXPECT_TRUE(is_refused(with_target("GET *"), "the target * is for OPTIONS only"));
    EXPECT_TRUE(is_refused(with_target("options *")));
}

TEST(Framing, RefusesEveryByteInTheTargetThatMustBeEncoded) {
    for (int code = 0; code < 256; ++code) {
        const bool is_fine = code > ' ' && code < 0x7f && code != '#';
        const std::string target = "GET /a" + std::string(1, static_cast<char>(code)) + "b";
        EXPECT_EQ(with_target(target).has_value(), is_fine) << code;
    }
}

// --- methods and versions
// -------------------------------------------------------------------------

TEST(Framing, KnowsMethodsByTheirExactNames) {
    constexpr std::pair<std::string_view, Method> kMethods[] = {
        {"GET", Method::kGet},         {"HEAD", Method::kHead},      {"POST", Method::kPost},
        {"PUT", Method::kPut},         {"PATCH", Method::kPatch},    {"DELETE", Method::kDelete},
        {"OPTIONS", Method::kOptions}, {"get", Method::kOther},      {"Post", Method::kOther},
        {"TRACE", Method::kOther},     {"PROPFIND", Method::kOther}, {"G", Method::kOther}};
    for (const auto& [name, method] : kMethods) {
        const auto head = with_target(std::string(name) + " /");
        ASSERT_TRUE(head) << name;
        EXPECT_EQ((*head)->method, method) << name;
        EXPECT_EQ((*head)->method_text, name);
    }
}

TEST(Framing, RefusesEveryVersionButTwo) {
    for (const char* version :
         {"HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1.9", "HTTP/3.0", "http/1.1", "HTTP/1",
          "HTTP/1.", "HTTP/11", "HTTP/1.10", "HTTP/01.1", "HTTPS/1.1", "HTTP/1.1 ", " HTTP/1.1",
          "HTTP /1.1", ""}) {
        EXPECT_TRUE(
            is_refused(read_request("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n")))
            << version;
    }
    EXPECT_TRUE(is_refused(read_request("GET /\r\n\r\n")));
    EXPECT_TRUE(is_refused(read_request("PRI * HTTP/2.0\r\n\r\n")));
}

TEST(Framing, RefusesAVersionThatOnlyTheHeadCarries) {
    RequestHead request;
    request.minor_version = 2;
    request.target = "/";
    EXPECT_TRUE(is_refused(check_request(request)));
    ResponseHead response;
    response.status = 200;
    response.minor_version = -9;
    EXPECT_TRUE(is_refused(check_response(response, false)));
}

// --- Expect and Connection
// ------------------------------------------------------------------------

TEST(Framing, TakesTheOneExpectationThereIs) {
    const auto head = with_fields("Expect: 100-Continue\r\nContent-Length: 1\r\n");
    ASSERT_TRUE(head);
    EXPECT_TRUE((*head)->expect_continue);
    EXPECT_FALSE((*with_fields(""))->expect_continue);
}

TEST(Framing, RefusesOtherExpectations) {
    EXPECT_TRUE(is_refused(with_fields("Expect: 200-ok\r\n"), "an Expect other than 100-continue"));
    EXPECT_TRUE(is_refused(with_fields("Expect: \r\n")));
    EXPECT_TRUE(is_refused(with_fields("Expect: 100-continue, x\r\n")));
    EXPECT_TRUE(is_refused(with_fields("Expect: 100-continue\r\nExpect: 100-continue\r\n")));
}

TEST(Framing, IgnoresTheExpectationOfHttp10) {
    const auto head = read_request("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n");
    ASSERT_TRUE(head);
    EXPECT_FALSE((*head)->expect_continue);
}

bool keeps_alive(int minor_version, std::string_view lines) {
    const auto head = read_request("GET / HTTP/1." + std::to_string(minor_version) +
                                   "\r\nHost: a\r\n" + std::string(lines) + "\r\n");
    EXPECT_TRUE(head) << lines;
    return head && (*head)->keep_alive;
}

TEST(Framing, KeepsHttp11AliveUnlessClosed) {
    EXPECT_TRUE(keeps_alive(1, ""));
    EXPECT_TRUE(keeps_alive(1, "Connection: upgrade\r\n"));
    EXPECT_TRUE(keeps_alive(1, "Connection: closed, x-close\r\n"));
    EXPECT_TRUE(keeps_alive(1, "Keep-Alive: close\r\n"));
    EXPECT_FALSE(keeps_alive(1, "Connection: close\r\n"));
    EXPECT_FALSE(keeps_alive(1, "Connection: te ,\t CLOSE\r\n"));
    EXPECT_FALSE(keeps_alive(1, "Connection: keep-alive\r\nConnection: close\r\n"));
    EXPECT_FALSE(keeps_alive(1, "Connection: close, keep-alive\r\n"));
    EXPECT_FALSE(keeps_alive(1, "Connection: ,close,\r\n"));
}

TEST(Framing, ClosesHttp10UnlessKeptAlive) {
    EXPECT_FALSE(keeps_alive(0, ""));
    EXPECT_TRUE(keeps_alive(0, "Connection: Keep-Alive\r\n"));
    EXPECT_TRUE(keeps_alive(0, "Connection: te, keep-alive\r\n"));
    EXPECT_FALSE(keeps_alive(0, "Connection: close, keep-alive\r\n"));
}

TEST(Framing, ForgetsWhatAnEarlierRequestSaid) {
    RequestHead head;
    std::size_t scanned = 0;
    ASSERT_TRUE(
        parse_request_head("POST http://b/p?q HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
                           HeadLimits{}, head, scanned));
    scanned = 0;
    ASSERT_TRUE(parse_request_head("GET /c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
                                   HeadLimits{}, head, scanned));
    scanned = 0;
    ASSERT_TRUE(
        parse_request_head("OPTIONS * HTTP/1.1\r\nHost: g\r\n\r\n", HeadLimits{}, head, scanned));
    EXPECT_EQ(head.method, Method::kOptions);
    EXPECT_EQ(head.host, "g");
    EXPECT_EQ(head.query, "");
    EXPECT_EQ(head.framing.kind, Kind::kNone);
    EXPECT_EQ(head.framing.length, 0U);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_FALSE(head.expect_continue);
    EXPECT_EQ(head.fields.size(), 1U);
}

// --- responses
// ------------------------------------------------------------------------------------

TEST(ResponseFraming, KnowsTheFourWaysABodyEnds) {
    const auto length = read_response("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    ASSERT_TRUE(length);
    EXPECT_EQ((*length)->framing.kind, Kind::kLength);
    EXPECT_EQ((*length)->framing.length, 7U);
    EXPECT_TRUE((*length)->keep_alive);
    const auto chunked = read_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    ASSERT_TRUE(chunked);
    EXPECT_EQ((*chunked)->framing.kind, Kind::kChunked);
    const auto close = read_response("HTTP/1.1 200 OK\r\n\r\n");
    ASSERT_TRUE(close);
    EXPECT_EQ((*close)->framing.kind, Kind::kUntilClose);
    EXPECT_FALSE((*close)->keep_alive);
}

TEST(ResponseFraming, KnowsWhichAnswersHaveNoBody) {
    for (const char* status : {"100", "101", "103", "199", "204", "304"}) {
        const auto head =
            read_response("HTTP/1.1 " + std::string(status) + " X\r\nContent-Length: 5\r\n\r\n");
        ASSERT_TRUE(head) << status;
        EXPECT_EQ((*head)->framing.kind, Kind::kNone) << status;
        EXPECT_EQ((*head)->framing.length, 0U) << status;
        EXPECT_TRUE((*head)->keep_alive) << status;
    }
    const auto to_head = read_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true);
    ASSERT_TRUE(to_head);
    EXPECT_EQ((*to_head)->framing.kind, Kind::kNone);
    EXPECT_TRUE((*to_head)->keep_alive);
}

TEST(ResponseFraming, RefusesConflictingLengths) {
    for (const char* lines :
         {"Content-Length: 5\r\nContent-Length: 6\r\n",
          "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n",
          "Content-Length: x\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: gzip\r\n"}) {
        EXPECT_TRUE(is_refused(read_response("HTTP/1.1 200 OK\r\n" + std::string(lines) + "\r\n")))
            << lines;
        EXPECT_TRUE(
            is_refused(read_response("HTTP/1.1 204 No Content\r\n" + std::string(lines) + "\r\n")))
            << lines;
    }
    EXPECT_TRUE(is_refused(read_response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")));
}

TEST(ResponseFraming, ReadsStatusAndVersion) {
    const auto head = read_response("HTTP/1.0 429 Too Many\xe9 Requests\r\nRetry-After: 2\r\n\r\n");
    ASSERT_TRUE(head);
    EXPECT_EQ((*head)->status, 429);
    EXPECT_EQ((*head)->minor_version, 0);
    EXPECT_FALSE((*head)->keep_alive);
    EXPECT_EQ((*head)->fields.find("retry-after"), "2");
    EXPECT_TRUE(read_response("HTTP/1.1 200 \r\n\r\n"));
}

TEST(ResponseFraming, ClosesHttp10UnlessKeptAlive) {
    const auto kept =
        read_response("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n");
    ASSERT_TRUE(kept);
    EXPECT_TRUE((*kept)->keep_alive);
    const auto closed =
        read_response("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n");
    ASSERT_TRUE(closed);
    EXPECT_FALSE((*closed)->keep_alive);
}

TEST(ResponseFraming, RefusesBadStatusLines) {
    for (const char* line :
         {"HTTP/1.1 99 X", "HTTP/1.1 099 X", "HTTP/1.1 600 X", "HTTP/1.1 2000 X", "HTTP/1.1 2x0 X",
          "HTTP/2.0 200 OK", "HTTP/1.2 200 OK", "200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 -20 OK",
          "http/1.1 200 OK", "HTTP/1.1", "HTTP/1.1 "}) {
        EXPECT_TRUE(is_refused(read_response(std::string(line) + "\r\n\r\n"))) << line;
    }
}

} // namespace
} // namespace larder::http
