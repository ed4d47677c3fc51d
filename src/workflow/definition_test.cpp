// Workflows as they are written: what is taken, and what is refused with which words.
#include "workflow/definition.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result<Workflow> read(const std::string& text, const Surroundings& surroundings = {}) {
    LARDER_TRY(const json::Document document, json::parse(text));
    return read_workflow(document.root(), surroundings);
}

/// A workflow of these steps.
std::string with_steps(const std::string& steps) {
    return R"({"steps": [)" + steps + "]}";
}

/// A workflow of one step with these further members.
std::string with_members(const std::string& members) {
    return with_steps(R"({"id": "a", "prompt": "p", )" + members + "}");
}

Error refusal(const std::string& text, const Surroundings& surroundings = {}) {
    const auto workflow = read(text, surroundings);
    EXPECT_FALSE(workflow.has_value()) << text.substr(0, 500);
    return workflow ? Error{} : workflow.error();
}

std::string field_of_refusal(const std::string& text) {
    return refusal(text).field;
}

std::vector<std::string> ids(const Workflow& workflow) {
    std::vector<std::string> out;
    for (const Step& step : workflow.steps)
        out.push_back(step.id);
    return out;
}

TEST(ReadWorkflow, TakesEveryMember) {
    const auto workflow = read(R"({
        "name": "n", "description": "d", "onError": "continue",
        "output": "{{steps.b.output}}", "limits": {"time": "60s", "cost": 0.5},
        "steps": [
            {"id": "a", "prompt": "About {{input.topic}}", "system": "s {{input.tone}}",
             "model": "m", "provider": "p", "routingMode": "fallback", "temperature": 0.7,
             "maxTokens": 500, "retry": {"attempts": 3, "delay": "500ms"}, "timeout": 1500,
             "cache": true, "onError": "stop",
             "outputSchema": {"type": "object", "properties": {"l": {"type": "array"}}}},
            {"id": "b", "messages": [{"role": "system", "content": "x"},
                                     {"role": "user", "content": "{{item}} {{index}}"}],
             "dependsOn": ["a"], "when": {"value": "{{steps.a.json.l}}", "exists": true},
             "forEach": {"in": "{{steps.a.json.l}}", "parallel": 2, "maxItems": 50}}]})");
    ASSERT_TRUE(workflow.has_value()) << workflow.error().message;
    EXPECT_EQ(workflow->name, "n");
    EXPECT_EQ(workflow->description, "d");
    EXPECT_EQ(workflow->on_error, OnError::kContinue);
    EXPECT_TRUE(workflow->output.has_value());
    EXPECT_EQ(workflow->time, std::chrono::milliseconds(60'000));
    ASSERT_TRUE(workflow->cost.has_value());
    EXPECT_EQ(workflow->cost->picodollars, 500'000'000'000);
    EXPECT_THAT(workflow->inputs, ElementsAre("tone", "topic"));
    ASSERT_EQ(workflow->steps.size(), 2U);
    const Step& a = workflow->steps[0];
    EXPECT_EQ(a.model, "m");
    EXPECT_EQ(a.provider, "p");
    EXPECT_EQ(a.routing_mode, "fallback");
    EXPECT_EQ(a.temperature, 0.7);
    EXPECT_EQ(a.max_tokens, 500);
    EXPECT_EQ(a.retry.attempts, 3);
    EXPECT_EQ(a.retry.delay, std::chrono::milliseconds(500));
    EXPECT_EQ(a.timeout, std::chrono::milliseconds(1500));
    EXPECT_TRUE(a.uses_cache);
    EXPECT_EQ(a.on_error, OnError::kStop);
    EXPECT_NE(a.output_schema, nullptr);
    EXPECT_EQ(a.output_schema_text,
              R"({"type": "object", "properties": {"l": {"type": "array"}}})");
    EXPECT_TRUE(a.is_prompt);
    EXPECT_TRUE(a.system.has_value());
    const Step& b = workflow->steps[1];
    EXPECT_FALSE(b.is_prompt);
    ASSERT_EQ(b.messages.size(), 2U);
    EXPECT_EQ(b.messages[0].role, "system");
    EXPECT_THAT(b.depends_on, ElementsAre(0U));
    EXPECT_EQ(b.depth, 2);
    EXPECT_TRUE(b.when.has_value());
    ASSERT_TRUE(b.for_each.has_value());
    EXPECT_EQ(b.for_each->parallel, 2U);
    EXPECT_EQ(b.for_each->items_max, 50U);
}

TEST(ReadWorkflow, HasDefaults) {
    const auto workflow = read(R"({"steps": [{"id": "a", "prompt": "p"}]})");
    ASSERT_TRUE(workflow.has_value());
    EXPECT_EQ(workflow->on_error, OnError::kStop);
    EXPECT_FALSE(workflow->output.has_value());
    EXPECT_EQ(workflow->last_step, 0U);
    EXPECT_FALSE(workflow->time.has_value());
    const Step& step = workflow->steps[0];
    EXPECT_EQ(step.retry.attempts, 1);
    EXPECT_FALSE(step.uses_cache);
    EXPECT_FALSE(step.on_error.has_value());
    EXPECT_EQ(step.depth, 1);
}

TEST(ReadWorkflow, OrdersStepsByWhatTheyRead) {
    const auto workflow = read(with_steps(
        R"({"id": "end", "prompt": "{{steps.right.output}}{{steps.left.output}}"},
           {"id": "left", "prompt": "x", "when": {"value": "{{steps.first.output}}", "equals": "l"}},
           {"id": "right", "prompt": "x", "dependsOn": ["first"]},
           {"id": "other", "prompt": "x"},
           {"id": "first", "prompt": "x"},
           {"id": "each", "prompt": "x", "forEach": {"in": "{{steps.first.json}}"}})"));
    ASSERT_TRUE(workflow.has_value()) << workflow.error().message;
    EXPECT_THAT(ids(*workflow), ElementsAre("other", "first", "left", "right", "end", "each"));
    EXPECT_THAT(workflow->steps[0].depends_on, IsEmpty());
    EXPECT_THAT(workflow->steps[2].depends_on, ElementsAre(1U));
    EXPECT_THAT(workflow->steps[4].depends_on, ElementsAre(2U, 3U));
    EXPECT_THAT(workflow->steps[5].depends_on, ElementsAre(1U));
    EXPECT_EQ(workflow->steps[4].depth, 3);
    EXPECT_EQ(workflow->last_step, 5U);
}

TEST(ReadWorkflow, KnowsItsLastWrittenStepInItsOrder) {
    const auto workflow = read(with_steps(R"({"id": "b", "prompt": "{{steps.a.output}}"},
                                             {"id": "a", "prompt": "x"})"));
    ASSERT_TRUE(workflow.has_value());
    EXPECT_THAT(ids(*workflow), ElementsAre("a", "b"));
    EXPECT_EQ(workflow->last_step, 0U);
}

TEST(ReadWorkflow, NamesTheStepsOfACircleInOrder) {
    const Error error = refusal(with_steps(
        R"({"id": "x", "prompt": "p"}, {"id": "after", "prompt": "{{steps.b.output}}"},
           {"id": "a", "prompt": "{{steps.b.output}}"}, {"id": "b", "prompt": "{{steps.c.output}}"},
           {"id": "c", "prompt": "p", "dependsOn": ["a", "x"]})"));
    EXPECT_EQ(error.code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(error.message, "the steps a, b and c wait for each other: a -> b -> c -> a");
    EXPECT_EQ(error.field, "steps[2].dependsOn");
}

TEST(ReadWorkflow, NamesAStepThatDependsOnItself) {
    const Error named = refusal(with_members(R"("dependsOn": ["a"])"));
    EXPECT_EQ(named.field, "steps[0].dependsOn[0]");
    EXPECT_THAT(named.message, HasSubstr("the step 'a' depends on itself"));
    const Error read = refusal(with_steps(R"({"id": "a", "prompt": "{{steps.a.output}}"})"));
    EXPECT_EQ(read.field, "steps[0].prompt");
    EXPECT_THAT(read.message, HasSubstr("the step 'a' depends on itself"));
}

TEST(ReadWorkflow, NamesAStepThatIsNotThere) {
    const Error named = refusal(with_members(R"("dependsOn": ["gone"])"));
    EXPECT_EQ(named.field, "steps[0].dependsOn[0]");
    EXPECT_THAT(named.message, HasSubstr("no step 'gone'"));
    EXPECT_EQ(field_of_refusal(with_members(R"("system": "{{steps.gone.output}}")")),
              "steps[0].system");
    EXPECT_EQ(field_of_refusal(with_members(R"("forEach": {"in": "{{steps.gone.json}}"})")),
              "steps[0].forEach.in");
    EXPECT_EQ(field_of_refusal(
                  with_members(R"("when": {"value": "{{steps.gone.json}}", "exists": true})")),
              "steps[0].when");
    EXPECT_EQ(
        field_of_refusal(with_steps(
            R"({"id": "a", "messages": [{"role": "user", "content": "{{steps.g.output}}"}]})")),
        "steps[0].messages[0].content");
    EXPECT_EQ(field_of_refusal(
                  R"({"steps": [{"id": "a", "prompt": "p"}], "output": "{{steps.b.output}}"})"),
              "output");
}

TEST(ReadWorkflow, BoundsItsSteps) {
    std::string steps;
    const auto step = [](int i, const std::string& members) {
        return R"({"id": "s)" + std::to_string(i) + R"(", "prompt": "p")" + members + "}";
    };
    for (int i = 0; i < 64; ++i)
        steps += (i == 0 ? "" : ",") + step(i, "");
    EXPECT_TRUE(read(with_steps(steps)).has_value());
    const Error many = refusal(with_steps(steps + "," + step(64, "")));
    EXPECT_EQ(many.code, ErrorCode::kTooLarge);
    EXPECT_EQ(many.field, "steps");
    std::string chain = step(0, "");
    for (int i = 1; i < 32; ++i)
        chain += "," + step(i, R"(, "dependsOn": ["s)" + std::to_string(i - 1) + "\"]");
    EXPECT_TRUE(read(with_steps(chain)).has_value());
    const Error deep = refusal(with_steps(chain + "," + step(32, R"(, "dependsOn": ["s31"])")));
    EXPECT_EQ(deep.code, ErrorCode::kTooLarge);
    EXPECT_THAT(deep.message, HasSubstr("'s32'"));
}

TEST(ReadWorkflow, BoundsItsBytes) {
    const std::string text(10UL << 20, 'x');
    const Error error = refusal(with_steps(R"({"id": "a", "prompt": ")" + text + "\"}"));
    EXPECT_EQ(error.code, ErrorCode::kTooLarge);
    EXPECT_EQ(error.field, "workflow");
}

TEST(ReadWorkflow, BoundsReferencesOfAllStepsTogether) {
    std::string text;
    for (int i = 0; i < 1500; ++i)
        text += "{{input.a}}";
    const std::string step = R"("prompt": ")" + text + "\"}";
    EXPECT_TRUE(read(with_steps(R"({"id": "a", )" + step)).has_value());
    const Error error = refusal(with_steps(R"({"id": "a", )" + step + R"(, {"id": "b", )" + step));
    EXPECT_EQ(error.code, ErrorCode::kTooLarge);
    EXPECT_EQ(error.field, "steps[1].prompt");
}

TEST(ReadWorkflow, BoundsPatternsOfAllStepsTogether) {
    std::string steps;
    for (int i = 0; i < 33; ++i)
        steps += (i == 0 ? "" : ",") + (R"({"id": "s)" + std::to_string(i)) +
                 R"(", "prompt": "p", "when": {"value": "{{input.a}}", "matches": "x"}})";
    const Error error = refusal(with_steps(steps));
    EXPECT_EQ(error.code, ErrorCode::kTooLarge);
    EXPECT_EQ(error.field, "steps[32].when");
}

TEST(ReadWorkflow, RefusesWhatHasNoSteps) {
    EXPECT_EQ(field_of_refusal("[]"), "workflow");
    EXPECT_EQ(field_of_refusal("null"), "workflow");
    for (const auto* text :
         {"{}", R"({"steps": null})", R"({"steps": []})", R"({"steps": {}})", R"({"steps": "a"})"})
        EXPECT_EQ(field_of_refusal(text), "steps") << text;
    for (const auto* step : {"null", "1", "[]", R"("a")"})
        EXPECT_EQ(field_of_refusal(with_steps(step)), "steps[0]") << step;
}

TEST(ReadWorkflow, RefusesIdsThatAreNone) {
    for (const auto* id : {R"("")", R"("a.b")", R"("a b")", "1", "null", R"("é")", R"("a\u0000")"})
        EXPECT_EQ(field_of_refusal(with_steps(R"({"prompt": "p", "id": )" + std::string(id) + "}")),
                  "steps[0].id")
            << id;
    EXPECT_EQ(field_of_refusal(with_steps(R"({"prompt": "p"})")), "steps[0].id");
    EXPECT_EQ(
        field_of_refusal(with_steps(R"({"prompt": "p", "id": ")" + std::string(65, 'a') + "\"}")),
        "steps[0].id");
    EXPECT_TRUE(read(with_steps(R"({"prompt": "p", "id": "__proto__"},
                                   {"prompt": "{{steps.__proto__.output}}", "id": "constructor"})"))
                    .has_value());
}

TEST(ReadWorkflow, RefusesAnIdGivenTwice) {
    const Error error =
        refusal(with_steps(R"({"id": "a", "prompt": "p"}, {"id": "b", "prompt": "p"},
                      {"id": "a", "prompt": "p"})"));
    EXPECT_EQ(error.field, "steps[2].id");
    EXPECT_THAT(error.message, HasSubstr("'a'"));
}

TEST(ReadWorkflow, RefusesMembersItDoesNotKnow) {
    EXPECT_EQ(field_of_refusal(R"({"steps": [{"id": "a", "prompt": "p"}], "extra": 1})"), "extra");
    const Error error = refusal(with_members(R"("max_tokens": 5)"));
    EXPECT_EQ(error.field, "steps[0].max_tokens");
    EXPECT_THAT(error.message, HasSubstr("maxTokens"));
    EXPECT_EQ(field_of_refusal(with_members(R"("retry": {"tries": 1})")), "steps[0].retry.tries");
    EXPECT_EQ(field_of_refusal(with_members(R"("forEach": {"in": "{{input.l}}", "as": "x"})")),
              "steps[0].forEach.as");
}

struct Mistake {
    std::string members;
    std::string field;
};
class WrongMembers : public testing::TestWithParam<Mistake> {};

TEST_P(WrongMembers, AreRefusedWithTheirField) {
    const Error error = refusal(with_members(GetParam().members));
    EXPECT_EQ(error.field, GetParam().field) << GetParam().members << ": " << error.message;
    EXPECT_EQ(error.code, ErrorCode::kInvalidRequest) << GetParam().members;
}

INSTANTIATE_TEST_SUITE_P(
    Definition, WrongMembers,
    testing::Values(Mistake{R"("system": 1)", "steps[0].system"},
                    Mistake{R"("system": null)", "steps[0].system"},
                    Mistake{R"("system": "{{")", "steps[0].system"},
                    Mistake{R"("messages": [])", "steps[0].messages"},
                    Mistake{R"("model": 4)", "steps[0].model"},
                    Mistake{R"("model": "")", "steps[0].model"},
                    Mistake{R"("provider": [])", "steps[0].provider"},
                    Mistake{R"("routingMode": "best")", "steps[0].routingMode"},
                    Mistake{R"("temperature": "hot")", "steps[0].temperature"},
                    Mistake{R"("temperature": -0.1)", "steps[0].temperature"},
                    Mistake{R"("temperature": 1e999)", "steps[0].temperature"},
                    Mistake{R"("maxTokens": 0)", "steps[0].maxTokens"},
                    Mistake{R"("maxTokens": 1.5)", "steps[0].maxTokens"},
                    Mistake{R"("maxTokens": 99999999999999999999)", "steps[0].maxTokens"},
                    Mistake{R"("dependsOn": "b")", "steps[0].dependsOn"},
                    Mistake{R"("dependsOn": [1])", "steps[0].dependsOn[0]"},
                    Mistake{R"("when": true)", "steps[0].when"},
                    Mistake{R"("when": {"value": "{{index}}", "equals": 1})", "steps[0].when"},
                    Mistake{R"("forEach": [])", "steps[0].forEach"},
                    Mistake{R"("forEach": {})", "steps[0].forEach.in"},
                    Mistake{R"("forEach": {"in": ["a"]})", "steps[0].forEach.in"},
                    Mistake{R"("forEach": {"in": "{{input.a}} and more"})", "steps[0].forEach.in"},
                    Mistake{R"("forEach": {"in": "{{item.a}}"})", "steps[0].forEach.in"},
                    Mistake{R"("forEach": {"in": "{{input.l}}", "parallel": 0})",
                            "steps[0].forEach.parallel"},
                    Mistake{R"("forEach": {"in": "{{input.l}}", "maxItems": 201})",
                            "steps[0].forEach.maxItems"},
                    Mistake{R"("system": "{{item}}")", "steps[0].system"},
                    Mistake{R"("outputSchema": "x")", "steps[0].outputSchema"},
                    Mistake{R"("outputSchema": true)", "steps[0].outputSchema"},
                    Mistake{R"("outputSchema": {"properties": {"a": {"type": "text"}}})",
                            "steps[0].outputSchema/properties/a/type"},
                    Mistake{R"("retry": 3)", "steps[0].retry"},
                    Mistake{R"("retry": {"attempts": 11})", "steps[0].retry.attempts"},
                    Mistake{R"("retry": {"delay": "2h"})", "steps[0].retry.delay"},
                    Mistake{R"("timeout": "soon")", "steps[0].timeout"},
                    Mistake{R"("timeout": -5)", "steps[0].timeout"},
                    Mistake{R"("timeout": 0)", "steps[0].timeout"},
                    Mistake{R"("timeout": "1d")", "steps[0].timeout"},
                    Mistake{R"("timeout": "99999999999999999999s")", "steps[0].timeout"},
                    Mistake{R"("cache": "yes")", "steps[0].cache"},
                    Mistake{R"("onError": "ignore")", "steps[0].onError"}));

TEST(ReadWorkflow, TakesEitherAPromptOrMessages) {
    const auto step = [](const std::string& members) {
        return with_steps(R"({"id": "a")" + members + "}");
    };
    EXPECT_EQ(field_of_refusal(step("")), "steps[0].prompt");
    EXPECT_EQ(field_of_refusal(step(R"(, "prompt": 5)")), "steps[0].prompt");
    EXPECT_EQ(field_of_refusal(step(R"(, "prompt": "")")), "steps[0].prompt");
    EXPECT_EQ(field_of_refusal(step(R"(, "messages": [])")), "steps[0].messages");
    EXPECT_EQ(field_of_refusal(step(R"(, "messages": [{"role": "tool", "content": "x"}])")),
              "steps[0].messages[0].role");
    EXPECT_EQ(field_of_refusal(step(R"(, "messages": [{"role": "user", "content": ["x"]}])")),
              "steps[0].messages[0].content");
    EXPECT_EQ(field_of_refusal(step(R"(, "messages": [{"role": "system", "content": "x"}])")),
              "steps[0].messages");
}

TEST(ReadWorkflow, HoldsLimitsToTheConfigurations) {
    const auto limits = [](const std::string& members) {
        return R"({"steps": [{"id": "a", "prompt": "p"}], "limits": {)" + members + "}}";
    };
    EXPECT_TRUE(read(limits(R"("time": "5m", "cost": 10)")).has_value());
    EXPECT_EQ(field_of_refusal(limits(R"("time": "301s")")), "limits.time");
    EXPECT_EQ(field_of_refusal(limits(R"("cost": 10.01)")), "limits.cost");
    EXPECT_EQ(field_of_refusal(limits(R"("cost": 0)")), "limits.cost");
    EXPECT_EQ(field_of_refusal(limits(R"("cost": "1")")), "limits.cost");
    EXPECT_EQ(field_of_refusal(limits(R"("cost": 1e300)")), "limits.cost");
    EXPECT_EQ(field_of_refusal(limits(R"("calls": 5)")), "limits.calls");
}

TEST(ReadWorkflow, RefusesASchemaBomb) {
    std::string wide;
    for (int i = 0; i < 6000; ++i)
        wide += (i == 0 ? "" : ",") + ("\"p" + std::to_string(i)) + R"(": {"type": "string"})";
    const Error nodes = refusal(with_members(R"("outputSchema": {"properties": {)" + wide + "}}"));
    EXPECT_THAT(nodes.field, HasSubstr("steps[0].outputSchema"));
    std::string deep = "true";
    for (int i = 0; i < 70; ++i)
        deep.insert(0, R"({"not": )").append("}");
    EXPECT_THAT(field_of_refusal(with_members(R"("outputSchema": )" + deep)),
                HasSubstr("steps[0].outputSchema"));
}

TEST(ReadWorkflow, AsksWhetherModelsCanBeCalled) {
    Surroundings surroundings;
    surroundings.check_model = [](const Step& step) -> Result<void> {
        if (step.model == "gone")
            return std::unexpected(Error{.code = ErrorCode::kModelNotFound,
                                         .message = "no such model",
                                         .field = "model",
                                         .position = {},
                                         .detail = "model_not_found"});
        return {};
    };
    EXPECT_TRUE(read(with_members(R"("model": "here")"), surroundings).has_value());
    const Error error = refusal(with_steps(R"({"id": "b", "prompt": "p", "dependsOn": ["a"]},
                                              {"id": "a", "prompt": "p", "model": "gone"})"),
                                surroundings);
    EXPECT_EQ(error.code, ErrorCode::kModelNotFound);
    EXPECT_EQ(error.field, "steps[1].model");
    EXPECT_EQ(error.detail, "model_not_found");
}

/// Whether a workflow of one such step takes this input: the field at fault, or "".
std::string checked(const std::string& members, const std::string& input) {
    const auto workflow = read(with_steps(R"({"id": "a", )" + members + "}"));
    EXPECT_TRUE(workflow.has_value());
    const auto parsed = JsonText::parse(input);
    EXPECT_TRUE(parsed.has_value());
    const auto result = check_input(*workflow, **parsed);
    return result ? "" : result.error().field;
}

TEST(CheckInput, WantsWhatTextsAndListsRead) {
    EXPECT_EQ(checked(R"("prompt": "{{input.a}}")", R"({"a": null, "more": 1})"), "");
    EXPECT_EQ(checked(R"("prompt": "{{input.a}}")", R"({"A": 1})"), "input.a");
    EXPECT_EQ(checked(R"("prompt": "{{input.a.b.0}}")", R"({"a": {"b": []}})"), "input.a.b.0");
    EXPECT_EQ(checked(R"("prompt": "{{input.toString}}")", "{}"), "input.toString");
    EXPECT_EQ(checked(R"("prompt": "p", "forEach": {"in": "{{input.l}}"})", R"({"l": []})"), "");
    EXPECT_EQ(checked(R"("prompt": "p", "forEach": {"in": "{{input.l}}"})", R"({"l": "x"})"),
              "input.l");
    EXPECT_EQ(checked(R"("prompt": "p")", "[]"), "input");
}

TEST(CheckInput, LetsBeAbsentWhatKeepsTheStepFromRunning) {
    const auto checked_with = [](const std::string& when) {
        return checked(R"("prompt": "{{input.tone}}", "when": )" + when, "{}");
    };
    const std::string exists = R"({"value": "{{input.tone}}", "exists": true})";
    const std::string is_not_loud = R"({"value": "{{input.tone}}", "notEquals": "loud"})";
    EXPECT_EQ(checked_with(exists), "");
    EXPECT_EQ(checked_with(is_not_loud), "input.tone");
    EXPECT_EQ(checked_with(R"({"not": )" + exists + "}"), "input.tone");
    EXPECT_EQ(checked_with(R"({"all": [)" + is_not_loud + "," + exists + "]}"), "");
    EXPECT_EQ(checked_with(R"({"any": [)" + is_not_loud + "," + exists + "]}"), "input.tone");
    EXPECT_EQ(checked(R"("prompt": "{{input.topic}}", "when": )" + exists, "{}"), "input.topic");
}

TEST(CheckInput, DoesNotForeseeWhatStepsSay) {
    const auto checked_with = [](const std::string& when) {
        const auto workflow = read(with_steps(
            R"({"id": "a", "prompt": "x"}, {"id": "b", "prompt": "{{input.tone}}", "when": )" +
            when + "}"));
        EXPECT_TRUE(workflow.has_value());
        const auto input = JsonText::parse("{}");
        const auto result = check_input(*workflow, **input);
        return result ? "" : result.error().field;
    };
    const std::string parts = R"([{"value": "{{input.tone}}", "exists": true},
                                  {"value": "{{steps.a.output}}", "equals": "y"}])";
    EXPECT_EQ(checked_with(R"({"all": )" + parts + "}"), "");
    EXPECT_EQ(checked_with(R"({"any": )" + parts + "}"), "input.tone");
    EXPECT_EQ(checked_with(R"({"not": {"all": )" + parts + "}}"), "input.tone");
}

} // namespace
} // namespace larder::workflow
