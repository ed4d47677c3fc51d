#include "api/workflow_routes.hpp"

#include "api/json_response.hpp"
#include "api/workflow_events.hpp"
#include "api/workflow_reply.hpp"
#include "async/deadlines.hpp"
#include "http/sse.hpp"
#include "workflow/generate.hpp"

#include <optional>
#include <utility>

namespace larder::api {
namespace {

http::Response schema_response() {
    http::Response response;
    response.fields.emplace_back("Content-Type", "application/schema+json");
    response.body = workflow::published_schema();
    return response;
}

/// As a JSON string, where a control character takes six.
std::size_t written_bytes(std::string_view text) {
    std::size_t bytes = text.size();
    for (const char c : text)
        bytes += static_cast<unsigned char>(c) < 0x20 ? 5 : c == '"' || c == '\\' ? 1 : 0;
    return bytes;
}

std::size_t bytes_of(const workflow::RunReport& report) {
    std::size_t bytes = report.output ? written_bytes(*report.output) : 0;
    for (const auto& [id, output] : report.outputs)
        bytes += written_bytes(output.text);
    return bytes;
}

std::string generated_body(const workflow::Generated& generated, std::string_view request_id) {
    const workflow::Estimate& estimate = generated.estimate;
    const auto flag = [](bool value) { return value ? "true" : "false"; };
    std::string out = R"({"workflow":)" + generated.text + R"(,"estimate":{"maxCost":)";
    json::write_double(out, estimate.cost.dollars());
    (out += R"(,"calls":)") += std::to_string(estimate.calls);
    (out += R"(,"priced":)") += flag(estimate.priced);
    (out += R"(,"bounded":)") += flag(estimate.bounded);
    (out += R"(,"inputTokensEach":)") += std::to_string(estimate.input_tokens_each);
    out += R"(},"metadata":{"model":)";
    json::write_string(out, generated.model);
    out += R"(,"provider":)";
    json::write_string(out, generated.provider);
    (out += R"(,"attempts":)") += std::to_string(generated.attempts);
    (out += R"(,"estimatedTokens":)") += std::to_string(generated.tokens);
    out += R"(,"estimatedCost":)";
    json::write_double(out, generated.cost.dollars());
    (out += R"(,"priced":)") += flag(generated.priced);
    out += R"(,"requestId":)";
    json::write_string(out, request_id);
    return out += "}}";
}

} // namespace

/// A workflow while it runs, for the request's coroutine and the run's.
struct WorkflowRoutes::Running {
    Running(WorkflowExecution execution_in, Executor executor, MemoryBudget& budget)
        : execution(std::move(execution_in)), events(executor, budget), reply_share(budget) {}

    WorkflowExecution execution;
    WorkflowEvents events;
    BudgetShare reply_share;
    std::optional<workflow::Run> run;
    workflow::RunReport report;
    bool is_over = false;

