#include "workflow/generate.hpp"

#include "gateway/completion.hpp"
#include "protocol/protocol.hpp"
#include "schema/schema.hpp"
#include "workflow/models_of.hpp"
#include "workflow/step_request.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace larder::workflow {
namespace {

using Steady = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Steady, asio::wait_traits<Steady>, Executor>;

constexpr int kMostAttempts = 3;
constexpr std::size_t kMostReasonBytes = 1'000;
constexpr std::size_t kMostSampleBytes = 16UL << 10; // that the model is shown

constexpr std::string_view kInstructions =
    R"(You write workflows for a gateway to language models. A workflow is a JSON object with steps;
each step is one call of a model, with a prompt in which {{input.name}} stands for a member of the
workflow's input, {{steps.id.output}} for the text that an earlier step gave, and
{{steps.id.json.path}} for a part of its JSON. A step that reads another one waits for it; all
others run at the same time. Give a step an `outputSchema` where a later step or condition reads
its JSON. With `forEach` a step runs once for each element of a list, as {{item}} and {{index}}.
Steps can do nothing but ask models: they reach no network, files or tools. Name a `model` or a
`provider` only where the description does. Use as few steps as the task needs.

Answer with one JSON object and nothing else: {"workflow": …} with a workflow that is valid against
the schema below, or {"impossible": "reason"} where the description can't become such a workflow.

The JSON Schema of a workflow:
)";

std::string shortened(std::string text, std::size_t most) {
    if (text.size() <= most)
        return text;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U)
        --most;
    text.resize(most);
    return text += "…";
}

void add_member(std::string& out, std::string_view name, std::string_view raw) {
    out += out.empty() || out.ends_with('{') ? "" : ",";
    json::write_string(out, name);
    (out += ':') += raw;
}

void add_message(std::string& out, std::string_view role, std::string_view content) {
    out += out.ends_with('[') ? "{" : ",{";
    ((out += "\"role\":\"") += role) += "\",\"content\":";
    json::write_string(out, content);
    out += '}';
}

std::string describe(const GenerationWish& wish) {
    std::string text = "The task:\n" + wish.description;
    if (wish.sample)
        text +=
            "\n\nIts input looks like this:\n" + shortened(wish.sample->text(), kMostSampleBytes);
    return text;
}

std::string in_words(const Error& error) {
    return error.field.empty() ? error.message : error.field + ": " + error.message;
}

/// Of a sample's members the largest, as tokens.
std::int64_t tokens_of(const JsonText* sample) {
    if (sample == nullptr)
        return 1'000;
    std::int64_t most = 1;
    sample->root().for_each_member([&most](std::string_view, json::Value value) {
        most = std::max(most, llm::estimate_tokens(value.raw().size()));
        return true;
    });
    return most;
}

Result<schema::Schema> compile_published() {
    LARDER_TRY(const json::Document document, json::parse(published_schema()));
    return schema::Schema::compile(document.root());
}

/// Empty: it is valid.
Result<std::string> errors_of(json::Value written, const Surroundings& surroundings,
                              const JsonText* sample, Workflow& workflow) {
    LARDER_TRY(const schema::Schema published, compile_published());
    const auto violations = published.check(written);
    if (!violations)
        return violations.error().message;
    if (!violations->empty())
        return schema::to_text(*violations);
    auto read = read_workflow(written, surroundings);
    if (!read)
        return in_words(read.error());
    if (sample != nullptr) {
        if (const auto checked = check_input(*read, *sample); !checked)
            return in_words(checked.error()) + " (the sample input does not have it)";
    }
    workflow = *std::move(read);
    return std::string();
}

} // namespace

