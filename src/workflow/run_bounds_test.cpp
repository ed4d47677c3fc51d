// What a workflow may use at most: time, cost, calls, items, bytes; each bound is a clear failure
// of its step.
#include "testing/workflow_parts.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <atomic>

namespace larder::workflow {
namespace {

using larder::testing::ChatAnswer;
using larder::testing::ChatProvider;
using larder::testing::ChatQuestion;
using namespace std::chrono_literals;

struct RunBoundsTest : larder::testing::WorkflowTest {
    static ErrorCode code(const RunReport& report) {
        return report.error ? report.error->code : ErrorCode::kStore;
    }
    void expect_unprocessable(const RunReport& report, std::string_view words) const {
        EXPECT_EQ(code(report), ErrorCode::kUnprocessable);
        EXPECT_TRUE(message(report).contains(words)) << message(report);
    }
};

ChatAnswer say(const ChatQuestion& question) {
    ChatAnswer answer{.text = question.prompt};
    answer.hangs = question.prompt.starts_with("hang");
    return answer;
}

TEST_F(RunBoundsTest, EndAStepAtItsTimeoutAndLeaveTheRest) {
    const ChatProvider provider(say);
    use(provider);
    const auto report = run(R"({"onError":"continue","steps":[
        {"id":"slow","prompt":"hang","timeout":"20ms","retry":{"attempts":5}},
        {"id":"other","prompt":"x"}],"output":"{{steps.other.output}}"})");
    EXPECT_EQ(states(report), "slow failed, other done");
    EXPECT_EQ(report.output, "x");
    ASSERT_TRUE(report.steps[0].error);
    EXPECT_EQ(report.steps[0].error->code, ErrorCode::kTimeout);
    EXPECT_EQ(report.steps[0].error->message, "it took longer than its timeout of 20 ms");
    EXPECT_EQ(report.steps[0].calls, 1);
}

TEST_F(RunBoundsTest, EndTheWaitBeforeATryAtTheTimeout) {
    const ChatProvider provider([](const ChatQuestion&) { return ChatAnswer{.status = 503}; });
    use(provider);
    const auto report = run(R"({"steps":[
        {"id":"a","prompt":"x","timeout":"50ms","retry":{"attempts":2,"delay":"10s"}}]})");
    EXPECT_EQ(code(report), ErrorCode::kTimeout);
    EXPECT_EQ(report.calls, 1);
}

TEST_F(RunBoundsTest, EndAStepAtItsTimeoutThoughNoCallOfItIsUnderWay) {
    // The list's first item is said when `second` runs; then `third` takes the place of its next.
    std::atomic<bool> second_runs = false;
    const ChatProvider provider([&second_runs](const ChatQuestion& question) {
        if (question.prompt.starts_with("hang"))
            second_runs = true;
        ChatAnswer answer = say(question);
        answer.status = question.prompt == "item" && !second_runs ? 503 : 200;
        return answer;
    });
    use(provider);
    limits.parallel = 2;
    limits.time = 10s;
    const auto report = run(R"({"steps":[{"id":"first","prompt":"x"},
        {"id":"second","prompt":"hang","dependsOn":["first"]},
        {"id":"third","prompt":"hang","dependsOn":["first"]},
        {"id":"list","prompt":"{{item}}","timeout":"300ms","retry":{"attempts":10,"delay":"1ms"},
         "forEach":{"in":"{{input.list}}","parallel":1}}]})",
                            R"({"list":["item","item"]})");
    EXPECT_EQ(states(report), "first done, second cancelled, third cancelled, list failed");
    EXPECT_EQ(code(report), ErrorCode::kTimeout);
}