    [[nodiscard]] ShownRun shown(std::string_view request_id) const {
        return {.workflow = execution.workflow,
                .order = execution.order,
                .report = report,
                .request_id = request_id};
    }
    /// Room for the outputs in the reply, beside those in the report.
    void make_room() {
        if (reply_share.grow(2 * bytes_of(report)))
            return;
        report.outputs.clear();
        report.error =
            Error{.code = ErrorCode::kOverloaded, .message = "too much is under way; try again"};
    }
};

Task<void> WorkflowRoutes::serve(Context& context) {
    switch (context.route->endpoint) {
    case Endpoint::kWorkflowExecute:
        return execute(context);
    case Endpoint::kWorkflowGenerate:
        return generate(context);
    default:
        return reply_with(context, schema_response());
    }
}

Task<void> WorkflowRoutes::execute(Context& context) {
    BudgetShare share(budget_);
    auto body = co_await context.exchange.read_body(context.settings->max_body, &share);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    const auto& settings = context.settings->gateway;
    auto execution = read_workflow_execution(*body, context.settings->workflows, settings->catalog);
    if (!execution) {
        co_await reply_error(context, execution.error());
        co_return;
    }
    *body = {};
    const Executor executor = context.exchange.executor();
    auto running = std::make_shared<Running>(*std::move(execution), executor, budget_);
    const bool is_stream = running->execution.stream;
    running->run.emplace(running->execution.workflow, *running->execution.input,
                         workflow::RunParts{.gateway = gateway_,
                                            .clock = clock_,
                                            .executor = executor,
                                            .settings = settings,
                                            .limits = running->execution.limits,
                                            .name_space = context.principal->name_space,
                                            .user = context.principal->user,
                                            .listener = is_stream ? &running->events : nullptr,
                                            .budget = &budget_});
    if (is_stream)
        co_await stream(context, std::move(running));
    else
        co_await reply_at_the_end(context, std::move(running));
}

Task<void> WorkflowRoutes::reply_at_the_end(Context& context, std::shared_ptr<Running> running) {
    context.exchange.watch_gone([running] { running->run->cancel(); });
    if (context.exchange.gone()) // before anybody watched
        running->run->cancel();
    running->report = co_await running->run->run();
    context.exchange.watch_gone(nullptr);
    running->make_room();
    const auto& error = running->report.error;
    if (!error) {
        co_await reply_with(
            context, json_response(write_workflow_reply(running->shown(context.request_id))));
        co_return;
    }
    if (context.exchange.gone()) {
        co_await reply_error(context, *error);
        co_return;
    }
    context.error_code = name_of(error->code);
    http::Response response = error_response(context.style, *error, context.request_id);
    response.body = write_workflow_failure(running->shown(context.request_id));
    co_await reply_with(context, std::move(response));
}

Task<void> WorkflowRoutes::run_to_the_end(std::shared_ptr<Running> running) {
    running->report = co_await running->run->run();
    running->is_over = true;
    running->events.signal().notify();
}

Task<void> WorkflowRoutes::stream(Context& context, std::shared_ptr<Running> running) {
    http::Exchange& exchange = context.exchange;
    WorkflowEvents& events = running->events;
    const std::chrono::milliseconds silence = context.settings->stream_keep_alive;
    exchange.watch_gone([running] {
        running->run->cancel();
        running->events.signal().notify();
    });
    async::Deadline quiet(async::Deadlines::of(exchange.executor().context()),
                          [running] { running->events.signal().notify(); });
    http::OwnedFields fields{{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"}};
    Result<void> written =
        co_await exchange.begin_stream(200, std::move(fields), context.head_lines);
    async::spawn("workflow", exchange.executor(), run_to_the_end(running));
    while (!running->is_over || events.has_any()) {
        if (!written || events.has_lost() || exchange.gone())
            running->run->cancel();
        const std::string bytes = events.take();
        if (!bytes.empty()) {
            if (written && !exchange.gone())
                written = co_await exchange.write(bytes);
            continue;
        }
        if (silence.count() > 0)
            quiet.arm(silence);
        co_await events.signal().wait();
        if (quiet.has_expired() && written && !exchange.gone())
            written = co_await exchange.write(": keep-alive\n\n");
    }
    exchange.watch_gone(nullptr);
    if (!written || exchange.gone())
        co_return;
    if (events.has_lost())
        running->report.error =
            Error{.code = ErrorCode::kOverloaded, .message = "too much is under way; try again"};
    running->make_room();
    std::string last;
    if (const auto& error = running->report.error) {
        context.error_code = name_of(error->code);
        http::write_sse(last, "error", write_workflow_failure(running->shown(context.request_id)));
    } else {
        http::write_sse(last, "workflow.done",
                        write_workflow_reply(running->shown(context.request_id)));
    }
    co_await exchange.write(last);
    co_await exchange.end_stream();
}

Task<void> WorkflowRoutes::generate(Context& context) {
    BudgetShare share(budget_);
    auto body = co_await context.exchange.read_body(context.settings->max_body, &share);
    auto wish = body ? read_workflow_wish(*body)
                     : Result<WorkflowWish>(std::unexpected(std::move(body).error()));
    if (!wish) {
        co_await reply_error(context, wish.error());
        co_return;
    }
    const auto settings = context.settings->gateway;
    const auto generation = std::make_shared<workflow::Generation>(
        workflow::GenerationWish{.description = std::move(wish->description),
                                 .model = std::move(wish->model),
                                 .provider = std::move(wish->provider),
                                 .sample = std::move(wish->input)},
        workflow::GenerationParts{.gateway = gateway_,
                                  .clock = clock_,
                                  .executor = context.exchange.executor(),
                                  .settings = settings,
                                  .limits = context.settings->workflows,
                                  .check_model =
                                      [settings](const workflow::Step& step) {
                                          return check_step_model(settings->catalog, step);
                                      },
                                  .name_space = context.principal->name_space,
                                  .user = context.principal->user});
    context.exchange.watch_gone([generation] { generation->cancel(); });
    const auto generated = co_await generation->run();
    context.exchange.watch_gone(nullptr);
    if (generated)
        co_await reply_with(context, json_response(generated_body(*generated, context.request_id)));
    else
        co_await reply_error(context, generated.error());
}

} // namespace larder::api
