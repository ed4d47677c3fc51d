// Tests of the endpoints of workflows through a real server, with a real gateway and a provider of
// the test behind it.
#include "api/workflow_routes.hpp"

#include "testing/workflow_parts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace larder::api {
namespace {

using namespace std::chrono_literals;
using larder::testing::ChatAnswer;
using larder::testing::ChatProvider;
using larder::testing::ChatQuestion;
using larder::testing::RawConnection;
using ::testing::HasSubstr;
using ::testing::Not;

ChatAnswer say(const ChatQuestion& question) {
    ChatAnswer answer{.text = question.prompt};
    answer.status = question.prompt.starts_with("fail") ? 400 : 200;
    answer.hangs = question.prompt.starts_with("hang");
    return answer;
}

class WorkflowRoutesTest : public larder::testing::WorkflowTest {
protected:
    WorkflowRoutesTest()
        : routes_(gateway, budget, clock), settings_(std::make_shared<Settings>()),
          server_(
              runtime, {.listen = "127.0.0.1:0"},
              [this](http::Exchange& exchange) { return handle(exchange); },
              [](const Error&) { return http::Response{.status = 400}; }) {
        settings_->gateway = settings;
        EXPECT_TRUE(server_.start());
    }
    ~WorkflowRoutesTest() override { server_.stop(1s); }

    Task<void> handle(http::Exchange& exchange) {
        const http::RequestHead& head = exchange.head();
        std::string allow;
        Principal principal;
        principal.name_space = "web";
        Context context{.exchange = exchange,
                        .settings = settings_,
                        .route = find_route(head.method_text, head.path, allow),
                        .request_id = "r",
                        .principal = &principal,
                        .store_budget = async::TimeBudget(20s)};
        if (context.route != nullptr)
            co_await routes_.serve(context);
        ++handled_;
    }

    struct Reply {
        int status = 0;
        std::string head;
        std::string body;

        /// "steps.0.metadata.calls"
        [[nodiscard]] std::string at(std::string_view path) const {
            const auto document = json::parse(body);
            if (!document)
                return "no JSON";
            std::optional<json::Value> value = document->root();
            while (value && !path.empty()) {
                const std::string_view part = path.substr(0, path.find('.'));
                path.remove_prefix(std::min(path.size(), part.size() + 1));
                value = value->is(json::Kind::kArray) ? element(*value, part) : value->find(part);
            }
            return !value                           ? "absent"
                   : value->is(json::Kind::kString) ? *value->as_string()
                                                    : std::string(value->raw());
        }

