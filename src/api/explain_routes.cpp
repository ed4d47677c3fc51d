#include "api/explain_routes.hpp"

#include "api/llm_routes.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace larder::api {
namespace {

/// The error of a request that stands inside a body, at its place there.
Error moved(Error error, const ExplainQuestion& question) {
    error.position.reset(); // it counts from elsewhere
    if (error.field.empty())
        error.field = question.field;
    else if (std::ranges::any_of(question.headers, [&](const auto& header) {
                 return text::equals_ignoring_case(header.first, error.field);
             }))
        error.field =
            question.field.substr(0, question.field.rfind("request")) + "headers." + error.field;
    else
        error.field = question.field + "." + error.field;
    return error;
}

} // namespace

Task<void> ExplainRoutes::serve(Context& context) {
    BudgetShare share(budget_);
    auto body = co_await context.exchange.read_body(context.settings->max_body, &share);
    if (!body) {
        co_await reply_error(context, body.error());
        co_return;
    }
    auto answer = co_await explain(context, *body);
    if (!answer) {
        co_await reply_error(context, answer.error());
        co_return;
    }
    http::Response response;
    response.fields.emplace_back("Content-Type", "application/json");
    response.body = *std::move(answer);
    co_await reply_with(context, std::move(response));
}

Task<Result<std::string>> ExplainRoutes::explain(Context& context, std::string_view body) {
    constexpr std::uint32_t kMostValues = 1'000'000; // two requests with what each may have
    auto document = json::parse(body, {.nodes = kMostValues});
    if (!document) {
        document.error().code = ErrorCode::kInvalidRequest;
        co_return std::unexpected(std::move(document).error());
    }
    auto read = read_explain_questions(*document);
    if (!read)
        co_return std::unexpected(std::move(read).error());
    std::vector<Explanation> explanations;
    for (const ExplainQuestion& question : read->questions) {
        auto explanation = prepare(context, question);
        if (!explanation)
            co_return std::unexpected(moved(std::move(explanation).error(), question));
        if (explanation->prepared.may_join)
            explanation->kept =
                co_await gateway_.inspect(explanation->prepared.key, context.store_budget);
        explanations.push_back(*std::move(explanation));
    }
    const std::int64_t now_ms = clock_.epoch_ms();
    std::string out;
    for (const Explanation& explanation : explanations)
        (out += out.empty() ? "" : ",") += write_explanation(explanation, hasher_, now_ms);
    if (!read->is_list)
        co_return out;
    out = "{\"requests\":[" + out + "]";
    if (explanations.size() == 2) {
        const auto differences = write_differences(explanations[0], explanations[1], hasher_);
        if (!differences)
            co_return std::unexpected(differences.error());
        (out += ',') += *differences;
    }
    co_return out += '}';
}

Result<Explanation> ExplainRoutes::prepare(const Context& context,
                                           const ExplainQuestion& question) const {
    const std::shared_ptr<const gateway::Settings>& settings = context.settings->gateway;
    http::Fields fields;
    for (const auto& [name, value] : question.headers)
        fields.add(name, text::trim(value));
    LARDER_TRY(gateway::Directives directives,
               gateway::read_directives(fields, settings->cache.ttl_max, settings->compat));
    const gateway::Inquiry inquiry{.dialect = question.dialect,
                                   .body = question.body,
                                   .query = question.query,
                                   .name_space = context.principal->name_space,
                                   .user = context.principal->user,
                                   .forwarded = forwarded_fields(question.dialect, fields),
                                   .directives = std::move(directives)};
    Explanation explanation;
    LARDER_TRY(explanation.prepared, gateway_.prepare(settings, inquiry, &explanation.contents));
    if (explanation.prepared.has_body_directives)
        explanation.contents.ignored.emplace_back("cache");
    LARDER_TRY(explanation.parts,
               gateway::explain_parts(explanation.prepared, explanation.contents, hasher_));
    return explanation;
}

} // namespace larder::api
