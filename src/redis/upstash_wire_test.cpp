// Upstash's wire: bodies that are sent, answers that are read, and what hostile ones come to.
#include "redis/upstash_wire.hpp"

#include "base/json.hpp"
#include "base/text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace larder::redis::upstash {
namespace {

using Kind = Verdict::Kind;

std::string encoded(const Command& command) {
    return encode_command(command).value();
}

Verdict judge_one(int status, std::string body) {
    return judge({.status = status, .body = std::move(body), .retry_after = {}}, Shape::kOne, 1);
}

Reply text(std::string value) {
    return {.kind = Reply::Kind::kText, .text = std::move(value)};
}

Reply integer(std::int64_t value) {
    return {.kind = Reply::Kind::kInteger, .integer = value};
}

TEST(UpstashWire, WritesEveryArgumentAsAString) {
    EXPECT_EQ(encoded(Command("SET").key("k").arg("v").arg("EX").arg(60)),
              R"(["SET","k","v","EX","60"])");
    EXPECT_EQ(encoded(Command("GET").key("")), R"(["GET",""])");
    EXPECT_EQ(encoded(Command("INCRBY").key("n").arg(std::numeric_limits<std::int64_t>::min())),
              R"(["INCRBY","n","-9223372036854775808"])");
}

TEST(UpstashWire, EscapesWhatJsonNeedsEscapedAndKeepsAllElse) {
    const std::string value("a\"\\\n\0é😀", 12);
    const std::string body = encoded(Command("SET").key("k").arg(value));
    const auto document = json::parse(body);
    ASSERT_TRUE(document);
    std::string last;
    document->root().for_each_element([&last](json::Value element) {
        last = element.as_string().value_or("not a string");
        return true;
    });
    EXPECT_EQ(last, value);
}

TEST(UpstashWire, JoinsTheCommandsOfAPipeline) {
    std::string body = "[";
    ASSERT_TRUE(add_command(body, Command("SET").key("a]").arg("]")));
    ASSERT_TRUE(add_command(body, Command("GET").key("a]")));
    EXPECT_EQ(body + "]", R"([["SET","a]","]"],["GET","a]"]])");
}

