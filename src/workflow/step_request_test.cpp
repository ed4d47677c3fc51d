// What a step asks, its repair, and which failures are worth another try.
#include "workflow/step_request.hpp"

#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

Template text(std::string_view written) {
    auto read = read_template(written, "prompt");
    EXPECT_TRUE(read);
    return read ? *std::move(read) : Template{};
}

std::string body_of(const Step& step, std::size_t most = 1000, bool stream = false) {
    const auto input = JsonText::parse(R"({"x":"a \"quoted\" text"})");
    EXPECT_TRUE(input);
    const Scope scope{.input = input->get()};
    const auto body = make_step_body(step, scope, {.prompt_bytes = most, .stream = stream});
    return body ? *body : body.error().message;
}

Step step_with(std::string_view prompt) {
    Step step;
    step.id = "a";
    step.messages.push_back({.role = "user", .content = text(prompt)});
    return step;
}

TEST(StepBody, HasOnlyWhatTheStepSays) {
    EXPECT_EQ(body_of(step_with("hi")), R"({"messages":[{"role":"user","content":"hi"}]})");
}

TEST(StepBody, HasAllThatTheStepSays) {
    Step step = step_with("{{input.x}}");
    step.system = text("be {{input.x}}");
    step.messages.insert(step.messages.begin(), {.role = "assistant", .content = text("ok")});
    step.model = "m";
    step.provider = "p";
    step.routing_mode = "fallback";
    step.temperature = 0.5;
    step.max_tokens = 7;
    EXPECT_EQ(body_of(step, 1000, true),
              R"({"model":"m","provider":"p","routingMode":"fallback","temperature":0.5,)"
              R"("maxTokens":7,"stream":true,"system":"be a \"quoted\" text","messages":[)"
              R"({"role":"assistant","content":"ok"},)"
              R"({"role":"user","content":"a \"quoted\" text"}]})");
}

TEST(StepBody, TellsTheModelItsSchema) {
    Step step = step_with("hi");
    step.system = text("be brief");
    step.output_schema_text = R"({"type":"object"})";
    const std::string body = body_of(step);
    EXPECT_TRUE(body.contains(R"("system":"be brief\n\nAnswer with JSON only, valid against this )"
                              R"(JSON Schema: {\"type\":\"object\"}")"))
        << body;
}

TEST(StepBody, BoundsAllItsTextsTogether) {
    Step step = step_with("12345");
    step.system = text("12345");
    EXPECT_EQ(body_of(step, 9), "its prompt is larger than 9 bytes");
    EXPECT_NE(body_of(step, 10), "its prompt is larger than 10 bytes");
}

TEST(RepairBody, GoesOnWithTheConversation) {
    const std::string body = R"({"messages":[{"role":"user","content":"hi"}]})";
    EXPECT_EQ(make_repair_body(body, "{\"a\"", "/a must be a string"),
              R"({"messages":[{"role":"user","content":"hi"},)"
              R"({"role":"assistant","content":"{\"a\""},)"
              R"({"role":"user","content":"That is not valid: /a must be a string. )"
              R"(Answer again with the whole JSON only."}]})");
    EXPECT_FALSE(make_repair_body(body, "", "x").contains("assistant"));
}

TEST(CheckAnswer, SaysWhereItIsWrongAndNothingOfTheAnswer) {
    const auto document =
        json::parse(R"({"type":"object","properties":{"n":{"enum":[1]},"m":{"type":"integer"}}})");
    ASSERT_TRUE(document);
    auto schema = schema::Schema::compile(document->root());
    ASSERT_TRUE(schema);
    Step step;
    step.output_schema = std::make_shared<const schema::Schema>(*std::move(schema));
    StepOutput wrong{.text = R"({"n":"secret","m":"secret"})"};
    const auto fault = check_answer(step, wrong);
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->for_client, "the model's answer is not valid against its schema, at /n, /m");
    StepOutput prose{.text = "secret"};
    const auto no_json = check_answer(step, prose);
    ASSERT_TRUE(no_json);
    EXPECT_EQ(no_json->for_client, "the model's answer is no JSON");
    StepOutput right{.text = "So:\n```\n{\"n\":1}\n```"};
    EXPECT_FALSE(check_answer(step, right));
    EXPECT_EQ(right.text, "{\"n\":1}");
}

std::string list_of(std::string_view element, std::size_t count) {
    std::string text = "[";
    for (std::size_t at = 0; at < count; ++at)
        (text += at == 0 ? "" : ",") += element;
    return text + "]";
}

TEST(CheckAnswer, IsFinalWhereTheAnswerOrTheWorkIsTooLarge) {
    std::string kinds = list_of(R"({"type":"null"})", 2'000);
    kinds.back() = ',';
    const std::string text =
        R"({"items":{"anyOf":)" + kinds + R"({"type":"integer"}]},"type":"array"})";
    const auto document = json::parse(text);
    ASSERT_TRUE(document);
    auto schema = schema::Schema::compile(document->root());
    ASSERT_TRUE(schema);
    Step step;
    step.output_schema = std::make_shared<const schema::Schema>(*std::move(schema));
    StepOutput costly{.text = list_of("1", 2'000), .json = nullptr};
    const auto work = check_answer(step, costly);
    ASSERT_TRUE(work);
    EXPECT_FALSE(work->is_repairable);
    EXPECT_EQ(work->code, ErrorCode::kUnprocessable);
    EXPECT_TRUE(work->for_client.contains("outputSchema asks for too much work"));
    for (const std::string& answer :
         {list_of("1", kMostJsonValues), "```\n" + list_of("1", kMostJsonValues) + "\n```",
          std::string(200, '[') + std::string(200, ']')}) {
        StepOutput large{.text = answer, .json = nullptr};
        const auto fault = check_answer(step, large);
        ASSERT_TRUE(fault);
        EXPECT_FALSE(fault->is_repairable);
        EXPECT_EQ(fault->code, ErrorCode::kProviderUnreadable);
        EXPECT_TRUE(fault->for_client.contains("more than 250000 JSON values"));
    }
    StepOutput wrong{.text = "1", .json = nullptr};
    const auto fault = check_answer(step, wrong);
    ASSERT_TRUE(fault);
    EXPECT_TRUE(fault->is_repairable);
}

TEST(AnotherTry, IsWorthItAfterWhatMayPass) {
    const auto is_worth = [](ErrorCode code, int status = 0) {
        gateway::CompletionReply reply;
        reply.error = Error{.code = code, .message = "x"};
        reply.provider_status = status;
        return is_worth_another_try(reply);
    };
    EXPECT_FALSE(is_worth_another_try({}));
    EXPECT_TRUE(is_worth(ErrorCode::kProviderUnavailable));
    EXPECT_TRUE(is_worth(ErrorCode::kProviderOverloaded));
    EXPECT_TRUE(is_worth(ErrorCode::kProviderUnreadable));
    EXPECT_TRUE(is_worth(ErrorCode::kTimeout));
    EXPECT_TRUE(is_worth(ErrorCode::kOverloaded));
    EXPECT_TRUE(is_worth(ErrorCode::kProviderRejected)); // inside an answer of 200
    EXPECT_FALSE(is_worth(ErrorCode::kInvalidRequest));
    EXPECT_FALSE(is_worth(ErrorCode::kCancelled));
    for (const int status : {408, 409, 429, 500, 503, 529})
        EXPECT_TRUE(is_worth(ErrorCode::kProviderRejected, status)) << status;
    for (const int status : {400, 401, 404, 413, 422})
        EXPECT_FALSE(is_worth(ErrorCode::kProviderRejected, status)) << status;
}

} // namespace
} // namespace larder::workflow
