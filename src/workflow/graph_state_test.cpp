// Which step may begin, and what a failure, a skipped step and a stop mean for the others.
#include "workflow/graph_state.hpp"

#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

using Indexes = std::vector<std::size_t>;

std::vector<Step> steps_of(const std::vector<Indexes>& depends_on) {
    std::vector<Step> steps(depends_on.size());
    for (std::size_t index = 0; index < steps.size(); ++index)
        steps[index].depends_on = depends_on[index];
    return steps;
}

/// "1 cancelled by 0; 2 skipped by 1"
std::string told(const std::vector<GraphState::Decided>& decided) {
    std::string text;
    for (const GraphState::Decided& one : decided) {
        ((text += text.empty() ? "" : "; ") += std::to_string(one.step)) += ' ';
        ((text += name_of(one.state)) += " by ") += std::to_string(one.because);
    }
    return text;
}

TEST(GraphState, LetsAStepBeginWhenAllThatItDependsOnIsOver) {
    const auto steps = steps_of({{}, {}, {0, 1}, {2}});
    GraphState graph(steps);
    EXPECT_EQ(graph.first(), (Indexes{0, 1}));
    graph.begin(0);
    graph.begin(1);
    EXPECT_EQ(graph.end(1, StepState::kDone).ready, Indexes{});
    EXPECT_EQ(graph.end(0, StepState::kDone).ready, Indexes{2});
    EXPECT_EQ(graph.end(2, StepState::kDone).ready, Indexes{3});
    EXPECT_FALSE(graph.is_over());
    EXPECT_EQ(graph.end(3, StepState::kDone).ready, Indexes{});
    EXPECT_TRUE(graph.is_over());
}

TEST(GraphState, CancelsAllThatDependsOnAFailureAndNothingElse) {
    const auto steps = steps_of({{}, {}, {0}, {2}, {1}, {0, 1}});
    GraphState graph(steps);
    const auto failed = graph.end(0, StepState::kFailed);
    EXPECT_EQ(told(failed.decided), "2 cancelled by 0; 3 cancelled by 0; 5 cancelled by 0");
    EXPECT_EQ(failed.ready, Indexes{});
    const auto done = graph.end(1, StepState::kDone);
    EXPECT_EQ(done.ready, Indexes{4}); // not 5, which was decided before
    EXPECT_EQ(told(done.decided), "");
    graph.end(4, StepState::kDone);
    EXPECT_TRUE(graph.is_over());
}

TEST(GraphState, CancelsAtOnceThoughOtherStepsStillRun) {
    const auto steps = steps_of({{}, {}, {0, 1}});
    GraphState graph(steps);
    graph.begin(0);
    graph.begin(1);
    EXPECT_EQ(told(graph.end(1, StepState::kFailed).decided), "2 cancelled by 1");
    EXPECT_FALSE(graph.is_over());
    EXPECT_EQ(told(graph.end(0, StepState::kDone).decided), "");
    EXPECT_TRUE(graph.is_over());
}

TEST(GraphState, SkipsAStepOnlyWhereAllThatItDependsOnWasSkipped) {
    const auto steps = steps_of({{}, {}, {0}, {0, 1}, {2}, {2, 3}});
    GraphState graph(steps);
    const auto skipped = graph.end(0, StepState::kSkipped);
    EXPECT_EQ(told(skipped.decided), "2 skipped by 0; 4 skipped by 2");
    EXPECT_EQ(skipped.ready, Indexes{});
    EXPECT_EQ(graph.end(1, StepState::kDone).ready, Indexes{3});
    EXPECT_EQ(graph.state(4), StepState::kSkipped);
    EXPECT_EQ(graph.end(3, StepState::kDone).ready, Indexes{5});
}

TEST(GraphState, LetsAConditionThatLooksAtASkippedStepDecide) {
    const auto looking_at = [](Reference::Kind kind) {
        Condition comparison{.kind = Condition::Kind::kExists};
        comparison.value.kind = kind;
        Condition group{.kind = Condition::Kind::kNot};
        group.parts.push_back(std::move(comparison));
        return group;
    };
    auto steps = steps_of({{}, {0}, {0}, {0}, {2}});
    steps[1].when = looking_at(Reference::Kind::kOutput);
    steps[2].when = looking_at(Reference::Kind::kInput);
    steps[3].when = looking_at(Reference::Kind::kJson);
    GraphState graph(steps);
    const auto skipped = graph.end(0, StepState::kSkipped);
    EXPECT_EQ(skipped.ready, (Indexes{1, 3}));
    EXPECT_EQ(told(skipped.decided), "2 skipped by 0; 4 skipped by 2");
}

TEST(GraphState, StopsWhatHasNotBegun) {
    const auto steps = steps_of({{}, {}, {0}, {1}});
    GraphState graph(steps);
    graph.begin(0);
    EXPECT_EQ(graph.stop(), (Indexes{1, 2, 3}));
    EXPECT_FALSE(graph.is_over());
    const auto last = graph.end(0, StepState::kCancelled);
    EXPECT_EQ(told(last.decided), "");
    EXPECT_EQ(last.ready, Indexes{});
    EXPECT_TRUE(graph.is_over());
    EXPECT_EQ(graph.stop(), Indexes{});
}

TEST(GraphState, NamesEveryState) {
    EXPECT_EQ(name_of(StepState::kWaiting), "waiting");
    EXPECT_EQ(name_of(StepState::kRunning), "running");
    EXPECT_EQ(name_of(StepState::kDone), "done");
    EXPECT_EQ(name_of(StepState::kSkipped), "skipped");
    EXPECT_EQ(name_of(StepState::kFailed), "failed");
    EXPECT_EQ(name_of(StepState::kCancelled), "cancelled");
}

} // namespace
} // namespace larder::workflow
