// Cross-origin requests (WHATWG Fetch, section 3.2) for the origins of the configuration. Pure, any
// thread.
#pragma once

#include "http/message.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace larder::api {

struct CorsDecision {
    std::string head_lines; // fields that the reply needs, as whole lines; empty for an origin that
                            // isn't listed
    bool is_preflight = false; // answer with 204 and these fields
};

/// `origins`: exact origins, or "*".
CorsDecision decide_cors(const std::vector<std::string>& origins, const http::RequestHead& head);

} // namespace larder::api