Result<std::string> answer_schema() {
    LARDER_TRY(const json::Document document, json::parse(published_schema()));
    if (!document.root().is(json::Kind::kObject))
        return fail(ErrorCode::kInternal, "the published schema is no object");
    std::string definitions = "{";
    std::string rest = "{";
    document.root().for_each_member([&](std::string_view name, json::Value value) {
        if (name == "$defs") {
            value.for_each_member([&](std::string_view definition, json::Value schema) {
                add_member(definitions, definition, schema.raw());
                return true;
            });
        } else if (name != "$schema" && name != "$id") {
            add_member(rest, name, value.raw());
        }
        return true;
    });
    add_member(definitions, "workflow", rest += '}');
    return R"({"type":"object","properties":{"workflow":{"$ref":"#/$defs/workflow"},)"
           R"("impossible":{"type":"string"}},"additionalProperties":false,"$defs":)" +
           definitions + "}}";
}

Result<WrittenWorkflow> read_written_workflow(std::string answer, const Surroundings& surroundings,
                                              const JsonText* sample) {
    WrittenWorkflow written;
    StepOutput output{.text = std::move(answer)};
    const JsonText* const text = json_of(output);
    if (text == nullptr || !text->root().is(json::Kind::kObject)) {
        written.errors = "the answer is no JSON object";
        return written;
    }
    if (const auto reason = text->root().find("impossible");
        reason && !text->root().find("workflow")) {
        written.impossible = shortened(reason->as_string().value_or(""), kMostReasonBytes);
        if (written.impossible.empty())
            written.impossible = "the model gave no reason";
        return written;
    }
    auto workflow = text->root().find("workflow");
    if (!workflow && text->root().find("steps"))
        workflow = text->root();
    if (!workflow) {
        written.errors = "the object has neither \"workflow\" nor \"impossible\"";
        return written;
    }
    LARDER_TRY(written.errors, errors_of(*workflow, surroundings, sample, written.workflow));
    if (written.errors.empty())
        written.text = workflow->raw();
    return written;
}

struct Generation::State {
    State(GenerationWish wish_in, GenerationParts parts_in)
        : wish(std::move(wish_in)), parts(std::move(parts_in)), timer(parts.executor) {}

    Result<void> resolve();
    [[nodiscard]] std::string make_body(std::string_view schema) const;
    Task<gateway::CompletionReply> ask();
    Result<std::optional<Generated>> judge(gateway::CompletionReply reply);
    void end(Error error);

    GenerationWish wish;
    GenerationParts parts;
    std::string model;          // as it is asked for where answers are held to a schema
    bool is_structured = false; // they are
    std::string body;
    Generated generated;
    std::unique_ptr<gateway::Completion> completion;
    Timer timer;
    std::optional<Error> ended; // from outside
};

/// Where the model's provider holds answers to a schema, it is asked in the dialect that can say
/// so.
Result<void> Generation::State::resolve() {
    const provider::Catalog& catalog = parts.settings->catalog;
    LARDER_TRY(const provider::Target target, catalog.resolve(wish.provider, wish.model));
    if (route_of(catalog, wish.provider, wish.model) != nullptr)
        return {}; // several providers may answer
    is_structured = target.provider->structured_outputs;
    model = target.provider->name + "/" + target.model;
    return {};
}

std::string Generation::State::make_body(std::string_view schema) const {
    std::string out = "{";
    if (is_structured) {
        out += "\"model\":";
        json::write_string(out, model);
        ((out += R"(,"response_format":{"type":"json_schema","json_schema":{"name":"workflow",)"
                 R"("schema":)") += schema) += "}},";
    } else {
        for (const auto& [name, value] :
             {std::pair<std::string_view, const std::string&>("\"model\":", wish.model),
              {"\"provider\":", wish.provider}}) {
            if (value.empty())
                continue;
            out += name;
            json::write_string(out, value);
            out += ',';
        }
    }
    out += "\"messages\":[";
    add_message(out, "system", std::string(kInstructions).append(published_schema()));
    add_message(out, "user", describe(wish));
    return out += "]}";
}

