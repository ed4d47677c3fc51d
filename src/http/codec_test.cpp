// Heads at every split, limits, and bodies at every cut, each piece in a heap block of its own.
#include "http/codec.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace larder::http {
namespace {

using Kind = BodyFraming::Kind;

constexpr std::string_view kHead =
    "POST /llm/generate?a=b HTTP/1.1\r\nHost: example.com\r\nAccept:\r\n"
    "X-Padded: \t two  words \t \r\nContent-Length: 12\r\n\r\n";

/// A copy in a heap block of exactly that size, so that a byte too far or a stale view is seen.
class Piece {
public:
    explicit Piece(std::string_view bytes) : size_(bytes.size()), bytes_(new char[bytes.size()]) {
        bytes.copy(bytes_.get(), size_);
    }
    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

bool points_into(std::string_view view, const std::string& bytes) {
    return view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size();
}

void expect_the_head(const RequestHead& head) {
    EXPECT_EQ(head.bytes, kHead);
    EXPECT_EQ(head.method, Method::kPost);
    EXPECT_EQ(head.method_text, "POST");
    EXPECT_EQ(head.target, "/llm/generate?a=b");
    EXPECT_EQ(head.path, "/llm/generate");
    EXPECT_EQ(head.query, "a=b");
    EXPECT_EQ(head.host, "example.com");
    EXPECT_EQ(head.framing.length, 12U);
    ASSERT_EQ(head.fields.size(), 4U);
    EXPECT_EQ(head.fields.find("accept"), "");
    EXPECT_EQ(head.fields.find("x-padded"), "two  words");
    for (const std::string_view view :
         {head.method_text, head.target, head.path, head.query, head.host})
        EXPECT_TRUE(points_into(view, head.bytes));
    for (const Field& field : head.fields)
        EXPECT_TRUE(points_into(field.name, head.bytes) && points_into(field.value, head.bytes));
}

// --- heads
// ----------------------------------------------------------------------------------------

TEST(RequestHead, PointsIntoItsOwnBytes) {
    RequestHead head;
    {
        const Piece input(kHead);
        std::size_t scanned = 0;
        const auto length = parse_request_head(input.view(), HeadLimits{}, head, scanned);
        ASSERT_TRUE(length);
        EXPECT_EQ(*length, kHead.size());
    }
    expect_the_head(head);
}

TEST(RequestHead, IsReadFromABufferThatGrowsByteByByte) {
    RequestHead head;
    std::size_t scanned = 0;
    for (std::size_t size = 0; size < kHead.size(); ++size) {
        const Piece input(kHead.substr(0, size));
        const auto length = parse_request_head(input.view(), HeadLimits{}, head, scanned);
        ASSERT_TRUE(length) << size << ": " << length.error().message;
        EXPECT_EQ(*length, 0U) << size;
        EXPECT_LE(scanned, size);
    }
    const Piece input(kHead);
    const auto length = parse_request_head(input.view(), HeadLimits{}, head, scanned);
    ASSERT_TRUE(length);
    EXPECT_EQ(*length, kHead.size());
    expect_the_head(head);
}

TEST(RequestHead, IsReadInTwoPiecesCutAnywhereWithEmptyLinesBefore) {
    const std::string bytes = "\r\n\r\n" + std::string(kHead) + "the body here";
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        RequestHead head;
        std::size_t scanned = 0;
        const Piece first(std::string_view(bytes).substr(0, cut));
        const auto early = parse_request_head(first.view(), HeadLimits{}, head, scanned);
        ASSERT_TRUE(early) << cut;
        EXPECT_EQ(*early, cut >= kHead.size() + 4 ? kHead.size() + 4 : 0U) << cut;
        if (*early == 0) {
            const Piece whole(bytes);
            const auto length = parse_request_head(whole.view(), HeadLimits{}, head, scanned);
            ASSERT_TRUE(length) << cut;
            EXPECT_EQ(*length, kHead.size() + 4);
        }
        expect_the_head(head);
    }
}

TEST(RequestHead, DoesNotLookAgainAtWhatWasScanned) {
    // The end of the head lies before `scanned`: who claims to have scanned it gets no head from
    // it.
    RequestHead head;
    std::size_t scanned = kHead.size();
    const auto length = parse_request_head(kHead, HeadLimits{}, head, scanned);
    ASSERT_TRUE(length);
    EXPECT_EQ(*length, 0U);
}

TEST(RequestHead, LeavesTheNextRequestAlone) {
    RequestHead head;
    std::size_t scanned = 0;
    const std::string two = std::string(kHead) + "GET /next HTTP/1.1\r\nHost: b\r\n\r\n";
    const auto first = parse_request_head(two, HeadLimits{}, head, scanned);
    ASSERT_TRUE(first);
    ASSERT_EQ(*first, kHead.size());
    scanned = 0;
    const auto second =
        parse_request_head(std::string_view(two).substr(*first), HeadLimits{}, head, scanned);
    ASSERT_TRUE(second);
    EXPECT_EQ(head.path, "/next");
    EXPECT_EQ(head.fields.size(), 1U);
}

TEST(RequestHead, KeepsItsCapacity) {
    RequestHead head;
    std::size_t scanned = 0;
    ASSERT_TRUE(parse_request_head(kHead, HeadLimits{}, head, scanned));
    const char* const before = head.bytes.data();
    scanned = 0;
    ASSERT_TRUE(parse_request_head(kHead, HeadLimits{}, head, scanned));
    EXPECT_EQ(head.bytes.data(), before);
}

Result<std::size_t> parse(std::string_view bytes, HeadLimits limits = {}) {
    RequestHead head;
    std::size_t scanned = 0;
    const Piece input(bytes);
    return parse_request_head(input.view(), limits, head, scanned);
}

ErrorCode code_of(const Result<std::size_t>& result) {
    EXPECT_FALSE(result) << "accepted";
    return result ? ErrorCode::kInternal : result.error().code;
}

TEST(RequestHead, RefusesEndlessEmptyLines) {
    EXPECT_EQ(*parse("\r\n\r\n\r\n\r\n"), 0U);
    EXPECT_EQ(code_of(parse("\r\n\r\n\r\n\r\n\r\n")), ErrorCode::kInvalidRequest);
}

TEST(RequestHead, RefusesBareLineEndsBeforeTheStartLine) {
    EXPECT_EQ(code_of(parse("\nGET / HTTP/1.1\r\n")), ErrorCode::kInvalidRequest);
    EXPECT_EQ(code_of(parse("\r\rGET")), ErrorCode::kInvalidRequest);
    EXPECT_EQ(*parse("\r"), 0U);
    EXPECT_EQ(*parse(""), 0U);
}

TEST(RequestHead, RefusesABareLineFeedAtOnceAndNotWhenMoreComes) {
    EXPECT_EQ(code_of(parse("GET / HTTP/1.1\n")), ErrorCode::kInvalidRequest);
}

/// A whole head of exactly `bytes`.
std::string head_of_size(std::size_t bytes) {
    const std::string before = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    return before + std::string(bytes - before.size() - 4, 'x') + "\r\n\r\n";
}

TEST(RequestHead, TakesAHeadOfTheLimitAndNotOneByteMore) {
    EXPECT_EQ(*parse(head_of_size(1000), {.bytes = 1000}), 1000U);
    EXPECT_EQ(code_of(parse(head_of_size(1001), {.bytes = 1000})), ErrorCode::kHeadTooLarge);
    EXPECT_EQ(*parse("\r\n" + head_of_size(1000), {.bytes = 1000}), 1002U);
    EXPECT_EQ(*parse(head_of_size(32 * 1024)), 32U * 1024U);
    EXPECT_EQ(code_of(parse(head_of_size(32 * 1024 + 1))), ErrorCode::kHeadTooLarge);
}

TEST(RequestHead, IsTooLargeBeforeItsEndIsSeen) {
    EXPECT_EQ(*parse(std::string(999, 'x'), {.bytes = 1000}), 0U);
    EXPECT_EQ(code_of(parse(std::string(1000, 'x'), {.bytes = 1000})), ErrorCode::kHeadTooLarge);
    EXPECT_EQ(code_of(parse(std::string(100000, 'x'), {.bytes = 1000})), ErrorCode::kHeadTooLarge);
}

TEST(RequestHead, IsNotTooLargeBecauseOfTheBodyBehindIt) {
    EXPECT_EQ(*parse(std::string(kHead) + std::string(10000, 'x'), {.bytes = kHead.size()}),
              kHead.size());
}

TEST(RequestHead, TakesAsManyFieldsAsTheLimitAndNotOneMore) {
    const auto head_with = [](std::size_t fields) {
        std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
        for (std::size_t i = 1; i < fields; ++i)
            head += "A: b\r\n";
        return head + "\r\n";
    };
    EXPECT_TRUE(parse(head_with(100)));
    EXPECT_EQ(code_of(parse(head_with(101))), ErrorCode::kHeadTooLarge);
    EXPECT_EQ(code_of(parse(head_with(5000))), ErrorCode::kHeadTooLarge);
    EXPECT_TRUE(parse(head_with(3), {.fields = 3}));
    EXPECT_EQ(code_of(parse(head_with(4), {.fields = 3})), ErrorCode::kHeadTooLarge);
}

TEST(RequestHead, TakesLengthsBeyondTheParsersOwnLimits) {
    EXPECT_TRUE(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000000\r\n\r\n"));
}

TEST(RequestHead, NeverRepeatsWhatThePeerSentInAnError) {
    const auto result = parse("GET /secret HTTP/1.1\r\nHost: secret secret\r\n\r\n");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message.find("secret"), std::string::npos);
}

TEST(ResponseHead, IsReadFromABufferThatGrowsByteByByte) {
    constexpr std::string_view kAnswer =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
    ResponseHead head;
    std::size_t scanned = 0;
    for (std::size_t size = 0; size <= kAnswer.size(); ++size) {
        const Piece input(kAnswer.substr(0, size));
        const auto length = parse_response_head(input.view(), HeadLimits{}, head, scanned, false);
        ASSERT_TRUE(length) << size;
        EXPECT_EQ(*length, size == kAnswer.size() ? size : 0U);
    }
    EXPECT_EQ(head.status, 503);
    EXPECT_EQ(head.fields.find("retry-after"), "3");
    EXPECT_EQ(head.framing.kind, Kind::kLength);
}

TEST(ResponseHead, GivesAnInterimHeadAndThenTheFinalOne) {
    const std::string bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    ResponseHead head;
    std::size_t scanned = 0;
    const auto interim = parse_response_head(bytes, HeadLimits{}, head, scanned, false);
    ASSERT_TRUE(interim);
    EXPECT_EQ(head.status, 100);
    EXPECT_EQ(head.framing.kind, Kind::kNone);
    scanned = 0;
    ASSERT_TRUE(parse_response_head(std::string_view(bytes).substr(*interim), HeadLimits{}, head,
                                    scanned, false));
    EXPECT_EQ(head.status, 200);
}

// --- bodies
// ---------------------------------------------------------------------------------------

struct Taken {
    Result<void> fed; // the first failure
    std::string body;
    std::size_t used = 0;
    bool done = false;
    bool ended_well = false;
};

/// Feeds pieces until one isn't used whole, then ends the input.
Taken take_body(BodyFraming framing, const std::vector<std::string_view>& pieces) {
    BodyReader reader(framing);
    Taken taken;
    for (const std::string_view bytes : pieces) {
        const Piece piece(bytes);
        const auto used = reader.feed(piece.view(), taken.body);
        if (!used) {
            taken.fed = std::unexpected(used.error());
            return taken;
        }
        taken.used += *used;
        if (*used < bytes.size())
            break;
    }
    taken.done = reader.done();
    taken.ended_well = reader.end_of_input().has_value();
    return taken;
}

constexpr BodyFraming kChunked{.kind = Kind::kChunked};

bool is_refused(std::string_view chunks) {
    const Taken taken = take_body(kChunked, {chunks});
    return !taken.fed && taken.fed.error().code == ErrorCode::kInvalidRequest;
}

constexpr std::string_view kChunks = "4\r\nWiki\r\n00a;name=\"v\" ; x\r\n, an open\n\r\n"
                                     "F \t;y\r\n\r\n0123456789abc\r\n0\r\nTrailer: v\r\nB:\r\n\r\n";
constexpr std::string_view kUnchunked = "Wiki, an open\n\r\n0123456789abc";

TEST(BodyReader, TakesNothingWhereThereIsNoBody) {
    for (const BodyFraming framing : {BodyFraming{}, BodyFraming{.kind = Kind::kLength}}) {
        const Taken taken = take_body(framing, {"GET / HTTP/1.1"});
        EXPECT_TRUE(taken.done);
        EXPECT_TRUE(taken.ended_well);
        EXPECT_EQ(taken.used, 0U);
        EXPECT_EQ(taken.body, "");
    }
}

TEST(BodyReader, CountsALengthAtEveryCut) {
    constexpr std::string_view kBytes = "0123456789next";
    for (std::size_t cut = 0; cut <= kBytes.size(); ++cut) {
        const Taken taken = take_body({.kind = Kind::kLength, .length = 10},
                                      {kBytes.substr(0, cut), kBytes.substr(cut)});
        EXPECT_EQ(taken.body, "0123456789");
        EXPECT_EQ(taken.used, 10U) << cut;
        EXPECT_TRUE(taken.done);
        EXPECT_TRUE(taken.ended_well);
    }
}

TEST(BodyReader, SaysThatABodyWasCut) {
    const Taken taken = take_body({.kind = Kind::kLength, .length = 10}, {"012345678"});
    EXPECT_FALSE(taken.done);
    EXPECT_FALSE(taken.ended_well);
}

TEST(BodyReader, ReadsUntilTheConnectionCloses) {
    BodyReader reader({.kind = Kind::kUntilClose});
    std::string out;
    EXPECT_EQ(*reader.feed("abc", out), 3U);
    EXPECT_EQ(*reader.feed("", out), 0U);
    EXPECT_EQ(*reader.feed("def", out), 3U);
    EXPECT_FALSE(reader.done());
    EXPECT_TRUE(reader.end_of_input());
    EXPECT_TRUE(reader.done());
    EXPECT_EQ(out, "abcdef");
}

TEST(BodyReader, ReadsChunksAtEveryPairOfCuts) {
    const std::string bytes = std::string(kChunks) + "next";
    const std::string_view view = bytes;
    for (std::size_t first = 0; first <= bytes.size(); ++first) {
        for (std::size_t second = first; second <= bytes.size(); ++second) {
            const Taken taken =
                take_body(kChunked, {view.substr(0, first), view.substr(first, second - first),
                                     view.substr(second)});
            ASSERT_TRUE(taken.fed) << first << ' ' << second;
            ASSERT_EQ(taken.body, kUnchunked) << first << ' ' << second;
            ASSERT_EQ(taken.used, kChunks.size()) << first << ' ' << second;
            ASSERT_TRUE(taken.done && taken.ended_well);
        }
    }
}

TEST(BodyReader, ReadsChunksByteByByte) {
    std::vector<std::string_view> pieces;
    for (std::size_t i = 0; i < kChunks.size(); ++i)
        pieces.push_back(kChunks.substr(i, 1));
    const Taken taken = take_body(kChunked, pieces);
    EXPECT_EQ(taken.body, kUnchunked);
    EXPECT_TRUE(taken.done);
}

TEST(BodyReader, SaysThatChunksWereCutWhereverTheyWere) {
    for (std::size_t cut = 0; cut < kChunks.size(); ++cut) {
        const Taken taken = take_body(kChunked, {kChunks.substr(0, cut)});
        EXPECT_TRUE(taken.fed);
        EXPECT_FALSE(taken.done) << cut;
        EXPECT_FALSE(taken.ended_well) << cut;
    }
}

TEST(BodyReader, AppendsToWhatIsThere) {
    BodyReader reader(kChunked);
    std::string out = "before ";
    ASSERT_TRUE(reader.feed("3\r\nabc\r\n0\r\n\r\n", out));
    EXPECT_EQ(out, "before abc");
}

TEST(BodyReader, CanBeMovedInTheMiddleOfAChunk) {
    BodyReader first(kChunked);
    std::string out;
    ASSERT_TRUE(first.feed("5\r\nab", out));
    BodyReader second = std::move(first);
    ASSERT_TRUE(second.feed("cde\r\n0\r\n\r\n", out));
    EXPECT_EQ(out, "abcde");
    EXPECT_TRUE(second.done());
}

TEST(BodyReader, RefusesChunkSizesThatAreNoPlainHexadecimalNumber) {
    for (const char* chunks : {"\r\n", ";a\r\n", "g\r\n", "0x5\r\n", "+5\r\n", "-5\r\n", " 5\r\n",
                               "5h\r\n", "5 5\r\n", "5,\r\n", "5.\r\n", "5 \r\n", "\n", "\t5\r\n"})
        EXPECT_TRUE(is_refused(chunks)) << chunks;
}

TEST(BodyReader, RefusesMoreThanSixteenDigits) {
    EXPECT_TRUE(is_refused("00000000000000001\r\na\r\n"));
    const Taken taken = take_body(kChunked, {"0000000000000001\r\na\r\n"});
    EXPECT_TRUE(taken.fed);
    EXPECT_EQ(taken.body, "a");
    EXPECT_TRUE(take_body(kChunked, {"FFFFFFFFFFFFFFFF\r\nabc"}).fed);
}

TEST(BodyReader, RefusesBareLineEndsEverywhereInTheFraming) {
    for (const char* chunks :
         {"3\nabc\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r\n0\n\r\n",
          "3\r\nabc\r\n0\r\n\n", "3\rabc", "3\r\nabc\rx", "3;a\nabc", "3;a\rb\r\nabc",
          "0\r\nA: b\n\r\n", "0\r\n\rx", "0\r\nA: b\rc\r\n\r\n"})
        EXPECT_TRUE(is_refused(chunks)) << chunks;
}

TEST(BodyReader, RefusesAChunkLongerThanItsSize) {
    EXPECT_TRUE(is_refused("3\r\nabcd\r\n"));
    EXPECT_TRUE(is_refused("3\r\nab\r\n0\r\n\r\n"));
}

TEST(BodyReader, BoundsTheExtensionOfEachChunk) {
    const auto chunk_with = [](std::size_t bytes) {
        return "1;" + std::string(bytes - 1, 'e') + "\r\na\r\n";
    };
    EXPECT_TRUE(take_body(kChunked, {chunk_with(4096)}).fed);
    EXPECT_TRUE(is_refused(chunk_with(4097)));
    const std::string twice = chunk_with(4096) + chunk_with(4096);
    EXPECT_TRUE(take_body(kChunked, {twice}).fed);
    EXPECT_TRUE(is_refused("1" + std::string(5000, ' ')));
}

TEST(BodyReader, BoundsAllTrailersTogether) {
    std::string trailers;
    for (int i = 0; i < 1000; ++i)
        trailers += "A: 6789\r\n"; // seven bytes each without CRLF
    EXPECT_TRUE(take_body(kChunked, {"0\r\n" + trailers + "\r\n"}).done);
    EXPECT_TRUE(is_refused("0\r\n" + trailers + trailers + "\r\n"));
    EXPECT_TRUE(is_refused("0\r\nA: " + std::string(9000, 'a')));
}

TEST(BodyReader, RefusesMalformedTrailers) {
    using namespace std::string_view_literals;
    for (const std::string_view chunks :
         {"0\r\nabc\r\n\r\n"sv, "0\r\n: a\r\n\r\n"sv, "0\r\n a: b\r\n\r\n"sv,
          "0\r\na: b\r\n c\r\n\r\n"sv, "0\r\na : b\r\n\r\n"sv, "0\r\na: \0b\r\n\r\n"sv,
          "0\r\na\xff: b\r\n\r\n"sv, "1;\0\r\n"sv})
        EXPECT_TRUE(is_refused(chunks)) << chunks;
}

TEST(BodyReader, DropsTrailers) {
    const Taken taken = take_body(kChunked, {"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\nhello"});
    EXPECT_EQ(taken.body, "a");
    EXPECT_EQ(taken.used, 30U);
}

} // namespace
} // namespace larder::http
