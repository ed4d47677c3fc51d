// How large a workflow may be, and what it may use: from the configuration. Plain values.
#pragma once

#include "llm/usage.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace larder::workflow {

inline constexpr std::size_t kMostSteps = 64;
inline constexpr int kDeepestChain = 32;                   // steps one after the other
inline constexpr std::size_t kDefinitionBytes = 1UL << 20; // of a workflow's JSON
inline constexpr std::size_t kMostReferences = 2'000;      // of all its templates and conditions
inline constexpr std::size_t kMostComparisons = 500;       // of all its conditions
inline constexpr std::size_t kMostPatterns = 32;           // of all its conditions

struct Limits {
    std::chrono::milliseconds time{300'000}; // of a whole workflow
    llm::Money cost{10'000'000'000'000};     // of all its calls: 10 dollars
    std::size_t parallel = 16;               // calls under way at once, of one workflow
    std::size_t calls = 1'000;               // of all steps, items and tries
    std::size_t items = 200;                 // of one forEach
    std::size_t prompt_bytes = 1UL << 20;    // of one rendered prompt, all messages together
    std::size_t output_bytes = 1UL << 20;    // of one answer; a forEach's list: 4 times that
};

} // namespace larder::workflow