    private:
        static std::optional<json::Value> element(json::Value array, std::string_view index) {
            std::optional<json::Value> found;
            int left = std::atoi(std::string(index).c_str());
            array.for_each_element([&](json::Value one) {
                if (left-- == 0)
                    found = one;
                return !found;
            });
            return found;
        }
    };
    [[nodiscard]] RawConnection send(std::string_view method, const std::string& target,
                                     const std::string& body) const {
        RawConnection connection = RawConnection::to(server_.address());
        const bool is_stream = body.contains("\"stream\":true"); // unchunked then, until the end
        connection.send(std::string(method) + " " + target +
                        (is_stream ? " HTTP/1.0" : " HTTP/1.1") + "\r\nHost: localhost\r\n" +
                        "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        return connection;
    }
    [[nodiscard]] Reply ask(std::string_view method, const std::string& target,
                            const std::string& body = "") const {
        RawConnection connection = send(method, target, body);
        auto raw = connection.read_reply();
        Reply reply{.head = std::move(raw.head), .body = std::move(raw.body)};
        reply.status = std::atoi(reply.head.substr(9, 3).c_str());
        if (!reply.head.contains("Content-Length"))
            reply.body = connection.read_to_end();
        return reply;
    }
    [[nodiscard]] Reply execute(const std::string& body) const {
        return ask("POST", "/llm/execute-workflow", body);
    }

    WorkflowRoutes routes_;
    std::shared_ptr<Settings> settings_;
    std::atomic<int> handled_ = 0;
    http::Server server_;
};

TEST_F(WorkflowRoutesTest, AnswerWithEveryStepInTheOrderTheyWereWritten) {
    const ChatProvider provider(say);
    use(provider);
    const Reply reply = execute(R"({"input":{"x":"hi"},"workflow":{"steps":[
        {"id":"late","prompt":"{{steps.early.output}}!"},
        {"id":"early","prompt":"{{input.x}}","cache":true}],"output":"<{{steps.late.output}}>"}})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.at("output"), "<hi!>");
    EXPECT_EQ(reply.at("steps.0.id"), "late");
    EXPECT_EQ(reply.at("steps.0.output"), "hi!");
    EXPECT_EQ(reply.at("steps.1.id"), "early");
    EXPECT_EQ(reply.at("steps.1.status"), "done");
    EXPECT_EQ(reply.at("steps.1.metadata.model"), "m-1");
    EXPECT_EQ(reply.at("steps.1.metadata.cached"), "false");
    EXPECT_EQ(reply.at("steps.1.metadata.cache"), "[\"miss\"]");
    EXPECT_EQ(reply.at("steps.1.metadata.estimatedTokens"), "15");
    EXPECT_EQ(reply.at("metadata.status"), "done");
    EXPECT_EQ(reply.at("metadata.calls"), "2");
    EXPECT_EQ(reply.at("metadata.estimatedTokens"), "30");
    EXPECT_EQ(reply.at("metadata.requestId"), "r");
    EXPECT_THAT(reply.head, Not(HasSubstr("x-larder-cache")));
}

TEST_F(WorkflowRoutesTest, TellWhatWasSavedByTheCache) {
    const ChatProvider provider(say);
    use(provider);
    const std::string body = R"({"workflow":{"steps":[{"id":"a","prompt":"x","cache":true}]}})";
    const Reply first = execute(body);
    const Reply second = execute(body);
    EXPECT_EQ(provider.calls(), 1);
    EXPECT_EQ(second.at("steps.0.metadata.cached"), "true");
    EXPECT_EQ(second.at("metadata.estimatedCost"), "0");
    EXPECT_EQ(second.at("metadata.savedCost"), first.at("metadata.estimatedCost"));
}

TEST_F(WorkflowRoutesTest, ShowTheJsonOfAStepThatIsHeldToASchema) {
    const ChatProvider provider(
        [](const ChatQuestion&) { return ChatAnswer{.text = "Here:\n```json\n{\"n\": 3}\n```"}; });
    use(provider);
    const Reply reply = execute(
        R"({"workflow":{"steps":[{"id":"a","prompt":"x","outputSchema":{"type":"object"}}]}})");
    EXPECT_EQ(reply.at("steps.0.json.n"), "3") << reply.body;
    EXPECT_EQ(reply.at("steps.0.output"), "{\"n\": 3}");
}

TEST_F(WorkflowRoutesTest, LoseNothingThatWasPaidForWhenAStepFails) {
    const ChatProvider provider(say);
    use(provider);
    const Reply reply = execute(R"({"workflow":{"steps":[{"id":"a","prompt":"x"},
        {"id":"b","prompt":"fail {{steps.a.output}}"},{"id":"c","prompt":"{{steps.b.output}}"}]}})");
    EXPECT_EQ(reply.status, 502);
    EXPECT_EQ(reply.at("code"), "provider_error");
    EXPECT_THAT(reply.at("error"), HasSubstr("step \"b\": "));
    EXPECT_EQ(reply.at("requestId"), "r");
    EXPECT_EQ(reply.at("steps.0.output"), "x");
    EXPECT_EQ(reply.at("steps.1.status"), "failed");
    EXPECT_EQ(reply.at("steps.1.error.code"), "provider_error");
    EXPECT_EQ(reply.at("steps.2.status"), "cancelled");
    EXPECT_EQ(reply.at("steps.2.output"), "null");
    EXPECT_EQ(reply.at("metadata.status"), "failed");
    EXPECT_EQ(reply.at("metadata.estimatedTokens"), "15");
}

