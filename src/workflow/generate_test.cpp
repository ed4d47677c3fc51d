// Workflows that a model writes: what it is told, and what becomes of its answers.
#include "workflow/generate.hpp"

#include "schema/schema.hpp"
#include "testing/workflow_parts.hpp"

#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

using larder::testing::ChatAnswer;
using larder::testing::ChatProvider;
using larder::testing::ChatQuestion;

constexpr std::string_view kGood = R"({"workflow":{"steps":[{"id":"a","prompt":"{{input.x}}"}]}})";
constexpr std::string_view kBad =
    R"({"workflow":{"steps":[{"id":"a","prompt":"{{steps.none.output}}"}]}})";

struct GenerationTest : larder::testing::WorkflowTest {
    GenerationWish wish{.description = "say x"};

    Result<Generated> generate() {
        asio::io_context& context = runtime.context(0);
        return larder::testing::run(context, generate_there());
    }

private:
    Task<Result<Generated>> generate_there() {
        Generation generation(wish, {.gateway = gateway,
                                     .clock = clock,
                                     .executor = runtime.context(0).get_executor(),
                                     .settings = settings,
                                     .limits = limits});
        co_return co_await generation.run();
    }
};

/// Says these one after the other, and the last one for ever.
ChatProvider::Answer in_turn(std::vector<std::string_view> texts) {
    return [texts = std::move(texts), next = 0UL](const ChatQuestion&) mutable {
        const std::string_view text = texts[std::min(next++, texts.size() - 1)];
        return ChatAnswer{.text = std::string(text)};
    };
}

TEST_F(GenerationTest, AsksARouteThatIsTheDefaultAsARoute) {
    const ChatProvider provider(in_turn({kGood}));
    use(provider);
    provider::Provider keyless = settings->catalog.providers.front();
    keyless.name = "keyless";
    keyless.missing_variable = "KEY";
    keyless.structured_outputs = true;
    settings->catalog.providers.push_back(keyless);
    settings->catalog.routes = {{.name = "both",
                                 .targets = {{.provider = "keyless", .model = "m-1"},
                                             {.provider = "openai", .model = "m-1"}}}};
    settings->catalog.default_model = "both";
    const auto generated = generate();
    ASSERT_TRUE(generated) << generated.error().message;
    EXPECT_EQ(generated->provider, "openai");
}

TEST_F(GenerationTest, GivesTheModelsErrorsBackToIt) {
    const ChatProvider provider(in_turn({"no JSON", kBad, kGood}));
    use(provider);
    const auto generated = generate();
    ASSERT_TRUE(generated) << generated.error().message;
    EXPECT_EQ(generated->text, R"({"steps":[{"id":"a","prompt":"{{input.x}}"}]})");
    EXPECT_EQ(generated->attempts, 3);
    EXPECT_EQ(generated->tokens, 45);
    EXPECT_GT(generated->cost.picodollars, 0);
    EXPECT_EQ(generated->estimate.calls, 1);
    const auto asked = provider.questions();
    ASSERT_EQ(asked.size(), 3);
    EXPECT_TRUE(asked[0].prompt.contains("say x"));
    EXPECT_TRUE(asked[1].prompt.contains("no JSON")) << asked[1].prompt;
    EXPECT_TRUE(asked[2].prompt.contains("steps[0].prompt")) << asked[2].prompt;
    EXPECT_EQ(asked[2].messages, 6);
}

TEST_F(GenerationTest, EndsAfterTwoRepairs) {
    const ChatProvider provider(in_turn({kBad}));
    use(provider);
    const auto generated = generate();
    ASSERT_FALSE(generated);
    EXPECT_EQ(generated.error().code, ErrorCode::kUnprocessable);
    EXPECT_EQ(generated.error().detail, "workflow_invalid");
    EXPECT_EQ(provider.calls(), 3);
}

TEST_F(GenerationTest, SaysWhyADescriptionCannotBecomeOne) {
    const ChatProvider provider(in_turn({R"({"impossible":"it needs the network"})"}));
    use(provider);
    const auto generated = generate();
    ASSERT_FALSE(generated);
    EXPECT_EQ(generated.error().code, ErrorCode::kUnprocessable);
    EXPECT_EQ(generated.error().detail, "workflow_impossible");
    EXPECT_TRUE(generated.error().message.contains("it needs the network"));
    EXPECT_EQ(provider.calls(), 1);
}

