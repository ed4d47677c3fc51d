// Workflows that run through a real gateway: what runs together, what a failure ends, tries,
// schemas, lists.
#include "testing/workflow_parts.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace larder::workflow {
namespace {

using larder::testing::ChatAnswer;
using larder::testing::ChatProvider;
using larder::testing::ChatQuestion;
using RunTest = larder::testing::WorkflowTest;

/// Says the prompt again; "fail …" is refused with 400, "break …" with 500, "hang …" never ends.
ChatAnswer say(const ChatQuestion& question) {
    ChatAnswer answer{.text = question.prompt};
    if (question.prompt.starts_with("fail"))
        answer.status = 400;
    if (question.prompt.starts_with("break"))
        answer.status = 500;
    answer.hangs = question.prompt.starts_with("hang");
    return answer;
}

TEST_F(RunTest, PutsOutputsIntoLaterPromptsAndTheWorkflowsOutput) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"steps":[
        {"id":"a","prompt":"one {{input.x}}"},
        {"id":"b","system":"be brief","prompt":"two, after {{steps.a.output}}"}],
        "output":"{{steps.b.output}}!"})",
                            R"({"x":"{{steps.b.output}}"})");
    EXPECT_EQ(message(report), "no error");
    EXPECT_EQ(report.output, "two, after one {{steps.b.output}}!");
    EXPECT_EQ(states(report), "a done, b done");
    EXPECT_EQ(report.calls, 2);
    EXPECT_EQ(report.tokens, 30);
    EXPECT_EQ(report.steps[0].model, "m-1");
    EXPECT_EQ(report.steps[0].provider, "openai");
    const auto asked = provider.questions();
    ASSERT_EQ(asked.size(), 2);
    EXPECT_EQ(asked[1].system, "be brief");
    EXPECT_FALSE(asked[1].stream);
}

TEST_F(RunTest, RunsTogetherWhatCanAndNoMoreAtOnceThanItMay) {
    ChatProvider provider(say);
    use(provider);
    provider.gather(3); // would hang if fewer were asked at once
    limits.parallel = 3;
    const auto report = run(R"({"steps":[{"id":"a","prompt":"1"},{"id":"b","prompt":"2"},
        {"id":"c","prompt":"3"},{"id":"d","prompt":"4"},
        {"id":"e","prompt":"{{steps.a.output}}{{steps.b.output}}{{steps.c.output}}{{steps.d.output}}"}]})");
    EXPECT_EQ(report.output, "1234");
    EXPECT_EQ(provider.most_at_once(), 3);
}

TEST_F(RunTest, SkipsWhatItsConditionForbidsAndWhatDependsOnThatAlone) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"yes"},
        {"id":"b","prompt":"b","when":{"value":"{{steps.a.output}}","equals":"no"}},
        {"id":"c","prompt":"c","dependsOn":["b"]},
        {"id":"d","prompt":"d{{steps.b.output}}","dependsOn":["a","b"]}]})");
    EXPECT_EQ(states(report), "a done, b skipped, c skipped, d done");
    EXPECT_EQ(report.output, "d");
    EXPECT_EQ(provider.calls(), 2);
}

TEST_F(RunTest, RunsWhatAsksWhetherAnotherWasSkipped) {
    const ChatProvider provider(say);
    use(provider);
    const std::string_view text = R"({"steps":[
        {"id":"a","prompt":"a","when":{"value":"{{input.x}}","equals":"yes"}},
        {"id":"else","prompt":"else","when":{"value":"{{steps.a.output}}","exists":false}},
        {"id":"then","prompt":"then","when":{"value":"{{steps.a.output}}","exists":true}},
        {"id":"end","prompt":"{{steps.else.output}}{{steps.then.output}}"}]})";
    const auto skipped = run(text, R"({"x":"no"})");
    EXPECT_EQ(states(skipped), "a skipped, else done, then skipped, end done");
    EXPECT_EQ(skipped.output, "else");
    EXPECT_EQ(run(text, R"({"x":"yes"})").output, "then");
}

TEST_F(RunTest, AsksForNoRepairWhereNoneHelps) {
    std::string text = "[1";
    for (int i = 0; i < 250'000; ++i)
        text += ",1";
    text += ']';
    const ChatProvider provider([&](const ChatQuestion&) { return ChatAnswer{.text = text}; });
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"x","outputSchema":{}}]})");
    EXPECT_EQ(states(report), "a failed");
    EXPECT_TRUE(message(report).contains("250000")) << message(report);
    EXPECT_EQ(report.calls, 1);
    EXPECT_EQ(provider.calls(), 1);
}

TEST_F(RunTest, HasNoOutputWhereItsLastStepWasSkipped) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"steps":[
        {"id":"a","prompt":"a","when":{"value":"{{input.x}}","equals":"no"}}]})",
                            R"({"x":"yes"})");
    EXPECT_EQ(message(report), "no error");
    EXPECT_FALSE(report.output);
    EXPECT_EQ(provider.calls(), 0);
}

