// What a request gets: recorded, made up, or spoiled on demand; and the demo's own exchanges.
#include "replay/plan.hpp"

#include "replay/answer.hpp"
#include "replay/replay_server.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace larder::replay {
namespace {

using protocol::Dialect;

class PlanTest : public ::testing::Test {
protected:
    /// The plan for a body; the model's name may be a fault.
    Plan plan(std::string_view model, bool stream, std::uint64_t earlier = 0) {
        body_ = R"({"model":")" + std::string(model) + R"(","messages":[],"stream":)" +
                (stream ? "true" : "false") + "}";
        auto document = json::parse(body_);
        EXPECT_TRUE(document);
        const Asked asked{.place = {.provider = "openai", .dialect = Dialect::kOpenAiChat},
                          .body = document->root(),
                          .fields = &fields_};
        const auto fault = fault_of(asked);
        return fault ? plan_fault(*fault, asked, earlier) : plan_answer(store_, asked);
    }
    std::string body_;
    ExchangeStore store_;
    http::Fields fields_;
};

std::string_view type_of(const Plan& plan) {
    for (const auto& [name, value] : plan.fields)
        if (name == "content-type")
            return value;
    return "";
}

TEST(PlaceOf, FindsProviderAndDialect) {
    auto place = place_of("/openai/v1/chat/completions");
    ASSERT_TRUE(place);
    EXPECT_EQ(place->provider, "openai");
    EXPECT_EQ(place->dialect, Dialect::kOpenAiChat);
    place = place_of("/v1/messages");
    ASSERT_TRUE(place);
    EXPECT_EQ(place->provider, "");
    EXPECT_EQ(place->dialect, Dialect::kAnthropicMessages);
    EXPECT_EQ(place_of("/zai/api/paas/v4/chat/completions")->provider, "zai");
    EXPECT_EQ(place_of("/openai/v1/embeddings")->dialect, Dialect::kOpenAiEmbeddings);
    EXPECT_EQ(place_of("/responses")->provider, "");
    EXPECT_FALSE(place_of("/anthropic/v1/messages/count_tokens"));
    EXPECT_FALSE(place_of("/"));
}

TEST_F(PlanTest, MakesAnAnswerUpForWhatWasNeverRecorded) {
    const Plan plain = plan("m", false);
    EXPECT_EQ(plain.source, Source::kMadeUp);
    EXPECT_EQ(plain.status, 200);
    EXPECT_EQ(type_of(plain), "application/json");
    EXPECT_FALSE(plain.stream);
    const Plan stream = plan("m", true);
    EXPECT_TRUE(stream.stream);
    EXPECT_TRUE(type_of(stream).starts_with("text/event-stream"));
    EXPECT_TRUE(stream.body.ends_with("data: [DONE]\n\n"));
}

TEST_F(PlanTest, ServesStatusFieldsAndBodyAsRecorded) {
    ASSERT_TRUE(store_.load(
        R"({"provider":"openai","api":"openai.chat","request":{"body":{"model":"m","messages":[]}},)"
        R"("response":{"status":404,"headers":{"x-request-id":"r","x-a":"b"},"body":"gone\n"}})"));
    const Plan found = plan("m", false);
    EXPECT_EQ(found.source, Source::kRecorded);
    EXPECT_EQ(found.status, 404);
    EXPECT_EQ(found.body, "gone\n");
    const http::OwnedFields expected{
        {"x-request-id", "r"}, {"x-a", "b"}, {"content-type", "application/json"}};
    EXPECT_EQ(found.fields, expected);
}

TEST_F(PlanTest, AnswersWithAStatusAndHowLongToWait) {
    const Plan found = plan("openai/fault-429-retry-after-3", true);
    EXPECT_EQ(found.status, 429);
    EXPECT_EQ(found.fields.back(), (std::pair<std::string, std::string>("retry-after", "3")));
    EXPECT_TRUE(json::parse(found.body));
}

TEST(PlanOther, AnswersWhatIsNoCompletion) {
    EXPECT_NE(plan_other("GET", "/openai/v1/models", "")->body.find("gpt-4o"), std::string::npos);
    EXPECT_NE(plan_other("GET", "/anthropic/v1/models", "")->body.find("claude"),
              std::string::npos);
    EXPECT_EQ(plan_other("POST", "/anthropic/v1/messages/count_tokens", "12345678")->body,
              R"({"input_tokens":3})");
    const auto other = plan_other("DELETE", "/openai/v1/files/file-1", "");
    EXPECT_NE(other->body.find(R"("method":"DELETE","path":"files/file-1")"), std::string::npos);
    EXPECT_FALSE(plan_other("GET", "/elsewhere", ""));
}

TEST_F(PlanTest, FailsAsOftenAsItWasAskedToAndThenAnswers) {
    EXPECT_EQ(plan("fault-503-retry-after-ms-20-times-1", false, 0).fields.back(),
              (std::pair<std::string, std::string>("retry-after-ms", "20")));
    EXPECT_EQ(plan("fault-503-retry-after-ms-20-times-1", false, 1).status, 200);
    EXPECT_EQ(plan("fault-flaky-2", false, 0).status, 500);
    EXPECT_EQ(plan("fault-flaky-2", false, 1).status, 500);
    EXPECT_EQ(plan("fault-flaky-2", false, 2).status, 200);
}

TEST_F(PlanTest, EndsAStreamWithoutItsLastEvent) {
    const Plan found = plan("fault-end-stream", true);
    EXPECT_EQ(found.body.find("[DONE]"), std::string::npos);
    EXPECT_EQ(found.body.find(R"("finish_reason":"stop")"), std::string::npos);
    EXPECT_TRUE(found.body.ends_with("\n\n"));
    EXPECT_FALSE(json::parse(plan("fault-end-stream", false).body));
}

TEST_F(PlanTest, SpoilsBytesTypesAndTimes) {
    EXPECT_FALSE(json::parse(plan("fault-garbage", false).body));
    EXPECT_FALSE(json::parse(plan("fault-half-json", false).body));
    EXPECT_EQ(type_of(plan("fault-content-type", true)), "text/html");
    EXPECT_EQ(plan("fault-hang", false).before, Plan::Event::kHang);
    EXPECT_EQ(plan("fault-cut-head", false).before, Plan::Event::kCut);
    EXPECT_EQ(plan("fault-cut-body", false).middle, Plan::Event::kCut);
    EXPECT_EQ(plan("fault-gate-a", true).before, Plan::Event::kGate);
    EXPECT_EQ(plan("fault-middle-gate", true).middle, Plan::Event::kGate);
    EXPECT_EQ(plan("fault-slow-first-byte-40", false).wait.count(), 40);
    EXPECT_GT(plan("fault-huge-50000", false).body.size(), 50'000U);
    EXPECT_NE(plan("fault-finish-length", false).body.find(R"("finish_reason":"length")"),
              std::string::npos);
    EXPECT_NE(plan("fault-error-event", true).body.find("server_error"), std::string::npos);
}

TEST_F(PlanTest, EchoesTheKeyThatItGot) {
    fields_.add("Authorization", "Bearer sk-echo");
    const Plan found = plan("fault-echo-key", false);
    EXPECT_EQ(found.status, 401);
    EXPECT_NE(found.body.find("Bearer sk-echo"), std::string::npos);
}

TEST_F(PlanTest, TakesAFaultFromTheHeaderToo) {
    fields_.add("X-Replay-Fault", "fault-503");
    EXPECT_EQ(plan("gpt-4o", false).status, 503);
}

TEST(Demo, BringsADozenExchangesThatAreWholeAnswers) {
    ExchangeStore store;
    auto loaded = store.load(demo_exchanges());
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_GE(*loaded, 12U);
    for (const Recorded& recorded : store.all()) {
        auto plain = in_form(recorded, false, false);
        ASSERT_TRUE(plain) << plain.error().message;
        auto answer = protocol::read_answer(recorded.dialect, *plain);
        ASSERT_TRUE(answer) << *plain;
        EXPECT_TRUE(protocol::may_be_kept(*answer, {})) << *plain;
        EXPECT_TRUE(answer->usage);
    }
}

TEST(Demo, FindsEachExchangeForTheRequestThatTheGatewayBuilds) {
    ExchangeStore store;
    ASSERT_TRUE(store.load(demo_exchanges()));
    const auto requests = demo_requests();
    ASSERT_EQ(requests.size(), store.all().size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const Recorded& recorded = store.all()[i];
        auto asked = json::parse(requests[i].body);
        ASSERT_TRUE(asked) << requests[i].body;
        auto call = protocol::read_call(protocol::Dialect::kLlm, *asked);
        ASSERT_TRUE(call) << call.error().message;
        auto written = protocol::write_request(protocol::Dialect::kLlm, *asked, recorded.dialect,
                                               *call, call->model, true);
        ASSERT_TRUE(written) << written.error().message;
        auto body = json::parse(*written);
        ASSERT_TRUE(body);
        EXPECT_EQ(
            store.find(
                {.provider = recorded.provider, .dialect = recorded.dialect, .body = body->root()}),
            &recorded)
            << *written;
    }
}

} // namespace
} // namespace larder::replay
