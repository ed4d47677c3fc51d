#include "api/workflow_requests.hpp"

#include "workflow/members.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <utility>

namespace larder::api {
namespace {

using workflow::Members;

constexpr std::uint32_t kMostValues = 1'000'000;
constexpr std::size_t kMostDescriptionBytes = 64UL << 10;
constexpr std::size_t kMostNameBytes = 256;

Result<json::Document> parse_body(std::string_view body) {
    LARDER_TRY(json::Document document, json::parse(body, {.nodes = kMostValues}));
    if (!document.root().is(json::Kind::kObject))
        return fail(ErrorCode::kInvalidRequest, "the body must be a JSON object");
    return document;
}

/// An error of the workflow itself, at its place in the body.
Error inside_workflow(Error error) {
    if (error.field.empty())
        error.field = "workflow";
    else if (error.field != "workflow")
        error.field.insert(0, "workflow.");
    return error;
}

Result<std::shared_ptr<const workflow::JsonText>> read_input(const Members& members) {
    const auto input = members.find("input");
    if (!input)
        return workflow::JsonText::parse("{}");
    if (!input->is(json::Kind::kObject))
        return fail_field("input", "must be an object");
    return workflow::JsonText::parse(std::string(input->raw()));
}

/// What the request allows itself, within what the configuration allows.
Result<void> narrow(workflow::Limits& limits, const Members& members) {
    const auto value = members.find("limits");
    if (!value)
        return {};
    static constexpr std::array<std::string_view, 2> kNames{"time", "cost"};
    LARDER_TRY(const Members own, Members::read(*value, "limits", "limits", kNames));
    constexpr std::chrono::hours kLongest{24};
    LARDER_TRY(const auto time, own.duration("time", {std::chrono::milliseconds(1), kLongest}));
    if (time)
        limits.time = std::min(limits.time, *time);
    const auto cost = own.find("cost");
    if (!cost)
        return {};
    const auto picodollars = cost->as_scaled(12);
    if (!picodollars || *picodollars < 0)
        return fail_field("limits.cost", "must be a number of dollars, 0 or more");
    limits.cost.picodollars = std::min(limits.cost.picodollars, *picodollars);
    return {};
}

std::vector<std::size_t> written_order(json::Value value, const workflow::Workflow& workflow) {
    std::map<std::string, std::size_t, std::less<>> places;
    for (std::size_t index = 0; index < workflow.steps.size(); ++index)
        places.emplace(workflow.steps[index].id, index);
    std::vector<std::size_t> order;
    if (const auto steps = value.find("steps")) {
        steps->for_each_element([&](json::Value step) {
            const auto id = step.find("id");
            if (const auto place = places.find(id ? id->as_string().value_or("") : "");
                place != places.end())
                order.push_back(place->second);
            return true;
        });
    }
    LARDER_ASSERT(order.size() == workflow.steps.size());
    return order;
}

} // namespace

Result<void> check_step_model(const provider::Catalog& catalog, const workflow::Step& step) {
    LARDER_TRY(const provider::Target target, catalog.resolve(step.provider, step.model));
    const bool is_routed = catalog.find_route(step.model) != nullptr ||
                           (!step.routing_mode.empty() && step.routing_mode != "single-model");
    if (is_routed || target.provider->missing_variable.empty())
        return {};
    return fail(ErrorCode::kProviderUnconfigured,
                "step \"" + step.id + "\": provider " + target.provider->name +
                    " lacks its key: " + target.provider->missing_variable + " is not set");
}

Result<WorkflowExecution> read_workflow_execution(std::string_view body,
                                                  const workflow::Limits& limits,
                                                  const provider::Catalog& catalog) {
    static constexpr std::array<std::string_view, 4> kNames{"workflow", "input", "stream",
                                                            "limits"};
    LARDER_TRY(const json::Document document, parse_body(body));
    LARDER_TRY(const Members members, Members::read(document.root(), "", "the body", kNames));
    WorkflowExecution execution{.limits = limits};
    LARDER_TRY(const auto stream, members.boolean("stream"));
    execution.stream = stream.value_or(false);
    LARDER_CHECK(narrow(execution.limits, members));
    const auto value = members.find("workflow");
    if (!value)
        return fail_field("workflow", "a workflow is needed");
    if (value->raw().size() > workflow::kDefinitionBytes)
        return workflow::too_large("workflow", "a workflow has at most " +
                                                   std::to_string(workflow::kDefinitionBytes) +
                                                   " bytes");
    auto read = workflow::read_workflow(
        *value, {.limits = limits, .check_model = [&catalog](const workflow::Step& step) {
                     return check_step_model(catalog, step);
                 }});
    if (!read)
        return std::unexpected(inside_workflow(std::move(read).error()));
    execution.workflow = *std::move(read);
    execution.order = written_order(*value, execution.workflow);
    LARDER_TRY(execution.input, read_input(members));
    LARDER_CHECK(workflow::check_input(execution.workflow, execution.input->root()));
    return execution;
}

Result<WorkflowWish> read_workflow_wish(std::string_view body) {
    static constexpr std::array<std::string_view, 4> kNames{"description", "model", "provider",
                                                            "input"};
    LARDER_TRY(const json::Document document, parse_body(body));
    LARDER_TRY(const Members members, Members::read(document.root(), "", "the body", kNames));
    WorkflowWish wish;
    LARDER_TRY(auto description, members.text("description", kMostDescriptionBytes));
    if (!description || description->empty())
        return fail_field("description", "says what the workflow is to do, and must not be empty");
    wish.description = *std::move(description);
    LARDER_TRY(auto model, members.text("model", kMostNameBytes));
    wish.model = std::move(model).value_or("");
    LARDER_TRY(auto provider, members.text("provider", kMostNameBytes));
    wish.provider = std::move(provider).value_or("");
    if (members.find("input")) {
        LARDER_TRY(wish.input, read_input(members));
    }
    return wish;
}

} // namespace larder::api
