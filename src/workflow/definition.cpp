#include "workflow/definition.hpp"

#include "workflow/definition_steps.hpp"
#include "workflow/graph.hpp"
#include "workflow/members.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace larder::workflow {
namespace {

using std::chrono::milliseconds;

constexpr std::array<std::string_view, 6> kMembers{"name",   "description", "steps",
                                                   "output", "onError",     "limits"};
constexpr std::array<std::string_view, 2> kLimitMembers{"time", "cost"};
constexpr std::size_t kLongestName = 200;
constexpr std::size_t kLongestDescription = 10'000;

std::string place_of(std::size_t index) {
    return "steps[" + std::to_string(index) + "]";
}

/// What all steps together may have of what takes time or memory.
class Totals {
public:
    Result<void> add(const Step& step, const std::string& place) {
        LARDER_CHECK(
            visit_references(step, [this, &place](const Reference&, Use, std::string_view member) {
                return add_reference(place + "." + std::string(member));
            }));
        return step.when ? add(*step.when, place + ".when") : Result<void>();
    }
    Result<void> add(const Template& text, const std::string& field) {
        return visit_references(text, Use::kText, field,
                                [this](const Reference&, Use, std::string_view member) {
                                    return add_reference(std::string(member));
                                });
    }

private:
    Result<void> add_reference(const std::string& field) {
        if (++references_ > kMostReferences)
            return too_large(field, "a workflow has at most " + std::to_string(kMostReferences) +
                                        " references between {{ and }}");
        return {};
    }
    Result<void> add(const Condition& condition, const std::string& field) {
        comparisons_ += condition.operand != nullptr ? 1 : 0;
        patterns_ += condition.pattern != nullptr ? 1 : 0;
        if (comparisons_ > kMostComparisons)
            return too_large(field, "a workflow's conditions have at most " +
                                        std::to_string(kMostComparisons) + " comparisons");
        if (patterns_ > kMostPatterns)
            return too_large(field, "a workflow's conditions have at most " +
                                        std::to_string(kMostPatterns) + " regular expressions");
        for (const Condition& part : condition.parts)
            LARDER_CHECK(add(part, field));
        return {};
    }

    std::size_t references_ = 0;
    std::size_t comparisons_ = 0;
    std::size_t patterns_ = 0;
};

using Places = std::map<std::string, std::size_t, std::less<>>; // a step's id to its index

Result<std::vector<WrittenStep>> read_steps(const Members& members, const Limits& limits,
                                            Totals& totals) {
    const auto list = members.find("steps");
    if (!list || !list->is(json::Kind::kArray) || list->size() == 0)
        return fail_field("steps", "a workflow needs a list of at least one step");
    if (list->size() > kMostSteps)
        return too_large("steps", "a workflow has at most " + std::to_string(kMostSteps) +
                                      " steps; this one has " + std::to_string(list->size()));
    std::vector<WrittenStep> steps;
    Result<void> result;
    list->for_each_element([&](json::Value value) {
        const std::string place = place_of(steps.size());
        auto step = read_step(value, place, limits);
        if (!step) {
            result = std::unexpected(std::move(step).error());
            return false;
        }
        result = totals.add(step->step, place);
        steps.push_back(*std::move(step));
        return result.has_value();
    });
    if (!result)
        return std::unexpected(std::move(result).error());
    return steps;
}

Result<Places> places_of(const std::vector<WrittenStep>& steps) {
    Places places;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const std::string& id = steps[i].step.id;
        const auto [place, is_new] = places.emplace(id, i);
        if (!is_new)
            return fail_field(place_of(i) + ".id",
                              place_of(place->second) + " has the id '" + id + "' already");
    }
    return places;
}

/// The step that a reference reads; nullopt where it reads none.
Result<std::optional<std::size_t>> step_of(const Reference& reference, const Places& places,
                                           const std::string& field) {
    if (reference.kind != Reference::Kind::kOutput && reference.kind != Reference::Kind::kJson)
        return std::nullopt;
    const auto found = places.find(reference.name);
    if (found == places.end())
        return fail_field(field, "there is no step " + quoted(reference.name) + " to read from");
    return found->second;
}

Result<void> check_use(const Reference& reference, Use use, bool is_for_each,
                       const std::string& field) {
    const bool is_item =
        reference.kind == Reference::Kind::kItem || reference.kind == Reference::Kind::kIndex;
    if (is_item && !(is_for_each && use == Use::kText))
        return fail_field(field, "{{" + reference.text() +
                                     "}} stands only in the texts of a step with forEach");
    if (use == Use::kForEach && reference.kind == Reference::Kind::kIndex)
        return fail_field(field, "must be a list");
    return {};
}