TEST_F(WorkflowRoutesTest, ArePartialWhereTheRestWentOn) {
    const ChatProvider provider(say);
    use(provider);
    const Reply reply = execute(R"({"workflow":{"onError":"continue","steps":[
        {"id":"a","prompt":"fail"},{"id":"b","prompt":"x"}]}})");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.at("output"), "x");
    EXPECT_EQ(reply.at("metadata.status"), "partial");
}

TEST_F(WorkflowRoutesTest, RefuseBadInputBeforeAnyModelIsCalled) {
    const ChatProvider provider(say);
    use(provider);
    const Reply unknown_step =
        execute(R"({"workflow":{"steps":[{"id":"a","prompt":"{{steps.no.output}}"}]}})");
    EXPECT_EQ(unknown_step.status, 400);
    EXPECT_EQ(unknown_step.at("field"), "workflow.steps[0].prompt");
    const Reply no_input = execute(R"({"workflow":{"steps":[{"id":"a","prompt":"{{input.x}}"}]}})");
    EXPECT_EQ(no_input.status, 400);
    EXPECT_EQ(no_input.at("field"), "input.x");
    EXPECT_EQ(execute(R"({"workflow":{"steps":[{"id":"a","prompt":"x","model":"none-such"}]}})")
                  .at("code"),
              "model_not_found");
    EXPECT_EQ(execute("{").at("position"), "1");
    settings->catalog.providers[0].missing_variable = "THE_KEY";
    const Reply no_key = execute(R"({"workflow":{"steps":[{"id":"a","prompt":"x"}]}})");
    EXPECT_EQ(no_key.status, 503);
    EXPECT_THAT(no_key.at("error"), HasSubstr("THE_KEY"));
    EXPECT_EQ(provider.calls(), 0);
}

TEST_F(WorkflowRoutesTest, EndAtTheTimeThatTheRequestSets) {
    const ChatProvider provider(say);
    use(provider);
    const Reply reply =
        execute(R"({"workflow":{"steps":[{"id":"a","prompt":"hang"}]},"limits":{"time":"20ms"}})");
    EXPECT_EQ(reply.status, 504);
    EXPECT_EQ(reply.at("code"), "timeout");
    EXPECT_THAT(reply.at("error"), HasSubstr("20 ms"));
    EXPECT_EQ(reply.at("steps.0.status"), "cancelled");
}

TEST_F(WorkflowRoutesTest, CancelEverythingWhenTheClientLeaves) {
    const ChatProvider provider(say);
    use(provider);
    for (const std::string_view more : {"", ",\"stream\":true"}) {
        handled_ = 0;
        {
            const RawConnection connection = send(
                "POST", "/llm/execute-workflow",
                R"({"workflow":{"steps":[{"id":"a","prompt":"hang"}]})" + std::string(more) + "}");
            EXPECT_TRUE(larder::testing::eventually([&] { return provider.under_way() == 1; }));
            EXPECT_EQ(handled_, 0);
        }
        EXPECT_TRUE(larder::testing::eventually([&] { return provider.under_way() == 0; }));
        EXPECT_TRUE(larder::testing::eventually([&] { return handled_ == 1; }));
    }
}

