#include "api/route_trace.hpp"

#include "base/json.hpp"

#include <algorithm>

namespace larder::api {
namespace {

/// A name as it may stand in a head: what a client wrote may have anything in it.
void append_name(std::string& out, std::string_view name) {
    constexpr std::string_view kPlain = "-_.:/@+";
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    constexpr std::size_t kShownMax = 128;
    for (const char c : name.substr(0, kShownMax)) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || kPlain.contains(c);
        if (plain) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        ((out += '%') += kDigits[byte >> 4U]) += kDigits[byte & 15U];
    }
}

} // namespace

void RouteTrace::add_lines(std::string& lines) const {
    append_name(lines += "x-larder-route: ", route);
    lines += "\r\n";
    if (tried.empty())
        return;
    lines += "x-larder-route-tried: ";
    for (const gateway::Attempt& attempt : tried) {
        if (&attempt != &tried.front())
            lines += ", ";
        append_name(lines, attempt.provider);
        append_name(lines += '/', attempt.model);
        (lines += '=') += attempt.result;
    }
    lines += "\r\n";
}

std::string RouteTrace::to_json() const {
    std::string out = "{\"name\":";
    json::write_string(out, route);
    json::write_string(out += ",\"mode\":", provider::name_of(mode));
    out += ",\"tried\":[";
    for (const gateway::Attempt& attempt : tried) {
        if (&attempt != &tried.front())
            out += ',';
        json::write_string(out += "{\"provider\":", attempt.provider);
        json::write_string(out += ",\"model\":", attempt.model);
        json::write_string(out += ",\"result\":", attempt.result);
        (out += ",\"tookMs\":") += std::to_string(attempt.took_ms);
        out += '}';
    }
    return out += "]}";
}

std::string RouteTrace::in_metadata(std::string_view reply) const {
    // The reply ends with its metadata's end and its own.
    const std::size_t end = reply.rfind("}}");
    LARDER_ASSERT(end != std::string_view::npos);
    std::string out(reply.substr(0, end));
    (out += ",\"route\":") += to_json();
    return out += reply.substr(end);
}

} // namespace larder::api
