#include "workflow/estimate.hpp"

#include "workflow/definition_steps.hpp"
#include "workflow/models_of.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace larder::workflow {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kUnknownOutput = 4'096;    // tokens
constexpr std::int64_t kOfAnIndex = 4;            // tokens
constexpr std::int64_t kOfARepair = 600;          // what the model is told is wrong, in tokens
constexpr std::size_t kOfASchemaInstruction = 80; // bytes beside the schema

std::int64_t plus(std::int64_t a, std::int64_t b) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? kMost : sum;
}

std::int64_t times(std::int64_t a, std::int64_t b) {
    std::int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? kMost : product;
}

/// Tokens of a step's prompts.
struct Prompt {
    std::int64_t each = 0; // of every call's
    /// Of all items' together, once over the list: what they take from a list that a step made.
    std::int64_t shared = 0;
};

/// The rates of calls whose prompts have up to `prompt` tokens.
llm::Price at_prompt(const llm::Price& price, std::int64_t prompt) {
    llm::Price flat = price;
    if (price.long_prompt_above > 0 && prompt > price.long_prompt_above)
        flat.base = price.long_prompt;
    flat.long_prompt_above = 0;
    flat.base.output = std::max(flat.base.output, flat.base.reasoning);
    return flat;
}

class Estimator {
public:
    Estimator(const provider::Catalog& catalog, const Limits& limits, Estimate& estimate)
        : catalog_(catalog), limits_(limits), estimate_(estimate) {}

    void add(const Step& step) {
        const std::vector<Candidate> candidates = models_of(catalog_, step);
        const std::int64_t items = items_of(step);
        const std::int64_t output = output_of(step, candidates);
        const std::int64_t tries = step.retry.attempts;
        const std::int64_t asked = step.output_schema_text ? 2 : 1;
        const std::int64_t calls = times(times(items, tries), asked);
        const Prompt prompt = prompt_of(step, items);
        // The repair's prompt has the first answer too.
        const std::int64_t repair = asked > 1 ? plus(output, kOfARepair) : 0;
        const std::int64_t longest = plus(plus(prompt.each, prompt.shared), repair);
        const llm::Usage usage{.input = plus(plus(times(calls, prompt.each),
                                                  times(times(tries, asked), prompt.shared)),
                                             times(times(items, tries), repair)),
                               .output = times(calls, output)};
        std::int64_t dearest = 0;
        for (const Candidate& candidate : candidates) {
            if (candidate.price == nullptr)
                estimate_.priced = false;
            else
                dearest = std::max(
                    dearest, llm::cost_of(at_prompt(*candidate.price, longest), usage).picodollars);
        }
        estimate_.calls = plus(estimate_.calls, calls);
        estimate_.cost.picodollars = plus(estimate_.cost.picodollars, dearest);
        outputs_[step.id] = times(items, output);
    }

private:
    [[nodiscard]] std::int64_t items_of(const Step& step) const {
        if (!step.for_each)
            return 1;
        const std::size_t most = step.for_each->items_max > 0
                                     ? std::min(step.for_each->items_max, limits_.items)
                                     : limits_.items;
        return static_cast<std::int64_t>(most);
    }

    /// The longest answer of one call, in tokens.
    std::int64_t output_of(const Step& step, const std::vector<Candidate>& candidates) {
        if (step.max_tokens)
            return *step.max_tokens;
        std::int64_t longest = 0;
        for (const Candidate& candidate : candidates) {
            const bool is_known = candidate.price != nullptr && candidate.price->max_output > 0;
            estimate_.bounded = estimate_.bounded && is_known;
            longest = std::max(longest, is_known ? candidate.price->max_output : kUnknownOutput);
        }
        return longest;
    }

    Prompt prompt_of(const Step& step, std::int64_t items) {
        Prompt prompt;
        std::size_t bytes = step.system ? step.system->bytes : 0;
        for (const Message& message : step.messages)
            bytes += message.content.bytes;
        if (step.output_schema_text)
            bytes += step.output_schema_text->size() + kOfASchemaInstruction;
        prompt.each = llm::estimate_tokens(bytes);
        const auto visited = visit_references(
            step, [&](const Reference& reference, Use use, std::string_view) -> Result<void> {
                if (use == Use::kText)
                    add(step, reference, items, prompt);
                return {};
            });
        LARDER_ASSERT(visited.has_value());
        return prompt;
    }

    void add(const Step& step, const Reference& reference, std::int64_t items, Prompt& prompt) {
        switch (reference.kind) {
        case Reference::Kind::kInput:
            prompt.each = plus(prompt.each, estimate_.input_tokens_each);
            return;
        case Reference::Kind::kOutput:
        case Reference::Kind::kJson:
            prompt.each = plus(prompt.each, outputs_[reference.name]);
            return;
        case Reference::Kind::kIndex:
            prompt.each = plus(prompt.each, kOfAnIndex);
            return;
        case Reference::Kind::kItem:
            if (step.for_each->in.kind == Reference::Kind::kInput)
                prompt.each = plus(prompt.each, estimate_.input_tokens_each);
            else if (items > 0)
                prompt.shared = plus(prompt.shared, outputs_[step.for_each->in.name]);
            return;
        }
    }

    const provider::Catalog& catalog_;
    const Limits& limits_;
    Estimate& estimate_;
    std::map<std::string, std::int64_t, std::less<>> outputs_; // by step: its longest, in tokens
};

} // namespace

Estimate estimate(const Workflow& workflow, const provider::Catalog& catalog, const Limits& limits,
                  std::int64_t input_tokens_each) {
    Estimate estimate;
    estimate.input_tokens_each = std::max<std::int64_t>(input_tokens_each, 0);
    Estimator estimator(catalog, limits, estimate);
    for (const Step& step : workflow.steps)
        estimator.add(step);
    return estimate;
}

} // namespace larder::workflow