TEST_F(GenerationTest, HoldsTheWorkflowToTheSampleInput) {
    const ChatProvider provider(in_turn({kGood}));
    use(provider);
    const auto sample = JsonText::parse(R"({"y":"12345678"})");
    ASSERT_TRUE(sample);
    wish.sample = *sample;
    const auto generated = generate();
    ASSERT_FALSE(generated);
    EXPECT_TRUE(generated.error().message.contains("input.x")) << generated.error().message;
    EXPECT_TRUE(provider.questions().front().prompt.contains(R"({"y":"12345678"})"));
}

TEST_F(GenerationTest, AsksForAnAnswerThatIsHeldToTheSchemaWhereTheProviderCan) {
    const ChatProvider provider(in_turn({kGood}));
    use(provider);
    settings->catalog.providers[0].structured_outputs = true;
    ASSERT_TRUE(generate());
    const std::string body = provider.questions().front().body;
    EXPECT_TRUE(body.contains(R"("response_format":{"type":"json_schema")")) << body.substr(0, 300);
    EXPECT_TRUE(body.contains(R"("model":"m-1")")) << body.substr(0, 300);
}

TEST_F(GenerationTest, AsksPlainlyWhereTheProviderRefusesTheSchema) {
    const ChatProvider provider([](const ChatQuestion& question) {
        return ChatAnswer{.text = std::string(kGood),
                          .status = question.body.contains("response_format") ? 400 : 200};
    });
    use(provider);
    settings->catalog.providers[0].structured_outputs = true;
    const auto generated = generate();
    ASSERT_TRUE(generated) << generated.error().message;
    EXPECT_EQ(generated->attempts, 1);
    EXPECT_EQ(provider.calls(), 2);
}

TEST_F(GenerationTest, EndsAtTheTimeOfTheConfiguration) {
    const ChatProvider provider([](const ChatQuestion&) { return ChatAnswer{.hangs = true}; });
    use(provider);
    limits.time = std::chrono::milliseconds(20);
    const auto generated = generate();
    ASSERT_FALSE(generated);
    EXPECT_EQ(generated.error().code, ErrorCode::kTimeout);
}

TEST(AnswerSchema, TakesAWorkflowOrAReason) {
    const auto text = answer_schema();
    ASSERT_TRUE(text);
    const auto document = json::parse(*text);
    ASSERT_TRUE(document) << document.error().message;
    const auto schema = schema::Schema::compile(document->root());
    ASSERT_TRUE(schema) << schema.error().field << schema.error().message;
    const auto violations_of = [&schema](std::string_view value) {
        const auto parsed = json::parse(value);
        const auto violations = schema->check(parsed->root());
        return violations ? violations->size() : 1000;
    };
    EXPECT_EQ(violations_of(kGood), 0);
    EXPECT_EQ(violations_of(R"({"impossible":"x"})"), 0);
    EXPECT_GT(violations_of(R"({"workflow":{"steps":[]}})"), 0);
    EXPECT_GT(violations_of(R"({"other":1})"), 0);
}

TEST(WrittenWorkflow, IsTakenOutOfAFenceAndWithoutItsWrapping) {
    const auto fenced =
        read_written_workflow("Here:\n```json\n" + std::string(kGood) + "\n```\n", {}, nullptr);
    ASSERT_TRUE(fenced);
    EXPECT_EQ(fenced->errors, "");
    EXPECT_EQ(fenced->workflow.steps.size(), 1);
    const auto bare = read_written_workflow(R"({"steps":[{"id":"a","prompt":"x"}]})", {}, nullptr);
    ASSERT_TRUE(bare);
    EXPECT_EQ(bare->text, R"({"steps":[{"id":"a","prompt":"x"}]})");
    const auto neither = read_written_workflow("{}", {}, nullptr);
    ASSERT_TRUE(neither);
    EXPECT_NE(neither->errors, "");
    const auto unsaid = read_written_workflow(R"({"impossible":7})", {}, nullptr);
    ASSERT_TRUE(unsaid);
    EXPECT_EQ(unsaid->impossible, "the model gave no reason");
}

} // namespace
} // namespace larder::workflow
