// What explain is asked: which questions are understood, and where a wrong one is wrong.
#include "api/explain_requests.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace larder::api {
namespace {

using protocol::Dialect;

std::string refused_field(std::string_view text) {
    const auto document = json::parse(text);
    EXPECT_TRUE(document) << text;
    const auto read = read_explain_questions(*document);
    if (read)
        return "(accepted)";
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidRequest);
    return read.error().field;
}

TEST(ExplainQuestions, KeepTheBytesOfTheRequest) {
    const auto document = json::parse(R"({"path":"/v1/messages?beta=true",
        "request": { "a" : 1.0 }, "headers":{"anthropic-beta":"x"}})");
    ASSERT_TRUE(document);
    const auto read = read_explain_questions(*document);
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->questions.size(), 1U);
    EXPECT_FALSE(read->is_list);
    const ExplainQuestion& question = read->questions[0];
    EXPECT_EQ(question.body, R"({ "a" : 1.0 })");
    EXPECT_EQ(question.dialect, Dialect::kAnthropicMessages);
    EXPECT_EQ(question.query, "beta=true");
    EXPECT_EQ(question.field, "request");
    EXPECT_EQ(question.headers, (http::OwnedFields{{"anthropic-beta", "x"}}));
}

TEST(ExplainQuestions, KnowEachCompletion) {
    for (const auto& [path, dialect] : {std::pair{"/llm/generate", Dialect::kLlm},
                                        std::pair{"/v1/chat/completions", Dialect::kOpenAiChat},
                                        std::pair{"/v1/responses", Dialect::kOpenAiResponses},
                                        std::pair{"/v1/messages", Dialect::kAnthropicMessages}}) {
        const std::string text =
            R"({"requests":[{"request":{},"path":")" + std::string(path) + R"("},{"request":{}}]})";
        const auto document = json::parse(text);
        const auto read = read_explain_questions(*document);
        ASSERT_TRUE(read) << path;
        EXPECT_TRUE(read->is_list);
        EXPECT_EQ(read->questions.at(0).dialect, dialect);
        EXPECT_EQ(read->questions.at(1).dialect, Dialect::kLlm) << "the default";
        EXPECT_EQ(read->questions.at(1).field, "requests[1].request");
    }
}

TEST(ExplainQuestions, AreRefusedByThePlaceOfTheMistake) {
    EXPECT_EQ(refused_field("[]"), "");
    EXPECT_EQ(refused_field("{}"), "request");
    EXPECT_EQ(refused_field(R"({"request":1})"), "request");
    EXPECT_EQ(refused_field(R"({"request":{},"key":1})"), "key");
    EXPECT_EQ(refused_field(R"({"request":{},"path":"/v1/embeddings/x"})"), "path");
    EXPECT_EQ(refused_field(R"({"request":{},"path":")" + std::string(3000, 'a') + "\"}"), "path");
    EXPECT_EQ(refused_field(R"({"request":{},"headers":{"a":null}})"), "headers.a");
    EXPECT_EQ(refused_field(R"({"request":{},"headers":{"a":"b\u0000"}})"), "headers.a");
    EXPECT_EQ(refused_field(R"({"request":{},"headers":{")" + std::string(5000, 'a') + R"(":""}})"),
              "headers");
    EXPECT_EQ(refused_field(R"({"requests":[]})"), "requests");
    EXPECT_EQ(refused_field(R"({"requests":[{"request":{}}],"headers":{}})"), "requests");
    EXPECT_EQ(refused_field(R"({"requests":[{"request":{}},[]]})"), "requests[1]");
    EXPECT_EQ(refused_field(R"({"requests":[{"request":{},"headers":{"b":1}}]})"),
              "requests[0].headers.b");
}

} // namespace
} // namespace larder::api
