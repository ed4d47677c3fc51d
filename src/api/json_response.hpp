// A whole reply in JSON.
#pragma once

#include "http/server.hpp"

#include <string>
#include <utility>

namespace larder::api {

inline http::Response json_response(std::string body, int status = 200) {
    http::Response response;
    response.status = status;
    response.fields.emplace_back("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

} // namespace larder::api
