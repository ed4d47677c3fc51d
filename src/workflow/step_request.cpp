#include "workflow/step_request.hpp"

#include "schema/schema.hpp"

#include <algorithm>

namespace larder::workflow {
namespace {

constexpr std::string_view kJsonOnly = "Answer with JSON only, valid against this JSON Schema: ";
constexpr std::string_view kMessagesEnd = "]}";

void add_text(std::string& out, std::string_view name, std::string_view value) {
    ((out += '"') += name) += "\":";
    json::write_string(out, value);
    out += ',';
}

/// Renders a text and takes its bytes off what the prompt may have.
Result<std::string> render_some(const Template& text, const Scope& scope, std::size_t& left,
                                std::size_t most) {
    auto rendered = render(text, scope, left);
    if (!rendered && rendered.error().code == ErrorCode::kTooLarge)
        return fail(ErrorCode::kUnprocessable,
                    "its prompt is larger than " + std::to_string(most) + " bytes");
    if (!rendered)
        return fail(ErrorCode::kUnprocessable, std::move(rendered).error().message);
    left -= std::min(left, rendered->size());
    return rendered;
}

void add_figures(std::string& out, const Step& step) {
    if (step.temperature) {
        out += "\"temperature\":";
        json::write_double(out, *step.temperature);
        out += ',';
    }
    if (step.max_tokens)
        (out += "\"maxTokens\":" + std::to_string(*step.max_tokens)) += ',';
}

} // namespace

Result<std::string> make_step_body(const Step& step, const Scope& scope,
                                   const StepRequestBounds& bounds) {
    std::string out = "{";
    if (!step.model.empty())
        add_text(out, "model", step.model);
    if (!step.provider.empty())
        add_text(out, "provider", step.provider);
    if (!step.routing_mode.empty())
        add_text(out, "routingMode", step.routing_mode);
    add_figures(out, step);
    if (bounds.stream)
        out += "\"stream\":true,";
    std::size_t left = bounds.prompt_bytes;
    std::string system;
    if (step.system) {
        LARDER_TRY(system, render_some(*step.system, scope, left, bounds.prompt_bytes));
    }
    if (step.output_schema_text) {
        system += system.empty() ? "" : "\n\n";
        (system += kJsonOnly) += *step.output_schema_text;
    }
    if (!system.empty())
        add_text(out, "system", system);
    out += "\"messages\":[";
    for (const Message& message : step.messages) {
        LARDER_TRY(const std::string content,
                   render_some(message.content, scope, left, bounds.prompt_bytes));
        out += &message == step.messages.data() ? "{" : ",{";
        add_text(out, "role", message.role);
        out += "\"content\":";
        json::write_string(out, content);
        out += '}';
    }
    return out += kMessagesEnd;
}

std::string make_repair_body(std::string body, std::string_view answer, std::string_view reason) {
    LARDER_ASSERT(body.ends_with(kMessagesEnd));
    body.resize(body.size() - kMessagesEnd.size());
    if (!answer.empty()) { // providers refuse empty messages
        body += R"(,{"role":"assistant","content":)";
        json::write_string(body, answer);
        body += '}';
    }
    body += R"(,{"role":"user","content":)";
    json::write_string(body, "That is not valid: " + std::string(reason) +
                                 ". Answer again with the whole JSON only.");
    return (body += '}') += kMessagesEnd;
}

std::optional<AnswerFault> check_answer(const Step& step, StepOutput& output) {
    const JsonText* const answer = json_of(output);
    if (answer == nullptr && output.json_too_large)
        return AnswerFault{
            .for_client = "the model's answer has more than " + std::to_string(kMostJsonValues) +
                          " JSON values, or nests deeper than " + std::to_string(kDeepestJson),
            .is_repairable = false};
    if (answer == nullptr)
        return AnswerFault{.for_model = "the answer is no JSON",
                           .for_client = "the model's answer is no JSON"};
    const auto violations = step.output_schema->check(answer->root());
    if (!violations)
        return AnswerFault{.for_client = "its outputSchema asks for too much work to check the "
                                         "model's answer: " +
                                         violations.error().message,
                           .code = ErrorCode::kUnprocessable,
                           .is_repairable = false};
    if (violations->empty()) {
        output.text = answer->text();
        return std::nullopt;
    }
    AnswerFault fault{.for_model = schema::to_text(*violations),
                      .for_client = "the model's answer is not valid against its schema, at "};
    constexpr std::size_t kMostShown = 500;
    constexpr std::size_t kMostPath = 100; // its names are the model's
    for (const schema::Violation& violation : *violations) {
        if (fault.for_client.size() > kMostShown)
            break;
        fault.for_client += &violation == violations->data() ? "" : ", ";
        fault.for_client +=
            violation.path.empty() ? "its root" : violation.path.substr(0, kMostPath);
    }
    return fault;
}

bool is_worth_another_try(const gateway::CompletionReply& reply) {
    if (!reply.error || reply.error->detail == kAnswerTooLarge)
        return false;
    switch (reply.error->code) {
    case ErrorCode::kProviderUnavailable:
    case ErrorCode::kProviderOverloaded:
    case ErrorCode::kProviderUnreadable:
    case ErrorCode::kOverloaded:
    case ErrorCode::kTimeout:
        return true;
    default: {
        const int status = reply.provider_status;
        if (status == 0) // an error inside an answer of 200, as of a stream that breaks off
            return reply.error->code == ErrorCode::kProviderRejected;
        return status == 408 || status == 409 || status == 429 || status >= 500;
    }
    }
}

} // namespace larder::workflow
