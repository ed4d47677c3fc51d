// Versions of Claude and families of GPT, read off names like "anthropic/claude-opus-4-6" and
// "openai/gpt-5.1-mini".
#include "convert/model_rules.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <optional>
#include <span>

namespace larder::convert {
namespace {

struct Version {
    int major = 0;
    int minor = 0;
    auto operator<=>(const Version&) const = default;
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Takes one or two digits off the head: three and more are a date.
std::optional<int> take_number(std::string_view& text) {
    const auto end = std::ranges::find_if_not(text, is_digit);
    const auto digits = static_cast<std::size_t>(end - text.begin());
    if (digits == 0 || digits > 2)
        return std::nullopt;
    int number = 0;
    for (const char c : text.substr(0, digits))
        number = number * 10 + (c - '0');
    text.remove_prefix(digits);
    return number;
}

/// Of "claude-opus-4-6" and "claude-3-5-haiku-20241022"; 0.0 where there is none.
Version claude_version(std::string_view model) {
    constexpr std::string_view kFamily = "claude-";
    const std::size_t at = model.rfind(kFamily);
    if (at == std::string_view::npos)
        return {};
    std::string_view rest = model.substr(at + kFamily.size());
    while (!rest.empty() && !is_digit(rest.front()))
        rest.remove_prefix(1);
    Version version;
    const auto major = take_number(rest);
    if (!major)
        return {};
    version.major = *major;
    if (!rest.empty() && (rest.front() == '-' || rest.front() == '.')) {
        rest.remove_prefix(1);
        version.minor = take_number(rest).value_or(0);
    }
    return version;
}

std::string_view without_vendor(std::string_view model) {
    return model.substr(model.rfind('/') + 1); // npos + 1 is 0
}

bool starts_with_any(std::string_view name, std::span<const std::string_view> families) {
    return std::ranges::any_of(
        families, [name](std::string_view family) { return name.starts_with(family); });
}

bool is_o_series(std::string_view name) {
    constexpr std::array<std::string_view, 3> kFamilies = {"o1", "o3", "o4"};
    return starts_with_any(name, kFamilies);
}

} // namespace

bool takes_effort(std::string_view claude) {
    return claude_version(claude) >= Version{4, 6};
}

bool takes_extra_high_effort(std::string_view claude) {
    return claude_version(claude) >= Version{4, 7};
}

bool takes_later_system(std::string_view claude) {
    return claude_version(claude) >= Version{4, 8};
}

bool takes_completion_bound(std::string_view model) {
    const std::string_view name = without_vendor(model);
    return is_o_series(name) || name.starts_with("gpt-5");
}

bool never_reasons(std::string_view model) {
    constexpr std::array<std::string_view, 4> kFamilies = {"gpt-3.5", "gpt-4", "chatgpt-4o",
                                                           "gpt-5-chat"};
    return starts_with_any(without_vendor(model), kFamilies);
}

NoThinking no_thinking_of(std::string_view model) {
    const std::string_view name = without_vendor(model);
    if (is_o_series(name))
        return NoThinking::kCannot;
    if (name.starts_with("gpt-5."))
        return NoThinking::kNone;
    if (name.starts_with("gpt-5") && !never_reasons(name))
        return NoThinking::kMinimal;
    return NoThinking::kNothing;
}

} // namespace larder::convert
