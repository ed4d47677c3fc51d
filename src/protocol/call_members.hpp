// Members of requests that several dialects check in the same way. Each reader takes a value that
// is no null and notes it in the call, or refuses it with its field. Pure, any thread.
#pragma once

#include "protocol/request.hpp"

#include <cstdint>
#include <string_view>

namespace larder::protocol {

/// "`field` must be `expected`"
std::unexpected<Error> wrong_type(std::string_view field, std::string_view expected);
Result<void> read_model(Cursor value, Call& call);
Result<void> read_stream(Cursor value, Call& call);
Result<void> read_temperature(Cursor value, Call& call);
/// A bound of the output, `least` or more.
Result<void> read_bound(std::string_view field, Cursor value, std::int64_t least, Call& call);
Result<void> read_tools(std::string_view field, Cursor value, Call& call);

/// The dialects that have readers of their own.
Result<Call> read_responses_call(Cursor root);

} // namespace larder::protocol