TEST_F(RunBoundsTest, EndTheWorkflowAtTheLesserOfItsTimes) {
    const ChatProvider provider(say);
    use(provider);
    const auto own = run(R"({"limits":{"time":"30ms"},"onError":"continue","steps":[
        {"id":"a","prompt":"hang"},{"id":"b","prompt":"{{steps.a.output}}"}]})");
    EXPECT_EQ(code(own), ErrorCode::kTimeout);
    EXPECT_EQ(message(own), "the workflow took longer than its bound of 30 ms");
    EXPECT_EQ(states(own), "a cancelled, b cancelled");
    limits.time = 20ms;
    const auto configured = run(R"({"steps":[{"id":"a","prompt":"hang"}]})");
    EXPECT_EQ(message(configured), "the workflow took longer than its bound of 20 ms");
}

TEST_F(RunBoundsTest, LeaveNothingRunningThatWasCancelled) {
    const ChatProvider provider([this](const ChatQuestion& question) {
        asio::post(runtime.context(0), [this] {
            if (running != nullptr)
                running->cancel();
        });
        return say(question);
    });
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"hang"},{"id":"b","prompt":"hang"},
        {"id":"c","prompt":"{{steps.a.output}}"}]})");
    EXPECT_EQ(code(report), ErrorCode::kCancelled);
    EXPECT_EQ(states(report), "a cancelled, b cancelled, c cancelled");
    EXPECT_TRUE(larder::testing::eventually([&] { return provider.under_way() == 0; }));
    EXPECT_EQ(gateway.flights(), 0);
}

TEST_F(RunBoundsTest, RefuseACallThatCouldCostTooMuch) {
    const ChatProvider provider(say);
    use(provider);
    limits.cost.picodollars = 30'000'000; // a call costs 20,000,000, and somewhat less by estimate
    const auto second = run(R"({"steps":[{"id":"a","prompt":"x"},
        {"id":"b","prompt":"y","dependsOn":["a"]}]})");
    expect_unprocessable(second, "cost bound of $0.00003");
    EXPECT_EQ(states(second), "a done, b failed");
    EXPECT_EQ(second.cost.picodollars, 20'000'000);
    EXPECT_EQ(provider.calls(), 1);
    const auto long_answer = run(R"({"steps":[{"id":"a","prompt":"x","maxTokens":100}]})");
    expect_unprocessable(long_answer, "step \"a\": this call could take");
    EXPECT_EQ(provider.calls(), 1);
}

TEST_F(RunBoundsTest, CountARouteAtItsDearestModelBeforehand) {
    const ChatProvider provider(say);
    use(provider);
    const auto loaded = settings->catalog.prices.load(
        R"({"models":{"openai/dear":{"mode":"chat","input":10,"output":1000}}})");
    ASSERT_TRUE(loaded);
    settings->catalog.routes = {
        {.name = "inner", .targets = {{.provider = "openai", .model = "dear"}}},
        {.name = "outer", .targets = {{.provider = "openai", .model = "m-1"}, {.route = "inner"}}}};
    limits.cost.picodollars = 50'000'000'000; // 0.05 dollars; 100 dear tokens are 0.1
    const auto report =
        run(R"({"steps":[{"id":"a","prompt":"x","model":"outer","maxTokens":100}]})");
    expect_unprocessable(report, "cost bound of $0.05");
    EXPECT_EQ(provider.calls(), 0);
    settings->catalog.default_model = "outer";
    expect_unprocessable(run(R"({"steps":[{"id":"a","prompt":"x","maxTokens":100}]})"),
                         "cost bound of $0.05");
    EXPECT_EQ(run(R"({"steps":[{"id":"a","prompt":"x","model":"m-1","maxTokens":100}]})").output,
              "x");
}

TEST_F(RunBoundsTest, CountTheProvidersOfAModeAtTheDearest) {
    const ChatProvider provider(say);
    use(provider);
    provider::Provider other = settings->catalog.providers.front();
    other.name = other.vendor = "other";
    settings->catalog.providers.push_back(other);
    const auto loaded = settings->catalog.prices.load(
        R"({"models":{"other/m-1":{"mode":"chat","input":10,"output":1000}}})");
    ASSERT_TRUE(loaded);
    limits.cost.picodollars = 50'000'000'000;
    const auto report = run(
        R"({"steps":[{"id":"a","prompt":"x","model":"m-1","routingMode":"cheapest","maxTokens":100}]})");
    expect_unprocessable(report, "cost bound of $0.05");
    EXPECT_EQ(provider.calls(), 0);
}

