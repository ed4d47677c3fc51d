#include "api/workflow_requests.hpp"

#include "workflow/members.hpp"
#include "workflow/models_of.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace larder::api {
namespace {

using workflow::Members;

constexpr std::uint32_t kMostValues = 1'000'000;
constexpr std::size_t kMostDescriptionBytes = 64UL << 10;
constexpr std::size_t kMostNameBytes = 256;

Result<json::Document> parse_body(std::string_view body) {
    auto document = json::parse(body, {.nodes = kMostValues});
    if (!document)
        document.error().code = ErrorCode::kInvalidRequest; // also what is too deep or too much
    else if (!document->root().is(json::Kind::kObject))
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

/// `body`: what `members` was read from.
Result<std::shared_ptr<const workflow::JsonText>> read_input(const Members& members,
                                                             std::string_view body) {
    const auto input = members.find("input");
    if (!input)
        return workflow::JsonText::parse("{}");
    if (!input->is(json::Kind::kObject))
        return fail_field("input", "must be an object");
    auto parsed = workflow::JsonText::parse(std::string(input->raw()));
    if (!parsed) {
        Error& error = parsed.error();
        error.code = ErrorCode::kInvalidRequest; // also more of it than is read
        error.field = "input";
        if (error.position)
            *error.position += static_cast<std::size_t>(input->raw().data() - body.data());
    }
    return parsed;
}

/// What the request allows itself, within what the configuration allows.
Result<void> narrow(workflow::Limits& limits, const Members& members) {
    const auto value = members.find("limits");
    if (!value)
        return {};
    LARDER_TRY(const workflow::NarrowerLimits own, workflow::read_narrower_limits(*value, limits));
    limits.time = own.time.value_or(limits.time);
    limits.cost = own.cost.value_or(limits.cost);
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
    const bool is_routed = workflow::route_of(catalog, step.provider, step.model) != nullptr ||
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
    LARDER_TRY(execution.input, read_input(members, body));
    LARDER_CHECK(workflow::check_input(execution.workflow, *execution.input));
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
        LARDER_TRY(wish.input, read_input(members, body));
    }
    return wish;
}

} // namespace larder::api
