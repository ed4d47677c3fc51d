// A workflow's events: in order, put together for a slow reader, and never more than the budget.
#include "api/workflow_events.hpp"

#include <gtest/gtest.h>

namespace larder::api {
namespace {

struct WorkflowEventsTest : ::testing::Test {
    asio::io_context context{1};
    MemoryBudget budget{1 << 20};
    WorkflowEvents events{context.get_executor(), budget};
    workflow::Step step;
    workflow::StepReport report;

    WorkflowEventsTest() { step.id = "a"; }
    void fill() {
        const std::string much(WorkflowEvents::kWaitingMost, 'x');
        events.delta(step, std::nullopt, much);
    }
    static std::string delta(std::string_view text) {
        return "event: step.delta\ndata: {\"id\":\"a\",\"text\":\"" + std::string(text) + "\"}\n\n";
    }
};

TEST_F(WorkflowEventsTest, AreTakenInTheirOrder) {
    events.started(step, std::nullopt);
    events.delta(step, std::nullopt, "x\n");
    events.started(step, 3);
    EXPECT_TRUE(events.has_any());
    EXPECT_EQ(events.take(), "event: step.started\ndata: {\"id\":\"a\"}\n\n" + delta("x\\n") +
                                 "event: step.started\ndata: {\"id\":\"a\",\"index\":3}\n\n");
    EXPECT_FALSE(events.has_any());
    EXPECT_EQ(events.take(), "");
}

TEST_F(WorkflowEventsTest, PutTextsTogetherThatWaitTooLong) {
    fill();
    events.delta(step, std::nullopt, "one ");
    events.delta(step, std::nullopt, "two");
    const std::string all = events.take();
    EXPECT_TRUE(all.ends_with(delta("one two")));
    events.delta(step, std::nullopt, "three");
    EXPECT_EQ(events.take(), delta("three"));
}

TEST_F(WorkflowEventsTest, TellHeldTextsBeforeTheEndOfTheirStep) {
    fill();
    events.delta(step, std::nullopt, "last");
    report.state = workflow::StepState::kDone;
    events.done(step, report, {.text = "whole"});
    const std::string all = events.take();
    const std::size_t at = all.find(delta("last"));
    ASSERT_NE(at, std::string::npos);
    EXPECT_TRUE(all.substr(at + delta("last").size())
                    .starts_with("event: step.done\ndata: {\"id\":\"a\",\"status\":\"done\","
                                 "\"output\":\"whole\""));
}

TEST_F(WorkflowEventsTest, ForgetHeldTextsOfATryThatBeginsAnew) {
    fill();
    events.delta(step, std::nullopt, "void");
    events.started(step, std::nullopt);
    const std::string all = events.take();
    EXPECT_FALSE(all.contains("void"));
    EXPECT_TRUE(all.ends_with("event: step.started\ndata: {\"id\":\"a\"}\n\n"));
}

TEST_F(WorkflowEventsTest, GiveTheirBytesBackOnceTheyAreSent) {
    fill();
    EXPECT_GT(budget.used(), WorkflowEvents::kWaitingMost);
    const std::string first = events.take();
    EXPECT_GT(budget.used(), WorkflowEvents::kWaitingMost); // being sent
    const std::string second = events.take();
    EXPECT_EQ(budget.used(), 0);
}

TEST_F(WorkflowEventsTest, SayThatSomethingIsLostWhereTheBudgetIsUsedUp) {
    for (int round = 0; round < 20 && !events.has_lost(); ++round)
        fill();
    EXPECT_TRUE(events.has_lost());
    EXPECT_LE(budget.used(), 1U << 20);
}

} // namespace
} // namespace larder::api
