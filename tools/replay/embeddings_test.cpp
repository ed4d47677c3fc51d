// Embeddings of the recorded provider: element by element, in either encoding.
#include "replay/embeddings.hpp"

#include <gtest/gtest.h>

namespace larder::replay {
namespace {

constexpr std::string_view kRecorded =
    R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]},)"
    R"({"object":"embedding","index":1,"embedding":"AAAAPwAAgL8="}],"model":"m","usage":{}})";

std::string answer_to(const EmbeddingTable& table, std::string_view request) {
    const auto document = json::parse(request);
    return table.answer("openai", document->root());
}

TEST(EmbeddingTable, AnswersRecordedElementsInAnyOrderAndEncoding) {
    EmbeddingTable table;
    const auto request = json::parse(R"({"model":"m","input":["one","two"]})");
    table.learn("openai", request->root(), kRecorded);
    const std::string reply =
        answer_to(table, R"({"input":["two"],"encoding_format":"base64","model":"m"})");
    EXPECT_NE(reply.find(R"("index":0,"embedding":"AAAAPwAAgL8=")"), std::string::npos) << reply;
    const std::string other = answer_to(table, R"({"model":"m","input":"one"})");
    EXPECT_NE(other.find(R"("embedding":[0.5,-1])"), std::string::npos) << other;
}

TEST(EmbeddingTable, MakesUpTheSameVectorForTheSameElementOnly) {
    const EmbeddingTable table;
    const std::string one = answer_to(table, R"({"model":"m","dimensions":4,"input":"one"})");
    EXPECT_EQ(one, answer_to(table, R"({"model":"m","dimensions":4,"input":["one"]})"));
    const auto vector_of = [](const std::string& reply) {
        return reply.substr(reply.find("embedding\":["), reply.find("],\"model") - 40);
    };
    EXPECT_NE(vector_of(one),
              vector_of(answer_to(table, R"({"model":"m","dimensions":4,"input":"two"})")));
}

TEST(Elements, AListOfNumbersIsOne) {
    const auto count = [](std::string_view request) {
        const auto document = json::parse(request);
        return elements_of(document->root()).size();
    };
    EXPECT_EQ(count(R"({"input":[1,2,3]})"), 1U);
    EXPECT_EQ(count(R"({"input":[[1,2],[3]]})"), 2U);
    EXPECT_EQ(count(R"({"input":["a","b","a"]})"), 3U);
    EXPECT_EQ(count(R"({})"), 0U);
}

TEST(InEncoding, PutsEachVectorIntoWhatIsAskedFor) {
    const auto base64 = json::parse(R"({"encoding_format":"base64"})");
    const auto floats = json::parse("{}");
    const auto as_base64 = in_encoding(kRecorded, base64->root());
    const auto as_floats = in_encoding(kRecorded, floats->root());
    ASSERT_TRUE(as_base64 && as_floats);
    EXPECT_EQ(as_base64->find("[0.5,-1]"), std::string::npos);
    EXPECT_EQ(as_floats->find("AAAAPwAAgL8="), std::string::npos);
}

} // namespace
} // namespace larder::replay
