// Tests of what is read from requests about sessions, and of how sessions are shown.
#include "api/session_requests.hpp"

#include "base/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::api {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kMax = 64 * 1024;

std::string field_of(const auto& result) {
    return result ? "no error" : result.error().field;
}

session::Session example() {
    return {.id = "the-id",
            .user_id = "Zoë \"Z\"",
            .data = R"({"a":[1, 2]})",
            .created_ms = 1'764'038'567'001,
            .accessed_ms = 1'764'038'568'020,
            .expires_ms = 1'764'124'968'020,
            .version = 12};
}

TEST(SessionCreation, HasAUserAndItsDataAsItCame) {
    const auto creation = read_session_creation(
        R"({ "data": {"b" : 1.50,"a":null}, "userId": "\u005Ao\u00eb" })", kMax);
    ASSERT_TRUE(creation) << creation.error().message;
    EXPECT_EQ(creation->user_id, "Zoë");
    EXPECT_EQ(creation->data, R"({"b" : 1.50,"a":null})");
    EXPECT_EQ(read_session_creation(R"({"userId":"a"})", kMax)->data, "{}");
}

TEST(SessionCreation, SaysWhichMemberIsWrong) {
    struct Row {
        std::string body;
        std::string field;
    };
    const Row rows[] = {
        {R"({})", "userId"},
        {R"({"data":{}})", "userId"},
        {R"({"userId":""})", "userId"},
        {R"({"userId":7})", "userId"},
        {R"({"userId":null})", "userId"},
        {R"({"userId":["a"]})", "userId"},
        {R"({"userId":")" + std::string(257, 'a') + R"("})", "userId"},
        {R"({"userId":"a","data":null})", "data"},
        {R"({"userId":"a","data":[]})", "data"},
        {R"({"userId":"a","data":"{}"})", "data"},
        {R"({"userId":"a","ttl":5})", "ttl"},
        {R"({"userId":"a","userid":"b"})", "userid"},
        {R"({"userId":"a","id":"chosen"})", "id"},
        {R"({"userId":"a","userId":"b"})", "userId"},
        {R"([])", ""},
        {R"("userId")", ""},
        {R"()", ""},
        {R"({"userId":"a")", ""},
    };
    for (const Row& row : rows) {
        const auto refused = read_session_creation(row.body, kMax);
        ASSERT_FALSE(refused) << row.body;
        EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest) << row.body;
        EXPECT_EQ(refused.error().field, row.field) << row.body;
    }
    EXPECT_TRUE(read_session_creation(R"({"userId":")" + std::string(256, 'a') + R"("})", kMax));
}

