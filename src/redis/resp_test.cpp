// The wire: every kind of answer, cut at every place, and what no server would send.
#include "redis/resp.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

namespace larder::redis {
namespace {

using Kind = Reply::Kind;

Reply text(std::string value) {
    return {.kind = Kind::kText, .text = std::move(value)};
}
Reply integer(std::int64_t value) {
    return {.kind = Kind::kInteger, .integer = value};
}
Reply array(std::vector<Reply> items) {
    return {.kind = Kind::kArray, .items = std::move(items)};
}

struct Parsed {
    std::vector<Reply> replies;
    std::vector<bool> pushes;
    bool failed = false;
    bool at_boundary = false;
};

/// Feeds each piece from a heap block of its own, so that a stale pointer into one is seen.
Parsed parse(const std::vector<std::string_view>& pieces, ReplyLimits limits = {}) {
    Parsed parsed;
    ReplyParser parser(limits);
    for (const std::string_view piece : pieces) {
        const auto block =
            std::make_unique<char[]>(piece.size()); // NOLINT: ends where the piece does
        std::ranges::copy(piece, block.get());
        std::string_view input(block.get(), piece.size());
        while (true) {
            Reply reply;
            const auto whole = parser.feed(input, reply);
            if (!whole) {
                EXPECT_EQ(whole.error().code, ErrorCode::kStore);
                parsed.failed = true;
                return parsed;
            }
            if (!*whole)
                break;
            parsed.replies.push_back(std::move(reply));
            parsed.pushes.push_back(parser.was_push());
        }
        EXPECT_TRUE(input.empty());
    }
    parsed.at_boundary = parser.at_boundary();
    return parsed;
}

Reply only(std::string_view bytes) {
    const Parsed parsed = parse({bytes});
    EXPECT_FALSE(parsed.failed) << bytes;
    EXPECT_EQ(parsed.replies.size(), 1U) << bytes;
    EXPECT_TRUE(parsed.at_boundary) << bytes;
    return parsed.replies.empty() ? Reply() : parsed.replies.front();
}

TEST(ReplyParser, ReadsTheKindsOfRespTwo) {
    EXPECT_EQ(only("+OK\r\n"), (Reply{.kind = Kind::kStatus, .text = "OK"}));
    EXPECT_EQ(only("-ERR no\r\n"), (Reply{.kind = Kind::kError, .text = "ERR no"}));
    EXPECT_EQ(only(":1000\r\n"), integer(1000));
    EXPECT_EQ(only(":-9223372036854775808\r\n"), integer(INT64_MIN));
    EXPECT_EQ(only(":+5\r\n"), integer(5));
    EXPECT_EQ(only("$5\r\na\r\nbc\r\n"), text("a\r\nbc"));
    EXPECT_EQ(only("$0\r\n\r\n"), text(""));
    EXPECT_TRUE(only("$-1\r\n").is_null());
    EXPECT_TRUE(only("*-1\r\n").is_null());
    EXPECT_EQ(only("*0\r\n"), array({}));
    EXPECT_EQ(only("*2\r\n*1\r\n:1\r\n$-1\r\n"), array({array({integer(1)}), Reply()}));
}

TEST(ReplyParser, ReadsTheKindsOfRespThreeInTheShapesOfTwo) {
    EXPECT_TRUE(only("_\r\n").is_null());
    EXPECT_EQ(only("#t\r\n"), integer(1));
    EXPECT_EQ(only("#f\r\n"), integer(0));
    EXPECT_EQ(only(",1.5e3\r\n"), text("1.5e3"));
    EXPECT_EQ(only(",inf\r\n"), text("inf"));
    EXPECT_EQ(only("(123456789012345678901234567890\r\n"), text("123456789012345678901234567890"));
    EXPECT_EQ(only("!6\r\nERR no\r\n"), (Reply{.kind = Kind::kError, .text = "ERR no"}));
    EXPECT_EQ(only("=8\r\ntxt:text\r\n"), text("text"));
    EXPECT_EQ(only("=4\r\ntxt:\r\n"), text(""));
    EXPECT_EQ(only("%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n").items.size(), 4U);
    EXPECT_EQ(only("~1\r\n:7\r\n"), array({integer(7)}));
}

TEST(ReplyParser, DropsAttributesWhereverTheyStand) {
    EXPECT_EQ(only("|1\r\n+ttl\r\n:5\r\n:7\r\n"), integer(7));
    EXPECT_EQ(only("|0\r\n:7\r\n"), integer(7));
    EXPECT_EQ(only("*2\r\n|1\r\n+a\r\n*1\r\n:0\r\n:1\r\n:2\r\n"), array({integer(1), integer(2)}));
}

TEST(ReplyParser, TellsPushesFromAnswers) {
    const Parsed parsed = parse({"+a\r\n>2\r\n+message\r\n*1\r\n:1\r\n*1\r\n:2\r\n>1\r\n+x\r\n"});
    EXPECT_EQ(parsed.pushes, (std::vector{false, true, false, true}));
    EXPECT_TRUE(parse({"*1\r\n>1\r\n:1\r\n"}).failed);
    EXPECT_TRUE(parse({">0\r\n"}).failed);
}

TEST(ReplyParser, GivesTheSameWhereverTheBytesAreCut) {
    const std::string_view bytes =
        "+OK\r\n-ERR x\r\n:42\r\n$6\r\nab\r\ncd\r\n$-1\r\n*3\r\n:1\r\n$0\r\n\r\n%1\r\n+k\r\n#t\r\n"
        "|1\r\n+a\r\n$1\r\nb\r\n=7\r\nmkd:abc\r\n!3\r\nERR\r\n>2\r\n+m\r\n,0.5\r\n(99\r\n_\r\n"
        "~2\r\n*0\r\n*-1\r\n:0\r\n";
    const Parsed whole = parse({bytes});
    ASSERT_FALSE(whole.failed);
    ASSERT_EQ(whole.replies.size(), 13U);
    for (std::size_t first = 0; first <= bytes.size(); ++first) {
        for (std::size_t second = first; second <= bytes.size(); ++second) {
            const Parsed cut = parse({bytes.substr(0, first), bytes.substr(first, second - first),
                                      bytes.substr(second)});
            ASSERT_FALSE(cut.failed) << first << " " << second;
            ASSERT_EQ(cut.replies, whole.replies) << first << " " << second;
            ASSERT_EQ(cut.pushes, whole.pushes) << first << " " << second;
        }
    }
    std::vector<std::string_view> single;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        single.push_back(bytes.substr(i, 1));
    EXPECT_EQ(parse(single).replies, whole.replies);
}

TEST(ReplyParser, IsAtABoundaryOnlyBetweenReplies) {
    const std::string_view bytes = "*2\r\n$2\r\nab\r\n:1\r\n";
    for (std::size_t cut = 1; cut < bytes.size(); ++cut)
        EXPECT_FALSE(parse({bytes.substr(0, cut)}).at_boundary) << cut;
    EXPECT_TRUE(parse({bytes}).at_boundary);
}

TEST(ReplyParser, RefusesWhatIsNoResp) {
    const std::string many(70'000, 'x');
    for (const std::string& bytes : std::vector<std::string>{"HTTP/1.1 400 Bad Request\r\n",
                                                             "\r\n",
                                                             "+OK\n",
                                                             "\n",
                                                             ":\r\n",
                                                             ":1x\r\n",
                                                             ": 1\r\n",
                                                             ":9223372036854775808\r\n",
                                                             "$\r\n",
                                                             "$-2\r\n",
                                                             "$1x\r\n",
                                                             "$3\r\nabcd\r\n",
                                                             "$3\r\nabc\rx",
                                                             "$3\r\nabcx\n",
                                                             "*-2\r\n",
                                                             "*x\r\n",
                                                             "%-1\r\n",
                                                             "~-1\r\n",
                                                             "=-1\r\n",
                                                             "#x\r\n",
                                                             "#\r\n",
                                                             "=3\r\nabc\r\n",
                                                             "$?\r\n",
                                                             "*?\r\n",
                                                             ";1\r\n",
                                                             "!-1\r\n",
                                                             "$99999999999999999999\r\n",
                                                             "+" + many,
                                                             "+" + many + "\r\n"}) {
        EXPECT_TRUE(parse({bytes}).failed) << bytes.substr(0, 40);
        std::vector<std::string_view> single;
        for (std::size_t i = 0; i < bytes.size(); ++i)
            single.push_back(std::string_view(bytes).substr(i, 1));
        EXPECT_TRUE(parse(single).failed) << bytes.substr(0, 40);
    }
}

TEST(ReplyParser, BoundsDepthItemsAndBytes) {
    const ReplyLimits limits{.depth = 3, .items = 10, .bytes = 100};
    EXPECT_FALSE(parse({"*1\r\n*1\r\n*1\r\n:1\r\n"}, limits).failed);
    EXPECT_TRUE(parse({"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}, limits).failed);
    EXPECT_TRUE(parse({"|1\r\n*1\r\n*1\r\n*1\r\n"}, limits).failed);
    EXPECT_FALSE(parse({"*10\r\n"}, limits).failed);
    EXPECT_TRUE(parse({"*11\r\n"}, limits).failed);
    EXPECT_TRUE(parse({"%6\r\n"}, limits).failed);
    EXPECT_TRUE(parse({"%9223372036854775808\r\n"}, limits).failed);
    EXPECT_TRUE(parse({"*5\r\n*6\r\n"}, limits).failed);
    EXPECT_TRUE(parse({"$101\r\n"}, limits).failed);
    const std::string half = "$60\r\n" + std::string(60, 'x') + "\r\n";
    EXPECT_TRUE(parse({"*2\r\n" + half + half}, limits).failed);
    EXPECT_FALSE(parse({half + half}, limits).failed); // of each reply
    EXPECT_FALSE(
        parse({"*10\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n*10\r\n"}, limits).failed);
}

TEST(AppendCommand, WritesAnArrayOfBulkStrings) {
    Command command("SET");
    command.key("k").arg(std::string_view("a\r\n\0", 4)).arg(std::int64_t{-12}).arg("");
    std::string out = "before";
    append_command(out, command);
    EXPECT_EQ(out, std::string("before*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\n\0\r\n$3\r\n-12\r\n"
                               "$0\r\n\r\n",
                               51));
}

TEST(AppendCommand, IsReadBackByTheParser) {
    Command command("EVAL");
    const std::string large(100'000, 'x');
    command.arg(large).arg(std::int64_t{INT64_MIN}).key("k");
    std::string out;
    append_command(out, command);
    EXPECT_EQ(only(out),
              array({text("EVAL"), text(large), text("-9223372036854775808"), text("k")}));
}

} // namespace
} // namespace larder::redis
