// The published schema, the reader and the examples say the same about what a workflow is.
#include "schema/schema.hpp"
#include "workflow/definition.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace larder::workflow {
namespace {

namespace fs = std::filesystem;

/// The published schema, compiled.
class PublishedSchema : public testing::Test {
protected:
    void SetUp() override {
        auto document = json::parse(published_schema());
        ASSERT_TRUE(document.has_value()) << document.error().message;
        auto compiled = schema::Schema::compile(document->root());
        ASSERT_TRUE(compiled.has_value()) << compiled.error().field << compiled.error().message;
        schema_ = std::make_unique<schema::Schema>(*std::move(compiled));
    }
    /// What the schema has against a text: "" is nothing.
    std::string objections(const std::string& text) {
        const auto document = json::parse(text);
        if (!document)
            return document.error().message;
        const auto violations = schema_->check(document->root());
        return violations ? schema::to_text(*violations) : violations.error().message;
    }

private:
    std::unique_ptr<schema::Schema> schema_;
};

Result<Workflow> read(const std::string& text) {
    LARDER_TRY(const json::Document document, json::parse(text));
    return read_workflow(document.root(), {});
}

std::string content_of(const fs::path& path) {
    std::ifstream file(path);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
}

std::vector<fs::path> examples() {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(LARDER_SOURCE_DIR "/examples/workflows")) {
        const std::string name = entry.path().filename();
        if (name.ends_with(".json") && !name.ends_with(".input.json"))
            paths.push_back(entry.path());
    }
    return paths;
}

/// A workflow of one step with these members.
std::string with(const std::string& members) {
    return R"({"steps": [{"id": "a", "prompt": "p", )" + members + "}]}";
}

std::string when(const std::string& condition) {
    return with(R"("when": )" + condition);
}

TEST_F(PublishedSchema, TakesWhatTheReaderTakes) {
    for (const std::string& text :
         {with(R"("cache": true)"), with(R"("temperature": 2, "maxTokens": 5e2)"),
          with(R"("timeout": "30s", "retry": {"attempts": 10, "delay": 0})"),
          with(R"("forEach": {"in": " {{ input[\"a}\"].0 }} ", "parallel": 64})"),
          with(R"("onError": "continue", "routingMode": "cheapest", "model": "m")"),
          with(R"("outputSchema": {"type": "object"}, "dependsOn": [])"),
          when(R"({"value": "{{input.a}}", "equals": null})"),
          when(R"({"not": {"any": [{"value": "{{input.a}}", "in": [1]},
                                   {"all": [{"value": "{{input.a}}", "atMost": "b"}]}]}})"),
          std::string(R"({"name": "n", "description": "d", "onError": "stop", "output": "x",
                          "limits": {"time": 5000, "cost": 0.01}, "steps": [{"id": "a",
                          "system": "", "provider": "p", "messages": [
                              {"role": "system", "content": "s"}, {"role": "user", "content": ""},
                              {"role": "assistant", "content": "s"}]}]})")}) {
        const auto workflow = read(text);
        EXPECT_TRUE(workflow.has_value()) << text << workflow.error().message;
        EXPECT_EQ(objections(text), "") << text;
    }
}

TEST_F(PublishedSchema, RefusesWhatTheReaderRefuses) {
    for (const std::string& text :
         {std::string("[]"),
          std::string("{}"),
          std::string(R"({"steps": []})"),
          std::string(R"({"steps": null})"),
          std::string(R"({"steps": [{"id": "a"}]})"),
          std::string(R"({"steps": [{"prompt": "a"}]})"),
          std::string(R"({"steps": [{"id": "a.b", "prompt": "a"}]})"),
          std::string(R"({"steps": [{"id": "a", "prompt": ""}]})"),
          std::string(
              R"({"steps": [{"id": "a", "messages": [{"role": "system", "content": ""}]}]})"),
          with(R"("messages": [{"role": "user", "content": "x"}])"),
          with(R"("more": 1)"),
          with(R"("system": null)"),
          with(R"("temperature": 2.1)"),
          with(R"("maxTokens": 0)"),
          with(R"("timeout": "30 s")"),
          with(R"("timeout": "1d")"),
          with(R"("timeout": -1)"),
          with(R"("retry": {"attempts": 0})"),
          with(R"("retry": {"tries": 1})"),
          with(R"("forEach": {"parallel": 1})"),
          with(R"("forEach": {"in": "x"})"),
          with(R"("onError": "go")"),
          with(R"("outputSchema": true)"),
          with(R"("cache": 1)"),
          with(R"("routingMode": "best")"),
          with(R"("dependsOn": "b")"),
          with(R"("model": "")"),
          when("true"),
          when("{}"),
          when(R"({"value": "{{input.a}}"})"),
          when(R"({"equals": 1})"),
          when(R"({"value": "{{input.a}}", "equals": 1, "in": [1]})"),
          when(R"({"value": "a", "equals": 1})"),
          when(R"({"value": "{{input.a}}", "in": []})"),
          when(R"({"value": "{{input.a}}", "lessThan": true})"),
          when(R"({"value": "{{input.a}}", "is": true})"),
          when(R"({"all": []})"),
          when(R"({"not": [{"value": "{{input.a}}", "exists": true}]})"),
          when(R"({"all": [{"value": "{{input.a}}", "exists": 1}]})")}) {
        EXPECT_FALSE(read(text).has_value()) << text;
        EXPECT_NE(objections(text), "") << text;
    }
}

TEST_F(PublishedSchema, TakesTheExamples) {
    const auto paths = examples();
    EXPECT_EQ(paths.size(), 5U);
    for (const fs::path& path : paths)
        EXPECT_EQ(objections(content_of(path)), "") << path;
}

TEST(Examples, AreReadAndTakeTheirInputs) {
    for (const fs::path& path : examples()) {
        const auto workflow = read(content_of(path));
        ASSERT_TRUE(workflow.has_value())
            << path << ": " << workflow.error().field << " " << workflow.error().message;
        EXPECT_FALSE(workflow->description.empty()) << path;
        const fs::path input = fs::path(path).replace_extension(".input.json");
        const std::string content = content_of(input);
        const auto parsed = JsonText::parse(content);
        ASSERT_TRUE(parsed.has_value()) << input << parsed.error().message;
        const auto checked = check_input(*workflow, **parsed);
        EXPECT_TRUE(checked.has_value()) << input << ": " << checked.error().message;
    }
}

TEST(Examples, AreAllDescribed) {
    const std::string page = content_of(LARDER_SOURCE_DIR "/examples/workflows/README.md");
    for (const fs::path& path : examples())
        EXPECT_NE(page.find(path.filename().string()), std::string::npos) << path;
}

} // namespace
} // namespace larder::workflow
