// Templates: what is a reference, what stays text, and what comes out.
#include "workflow/template.hpp"

#include "workflow/limits.hpp"

#include <gtest/gtest.h>

namespace larder::workflow {
namespace {

constexpr std::size_t kMost = 1000;

/// An input, outputs and an item to look at.
class TemplateTest : public testing::Test {
protected:
    void input(std::string text) { input_ = parse(std::move(text)); }
    void output(const std::string& step, std::string text) {
        outputs_[step] = {.text = std::move(text), .json = nullptr};
    }
    void item(std::string text, std::size_t index) {
        item_ = {.value = parse(std::move(text)), .index = index};
        has_item_ = true;
    }
    Scope scope() {
        return {.input = input_.get(), .outputs = &outputs_, .item = has_item_ ? &item_ : nullptr};
    }
    Result<std::string> rendered(std::string_view text, std::size_t most = kMost) {
        LARDER_TRY(const Template read, read_template(text, "prompt"));
        return render(read, scope(), most);
    }
    std::string text(std::string_view written) {
        const auto out = rendered(written);
        return out ? *out : "error: " + out.error().message;
    }
    static std::shared_ptr<const JsonText> parse(std::string text) {
        auto parsed = JsonText::parse(std::move(text));
        EXPECT_TRUE(parsed.has_value());
        return parsed ? *parsed : nullptr;
    }

private:
    std::shared_ptr<const JsonText> input_ = parse("{}");
    std::map<std::string, StepOutput, std::less<>> outputs_;
    Item item_;
    bool has_item_ = false;
};

Error refusal(std::string_view text) {
    const auto read = read_template(text, "steps[0].prompt");
    EXPECT_FALSE(read.has_value()) << text;
    return read ? Error{} : read.error();
}

TEST_F(TemplateTest, PutsInTheInputsMembers) {
    input(R"({"topic": "larders", "n": 3, "on": true, "nothing": null, "l": [1, {"a": "b"}]})");
    EXPECT_EQ(text("About {{input.topic}}!"), "About larders!");
    EXPECT_EQ(text("{{ input.topic }}{{\tinput.topic\n}}"), "larderslarders");
    EXPECT_EQ(text("{{input.n}} {{input.on}} [{{input.nothing}}]"), "3 true []");
    EXPECT_EQ(text("{{input.l}} {{input.l.1.a}} {{input.l[1].a}}"), R"([1, {"a": "b"}] b b)");
}

TEST_F(TemplateTest, UnquotesStringsWithTheirEscapes) {
    input(R"({"a": "x\"\n\u00e9"})");
    EXPECT_EQ(text("{{input.a}}"), "x\"\né");
}

TEST_F(TemplateTest, ReadsNamesInBrackets) {
    input(R"({"two words": {"a.b": "yes", "]\"": "also"}})");
    EXPECT_EQ(text(R"({{input["two words"]["a.b"]}})"), "yes");
    EXPECT_EQ(text(R"({{input["two words"]["]\""]}})"), "also");
}

TEST_F(TemplateTest, PutsInWhatStepsSaid) {
    output("a", "plain");
    output("b", R"({"items": ["x", "y"], "k": {"z": 1}})");
    EXPECT_EQ(text("{{steps.a.output}}|{{steps.b.json.items.1}}|{{steps.b.json.k}}"),
              R"(plain|y|{"z": 1})");
    EXPECT_EQ(text("{{steps.b.json}}"), R"({"items": ["x", "y"], "k": {"z": 1}})");
}

TEST_F(TemplateTest, ReadsJsonOutOfTheOneFencedBlock) {
    output("a", "Here it is:\n```json\n{\"k\": 5}\n```\nDone.");
    EXPECT_EQ(text("{{steps.a.json.k}}"), "5");
}

TEST_F(TemplateTest, NeverReadsWhatCameOutAgain) {
    input(R"({"a": "{{input.secret}}", "secret": "s", "half": "{", "b": "input.secret}}"})");
    output("step", "{{input.secret}}");
    EXPECT_EQ(text("{{input.a}}"), "{{input.secret}}");
    EXPECT_EQ(text("{{steps.step.output}}"), "{{input.secret}}");
    EXPECT_EQ(text("{{input.half}}{{input.half}}{{input.b}}"), "{{input.secret}}");
}

TEST_F(TemplateTest, LeavesEscapedAndSingleBracesAlone) {
    EXPECT_EQ(text(R"(\{{input.a}} {x} }} })"), "{{input.a}} {x} }} }");
    EXPECT_EQ(text(R"(\\ \{ {)"), R"(\\ \{ {)");
}

TEST_F(TemplateTest, HasItemsAndTheirIndex) {
    item(R"({"name": "n"})", 7);
    EXPECT_EQ(text("{{index}}: {{item.name}} of {{item}}"), R"(7: n of {"name": "n"})");
}