Task<gateway::CompletionReply> Generation::State::ask() {
    ++generated.attempts;
    completion = std::make_unique<gateway::Completion>(parts.gateway, parts.clock, parts.executor);
    auto reply = co_await completion->run(
        parts.settings,
        {.dialect = is_structured ? protocol::Dialect::kOpenAiChat : protocol::Dialect::kLlm,
         .body = body,
         .name_space = parts.name_space,
         .user = parts.user,
         .text_max = kDefinitionBytes});
    completion.reset();
    co_return reply;
}

/// nullopt: the model is asked again.
Result<std::optional<Generated>> Generation::State::judge(gateway::CompletionReply reply) {
    if (ended)
        return std::unexpected(*ended);
    if (reply.error)
        return std::unexpected(*std::move(reply.error));
    generated.provider = reply.provider;
    generated.model = reply.model;
    generated.tokens += reply.usage.total();
    generated.cost.picodollars += reply.is_saved ? 0 : reply.cost.picodollars;
    generated.priced = generated.priced && reply.priced;
    LARDER_TRY(WrittenWorkflow written,
               read_written_workflow(reply.text,
                                     {.limits = parts.limits, .check_model = parts.check_model},
                                     wish.sample.get()));
    if (!written.impossible.empty())
        return std::unexpected(Error{.code = ErrorCode::kUnprocessable,
                                     .message = "the description can't become a workflow: " +
                                                protocol::mask_secrets(written.impossible),
                                     .detail = "workflow_impossible"});
    if (written.errors.empty()) {
        generated.text = std::move(written.text);
        generated.estimate = estimate(written.workflow, parts.settings->catalog, parts.limits,
                                      tokens_of(wish.sample.get()));
        return std::move(generated);
    }
    if (generated.attempts >= kMostAttempts)
        return std::unexpected(Error{.code = ErrorCode::kUnprocessable,
                                     .message = "the model's workflow is still not valid: " +
                                                shortened(written.errors, kMostReasonBytes),
                                     .detail = "workflow_invalid"});
    body = make_repair_body(std::move(body), reply.text, written.errors);
    return std::nullopt;
}

void Generation::State::end(Error error) {
    if (ended)
        return;
    ended = std::move(error);
    if (completion)
        completion->cancel();
}

Generation::Generation(GenerationWish wish, GenerationParts parts)
    : state_(std::make_shared<State>(std::move(wish), std::move(parts))) {}

Generation::~Generation() {
    cancel();
}

void Generation::cancel() {
    state_->end({.code = ErrorCode::kCancelled, .message = "it was cancelled"});
    state_->timer.cancel();
}

Task<Result<Generated>> Generation::run() {
    const auto state = state_;
    auto schema = answer_schema();
    if (!schema)
        co_return std::unexpected(std::move(schema).error());
    if (auto resolved = state->resolve(); !resolved)
        co_return std::unexpected(std::move(resolved).error());
    state->timer.expires_after(state->parts.limits.time);
    state->timer.async_wait([weak = std::weak_ptr(state)](boost::system::error_code cancelled) {
        const auto self = weak.lock();
        if (!cancelled && self)
            self->end({.code = ErrorCode::kTimeout,
                       .message = "the model took too long to write the workflow"});
    });
    state->body = state->make_body(*schema);
    while (!state->ended) {
        auto reply = co_await state->ask();
        const bool refuses_schema = state->is_structured && reply.provider_status == 400;
        if (refuses_schema && state->generated.attempts == 1) { // too much of a schema for it
            state->is_structured = false;
            state->generated.attempts = 0;
            state->body = state->make_body(*schema);
            continue;
        }
        auto judged = state->judge(std::move(reply));
        if (judged && !*judged)
            continue;
        state->timer.cancel();
        if (!judged)
            co_return std::unexpected(std::move(judged).error());
        co_return **std::move(judged);
    }
    co_return std::unexpected(*state->ended);
}

} // namespace larder::workflow
