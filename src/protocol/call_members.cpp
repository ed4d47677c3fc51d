// Members of requests that several dialects check in the same way.
#include "protocol/call_members.hpp"

#include <cmath>

namespace larder::protocol {

std::unexpected<Error> wrong_type(std::string_view field, std::string_view expected) {
    return fail_field(std::string(field),
                      "`" + std::string(field) + "` must be " + std::string(expected));
}

Result<void> read_temperature(Cursor value, Call& call) {
    const auto number = value.value().as_double();
    if (!value.is(json::Kind::kNumber) || !number || !std::isfinite(*number))
        return wrong_type("temperature", "a number");
    if (*number < 0)
        return wrong_type("temperature", "0 or more");
    call.has_temperature = true;
    call.temperature = *number;
    return {};
}

Result<void> read_bound(std::string_view field, Cursor value, std::int64_t least, Call& call) {
    const auto number =
        value.is(json::Kind::kNumber) ? value.value().as_int() : std::optional<std::int64_t>();
    if (!number)
        return wrong_type(field, "a whole number");
    if (*number < least)
        return wrong_type(field, std::to_string(least) + " or more");
    call.bounds_output = true;
    return {};
}

Result<void> read_stream(Cursor value, Call& call) {
    const auto on = value.value().as_bool();
    if (!on)
        return wrong_type("stream", "true or false");
    call.stream = *on;
    return {};
}

Result<void> read_model(Cursor value, Call& call) {
    if (!value.is_string())
        return wrong_type("model", "a string");
    call.model = value.string();
    if (call.model.find_first_not_of(" \t\r\n") == std::string::npos)
        return fail_field("model", "`model` must not be empty");
    if (call.bypass.empty())
        call.bypass = bypass_reason_of_model(call.model);
    return {};
}

Result<void> read_tools(std::string_view field, Cursor value, Call& call) {
    if (!value.is_array())
        return wrong_type(field, "an array");
    call.has_tools = call.has_tools || value.size() > 0;
    call.prompt_bytes += value.raw().size();
    return {};
}

} // namespace larder::protocol