/// What each step waits for, named or read.
Result<std::vector<GraphNode>> connect(const std::vector<WrittenStep>& steps,
                                       const Places& places) {
    std::vector<GraphNode> nodes;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const Step& step = steps[i].step;
        std::set<std::size_t> waits_for;
        for (std::size_t k = 0; k < steps[i].depends_on.size(); ++k) {
            const std::string field = place_of(i) + ".dependsOn[" + std::to_string(k) + "]";
            const auto found = places.find(steps[i].depends_on[k]);
            if (found == places.end())
                return fail_field(field, "there is no step " + quoted(steps[i].depends_on[k]));
            if (found->second == i)
                return fail_field(field, "the step '" + step.id + "' depends on itself");
            waits_for.insert(found->second);
        }
        LARDER_CHECK(visit_references(
            step,
            [&](const Reference& reference, Use use, std::string_view member) -> Result<void> {
                const std::string field = place_of(i) + "." + std::string(member);
                LARDER_CHECK(check_use(reference, use, step.for_each.has_value(), field));
                LARDER_TRY(const auto read, step_of(reference, places, field));
                if (read == i)
                    return fail_field(field, "the step '" + step.id + "' depends on itself: {{" +
                                                 reference.text() + "}}");
                if (read)
                    waits_for.insert(*read);
                return {};
            }));
        nodes.push_back({.id = step.id, .waits_for = {waits_for.begin(), waits_for.end()}});
    }
    return nodes;
}

/// The steps in their order, with what they depend on by its place there.
void put_in_order(std::vector<WrittenStep> written, const std::vector<GraphNode>& nodes,
                  const GraphOrder& order, Workflow& workflow) {
    std::vector<std::size_t> place_of_node(nodes.size());
    for (std::size_t place = 0; place < order.nodes.size(); ++place)
        place_of_node[order.nodes[place]] = place;
    for (const std::size_t node : order.nodes) {
        Step step = std::move(written[node].step);
        for (const std::size_t other : nodes[node].waits_for)
            step.depends_on.push_back(place_of_node[other]);
        std::ranges::sort(step.depends_on);
        step.depth = order.depths[node];
        workflow.steps.push_back(std::move(step));
    }
    workflow.last_step = place_of_node.back();
}

Result<void> read_output(const Members& members, const Places& places, Totals& totals,
                         Workflow& workflow) {
    LARDER_TRY(const auto text, members.text("output", kDefinitionBytes));
    if (!text)
        return {};
    LARDER_TRY(workflow.output, read_template(*text, "output"));
    LARDER_CHECK(totals.add(*workflow.output, "output"));
    return visit_references(
        *workflow.output, Use::kText, "output",
        [&](const Reference& reference, Use use, std::string_view) -> Result<void> {
            LARDER_CHECK(check_use(reference, use, false, "output"));
            LARDER_TRY(const auto read, step_of(reference, places, "output"));
            static_cast<void>(read);
            return {};
        });
}

Result<void> read_limits(const Members& members, const Limits& limits, Workflow& workflow) {
    const auto value = members.find("limits");
    if (!value)
        return {};
    LARDER_TRY(const NarrowerLimits own, read_narrower_limits(*value, limits));
    workflow.time = own.time;
    workflow.cost = own.cost;
    return {};
}

/// Whether a comparison holds because the input has, or has not, what it looks at; nullopt: that
/// alone doesn't say.
std::optional<bool> decide_comparison(const Condition& condition, const JsonText& input) {
    const Reference& value = condition.value;
    if (value.kind != Reference::Kind::kInput)
        return std::nullopt;
    const auto member = input.root().find(value.name);
    const bool is_there = member && input.follow(*member, value.path);
    if (condition.kind == Condition::Kind::kExists)
        return is_there == condition.operand->root().as_bool();
    return is_there ? std::nullopt : std::optional(condition.kind == Condition::Kind::kNotEquals);
}

std::optional<bool> decide(const Condition& condition, const JsonText& input) {
    if (condition.kind == Condition::Kind::kNot) {
        const auto part = decide(condition.parts.front(), input);
        return part ? std::optional(!*part) : std::nullopt;
    }
    if (condition.kind != Condition::Kind::kAll && condition.kind != Condition::Kind::kAny)
        return decide_comparison(condition, input);
    const bool decisive = condition.kind == Condition::Kind::kAny;
    bool is_decided = true;
    for (const Condition& part : condition.parts) {
        const auto decided = decide(part, input);
        if (decided == decisive)
            return decisive;
        is_decided = is_decided && decided.has_value();
    }
    return is_decided ? std::optional(!decisive) : std::nullopt;
}

