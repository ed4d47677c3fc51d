// What a workflow would cost at most. Pure.
#pragma once

#include "llm/usage.hpp"
#include "provider/catalog.hpp"
#include "workflow/definition.hpp"

#include <cstdint>

namespace larder::workflow {

struct Estimate {
    llm::Money cost; // with every try, item, repair, and the longest outputs
    std::int64_t calls = 0;
    bool priced = true;  // false: some model has no known price, and counts as 0
    bool bounded = true; // false: some model's longest output is not known; 4,096 tokens are taken
    std::int64_t input_tokens_each = 0; // what was taken for each member of the input
};

/// `input_tokens_each`: for each `{{input.…}}`.
Estimate estimate(const Workflow& workflow, const provider::Catalog& catalog, const Limits& limits,
                  std::int64_t input_tokens_each = 1'000);

} // namespace larder::workflow
