#include "api/cors.hpp"

#include <algorithm>

namespace larder::api {
namespace {

constexpr std::string_view kExposed =
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit, RateLimit-Policy, "
    "Retry-After, "
    "x-larder-cache, x-larder-route, x-larder-route-tried, x-larder-request-id, "
    "x-larder-upstream-request-id, request-id, Age, ETag, x-request-id";
constexpr std::string_view kPreflight =
    "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
    "Access-Control-Max-Age: 7200\r\n";

/// A list of field names and nothing else: safe to be sent back.
bool is_name_list(std::string_view value) {
    return std::ranges::all_of(value, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == ',' || c == ' ';
    });
}

} // namespace

CorsDecision decide_cors(const std::vector<std::string>& origins, const http::RequestHead& head) {
    CorsDecision decision;
    if (origins.empty())
        return decision;
    const auto origin = head.fields.find("origin");
    if (!origin)
        return decision;
    decision.is_preflight = head.method == http::Method::kOptions &&
                            head.fields.find("access-control-request-method").has_value();
    const bool listed = std::ranges::any_of(
        origins, [&](const std::string& one) { return one == "*" || one == *origin; });
    if (!listed) {
        decision.head_lines = "Vary: Origin\r\n";
        return decision;
    }
    decision.head_lines =
        "Access-Control-Allow-Origin: " + std::string(*origin) + "\r\nVary: Origin\r\n";
    if (decision.is_preflight) {
        decision.head_lines += kPreflight;
        // What the page asks for: SDKs send fields of their own, and none of them is a danger here.
        const auto asked = head.fields.find("access-control-request-headers");
        if (asked && is_name_list(*asked))
            decision.head_lines += "Access-Control-Allow-Headers: " + std::string(*asked) + "\r\n";
    } else {
        ((decision.head_lines += "Access-Control-Expose-Headers: ") += kExposed) += "\r\n";
    }
    return decision;
}

} // namespace larder::api