TEST(SessionCreation, NamesAllUnknownMembersButNotWithoutEnd) {
    const auto refused = read_session_creation(R"({"userId":"a","ttl":5,"extra":{}})", kMax);
    EXPECT_THAT(refused.error().message, HasSubstr(R"("ttl", "extra")"));
    std::string body = R"({"userId":"a")";
    for (int i = 0; i < 10'000; ++i)
        body += ",\"" + std::string(100, 'x') + std::to_string(i) + "\":1";
    EXPECT_LT(read_session_creation(body + "}", kMax).error().message.size(), 1000U);
}

TEST(SessionCreation, IsBoundedInSizeAndDepth) {
    const std::string exact = R"({"a":")" + std::string(92, 'x') + R"("})";
    ASSERT_EQ(exact.size(), 100U);
    const std::string body = R"({"userId":"a","data":)" + exact + "}";
    EXPECT_TRUE(read_session_creation(body, 100));
    const auto refused = read_session_creation(body, 99);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
    EXPECT_EQ(refused.error().field, "data");
    const std::string deep = std::string(200, '[') + std::string(200, ']');
    EXPECT_FALSE(read_session_creation(R"({"userId":"a","data":{"d":)" + deep + "}}", kMax));
}

TEST(SessionData, IsRequiredAndAlone) {
    EXPECT_EQ(read_session_data(R"({"data":{ }})", kMax).value(), "{ }");
    EXPECT_EQ(field_of(read_session_data("{}", kMax)), "data");
    EXPECT_EQ(field_of(read_session_data(R"({"data":null})", kMax)), "data");
    EXPECT_EQ(field_of(read_session_data(R"({"data":{},"userId":"b"})", kMax)), "userId");
    EXPECT_EQ(field_of(read_session_data(R"({"data":{},"version":3})", kMax)), "version");
    EXPECT_EQ(read_session_data(R"({"data":{"a":1}})", 6).error().code, ErrorCode::kTooLarge);
}

TEST(SessionBody, OfARotationIsEmpty) {
    EXPECT_TRUE(read_no_members(""));
    EXPECT_TRUE(read_no_members(" {} "));
    EXPECT_EQ(field_of(read_no_members(R"({"data":{}})")), "data");
    EXPECT_FALSE(read_no_members("[]"));
    EXPECT_FALSE(read_no_members("x"));
}

TEST(SessionQuery, NamesOneUser) {
    EXPECT_EQ(read_user_query("userId=ann").value(), "ann");
    EXPECT_EQ(read_user_query("userId=ann%40x.com").value(), "ann@x.com");
    EXPECT_EQ(read_user_query("userId=a+b%2Bc%26d%3De").value(), "a b+c&d=e");
    EXPECT_EQ(read_user_query("userId=a=b").value(), "a=b");
    EXPECT_EQ(read_user_query("user%49d=Zo%C3%AB&").value(), "Zoë");
    for (const std::string& query :
         {std::string(), std::string("userId"), std::string("userId="), std::string("userid=a"),
          std::string("userId=a&userId=b"), std::string("userId=a&userId=a"),
          std::string("userId=a&all=1"), std::string("all=1"), std::string("userId=%FF"),
          "userId=" + std::string(257, 'a')}) {
        const auto refused = read_user_query(query);
        ASSERT_FALSE(refused) << query;
        EXPECT_EQ(refused.error().code, ErrorCode::kInvalidRequest);
        EXPECT_EQ(refused.error().field, "userId");
    }
}

TEST(SessionPrecondition, IsNoneWithoutTheFieldAndWithAStar) {
    for (const auto& field :
         {std::optional<std::string_view>(), std::optional<std::string_view>("*"),
          std::optional<std::string_view>(" * ")}) {
        const auto precondition = read_precondition(field);
        ASSERT_TRUE(precondition);
        EXPECT_TRUE(precondition->admits(1));
        EXPECT_TRUE(precondition->admits(99));
        EXPECT_EQ(precondition->expected(), std::nullopt);
    }
}

TEST(SessionPrecondition, AdmitsTheVersionsOfItsStrongTags) {
    const auto one = read_precondition(R"("7")");
    EXPECT_TRUE(one->admits(7));
    EXPECT_FALSE(one->admits(8));
    EXPECT_EQ(one->expected(), 7);
    const auto many = read_precondition(R"( "7" ,, W/"8",	"x,\9","10" )");
    ASSERT_TRUE(many) << many.error().message;
    EXPECT_EQ(many->versions, (std::vector<std::int64_t>{7, 10}));
}

TEST(SessionPrecondition, IsMetByNothingWhereNoTagIsOurs) {
    for (const std::string_view field :
         {R"(W/"1")", R"("")", R"("one")", R"("01")", R"("+1")", R"("-1")", R"("0")", R"("1 ")",
          R"("1.0")", R"("99999999999999999999")"}) {
        const auto precondition = read_precondition(field);
        ASSERT_TRUE(precondition) << field;
        EXPECT_FALSE(precondition->admits(1)) << field;
        EXPECT_EQ(precondition->expected(), 0) << field << ": a version that no session has";
    }
}

TEST(SessionPrecondition, IsRefusedWhenItIsNoListOfTags) {
    for (const std::string_view field : {"", " ", ",", "1", "\"1", "\"1\"\"2\"", "\"1\" \"2\"",
                                         "w/\"1\"", "W/1", "W/", "*, \"1\"", "\"1\", *", "**"}) {
        const auto refused = read_precondition(field);
        ASSERT_FALSE(refused) << field;
        EXPECT_EQ(refused.error().field, "if-match");
    }
}

TEST(SessionBody, ShowsASessionWithItsMembers) {
    std::string body;
    write_session(body, example());
    EXPECT_EQ(body, R"({"id":"the-id","userId":"Zoë \"Z\"","data":{"a":[1, 2]},)"
                    R"("createdAt":"2025-11-25T02:42:47.001Z",)"
                    R"("lastAccessedAt":"2025-11-25T02:42:48.020Z",)"
                    R"("expiresAt":"2025-11-26T02:42:48.020Z","version":12})");
    EXPECT_TRUE(json::parse(body));
    EXPECT_EQ(etag_of(example()), "\"12\"");
}

TEST(SessionBody, ShowsAListOfSessions) {
    EXPECT_EQ(write_sessions({}), R"({"sessions":[]})");
    const std::vector<session::Session> two{example(), example()};
    const std::string body = write_sessions(two);
    const auto document = json::parse(body);
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root().find("sessions")->size(), 2U);
}

TEST(SessionMerge, IsBoundedByTheSizeOfTheResult) {
    EXPECT_EQ(merge_data(example(), R"({"b":2})", kMax).value(), R"({"a":[1, 2],"b":2})");
    EXPECT_EQ(merge_data(example(), R"({"a":null})", 2).value(), "{}");
    const auto refused = merge_data(example(), R"({"b":2})", 17);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
    EXPECT_TRUE(merge_data(example(), R"({"b":2})", 18));
}

} // namespace
} // namespace larder::api
