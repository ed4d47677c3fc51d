#include "api/explain_requests.hpp"

#include "api/routes.hpp"

#include <algorithm>

namespace larder::api {
namespace {

using gateway::ShareScope;
using protocol::Dialect;

constexpr std::size_t kMostHeaders = 32;
constexpr std::size_t kLongestHeader = 4096;
constexpr std::size_t kLongestPath = 2048;

std::unexpected<Error> wrong(std::string field, std::string_view expected) {
    std::string message = "`" + field + "` must be " + std::string(expected);
    return fail_field(std::move(field), std::move(message));
}

std::optional<Dialect> dialect_at(std::string_view path) {
    std::string allow;
    const Route* route = find_route("POST", path, allow);
    if (route == nullptr)
        return std::nullopt;
    switch (route->endpoint) {
    case Endpoint::kGenerate:
        return Dialect::kLlm;
    case Endpoint::kChatCompletions:
        return Dialect::kOpenAiChat;
    case Endpoint::kResponses:
        return Dialect::kOpenAiResponses;
    case Endpoint::kMessages:
        return Dialect::kAnthropicMessages;
    default:
        return std::nullopt;
    }
}

Result<void> read_path(const std::string& field, json::Value value, ExplainQuestion& question) {
    const auto text = value.as_string();
    if (!text || text->size() > kLongestPath)
        return wrong(field, "a path");
    const std::size_t mark = text->find('?');
    const auto dialect = dialect_at(std::string_view(*text).substr(0, mark));
    if (!dialect)
        return wrong(field, "/llm/generate, /v1/chat/completions, /v1/responses or /v1/messages");
    question.dialect = *dialect;
    question.path = text->substr(0, mark);
    if (mark != std::string::npos && *dialect != Dialect::kLlm)
        question.query = text->substr(mark + 1);
    return {};
}

bool is_header_value(std::string_view value) {
    return value.size() <= kLongestHeader && std::ranges::all_of(value, [](char c) {
               const auto byte = static_cast<unsigned char>(c);
               return (byte >= 0x20 && byte != 0x7f) || c == '\t';
           });
}

Result<void> read_headers(const std::string& field, json::Value value, ExplainQuestion& question) {
    if (!value.is(json::Kind::kObject))
        return wrong(field, "an object");
    if (value.size() > kMostHeaders)
        return wrong(field, "at most " + std::to_string(kMostHeaders) + " headers");
    Result<void> read;
    value.for_each_member([&](std::string_view name, json::Value member) {
        auto text = member.as_string();
        if (name.size() > kLongestHeader)
            read = wrong(field, "headers with names that are shorter");
        else if (!text || !is_header_value(*text))
            read = wrong(field + "." + std::string(name), "a header's text");
        else
            question.headers.emplace_back(name, *std::move(text));
        return read.has_value();
    });
    return read;
}

/// `prefix`: "" or "requests[0].".
Result<ExplainQuestion> read_question(const std::string& prefix, json::Value object) {
    ExplainQuestion question;
    question.field = prefix + "request";
    bool has_request = false;
    Result<void> read;
    object.for_each_member([&](std::string_view name, json::Value value) {
        const std::string field = prefix + std::string(name);
        if (name == "request") {
            has_request = true;
            question.body = value.raw();
            if (!value.is(json::Kind::kObject))
                read = wrong(field, "an object: the body that would be sent");
        } else if (name == "path") {
            read = read_path(field, value, question);
        } else if (name == "headers") {
            read = read_headers(field, value, question);
        } else {
            read = fail_field(field, "the members are request, path and headers, or requests");
        }
        return read.has_value();
    });
    if (!read)
        return std::unexpected(std::move(read).error());
    if (!has_request)
        return fail_field(question.field, "`" + question.field + "` is missing");
    return question;
}

std::string_view scope_name(ShareScope scope) {
    switch (scope) {
    case ShareScope::kNamespace:
        return "namespace";
    case ShareScope::kUser:
        return "user";
    case ShareScope::kGlobal:
        return "global";
    }
    return "namespace";
}

void add_name(std::string& out, std::string_view name) {
    if (!out.ends_with('{'))
        out += ',';
    json::write_string(out, name);
    out += ':';
}

void add_text(std::string& out, std::string_view name, std::string_view text) {
    add_name(out, name);
    json::write_string(out, text);
}

void add_number(std::string& out, std::string_view name, std::int64_t number) {
    add_name(out, name);
    out += std::to_string(number);
}

void add_flag(std::string& out, std::string_view name, bool flag) {
    add_name(out, name);
    out += flag ? "true" : "false";
}

void add_part(std::string& out, const gateway::ExplainedPart& part) {
    if (!out.ends_with('['))
        out += ',';
    out += '{';
    add_text(out, "name", part.name);
    add_text(out, "in", part.in_body ? "body" : "envelope");
    add_text(out, "hash", part.hash);
    add_number(out, "bytes", static_cast<std::int64_t>(part.bytes));
    if (!part.shown.empty())
        add_text(out, "value", part.shown);
    out += '}';
}

/// What `x-larder-cache` would say; a call that is under way already is not looked for.
std::string_view outcome_of(const Explanation& explanation, std::int64_t now_ms) {
    const gateway::Prepared& prepared = explanation.prepared;
    if (!prepared.may_join)
        return "bypass";
    const auto& found = explanation.kept.found;
    const auto& max_age = prepared.directives.max_age_s;
    const bool answers = found && found->fresh && prepared.may_read &&
                         (!max_age || now_ms - found->entry->created_ms <= *max_age * 1000);
    return answers ? "hit" : "miss";
}

void add_entry(std::string& out, const gateway::Inspected& kept, std::int64_t now_ms) {
    add_name(out, "entry");
    out += '{';
    add_flag(out, "present", kept.found.has_value());
    if (kept.found) {
        const cache::Entry& entry = *kept.found->entry;
        add_text(out, "where", kept.from_store ? "store" : "memory");
        add_text(out, "state", kept.found->fresh ? "fresh" : "stale");
        add_number(out, "ageSeconds", std::max<std::int64_t>(now_ms - entry.created_ms, 0) / 1000);
        add_number(out, "expiresInSeconds",
                   (std::max<std::int64_t>(entry.fresh_until_ms - now_ms, 0) + 999) / 1000);
        add_text(out, "kind", entry.form == cache::PrimaryForm::kStream ? "stream" : "plain");
    }
    out += '}';
}

std::string_view kind_name(gateway::Difference::Kind kind) {
    switch (kind) {
    case gateway::Difference::Kind::kValue:
        return "value";
    case gateway::Difference::Kind::kMissing:
        return "missing";
    case gateway::Difference::Kind::kOrder:
        return "order";
    }
    return "value";
}

void add_hash(std::string& out, std::string_view name, std::string_view hash) {
    add_name(out, name);
    if (hash.empty())
        out += "null";
    else
        json::write_string(out, hash);
}

} // namespace

Result<ExplainQuestions> read_explain_questions(const json::Document& body) {
    const json::Value root = body.root();
    if (!root.is(json::Kind::kObject))
        return fail(ErrorCode::kInvalidRequest, "the body must be a JSON object");
    ExplainQuestions read;
    const auto list = root.find("requests");
    if (!list) {
        LARDER_TRY(ExplainQuestion question, read_question("", root));
        read.questions.push_back(std::move(question));
        return read;
    }
    read.is_list = true;
    if (root.size() > 1)
        return fail_field("requests", "`requests` stands alone");
    if (!list->is(json::Kind::kArray) || list->size() < 1 || list->size() > 2)
        return wrong("requests", "an array of one or two requests");
    Result<void> all;
    list->for_each_element([&](json::Value element) {
        const std::string place = "requests[" + std::to_string(read.questions.size()) + "]";
        if (!element.is(json::Kind::kObject)) {
            all = wrong(place, "an object");
            return false;
        }
        auto question = read_question(place + ".", element);
        if (question)
            read.questions.push_back(*std::move(question));
        else
            all = std::unexpected(std::move(question).error());
        return all.has_value();
    });
    if (!all)
        return std::unexpected(std::move(all).error());
    return read;
}

std::string write_explanation(const Explanation& explanation, const gateway::ValueHasher& hasher,
                              std::int64_t now_ms) {
    const gateway::Prepared& prepared = explanation.prepared;
    const std::string_view bypass = gateway::explain_bypass(prepared);
    std::string out = "{";
    add_flag(out, "cacheable", bypass.empty());
    if (!bypass.empty())
        add_text(out, "bypass", bypass);
    if (prepared.rule)
        add_text(out, "rule", "cache.rules[" + std::to_string(*prepared.rule) + "]");
    add_text(out, "outcome", outcome_of(explanation, now_ms));
    add_text(out, "key", hasher.of_key(prepared.key));
    add_text(out, "provider", prepared.target.provider->name);
    add_text(out, "model", prepared.target.model);
    add_text(out, "form", gateway::explain_form(prepared.form));
    add_text(out, "sharedWith", scope_name(prepared.settings->cache.scope));
    add_number(out, "ttlSeconds",
               std::chrono::duration_cast<std::chrono::seconds>(prepared.ttl).count());
    if (prepared.directives.buckets > 1)
        add_number(out, "buckets", prepared.directives.buckets);
    add_entry(out, explanation.kept, now_ms);
    add_name(out, "parts");
    out += '[';
    for (const gateway::ExplainedPart& part : explanation.parts.parts)
        add_part(out, part);
    out += ']';
    if (explanation.parts.left_out > 0)
        add_number(out, "partsLeftOut", static_cast<std::int64_t>(explanation.parts.left_out));
    add_name(out, "ignored");
    out += '[';
    for (const std::string& name : explanation.contents.ignored) {
        if (!out.ends_with('['))
            out += ',';
        json::write_string(out, name);
    }
    return out += "]}";
}

Result<std::string> write_differences(const Explanation& first, const Explanation& second,
                                      const gateway::ValueHasher& hasher) {
    LARDER_TRY(const gateway::Differences differences,
               gateway::explain_differences(first.contents, second.contents, hasher));
    std::string out = "{";
    add_flag(out, "sameKey", first.prepared.key == second.prepared.key);
    add_name(out, "differences");
    out += '[';
    for (const gateway::Difference& row : differences.rows) {
        if (!out.ends_with('['))
            out += ',';
        out += '{';
        add_text(out, "path", row.path);
        add_text(out, "in", row.in_body ? "body" : "envelope");
        add_text(out, "kind", kind_name(row.kind));
        add_hash(out, "first", row.first);
        add_hash(out, "second", row.second);
        out += '}';
    }
    out += ']';
    if (differences.some_left_out)
        add_flag(out, "moreDifferences", true);
    return out.substr(1);
}

} // namespace larder::api
