#include "api/errors.hpp"

#include "api/json_response.hpp"
#include "base/json.hpp"
#include "gateway/provider_reply.hpp"
#include "http/sse.hpp"

#include <array>

namespace larder::api {
namespace {

struct Row {
    ErrorCode code;
    int status;
    std::string_view llm;       // `code` of the contract
    std::string_view openai;    // `type`
    std::string_view anthropic; // `type`
};

constexpr std::array kTable{
    Row{ErrorCode::kInvalidRequest, 400, "invalid_request", "invalid_request_error",
        "invalid_request_error"},
    Row{ErrorCode::kUnauthorized, 401, "unauthorized", "invalid_request_error",
        "authentication_error"},
    Row{ErrorCode::kForbidden, 403, "forbidden", "invalid_request_error", "permission_error"},
    Row{ErrorCode::kNotFound, 404, "not_found", "invalid_request_error", "not_found_error"},
    Row{ErrorCode::kModelNotFound, 404, "model_not_found", "invalid_request_error",
        "not_found_error"},
    Row{ErrorCode::kMethodNotAllowed, 405, "method_not_allowed", "invalid_request_error",
        "invalid_request_error"},
    Row{ErrorCode::kConflict, 412, "conflict", "invalid_request_error", "invalid_request_error"},
    Row{ErrorCode::kNotCached, 504, "not_cached", "server_error", "timeout_error"},
    Row{ErrorCode::kTooLarge, 413, "body_too_large", "invalid_request_error", "request_too_large"},
    Row{ErrorCode::kHeadTooLarge, 431, "head_too_large", "invalid_request_error",
        "invalid_request_error"},
    Row{ErrorCode::kUnprocessable, 422, "unprocessable", "invalid_request_error",
        "invalid_request_error"},
    Row{ErrorCode::kUnsupportedMedia, 415, "unsupported_media_type", "invalid_request_error",
        "invalid_request_error"},
    Row{ErrorCode::kRateLimited, 429, "rate_limited", "requests", "rate_limit_error"},
    Row{ErrorCode::kProviderUnconfigured, 503, "provider_unconfigured", "server_error",
        "api_error"},
    Row{ErrorCode::kProviderRejected, 502, "provider_error", "server_error", "api_error"},
    Row{ErrorCode::kProviderUnreadable, 502, "provider_unreadable", "server_error", "api_error"},
    Row{ErrorCode::kProviderUnavailable, 502, "provider_unavailable", "server_error", "api_error"},
    Row{ErrorCode::kProviderOverloaded, 503, "provider_overloaded", "server_error",
        "overloaded_error"},
    Row{ErrorCode::kTimeout, 504, "timeout", "server_error", "timeout_error"},
    Row{ErrorCode::kCancelled, 503, "cancelled", "server_error", "api_error"},
    Row{ErrorCode::kOverloaded, 503, "overloaded", "server_error", "overloaded_error"},
    Row{ErrorCode::kStore, 503, "store_unavailable", "server_error", "api_error"},
    Row{ErrorCode::kInternal, 500, "internal_error", "server_error", "api_error"},
};

const Row& row_of(ErrorCode code) {
    for (const Row& row : kTable) {
        if (row.code == code)
            return row;
    }
    return kTable.back();
}

void add_text(std::string& out, std::string_view name, std::string_view value) {
    ((out += '"') += name) += "\":";
    json::write_string(out, value);
}

/// OpenAI's `code` where its SDKs look at it.
std::string_view openai_code(const Error& error) {
    if (!error.detail.empty())
        return error.detail;
    switch (error.code) {
    case ErrorCode::kUnauthorized:
        return "invalid_api_key";
    case ErrorCode::kRateLimited:
        return "rate_limit_exceeded";
    case ErrorCode::kInvalidRequest:
        return {};
    default:
        return row_of(error.code).llm;
    }
}

std::string llm_body(const Error& error, std::string_view code, std::string_view request_id) {
    std::string body = "{";
    add_text(body, "error", error.message);
    add_text(body += ',', "code", code);
    if (!error.field.empty())
        add_text(body += ',', "field", error.field);
    if (error.position)
        body += ",\"position\":" + std::to_string(*error.position);
    add_text(body += ',', "requestId", request_id);
    return body += '}';
}

std::string openai_body(const Error& error, std::string_view type) {
    std::string body = "{\"error\":{";
    add_text(body, "message", error.message);
    add_text(body += ',', "type", type);
    body += ",\"param\":";
    if (error.field.empty())
        body += "null";
    else
        json::write_string(body, error.field);
    body += ",\"code\":";
    if (const auto code = openai_code(error); code.empty())
        body += "null";
    else
        json::write_string(body, code);
    return body += "}}";
}

std::string anthropic_body(const Error& error, std::string_view type, std::string_view request_id) {
    std::string body = R"({"type":"error","error":{)";
    add_text(body, "type", type);
    const std::string at = error.field.empty() ? "" : error.field + ": ";
    add_text(body += ',', "message",
             error.message.contains(error.field) ? error.message : at + error.message);
    body += "},";
    add_text(body, "request_id", request_id);
    return body += '}';
}

/// Whose class an SDK throws goes by the status; these are the types that go with it.
std::string_view anthropic_type_of(int status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 408:
    case 504:
        return "timeout_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 529:
    case 503:
        return "overloaded_error";
    default:
        return status < 500 ? "invalid_request_error" : "api_error";
    }
}

std::string_view openai_type_of(int status) {
    if (status == 429)
        return "requests";
    return status < 500 ? "invalid_request_error" : "server_error";
}

/// An error's body as the event that its API ends a stream with.
std::string event_of(Style style, std::string body) {
    std::string event;
    const auto document = json::parse(body);
    const auto error = document ? document->root().find("error") : std::nullopt;
    if (style == Style::kOpenAiResponses && error) {
        // The flat members are the reference's; SDKs throw for `error`.
        std::string flat = R"({"type":"error")";
        for (const std::string_view name : {"code", "message", "param"}) {
            const auto member = error->find(name);
            ((flat += ",\"") += name) += "\":";
            flat += member ? member->raw() : "null";
        }
        flat += R"(,"sequence_number":0,"error":)";
        (flat += error->raw()) += '}';
        body = std::move(flat);
    }
    http::write_sse(event, style == Style::kOpenAi ? "" : "error", body);
    return event;
}

/// Under /llm the caller is not the provider's customer: what concerns our own account at the
/// provider is our failure.
int status_under_llm(int status) {
    switch (status) {
    case 400:
    case 404:
    case 408:
    case 409:
    case 413:
    case 422:
    case 429:
        return status;
    default:
        return 502;
    }
}

} // namespace