TEST_F(WorkflowRoutesTest, StreamWhatHappensAndTheWholeReplyAtTheEnd) {
    const ChatProvider provider(say);
    use(provider);
    const Reply reply = execute(R"({"stream":true,"workflow":{"steps":[{"id":"a","prompt":"four"},
        {"id":"b","prompt":"b","when":{"value":"{{steps.a.output}}","equals":"no"}},
        {"id":"c","prompt":"{{item}}","forEach":{"in":"{{input.list}}","parallel":1},
         "dependsOn":["a"]}]},"input":{"list":["xy"]}})");
    EXPECT_THAT(reply.head, HasSubstr("Content-Type: text/event-stream\r\n"));
    EXPECT_THAT(reply.body, HasSubstr("event: step.started\ndata: {\"id\":\"a\"}\n\n"
                                      "event: step.delta\ndata: {\"id\":\"a\",\"text\":\"fo\"}\n\n"
                                      "event: step.delta\ndata: {\"id\":\"a\",\"text\":\"ur\"}\n\n"
                                      "event: step.done\ndata: {\"id\":\"a\",\"status\":\"done\""));
    EXPECT_THAT(reply.body,
                HasSubstr("event: step.done\ndata: {\"id\":\"b\",\"status\":\"skipped\""));
    EXPECT_THAT(
        reply.body,
        HasSubstr("event: step.delta\ndata: {\"id\":\"c\",\"index\":0,\"text\":\"x\"}\n\n"));
    EXPECT_THAT(reply.body, HasSubstr("event: workflow.done\ndata: {\"output\":\"[\\\"xy\\\"]\""));
}

TEST_F(WorkflowRoutesTest, EndAStreamWithAnErrorAndNeverDone) {
    const ChatProvider provider(say);
    use(provider);
    const Reply reply =
        execute(R"({"stream":true,"workflow":{"steps":[{"id":"a","prompt":"fail"}]}})");
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.body,
                HasSubstr("event: step.failed\ndata: {\"id\":\"a\",\"status\":\"failed\""));
    EXPECT_THAT(reply.body, HasSubstr("event: error\ndata: {\"error\":\"step \\\"a\\\": "));
    EXPECT_THAT(reply.body, HasSubstr("\"steps\":[{\"id\":\"a\""));
    EXPECT_THAT(reply.body, Not(HasSubstr("workflow.done")));
    const Reply refused = execute(R"({"stream":true,"workflow":{"steps":[]}})");
    EXPECT_EQ(refused.status, 400);
    EXPECT_THAT(refused.head, HasSubstr("Content-Type: application/json\r\n"));
}

TEST_F(WorkflowRoutesTest, KeepASilentStreamAlive) {
    const ChatProvider provider(say);
    use(provider);
    settings_->stream_keep_alive = 1ms;
    RawConnection connection =
        send("POST", "/llm/execute-workflow",
             R"({"stream":true,"workflow":{"steps":[{"id":"a","prompt":"hang"}]}})");
    EXPECT_TRUE(connection.read_until(": keep-alive\n\n").contains(": keep-alive\n\n"));
}

TEST_F(WorkflowRoutesTest, WriteAWorkflowFromADescription) {
    const ChatProvider provider([](const ChatQuestion& question) {
        EXPECT_TRUE(question.system.contains("\"$schema\""));
        return ChatAnswer{.text = R"({"workflow":{"steps":[{"id":"a","prompt":"{{input.x}}"}]}})"};
    });
    use(provider);
    const Reply reply =
        ask("POST", "/llm/workflow/generate", R"({"description":"say x","input":{"x":"hi"}})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.at("workflow.steps.0.id"), "a");
    EXPECT_EQ(reply.at("estimate.calls"), "1");
    EXPECT_EQ(reply.at("estimate.priced"), "true");
    EXPECT_EQ(reply.at("metadata.attempts"), "1");
    EXPECT_EQ(reply.at("metadata.model"), "m-1");
    EXPECT_EQ(ask("POST", "/llm/workflow/generate", "{}").at("field"), "description");
}

TEST_F(WorkflowRoutesTest, PublishTheSchema) {
    const Reply reply = ask("GET", "/llm/workflow/schema");
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.head, HasSubstr("Content-Type: application/schema+json\r\n"));
    EXPECT_EQ(reply.body, workflow::published_schema());
}

} // namespace
} // namespace larder::api
