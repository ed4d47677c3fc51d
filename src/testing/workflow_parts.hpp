// A workflow that runs through a real gateway against a provider of the test.
#pragma once

#include "testing/chat_provider.hpp"
#include "testing/gateway_parts.hpp"
#include "testing/run_task.hpp"
#include "workflow/run.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::testing {

/// What a run told, an event a line: "a started", "a[1] delta x", "a done x", "a failed".
class RecordingListener final : public workflow::Listener {
public:
    void started(const workflow::Step& step, std::optional<std::size_t> item) override {
        lines.push_back(place(step, item) + " started");
    }
    void delta(const workflow::Step& step, std::optional<std::size_t> item,
               std::string_view text) override {
        lines.push_back(place(step, item) + " delta " + std::string(text));
    }
    void done(const workflow::Step& step, const workflow::StepReport& report,
              const workflow::StepOutput& output) override {
        lines.push_back(step.id + " " + std::string(name_of(report.state)) + " " + output.text);
    }
    void failed(const workflow::Step& step, const workflow::StepReport& report) override {
        lines.push_back(step.id + " " + std::string(name_of(report.state)));
    }
    std::vector<std::string> lines;

private:
    static std::string place(const workflow::Step& step, std::optional<std::size_t> item) {
        return item ? step.id + "[" + std::to_string(*item) + "]" : step.id;
    }
};

struct WorkflowTest : GatewayTest {
    workflow::Limits limits;
    workflow::Listener* listener = nullptr;

    ~WorkflowTest() override {
        gateway.stop();
        runtime.stop();
    }
    void use(const ChatProvider& provider) {
        settings->catalog.providers = {{.name = "openai",
                                        .dialect = protocol::Dialect::kOpenAiChat,
                                        .base_url = provider.base_url(),
                                        .retries = 0,
                                        .vendor = "openai",
                                        .cache_identity = "openai " + provider.base_url()}};
        settings->catalog.default_model = "m-1";
        const auto loaded = settings->catalog.prices.load(
            R"({"models":{"openai/m-1":{"mode":"chat","input":1,"output":2}}})");
        EXPECT_TRUE(loaded) << loaded.error().message;
    }
    workflow::RunReport run(std::string_view text, std::string input = "{}") {
        const auto document = json::parse(text);
        EXPECT_TRUE(document) << document.error().message;
        workflow = workflow::read_workflow(document->root(), {.limits = limits});
        EXPECT_TRUE(workflow) << workflow.error().field << ": " << workflow.error().message;
        const auto parsed = workflow::JsonText::parse(std::move(input));
        if (!workflow || !parsed)
            return {};
        asio::io_context& context = runtime.context(0);
        return larder::testing::run(context, run_there(**parsed));
    }
    /// "a done, b failed"
    [[nodiscard]] std::string states(const workflow::RunReport& report) const {
        std::string text;
        for (std::size_t index = 0; index < report.steps.size(); ++index) {
            (text += text.empty() ? "" : ", ") += workflow->steps[index].id;
            (text += ' ') += name_of(report.steps[index].state);
        }
        return text;
    }
    [[nodiscard]] static std::string message(const workflow::RunReport& report) {
        return report.error ? report.error->message : "no error";
    }

    Result<workflow::Workflow> workflow = fail(ErrorCode::kInternal, "none read");
    workflow::Run* running = nullptr; // on the runtime's thread

private:
    Task<workflow::RunReport> run_there(const workflow::JsonText& input) {
        workflow::Run run(*workflow, input,
                          {.gateway = gateway,
                           .clock = clock,
                           .executor = runtime.context(0).get_executor(),
                           .settings = settings,
                           .limits = limits,
                           .name_space = "web",
                           .user = "ann",
                           .listener = listener,
                           .budget = &budget});
        running = &run;
        auto report = co_await run.run();
        running = nullptr;
        co_return report;
    }
};

} // namespace larder::testing