TEST_F(RunTest, StopsAtAFailureAndGivesUpWhatRuns) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"steps":[{"id":"slow","prompt":"hang"},{"id":"bad","prompt":"fail"},
        {"id":"after","prompt":"x","dependsOn":["slow"]}]})");
    ASSERT_TRUE(report.error);
    EXPECT_EQ(report.error->code, ErrorCode::kProviderRejected);
    EXPECT_TRUE(report.error->message.starts_with("step \"bad\": ")) << report.error->message;
    EXPECT_EQ(states(report), "slow cancelled, bad failed, after cancelled");
    EXPECT_FALSE(report.output);
    EXPECT_TRUE(larder::testing::eventually([&] { return provider.under_way() == 0; }));
}

TEST_F(RunTest, GoesOnWithTheRestWhereAsked) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"onError":"continue","steps":[{"id":"bad","prompt":"fail"},
        {"id":"needs","prompt":"{{steps.bad.output}}"},{"id":"free","prompt":"x"},
        {"id":"last","prompt":"y{{steps.free.output}}"}]})");
    EXPECT_EQ(message(report), "no error");
    EXPECT_EQ(states(report), "bad failed, needs cancelled, free done, last done");
    EXPECT_EQ(report.output, "yx");
}

TEST_F(RunTest, LetsAStepSayForItselfWhatItsFailureEnds) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"steps":[{"id":"bad","prompt":"fail","onError":"continue"},
        {"id":"after","prompt":"x"},{"id":"last","prompt":"{{steps.after.output}}"}]})");
    EXPECT_EQ(message(report), "no error");
    EXPECT_EQ(states(report), "bad failed, after done, last done");
}

TEST_F(RunTest, TriesAnItemAgainAlone) {
    std::atomic<int> calls = 0;
    const ChatProvider provider([&calls](const ChatQuestion& question) {
        return ChatAnswer{.text = question.prompt, .status = ++calls == 1 ? 503 : 200};
    });
    use(provider);
    larder::testing::RecordingListener recorder;
    listener = &recorder;
    const auto report = run(R"({"steps":[{"id":"a","prompt":"{{item}}","retry":{"attempts":2,
        "delay":"1ms"},"forEach":{"in":"{{input.list}}","parallel":1}}]})",
                            R"({"list":["xy"]})");
    EXPECT_EQ(report.output, R"(["xy"])");
    EXPECT_EQ(recorder.lines, (std::vector<std::string>{"a started", "a[0] started", "a[0] delta x",
                                                        "a[0] delta y", R"(a done ["xy"])"}));
}

TEST_F(RunTest, NamesTheFailureAndNotWhatDependsOnIt) {
    const ChatProvider provider(say);
    use(provider);
    for (const std::string_view on_error : {"stop", "continue"}) {
        const auto report = run(R"({"onError":")" + std::string(on_error) + R"(","steps":[
            {"id":"bad","prompt":"fail"},{"id":"needs","prompt":"{{steps.bad.output}}"}]})");
        ASSERT_TRUE(report.error);
        EXPECT_EQ(report.error->code, ErrorCode::kProviderRejected);
        EXPECT_TRUE(report.error->message.starts_with("step \"bad\": ")) << on_error;
    }
}

TEST_F(RunTest, SaysWhyItsOutputIsMissing) {
    const ChatProvider provider(say);
    use(provider);
    const auto report =
        run(R"({"onError":"continue","output":"{{steps.free.output}}{{steps.bad.output}}",
        "steps":[{"id":"bad","prompt":"fail"},{"id":"free","prompt":"x"}]})");
    ASSERT_TRUE(report.error);
    EXPECT_TRUE(report.error->message.starts_with("step \"bad\": ")) << report.error->message;
    EXPECT_EQ(report.outputs.at("free").text, "x");
}

TEST_F(RunTest, TriesAgainAfterFailuresOfTheProviderOnly) {
    std::atomic<int> calls = 0;
    const ChatProvider provider([&calls](const ChatQuestion& question) {
        ++calls;
        return ChatAnswer{.text = "good",
                          .status = question.prompt == "bad" ? 400
                                    : calls < 3              ? 503
                                                             : 200};
    });
    use(provider);
    const auto mended =
        run(R"({"steps":[{"id":"a","prompt":"x","retry":{"attempts":3,"delay":"1ms"}}]})");
    EXPECT_EQ(mended.output, "good");
    EXPECT_EQ(mended.calls, 3);
    calls = 0;
    const auto refused =
        run(R"({"steps":[{"id":"a","prompt":"bad","retry":{"attempts":3,"delay":"1ms"}}]})");
    EXPECT_TRUE(refused.error);
    EXPECT_EQ(refused.calls, 1);
    calls = -100;
    const auto given_up =
        run(R"({"steps":[{"id":"a","prompt":"x","retry":{"attempts":2,"delay":"1ms"}}]})");
    EXPECT_TRUE(given_up.error);
    EXPECT_EQ(given_up.calls, 2);
}