int status_of(const Error& error) {
    return row_of(error.code).status;
}

std::string_view name_of(ErrorCode code) {
    return row_of(code).llm;
}

std::string error_body(Style style, const Error& error, std::string_view request_id) {
    const Row& row = row_of(error.code);
    switch (style) {
    case Style::kLlm:
        return llm_body(error, error.detail.empty() ? row.llm : std::string_view(error.detail),
                        request_id);
    case Style::kOpenAi:
    case Style::kOpenAiResponses:
        return openai_body(error, row.openai);
    case Style::kAnthropic:
        return anthropic_body(error, row.anthropic, request_id);
    }
    return {};
}

http::Response error_response(Style style, const Error& error, std::string_view request_id) {
    http::Response response = json_response(error_body(style, error, request_id), status_of(error));
    if (error.code == ErrorCode::kProviderOverloaded || error.code == ErrorCode::kOverloaded)
        response.fields.emplace_back("Retry-After", "1");
    if (error.code == ErrorCode::kUnauthorized)
        response.fields.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

http::Response rate_limited_response(Style style, std::string_view message,
                                     std::int64_t retry_after_s, std::string_view request_id) {
    const Error error{.code = ErrorCode::kRateLimited, .message = std::string(message)};
    if (style != Style::kLlm)
        return json_response(error_body(style, error, request_id), 429);
    std::string body = "{";
    add_text(body, "error", message);
    body += ",\"retryAfter\":" + std::to_string(retry_after_s) + ',';
    add_text(body, "code", "rate_limited");
    add_text(body += ',', "requestId", request_id);
    return json_response(body += '}', 429);
}

http::Response provider_error_response(Style style, bool same_api, int status,
                                       std::string_view body, std::string_view content_type,
                                       std::string_view provider, std::string_view request_id) {
    if (style != Style::kLlm && same_api) {
        http::Response response;
        response.status = status;
        response.fields.emplace_back("Content-Type", content_type);
        response.fields.emplace_back("X-Content-Type-Options", "nosniff");
        response.body = body;
        return response;
    }
    const std::string said = gateway::provider_message(body);
    Error error{.code = ErrorCode::kProviderRejected,
                .message = "provider " + std::string(provider) + " answered " +
                           std::to_string(status) + (said.empty() ? "" : ": " + said)};
    if (style == Style::kAnthropic)
        return json_response(anthropic_body(error, anthropic_type_of(status), request_id), status);
    if (style != Style::kLlm)
        return json_response(openai_body(error, openai_type_of(status)), status);
    if (status == 429)
        error.detail = "provider_rate_limited";
    return json_response(error_body(style, error, request_id), status_under_llm(status));
}

std::string error_event(Style style, const Error& error, std::string_view request_id) {
    return event_of(style, error_body(style, error, request_id));
}

std::string provider_error_event(Style style, bool same_api, int status, std::string_view body,
                                 std::string_view provider, std::string_view request_id) {
    const bool is_readable = same_api && json::parse(body).has_value();
    const http::Response response =
        provider_error_response(style, is_readable, status, body, {}, provider, request_id);
    return event_of(style, response.body);
}

} // namespace larder::api
