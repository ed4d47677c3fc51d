// What requests about workflows may say, and where they are wrong.
#include "api/workflow_requests.hpp"

#include <gtest/gtest.h>

namespace larder::api {
namespace {

provider::Catalog make_catalog() {
    provider::Catalog catalog;
    catalog.providers = {{.name = "local", .models = {"m"}}};
    catalog.default_model = "m";
    return catalog;
}

std::string field_of(std::string_view body) {
    const auto read = read_workflow_execution(body, {}, make_catalog());
    return read ? "none" : read.error().field;
}

constexpr std::string_view kPlain = R"("workflow":{"steps":[{"id":"a","prompt":"x"}]})";

std::string with(std::string_view more) {
    return "{" + std::string(kPlain) + std::string(more) + "}";
}

TEST(WorkflowExecution, HasAnEmptyInputWhereNoneIsGiven) {
    const auto read = read_workflow_execution(with(""), {}, make_catalog());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->input->text(), "{}");
    EXPECT_FALSE(read->stream);
}

TEST(WorkflowExecution, NarrowsTheLimitsAndNeverWidensThem) {
    using namespace std::chrono_literals;
    const workflow::Limits limits{.time = 10s, .cost = {2'000'000'000'000}};
    const auto less = read_workflow_execution(with(R"(,"limits":{"time":"5s","cost":0.5})"), limits,
                                              make_catalog());
    ASSERT_TRUE(less);
    EXPECT_EQ(less->limits.time, 5s);
    EXPECT_EQ(less->limits.cost.picodollars, 500'000'000'000);
    const auto field = [&limits](const std::string& body) {
        const auto read = read_workflow_execution(body, limits, make_catalog());
        return read ? "none" : read.error().field;
    };
    for (const std::string member : {"time", "cost"}) {
        const std::string wider =
            R"("limits":{")" + member + (member == "time" ? R"(":"1h"})" : R"(":50})");
        EXPECT_EQ(field(with("," + wider)), "limits." + member);
        EXPECT_EQ(field(R"({"workflow":{"steps":[{"id":"a","prompt":"x"}],)" + wider + "}}"),
                  "workflow.limits." + member);
    }
    EXPECT_EQ(field(with(R"(,"limits":{"cost":0})")), "limits.cost");
}

