// What POST /llm/cache/explain is asked, and how its answer reads. Pure, any thread.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "gateway/explain.hpp"
#include "http/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::api {

/// One request to be explained. Its views stand in the body that was read.
struct ExplainQuestion {
    std::string field; // "request", "requests[1].request": where it stands
    protocol::Dialect dialect = protocol::Dialect::kLlm;
    std::string_view body;
    std::string path = "/llm/generate";
    std::string query;
    http::OwnedFields headers;
};

struct ExplainQuestions {
    std::vector<ExplainQuestion> questions; // one or two
    bool is_list = false;                   // `requests`, and the answer is a list too
};

/// { "request": {…}, "path"?, "headers"? } or { "requests": [ {…}, {…} ] } of the same, and nothing
/// else. An Error names the member as `field`.
Result<ExplainQuestions> read_explain_questions(const json::Document& body);

/// What is known of one request.
struct Explanation {
    gateway::Prepared prepared;
    gateway::KeyContents contents;
    gateway::ExplainedParts parts;
    gateway::Inspected kept;
};

/// The object of one. `now_ms`: for ages.
std::string write_explanation(const Explanation& explanation, const gateway::ValueHasher& hasher,
                              std::int64_t now_ms);
/// `"sameKey": …, "differences": […]` of two.
Result<std::string> write_differences(const Explanation& first, const Explanation& second,
                                      const gateway::ValueHasher& hasher);

} // namespace larder::api
