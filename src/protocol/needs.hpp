// What a request asks of a model, for routes that choose between some. Pure, any thread.
#pragma once

#include "base/json.hpp"
#include "protocol/protocol.hpp"

#include <cstdint>
#include <string>

namespace larder::protocol {

struct Needs {
    bool tools = false;
    bool vision = false;           // an image or a document among the messages
    bool json = false;             // response_format, text.format, output_format, output_config
    std::int64_t input_tokens = 0; // about: four bytes of text a token, 1,000 an image
    std::int64_t max_output_tokens = 0; // the request's own bound; 0: none
};

/// Of a request that `read_call` has taken.
Needs read_needs(Dialect dialect, const json::Document& body, const Call& call);

/// What names the conversation, so that it may stay with one target: `prompt_cache_key`, `user`,
/// `metadata.user_id` (Anthropic), `conversation`, in this order. Empty: nothing does.
std::string session_of(Dialect dialect, const json::Document& body);

} // namespace larder::protocol
