// Requests that Larder only passes through: which provider gets one, under which path, with which
// of the client's fields. Hosts come from the configuration alone. Pure, any thread.
#pragma once

#include "base/result.hpp"
#include "http/message.hpp"
#include "provider/catalog.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace larder::gateway {

/// A request as it came; the views live in the exchange's frame.
struct PassRequest {
    std::string_view method;
    std::string_view target; // as it came
    std::string_view path;   // "/v1/…", not decoded
    std::string_view query;
    const http::Fields& fields;
    std::string_view body;
    bool strips_cache = false; // takes LiteLLM's `cache` out of a JSON body
};

/// What is sent, to whom.
struct PassPlan {
    const provider::Provider* provider = nullptr; // of the catalog
    std::string model;                            // empty: the request names none
    std::string path;                             // below the base URL, with the query
    http::OwnedFields fields;
    std::optional<std::string> body; // where it is not the client's own bytes
    std::string content_type;
    std::string accept;
    bool repeatable = false; // does no harm when it is done twice
};

/// The one that `x-larder-provider` names; else the one that takes the JSON body's `model`, or the
/// model of a path `/v1/models/{id}`; else the first one of the API that the client speaks.
/// kInvalidRequest for a path that another server could read as another path, a body that says JSON
/// and is none, a `cache` to be stripped that is malformed, and a provider that isn't there;
/// kModelNotFound; kNotFound: no provider of that API.
Result<PassPlan> plan_pass(const provider::Catalog& catalog, const PassRequest& request);

/// The same for `/v1/messages/count_tokens`: by the body's model, of an Anthropic provider.
Result<PassPlan> plan_count(const provider::Catalog& catalog, const PassRequest& request);

/// Whether the client speaks Anthropic's API: it says so, or the path is one of that API only.
bool speaks_anthropic(std::string_view path, const http::Fields& fields);

/// The `{id}` of `/v1/models/{id}`, decoded; nullopt where the path is another one.
std::optional<std::string> model_of_path(std::string_view path);

} // namespace larder::gateway
