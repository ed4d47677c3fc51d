// Upstash's REST wire: commands as JSON bodies, and what an answer comes to. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "redis/command.hpp"
#include "redis/reply.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::redis::upstash {

/// An answer is at most this long.
constexpr std::size_t kAnswerMax = 64UL * 1024 * 1024;

/// `["SET","k","v"]`: every argument as a string. kStore with detail "not_utf8" when one can't be.
Result<std::string> encode_command(const Command& command);
/// Appends it to the body of a pipeline or a transaction ("[" … "]" are the caller's).
Result<void> add_command(std::string& body, const Command& command);
/// Whether `text` is UTF-8 (RFC 3629): no surrogates, nothing longer than it needs to be.
bool is_utf8(std::string_view text);

/// An element of an answer with `Upstash-Encoding: base64`: `{"result":…}`, or `{"error":"…"}` as
/// an error Reply. "OK" is a status, other strings are decoded, integers are exact, other numbers
/// keep their digits as text. An Error (kStore, "unreadable") is for everything else.
Result<Reply> decode_answer(std::string_view body);
/// An array of `count` such elements.
Result<std::vector<Reply>> decode_answers(std::string_view body, std::size_t count);

/// The Error of an error text of Upstash's, without what might be a key or a value.
Error error_of_text(std::string_view text);

/// The form of an answer: of `POST /`, `/pipeline` and `/multi-exec`.
enum class Shape : std::uint8_t { kOne, kPipeline, kTransaction };

/// What was answered over HTTP.
struct Answer {
    int status = 0;
    std::string body;
    std::string retry_after; // the field's value; empty: none
};

/// What it comes to.
struct Verdict {
    enum class Kind : std::uint8_t {
        kReplies,  // `replies`, one for each command
        kRefused,  // all of it, as the client asked for it: `error`; the service is fine
        kOutage,   // so will everything be for a while: to be left alone
        kNotRun,   // surely nothing was run: may be repeated
        kUnsure,   // it may have been run
        kNotAsked, // by this client's own decision; says nothing of the service
    };
    Kind kind = Kind::kUnsure;
    std::vector<Reply> replies;
    Error error;                       // when there are no replies
    std::string reason;                // for Health, when something is wrong with the service
    std::chrono::milliseconds wait{0}; // it asked for so much time before the next try
};
Verdict judge(const Answer& answer, Shape shape, std::size_t count);

/// Seconds of a Retry-After field; 0 for a date or anything else.
std::chrono::milliseconds parse_retry_after(std::string_view value);

} // namespace larder::redis::upstash