TEST_F(TemplateTest, SaysWhichReferenceHasNothing) {
    input(R"({"l": [1], "__proto__x": 1})");
    output("a", "no JSON");
    output("skipped", "");
    EXPECT_EQ(text("{{input.gone}}"), "error: {{input.gone}}: there is no such member");
    EXPECT_EQ(text("{{input.l.1}}"), "error: {{input.l.1}}: there is no such member");
    EXPECT_EQ(text("{{input.l.00}}"), "error: {{input.l.00}}: there is no such member");
    EXPECT_EQ(text("{{input.l.4294967296}}"),
              "error: {{input.l.4294967296}}: there is no such member");
    EXPECT_EQ(text("{{input.l.length}}"), "error: {{input.l.length}}: there is no such member");
    EXPECT_EQ(text("{{input.__proto__}}"), "error: {{input.__proto__}}: there is no such member");
    EXPECT_EQ(text("{{steps.a.json.x}}"),
              "error: {{steps.a.json.x}}: the step's output is no JSON");
    EXPECT_EQ(text("{{steps.b.output}}"), "error: {{steps.b.output}}: the step has no output");
    EXPECT_EQ(text("[{{steps.skipped.output}}]"), "[]");
    EXPECT_EQ(text("{{steps.skipped.json}}"),
              "error: {{steps.skipped.json}}: the step has no output");
    EXPECT_EQ(text("{{item}}"), "error: {{item}}: there is no item outside a forEach");
    EXPECT_EQ(text("{{index}}"), "error: {{index}}: there is no item outside a forEach");
}

TEST_F(TemplateTest, EndsAtItsBound) {
    input(R"({"a": "12345", "e": "\u0031\u0032"})");
    EXPECT_TRUE(rendered("{{input.a}}67", 7).has_value());
    const auto literal = rendered("{{input.a}}678", 7);
    ASSERT_FALSE(literal.has_value());
    EXPECT_EQ(literal.error().code, ErrorCode::kTooLarge);
    const auto reference = rendered("123{{input.a}}", 7);
    ASSERT_FALSE(reference.has_value());
    EXPECT_EQ(reference.error().code, ErrorCode::kTooLarge);
    EXPECT_TRUE(rendered("{{input.e}}", 2).has_value());
}

TEST(ReadTemplate, CountsItsLiteralBytes) {
    const auto read = read_template(R"(ab{{index}}c\{{)", "prompt");
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->bytes, 5U);
    EXPECT_EQ(read->pieces.size(), 3U);
}

TEST(ReadTemplate, RefusesBracesWithoutEndWithTheirPlace) {
    for (const auto* text : {"abc {{", "abc {{ ", "abc {{input", "abc {{input.a", "abc {{input.a ",
                             "abc {{input.a}", "abc {{input[\"a", "abc {{input[\"a\\",
                             "abc {{input[", "abc {{input[\"a\"", "abc {{input."}) {
        const Error error = refusal(text);
        EXPECT_EQ(error.code, ErrorCode::kInvalidRequest) << text;
        EXPECT_EQ(error.field, "steps[0].prompt");
        EXPECT_EQ(error.position, 4U);
    }
}

TEST(ReadTemplate, RefusesWhatIsNoReference) {
    for (const auto* text : {"{{}}",
                             "{{ }}",
                             "{{{{",
                             "{{{input.a}}}",
                             "{{input}}",
                             "{{input.}}",
                             "{{.a}}",
                             "{{input..a}}",
                             "{{input.a b}}",
                             "{{steps.a}}",
                             "{{steps.a.text}}",
                             "{{steps}}",
                             "{{steps.a.output.b}}",
                             "{{index.a}}",
                             "{{a}}",
                             "{{input.a | upper}}",
                             "{{input[a]}}",
                             "{{input[\"\\x\"]}}",
                             "{{input.é}}",
                             "{{Input.a}}",
                             "{{#if input.a}}"}) {
        const Error error = refusal(text);
        EXPECT_EQ(error.code, ErrorCode::kInvalidRequest) << text;
        EXPECT_EQ(error.position, 0U) << text;
    }
}

TEST(ReadTemplate, BoundsReferencesPathsAndNames) {
    std::string many;
    for (std::size_t i = 0; i <= kMostReferences; ++i)
        many += "{{index}}";
    EXPECT_EQ(refusal(many).code, ErrorCode::kTooLarge);
    std::string deep = "{{item";
    for (int i = 0; i < 64; ++i)
        deep += ".a";
    EXPECT_EQ(refusal(deep + "}}").code, ErrorCode::kTooLarge);
    EXPECT_EQ(refusal("{{input." + std::string(257, 'a') + "}}").code, ErrorCode::kTooLarge);
    EXPECT_EQ(refusal("{{input[\"" + std::string(300, 'a') + "\"]}}").code, ErrorCode::kTooLarge);
}

TEST(ReadReference, TakesOneReferenceAndNothingElse) {
    const auto read = read_reference(" {{ steps.a.json.items.0 }} ", "in");
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->kind, Reference::Kind::kJson);
    EXPECT_EQ(read->name, "a");
    EXPECT_EQ(read->path, (std::vector<std::string>{"items", "0"}));
    EXPECT_EQ(read->position, 1U);
    for (const auto* text : {"", " ", "a", "{{index}}{{index}}", "x{{index}}", "{{index}}.a"}) {
        const auto refused = read_reference(text, "in");
        ASSERT_FALSE(refused.has_value()) << text;
        EXPECT_EQ(refused.error().field, "in");
    }
}

TEST(Reference, IsWrittenSoThatItCanBeReadAgain) {
    for (const auto* text : {"input.a", "input[\"a b\"].c", "steps.a-b.output", "steps.a.json",
                             "steps.a.json.b.0[\"\\\"\"]", "item", "item.a", "index"}) {
        const auto read = read_reference("{{" + std::string(text) + "}}", "in");
        ASSERT_TRUE(read.has_value()) << text;
        EXPECT_EQ(read->text(), text);
    }
}

} // namespace
} // namespace larder::workflow