TEST_F(RunBoundsTest, CountCallsThatRunWithWhatTheyMayCost) {
    const ChatProvider provider(say);
    use(provider);
    limits.cost.picodollars = 20'000'000; // less than two such calls by estimate
    const auto report = run(R"({"onError":"continue","steps":[{"id":"a","prompt":"x"},
        {"id":"b","prompt":"y"}],"output":"{{steps.a.output}}"})");
    EXPECT_EQ(states(report), "a done, b failed");
    EXPECT_EQ(provider.calls(), 1);
}

TEST_F(RunBoundsTest, MakeNoMoreCallsThanAllowed) {
    const ChatProvider provider([](const ChatQuestion&) { return ChatAnswer{.status = 503}; });
    use(provider);
    limits.calls = 3;
    const auto report =
        run(R"({"steps":[{"id":"a","prompt":"x","retry":{"attempts":9,"delay":"1ms"}}]})");
    expect_unprocessable(report, "all the 3 calls");
    EXPECT_EQ(provider.calls(), 3);
}

TEST_F(RunBoundsTest, TakeNoLongerListsThanAllowed) {
    const ChatProvider provider(say);
    use(provider);
    limits.items = 2;
    const std::string_view text =
        R"({"steps":[{"id":"a","prompt":"{{item}}","forEach":{"in":"{{input.list}}"}}]})";
    EXPECT_EQ(run(text, R"({"list":[1,2]})").output, R"(["1","2"])");
    expect_unprocessable(run(text, R"({"list":[1,2,3]})"), "3 items, and at most 2");
    expect_unprocessable(run(text, R"({"list":"no list"})"), "needs a list");
}

TEST_F(RunBoundsTest, FailAStepWhoseConditionLooksAtTooMuch) {
    const ChatProvider provider(say);
    use(provider);
    const std::string_view text = R"({"onError":"continue","steps":[
        {"id":"a","prompt":"x","when":{"value":"{{input.x}}","contains":"y"}},
        {"id":"b","prompt":"x","when":{"value":"{{input.x}}","contains":"z"}},
        {"id":"c","prompt":"c"}]})";
    const auto report =
        run(text, R"({"x":")" + std::string((kMostLookedAt / 2) - 100, 'x') + R"("})");
    EXPECT_EQ(states(report), "a skipped, b failed, c done");
    ASSERT_TRUE(report.steps[1].error);
    EXPECT_EQ(report.steps[1].error->code, ErrorCode::kUnprocessable);
    EXPECT_TRUE(report.steps[1].error->message.contains("looks at too much"));
}

TEST_F(RunBoundsTest, RenderNoLargerPromptsThanAllowed) {
    const ChatProvider provider(say);
    use(provider);
    limits.prompt_bytes = 100;
    const std::string input = R"({"x":")" + std::string(60, 'x') + R"("})";
    const auto report =
        run(R"({"steps":[{"id":"a","system":"{{input.x}}","prompt":"{{input.x}}"}]})", input);
    expect_unprocessable(report, "larger than 100 bytes");
    EXPECT_EQ(provider.calls(), 0);
}

TEST_F(RunBoundsTest, FailAStepWhosePromptNeedsWhatIsNotThere) {
    const ChatProvider provider(
        [](const ChatQuestion&) { return ChatAnswer{.text = "{\"n\":1}"}; });
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"x"},
        {"id":"b","prompt":"{{steps.a.json.missing}}"}]})");
    expect_unprocessable(report, "steps.a.json.missing");
    EXPECT_EQ(states(report), "a done, b failed");
    EXPECT_EQ(provider.calls(), 1);
}

