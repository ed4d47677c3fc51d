// Gemini wants the signature of its thoughts back with the tool call that they led to. Clients of
// other APIs keep a call's id and nothing else of that kind, so the signature travels inside the
// id. Pure, any thread.
#pragma once

#include <string>
#include <string_view>

namespace larder::convert {

struct GeminiCallId {
    std::string id;        // Gemini's own, or one made for it
    std::string signature; // empty: none
};

/// For clients: letters, digits, '-' and '_' where the id has no others.
std::string join_call_id(const GeminiCallId& parts);
/// An id of any other origin comes back as it is, without a signature.
GeminiCallId split_call_id(std::string_view id);
/// The id of a call that Gemini gave none: the same in every form of one answer, another in the
/// next one. `number` counts the answer's calls from 0.
std::string make_call_id(std::string_view response_id, std::size_t number);

} // namespace larder::convert
