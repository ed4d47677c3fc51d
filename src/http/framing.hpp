// What Beast's parser accepts and RFC 9110 and 9112 allow to refuse: ambiguous lengths, codings,
// hosts, folding. Pure.
#pragma once

#include "base/result.hpp"
#include "http/message.hpp"

#include <string_view>

namespace larder::http {

/// Checks the raw bytes of a head (start line to blank line) before they are parsed: bare CR or LF,
/// NUL and other control characters, folded lines, white space before a colon or at a line's start,
/// empty names, names that are no token.
Result<void> check_raw_head(std::string_view head);

/// Fills `framing`, `host`, `keep_alive`, `expect_continue` of a parsed request, or refuses: no
/// Host or two, Transfer-Encoding that is not exactly "chunked" or stands beside Content-Length or
/// in HTTP/1.0, repeated or malformed Content-Length, a version other than 1.0 and 1.1, a target in
/// none of the four forms, an Expect other than 100-continue.
Result<void> check_request(RequestHead& head);

/// Fills `framing` and `keep_alive` of a parsed response, or refuses it.
Result<void> check_response(ResponseHead& head, bool to_head_request);

} // namespace larder::http