TEST_F(RunBoundsTest, NeverExpandAnOutputAgain) {
    const ChatProvider provider([](const ChatQuestion& question) {
        return ChatAnswer{.text = question.prompt == "x" ? "{{input.secret}}" : question.prompt};
    });
    use(provider);
    const auto report = run(R"({"steps":[{"id":"a","prompt":"x"},
        {"id":"b","prompt":"{{steps.a.output}}"}]})",
                            R"({"secret":"s"})");
    EXPECT_EQ(report.output, "{{input.secret}}");
}

TEST_F(RunBoundsTest, TakeNoLargerAnswersThanAllowed) {
    const ChatProvider provider([](const ChatQuestion& question) {
        return ChatAnswer{.text = std::string(question.prompt == "x" ? 11 : 9, 'x')};
    });
    use(provider);
    limits.output_bytes = 10;
    const auto one = run(R"({"steps":[{"id":"a","prompt":"x"}]})");
    EXPECT_EQ(code(one), ErrorCode::kProviderUnreadable);
    EXPECT_TRUE(message(one).contains("10 bytes")) << message(one);
    const auto list =
        run(R"({"steps":[{"id":"a","prompt":"y","forEach":{"in":"{{input.list}}","parallel":1}}]})",
            R"({"list":[1,2,3,4,5,6,7]})");
    expect_unprocessable(list, "larger than 40 bytes");
    EXPECT_EQ(list.calls, 4); // of 11 bytes each, and a comma
}

TEST_F(RunBoundsTest, CountAListAsItIsWritten) {
    const ChatProvider provider([](const ChatQuestion&) { return ChatAnswer{.text = "\x01\x02"}; });
    use(provider);
    limits.output_bytes = 10; // two bytes, written in 14
    const std::string_view text =
        R"({"steps":[{"id":"a","prompt":"y","forEach":{"in":"{{input.list}}","parallel":1}}]})";
    const auto list = run(text, R"({"list":[1,2,3,4,5,6,7]})");
    expect_unprocessable(list, "larger than 40 bytes");
    EXPECT_EQ(list.calls, 3);
    EXPECT_EQ(run(text, R"({"list":[1,2]})").output, R"(["\u0001\u0002","\u0001\u0002"])");
}

TEST_F(RunBoundsTest, CountAnAnswerThatIsTooLargeAndAskNoSecondTime) {
    const ChatProvider provider(
        [](const ChatQuestion&) { return ChatAnswer{.text = std::string(401, 'x')}; });
    use(provider);
    limits.output_bytes = 400;
    const auto report = run(
        R"({"steps":[{"id":"a","prompt":"x","maxTokens":50,"retry":{"attempts":3,"delay":"1ms"}}]})");
    EXPECT_EQ(code(report), ErrorCode::kProviderUnreadable);
    EXPECT_EQ(provider.calls(), 1);
    EXPECT_GE(report.cost.picodollars, 100'000'000); // 50 tokens
    EXPECT_LT(report.cost.picodollars, 130'000'000); // and the prompt
    EXPECT_EQ(report.steps[0].cost.picodollars, report.cost.picodollars);
    const auto unbounded = run(R"({"steps":[{"id":"a","prompt":"x"}]})");
    EXPECT_GE(unbounded.cost.picodollars, 200'000'000); // 400 bytes
    EXPECT_LT(unbounded.cost.picodollars, 230'000'000);
}

TEST_F(RunBoundsTest, KeepNoMoreThanTheMemoryBudgetHas) {
    const ChatProvider provider(
        [](const ChatQuestion&) { return ChatAnswer{.text = std::string(60'000, 'x')}; });
    use(provider);
    const auto report =
        run(R"({"steps":[{"id":"a","prompt":"y","forEach":{"in":"{{input.list}}","parallel":1}}]})",
            R"({"list":[1,2,3,4,5,6,7,8,9,10]})");
    EXPECT_EQ(code(report), ErrorCode::kOverloaded);
    EXPECT_EQ(report.calls, 10);
    EXPECT_TRUE(larder::testing::eventually([&] { return budget.used() == 0; }));
}

} // namespace
} // namespace larder::workflow
