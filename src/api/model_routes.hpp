// The models that a client may name: /llm/models, and /v1/models in the shape of either API.
#pragma once

#include "api/context.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace larder::api {

/// Serves GET /llm/models and GET /v1/models.
Task<void> serve_models(Context& context);

/// { "models": [{ "id", "provider", "model"?, "pricePerMillionTokens"?, … }] }
std::string llm_model_list(const provider::Catalog& catalog);
std::string openai_model_list(const provider::Catalog& catalog);
/// One page, as `limit`, `after_id` and `before_id` of the query ask; kInvalidRequest where they
/// can't be read or name no model.
Result<std::string> anthropic_model_list(const provider::Catalog& catalog, std::string_view query);

/// One model in the caller's shape, where no provider has to be asked: an alias, a model that its
/// provider's `models` lists, or a known one whose provider speaks another API than the caller.
std::optional<std::string> local_model(const provider::Catalog& catalog, std::string_view id,
                                       Style style);

} // namespace larder::api
