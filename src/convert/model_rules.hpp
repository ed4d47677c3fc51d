// What of a request depends on which model it is for: read off the model's name, for the providers
// say it nowhere else. Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::convert {

/// Whether thinking is steered by a level, with `adaptive`: Claude 4.6 and later. Earlier ones, and
/// unknown names, take a budget.
bool takes_effort(std::string_view claude);
/// Whether `xhigh` is one of its levels: Claude 4.7 and later.
bool takes_extra_high_effort(std::string_view claude);
/// Whether a system message may follow a user's: Claude 4.8 and later.
bool takes_later_system(std::string_view claude);

/// Whether the bound on output is `max_completion_tokens`: o1, o3, o4 and gpt-5 with their
/// successors take nothing else. OpenAI's look-alikes know `max_tokens` only.
bool takes_completion_bound(std::string_view model);

/// Whether it is one of OpenAI's that never reason, and refuse `reasoning_effort`: gpt-3.5, gpt-4
/// in all its kinds, chatgpt-4o and gpt-5-chat. Nothing is known of other names.
bool never_reasons(std::string_view model);

/// How OpenAI's model is told not to think.
enum class NoThinking : std::uint8_t {
    kNothing, // it doesn't think
    kMinimal, // reasoning_effort: minimal
    kNone,    // reasoning_effort: none
    kCannot,  // it always thinks
};
NoThinking no_thinking_of(std::string_view model);

} // namespace larder::convert
