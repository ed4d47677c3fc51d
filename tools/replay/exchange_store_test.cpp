// Finding recorded exchanges, from exact to loose.
#include "replay/exchange_store.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace larder::replay {
namespace {

using protocol::Dialect;

std::string line(std::string_view provider, std::string_view request, std::string_view answer,
                 std::string_view more = "") {
    std::string text = R"({"provider":)";
    json::write_string(text, provider);
    text += R"(,"api":"openai.chat")" + std::string(more) + R"(,"request":{"body":)" +
            std::string(request) + R"(},"response":{"status":200,"headers":{"x-a":"b"},"body":)";
    json::write_string(text, answer);
    return text + "}}\n";
}

class ExchangeStoreTest : public ::testing::Test {
protected:
    void load(std::string_view lines) {
        auto loaded = store_.load(lines);
        ASSERT_TRUE(loaded) << loaded.error().message;
    }
    /// The recorded answer's body, or "" for none.
    std::string find(std::string_view provider, std::string_view body,
                     Dialect dialect = Dialect::kOpenAiChat) {
        auto document = json::parse(body);
        EXPECT_TRUE(document) << body;
        const Recorded* found =
            store_.find({.provider = provider, .dialect = dialect, .body = document->root()});
        return found ? found->body : "";
    }
    ExchangeStore store_;
};

TEST_F(ExchangeStoreTest, FindsTheSameRequestInAnySpelling) {
    load(line("openai", R"({"model":"m","messages":[],"temperature":0.5})", "answer"));
    EXPECT_EQ(find("openai", R"({ "temperature": 5e-1, "messages":[], "mod\u0065l":"m"})"),
              "answer");
    EXPECT_EQ(find("", R"({"model":"m","messages":[],"temperature":0.5})"), "answer");
    EXPECT_EQ(find("openai", R"({"model":"m","messages":[],"temperature":0.6})"), "");
    EXPECT_EQ(find("azure", R"({"model":"m","messages":[],"temperature":0.5})"), "");
    EXPECT_EQ(find("openai", R"({"model":"m","messages":[],"temperature":0.5})",
                   Dialect::kAnthropicMessages),
              "");
}

TEST_F(ExchangeStoreTest, OfEqualRequestsTheFirstAnswerCounts) {
    load(line("openai", R"({"model":"m","messages":[]})", "first") +
         line("openai", R"({"messages":[],"model":"m"})", "second"));
    EXPECT_EQ(find("openai", R"({"model":"m","messages":[]})"), "first");
    EXPECT_EQ(store_.all().size(), 2U);
}

TEST_F(ExchangeStoreTest, FindsARequestToWhichUsageWasAdded) {
    load(line("openai", R"({"model":"m","messages":[],"stream":true})", "stream") +
         line("openai", R"({"model":"m","messages":[]})", "plain"));
    EXPECT_EQ(find("openai", R"({"model":"m","messages":[],"stream":true,
                                 "stream_options":{"include_usage":true}})"),
              "stream");
    EXPECT_EQ(find("openai", R"({"model":"m","messages":[],"stream":false})"), "plain");
}

TEST_F(ExchangeStoreTest, FindsTheOtherFormWhenOnlyThatWasRecorded) {
    load(line("openai", R"({"model":"m","messages":[],"stream":true})", "stream"));
    EXPECT_EQ(find("openai", R"({"model":"m","messages":[]})"), "stream");
    EXPECT_TRUE(store_.all().front().stream);
}

TEST_F(ExchangeStoreTest, IsLooseOnlyWhereTheExchangeSaysSo) {
    constexpr std::string_view kAsked =
        R"({"model":"m","messages":[{"role":"user","content":"Hello"}]})";
    constexpr std::string_view kOther =
        R"({"model":"m","max_tokens":5,"messages":[{"role":"system","content":"s"},
            {"role":"user","content":[{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}]})";
    load(line("strict", kAsked, "strict") + line("demo", kAsked, "loose", R"(,"match":"loose")"));
    EXPECT_EQ(find("strict", kOther), "");
    EXPECT_EQ(find("demo", kOther), "loose");
}

TEST_F(ExchangeStoreTest, PassesOverOtherApisAndEmptyLines) {
    load("\n  \n"
         R"({"api":"openai.moderations","request":{"body":{}},"response":{}})"
         "\n"
         R"({"api":"openai.chat","request":{"body":null},"response":{}})"
         "\n");
    EXPECT_TRUE(store_.all().empty());
}

TEST_F(ExchangeStoreTest, NamesTheLineThatCannotBeRead) {
    auto loaded = store_.load(line("openai", R"({"model":"m"})", "x") + "{\n");
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find("line 2"), std::string::npos) << loaded.error().message;
    loaded =
        store_.load(R"({"api":"openai.chat","request":{"body":{}},"response":{"status":200}})");
    ASSERT_FALSE(loaded);
}

TEST(Slug, IsLowerCaseWithSingleDashes) {
    EXPECT_EQ(slug("OpenAI"), "openai");
    EXPECT_EQ(slug("other:localhost:3000"), "other-localhost-3000");
    EXPECT_EQ(slug("other:"), "other");
    EXPECT_EQ(slug("a..b//c"), "a-b-c");
    EXPECT_EQ(slug(""), "");
}

} // namespace
} // namespace larder::replay
