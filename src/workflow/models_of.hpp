// Which models may answer a step, and at which prices. Pure.
#pragma once

#include "provider/catalog.hpp"
#include "workflow/definition.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace larder::workflow {

/// The route that `provider` and `model` (each may be empty) name; nullptr where they name none.
const provider::Route* route_of(const provider::Catalog& catalog, std::string_view provider,
                                std::string_view model);

/// A model that may answer. No price: not known.
struct Candidate {
    const llm::Price* price = nullptr; // points into the catalog
};

/// All models that a step may be answered by: of its route, of the routes below it, of the route
/// that its mode makes. Never empty.
std::vector<Candidate> models_of(const provider::Catalog& catalog, const Step& step);

/// What a call would cost at the dearest of them; those without a price count as 0.
llm::Money cost_at_most(const std::vector<Candidate>& candidates, const llm::Usage& usage);

} // namespace larder::workflow
