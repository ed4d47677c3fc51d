// What a call used, in tokens by price class, and money in integers. Pure values.
#pragma once

#include <cstdint>
#include <string>

namespace larder::llm {

/// Tokens by class. The input classes don't overlap; `reasoning` is a part of `output`.
struct Usage {
    std::int64_t input = 0;          // prompt tokens at full price
    std::int64_t cached_input = 0;   // read from the provider's prompt cache
    std::int64_t cache_write = 0;    // written to it, 5 min class
    std::int64_t cache_write_1h = 0; // written to it, 1 h class
    std::int64_t output = 0;         // all generated tokens, reasoning included
    std::int64_t reasoning = 0;
    bool exact = false; // from the provider, not an estimate
    [[nodiscard]] std::int64_t prompt() const {
        return input + cached_input + cache_write + cache_write_1h;
    }
    [[nodiscard]] std::int64_t total() const { return prompt() + output; }
};

/// US dollars in units of 10^-12. 9.2 million dollars fit.
struct Money {
    std::int64_t picodollars = 0;
    [[nodiscard]] double dollars() const { return static_cast<double>(picodollars) / 1e12; }
};

/// Roughly four bytes of text a token; used where a provider sends no usage.
std::int64_t estimate_tokens(std::size_t text_bytes);

} // namespace larder::llm