/// Calls `visit` for each reference that reads what the input must have. Without an `input`:
/// whatever it is.
Result<void> visit_needed_inputs(const Workflow& workflow, const JsonText* input,
                                 const std::function<Result<void>(const Reference&, Use)>& visit) {
    for (const Step& step : workflow.steps) {
        std::vector<const Reference*> looked_at;
        if (step.when && (input == nullptr || decide(*step.when, *input) == false))
            collect(*step.when, looked_at);
        const auto is_looked_at = [&](const Reference& reference) {
            return std::ranges::any_of(looked_at, [&](const Reference* other) {
                return other->kind == Reference::Kind::kInput && other->name == reference.name;
            });
        };
        LARDER_CHECK(visit_references(
            step, [&](const Reference& reference, Use use, std::string_view) -> Result<void> {
                if (reference.kind != Reference::Kind::kInput || use == Use::kWhen ||
                    is_looked_at(reference))
                    return {};
                return visit(reference, use);
            }));
    }
    if (!workflow.output)
        return {};
    return visit_references(
        *workflow.output, Use::kText, "output",
        [&](const Reference& reference, Use use, std::string_view) -> Result<void> {
            if (reference.kind != Reference::Kind::kInput)
                return {};
            return visit(reference, use);
        });
}

Result<void> name_inputs(Workflow& workflow) {
    std::set<std::string> names;
    LARDER_CHECK(visit_needed_inputs(workflow, nullptr, [&](const Reference& reference, Use) {
        names.insert(reference.name);
        return Result<void>();
    }));
    workflow.inputs.assign(names.begin(), names.end());
    return {};
}

Result<void> check_models(const Workflow& workflow, const Places& places,
                          const Surroundings& surroundings) {
    if (!surroundings.check_model)
        return {};
    for (const Step& step : workflow.steps) {
        auto checked = surroundings.check_model(step);
        if (checked)
            continue;
        Error error = std::move(checked).error();
        const std::string member = error.field.empty() ? "model" : error.field;
        error.field = place_of(places.find(step.id)->second) + "." + member;
        return std::unexpected(std::move(error));
    }
    return {};
}

} // namespace

Result<NarrowerLimits> read_narrower_limits(json::Value value, const Limits& limits) {
    constexpr int kPicodollarPlaces = 12;
    LARDER_TRY(const Members members, Members::read(value, "limits", "limits", kLimitMembers));
    NarrowerLimits own;
    LARDER_TRY(own.time, members.duration("time", {.least = milliseconds(1), .most = limits.time}));
    const auto cost = members.find("cost");
    if (!cost)
        return own;
    const auto picodollars = cost->as_scaled(kPicodollarPlaces);
    if (!picodollars || *picodollars <= 0 || *picodollars > limits.cost.picodollars) {
        std::string most;
        json::write_double(most, limits.cost.dollars());
        return fail_field(members.field("cost"),
                          "must be a number of dollars above 0 and at most " + most);
    }
    own.cost = llm::Money{*picodollars};
    return own;
}

Result<Workflow> read_workflow(json::Value workflow, const Surroundings& surroundings) {
    if (workflow.raw().size() > kDefinitionBytes)
        return too_large("workflow",
                         "a workflow has at most " + std::to_string(kDefinitionBytes) + " bytes");
    LARDER_TRY(const Members members, Members::read(workflow, "", "a workflow", kMembers));
    Workflow read;
    Totals totals;
    LARDER_TRY(auto name, members.text("name", kLongestName));
    LARDER_TRY(auto description, members.text("description", kLongestDescription));
    read.name = std::move(name).value_or(std::string());
    read.description = std::move(description).value_or(std::string());
    LARDER_TRY(auto steps, read_steps(members, surroundings.limits, totals));
    LARDER_TRY(const Places places, places_of(steps));
    LARDER_TRY(const auto nodes, connect(steps, places));
    LARDER_TRY(const GraphOrder order, order_of(nodes));
    // The nodes' ids are views of the steps' own, which move with them.
    put_in_order(std::move(steps), nodes, order, read);
    LARDER_CHECK(read_output(members, places, totals, read));
    LARDER_TRY(const auto on_error, read_on_error(members));
    read.on_error = on_error.value_or(OnError::kStop);
    LARDER_CHECK(read_limits(members, surroundings.limits, read));
    LARDER_CHECK(name_inputs(read));
    LARDER_CHECK(check_models(read, places, surroundings));
    return read;
}

Result<void> check_input(const Workflow& workflow, const JsonText& input) {
    if (!input.root().is(json::Kind::kObject))
        return fail_field("input", "must be an object");
    PathIndex paths;
    const auto check = [&](const Reference& reference, Use use) -> Result<void> {
        const auto member = paths.child(input.root(), reference.name);
        const auto value = member ? paths.follow(*member, reference.path) : std::nullopt;
        if (!value)
            return fail_field(reference.text(), "the workflow reads " + reference.text() +
                                                    ", and its input has no such member");
        if (use == Use::kForEach && !value->is(json::Kind::kArray))
            return fail_field(reference.text(), "must be a list: a forEach goes over it");
        return {};
    };
    return visit_needed_inputs(workflow, &input, check);
}

} // namespace larder::workflow