TEST(UpstashWire, RefusesValuesThatAreNoUtf8AndNamesNothingOfThem) {
    for (const std::string_view bad :
         {"\xff", "\x80", "a\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
          "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xf0\x9f\x98"}) {
        std::string body = "[";
        const auto added = add_command(body, Command("SET").key("secret").arg(bad));
        ASSERT_FALSE(added) << text::hex(bad);
        EXPECT_EQ(added.error().code, ErrorCode::kStore);
        EXPECT_EQ(added.error().detail, "not_utf8");
        EXPECT_EQ(added.error().message.find("secret"), std::string::npos);
        EXPECT_EQ(body, "[") << "nothing of it was written";
    }
    for (const std::string_view good :
         {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
          "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
        EXPECT_TRUE(is_utf8(good)) << text::hex(good);
}

TEST(UpstashWire, ReadsEveryKindOfResult) {
    EXPECT_EQ(decode_answer(R"({"result":"OK"})").value(),
              (Reply{.kind = Reply::Kind::kStatus, .text = "OK"}));
    EXPECT_EQ(decode_answer(R"({"result":"T0s="})").value(), text("OK"));
    EXPECT_EQ(decode_answer(R"({"result":""})").value(), text(""));
    EXPECT_EQ(decode_answer(R"({"result":"AP/+"})").value(), text(std::string("\0\xff\xfe", 3)));
    EXPECT_EQ(decode_answer(R"({"result":"AP\/+"})").value(), text(std::string("\0\xff\xfe", 3)));
    EXPECT_TRUE(decode_answer(R"({"result":null})").value().is_null());
    EXPECT_EQ(decode_answer(R"({"result":true})").value(), integer(1));
    EXPECT_EQ(decode_answer(R"({"result":1.5})").value(), text("1.5"));
    EXPECT_EQ(decode_answer(R"({"result":["YQ==",null,["Yg==",1],[]]})").value(),
              (Reply{.kind = Reply::Kind::kArray,
                     .items = {text("a"), Reply(),
                               Reply{.kind = Reply::Kind::kArray, .items = {text("b"), integer(1)}},
                               Reply{.kind = Reply::Kind::kArray}}}));
    EXPECT_EQ(decode_answer(R"({"error":"ERR no é"})").value(),
              (Reply{.kind = Reply::Kind::kError, .text = "ERR no é"}));
}

TEST(UpstashWire, KeepsIntegersExactBeyondADouble) {
    EXPECT_EQ(decode_answer(R"({"result":9223372036854775807})").value(),
              integer(std::numeric_limits<std::int64_t>::max()));
    EXPECT_EQ(decode_answer(R"({"result":-9223372036854775808})").value(),
              integer(std::numeric_limits<std::int64_t>::min()));
    EXPECT_EQ(decode_answer(R"({"result":9007199254740993})").value(), integer(9007199254740993));
    EXPECT_EQ(decode_answer(R"({"result":9223372036854775808})").value(),
              text("9223372036854775808"))
        << "a big number is text";
}

TEST(UpstashWire, TakesUnknownAnswersForErrors) {
    const std::string deep = R"({"result":)" + std::string(40, '[') + std::string(40, ']') + "}";
    for (const std::string& body : std::array<std::string, 16>{
             "", "{", "[]", "null", "\"OK\"", "{}", R"({"status":"fine"})", R"({"result":"YQ=")",
             R"({"result":"YQ="})", R"({"result":"é"})", R"({"result":{"a":1}})",
             R"({"result":[{"a":1}]})", R"({"error":1})", R"({"error":"ERR","result":1})",
             "<html>502</html>", deep}) {
        const auto reply = decode_answer(body);
        ASSERT_FALSE(reply) << body;
        EXPECT_EQ(reply.error().code, ErrorCode::kStore);
        EXPECT_EQ(reply.error().detail, "unreadable");
    }
}

TEST(UpstashWire, EveryCutAnswerIsAnError) {
    const std::string whole = R"([{"result":"YWJj"},{"error":"ERR \"x\""},{"result":[1,null]}])";
    ASSERT_TRUE(decode_answers(whole, 3));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto piece = std::make_unique<char[]>(size); // NOLINT: so that ASan sees its end
        whole.copy(piece.get(), size);
        EXPECT_FALSE(decode_answers(std::string_view(piece.get(), size), 3)) << size;
    }
}

TEST(UpstashWire, EveryChangedByteIsReadOrRefusedButNeverTakenForMoreAnswers) {
    const std::string whole = R"([{"result":"YWJj"},{"error":"ERR x"},{"result":[1,null]}])";
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string changed = whole;
            changed[at] = static_cast<char>(byte);
            if (const auto replies = decode_answers(changed, 3))
                EXPECT_EQ(replies->size(), 3U);
        }
    }
}

TEST(UpstashWire, APipelineHasAsManyAnswersAsCommands) {
    const std::string two = R"([{"result":1},{"error":"ERR x"}])";
    EXPECT_TRUE(decode_answers(two, 2));
    EXPECT_FALSE(decode_answers(two, 1));
    EXPECT_FALSE(decode_answers(two, 3));
    EXPECT_FALSE(decode_answers(R"({"result":1})", 1));
    EXPECT_FALSE(decode_answers(R"([{"result":1},7])", 2));
}