TEST_F(RunTest, HoldsAnAnswerToItsSchemaAndAsksForOneRepair) {
    const ChatProvider provider([](const ChatQuestion& question) {
        return ChatAnswer{.text = question.messages <= 2 ? "{\"n\":\"three\"}"
                                                         : "```json\n{\"n\": 3}\n```"};
    });
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"x","outputSchema":
        {"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}},
        {"id":"b","prompt":"{{steps.a.json.n}}","outputSchema":{"type":"object"}}]})");
    const auto asked = provider.questions();
    ASSERT_GE(asked.size(), 2);
    EXPECT_TRUE(asked[0].system.contains("Answer with JSON only")) << asked[0].system;
    EXPECT_TRUE(asked[1].prompt.starts_with("That is not valid: /n ")) << asked[1].prompt;
    EXPECT_EQ(asked[1].messages, 4);
    EXPECT_EQ(report.outputs.at("a").text, "{\"n\": 3}");
    EXPECT_EQ(report.steps[0].repairs, 1);
    EXPECT_EQ(report.steps[0].calls, 2);
    EXPECT_EQ(asked[2].prompt, "3");
}

TEST_F(RunTest, FailsAStepWhoseSecondAnswerIsInvalidTooWithoutShowingIt) {
    const ChatProvider provider(
        [](const ChatQuestion&) { return ChatAnswer{.text = R"({"n":"secret"})"}; });
    use(provider);
    const auto report =
        run(R"({"steps":[{"id":"a","prompt":"x","retry":{"attempts":3},"outputSchema":
        {"properties":{"n":{"type":"integer"}}}}]})");
    ASSERT_TRUE(report.error);
    EXPECT_EQ(report.error->code, ErrorCode::kProviderUnreadable);
    EXPECT_TRUE(report.error->message.contains("/n")) << report.error->message;
    EXPECT_FALSE(report.error->message.contains("secret"));
    EXPECT_EQ(provider.calls(), 2);
}

TEST_F(RunTest, MakesAListOfWhatIsSaidOfEachItemInOrder) {
    ChatProvider provider(say);
    use(provider);
    provider.gather(2);
    const auto report = run(R"({"steps":[
        {"id":"a","prompt":"{{index}}:{{item.name}}","forEach":{"in":"{{input.list}}","parallel":2}},
        {"id":"b","prompt":"{{item}}","forEach":{"in":"{{steps.a.json}}","parallel":1}}],"output":"{{steps.b.output}}"})",
                            R"({"list":[{"name":"x"},{"name":"\"y\""},{"name":"z"}]})");
    EXPECT_EQ(message(report), "no error");
    EXPECT_EQ(report.output, R"(["0:x","1:\"y\"","2:z"])");
    EXPECT_EQ(provider.most_at_once(), 2);
    EXPECT_EQ(report.steps[0].calls, 3);
}

TEST_F(RunTest, SaysNothingOfAnEmptyList) {
    const ChatProvider provider(say);
    use(provider);
    const auto report =
        run(R"({"steps":[{"id":"a","prompt":"{{item}}","forEach":{"in":"{{input.list}}"}},
        {"id":"b","prompt":"{{steps.a.output}}"}]})",
            R"({"list":[]})");
    EXPECT_EQ(report.output, "[]");
    EXPECT_EQ(provider.calls(), 1);
}

TEST_F(RunTest, FailsAListForOneItemAndGivesUpTheOthers) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"{{item}}",
        "forEach":{"in":"{{input.list}}","parallel":2}}]})",
                            R"({"list":["hang","fail","x","y"]})");
    EXPECT_EQ(states(report), "a failed");
    EXPECT_EQ(provider.calls(), 2);
    ASSERT_TRUE(report.error);
    EXPECT_EQ(report.error->code, ErrorCode::kProviderRejected);
}

TEST_F(RunTest, TellsWhatHappensAsItDoes) {
    const ChatProvider provider(say);
    use(provider);
    larder::testing::RecordingListener recorder;
    listener = &recorder;
    const auto report = run(R"({"onError":"continue","steps":[{"id":"a","prompt":"four"},
        {"id":"b","prompt":"b","dependsOn":["a"],"when":{"value":"{{steps.a.output}}","equals":"no"}},
        {"id":"c","prompt":"fail","dependsOn":["a"]},{"id":"d","prompt":"{{steps.c.output}}"}]})");
    EXPECT_EQ(recorder.lines,
              (std::vector<std::string>{"a started", "a delta fo", "a delta ur", "a done four",
                                        "b skipped ", "c started", "c failed", "d cancelled"}));
    EXPECT_TRUE(provider.questions().front().stream);
}

TEST_F(RunTest, UsesTheCacheOnlyForStepsThatSaySo) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"same","cache":true},
        {"id":"b","prompt":"same","cache":true,"dependsOn":["a"]},
        {"id":"c","prompt":"same","dependsOn":["b"]}]})");
    EXPECT_EQ(provider.calls(), 2);
    EXPECT_EQ(report.calls, 3);
    ASSERT_EQ(report.steps[1].outcomes.size(), 1);
    EXPECT_EQ(report.steps[1].outcomes[0], gateway::Outcome::kHit);
    EXPECT_EQ(report.cost.picodollars, 2 * report.saved.picodollars);
    EXPECT_EQ(report.steps[1].cost.picodollars, 0);
    EXPECT_GT(report.saved.picodollars, 0);
}

} // namespace
} // namespace larder::workflow
