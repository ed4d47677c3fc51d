// Looks fields up by name and names statuses. Pure; the invariant is the header's: views point into
// the head's own bytes.
#include "http/message.hpp"

#include "base/text.hpp"

namespace larder::http {

namespace {

bool has_name(const Field& field, std::string_view name) {
    return field.name.size() == name.size() && text::equals_ignoring_case(field.name, name);
}

} // namespace

std::optional<std::string_view> Fields::find(std::string_view name) const {
    for (const Field& field : fields_) {
        if (has_name(field, name))
            return field.value;
    }
    return std::nullopt;
}

std::string Fields::joined(std::string_view name) const {
    std::string all;
    bool first = true;
    for (const Field& field : fields_) {
        if (!has_name(field, name))
            continue;
        if (!first)
            all += ", ";
        all += field.value;
        first = false;
    }
    return all;
}

std::size_t Fields::count(std::string_view name) const {
    std::size_t found = 0;
    for (const Field& field : fields_)
        found += has_name(field, name) ? 1 : 0;
    return found;
}

std::string_view reason_phrase(int status) {
    struct Reason {
        int status;
        std::string_view phrase;
    };
    // RFC 9110, section 15, and RFC 6585.
    static constexpr Reason kReasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {511, "Network Authentication Required"},
    };
    for (const Reason& reason : kReasons) {
        if (reason.status == status)
            return reason.phrase;
    }
    return "Unknown";
}

} // namespace larder::http