TEST(UpstashWire, ErrorsHoldNothingOfTheServersText) {
    const Error error = error_of_text("WRONGTYPE Operation against secret-key");
    EXPECT_EQ(error.detail, "WRONGTYPE");
    EXPECT_EQ(error.message.find("secret"), std::string::npos);
    EXPECT_EQ(error_of_text("ERR DB capacity quota exceeded").detail, "OOM");
    EXPECT_EQ(error_of_text("NOSCRIPT No matching script. Please use EVAL.").detail, "NOSCRIPT");
    EXPECT_EQ(error_of_text("").detail, "ERR");
}

TEST(UpstashJudge, TellsCommandErrorsFromOutages) {
    EXPECT_EQ(judge_one(200, R"({"result":1})").kind, Kind::kReplies);
    const Verdict wrong = judge_one(400, R"({"error":"WRONGTYPE Operation"})");
    EXPECT_EQ(wrong.kind, Kind::kReplies);
    EXPECT_TRUE(wrong.replies.at(0).is_error());
    for (const std::string text :
         {"ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://upstash.com",
          "ERR max daily request limit exceeded"}) {
        const Verdict quota = judge_one(400, R"({"error":")" + text + R"("})");
        EXPECT_EQ(quota.kind, Kind::kOutage);
        EXPECT_EQ(quota.reason, "its quota is used up");
    }
    const Verdict refused =
        judge_one(401, R"({"error":"WRONGPASS invalid or missing auth token"})");
    EXPECT_EQ(refused.kind, Kind::kOutage);
    EXPECT_EQ(refused.reason, "it refuses the token");
}

TEST(UpstashJudge, SeesAQuotaInsideAPipeline) {
    const Answer answer{.status = 200,
                        .body = R"([{"result":1},{"error":"ERR max requests limit exceeded."}])",
                        .retry_after = {}};
    EXPECT_EQ(judge(answer, Shape::kPipeline, 2).kind, Kind::kOutage);
}

TEST(UpstashJudge, SaysWhatMayBeRepeated) {
    EXPECT_EQ(judge_one(429, "").kind, Kind::kNotRun);
    for (const int status : {500, 502, 503, 504, 404, 302, 204})
        EXPECT_EQ(judge_one(status, "<html>").kind, Kind::kUnsure) << status;
    EXPECT_EQ(judge_one(200, "<html>").kind, Kind::kUnsure);
    EXPECT_EQ(judge_one(400, "<html>").kind, Kind::kUnsure);
    EXPECT_EQ(judge_one(400, R"({"result":1})").kind, Kind::kUnsure);
    EXPECT_EQ(judge_one(413, "").kind, Kind::kRefused);
    EXPECT_EQ(judge_one(405, "").kind, Kind::kRefused);
    EXPECT_EQ(judge_one(503, "secret").error.message.find("secret"), std::string::npos);
}

TEST(UpstashJudge, ADiscardedTransactionIsRefusedAsAWhole) {
    const Answer answer{
        .status = 400, .body = R"({"error":"EXECABORT Transaction discarded"})", .retry_after = {}};
    const Verdict verdict = judge(answer, Shape::kTransaction, 2);
    EXPECT_EQ(verdict.kind, Kind::kRefused);
    EXPECT_EQ(verdict.error.detail, "EXECABORT");
}

TEST(UpstashJudge, HonoursRetryAfterInSeconds) {
    using std::chrono::seconds;
    EXPECT_EQ(parse_retry_after("2"), seconds(2));
    EXPECT_EQ(parse_retry_after("0"), seconds(0));
    for (const std::string_view other : {"", "-1", "2s", "Wed, 21 Oct 2026 07:28:00 GMT", "1e9"})
        EXPECT_EQ(parse_retry_after(other), seconds(0)) << other;
    EXPECT_EQ(parse_retry_after("999999999999"), seconds(86'400));
    EXPECT_EQ(parse_retry_after("99999999999999999999"), seconds(0));
    const Answer answer{.status = 429, .body = "", .retry_after = "3"};
    EXPECT_EQ(judge(answer, Shape::kOne, 1).wait, seconds(3));
}

} // namespace
} // namespace larder::redis::upstash