TEST(WorkflowExecution, SaysWhereAnInputIsWrong) {
    std::string list = "1";
    for (int i = 0; i < 300'000; ++i)
        list += ",1";
    const std::string body = with(R"(,"input":{"l":[)" + list + "]}");
    const auto read = read_workflow_execution(body, {}, make_catalog());
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(read.error().field, "input");
    ASSERT_TRUE(read.error().position);
    // The input's 250,000 values: itself, "l", the list, and 249,997 of its elements.
    EXPECT_EQ(*read.error().position / 10, (body.find("[1,1") + 2 * 249'997) / 10);
}

TEST(WorkflowExecution, RefusesWhatIsTooDeepAsOtherRequestsDo) {
    const auto read = read_workflow_execution(
        with(R"(,"input":{"l":)" + std::string(200, '[') + std::string(200, ']') + "}"), {},
        make_catalog());
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidRequest);
    EXPECT_TRUE(read.error().position);
}

TEST(WorkflowExecution, SaysWhichMemberIsWrong) {
    EXPECT_EQ(field_of(with("")), "none");
    EXPECT_EQ(field_of(with(R"(,"inputs":{})")), "inputs");
    EXPECT_EQ(field_of(with(R"(,"input":[])")), "input");
    EXPECT_EQ(field_of(with(R"(,"stream":1)")), "stream");
    EXPECT_EQ(field_of(with(R"(,"limits":{"cost":-1})")), "limits.cost");
    EXPECT_EQ(field_of(with(R"(,"limits":{"time":"soon"})")), "limits.time");
    EXPECT_EQ(field_of(with(R"(,"limits":{"calls":1})")), "limits.calls");
    EXPECT_EQ(field_of("{}"), "workflow");
    EXPECT_EQ(field_of(R"({"workflow":[]})"), "workflow");
    EXPECT_EQ(field_of(R"({"workflow":{"steps":[{"id":"a"}]}})").substr(0, 17),
              "workflow.steps[0]");
}

TEST(WorkflowExecution, RefusesWhatIsTooLarge) {
    const std::string large(workflow::kDefinitionBytes, 'x');
    const auto read = read_workflow_execution(
        R"({"workflow":{"steps":[{"id":"a","prompt":")" + large + R"("}]}})", {}, make_catalog());
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kTooLarge);
    EXPECT_EQ(read.error().field, "workflow");
}

TEST(WorkflowExecution, KnowsTheOrderInWhichStepsWereWritten) {
    const auto read = read_workflow_execution(
        R"({"workflow":{"steps":[{"id":"b","prompt":"{{steps.a.output}}"},{"id":"a","prompt":"x"}]}})",
        {}, make_catalog());
    ASSERT_TRUE(read);
    ASSERT_EQ(read->order.size(), 2);
    EXPECT_EQ(read->workflow.steps[read->order[0]].id, "b");
    EXPECT_EQ(read->workflow.steps[read->order[1]].id, "a");
}

TEST(WorkflowExecution, LooksForTheKeyOfAProviderUnlessARouteMayGoElsewhere) {
    provider::Catalog catalog = make_catalog();
    catalog.providers[0].missing_variable = "KEY";
    workflow::Step step;
    step.id = "a";
    const auto plain = check_step_model(catalog, step);
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().code, ErrorCode::kProviderUnconfigured);
    step.routing_mode = "fallback";
    EXPECT_TRUE(check_step_model(catalog, step));
}

TEST(WorkflowExecution, LooksForARouteWhereTheGatewayDoes) {
    provider::Catalog catalog = make_catalog();
    catalog.providers[0].missing_variable = "KEY";
    catalog.providers.push_back({.name = "other", .models = {"n"}});
    catalog.routes = {
        {.name = "both",
         .targets = {{.provider = "local", .model = "m"}, {.provider = "other", .model = "n"}}}};
    catalog.default_model = "both";
    workflow::Step step;
    step.id = "a";
    EXPECT_TRUE(check_step_model(catalog, step));
    step.model = "both";
    EXPECT_TRUE(check_step_model(catalog, step));
    catalog.providers[0].models = {}; // takes any name, and this one is no route there
    step.provider = "local";
    const auto named = check_step_model(catalog, step);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().code, ErrorCode::kProviderUnconfigured);
}

TEST(WorkflowWish, IsReadWithItsSample) {
    const auto wish =
        read_workflow_wish(R"({"description":"d","model":"m","provider":"p","input":{"x":1}})");
    ASSERT_TRUE(wish);
    EXPECT_EQ(wish->description, "d");
    EXPECT_EQ(wish->model, "m");
    EXPECT_EQ(wish->provider, "p");
    ASSERT_NE(wish->input, nullptr);
    EXPECT_EQ(wish->input->text(), R"({"x":1})");
}

TEST(WorkflowWish, SaysWhichMemberIsWrong) {
    const auto field = [](std::string_view body) {
        const auto wish = read_workflow_wish(body);
        return wish ? "none" : wish.error().field;
    };
    EXPECT_EQ(field(R"({"description":"d"})"), "none");
    EXPECT_EQ(field(R"({"description":""})"), "description");
    EXPECT_EQ(field(R"({"description":1})"), "description");
    EXPECT_EQ(field(R"({"description":"d","model":7})"), "model");
    EXPECT_EQ(field(R"({"description":"d","input":"x"})"), "input");
    EXPECT_EQ(field(R"({"description":"d","steps":[]})"), "steps");
}

} // namespace
} // namespace larder::api
