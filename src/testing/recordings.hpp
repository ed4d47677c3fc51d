// Recorded provider traffic for tests and the replay provider: one JSON object a line. The file is
// named by LARDER_RECORDINGS, else it is looked for beside the checkout; where it is missing,
// `load_recordings` says so and tests that need it are skipped.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder::testing {

/// One exchange; absent members are empty. `request_body` and `expect` are raw JSON ("null" where
/// there is none).
struct Recording {
    std::string id;
    std::string provider;
    std::string api; // "openai.chat", "anthropic.messages", …
    std::string model;
    bool stream = false;
    std::vector<std::string> tags;
    std::string method;
    std::string path;
    std::map<std::string, std::string> request_headers;
    std::string request_body;
    int status = 0;
    std::map<std::string, std::string> response_headers;
    std::string response_body;
    std::string expect;

    [[nodiscard]] bool has_tag(std::string_view tag) const {
        for (const std::string& own : tags) {
            if (own == tag)
                return true;
        }
        return false;
    }
};

inline std::string recordings_path() {
    if (const char* named = std::getenv("LARDER_RECORDINGS"))
        return named;
    return LARDER_SOURCE_DIR "/../shared/data/recorded/exchanges.jsonl";
}

namespace recordings_internal {

inline std::string text_of(json::Value object, std::string_view name) {
    const auto member = object.find(name);
    return member ? member->as_string().value_or(std::string()) : std::string();
}

inline std::string raw_of(json::Value object, std::string_view name) {
    const auto member = object.find(name);
    return member ? std::string(member->raw()) : std::string("null");
}

inline std::map<std::string, std::string> headers_of(json::Value message) {
    std::map<std::string, std::string> headers;
    if (const auto member = message.find("headers")) {
        member->for_each_member([&](std::string_view name, json::Value value) {
            headers.emplace(name, value.as_string().value_or(std::string()));
            return true;
        });
    }
    return headers;
}

inline void read_request(json::Value request, Recording& recording) {
    recording.method = text_of(request, "method");
    recording.path = text_of(request, "path");
    recording.request_headers = headers_of(request);
    recording.request_body = raw_of(request, "body");
}

inline void read_response(json::Value response, Recording& recording) {
    const auto status = response.find("status");
    recording.status = status ? static_cast<int>(status->as_int().value_or(0)) : 0;
    recording.response_headers = headers_of(response);
    recording.response_body = text_of(response, "body");
}

} // namespace recordings_internal

/// Reads one line of the file.
inline Result<Recording> read_recording(std::string_view line) {
    namespace internal = recordings_internal;
    LARDER_TRY(const json::Document document, json::parse(line));
    const json::Value root = document.root();
    Recording recording;
    recording.id = internal::text_of(root, "id");
    recording.provider = internal::text_of(root, "provider");
    recording.api = internal::text_of(root, "api");
    recording.model = internal::text_of(root, "model");
    recording.expect = internal::raw_of(root, "expect");
    if (const auto stream = root.find("stream"))
        recording.stream = stream->as_bool().value_or(false);
    if (const auto tags = root.find("tags")) {
        tags->for_each_element([&](json::Value tag) {
            recording.tags.push_back(tag.as_string().value_or(std::string()));
            return true;
        });
    }
    if (const auto request = root.find("request"))
        internal::read_request(*request, recording);
    if (const auto response = root.find("response"))
        internal::read_response(*response, recording);
    return recording;
}

/// All exchanges of the file that `wanted` takes (none: all of them). kNotFound when there is no
/// such file.
inline Result<std::vector<Recording>>
load_recordings(const std::string& path = recordings_path(),
                const std::function<bool(const Recording&)>& wanted = nullptr) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(ErrorCode::kNotFound,
                    "no recordings at " + path + " (LARDER_RECORDINGS names another place)");
    std::vector<Recording> recordings;
    std::string line;
    while (std::getline(file, line)) {
        if (line.empty())
            continue;
        auto recording = read_recording(line);
        if (!recording)
            return std::unexpected(std::move(recording).error().with(path));
        if (!wanted || wanted(*recording))
            recordings.push_back(*std::move(recording));
    }
    return recordings;
}

} // namespace larder::testing
